"""The COCO-17 skeleton as data: names, edges, left/right pairs, parts, and layouts that map to it."""

import numpy as np

COCO_KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
N_KEYPOINTS = len(COCO_KEYPOINTS)
MAX_PEOPLE = 2
CHANNELS = ("x", "y", "confidence")
JOINT = {name: index for index, name in enumerate(COCO_KEYPOINTS)}

_EDGE_NAMES = (
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
    ("left_ear", "left_shoulder"),
    ("right_ear", "right_shoulder"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)
EDGES = tuple((JOINT[a], JOINT[b]) for a, b in _EDGE_NAMES)

LEFT_RIGHT_PAIRS = tuple(
    (JOINT[name], JOINT[name.replace("left_", "right_")]) for name in COCO_KEYPOINTS if name.startswith("left_")
)


def _flip_order(pairs: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    order = list(range(N_KEYPOINTS))
    for left, right in pairs:
        order[left], order[right] = right, left
    return tuple(order)


# keypoints[..., FLIP_ORDER, :] swaps left and right.
FLIP_ORDER = _flip_order(LEFT_RIGHT_PAIRS)

PARTS = {
    "head": tuple(JOINT[name] for name in COCO_KEYPOINTS[:5]),
    "shoulders": (JOINT["left_shoulder"], JOINT["right_shoulder"]),
    "arms": tuple(JOINT[f"{side}_{part}"] for part in ("elbow", "wrist") for side in ("left", "right")),
    "hips": (JOINT["left_hip"], JOINT["right_hip"]),
    "legs": tuple(JOINT[f"{side}_{part}"] for part in ("knee", "ankle") for side in ("left", "right")),
}

# Per-keypoint falloff of the object keypoint similarity, from the COCO keypoint evaluation
# (Lin et al. 2014, "Microsoft COCO"; constants of the official evaluation code, as sigma, not 2 sigma).
OKS_SIGMAS = np.array(
    [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062]
    + [0.107, 0.107, 0.087, 0.087, 0.089, 0.089],
    dtype=np.float32,
)

# For each COCO keypoint, its index in another layout.
# BODY_25 and COCO-18: OpenPose's output documentation.
LAYOUTS = {
    "coco17": tuple(range(17)),
    "body25": (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
    "coco18": (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10),
}

_MOCAP_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def _both_sides(head: str, *patterns: list[str]) -> dict[str, tuple[str, ...]]:
    """Joint names from patterns in which {side} is left, {s} is l."""
    joints = {"nose": (head,)}
    for part, candidates in zip(_MOCAP_PARTS, patterns, strict=True):
        for side in ("left", "right"):
            joints[f"{side}_{part}"] = tuple(name.format(side=side, s=side[0]) for name in candidates)
    return joints


# COCO keypoint -> names of the joint in a file, best first. Names are compared in lower case and without a prefix
# such as `mixamorig:`. In CMU's and Mixamo's skeletons LeftShoulder is the collar bone and LeftArm the shoulder; in
# those whose arm is LeftCollar, LeftShoulder, LeftElbow there is no LeftArm.
MOCAP_JOINTS = {
    "bandai": _both_sides(
        "head", ["upperarm_{s}"], ["lowerarm_{s}"], ["hand_{s}"], ["upperleg_{s}"], ["lowerleg_{s}"], ["foot_{s}"]
    ),
    "cmu": _both_sides(
        "head",
        ["{side}arm", "{side}shoulder", "{s}shoulder", "{s}shldr", "{s}humerus"],
        ["{side}forearm", "{side}elbow", "{s}elbow", "{s}forearm", "{s}radius"],
        ["{side}hand", "{side}wrist", "{s}hand", "{s}wrist"],
        ["{side}upleg", "{side}hip", "{s}thigh", "{s}femur"],
        ["{side}leg", "{side}knee", "{s}shin", "{s}tibia"],
        ["{side}foot", "{side}ankle", "{s}foot"],
    ),
    "physionet": _both_sides(
        "head", ["{side}arm"], ["{side}forearm"], ["{side}hand"], ["{side}upleg"], ["{side}leg"], ["{side}foot"]
    ),
}


def to_coco17(keypoints: np.ndarray, layout: str) -> np.ndarray:
    """Pick the COCO-17 keypoints out of another layout.

    Parameters
    ----------
    keypoints : array (..., J, C)
        Keypoints in `layout`'s order.
    layout : str
        A key of :data:`LAYOUTS`.

    Returns
    -------
    array (..., 17, C)
    """
    return keypoints[..., LAYOUTS[layout], :]
