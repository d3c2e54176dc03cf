"""What is written is never what is read, and a place that cannot be written in is named before any work."""

import numpy as np
import pytest

from poseemo_lib.cli.shared import check_out
from poseemo_lib.data.formats import npz
from poseemo_lib.errors import FormatError, UsageError


def test_the_input_is_never_written_over(tmp_path):
    path = tmp_path / "dance.mp4"
    path.write_bytes(b"film")
    (tmp_path / "link.mp4").symlink_to(path)
    for name in ("dance.mp4", "link.mp4"):
        with pytest.raises(UsageError, match="is the input; choose another name"):
            check_out(tmp_path / name, (".mp4",), overwrite=True, input=str(path))
    assert check_out(tmp_path / "new.mp4", (".mp4",), input=str(path)) == tmp_path / "new.mp4"


def test_a_folder_that_cannot_be_written_in_is_named_first():
    with pytest.raises(UsageError, match="/proc/x.csv: cannot be written there"):
        check_out("/proc/x.csv", (".csv",))


def test_confidences_on_another_scale_are_refused(tmp_path):
    keypoints = np.ones((4, 1, 17, 3), np.float32)
    keypoints[..., 2] = 90
    np.savez(tmp_path / "a.npz", keypoints=keypoints, fps=25.0, width=640, height=480)
    with pytest.raises(FormatError, match="confidence: wanted 0 to 1, got up to 90"):
        npz.read(tmp_path / "a.npz")
