"""Joints by name: the words of many tools -> COCO-17.

`left_shoulder`, `LShoulder`, `shoulder_l`, `Left Shoulder` and `LEFT_SHOULDER` are one joint. A name counts only where
it says a side and a body part and nothing else: `left_eye_inner` is not the eye, and `left_hand` is not the wrist.
"""

import re
from collections.abc import Sequence

import numpy as np

from poseemo_lib.clips import mark_missing
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_PARTS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_RUN_TOGETHER = re.compile(rf"(left|right|l|r)({'|'.join(_PARTS)})|({'|'.join(_PARTS)})(left|right|l|r)")
# Fewer are not a person's body, such as the nose, ears and tail of a mouse.
_FEWEST = 5


def joint_index(name: str) -> int | None:
    """Return the number of the COCO keypoint that a name stands for, in any case and order of its words, or None."""
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

    FormatError where two names stand for one joint, or both shoulders and five joints in all are not there.
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
    out = np.zeros((*keypoints.shape[:-2], len(COCO_KEYPOINTS), 3), np.float32)
    out[..., list(found), :] = keypoints[..., list(found.values()), :]
    return mark_missing(out)
