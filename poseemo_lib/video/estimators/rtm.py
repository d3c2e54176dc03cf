"""rtmlib's ONNX models: RTMO (all people at once) and RTMPose (a detector, then the pose of each person)."""

import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.files import hash_file
from poseemo_lib.skeleton import N_KEYPOINTS
from poseemo_lib.text import first_line
from poseemo_lib.video.estimators import Estimator, EstimatorInfo
from poseemo_lib.video.estimators.model_files import check_model, fetch, unpack_member

# What each estimator wants, in the order of the files.
MODELS = {"rtmo": ("an RTMO model (.onnx)",), "rtmpose": ("a YOLOX detector (.onnx)", "an RTMPose model (.onnx)")}
LICENCE = "Apache-2.0 (code; OpenMMLab's weights)"
# Overlap of two boxes above which they are one person. RTMO's own configuration has 0.65, rtmlib 0.45.
NMS_IOU = 0.45


def find_model(name: str, model: str | Path | None) -> tuple[Path, ...]:
    """Return the model files, checked; fetched where none is named: rtmlib's "balanced" ones."""
    wanted = MODELS[name]
    if not model:
        return tuple(_fetch(address) for address in _addresses(name))
    given = str(model).split(",") if len(wanted) > 1 else [model]
    if len(given) != len(wanted):
        raise UsageError(f"model: {name} wants {len(wanted)} files, DETECTOR.onnx,POSE.onnx, got {model}")
    return tuple(check_model(path, what) for path, what in zip(given, wanted, strict=True))


def _addresses(name: str) -> tuple[str, ...]:
    body = import_rtmlib().Body
    if name == "rtmo":
        return (body.RTMO_MODE["balanced"]["pose"],)
    return body.MODE["balanced"]["det"], body.MODE["balanced"]["pose"]


def _fetch(address: str) -> Path:
    from rtmlib.tools import file

    mirror = file.get_mirror_url(address) if hasattr(file, "get_mirror_url") else None
    return unpack_member(fetch(address, mirror=mirror), "end2end.onnx")


def import_rtmlib():
    """Return rtmlib, or raise :class:`UsageError` with what to install."""
    try:
        import onnxruntime  # noqa: F401
        import rtmlib
    except ImportError:
        raise UsageError(
            "the estimators rtmo and rtmpose want rtmlib, which is not installed; run `pip install 'poseemo[video]'`"
        ) from None
    return rtmlib


def open_model(name: str, paths: tuple[Path, ...], *, people: int, min_confidence: float, device: str):
    """Return the opened estimator; see :func:`poseemo_lib.video.estimators.open_estimator`."""
    kind = {"rtmo": RTMOEstimator, "rtmpose": RTMPoseEstimator}[name]
    return kind(paths, people=people, min_confidence=min_confidence, device=device)


class _RTMEstimator(Estimator):
    """What RTMO and RTMPose share; each picture is estimated by itself."""

    name = ""

    def __init__(self, paths: tuple[Path, ...], *, people: int, min_confidence: float, device: str):
        self._people, self._threshold = people, min_confidence
        tools = self._open(paths, device)
        self.info = EstimatorInfo(
            self.name,
            "+".join(path.name for path in paths),
            "+".join(map(hash_file, paths)),
            "+".join(dict.fromkeys(tool.session.get_providers()[0] for tool in tools)),
            LICENCE,
        )

    def estimate(self, rgb: np.ndarray, seconds: float) -> np.ndarray:
        """Return every person of a picture."""
        try:
            people = self._find(np.ascontiguousarray(rgb))
        except Exception as error:  # onnxruntime and OpenCV have their own for each thing that can be wrong
            raise PoseemoError(f"{self.name} failed on a picture: {first_line(error)}") from None
        if people.shape[1:] != (N_KEYPOINTS, 3):
            raise UsageError(f"{self.info.model}: wanted COCO's {N_KEYPOINTS} joints, got {people.shape[1]}")
        people = mark_missing(people)
        return people[(people[..., 2] > 0).any(1)]

    def close(self) -> None:
        """Free the models."""
        self._tools = ()


