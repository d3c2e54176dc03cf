import numpy as np
import pytest

from poseemo_lib.skeleton import (
    COCO_KEYPOINTS,
    JOINT,
    JOINT_NAMES,
    LAYOUTS,
    STAND_INS,
    from_coco17,
    to_coco17,
)


def figure(layout):
    """Joints that differ from each other."""
    return np.arange(1, 3 * len(JOINT_NAMES[layout]) + 1, dtype=np.float32).reshape(-1, 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_joint_lands_where_its_name_says(layout):
    drawn, picked = figure(layout), to_coco17(figure(layout), layout)
    for k, name in enumerate(COCO_KEYPOINTS):
        source = STAND_INS.get(layout, {}).get(name, name)
        if source in JOINT_NAMES[layout]:
            np.testing.assert_array_equal(picked[k], drawn[JOINT_NAMES[layout].index(source)], err_msg=name)
        else:
            assert np.isnan(picked[k, :2]).all() and picked[k, 2] == 0, name


def test_middles_are_computed_only_where_both_joints_were_seen():
    keypoints = np.tile(np.array([10, 20, 0.9], np.float32), (17, 1))
    keypoints[JOINT["left_shoulder"]] = [40, 100, 0.5]
    keypoints[JOINT["right_shoulder"]] = [20, 110, 0.8]
    keypoints[JOINT["left_hip"]] = [np.nan, np.nan, 0]
    body = from_coco17(keypoints, "body25")
    np.testing.assert_array_equal(body[1], np.array([30, 105, 0.5], np.float32))
    assert np.isnan(body[8, :2]).all() and body[8, 2] == 0


def test_blazepose_is_mediapipes_own_order():
    landmarks = pytest.importorskip("mediapipe.tasks.python.vision.pose_landmarker").PoseLandmark
    assert tuple(landmark.name.lower() for landmark in landmarks) == JOINT_NAMES["blazepose33"]


def test_halpe_and_openpose_are_rtmlibs_own_order():
    pytest.importorskip("rtmlib")
    from rtmlib.visualization.skeleton.halpe26 import halpe26
    from rtmlib.visualization.skeleton.openpose18 import openpose18

    for theirs, layout in ((halpe26, "halpe26"), (openpose18, "coco18")):
        assert tuple(joint["name"] for joint in theirs["keypoint_info"].values()) == JOINT_NAMES[layout]
