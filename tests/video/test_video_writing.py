"""Videos written at any rate and size, whole or not at all."""

import numpy as np
import pytest
from made_videos import GREYS

from poseemo_lib.errors import PoseemoError
from poseemo_lib.video.frames import probe, read_frames
from poseemo_lib.video.writing import video_writer


@pytest.mark.parametrize(
    ("suffix", "size"), [(".mp4", (64, 48)), (".avi", (63, 47)), (".mkv", (1, 1)), (".mov", (50, 33))]
)
def test_what_is_written_is_read_back(tmp_path, suffix, size):
    width, height = size
    path = tmp_path / f"out{suffix}"
    pictures = [np.tile(np.linspace(0, 255, width)[None, :, None] * [1, 0.5, 0], (height, 1, 1)) for _ in range(30)]
    pictures = [np.clip(picture + 4 * i, 0, 255).astype(np.uint8) for i, picture in enumerate(pictures)]
    with video_writer(path, 29.97, width, height) as writer:
        for picture in pictures:
            writer.write(picture)
        assert not path.exists()
    frames, info = list(read_frames(path)), probe(path)
    assert len(frames) == info.n_frames == 30 and abs(info.fps - 29.97) < 1e-3
    assert (info.width, info.height) == (width + width % 2, height + height % 2)
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.rgb[:height, :width].astype(int) - picture).mean() < 6
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("fps", [1, 12.345, 25, 59.94, 119.88, 1000])
def test_any_rate_is_written(tmp_path, fps):
    path = tmp_path / "out.mp4"
    with video_writer(path, fps, 64, 48) as writer:
        for picture in GREYS:
            writer.write(picture)
    assert len(list(read_frames(path))) == 20 and abs(probe(path).fps / fps - 1) < 1e-4


def test_a_writing_that_fails_leaves_nothing_and_the_old_file_stays(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("old")
    with pytest.raises(KeyError), video_writer(path, 25, 64, 48) as writer:
        writer.write(GREYS[0])
        raise KeyError
    with pytest.raises(PoseemoError, match="no picture"), video_writer(path, 25, 64, 48):
        pass
    no = tmp_path / "no" / "a.mp4"
    with pytest.raises(PoseemoError, match="written: No such file"), video_writer(no, 25, 64, 48) as writer:
        writer.write(GREYS[0])
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