class RTMOEstimator(_RTMEstimator):
    """RTMO: boxes and poses of all people from one network."""

    name = "rtmo"

    def _open(self, paths: tuple[Path, ...], device: str) -> tuple:
        (what,) = MODELS["rtmo"]
        self._tools = (_load("RTMO", paths[0], device, what, [(None, None, 5), (None, None, N_KEYPOINTS, 3)]),)
        return self._tools

    def _find(self, rgb: np.ndarray) -> np.ndarray:
        (tool,) = self._tools
        picture, ratio = tool.preprocess(_blue_first(rgb))
        boxes, poses = tool.inference(picture)
        if not boxes.shape[1]:
            return np.empty((0, N_KEYPOINTS, 3))
        joints, scores = tool.postprocess([boxes, poses], ratio, NMS_IOU, self._threshold)
        return np.concatenate([joints, scores[..., None]], -1)[: self._people]  # surest first


class RTMPoseEstimator(_RTMEstimator):
    """RTMPose: a YOLOX detector finds people, RTMPose the joints of each."""

    name = "rtmpose"

    def _open(self, paths: tuple[Path, ...], device: str) -> tuple:
        detector, pose = MODELS["rtmpose"]
        self._tools = (
            _load("YOLOX", paths[0], device, detector, [(None, None, None)]),
            _load("RTMPose", paths[1], device, pose, [(None, N_KEYPOINTS, None)] * 2),
        )
        self._tools[0].score_thr, self._tools[0].nms_thr = self._threshold, NMS_IOU
        return self._tools

    def _find(self, rgb: np.ndarray) -> np.ndarray:
        detector, pose = self._tools
        boxes = _person_boxes(detector, _blue_first(rgb), self._threshold)[: self._people]
        if not len(boxes):
            return np.empty((0, N_KEYPOINTS, 3))
        joints, scores = pose(rgb, boxes)  # its mean and deviation are of red, green, blue
        return np.concatenate([joints, scores[..., None]], -1)


def _blue_first(rgb: np.ndarray) -> np.ndarray:
    """OpenCV's order of colours, which YOLOX and RTMO were trained with."""
    return np.ascontiguousarray(rgb[..., ::-1])


def _person_boxes(detector, bgr: np.ndarray, threshold: float) -> np.ndarray:
    """Return people's boxes (N, 4), left, top, right, bottom in pixels, surest first."""
    picture, ratio = detector.preprocess(bgr)
    found = detector.inference(picture)
    if found[0].shape[-1] != 5:  # a network without its own suppression of doubles; class 0 is a person
        boxes, classes = detector.postprocess(found[0], ratio)
        return boxes[classes == 0].reshape(-1, 4)
    boxes, scores = found[0][0, :, :4] / ratio, found[0][0, :, 4]
    person = scores > threshold
    if len(found) > 1:
        person &= found[1].reshape(-1) == 0
    return boxes[person][np.argsort(-scores[person], kind="stable")]


def _load(kind: str, path: Path, device: str, wanted: str, outputs: list[tuple]):
    """Open one of rtmlib's tools on a file, with the picture size that the model itself states."""
    rtmlib = import_rtmlib()
    options = {"YOLOX": {"det_mode": "multiclass"}}.get(kind, {})
    if not re.fullmatch(r"cpu|cuda(:\d+)?|rocm|mps", device):
        raise UsageError(f"device: wanted cpu, cuda, cuda:1, rocm or mps, got {device!r}")
    try:
        # rtmlib prints what it loads; onnxruntime warns where a device is not there: `info.provider` says it.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tool = getattr(rtmlib, kind)(str(path), backend="onnxruntime", device=device, **options)
    except Exception as error:  # onnxruntime has its own for each thing that can be wrong
        raise UsageError(f"{path}: wanted {wanted}, onnxruntime cannot open it: {first_line(error)}") from None
    _check_outputs(tool.session, path, wanted, outputs)
    height, width = tool.session.get_inputs()[0].shape[2:]
    if isinstance(height, int) and isinstance(width, int):  # else the model takes any size: rtmlib's default stays
        tool.model_input_size = (width, height) if kind == "RTMPose" else (height, width)
    return tool


def _check_outputs(session, path: Path, wanted: str, shapes: list[tuple]) -> None:
    """Refuse a model whose outputs have other shapes; None and names stand for any number."""
    got = [tuple(output.shape) for output in session.get_outputs()]
    fits = len(got) >= len(shapes) and all(
        len(mine) == len(theirs)
        and all(a in (None, b) or not isinstance(b, int) for a, b in zip(mine, theirs, strict=True))
        for mine, theirs in zip(shapes, got, strict=False)
    )
    if not fits:
        raise UsageError(f"{path}: wanted {wanted} with outputs like {shapes}, got {got}")
