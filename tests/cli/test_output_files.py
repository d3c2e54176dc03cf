"""What is written is never what is read, and a place that cannot be written in is named before any work."""

import pytest

from poseemo_lib.cli.shared import check_out
from poseemo_lib.errors import UsageError


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
