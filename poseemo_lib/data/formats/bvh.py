"""BVH motion capture: hierarchy and motion -> joint positions -> COCO-17, seen by virtual cameras.

What a BVH file leaves open, and what is done here:

- Rotation channels multiply in the order in which the file lists them: ``Zrotation Xrotation Yrotation`` is
  R = Rz Rx Ry. A joint's translation is in its parent's frame, before its own rotation, wherever its position channels
  stand in the list.
- A position channel replaces that component of OFFSET (``positions="replace"``), as in the Bandai-Namco files, where
  every joint has six channels and most repeat OFFSET. ``positions="add"`` is for files that hold displacements.
- There is no unit. None is needed: cameras stand relative to the size of the body.
- The vertical axis is y by convention, and z in some files; see :func:`poseemo_lib.data.formats.cameras.to_y_up`.

The joint at the base of the skull (``Head``) stands in for the nose. Eyes and ears are missing.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from poseemo_lib.data.formats import Recording
from poseemo_lib.data.formats.cameras import place_cameras, project, to_y_up
from poseemo_lib.data.formats.shared import read_text, with_options
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, MOCAP_JOINTS

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
_PREFIX = re.compile(r"^(?:.*:|mixamorig\d*_?)")


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


def _look_up(names: Sequence[str], preset: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return COCO keypoint -> index of its joint in the file, for the joints that the file has."""
    index: dict[str, int] = {}
    for i, name in enumerate(names):
        index.setdefault(_PREFIX.sub("", name.strip().lower()), i)
    hits = {key: [index[name] for c in candidates if (name := _PREFIX.sub("", c.strip().lower())) in index]
            for key, candidates in preset.items()}  # fmt: skip
    return {key: found[0] for key, found in hits.items() if found}


def map_joints(names: Sequence[str], joint_map: str | Mapping[str, str | Sequence[str]] = "auto") -> dict[str, int]:
    """Find the COCO-17 keypoints among a file's joints: keypoint -> index into `names`.

    `joint_map` is a key of :data:`poseemo_lib.skeleton.MOCAP_JOINTS`; ``auto`` for the one that finds the most; or
    COCO keypoint -> joint name(s), which may leave keypoints out.

    Raises
    ------
    FormatError
        A keypoint of the map is not in the file.
    """
    if isinstance(joint_map, str):
        maps = MOCAP_JOINTS if joint_map == "auto" else {joint_map: MOCAP_JOINTS[joint_map]}
    else:
        maps = {"own": {key: [value] if isinstance(value, str) else value for key, value in joint_map.items()}}
    name, found = max(((key, _look_up(names, preset)) for key, preset in maps.items()), key=lambda item: len(item[1]))
    lost = [f"{key} ({' or '.join(maps[name][key])})" for key in maps[name] if key not in found]
    if lost:
        own = ", ".join(joint for joint in names if not joint.endswith("_end"))
        raise FormatError(f"joint map {name!r}: no joint for {', '.join(lost)}; the file's joints are {own}")
    return found


_JointMap = dict[Literal[COCO_KEYPOINTS], str | list[str]]


def _all_within(low: float, high: float):
    one = Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]
    return one | Annotated[Sequence[one], Field(min_length=1)]


@with_options
def read(
    path,
    *,
    joint_map: Literal["auto", *MOCAP_JOINTS] | Annotated[_JointMap, Field(min_length=1)] = "auto",
    positions: Literal["replace", "add"] = "replace",
    up: Literal["auto", "x", "y", "z", "-x", "-y", "-z"] = "auto",
    views: Annotated[int, Field(ge=1)] = 8,
    heights: _all_within(0, 100) = (0.5, 1.1),
    fovs: _all_within(1, 150) = (30.0, 60.0),
    jitter: Annotated[float, Field(ge=0, le=180)] = 10.0,
    width: Annotated[int, Field(ge=1)] = 1280,
    height: Annotated[int, Field(ge=1)] = 720,
    follow: bool = False,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> list[Recording]:
    """Read a BVH file as seen by virtual cameras: a recording of one person for each view, ``@view0``, ``@view1``, ...

    For `joint_map` see :func:`map_joints`, for `positions` :func:`joint_positions`, for `up`
    :func:`~poseemo_lib.data.formats.cameras.to_y_up`, and for the cameras, which follow from the seed and the file's
    name alone, :func:`~poseemo_lib.data.formats.cameras.place_cameras`.
    """
    motion = parse_bvh(path)
    try:
        joints = map_joints(motion.names, joint_map)
        points = np.full((len(motion.values), len(COCO_KEYPOINTS), 3), np.nan)
        points[:, [JOINT[key] for key in joints]] = joint_positions(motion, positions)[:, list(joints.values())]
        points = to_y_up(points, up)
        rng = np.random.default_rng([seed, zlib.crc32(Path(path).stem.encode())])
        lens = {"width": width, "height": height, "follow": follow}
        cameras = place_cameras(points, views=views, heights=heights, fovs=fovs, jitter=jitter, rng=rng, **lens)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    # Frame times are rounded in the files: 0.0333333 is 30 fps.
    fps = round(1 / motion.frame_time, 2)
    return [
        Recording(project(points, camera)[:, None], fps, width, height, f"@view{view}")
        for view, camera in enumerate(cameras)
    ]
