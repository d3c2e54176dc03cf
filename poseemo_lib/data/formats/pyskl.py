"""The pickles of PYSKL and MMAction2: many labelled skeleton sequences in one file.

``{"split": {name: [frame_dir, ...]}, "annotations": [{frame_dir, label, img_shape, total_frames, keypoint,
keypoint_score}, ...]}``, or the list of annotations alone. ``keypoint`` is (M, T, V, 2) in pixels, ``keypoint_score``
(M, T, V), ``img_shape`` (height, width). An absent person is all zero. The frame rate is not in it.

Nothing that the pickle names is called: see :mod:`poseemo_lib.data.formats.plain_pickle`. Files of Kinetics that keep
their keypoints elsewhere, and 3D skeletons, which no camera has seen, are refused.

Written: the same, with COCO-17 in float32, and three more entries that neither tool minds: ``classes`` beside the
annotations, ``fps`` and ``tracked`` in each.

Source: PYSKL's `tools/data/README.md` (Duan et al. 2022) and MMAction2's `PoseDataset`; both are Apache-2.0.
"""

import pickle
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from poseemo_lib.clips import EMOTIONS, SPLITS
from poseemo_lib.data.formats import Recording, shared
from poseemo_lib.data.formats.plain_pickle import as_array, load_plain
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.skeleton import JOINT_NAMES, to_coco17

SUFFIX = ".pkl"
LOST = ""
MANY = (".pkl", ".pickle")
# Number of joints -> layout of the first ones, where the number tells: 25 are BODY_25 or NTU's.
_LAYOUTS = {17: "coco17", 18: "coco18", 26: "halpe26", 133: "coco17"}
# `xsub_train` and `train1` are splits of the protocols `xsub` and `1`.
_SPLIT = re.compile(r"(?P<before>.*?)_?(?P<split>train|val|test)(ing|id|idation)?(?P<after>\d*)", re.IGNORECASE)


@shared.with_options
def read(
    path,
    *,
    classes: Sequence[str] | None = None,
    protocol: str | None = None,
    layout: Literal[tuple(JOINT_NAMES)] | None = None,
    tracked: bool = True,
    fps: shared.Fps = None,
    width: shared.Side = None,
    height: shared.Side = None,
) -> list[Recording]:
    """Read one file: a recording for each annotation, named by its ``frame_dir``.

    Parameters
    ----------
    path : str or Path
    classes : sequence of str, optional
        What the labels 0, 1, ... stand for. Without it and without such a list in the file, the numbers are the labels.
    protocol : str, optional
        Which official split to use if the file has several, such as `xsub` for `xsub_train` and `xsub_val`; `none` for
        no split.
    layout : str, optional
        Key of :data:`poseemo_lib.skeleton.LAYOUTS`; default: by the number of joints, if only one has it.
    tracked : bool
        Whether a slot is one person throughout, if the file does not say it.
    fps : float, optional
        Instead of the file's, which only poseemo writes.
    width, height : int, optional
        If ``img_shape`` does not give them.
    """
    annotations, splits, known = _contents(load_plain(path), path)
    split_of = _split_table(splits, protocol, path)
    names = list(classes) if classes is not None else known
    arrays = [as_array(one.get("keypoint")) for one in annotations if isinstance(one, dict)]
    if sum(array.nbytes for array in arrays if array is not None) > Path(path).stat().st_size:
        raise FormatError(f"{path}: annotations share arrays, and claim more than the file holds")

    def recording(numbered: tuple[int, object]) -> Recording:
        i, annotation = numbered
        name = _name(annotation, f"{path}: annotation {i}")
        where = f"{path}: {name if name.isprintable() else repr(name)}"
        keypoints = _keypoints(annotation, layout, where)
        label = _label(annotation.get("label"), names, where)
        told = {"fps": annotation.get("fps"), "label": label, "split": split_of.get(name)}
        size = _size(annotation.get("img_shape"), where) or (width, height)
        own = annotation.get("tracked", tracked)
        return shared.make_recording(keypoints, where, fps, *size, told, tracked=bool(own), name=name)

    return shared.keep_sound(enumerate(annotations), recording)


