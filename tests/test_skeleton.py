import numpy as np
import pytest

from poseemo_lib.skeleton import (
    COCO_KEYPOINTS,
    EDGES,
    FLIP_ORDER,
    JOINT,
    LAYOUTS,
    LEFT_RIGHT_PAIRS,
    N_KEYPOINTS,
    OKS_SIGMAS,
    PARTS,
    to_coco17,
)

# OpenPose's own names, in its documented order.
BODY25 = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip right_hip right_knee "
    "right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear left_big_toe left_small_toe "
    "left_heel right_big_toe right_small_toe right_heel"
)


def test_flip_swaps_the_names_and_twice_is_the_identity():
    order = np.array(FLIP_ORDER)
    np.testing.assert_array_equal(order[order], np.arange(N_KEYPOINTS))
    swap = {"left": "right", "right": "left"}
    for index, name in enumerate(COCO_KEYPOINTS):
        side, _, part = name.partition("_")
        expected = f"{swap[side]}_{part}" if side in swap else name
        assert COCO_KEYPOINTS[FLIP_ORDER[index]] == expected


def test_pairs_cover_every_joint_but_the_nose():
    assert sorted(sum(LEFT_RIGHT_PAIRS, ())) == list(range(1, N_KEYPOINTS))


def test_the_body_is_one_piece_and_mirrors_onto_itself():
    reached = {0}
    for _ in range(N_KEYPOINTS):
        reached |= {b for a, b in EDGES if a in reached} | {a for a, b in EDGES if b in reached}
    assert reached == set(range(N_KEYPOINTS))
    edges = {frozenset(edge) for edge in EDGES}
    assert {frozenset((FLIP_ORDER[a], FLIP_ORDER[b])) for a, b in EDGES} == edges
    assert len(edges) == len(EDGES)


def test_parts_hold_every_joint_once():
    assert sorted(sum(PARTS.values(), ())) == list(range(N_KEYPOINTS))
    assert set(PARTS["legs"]) == {JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("knee", "ankle")}


@pytest.mark.parametrize(("layout", "names"), [("body25", BODY25.split()), ("coco17", COCO_KEYPOINTS)])
def test_layouts_pick_the_joint_of_the_same_name(layout, names):
    assert tuple(names[index] for index in LAYOUTS[layout]) == COCO_KEYPOINTS
    keypoints = np.arange(2 * len(names) * 3).reshape(2, len(names), 3)
    picked = to_coco17(keypoints, layout)
    assert picked.shape == (2, N_KEYPOINTS, 3)
    np.testing.assert_array_equal(picked[:, JOINT["left_hip"]], keypoints[:, list(names).index("left_hip")])


def test_oks_sigmas_are_those_of_coco():
    # Twice sigma are the k_i; left and right agree.
    assert OKS_SIGMAS.shape == (N_KEYPOINTS,)
    np.testing.assert_array_equal(OKS_SIGMAS, OKS_SIGMAS[list(FLIP_ORDER)])
    assert OKS_SIGMAS.argmax() in (JOINT["left_hip"], JOINT["right_hip"])
