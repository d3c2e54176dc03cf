"""BVH motion capture: hierarchy and motion -> joint positions -> COCO-17, seen by virtual cameras.

What a BVH file leaves open, and what is done here:

- Rotation channels multiply in the order in which the file lists them: ``Zrotation Xrotation Yrotation`` is
  R = Rz Rx Ry. A joint's translation happens in its parent's frame, before its own rotation, wherever its position
  channels stand in the list.
- A position channel replaces that component of OFFSET (``positions="replace"``). So write the Bandai-Namco files,
  where every joint has six channels and all but the root's and the hips' repeat OFFSET to within 1e-5, and so write
  exporters whose root has the OFFSET of its first frame. ``positions="add"`` is for files that hold displacements.
- There is no unit. Cameras stand relative to the size of the body, so none is needed.
- The vertical axis is y by convention, and z in some files; see :func:`poseemo_lib.data.formats.cameras.to_y_up`.

The nose is the joint at the base of the skull (``Head``), as a stand-in: such skeletons have none. Eyes and ears are
missing.
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
from poseemo_lib.errors import FormatError, UsageError
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
# Larger numbers are damage, and would overflow further on.
_LARGEST = 1e9

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
    """Parse a BVH file; FormatError where it is not one, or is damaged or truncated."""
    text = read_text(path)
    if not text.lstrip().upper().startswith("HIERARCHY"):
        raise FormatError(f"{path}: not a BVH file: wanted HIERARCHY first, got {text.strip()[:20]!r}")
    parts = re.split(r"(?<=[}\s])MOTION(?=\s+Frames)", text.lstrip()[len("HIERARCHY") :], maxsplit=1, flags=re.I)
    header = _HEADER.match(parts[1]) if len(parts) == 2 else None
    if header is None:
        raise FormatError(f"{path}: truncated: wanted MOTION, Frames and Frame Time after the hierarchy, found none")
    names, parents, offsets, channels = _parse_hierarchy(parts[0], path)
    n_frames, frame_time = (_number(header[key], key, path) for key in ("frames", "time"))
    if n_frames < 1 or n_frames % 1 or frame_time <= 0:
        raise FormatError(
            f"{path}: wanted one frame or more and a frame time above 0, got Frames {header['frames']} and "
            f"Frame Time {header['time']}"
        )
    values = _parse_values(parts[1][header.end() :], int(n_frames), sum(map(len, channels)), path)
    return Motion(names, parents, offsets, channels, values, frame_time)


def _number(text: str, what: str, path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) < _LARGEST:
        raise FormatError(f"{path}: {what}: wanted a number, got {text!r}")
    return value


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
            offsets[open_joints[-1]] = [_number(n, f"OFFSET of {name}", path) for n in token["offset"].split()]
        else:
            channels[open_joints[-1]] = _check_channels(token, names[open_joints[-1]], path)
    if open_joints or not names or text[end:].strip():
        raise FormatError(f"{path}: damaged hierarchy: {len(open_joints)} joints are not closed by a brace")
    if None in offsets:
        raise FormatError(f"{path}: damaged hierarchy: joint {names[offsets.index(None)]} has no OFFSET")
    return tuple(names), tuple(parents), np.array(offsets), tuple(channels)


def _check_channels(token: re.Match, name: str, path) -> tuple[str, ...]:
    channels = tuple(token["channels"].lower().split())
    if len(channels) != int(token["count"]):
        raise FormatError(f"{path}: joint {name}: wanted {token['count']} channels, got {len(channels)} names")
    if len(set(channels)) != len(channels):
        raise FormatError(f"{path}: joint {name}: wanted each channel once, got {' '.join(channels)}")
    return channels


def _parse_values(text: str, n_frames: int, n_channels: int, path) -> np.ndarray:
    numbers = text.split()
    # Frames may be wrapped over lines: only the total must fit.
    if len(numbers) != n_frames * n_channels:
        raise FormatError(f"{path}: {_count_fault(text, n_frames, n_channels)}")
    try:
        values = np.array(numbers, dtype=np.float64).reshape(n_frames, n_channels)
        fault = None if (np.abs(values) < _LARGEST).all() else "a value that is not finite or above 1e9"
    except ValueError as error:
        fault = str(error)
    if fault:
        raise FormatError(f"{path}: motion: wanted numbers, got {fault}")
    return values


def _count_fault(text: str, n_frames: int, n_channels: int) -> str:
    counts = [len(line.split()) for line in text.splitlines() if line.strip()]
    odd = next((i for i, count in enumerate(counts) if count != n_channels), None)
    lines = f"wanted {n_frames} frames of {n_channels} numbers, one for each channel, got {len(counts)} lines"
    if len(counts) < n_frames:
        lines = f"truncated motion: {lines}"
    return lines if odd is None else f"{lines}, of which number {odd + 1} has {counts[odd]} numbers"


def joint_positions(motion: Motion, positions: str = "replace") -> np.ndarray:
    """Forward kinematics: where every joint is in every frame.

    Parameters
    ----------
    motion : Motion
    positions : {"replace", "add"}
        Whether a position channel replaces that component of the joint's OFFSET or is added to it.

    Returns
    -------
    array (T, J, 3)
        In the file's unit and axes.
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
    """COCO keypoint -> index of its joint in the file, for those that are there."""
    index: dict[str, int] = {}
    for i, name in enumerate(names):
        index.setdefault(_PREFIX.sub("", name.strip().lower()), i)
    hits = {key: [index[name] for c in candidates if (name := _PREFIX.sub("", c.strip().lower())) in index]
            for key, candidates in preset.items()}  # fmt: skip
    return {key: found[0] for key, found in hits.items() if found}


