"""SLEAP's `.slp`, through sleap-io: joints by name, tracks as people, scores as confidence.

Joints are found by their names (see :mod:`poseemo_lib.data.formats.names`). Instances that a person placed have no score:
their joints count with confidence 1, and where SLEAP predicted the same one, theirs is taken. A file has one
recording for each video. The video itself is not opened.

sleap-io is BSD-3-Clause.
"""

from pathlib import Path

import numpy as np

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
from poseemo_lib.data.formats.arrays import LARGEST
from poseemo_lib.data.formats.names import pick_named
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES
from poseemo_lib.text import first_line

SUFFIX = ".slp"
LOST = "label and split, and slots in which nobody is ever seen"
# More frames than this for each labelled one are a sign of damage.
_MOST_SPREAD = 1000


def find(src) -> list[Path]:
    """List the `.slp` files under a folder.

    Parameters
    ----------
    src : str or Path
    """
    return files_under(src, SUFFIX)


@typed_options
def read(path, *, fps: float | None = None, width: int | None = None, height: int | None = None) -> list[Recording]:
    """Read one file.

    Parameters
    ----------
    path : str or Path
    fps : float, optional
        Frames per second, 1 to 1000, instead of the file's, which few have; 25 where neither tells.
    width, height : int, optional
        Size of the picture in pixels, instead of the file's; where neither tells, the smallest picture that holds
        every joint seen.

    Returns
    -------
    list of Recording
        One for each video in which somebody is, with ``@video0``, ``@video1`` where there are several. Tracked where
        every instance has a track.

    Raises
    ------
    FormatError
        The file is damaged, has joints that are not a person's, or nobody in any frame.
    UsageError
        sleap-io is not installed, or an option is of the wrong type or out of its range.
    """
    check_picture(fps, width, height)
    labels = _load(path)
    videos = [video for video in labels.videos if any(len(frame) for frame in labels.find(video))]
    if not videos:
        raise FormatError(f"{path}: wanted a person in at least one frame, got none in {len(labels.labeled_frames)}")
    recordings = []
    for i, video in enumerate(videos):
        keypoints, tracked = _keypoints(labels, video, path)
        size = (video.shape or video.backend_metadata.get("shape") or (0, 0, 0, 0))[1:3]
        picture = picture_size(keypoints, width or size[1], height or size[0])
        suffix = f"@video{i}" if len(videos) > 1 else ""
        rate = fps or float(video.backend_metadata.get("fps") or 25.0)
        recordings.append(Recording(keypoints, rate, *picture, suffix=suffix, tracked=tracked))
    return recordings


def _load(path):
    with extra("sleap-io"):
        import h5py
        import sleap_io
    try:
        with h5py.File(path) as file:
            names = [name for name in ("frames", "instances", "points", "pred_points") if name in file]
            claimed = sum(file[name].nbytes for name in names)
    except (OSError, AttributeError, RuntimeError, KeyError) as error:
        raise FormatError(f"{path}: cannot be read as SLEAP's HDF5: {first_line(error)}") from None
    if "frames" not in names or claimed > LARGEST:
        raise FormatError(f"{path}: wanted SLEAP's frames of at most {LARGEST} bytes, got {claimed}")
    try:
        return sleap_io.load_slp(str(path), open_videos=False)
    except Exception as error:  # a damaged file fails in any part of sleap-io
        raise FormatError(f"{path}: not a sound SLEAP file: {first_line(error)}") from None


def _keypoints(labels, video, path) -> tuple[np.ndarray, bool]:
    """Return keypoints (T, P, 17, 3) and whether each slot is one person."""
    frames = labels.find(video)
    index = [int(frame.frame_idx) for frame in frames]
    if min(index) < 0 or max(index) + 1 > _MOST_SPREAD * len(index):
        raise FormatError(f"{path}: wanted frame numbers, got {len(index)} frames from {min(index)} to {max(index)}")
    instances = [instance for frame in frames for instance in frame]
    if len({tuple(instance.skeleton.node_names) for instance in instances}) > 1:
        raise FormatError(f"{path}: wanted one skeleton for all people, got several")
    # With one instance a frame sleap-io does not look at tracks.
    used = {instance.track for instance in instances}
    tracked = None not in used and (len(used) == 1 or max(map(len, frames)) > 1)
    try:
        found = labels.numpy(video, untracked=not tracked, return_confidence=True)
    except Exception as error:
        raise FormatError(f"{path}: not a sound SLEAP file: {first_line(error)}") from None
    keypoints = pick_named(found, instances[0].skeleton.node_names, path)
    check_seen(keypoints, path)
    return keypoints[:, (keypoints[..., 2] > 0).any((0, 2))], tracked


@typed_options
def write(recordings: list[Recording], path, *, video: str = "video.mp4") -> None:
    """Write one recording as predicted instances; reading gives back the very numbers (see :data:`LOST`).

    Parameters
    ----------
    recordings : list of Recording
        One.
    path : str or Path
        The `.slp` file.
    video : str
        Name of the video to note in the file. It is not opened.

    Raises
    ------
    UsageError
        There are several recordings, or sleap-io is not installed.
    """
    with extra("sleap-io"):
        import sleap_io as sio
    recording = only_one(recordings, path)
    keypoints = recording.keypoints
    shape = (len(keypoints), recording.height, recording.width, 3)
    noted = sio.Video(video, backend_metadata={"shape": shape, "fps": recording.fps}, open_backend=False)
    skeleton = sio.Skeleton([*COCO_KEYPOINTS], edges=[list(edge) for edge in EDGES], name="COCO-17")
    tracks = [sio.Track(f"person {slot}") if recording.tracked else None for slot in range(keypoints.shape[1])]
    frames = [
        sio.LabeledFrame(video=noted, frame_idx=frame, instances=[
            _instance(keypoints[frame, slot], skeleton, tracks[slot])
            for slot in np.flatnonzero((keypoints[frame, ..., 2] > 0).any(-1))
        ])
        for frame in range(len(keypoints))
    ]  # fmt: skip
    labels = sio.Labels(frames, videos=[noted], skeletons=[skeleton], tracks=[track for track in tracks if track])
    sio.save_slp(labels, str(path), embed=False, verbose=False)


def _instance(pose: np.ndarray, skeleton, track):
    import sleap_io as sio

    scores = pose[:, 2]
    return sio.PredictedInstance.from_numpy(
        pose[:, :2].astype(np.float64),
        skeleton=skeleton,
        point_scores=scores.astype(np.float64),
        score=float(scores[scores > 0].mean()),
        track=track,
    )
