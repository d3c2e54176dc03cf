"""The synthetic generator's camera and pose estimator: 3D joints in, keypoints in pixels with confidence out."""

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.synthetic.body import HEAD_TOP_ABOVE_HIP, rotation_matrices
from poseemo_lib.data.synthetic.style import Scene, Show
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, OKS_SIGMAS, PARTS

# Confidence of a well-seen joint: wrists, hips and ankles are harder than heads and shoulders.
_CONFIDENCE = np.array([0.93] * 5 + [0.93, 0.93, 0.87, 0.87, 0.8, 0.8, 0.8, 0.8, 0.85, 0.85, 0.8, 0.8])
_SIDE = np.array([1 if name.startswith("left") else -1 if name.startswith("right") else 0 for name in COCO_KEYPOINTS])
# Which way a face keypoint looks, as shares of (to the left, to the front), and how far it may turn from the camera.
_FACE_LEFT = np.array([0, 0.4, -0.4, 0.95, -0.95])
_FACE_FRONT = np.array([1, 0.9, 0.9, -0.1, -0.1])
_FACE_LEAST = np.array([-0.15, -0.2, -0.2, -0.45, -0.45])
_BELOW_WAIST = list(PARTS["hips"] + PARTS["legs"])
# What a passing object can hide.
_HIDEABLE = tuple(
    [JOINT[f"{side}_{name}"] for name in names]
    for side in ("left", "right")
    for names in (("elbow", "wrist"), ("wrist",), ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
)
THRESHOLD = 0.1


def see(
    rng: np.random.Generator, joints: np.ndarray, facing: np.ndarray, seconds: np.ndarray, scene: Scene, show: Show
) -> np.ndarray:
    """Film the joints and estimate their keypoints.

    From joints (T, M, 17, 3) in metres, the direction that the hips face (T, M), in degrees from the camera, and the
    time of each frame (T,). Returns pixels and confidence (T, M, 17, 3); NaN, NaN, 0 where a joint is outside the
    picture, hidden or missed. The random draws do not depend on `joints`, so a joint that moves differently changes no
    other joint.
    """
    xy, pixels_per_metre = _film(rng, joints, seconds, scene, show)
    confidence = _confidence(rng, joints, facing, scene, show)
    # The spread that COCO's annotators showed, at this body's size, grows as the confidence falls.
    trunk = 0.29 * scene.heights * pixels_per_metre
    spread = 0.2 * show.noise * trunk[:, None] * OKS_SIGMAS * (1 + 3 * (1 - confidence) ** 2)
    white = rng.standard_normal((len(seconds) + 2, *joints.shape[1:3], 2))
    jitter = (white[:-2] + white[1:-1] + white[2:]) / np.sqrt(3)
    xy = xy + spread[..., None] * jitter
    inside = ((xy >= 0) & (xy < (show.width, show.height))).all(-1)
    found = inside & (confidence > THRESHOLD) & _found(rng, confidence.shape)
    return mark_missing(np.concatenate([xy, np.where(found, confidence, 0)[..., None]], axis=-1))


def _film(
    rng: np.random.Generator, joints: np.ndarray, seconds: np.ndarray, scene: Scene, show: Show
) -> tuple[np.ndarray, float]:
    """Perspective picture of the joints (T, M, 17, 2), and the size of a metre where the people stand."""
    visible = scene.visible_height * rng.uniform(0.95, 1.05)
    focal = show.height / 2 / np.tan(show.field_of_view / 2)
    distance = focal * visible / show.height
    head_top = scene.place[0, 1] + HEAD_TOP_ABOVE_HIP * scene.heights[0]
    # A little room above the head.
    aim = np.array([-scene.shift * visible * show.width / show.height, head_top - 0.42 * visible, 0])
    centred = seconds - seconds.mean()
    limit = 0.15 * show.field_of_view
    pan = np.clip(rng.uniform(-1, 1) * show.pan * centred, -limit, limit)
    hz, phase = rng.uniform(0.2, 1.2, 3), rng.uniform(0, 2 * np.pi, 3)
    shake = show.handheld * np.sin(2 * np.pi * hz * centred[:, None] + phase)  # (T, 3)
    orbit = rotation_matrices(np.array([show.elevation, 0, 0]))
    turn = rotation_matrices(shake + np.stack([np.zeros_like(pan), pan, np.zeros_like(pan)], axis=-1))
    in_camera = (joints - aim) @ orbit.T - (0, 0, distance)
    in_camera = in_camera @ turn[:, None].swapaxes(-1, -2)
    depth = np.maximum(-in_camera[..., 2], 0.1)
    x = show.width / 2 + focal * in_camera[..., 0] / depth
    y = show.height / 2 - focal * in_camera[..., 1] / depth
    return np.stack([x, y], axis=-1), focal / distance


def _confidence(
    rng: np.random.Generator, joints: np.ndarray, facing: np.ndarray, scene: Scene, show: Show
) -> np.ndarray:
    """Confidence in 0..1 of each joint (T, M, 17), by what hides it, with a slow and a quick error."""
    n_frames, n_people, n_joints = joints.shape[:3]
    slow = rng.standard_normal((1, n_people, n_joints))
    quick = rng.standard_normal((n_frames, n_people, n_joints))
    doubt = (1 - show.quality * _CONFIDENCE) * np.exp(0.5 * slow + 0.35 * quick)
    confidence = np.clip(1 - doubt, 0.02, 0.99)
    # A person seen from the side hides the joints of the far side.
    away = np.maximum(np.sin(np.radians(facing))[..., None] * _SIDE, 0)
    away[..., :5] = 0
    confidence *= 1 - 0.6 * away**2
    confidence[..., :5] *= _face_seen(joints)
    if scene.desk:
        confidence[..., _BELOW_WAIST] *= 0.25
    return confidence * _passing(rng, n_frames, n_people)


def _face_seen(joints: np.ndarray) -> np.ndarray:
    """Share of each face keypoint that the camera sees (T, M, 5): those that look away fade out."""
    left = joints[..., 3, :] - joints[..., 4, :]
    front = joints[..., 0, :] - (joints[..., 3, :] + joints[..., 4, :]) / 2
    left_z = left[..., 2] / np.linalg.norm(left, axis=-1)
    front_z = front[..., 2] / np.linalg.norm(front, axis=-1)
    toward = left_z[..., None] * _FACE_LEFT + front_z[..., None] * _FACE_FRONT
    return np.clip((toward - _FACE_LEAST) / 0.25, 0, 1)


def _passing(rng: np.random.Generator, n_frames: int, n_people: int) -> np.ndarray:
    """Factor (T, M, 17) below 1 where something passes before a limb: in about a third of the people."""
    out = np.ones((n_frames, n_people, len(COCO_KEYPOINTS)))
    for person in range(n_people):
        happens, limb = rng.random() < 0.35, _HIDEABLE[rng.integers(len(_HIDEABLE))]
        start, stop = np.sort(rng.integers(0, n_frames + 1, 2))
        if happens:
            out[start:stop, person, limb] *= rng.uniform(0, 0.5)
    return out


def _found(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Tell where the estimator reports a joint (T, M, 17): it misses single joints, and people for some frames."""
    n_frames, n_people, _ = shape
    found = rng.random(shape) > 0.01
    for person in range(n_people):
        n_missed = min(int(rng.geometric(0.25)), n_frames // 3) if rng.random() < 0.3 else 0
        start = rng.integers(n_frames - n_missed + 1)
        found[start : start + n_missed, person] = False
    return found
