"""The binary `.pose` of sign language processing, through pose-format: joints by name, with rate and size.

Joints are found by their names (see :mod:`poseemo_lib.data.formats.names`) in the component of the body: the first of
`POSE_LANDMARKS` (MediaPipe), `pose_keypoints_2d` (OpenPose), `BODY` and the like that has them. Where a component has a
depth it is not used.

Versions 0.0 to 0.2 are read. In version 0.0 pose-format takes the first person of every frame.

Written: version 0.2, one component `BODY` with COCO's names.

pose-format is MIT.
"""

import struct
from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.data.formats import (
    Recording,
    check_picture,
    check_seen,
    extra,
    files_under,
    only_one,
    picture_size,
    typed_options,
)
from poseemo_lib.data.formats.names import match_names, pick_named
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES
from poseemo_lib.text import first_line

SUFFIX = ".pose"
LOST = (
    "label and split; whether people are tracked (several are read as untracked, unless tracked=true); digits of the "
    "frame rate after the seventh"
)
# World landmarks are metres about the hips, and hands and faces have no body.
_NO_BODIES = ("POSE_WORLD_LANDMARKS", "pose_keypoints_3d")
_LARGEST_SIDE = 65535


def find(src) -> list[Path]:
    """List the `.pose` files under a folder.

    Parameters
    ----------
    src : str or Path
    """
    return files_under(src, SUFFIX)


@typed_options
def read(
    path,
    *,
    tracked: bool = False,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
) -> list[Recording]:
    """Read one file.

    Parameters
    ----------
    path : str or Path
    tracked : bool
        Whether a slot is the same person in every frame, where there are several.
    fps : float, optional
        Frames per second, 1 to 1000, instead of the file's.
    width, height : int, optional
        Size of the picture in pixels, instead of the file's.

    Returns
    -------
    list of Recording
        One.

    Raises
    ------
    FormatError
        The file is damaged, has no component with the joints of a body, nobody in any frame, or no pixels.
    UsageError
        pose-format is not installed, or an option is of the wrong type or out of its range.
    """
    check_picture(fps, width, height)
    header, body = _load(path)
    first, names = _body_component(header, path)
    values = np.ma.getdata(body.data)[:, :, first : first + len(names), :2]
    joined = np.concatenate([values, body.confidence[:, :, first : first + len(names), None]], -1)
    keypoints = pick_named(mark_missing(joined), names, path)
    check_seen(keypoints, path)
    if np.nanmax(np.abs(keypoints[..., :2])) <= 2:
        raise FormatError(f"{path}: wanted pixels, got coordinates of at most 2; write it before `normalize`")
    rate = fps or float(str(np.float32(body.fps)))  # the shortest number that is the file's float32
    if not 1 <= rate <= 1000:
        raise FormatError(f"{path}: wanted 1 to 1000 frames per second, got {rate:g}; give the option fps")
    size = picture_size(keypoints, width or header.dimensions.width, height or header.dimensions.height)
    return [Recording(keypoints, rate, *size, tracked=tracked or keypoints.shape[1] == 1)]


def _load(path):
    with extra("pose-format"):
        from pose_format import Pose
        from pose_format.pose_header import PoseHeaderCache
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        PoseHeaderCache.clear_cache()
        pose = Pose.read(data)
    except (struct.error, ValueError, TypeError, KeyError, IndexError, ArithmeticError, MemoryError) as error:
        raise FormatError(f"{path}: truncated, damaged or not a .pose file: {first_line(error)}") from None
    except NotImplementedError:
        raise FormatError(f"{path}: wanted a .pose file of version 0.0 to 0.2, got another or another file") from None
    if pose.body.data.ndim != 4 or 0 in pose.body.data.shape:
        raise FormatError(f"{path}: wanted frames with people, got {pose.body.data.shape}")
    return pose.header, pose.body


def _body_component(header, path) -> tuple[int, list[str]]:
    """Return where the component of the body starts, and its joints' names."""
    first = 0
    for component in header.components:
        if component.name not in _NO_BODIES and _is_body(component.points):
            return first, component.points
        first += len(component.points)
    names = ", ".join(component.name for component in header.components)
    raise FormatError(
        f"{path}: wanted a component with the joints of a body (left_shoulder, ...), got {names or 'none'}"
    )


def _is_body(names: list[str]) -> bool:
    try:
        return bool(match_names(names, ""))
    except FormatError:
        return False


@typed_options
def write(recordings: list[Recording], path) -> None:
    """Write one recording; reading gives back the very numbers (see :data:`LOST`).

    Parameters
    ----------
    recordings : list of Recording
        One.
    path : str or Path
        The `.pose` file.

    Raises
    ------
    UsageError
        There are several recordings, or pose-format is not installed.
    FormatError
        The picture is larger than the format can say.
    """
    with extra("pose-format"):
        from pose_format import Pose
        from pose_format.numpy import NumPyPoseBody
        from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions
    recording = only_one(recordings, path)
    if max(recording.width, recording.height) > _LARGEST_SIDE:
        raise FormatError(f"{path}: wanted a picture of at most {_LARGEST_SIDE} pixels a side for .pose")
    colours = [(255, 0, 0)] * len(EDGES)
    body = PoseHeaderComponent("BODY", [*COCO_KEYPOINTS], [*EDGES], colours, "XYC")
    header = PoseHeader(0.2, PoseHeaderDimensions(recording.width, recording.height), [body])
    data = np.nan_to_num(recording.keypoints.astype(np.float32), nan=0.0)
    with Path(path).open("wb") as file:
        Pose(header, NumPyPoseBody(recording.fps, data[..., :2], data[..., 2])).write(file)
