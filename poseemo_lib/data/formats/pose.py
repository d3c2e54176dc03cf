"""The binary `.pose` of sign language processing, through pose-format: joints by name, with rate and size.

Joints are found by their names (see `joint_index` in `shared`) in the component of the body: the first of
`POSE_LANDMARKS` (MediaPipe), `pose_keypoints_2d` (OpenPose), `BODY` and the like that has them. A depth is not used.

Versions 0.0 to 0.2 are read. In version 0.0 pose-format takes the first person of every frame.

Written: version 0.2, one component `BODY` with COCO's names.

pose-format is MIT.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording, shared
from poseemo_lib.errors import FormatError, extra
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES
from poseemo_lib.text import first_line

SUFFIX = ".pose"
LOST = (
    "label and split; whether people are tracked (several are read as untracked, unless tracked=true); digits of the "
    "frame rate after the seventh"
)


@shared.with_options
def read(
    path, *, tracked: bool = False, fps: shared.Fps = None, width: shared.Side = None, height: shared.Side = None
) -> list[Recording]:
    """Read one file: a list of one recording. `tracked`: of several people, each keeps one slot."""
    pose = _load(path)
    header, body = pose.header, pose.body
    first, names = _body_component(header, path)
    joints = slice(first, first + len(names))
    joined = np.concatenate([np.ma.getdata(body.data)[:, :, joints, :2], body.confidence[:, :, joints, None]], -1)
    keypoints = shared.pick_named(joined, names, path)
    # The shortest number that is the file's float32. A side of 0 is one that the file does not know.
    told = {"fps": float(str(np.float32(body.fps)))}
    told |= {side: getattr(header.dimensions, side) or None for side in ("width", "height")}
    tracked = tracked or keypoints.shape[1] == 1
    return [shared.make_recording(keypoints, path, fps, width, height, told, tracked=tracked)]


def _load(path):
    with extra("pose-format", "formats"):
        from pose_format import Pose
        from pose_format.pose_header import PoseHeaderCache
    data = shared.read_bytes(path)
    try:
        PoseHeaderCache.clear_cache()
        pose = Pose.read(data)
    except NotImplementedError:
        raise FormatError(f"{path}: wanted a .pose file of version 0.0 to 0.2, got another or another file") from None
    except Exception as error:  # a damaged file fails in any part of pose-format
        raise FormatError(f"{path}: truncated, damaged or not a .pose file: {first_line(error)}") from None
    if pose.body.data.ndim != 4 or 0 in pose.body.data.shape:
        raise FormatError(f"{path}: wanted frames with people, got {pose.body.data.shape}")
    return pose


def _body_component(header, path) -> tuple[int, list[str]]:
    """Return where the component of the body starts, and its joints' names."""
    first = 0
    for component in header.components:
        if component.name not in ("POSE_WORLD_LANDMARKS", "pose_keypoints_3d"):  # metres about the hips
            with suppress(FormatError):
                shared.match_names(component.points, path)
                return first, component.points
        first += len(component.points)
    got = ", ".join(component.name for component in header.components) or "none"
    raise FormatError(f"{path}: wanted a component with the joints of a body (left_shoulder, ...), got {got}")


def write(recordings: list[Recording], path) -> None:
    """Write one recording into a `.pose` file; FormatError where the picture is larger than the format can say."""
    with extra("pose-format", "formats"):
        from pose_format import Pose
        from pose_format.numpy import NumPyPoseBody
        from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions
    [recording] = recordings
    if max(recording.width, recording.height) > 65535:
        raise FormatError(f"{path}: wanted a picture of at most 65535 pixels a side for .pose")
    colours = [(255, 0, 0)] * len(EDGES)
    body = PoseHeaderComponent("BODY", [*COCO_KEYPOINTS], [*EDGES], colours, "XYC")
    header = PoseHeader(0.2, PoseHeaderDimensions(recording.width, recording.height), [body])
    data = np.nan_to_num(recording.keypoints.astype(np.float32), nan=0.0)
    with Path(path).open("wb") as file:
        Pose(header, NumPyPoseBody(recording.fps, data[..., :2], data[..., 2])).write(file)
