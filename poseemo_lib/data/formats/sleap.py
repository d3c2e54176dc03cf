"""SLEAP's `.slp`, through sleap-io: joints by name, tracks as people, scores as confidence.

Joints are found by their names (see `joint_index` in `shared`). Instances that a person placed have no score: their
joints count with confidence 1, and they replace SLEAP's prediction of the same instance. A file has one recording for
each video. The video itself is not opened.

sleap-io is BSD-3-Clause.
"""

import numpy as np

from poseemo_lib.data.formats import Recording
from poseemo_lib.data.formats.sequences import check_spread
from poseemo_lib.data.formats.shared import LARGEST, Fps, Side, make_recording, pick_named, with_options
from poseemo_lib.errors import FormatError, extra
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES
from poseemo_lib.text import first_line

SUFFIX = ".slp"
LOST = "label and split, and slots in which nobody is ever seen"


@with_options
def read(path, *, fps: Fps = None, width: Side = None, height: Side = None) -> list[Recording]:
    """Read one file: one recording for each video in which somebody is, ``@video0``, ... where there are several.

    Tracked where every instance has a track. Few files say their frame rate.
    """
    with extra("sleap-io", "formats"):
        import h5py
        import sleap_io
    try:
        with h5py.File(path) as file:
            claimed = sum(each.nbytes for each in file.values() if isinstance(each, h5py.Dataset))
    except (OSError, AttributeError, RuntimeError, KeyError) as error:
        raise FormatError(f"{path}: cannot be read as SLEAP's HDF5: {first_line(error)}") from None
    if claimed > LARGEST:
        raise FormatError(f"{path}: wanted arrays of at most {LARGEST} bytes, got {claimed}")
    try:
        labels = sleap_io.load_slp(str(path), open_videos=False)
    except Exception as error:  # a damaged file fails in any part of HDF5 and sleap-io
        raise FormatError(f"{path}: not a sound SLEAP file: {first_line(error)}") from None
    videos = [video for video in labels.videos if any(len(frame) for frame in labels.find(video))]
    if not videos:
        raise FormatError(f"{path}: wanted a person in at least one frame, got none in {len(labels.labeled_frames)}")
    recordings = []
    for i, video in enumerate(videos):
        keypoints, tracked = _keypoints(labels, video, path)
        size = (video.shape or video.backend_metadata.get("shape") or (0, 0, 0, 0))[1:3]
        told = {"fps": video.backend_metadata.get("fps"), "width": size[1] or None, "height": size[0] or None}
        suffix = f"@video{i}" if len(videos) > 1 else ""
        recordings.append(make_recording(keypoints, path, fps, width, height, told, suffix=suffix, tracked=tracked))
    return recordings


def _keypoints(labels, video, path) -> tuple[np.ndarray, bool]:
    """Return keypoints (T, P, 17, 3) and whether each slot is one person."""
    frames = labels.find(video)
    check_spread([0, *(int(frame.frame_idx) for frame in frames)], path, most=1000)
    instances = [instance for frame in frames for instance in frame]
    if len({tuple(instance.skeleton.node_names) for instance in instances}) > 1:
        raise FormatError(f"{path}: wanted one skeleton for all people, got several")
    # With one instance a frame sleap-io does not look at tracks.
    used = {instance.track for instance in instances}
    tracked = None not in used and (len(used) == 1 or max(map(len, frames)) > 1)
    found = labels.numpy(video, untracked=not tracked, return_confidence=True)
    keypoints = pick_named(found, instances[0].skeleton.node_names, path)
    return keypoints[:, (keypoints[..., 2] > 0).any((0, 2))], tracked


@with_options
def write(recordings: list[Recording], path, *, video: str = "video.mp4") -> None:
    """Write one recording as predicted instances into a `.slp` file.

    `video` is the name of the video to note in the file; it is not opened.
    """
    with extra("sleap-io", "formats"):
        import sleap_io as sio
    [recording] = recordings
    keypoints = recording.keypoints
    shape = (len(keypoints), recording.height, recording.width, 3)
    noted = sio.Video(video, backend_metadata={"shape": shape, "fps": recording.fps}, open_backend=False)
    skeleton = sio.Skeleton([*COCO_KEYPOINTS], edges=[list(edge) for edge in EDGES], name="COCO-17")
    tracks = [sio.Track(f"person {slot}") if recording.tracked else None for slot in range(keypoints.shape[1])]

    def instance(pose: np.ndarray, track):
        xy, scores = pose[:, :2].astype(np.float64), pose[:, 2].astype(np.float64)
        score = float(pose[pose[:, 2] > 0, 2].mean())
        return sio.PredictedInstance.from_numpy(xy, skeleton=skeleton, point_scores=scores, score=score, track=track)

    frames = [
        sio.LabeledFrame(video=noted, frame_idx=frame, instances=[
            instance(people[slot], tracks[slot]) for slot in np.flatnonzero((people[..., 2] > 0).any(-1))
        ])
        for frame, people in enumerate(keypoints)
    ]  # fmt: skip
    labels = sio.Labels(frames, videos=[noted], skeletons=[skeleton], tracks=[track for track in tracks if track])
    sio.save_slp(labels, str(path), embed=False, verbose=False)
