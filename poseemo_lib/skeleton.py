"""The COCO-17 skeleton as data: names, edges, left/right pairs, parts, and layouts that map to it."""

import numpy as np

_COCO = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
COCO_KEYPOINTS = tuple(_COCO.split())
N_KEYPOINTS = len(COCO_KEYPOINTS)
MAX_PEOPLE = 2
CHANNELS = ("x", "y", "confidence")
JOINT = {name: index for index, name in enumerate(COCO_KEYPOINTS)}

# Each joint and its neighbour, as in COCO's own skeleton.
_EDGES = (
    "nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear left_ear-left_shoulder "
    "right_ear-right_shoulder left_shoulder-right_shoulder left_shoulder-left_elbow left_elbow-left_wrist "
    "right_shoulder-right_elbow right_elbow-right_wrist left_shoulder-left_hip right_shoulder-right_hip "
    "left_hip-right_hip left_hip-left_knee left_knee-left_ankle right_hip-right_knee right_knee-right_ankle"
)
EDGES = tuple((JOINT[a], JOINT[b]) for a, b in (edge.split("-") for edge in _EDGES.split()))

LEFT_RIGHT_PAIRS = tuple(
    (JOINT[name], JOINT[name.replace("left_", "right_")]) for name in COCO_KEYPOINTS if name.startswith("left_")
)

# keypoints[..., FLIP_ORDER, :] swaps left and right.
_OTHER_SIDE = {a: b for pair in LEFT_RIGHT_PAIRS for a, b in (pair, pair[::-1])}
FLIP_ORDER = tuple(_OTHER_SIDE.get(joint, joint) for joint in range(N_KEYPOINTS))

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

# The joints of each layout, in its order. Sources: BODY_25 and COCO-18, OpenPose's output documentation; Halpe-26, the
# Halpe-FullBody repository (its 136 joints begin with these 26); BlazePose-33, MediaPipe's `PoseLandmark`; H36M-17,
# MMPose's description of Human3.6M; NTU-25, Shahroudy et al. 2016, "NTU RGB+D" (Kinect v2's `JointType`).
_JOINTS = {
    "body25": "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip right_hip "
    "right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear left_big_toe "
    "left_small_toe left_heel right_big_toe right_small_toe right_heel",
    "coco18": "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip "
    "right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear",
    "halpe26": " ".join(COCO_KEYPOINTS) + " head neck hip left_big_toe right_big_toe left_small_toe right_small_toe "
    "left_heel right_heel",
    "blazepose33": "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear "
    "right_ear mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_pinky right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee "
    "left_ankle right_ankle left_heel right_heel left_foot_index right_foot_index",
    "h36m17": "root right_hip right_knee right_ankle left_hip left_knee left_ankle spine thorax neck_base head "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist",
    "ntu25": "spine_base spine_mid neck head left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow "
    "right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip right_knee right_ankle right_foot "
    "spine_shoulder left_hand_tip left_thumb right_hand_tip right_thumb",
}
JOINT_NAMES = {"coco17": COCO_KEYPOINTS} | {layout: tuple(names.split()) for layout, names in _JOINTS.items()}

# H36M-17 and NTU-25 have no nose, eyes or ears. Eyes and ears are missing; the nose is replaced by the nearest joint:
# in H36M-17 the one between neck and top of the head (MMPose does the same), in NTU-25 the middle of the head. Both lie
# inside the head, so the direction of the face is lost.
STAND_INS = {"h36m17": {"nose": "neck_base"}, "ntu25": {"nose": "head"}}

# Joints that a layout itself defines as the middle of two of COCO's. OpenPose: neck and mid hip; MMPose: H36M's root.
MIDPOINTS = {
    "body25": {"neck": "shoulder", "mid_hip": "hip"},
    "coco18": {"neck": "shoulder"},
    "h36m17": {"root": "hip"},
}


def _layout(name: str) -> tuple[int, ...]:
    index = {joint: i for i, joint in enumerate(JOINT_NAMES[name])}
    stand_ins = STAND_INS.get(name, {})
    return tuple(index.get(stand_ins.get(joint, joint), -1) for joint in COCO_KEYPOINTS)


# For each COCO keypoint, its index in another layout; -1 where the layout lacks it.
LAYOUTS = {name: _layout(name) for name in JOINT_NAMES}

# What rigs call shoulder, elbow, wrist, hip, knee and ankle; `|`: or. In EBM's, CMU's and Mixamo's skeletons
# LeftShoulder is the collar bone and LeftArm the shoulder; those whose shoulder is LeftShoulder have no LeftArm.
_RIGS = {
    "ebm": "arm forearm hand upleg leg foot",  # and Mixamo, MotionBuilder, CMU, PhysioNet
    "bandai": "upperarm lowerarm hand upperleg lowerleg foot",
    "vrm": "upperarm lowerarm hand upperleg lowerleg foot",
    "blender": "upperarm forearm hand thigh shin foot",
    "3ds_max": "upperarm forearm hand thigh calf foot",
    "unreal": "upperarm lowerarm hand thigh calf foot",
    "xsens": "upperarm forearm hand upperleg lowerleg foot",
    "poser": "shldr forearm hand thigh shin foot",
    "acclaim": "humerus radius wrist|hand femur tibia foot",
    "anatomy": "shoulder elbow wrist|hand hip knee ankle|foot",  # and Emotion-Gait
}


