"""The formats of JSON and text, written and read, and real files: openpose, alphapose, coco, ultralytics."""

import numpy as np
import pytest
from made_json import made, same

from poseemo_lib.data.formats import Recording, alphapose, coco, find_files, openpose, ultralytics
from poseemo_lib.errors import UsageError

# Round trips


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize(
    ("module", "name"),
    [(openpose, "x"), (alphapose, "x.json"), (coco, "x.json"), (ultralytics, "x"), (ultralytics, "x.json")],
)
def test_written_and_read_is_the_same(tmp_path, module, name, tracked):
    wanted = made(tracked=tracked)
    module.write([wanted], tmp_path / name)
    assert find_files(module.__name__.rpartition(".")[2], tmp_path) == [tmp_path / name]
    (found,) = module.read(tmp_path / name, fps=25, width=1920, height=1080)
    if module is alphapose:  # as LOST says
        assert "frames after the last person" in module.LOST
        last = np.flatnonzero((wanted.keypoints[..., 2] > 0).any((1, 2)))[-1]
        wanted = Recording(wanted.keypoints[: last + 1], 25.0, 1920, 1080, tracked=tracked)
    same(found, wanted)


def test_coco_keeps_rate_size_names_and_labels_of_many(tmp_path):
    wanted = [
        made(20, tracked=t, seed=s, name=f"a/{s}", label="happy", split="val") for s, t in enumerate([True, False])
    ]
    coco.write(wanted, tmp_path / "x.json")
    for found, each in zip(coco.read(tmp_path / "x.json"), wanted, strict=True):
        same(found, each)
        assert (found.name, found.label, found.split) == (each.name, "happy", "val")
    assert coco.read(tmp_path / "x.json", fps=10, width=100, height=50)[1].fps == 10


def test_a_folder_with_frames_is_not_mixed_with_others(tmp_path):
    for module in (openpose, ultralytics):
        module.write([made(4)], tmp_path / module.__name__)
        with pytest.raises(UsageError, match="wanted a new folder"):
            module.write([made(3)], tmp_path / module.__name__)
