"""Virtual perspective cameras round a moving body: 3D joints -> keypoints in pixels.

Space is right-handed with y up, in the unit of the recording. A picture has its origin at the top left, x to the
right and y down. Cameras have square pixels, no lens distortion and no roll.
"""

from dataclasses import dataclass

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import JOINT

# Share of the picture left free on each side of the framed motion.
MARGIN = 0.05
# A camera stands at most this many times as far away as a place that is too near.
_TIGHT = 1.02
_UP = np.array([0.0, 1.0, 0.0])


def to_y_up(points: np.ndarray, up: str = "auto") -> np.ndarray:
    """Turn space so that y is up, without mirroring it.

    `points` are (T, 17, 3). `up` is the axis that points up, such as ``z`` or ``-y``; ``auto`` takes the one nearest to
    the median direction from the ankles to the head, and y where these joints are missing. For a body that mostly
    lies, give the axis.
    """
    if up == "auto":
        body = points[:, JOINT["nose"]] - points[:, [JOINT["left_ankle"], JOINT["right_ankle"]]].mean(1)
        body = body[np.isfinite(body).all(1)]
        body = np.median(body, 0) if len(body) else _UP
        axis = int(np.abs(body).argmax())
        up = ("-" if body[axis] < 0 else "") + "xyz"[axis]
    # Cyclic permutations and half turns are rotations.
    points = np.roll(points, 1 - "xyz".index(up[-1]), axis=-1)
    return points * (1, -1, -1) if up[0] == "-" else points


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. Its target, at the centre of the picture, is one a frame where it turns to follow."""

    position: np.ndarray  # (3,)
    target: np.ndarray  # (3,) or (T, 3)
    fov: float  # vertical, in degrees
    width: int  # pixels
    height: int


def _view(points: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (T, J, 2) and depths (T, J) along the optical axis."""
    forward = _unit(np.atleast_2d(camera.target) - camera.position)  # (T or 1, 3)
    right = _unit(np.cross(forward, _UP))
    axes = np.stack([right, -np.cross(right, forward), forward], 1)  # (T or 1, 3, 3): right, down, forward
    seen_from = (points - camera.position) @ axes.swapaxes(1, 2)
    depth = np.where(seen_from[..., 2] > 0, seen_from[..., 2], np.nan)
    focal = camera.height / 2 / np.tan(np.radians(camera.fov) / 2)  # pixels
    pixels = focal * seen_from[..., :2] / depth[..., None] + (camera.width / 2, camera.height / 2)
    return pixels, depth


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def project(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Project points (T, J, 3) into a camera's picture: x and y in pixels and confidence 1, (T, J, 3), float32.

    Points that are missing, behind the camera or outside the picture are x = y = NaN with confidence 0.
    """
    pixels, _ = _view(points, camera)
    inside = ((pixels >= 0) & (pixels <= (camera.width, camera.height))).all(-1, keepdims=True)
    return mark_missing(np.concatenate([pixels, inside], -1))


def place_cameras(
    points: np.ndarray,
    *,
    views: int,
    heights: tuple[float, float],
    fovs: tuple[float, float],
    jitter: float,
    width: int,
    height: int,
    follow: bool,
    rng: np.random.Generator,
) -> list[Camera]:
    """Place cameras round a recording so that each sees all of it.

    The azimuths are evenly spaced from a random start, each moved by up to `jitter` degrees. A camera stands as near
    as the whole motion allows: every joint of every frame is in the picture, with :data:`MARGIN` to spare. A static
    camera looks at the middle of the motion's bounding box. One that follows stands still too, and turns so that the
    middle of the hips is at the centre of every picture; it can stand nearer, so the body is larger.

    Parameters
    ----------
    points : array (T, 17, 3)
        COCO-17 positions, y up. NaN: missing.
    heights : (low, high)
        Height of the cameras above the lowest joint, drawn from this range, in body heights (0.95-quantile over frames
        of the vertical extent of the joints).
    fovs : (low, high)
        Vertical fields of view, drawn from this range, in degrees.
    width, height : int
        Size of the picture in pixels.

    Raises
    ------
    FormatError
        The body has no height, or `follow` is asked for and a hip is missing.
    """
    low, high = np.nanmin(points, axis=(0, 1)), np.nanmax(points, axis=(0, 1))
    shown = points[~np.isnan(points[..., 1]).all(1), :, 1]
    body = np.quantile(np.nanmax(shown, 1) - np.nanmin(shown, 1), 0.95)
    if not body > 0:
        raise FormatError("wanted a body with a height, got joints that all lie at one level")
    target = points[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(1) if follow else (low + high) / 2
    if np.isnan(target).any():
        raise FormatError("follow: wanted both hips in every frame, got a missing one")
    azimuths = 2 * np.pi * (np.arange(views) / views + rng.random())
    azimuths += np.radians(jitter) * rng.uniform(-1, 1, views)
    levels = low[1] + body * rng.uniform(min(heights), max(heights), views)
    angles = rng.uniform(min(fovs), max(fovs), views)
    return [
        _stand_back(points, target, azimuth, level, body, (float(fov), width, height))
        for azimuth, level, fov in zip(azimuths, levels, angles, strict=True)
    ]


def _stand_back(points, target, azimuth, level, body, lens) -> Camera:
    """Move a camera away from the target until the picture holds every point."""
    outwards = np.array([np.sin(azimuth), 0, np.cos(azimuth)])
    start = target.reshape(-1, 3).mean(0) * (1, 0, 1) + (0, level, 0)

    def camera(distance: float) -> Camera:
        return Camera(start + distance * outwards, target, *lens)

    near = far = 0.5 * body
    while not _frames(points, camera(far)):
        near, far = far, 1.5 * far
    while far > _TIGHT * near:
        middle = np.sqrt(near * far)
        near, far = (near, middle) if _frames(points, camera(middle)) else (middle, far)
    return camera(far)


def _frames(points: np.ndarray, camera: Camera) -> bool:
    pixels, depth = _view(points, camera)
    behind = np.isnan(depth) & ~np.isnan(points).any(-1)
    size = np.array([camera.width, camera.height])
    outside = (pixels < MARGIN * size) | (pixels > (1 - MARGIN) * size)
    return not (behind.any() or outside.any())