def _contents(content, path) -> tuple[list, dict, list[str] | None]:
    """Return annotations, splits and class names."""
    if isinstance(content, list):
        content = {"annotations": content}
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list):
        got = ", ".join(map(shared.in_words, content if isinstance(content, dict) else [content]))
        raise FormatError(f"{path}: wanted PYSKL's dict with split and annotations, got {got[:200]}")
    if not annotations:
        raise FormatError(f"{path}: wanted annotations, got none")
    splits, classes = content.get("split") or {}, content.get("classes")
    if not isinstance(splits, dict) or not isinstance(classes, list | None):
        raise FormatError(f"{path}: wanted a dict as split and a list as classes, got {shared.in_words(splits)}")
    return annotations, splits, classes


def _split_table(splits: dict, protocol: str | None, path) -> dict[str, str]:
    """Name -> train, val or test, by the one protocol that counts."""
    by_protocol: dict[str, dict[str, str]] = {}
    for key in splits:
        if found := _SPLIT.fullmatch(str(key)):
            by_protocol.setdefault(found["before"] + found["after"], {})[key] = found["split"].lower()
    if protocol == "none" or not (by_protocol or protocol):
        return {}
    wanted = protocol if protocol is not None else next(iter(by_protocol))
    if wanted not in by_protocol or (protocol is None and len(by_protocol) > 1):
        known, got = ", ".join(name or "(none)" for name in by_protocol) or "none", protocol or "no choice"
        raise UsageError(f"{path}: the option protocol: wanted one of {known}, or none, got {got}")
    table: dict[str, str] = {}
    for key, split in by_protocol[wanted].items():
        for name in _texts(splits[key], f"{path}: split {key}"):
            if table.setdefault(name, split) != split:
                raise FormatError(f"{path}: wanted each clip in one split, got {name!r} in {table[name]} and {split}")
    return table


def _texts(values, where: str) -> list[str]:
    array = as_array(values, "U")
    values = values if array is None else array.tolist()
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise FormatError(f"{where}: wanted a list of names, got something else")
    return values


def _name(annotation, where: str) -> str:
    if not isinstance(annotation, dict):
        raise FormatError(f"{where}: wanted a dict, got {shared.in_words(annotation)}")
    name = annotation.get("frame_dir", annotation.get("filename"))
    if not isinstance(name, str) or not name:
        raise FormatError(f"{where}: wanted its name under frame_dir, got {shared.in_words(name)}")
    return name


def _keypoints(annotation: dict, layout: str | None, where: str) -> np.ndarray:
    """Return keypoints (T, M, 17, 3)."""
    xy, score = as_array(annotation.get("keypoint")), as_array(annotation.get("keypoint_score"))
    if xy is None:
        got = "keypoints in another file" if "raw_file" in annotation else "none"
        raise FormatError(f"{where}: wanted an array under keypoint, got {got}")
    if xy.ndim == 4 and xy.shape[3] == 3:
        raise FormatError(f"{where}: wanted 2D keypoints, got 3D ones: no camera has seen them; take the 2D file")
    if xy.ndim != 4 or 0 in xy.shape or xy.shape[3] != 2:
        raise FormatError(f"{where}: keypoint: wanted (people, frames, joints, 2), got {xy.shape}")
    if score is not None and score.shape != xy.shape[:3]:
        raise FormatError(f"{where}: keypoint_score: wanted {xy.shape[:3]}, got {score.shape}")
    frames = annotation.get("total_frames", xy.shape[1])
    if frames != xy.shape[1]:
        raise FormatError(f"{where}: wanted total_frames as in keypoint, {xy.shape[1]}, got {shared.in_words(frames)}")
    score = (xy != 0).any(-1) if score is None else score  # without scores, what is not at 0, 0 has confidence 1
    return _coco17(shared.mark_unseen(np.concatenate([xy, score[..., None]], -1).swapaxes(0, 1), where), layout, where)


