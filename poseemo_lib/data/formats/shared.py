"""What the formats share: checked options, file content, and a recording from keypoints and what the file says."""

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from poseemo_lib.clips import SPLITS, mark_missing
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT

# The options that nearly every format has: frames per second, and the size of the picture in pixels.
Fps = Annotated[float, Field(ge=1, le=1000)] | None
Side = Annotated[int, Field(ge=1)] | None
# Bytes of the arrays in one file, unpacked: 10 million poses. A small packed file can claim any size.
LARGEST = 2**31
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_PARTS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_RUN_TOGETHER = re.compile(rf"(left|right|l|r)({'|'.join(_PARTS)})|({'|'.join(_PARTS)})(left|right|l|r)")
# A person's body has more joints than this; the nose, ears and tail of a mouse are fewer.
_FEWEST = 5


def with_options(function: Callable) -> Callable:
    """Let a ``read`` or ``write`` raise :class:`UsageError` for an option that does not fit its type hint."""
    parameters = inspect.signature(function).parameters.values()
    hints = {p.name: TypeAdapter(p.annotation) for p in parameters if p.kind is p.KEYWORD_ONLY}

    @functools.wraps(function)
    def checked(*args, **options):
        for key in options.keys() & hints.keys():
            try:
                options[key] = hints[key].validate_python(options[key])
            except ValidationError as error:
                # "Input should be a valid number, unable to parse string as a number" -> "a valid number"
                texts = [re.sub("^Input (should be )?|, (unable|got) .*", "", one["msg"]) for one in error.errors()]
                wanted = " or ".join(dict.fromkeys(texts))
                raise UsageError(f"{key}: should be {wanted}, got {options[key]!r}") from None
        return function(*args, **options)

    return checked


