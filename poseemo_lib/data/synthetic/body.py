"""The synthetic generator's bodies: named joint angles in, 3D positions of the COCO-17 joints out.

Axes, in metres: x to the person's left, y up, z to the front. Limb lengths are shares of the body height, after
Drillis and Contini as printed in Winter 2009, "Biomechanics and Motor Control of Human Movement", figure 4.1.
"""

from typing import NamedTuple

import numpy as np

from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, PARTS

# Share of the body height. Hip keypoints lie inside the hip breadth (0.191), shoulders at half the breadth of 0.259.
BONES = {
    "trunk": 0.288,
    "neck": 0.052,
    "shoulder": 0.129,
    "hip": 0.065,
    "upper_arm": 0.186,
    "forearm": 0.146,
    "thigh": 0.245,
    "shank": 0.246,
    "head": 1.0,
}
BONE = {name: index for index, name in enumerate(BONES)}
HIP_HEIGHT = 0.53
HEAD_TOP_ABOVE_HIP = 0.47

# nose, left eye, right eye, left ear, right ear, from the pivot at the top of the neck, as shares of the height.
_FACE = np.array(
    [(0, 0.046, 0.062), (0.018, 0.066, 0.048), (-0.018, 0.066, 0.048), (0.044, 0.056, 0), (-0.044, 0.056, 0)]
)

SEGMENTS = ("pelvis", "trunk", "head") + tuple(
    f"{side}_{name}" for name in ("clavicle", "upper_arm", "forearm", "thigh", "shank") for side in ("left", "right")
)
SEGMENT = {name: index for index, name in enumerate(SEGMENTS)}
# Orientation parents, level by level. An arm hangs from the trunk: a raised shoulder moves it, but does not turn it.
_LEVELS = (
    {"trunk": "pelvis", "left_thigh": "pelvis", "right_thigh": "pelvis"},
    {"head": "trunk", "left_clavicle": "trunk", "right_clavicle": "trunk", "left_upper_arm": "trunk"}
    | {"right_upper_arm": "trunk", "left_shank": "left_thigh", "right_shank": "right_thigh"},
    {"left_forearm": "left_upper_arm", "right_forearm": "right_upper_arm"},
)
_LEVEL_INDICES = tuple(([SEGMENT[one] for one in level], [SEGMENT[one] for one in level.values()]) for level in _LEVELS)

_PITCH, _YAW, _ROLL = 0, 1, 2


class JointAngle(NamedTuple):
    """One angle of the body: where it acts and, in degrees, how it usually is and moves."""

    segment: str
    axis: int
    sign: int
    rest: float
    style_sd: float  # how much a show, and again an actor, differs from rest
    sway: float  # amplitude of slow motion that is always there
    beat: float  # amplitude of quicker motion while a person talks or gestures
    moves: tuple[str, ...]  # the COCO joints that follow; with {} for the side


_HEAD = tuple(COCO_KEYPOINTS[index] for index in PARTS["head"])
_ARM = ("{}_shoulder", "{}_elbow", "{}_wrist")
_UPPER_BODY = _HEAD + tuple(name.format(side) for name in _ARM for side in ("left", "right"))
_MIDLINE_ANGLES = {
    "facing": JointAngle("pelvis", _YAW, 1, 0, 0, 3, 0, COCO_KEYPOINTS),
    "trunk_flexion": JointAngle("trunk", _PITCH, 1, 3, 6, 1.5, 1, _UPPER_BODY),
    "trunk_turn": JointAngle("trunk", _YAW, 1, 0, 6, 2.5, 1.5, _UPPER_BODY),
    "trunk_tilt": JointAngle("trunk", _ROLL, 1, 0, 3, 1.2, 0.7, _UPPER_BODY),
    "head_flexion": JointAngle("head", _PITCH, 1, 4, 7, 2.5, 4, _HEAD),
    "head_turn": JointAngle("head", _YAW, 1, 0, 12, 6, 4, _HEAD),
    "head_tilt": JointAngle("head", _ROLL, 1, 0, 4, 2.5, 2, _HEAD),
}
# Written for the left side; yaw and roll change their sign on the right.
_PAIRED_ANGLES = {
    "shoulder_elevation": JointAngle("clavicle", _ROLL, 1, 0, 5, 0.8, 1, _ARM),
    "shoulder_protraction": JointAngle("clavicle", _YAW, -1, 5, 5, 1, 1, _ARM),
    "shoulder_flexion": JointAngle("upper_arm", _PITCH, -1, 8, 12, 3, 12, _ARM[1:]),
    "shoulder_abduction": JointAngle("upper_arm", _ROLL, 1, 12, 7, 2, 6, _ARM[1:]),
    # About the arm's own axis, inwards: it moves the wrist only.
    "shoulder_rotation": JointAngle("upper_arm", _YAW, -1, 20, 15, 3, 10, _ARM[2:]),
    "elbow_flexion": JointAngle("forearm", _PITCH, -1, 40, 25, 4, 18, _ARM[2:]),
    "hip_flexion": JointAngle("thigh", _PITCH, -1, 3, 3, 1, 0, ("{}_knee", "{}_ankle")),
    "hip_abduction": JointAngle("thigh", _ROLL, 1, 4, 3, 0.7, 0, ("{}_knee", "{}_ankle")),
    "knee_flexion": JointAngle("shank", _PITCH, 1, 5, 3, 1, 0, ("{}_ankle",)),
}