def _coco17(keypoints: np.ndarray, layout: str | None, where: str) -> np.ndarray:
    count = keypoints.shape[2]
    layout = layout or _LAYOUTS.get(count)
    if layout is None:
        known = ", ".join(JOINT_NAMES)
        raise FormatError(f"{where}: wanted joints of a known layout, got {count}; give the option layout: {known}")
    wanted = len(JOINT_NAMES[layout])
    if count != wanted and not (count == 133 and layout == "coco17"):
        raise FormatError(f"{where}: wanted {wanted} joints ({layout}), got {count}")
    return to_coco17(keypoints[:, :, :wanted], layout)


def _size(value, where: str) -> tuple[int, int] | None:
    """Return (width, height), or None if `img_shape` is missing."""
    if value is None:
        return None
    array = as_array(value)
    pair = value[:2] if isinstance(value, list | tuple) else () if array is None else array.ravel()[:2].tolist()
    if len(pair) != 2 or not all(type(v) in (int, float) and 1 <= v <= 100_000 for v in pair):
        raise FormatError(f"{where}: img_shape: wanted (height, width), 1 to 100000, got {shared.in_words(value)}")
    return int(pair[1]), int(pair[0])


def _label(value, names: list[str] | None, where: str) -> str | None:
    array = as_array(value)
    value = array.item() if array is not None and array.size == 1 else value
    if value is None or (isinstance(value, str) and value):
        return value
    if type(value) is not int or value < 0:
        raise FormatError(f"{where}: label: wanted one number or word, got {shared.in_words(value)}")
    if names is None:
        return str(value)
    if value >= len(names):
        raise FormatError(f"{where}: label: wanted one of {len(names)} classes, 0 to {len(names) - 1}, got {value}")
    return names[value]


@shared.with_options
def write(recordings: list[Recording], path, *, classes: Sequence[str] | None = None) -> None:
    """Write recordings into one `.pkl` file.

    Parameters
    ----------
    recordings : list of Recording
        Each with a name of its own. One without a label has none in the file, which the tools can only predict on.
    path : str or Path
    classes : sequence of str, optional
        Their order gives the numbers of the labels; default: the emotions in poseemo's order if all labels are
        emotions, else the labels sorted.

    Raises
    ------
    UsageError
        Two recordings have one name, or a label is not among the classes.
    """
    names = [f"{recording.name or 'recording'}{recording.suffix}" for recording in recordings]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"{path}: wanted a name of its own for each recording, got {twice[0]!r} twice")
    labels = {recording.label for recording in recordings} - {None}
    known = list(classes or (EMOTIONS if labels <= set(EMOTIONS) else sorted(labels)))
    if lost := sorted(labels - set(known)):
        raise UsageError(f"{path}: classes: wanted every label among {', '.join(known)}, got {lost[0]}")
    splits = {split: [n for n, r in zip(names, recordings, strict=True) if r.split == split] for split in SPLITS}
    annotations = [_annotation(n, r, known) for n, r in zip(names, recordings, strict=True)]
    splits = {split: members for split, members in splits.items() if members}
    content = {"split": splits, "annotations": annotations, "classes": known}
    # NumPy 2 still knows the names of NumPy 1, and MMAction2 is used with either.
    text = pickle.dumps(content, protocol=3)
    new, old = (f"cnumpy.{core}.multiarray\n_reconstruct\n".encode() for core in ("_core", "core"))
    Path(path).write_bytes(text.replace(new, old))


def _annotation(name: str, recording: Recording, classes: list[str]) -> dict:
    keypoints = np.nan_to_num(recording.keypoints.astype(np.float32), nan=0.0).swapaxes(0, 1)
    shape = (int(recording.height), int(recording.width))
    label = {} if recording.label is None else {"label": classes.index(recording.label)}
    label |= {"frame_dir": name, "img_shape": shape, "original_shape": shape, "total_frames": keypoints.shape[1]}
    xy, scores = np.ascontiguousarray(keypoints[..., :2]), np.ascontiguousarray(keypoints[..., 2])
    return label | {
        "keypoint": xy, "keypoint_score": scores, "fps": float(recording.fps), "tracked": bool(recording.tracked),
    }  # fmt: skip