def map_joints(names: Sequence[str], joint_map: str | Mapping[str, str | Sequence[str]] = "auto") -> dict[str, int]:
    """Find the COCO-17 keypoints among a file's joints: keypoint -> index into `names`.

    Parameters
    ----------
    names : sequence of str
        The file's joints.
    joint_map : str or mapping
        A key of :data:`poseemo_lib.skeleton.MOCAP_JOINTS`; ``auto`` for the one that finds the most; or COCO keypoint
        -> joint name(s), which may leave keypoints out.

    Raises
    ------
    FormatError
        A keypoint of the map is not in the file.
    UsageError
        There is no such preset, or a key of the mapping is not a COCO keypoint.
    """
    maps = _joint_maps(joint_map)
    name, found = max(((key, _look_up(names, preset)) for key, preset in maps.items()), key=lambda item: len(item[1]))
    lost = [f"{key} ({' or '.join(maps[name][key])})" for key in maps[name] if key not in found]
    if lost:
        own = ", ".join(joint for joint in names if not joint.endswith("_end"))
        raise FormatError(f"joint map {name!r}: no joint for {', '.join(lost)}; the file's joints are {own}")
    return found


def _joint_maps(joint_map: str | Mapping) -> dict[str, Mapping[str, Sequence[str]]]:
    """Return the maps to try by name, or raise :class:`UsageError`; see :func:`map_joints`."""
    if isinstance(joint_map, str):
        if joint_map not in ("auto", *MOCAP_JOINTS):
            raise UsageError(f"joint map: wanted auto, {', '.join(MOCAP_JOINTS)} or a mapping, got {joint_map!r}")
        return MOCAP_JOINTS if joint_map == "auto" else {joint_map: MOCAP_JOINTS[joint_map]}
    unknown = [key for key in joint_map if key not in JOINT]
    if unknown or not joint_map:
        raise UsageError(
            f"joint map: wanted keys among {', '.join(COCO_KEYPOINTS)}, got {', '.join(unknown) or 'none'}"
        )
    return {"own": {key: [value] if isinstance(value, str) else value for key, value in joint_map.items()}}


def _all_within(low: float, high: float):
    one = Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]
    return one | Annotated[Sequence[one], Field(min_length=1)]


@with_options
def read(
    path,
    *,
    joint_map: str | Mapping[str, str | Sequence[str]] = "auto",
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

    Parameters
    ----------
    path : str or Path
    joint_map : str or mapping
        See :func:`map_joints`.
    positions : {"replace", "add"}
        See :func:`joint_positions`.
    up : {"auto", "x", "y", "z", "-x", "-y", "-z"}
        See :func:`poseemo_lib.data.formats.cameras.to_y_up`.
    views, heights, fovs, jitter, width, height, follow
        See :func:`poseemo_lib.data.formats.cameras.place_cameras`.
    seed : int
        The cameras follow from the seed and the file's name alone.
    """
    _joint_maps(joint_map)
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
