"""BVH motion capture: hierarchy and motion -> joint positions -> COCO-17, seen by virtual cameras.

What a BVH file leaves open, and what is done here:

- Rotation channels multiply in the order in which the file lists them: ``Zrotation Xrotation Yrotation`` is
  R = Rz Rx Ry. A joint's translation is in its parent's frame, before its own rotation, wherever its position channels
  stand in the list.
- A position channel replaces that component of OFFSET (``positions="replace"``), as in the Bandai-Namco files, where
  every joint has six channels and most repeat OFFSET. ``positions="add"`` is for files that hold displacements.
- Unit, axes, the joints' names and the cameras: see :mod:`poseemo_lib.data.formats.joints3d`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from poseemo_lib.data.formats.joints3d import Joints, seen_by_cameras
from poseemo_lib.data.formats.shared import read_text
from poseemo_lib.errors import FormatError

_NUMBER = r"[^\s{}]+"
_TOKEN = re.compile(
    r"(?:ROOT|JOINT)[ \t]+(?P<joint>[^\n{}]+?)\s*\{"
    r"|(?P<site>End\s+Site)[^\n{}]*\s*\{"
    rf"|OFFSET\s+(?P<offset>{_NUMBER}\s+{_NUMBER}\s+{_NUMBER})(?=\s)"
    r"|CHANNELS\s+(?P<count>\d+)(?P<channels>(?:\s+[XYZ](?:position|rotation))*)(?=\s)"
    r"|(?P<close>\})",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\s*Frames\s*:\s*(?P<frames>\S+)\s+Frame\s+Time\s*:\s*(?P<time>\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Motion:
    """A parsed file: joints, parents before children, and the values of their channels.

    An End Site is a joint named after its parent, with ``_end``. A root's parent is -1. Lengths are in the file's unit,
    angles in degrees, `frame_time` in seconds.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray  # (J, 3)
    channels: tuple[tuple[str, ...], ...]  # of each joint, such as `xposition`, in lower case
    values: np.ndarray  # (T, sum of channels)
    frame_time: float


def parse_bvh(path) -> Motion:
    """Parse a BVH file; FormatError if it is not one, or is damaged or truncated."""
    text = read_text(path)
    if not text.lstrip().upper().startswith("HIERARCHY"):
        raise FormatError(f"{path}: not a BVH file: wanted HIERARCHY first, got {text.strip()[:20]!r}")
    parts = re.split(r"(?<=[}\s])MOTION(?=\s+Frames)", text.lstrip()[len("HIERARCHY") :], maxsplit=1, flags=re.I)
    header = _HEADER.match(parts[1]) if len(parts) == 2 else None
    if header is None:
        raise FormatError(f"{path}: truncated: wanted MOTION, Frames and Frame Time after the hierarchy, found none")
    names, parents, offsets, channels = _parse_hierarchy(parts[0], path)
    n_frames, frame_time = _numbers(header.groups(), "Frames and Frame Time", path)
    if n_frames < 1 or n_frames % 1 or frame_time <= 0:
        raise FormatError(f"{path}: wanted one frame or more and a frame time above 0, got {header[0].strip()!r}")
    values, n_channels = parts[1][header.end() :].split(), sum(map(len, channels))
    # Frames may be wrapped over lines: only the total must fit.
    if len(values) != n_frames * n_channels:
        wanted = f"{n_frames:g} frames of {n_channels} numbers, one for each channel"
        raise FormatError(f"{path}: truncated or damaged motion: wanted {wanted}, got {len(values)} numbers")
    values = _numbers(values, "motion", path).reshape(-1, n_channels)
    return Motion(names, parents, offsets, channels, values, float(frame_time))


def _numbers(texts: Sequence[str], what: str, path) -> np.ndarray:
    try:
        values = np.array(texts, dtype=np.float64)
        fault = None if (np.abs(values) < 1e9).all() else "a value that is not finite or above 1e9"
    except ValueError as error:
        fault = str(error)
    if fault:
        raise FormatError(f"{path}: {what}: wanted numbers, got {fault}")
    return values


def _parse_hierarchy(text: str, path):
    names, parents, offsets, channels, open_joints = [], [], [], [], []
    end = 0
    for token in _TOKEN.finditer(text):
        gap, end = text[end : token.start()].strip(), token.end()
        if gap or not (open_joints or token["joint"]):
            raise FormatError(f"{path}: damaged hierarchy: {gap[:40] or token[0]!r} is out of place")
        if token["joint"] or token["site"]:
            parents.append(open_joints[-1] if open_joints else -1)
            names.append(token["joint"] or f"{names[parents[-1]]}_end")
            open_joints.append(len(names) - 1)
            offsets.append(None)
            channels.append(())
        elif token["close"]:
            open_joints.pop()
        elif token["offset"]:
            name = names[open_joints[-1]]
            offsets[open_joints[-1]] = _numbers(token["offset"].split(), f"OFFSET of {name}", path)
        else:
            found, name = tuple(token["channels"].lower().split()), names[open_joints[-1]]
            if len(found) != int(token["count"]):
                raise FormatError(f"{path}: joint {name}: wanted {token['count']} channels, got {len(found)} names")
            channels[open_joints[-1]] = found
    if open_joints or not names or text[end:].strip():
        raise FormatError(f"{path}: damaged hierarchy: {len(open_joints)} joints are not closed by a brace")
    if lost := [name for name, offset in zip(names, offsets, strict=True) if offset is None]:
        raise FormatError(f"{path}: damaged hierarchy: joint {lost[0]} has no OFFSET")
    return tuple(names), tuple(parents), np.array(offsets), tuple(channels)


def joint_positions(motion: Motion, positions: str = "replace") -> np.ndarray:
    """Compute where every joint is in every frame (T, J, 3), in the file's unit and axes, by forward kinematics.

    `positions` says whether a position channel replaces that component of the joint's OFFSET or is added to it.
    """
    from scipy.spatial.transform import Rotation

    n_frames = len(motion.values)
    where = np.empty((n_frames, len(motion.names), 3))
    turned = []  # J rotations of T frames each, from a joint's frame to the world
    first = 0
    for j, (parent, channels) in enumerate(zip(motion.parents, motion.channels, strict=True)):
        values = motion.values[:, first : first + len(channels)]
        first += len(channels)
        step = np.tile(motion.offsets[j], (n_frames, 1))
        for c, channel in enumerate(channels):
            if channel.endswith("position"):
                axis = "xyz".index(channel[0])
                step[:, axis] = values[:, c] + (step[:, axis] if positions == "add" else 0)
        angles = [c for c, channel in enumerate(channels) if channel.endswith("rotation")]
        order = "".join(channels[c][0] for c in angles).upper()  # upper case: about the turned axes
        turn = Rotation.from_euler(order, values[:, angles], degrees=True) if angles else Rotation.identity(n_frames)
        if parent >= 0:
            step, turn = where[:, parent] + turned[parent].apply(step), turned[parent] * turn
        where[:, j] = step
        turned.append(turn)
    return where


@seen_by_cameras
def read(path, *, positions: Literal["replace", "add"] = "replace") -> list[Joints]:
    """Read a BVH file as virtual cameras see it; for `positions` see :func:`joint_positions`."""
    motion = parse_bvh(path)
    # Frame times are rounded in the files: 0.0333333 is 30 fps.
    return [Joints(motion.names, joint_positions(motion, positions), round(1 / motion.frame_time, 2))]