def read_bytes(path) -> bytes:
    """Return a file's content; FormatError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None


def read_text(path) -> str:
    """Return a text in UTF-8, without a byte order mark, Shift-JIS or Latin-1; FormatError if it is none of them."""
    content = read_bytes(path)
    # Bytes 80 to 9F begin most characters of Shift-JIS, and in Latin-1 they are no letters.
    for encoding in ("utf-8-sig", "cp932" if re.search(rb"[\x80-\x9f]", content) else "latin-1"):
        with suppress(UnicodeDecodeError):
            return content.decode(encoding)
    raise FormatError(f"{path}: wanted a text in UTF-8, Shift-JIS or Latin-1, got other bytes")


def load_json(path):
    """Parse a JSON file in UTF-8, UTF-16 or UTF-32; FormatError if it cannot be read or is damaged."""
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:  # also bytes that are no text
        raise FormatError(f"{path}: truncated or damaged JSON: {error}") from None


def in_words(value) -> str:
    """Say in a few words what a value is, for messages; it may be nested without end."""
    if isinstance(value, list | tuple | dict):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return repr(value)[:60] if isinstance(value, str | Real | None) else type(value).__name__


def numbers(values, where: str) -> np.ndarray:
    """Turn a JSON list of numbers into an array (n,), float64; NaN and infinity stay. Else FormatError."""
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):
        array = np.empty(0, object)
    if isinstance(values, list) and array.ndim == 1 and array.dtype.kind in "iuf":
        return array.astype(np.float64)
    got = next((v for v in values if type(v) not in (int, float)), values) if isinstance(values, list) else values
    raise FormatError(f"{where}: wanted numbers, got {in_words(got)}")


def mark_unseen(values: np.ndarray, where) -> np.ndarray:
    """Give joints (..., 3) that were not seen their one form, as :func:`poseemo_lib.clips.mark_missing` does.

    FormatError if the confidence has another scale, such as percent; some tools give a little more than 1.
    """
    finite = values[..., 2][np.isfinite(values[..., 2])]
    if (largest := finite.max(initial=0)) > 2:
        raise FormatError(f"{where}: confidence: wanted 0 to 1, got up to {largest:g}")
    with np.errstate(over="ignore"):
        return mark_missing(values)


def make_recording(
    keypoints: np.ndarray, where, fps: Fps, width: Side, height: Side, told: Mapping | None = None, **more
) -> Recording:
    """Make a recording from keypoints (T, P, 17, 3), the options, and what the file says.

    `told` may hold the file's ``fps``, ``width``, ``height``, ``label`` and ``split``; `more` are other fields of the
    recording. FormatError if nobody is seen, places are not in pixels, or the file says something impossible.
    """
    if not (keypoints[..., 2] > 0).any():
        raise FormatError(f"{where}: wanted a person in at least one frame, got none in {len(keypoints)} frames")
    if np.nanmedian(np.abs(keypoints[..., :2])) <= 2:
        hint = "write the file without normalising it (OpenPose: --keypoint_scale 0)"
        raise FormatError(f"{where}: wanted pixels, got coordinates of mostly at most 2; {hint}")
    told = told or {}
    right, bottom = np.ceil(np.maximum(np.nanmax(keypoints[..., :2], axis=(0, 1, 2)), 1))
    fps = fps or told_number(told, "fps", where, most=1000) or 25.0
    width = width or told_number(told, "width", where) or right
    height = height or told_number(told, "height", where) or bottom
    told = {key: told[key] for key in ("label", "split") if told.get(key) is not None}
    if not isinstance(told.get("label", ""), str) or told.get("split", "val") not in SPLITS:
        raise FormatError(f"{where}: wanted a text as label, and a split among {', '.join(SPLITS)}, got {told}")
    return Recording(keypoints, float(fps), int(width), int(height), **told, **more)


def keep_sound(items: Iterable, make: Callable) -> list[Recording | FormatError]:
    """Make a recording of each item; a faulty one is the error in its place. If all are faulty, raise the first."""
    found = []
    for item in items:
        try:
            found.append(make(item))
        except FormatError as error:
            found.append(error)
    if all(isinstance(one, FormatError) for one in found):
        raise found[0]
    return found


def own_told(said: Mapping) -> dict:
    """Return label and split as poseemo notes them; other programs may mean something else by these words."""
    label, split = said.get("label"), said.get("split")
    return {"label": label if isinstance(label, str) else None, "split": split if split in SPLITS else None}


def told_number(told: Mapping, key: str, where, most: int = 100_000) -> float | None:
    """Return a number that a file says, or None; FormatError if it is not 1 to `most`."""
    value = told.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or not 1 <= value <= most):
        got = f"{in_words(value)}; --set {key}=... replaces it"
        raise FormatError(f"{where}: {key}: wanted a number from 1 to {most}, got {got}")
    return value


def joint_index(name: str) -> int | None:
    """Return the number of the COCO keypoint that a name stands for, or None.

    `left_shoulder`, `LShoulder`, `shoulder_l` and `Left Shoulder` are one joint. A name counts only if it says a side
    and a body part and nothing else: `left_eye_inner` is not the eye, and `left_hand` is not the wrist.
    """
    words = [word.lower() for word in _WORD.findall(str(name).rpartition(":")[2])]
    if len(words) == 1 and (together := _RUN_TOGETHER.fullmatch(words[0])):
        words = [word for word in together.groups() if word]
    if words == ["nose"]:
        return JOINT["nose"]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    parts = [word for word in words if word in _PARTS]
    return JOINT[f"{sides[0]}_{parts[0]}"] if len(words) == 2 and len(sides) == len(parts) == 1 else None


def match_names(names: Sequence[str], where) -> dict[int, int]:
    """Find the COCO keypoints among the joints of a file: number of the keypoint -> place in `names`.

    FormatError if two names stand for one joint, a shoulder is missing, or there are fewer than five joints.
    """
    found: dict[int, int] = {}
    for place, name in enumerate(names):
        joint = joint_index(name)
        if joint in found:
            raise FormatError(f"{where}: wanted one {COCO_KEYPOINTS[joint]}, got {names[found[joint]]!r} and {name!r}")
        if joint is not None:
            found[joint] = place
    if len(found) < _FEWEST or not {JOINT["left_shoulder"], JOINT["right_shoulder"]} <= set(found):
        some = ", ".join(map(str, names[:8])) + (", ..." if len(names) > 8 else "")
        wanted = f"joints named like COCO's (left_shoulder, right_shoulder and at least {_FEWEST} in all)"
        raise FormatError(f"{where}: wanted {wanted}, got {len(found)} of 17 in {some or 'no names'}")
    return found


def pick_named(keypoints: np.ndarray, names: Sequence[str], where) -> np.ndarray:
    """Pick the COCO-17 keypoints (..., 17, 3), float32, from those of the joints in `names` (..., J, 3)."""
    found = match_names(names, where)
    out = np.zeros((*keypoints.shape[:-2], len(COCO_KEYPOINTS), 3))
    out[..., list(found), :] = keypoints[..., list(found.values()), :]
    return mark_unseen(out, where)
