import numpy as np
import pytest

from poseemo_lib.skeleton import (
    COCO_KEYPOINTS,
    JOINT,
    JOINT_NAMES,
    LAYOUTS,
    MIDPOINTS,
    STAND_INS,
    from_coco17,
    to_coco17,
)

# A person who faces the camera, x to the right and y down, in hand-breadths from the middle of the hips. What the
# layouts have beside COCO's joints is placed where a body has it, so that a wrong index moves a joint.
HALF_WIDTH_AND_HEIGHT = {
    "eye": (0.3, -7.7), "eye_inner": (0.2, -7.7), "eye_outer": (0.4, -7.7), "ear": (0.8, -7.6), "shoulder": (2, -5),
    "elbow": (3, -2.5), "wrist": (3.5, 0), "hand": (3.6, 0.5), "hand_tip": (3.7, 1), "pinky": (3.9, 0.9),
    "index": (3.7, 0.9), "thumb": (3.3, 0.6), "hip": (1, 0), "knee": (1.1, 4), "ankle": (1.2, 8), "heel": (1.2, 8.4),
    "foot": (1.4, 8.6), "foot_index": (1.5, 8.7), "big_toe": (1.4, 8.7), "small_toe": (1.8, 8.7), "mouth": (0.3, -7),
}  # fmt: skip
MIDDLE = {
    "nose": -7.3, "head": -8, "neck": -5, "neck_base": -7, "mid_hip": 0, "hip": 0, "root": 0, "spine": -2.5,
    "thorax": -5, "spine_base": 0, "spine_mid": -2.5, "spine_shoulder": -5,
}  # fmt: skip


def place(name):
    words = name.split("_")
    side = next((word for word in words if word in ("left", "right")), None)
    if side is None:
        return 0.0, MIDDLE[name]
    x, y = HALF_WIDTH_AND_HEIGHT["_".join(word for word in words if word != side)]
    return (x if side == "left" else -x), y


def figure(layout):
    return np.array([(*place(name), 0.1 + 0.02 * i) for i, name in enumerate(JOINT_NAMES[layout])], np.float32)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_joint_lands_where_its_name_says(layout):
    drawn, picked = figure(layout), to_coco17(figure(layout), layout)
    for k, name in enumerate(COCO_KEYPOINTS):
        source = STAND_INS.get(layout, {}).get(name, name)
        if source in JOINT_NAMES[layout]:
            np.testing.assert_array_equal(picked[k], drawn[JOINT_NAMES[layout].index(source)], err_msg=name)
        else:
            assert np.isnan(picked[k, :2]).all() and picked[k, 2] == 0, name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_figure_is_a_person_who_faces_the_camera(layout):
    x, y, _ = to_coco17(figure(layout), layout).T
    parts = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for part in parts:
        assert x[JOINT[f"left_{part}"]] > 0 > x[JOINT[f"right_{part}"]]
    heights = [y[JOINT["nose"]]] + [y[JOINT[f"left_{part}"]] for part in ("shoulder", "hip", "knee", "ankle")]
    assert (np.diff(heights) > 0).all()


def test_what_lacks_eyes_and_ears_says_so():
    lacking = {layout for layout, order in LAYOUTS.items() if -1 in order}
    assert lacking == {"h36m17", "ntu25"} == set(STAND_INS)
    for layout in lacking:
        assert [i for i, index in enumerate(LAYOUTS[layout]) if index < 0] == [1, 2, 3, 4]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_there_and_back_is_exact_but_for_the_joints_that_the_layout_lacks(layout):
    rng = np.random.default_rng(1)
    keypoints = rng.uniform(0, 500, (4, 2, 17, 3)).astype(np.float32)
    keypoints[rng.random((4, 2, 17)) < 0.3] = [np.nan, np.nan, 0]
    there = from_coco17(keypoints, layout)
    assert there.shape == (4, 2, len(JOINT_NAMES[layout]), 3) and there.dtype == np.float32
    lacking = np.array(LAYOUTS[layout]) < 0
    keypoints[..., lacking, :] = [np.nan, np.nan, 0]
    np.testing.assert_array_equal(to_coco17(there, layout), keypoints)
    known = {index for index in LAYOUTS[layout] if index >= 0}
    known |= {JOINT_NAMES[layout].index(name) for name in MIDPOINTS.get(layout, {})}
    others = [i for i in range(len(JOINT_NAMES[layout])) if i not in known]
    assert np.isnan(there[..., others, :2]).all() and (there[..., others, 2] == 0).all()


def test_middles_are_computed_only_where_both_joints_were_seen():
    keypoints = np.tile(np.array([10, 20, 0.9], np.float32), (17, 1))
    keypoints[JOINT["left_shoulder"]] = [40, 100, 0.5]
    keypoints[JOINT["right_shoulder"]] = [20, 110, 0.8]
    keypoints[JOINT["left_hip"]] = [np.nan, np.nan, 0]
    body = from_coco17(keypoints, "body25")
    np.testing.assert_array_equal(body[1], np.array([30, 105, 0.5], np.float32))
    assert np.isnan(body[8, :2]).all() and body[8, 2] == 0


def test_positions_without_confidence():
    points = figure("ntu25")[:, :2]
    picked = to_coco17(points, "ntu25")
    assert picked.shape == (17, 2) and np.isnan(picked[1:5]).all() and not np.isnan(picked[5:]).any()
    assert from_coco17(picked, "body25").shape == (25, 2)


def test_whole_numbers_become_floats_only_where_something_is_missing():
    whole = np.arange(25 * 3).reshape(25, 3)
    assert to_coco17(whole, "body25").dtype == whole.dtype
    assert np.isnan(to_coco17(whole, "ntu25")[1, 0])


def test_the_input_is_left_alone():
    for layout in LAYOUTS:
        drawn = figure(layout)
        back = to_coco17(drawn, layout)
        from_coco17(back, layout)[...] = 7
        back[...] = 5
        np.testing.assert_array_equal(drawn, figure(layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_number_of_joints_is_refused(layout):
    with pytest.raises(ValueError, match=layout):
        to_coco17(np.zeros((3, 14, 3)), layout)
    with pytest.raises(ValueError, match="17"):
        from_coco17(np.zeros((3, 14, 3)), layout)


def test_blazepose_is_mediapipes_own_order():
    landmarks = pytest.importorskip("mediapipe.tasks.python.vision.pose_landmarker").PoseLandmark
    assert tuple(landmark.name.lower() for landmark in landmarks) == JOINT_NAMES["blazepose33"]


def test_halpe_and_openpose_are_rtmlibs_own_order():
    pytest.importorskip("rtmlib")
    from rtmlib.visualization.skeleton.halpe26 import halpe26
    from rtmlib.visualization.skeleton.openpose18 import openpose18

    for theirs, layout in ((halpe26, "halpe26"), (openpose18, "coco18")):
        assert tuple(joint["name"] for joint in theirs["keypoint_info"].values()) == JOINT_NAMES[layout]


def test_h36m_agrees_with_mmposes_table():
    # MMPose's `convert_keypoint_definition`: H36M joint <- COCO joint.
    h36m, coco = [1, 2, 3, 4, 5, 6, 9, 11, 12, 13, 14, 15, 16], [12, 14, 16, 11, 13, 15, 0, 5, 7, 9, 6, 8, 10]
    assert {LAYOUTS["h36m17"][c]: c for c in coco} == dict(zip(h36m, coco, strict=True))
