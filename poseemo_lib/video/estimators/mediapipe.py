"""MediaPipe Tasks' PoseLandmarker: BlazePose detector and landmarks, several people, from picture to picture."""

import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.errors import PoseemoError, UsageError, extra
from poseemo_lib.files import hash_file
from poseemo_lib.skeleton import LAYOUTS, N_KEYPOINTS
from poseemo_lib.text import first_line
from poseemo_lib.video.estimators import Estimator, EstimatorInfo
from poseemo_lib.video.estimators.model_files import check_model, fetch
from poseemo_lib.video.tracking import oks

ADDRESS = (
    "https://storage.googleapis.com/mediapipe-models/pose_landmarker/"
    "pose_landmarker_full/float16/1/pose_landmarker_full.task"
)
SHA256 = "b02e0bdd3a16e32fbdc6b7a6b9a849a50760b27c7d282247aff47f476f4ac8a5"
# MediaPipe follows each person by a square about the body, and takes two squares that overlap by more than
# `min_tracking_confidence` for one person. With the default, 0.5, it mostly loses one of two people who stand close;
# with more it may find one person twice, which `_without_doubles` mends.
SAME_SQUARE = 0.7
# Two poses with more object keypoint similarity are one person; people side by side have less than 0.1.
SAME_PERSON = 0.3
WANTED = "a MediaPipe pose landmarker (.task)"
_PARTS = {"pose_detector.tflite", "pose_landmarks_detector.tflite"}


def find_model(name: str, model: str | Path | None) -> tuple[Path, ...]:
    """Return the model file, checked; it is fetched if none is named."""
    path = check_model(model, WANTED) if model else fetch(ADDRESS, SHA256)
    names = set(zipfile.ZipFile(path).namelist()) if zipfile.is_zipfile(path) else set()
    if not names >= _PARTS:
        raise UsageError(f"{path}: wanted {WANTED}, got another file")
    return (path,)


class MediaPipeEstimator(Estimator):
    """An opened PoseLandmarker; see :class:`poseemo_lib.video.estimators.Estimator`.

    A joint's confidence is visibility x presence: the model's sigmoid outputs for "not hidden" and "in the picture".
    With `people` = 1 MediaPipe smooths the landmarks over time, with more it does not.
    """

    def __init__(self, name: str, paths: tuple[Path, ...], *, people: int, min_confidence: float, device: str):
        if device != "cpu":
            raise UsageError(f"device: {name} runs on the cpu, got {device!r}; rtmo and rtmpose take others")
        (path,) = paths
        self._path, self._people, self._threshold = path, people, min_confidence
        provider, licence = "CPU (TensorFlow Lite, XNNPACK)", "Apache-2.0 (code and weights)"
        self.info = EstimatorInfo(name, path.name, hash_file(path), provider, licence)
        self._start()

    def _start(self) -> None:
        with extra("MediaPipe", "video"):
            from mediapipe.tasks.python import BaseOptions, vision
        options = vision.PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(self._path), delegate=BaseOptions.Delegate.CPU),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=self._people,
            min_pose_detection_confidence=self._threshold,
            min_pose_presence_confidence=self._threshold,
            min_tracking_confidence=SAME_SQUARE,
        )
        try:
            with _without_chatter():
                self._landmarker = vision.PoseLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:
            raise UsageError(f"{self._path}: wanted {WANTED}, MediaPipe cannot open it: {first_line(error)}") from None
        self._last, self._quiet = -1, True

    def estimate(self, rgb: np.ndarray, seconds: float) -> np.ndarray:
        """Return every person of a picture."""
        import mediapipe

        # MediaPipe wants time stamps that rise, in whole milliseconds.
        self._last = max(self._last + 1, round(seconds * 1000))
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        try:
            with _without_chatter() if self._quiet else nullcontext():
                poses = self._landmarker.detect_for_video(image, self._last).pose_landmarks
        except (RuntimeError, ValueError) as error:
            raise PoseemoError(f"mediapipe failed on a picture: {first_line(error)}") from None
        self._quiet &= not poses  # with the first person found, MediaPipe warns of its own model, once
        height, width = rgb.shape[:2]
        return _without_doubles(_keypoints(poses, width, height))

    def reset(self) -> None:
        """Forget the recording so far; time starts again."""
        if self._last >= 0:  # a landmarker follows people: only a new one knows nothing
            self.close()
            self._start()

    def close(self) -> None:
        """Close the landmarker."""
        self._landmarker.close()


def _keypoints(poses: list, width: int, height: int) -> np.ndarray:
    """Landmarks, x and y in 0..1 of the picture and beyond -> (P, 17, 3) in pixels."""
    order = LAYOUTS["blazepose33"]
    joints = ((person[i] for i in order) for person in poses)
    found = [[(j.x * width, j.y * height, (j.visibility or 0) * (j.presence or 0)) for j in one] for one in joints]
    people = mark_missing(np.array(found, np.float32).reshape(-1, N_KEYPOINTS, 3))
    return people[(people[..., 2] > 0).any(1)]


def _without_doubles(people: np.ndarray) -> np.ndarray:
    """Of poses (P, 17, 3) that lie on each other keep the one with the highest mean confidence."""
    if len(people) < 2:
        return people
    alike = oks(people, people) > SAME_PERSON
    kept: list[int] = []
    for person in np.argsort(-people[..., 2].mean(1), kind="stable"):
        if not alike[person, kept].any():
            kept.append(person)
    return people[sorted(kept)]


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Discard what native code prints on standard error; faults are raised."""
    sys.stderr.flush()
    real = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(real, 2)
        os.close(real)
