"""Joints by the names that other tools give them."""

import numpy as np
import pytest

from poseemo_lib.data.formats.shared import joint_index, pick_named
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES


@pytest.mark.parametrize(
    "form",
    [
        "{side}_{part}", "{part}_{side}", "{s}_{part}", "{part}_{s}", "{S}{Part}", "{Part}{S}", "{side}{Part}",
        "{Part}{Side}", "{Side} {Part}", "{SIDE}_{PART}", "{side}{part}", "{s}{part}", "{part}.{S}", "{side}-{part}",
        "mixamorig:{Side}{Part}", "{Part}-{Side}",
    ],
)  # fmt: skip
def test_names_of_many_tools(form):
    for name in COCO_KEYPOINTS[1:]:
        side, part = name.split("_")
        words = {"side": side, "part": part, "s": side[0], "Side": side.title(), "Part": part.title()}
        words |= {"S": side[0].upper(), "SIDE": side.upper(), "PART": part.upper()}
        assert joint_index(form.format(**words)) == JOINT[name], form.format(**words)


@pytest.mark.parametrize(
    "name",
    ["", "left_eye_inner", "LEFT_EYE_OUTER", "left_hand", "neck", "MidHip", "left", "head", "left_right_eye", "eyes"]
    + ["shoulder", "shoulder1", "LBigToe", "l_foot", "left_left_eye", "nosetip", "forearm_left", "elbow_wrist"],
)
def test_names_that_are_no_coco_joint(name):
    assert joint_index(name) is None


def test_names_agree_with_the_layouts():
    for layout in ("body25", "coco18", "halpe26", "blazepose33"):
        found = [joint_index(name) for name in JOINT_NAMES[layout]]
        assert sorted(joint for joint in found if joint is not None) == list(range(17)), layout


def test_picking_by_name():
    keypoints = np.arange(1, 25, dtype=float).reshape(1, 8, 3)
    keypoints[..., 2] = 0.5
    names = ["tail", "RShoulder", "LShoulder", "nose", "l_hip", "LEFT_HIP_2", "RHip", "left wrist"]
    found = pick_named(keypoints, names, "a.slp")
    np.testing.assert_array_equal(found[0, JOINT["left_shoulder"]], [7, 8, 0.5])
    assert (found[0, :, 2] > 0).sum() == 6
    with pytest.raises(FormatError, match="a.slp: wanted one left_shoulder, got 'LShoulder' and 'shoulder_l'"):
        pick_named(keypoints, ["LShoulder", "shoulder_l", *names[:6]], "a.slp")
    mouse = ["nose", "left_ear", "right_ear", "left_hip", "right_hip", "tail_base", "tail_tip", "spine"]
    with pytest.raises(FormatError, match="wanted joints named like COCO's .* got 5 of 17 in nose, left_ear"):
        pick_named(keypoints, mouse, "mouse.slp")
