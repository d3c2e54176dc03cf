"""rtmlib's ONNX models: RTMO (all people at once) and RTMPose (a detector, then the pose of each person)."""

import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.errors import PoseemoError, UsageError, extra
from poseemo_lib.files import hash_file
from poseemo_lib.skeleton import N_KEYPOINTS
from poseemo_lib.text import first_line
from poseemo_lib.video.estimators import Estimator, EstimatorInfo
from poseemo_lib.video.estimators.model_files import check_model, fetch, unpack_member

# What each estimator wants, in the order of the files: rtmlib's class, what the file is, and shapes of its outputs.
MODELS = {
    "rtmo": [("RTMO", "an RTMO model (.onnx)", [(None, None, 5), (None, None, N_KEYPOINTS, 3)])],
    "rtmpose": [
        ("YOLOX", "a YOLOX detector (.onnx)", [(None, None, None)]),
        ("RTMPose", "an RTMPose model (.onnx)", [(None, N_KEYPOINTS, None)] * 2),
    ],
}
LICENCE = "Apache-2.0 (code; OpenMMLab's weights)"
# Overlap of two boxes above which they are one person. RTMO's own configuration has 0.65, rtmlib 0.45.
NMS_IOU = 0.45


def find_model(name: str, model: str | Path | None) -> tuple[Path, ...]:
    """Return the model files, checked; if none is named, they are fetched: rtmlib's "balanced" ones."""
    wanted = MODELS[name]
    if not model:
        return tuple(_fetch(address) for address in _addresses(name))
    given = str(model).split(",") if len(wanted) > 1 else [model]
    if len(given) != len(wanted):
        raise UsageError(f"model: {name} wants {len(wanted)} files, DETECTOR.onnx,POSE.onnx, got {model}")
    return tuple(check_model(path, what) for path, (_, what, _) in zip(given, wanted, strict=True))


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
    with extra("rtmlib", "video"):
        import onnxruntime  # noqa: F401
        import rtmlib
    return rtmlib


class RTMEstimator(Estimator):
    """RTMO or RTMPose, opened; each picture is estimated by itself."""

    def __init__(self, name: str, paths: tuple[Path, ...], *, people: int, min_confidence: float, device: str):
        self._find = {"rtmo": _find_by_rtmo, "rtmpose": _find_by_rtmpose}[name]
        self._people, self._threshold = people, min_confidence
        kinds = zip(MODELS[name], paths, strict=True)
        self._tools = [_load(*kind, path, device, min_confidence) for kind, path in kinds]
        self.info = EstimatorInfo(
            name,
            "+".join(path.name for path in paths),
            "+".join(map(hash_file, paths)),
            "+".join(dict.fromkeys(tool.session.get_providers()[0] for tool in self._tools)),
            LICENCE,
        )

    def estimate(self, rgb: np.ndarray, seconds: float) -> np.ndarray:
        """Return every person of a picture."""
        try:
            people = self._find(np.ascontiguousarray(rgb), *self._tools, self._threshold, self._people)
        except Exception as error:  # onnxruntime and OpenCV have their own for each thing that can be wrong
            raise PoseemoError(f"{self.info.name} failed on a picture: {first_line(error)}") from None
        people = mark_missing(people)
        return people[(people[..., 2] > 0).any(1)]

    def close(self) -> None:
        """Free the models."""
        self._tools = []


def _find_by_rtmo(rgb: np.ndarray, tool, threshold: float, people: int) -> np.ndarray:
    """Take boxes and poses of all people from one network, surest first."""
    picture, ratio = tool.preprocess(_blue_first(rgb))
    boxes, poses = tool.inference(picture)
    if not boxes.shape[1]:
        return np.empty((0, N_KEYPOINTS, 3))
    joints, scores = tool.postprocess([boxes, poses], ratio, NMS_IOU, threshold)
    return np.concatenate([joints, scores[..., None]], -1)[:people]


def _find_by_rtmpose(rgb: np.ndarray, detector, pose, threshold: float, people: int) -> np.ndarray:
    """Let a YOLOX detector find people, and RTMPose the joints of each."""
    boxes = _person_boxes(detector, _blue_first(rgb), threshold)[:people]
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


def _load(kind: str, wanted: str, outputs: list[tuple], path: Path, device: str, threshold: float):
    """Open one of rtmlib's tools on a file, with the picture size that the model itself states."""
    rtmlib = import_rtmlib()
    options = {"det_mode": "multiclass", "score_thr": threshold, "nms_thr": NMS_IOU} if kind == "YOLOX" else {}
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