def _both_sides() -> dict[str, JointAngle]:
    angles = dict(_MIDLINE_ANGLES)
    for name, angle in _PAIRED_ANGLES.items():
        for side, mirror in (("left", 1), ("right", 1 if angle.axis == _PITCH else -1)):
            angles[f"{side}_{name}"] = angle._replace(
                segment=f"{side}_{angle.segment}",
                sign=angle.sign * mirror,
                moves=tuple(joint.format(side) for joint in angle.moves),
            )
    return angles


ANGLES = _both_sides()
ANGLE = {name: index for index, name in enumerate(ANGLES)}
N_ANGLES = len(ANGLES)
_SLOTS = np.array([3 * SEGMENT[angle.segment] + angle.axis for angle in ANGLES.values()])
_SIGNS = np.radians([float(angle.sign) for angle in ANGLES.values()])
# A forearm or a shank does not bend the wrong way.
_HINGES = [index for name, index in ANGLE.items() if name.endswith(("elbow_flexion", "knee_flexion"))]


def rotation_matrices(angles: np.ndarray) -> np.ndarray:
    """Turn angles about x, y and z (..., 3), radians, into rotations (..., 3, 3): first about y, then z, then x."""
    cx, cy, cz = np.moveaxis(np.cos(angles), -1, 0)
    sx, sy, sz = np.moveaxis(np.sin(angles), -1, 0)
    out = np.empty((*angles.shape, 3))
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = cz * cy, -sz, cz * sy
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = cx * sz * cy + sx * sy, cx * cz, cx * sz * sy - sx * cy
    out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = sx * sz * cy - cx * sy, sx * cz, sx * sz * sy + cx * cy
    return out


def _orientations(pose: np.ndarray) -> np.ndarray:
    """Joint angles (T, M, A) in degrees -> segment orientations (T, M, S, 3, 3)."""
    flat = np.zeros((*pose.shape[:2], 3 * len(SEGMENTS)))
    flat[..., _SLOTS] = pose * _SIGNS
    out = rotation_matrices(flat.reshape(*pose.shape[:2], len(SEGMENTS), 3))
    for children, parents in _LEVEL_INDICES:
        out[:, :, children] = out[:, :, parents] @ out[:, :, children]
    return out


def joint_positions(pose: np.ndarray, root: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Compute joint positions (T, M, 17, 3), in metres and COCO-17 order, from joint angles.

    `pose` (T, M, A) is in degrees, in the order of :data:`ANGLES`; elbows and knees below 0 count as 0. `root`
    (T, M, 3) is the middle of the hips, `lengths` (M, len(BONES)) the limbs' in metres; `head` is the body height.
    """
    pose = pose.copy()
    pose[..., _HINGES] = np.maximum(pose[..., _HINGES], 0)
    turned = _orientations(pose)
    out = np.empty((*pose.shape[:2], len(COCO_KEYPOINTS), 3))

    def along(segment: str, axis: int, bone: str, sign: int = 1) -> np.ndarray:
        return turned[:, :, SEGMENT[segment], :, axis] * (sign * lengths[:, BONE[bone], None])

    throat = root + along("trunk", 1, "trunk")
    face = _FACE * lengths[:, BONE["head"], None, None]
    pivot = throat + along("trunk", 1, "neck")
    out[:, :, :5] = pivot[:, :, None] + np.einsum("tmij,mkj->tmki", turned[:, :, SEGMENT["head"]], face)
    for side, sign in (("left", 1), ("right", -1)):
        shoulder = throat + along(f"{side}_clavicle", 0, "shoulder", sign)
        elbow = shoulder + along(f"{side}_upper_arm", 1, "upper_arm", -1)
        hip = root + along("pelvis", 0, "hip", sign)
        knee = hip + along(f"{side}_thigh", 1, "thigh", -1)
        out[:, :, JOINT[f"{side}_shoulder"]] = shoulder
        out[:, :, JOINT[f"{side}_elbow"]] = elbow
        out[:, :, JOINT[f"{side}_wrist"]] = elbow + along(f"{side}_forearm", 1, "forearm", -1)
        out[:, :, JOINT[f"{side}_hip"]] = hip
        out[:, :, JOINT[f"{side}_knee"]] = knee
        out[:, :, JOINT[f"{side}_ankle"]] = knee + along(f"{side}_shank", 1, "shank", -1)
    return out