def _rig(words: str) -> dict[str, tuple[str, ...]]:
    """COCO keypoint -> names of its joint in a rig, without spaces, signs and prefix, best first."""
    joints = {"nose": ("nose", "head", "spine006")}  # Rigify's head is spine.006
    for part, found in zip(("shoulder", "elbow", "wrist", "hip", "knee", "ankle"), words.split(), strict=True):
        for side in ("left", "right"):
            spelt = [(side + word, word + side, side[0] + word, word + side[0]) for word in found.split("|")]
            joints[f"{side}_{part}"] = sum(spelt, ())
    return joints


# Rig -> COCO keypoint -> names. The head stands in for the nose.
MOCAP_JOINTS = {rig: _rig(words) for rig, words in _RIGS.items()}


def to_coco17(keypoints: np.ndarray, layout: str) -> np.ndarray:
    """Pick the COCO-17 keypoints (..., 17, C) out of keypoints (..., J, C) of another of the :data:`LAYOUTS`.

    C is x, y and, where given, confidence. A joint that the layout lacks is missing: x = y = NaN, confidence 0.
    """
    if keypoints.shape[-2] != len(JOINT_NAMES[layout]):
        raise ValueError(f"{layout}: wanted an array (..., {len(JOINT_NAMES[layout])}, C), got {keypoints.shape}")
    order = np.array(LAYOUTS[layout])
    return _with_missing(keypoints[..., order, :], order < 0)


def from_coco17(keypoints: np.ndarray, layout: str) -> np.ndarray:
    """Write COCO-17 keypoints (..., 17, C) in another layout (..., J, C), the reverse of :func:`to_coco17`.

    What COCO-17 lacks is missing, except the middles of :data:`MIDPOINTS`: those are computed where both their joints
    were seen, with the smaller of the two confidences. The nose becomes the joint that replaces it.
    """
    names = JOINT_NAMES[layout]
    source = np.array([LAYOUTS[layout].index(i) if i in LAYOUTS[layout] else -1 for i in range(len(names))])
    out = _with_missing(keypoints[..., source, :], source < 0)
    for name, part in MIDPOINTS.get(layout, {}).items():
        pair = keypoints[..., [JOINT[f"left_{part}"], JOINT[f"right_{part}"]], :]
        middle = pair.mean(-2)
        middle[..., 2:] = pair[..., 2:].min(-2)
        out[..., names.index(name), :] = middle
    return out


def _with_missing(keypoints: np.ndarray, absent: np.ndarray) -> np.ndarray:
    if absent.any():
        keypoints = keypoints.astype(np.result_type(keypoints, np.float32), copy=False)
        keypoints[..., absent, :2] = np.nan
        keypoints[..., absent, 2:] = 0
    return keypoints


# Shoulder line to hip line over shoulder width in an adult, from the segment lengths of Winter (2009,
# "Biomechanics and Motor Control of Human Movement", fig. 4.1): 0.288 H over 0.259 H, joint centres further in.
TORSO_PER_SHOULDER_WIDTH = 1.25


def torso_length(keypoints: np.ndarray) -> np.ndarray:
    """Measure each person's torso over some frames, the unit of size in this library: (T, ..., 17, 2 or more) -> (...).

    It is the median distance between the midpoints of shoulders and hips. Without hips, it is 1.25 times the 0.9
    quantile of the shoulder width, which is the width of a body that faces the camera; without shoulders, NaN.
    """
    left, right = keypoints[..., JOINT["left_shoulder"], :2], keypoints[..., JOINT["right_shoulder"], :2]
    hips = (keypoints[..., JOINT["left_hip"], :2] + keypoints[..., JOINT["right_hip"], :2]) / 2
    torso = median(np.linalg.norm((left + right) / 2 - hips, axis=-1))
    width = median(np.linalg.norm(left - right, axis=-1), 0.9)
    return np.where(np.isnan(torso), TORSO_PER_SHOULDER_WIDTH * width, torso)


def median(values: np.ndarray, q: float = 0.5) -> np.ndarray:
    """Nearest-rank median, or another quantile, over the first axis, NaN left out: (T, ...) -> (...)."""
    ordered = np.sort(values, axis=0)  # NaN last
    last = np.maximum((~np.isnan(ordered)).sum(0) - 1, 0)
    return np.take_along_axis(ordered, np.round(last * q).astype(int)[None], 0)[0]
