"""Named 3D joints -> COCO-17 -> what virtual cameras see; BVH files come this way too.

Files:

- `.csv` with columns ``Joint.x``, ``Joint.y``, ``Joint.z``, as in Hanyang's Emotional Body Motion (EBM); other columns
  are not used, except that ``Frame``, if there is one, must count up by one;
- `.npz` with one array (T, K, 3) or (T, K * 3), the joints' ``names`` and, where known, ``fps``; `.npy`;
- `.h5` with such an array for each recording, as in Emotion-Gait.

Where the file has no names, the option `joints` gives them. A joint at exactly 0, 0, 0 was not seen.

Files say neither unit nor axes. No unit is needed, since cameras stand relative to the size of the body; it is guessed
from the limbs only to be told. Up is where the head is. Axes are taken to be left-handed where knees would bend
backwards and elbows forwards otherwise. The head stands in for the nose; eyes and ears are missing.

The cameras follow from the seed and the movement, not from the file's name: the same motion under two names is seen
from the same places, so the leakage audit finds it.
"""

import functools
import inspect
import io
import json
import re
import shlex
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from poseemo_lib.data.formats import Recording, options_of, shared
from poseemo_lib.data.formats.cameras import place_cameras, project, to_y_up
from poseemo_lib.data.formats.npz import load_arrays, told_value
from poseemo_lib.errors import FormatError, extra
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES, MOCAP_JOINTS
from poseemo_lib.text import first_line

MANY = (".h5",)
_EMOTION_GAIT = (
    "root spine neck head left_shoulder left_elbow left_hand right_shoulder right_elbow right_hand left_hip left_knee "
    "left_foot right_hip right_knee right_foot"
)
_ORDERS = JOINT_NAMES | {"emotion_gait": tuple(_EMOTION_GAIT.split())}
_COLUMN = re.compile(r"\s*(.+)[._ ]([xyz])\s*", re.IGNORECASE)
_PREFIX = re.compile(r"(.*:)?(mixamorig\d*_?|(valvebiped\.)?bip\d+|j_bip_(c_)?|def-|org-|character\d+_)?")
# The mean of an adult's upper arm, forearm, thigh and shin is about 0.35 m (Winter 2009, fig. 4.1).
_LIMB = 0.35
_UNITS = {"metres": 1, "inches": 39.37, "centimetres": 100, "millimetres": 1000}
# Limbs that are bent by less, in limb lengths, do not say which way they bend.
_BENT = 0.02
_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
_JointMap = dict[Literal[COCO_KEYPOINTS], str | list[str]]


@dataclass(frozen=True)
class Joints:
    """The joints of a recording by name, in the file's unit and axes."""

    names: Sequence[str]
    places: np.ndarray  # (T, J, 3); NaN: not seen
    fps: float
    name: str | None = None  # of the recording, if a file holds several
    note: str = ""


def map_joints(names: Sequence[str], joint_map: str | Mapping[str, str | Sequence[str]] = "auto") -> dict[str, int]:
    """Find the COCO-17 keypoints among a file's joints: keypoint -> index into `names`.

    `joint_map` is a key of :data:`poseemo_lib.skeleton.MOCAP_JOINTS`; ``auto`` for the one that finds the most; or
    COCO keypoint -> joint name(s), which may leave keypoints out. Case, spaces, signs and a rig's prefix do not matter.

    Raises
    ------
    FormatError
        A keypoint of the map is not in the file.
    """
    numbered = list(enumerate(names))[::-1]  # of two joints of one name the first counts
    places = {_plain(name): i for i, name in numbered} | {name: i for i, name in numbered}

    def find(wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
        hits = {key: [places[s] for n in spelt for s in (n, _plain(n)) if s in places] for key, spelt in wanted.items()}
        return {key: some[0] for key, some in hits.items() if some}

    nearest = max(MOCAP_JOINTS, key=lambda rig: len(find(MOCAP_JOINTS[rig])))
    if isinstance(joint_map, str):
        wanted = MOCAP_JOINTS[nearest if joint_map == "auto" else joint_map]
    else:
        wanted = {key: [value] if isinstance(value, str) else value for key, value in joint_map.items()}
    found = find(wanted)
    if lost := [f"{key} ({wanted[key][0]})" for key in wanted if key not in found]:
        known = {key: names[i] for key, i in find(MOCAP_JOINTS[nearest]).items()}
        given = json.dumps(known or dict.fromkeys(wanted, "?"), ensure_ascii=False)
        raise FormatError(
            f"no joint for {', '.join(lost)}; nearest preset {nearest}, {len(known)} of {len(MOCAP_JOINTS[nearest])}; "
            f"give --set {shlex.quote('joint_map=' + given)}, in which joints may be added or left out; "
            f"the file's joints are {', '.join(name for name in names if not name.endswith('_end'))}"
        )
    return found


def _plain(name: str) -> str:
    """`Bip01 L UpperArm`, `l_upperarm` and `LUpperArm` are one name."""
    return re.sub(r"[\W_]+", "", _PREFIX.sub("", name.strip().lower(), count=1))


def _range_within(low: float, high: float):
    end = Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]
    return tuple[end, end]


def see(
    joints: Joints,
    *,
    joint_map: Literal["auto", *MOCAP_JOINTS] | Annotated[_JointMap, Field(min_length=1)] = "auto",
    up: Literal["auto", "x", "y", "z", "-x", "-y", "-z"] = "auto",
    handed: Literal["auto", "right", "left"] = "auto",
    views: Annotated[int, Field(ge=1)] = 8,
    heights: _range_within(0, 100) = (0.5, 1.1),
    fovs: _range_within(1, 150) = (30.0, 60.0),
    jitter: Annotated[float, Field(ge=0, le=180)] = 10.0,
    width: Annotated[int, Field(ge=1)] = 1280,
    height: Annotated[int, Field(ge=1)] = 720,
    follow: bool = False,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> list[Recording]:
    """See joints with virtual cameras: a recording of one person for each view, ``@view0``, ``@view1``, ...

    For `joint_map` see :func:`map_joints`; for `up` and the cameras,
    :func:`~poseemo_lib.data.formats.cameras.to_y_up` and :func:`~poseemo_lib.data.formats.cameras.place_cameras`.
    `handed`: the file's axes are right-handed or left-handed; taken for the other, people are mirrored.
    """
    index = map_joints(joints.names, joint_map)
    points = np.full((len(joints.places), len(COCO_KEYPOINTS), 3), np.nan)
    points[:, [JOINT[key] for key in index]] = joints.places[:, list(index.values())]
    if np.isnan(points).all():
        raise FormatError("wanted a body in at least one frame, got none")
    points = to_y_up(points, up)
    bent = _bent(points)
    if handed == "left" or (handed == "auto" and bent < -_BENT):
        points, bent, handed = points * (-1, 1, 1), -bent, "left"
    axes = "left-handed" if handed == "left" else "right-handed"
    notes = [f"unit guessed from limb lengths: {_unit(points)}", f"{axes} axes", joints.note]
    if bent < -_BENT:
        notes.append("knees or elbows bend the wrong way: see the option handed")
    told = {"name": joints.name, "note": "; ".join(filter(None, notes))}
    rng = np.random.default_rng([seed, _motion_number(points)])
    lens = {"width": width, "height": height, "follow": follow}
    cameras = place_cameras(points, views=views, heights=heights, fovs=fovs, jitter=jitter, rng=rng, **lens)
    return [
        Recording(project(points, camera)[:, None], joints.fps, width, height, f"@view{view}", **told)
        for view, camera in enumerate(cameras)
    ]


def _limbs(points: np.ndarray) -> np.ndarray:
    """Pick the three joints of both arms and both legs: (4, T, 3 joints, 3)."""
    names = [[f"{side}_{part}" for part in limb] for limb, side in product((_ARM, _LEG), ("left", "right"))]
    return np.stack([points[:, [JOINT[name] for name in limb]] for limb in names])


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else np.nan


def _unit(points: np.ndarray) -> str:
    limb = _mean(np.linalg.norm(np.diff(_limbs(points), axis=2), axis=-1))
    return next((unit for unit, size in _UNITS.items() if 1 / 1.6 < limb / size / _LIMB < 1.6), "none that fits")


def _bent(points: np.ndarray) -> float:
    """Measure by how many limb lengths elbows point backwards and knees forwards; below 0: space is mirrored."""
    hips = points[:, [JOINT["left_hip"], JOINT["right_hip"]]]
    forward = np.cross(hips[:, 0] - hips[:, 1], points[:, JOINT["nose"]] - hips.mean(1))
    first, middle, last = np.moveaxis(_limbs(points), 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        bent = ((middle - (first + last) / 2) * forward).sum(-1)
        bent /= np.linalg.norm(forward, axis=-1) * np.linalg.norm(last - first, axis=-1)
    return _mean(np.array([-_mean(bent[:2]), _mean(bent[2:])]))


def _motion_number(points: np.ndarray) -> int:
    """Return a number for a movement; so coarse that rounding, unit and place in space hardly ever change it."""
    points = points[:, np.isfinite(points).any((0, 2))]
    size = np.sqrt(np.nanvar(points, (0, 1)).sum()) or 1.0
    shape, movement = np.nanstd(points, (0, 1)), np.nanstd(points, 0).mean(0)
    return zlib.crc32(np.round(200 * np.concatenate([shape, movement]) / size).astype("<i4").tobytes())


def seen_by_cameras(load: Callable) -> Callable:
    """Make a format's ``read`` of what loads the :class:`Joints` of a file; it has the options of :func:`see` too."""
    own = options_of(load)

    @functools.wraps(load)
    def read(path, **options) -> list[Recording | FormatError]:
        loaded = load(path, **{key: options.pop(key) for key in own.keys() & options.keys()})

        def views(joints: Joints) -> list[Recording]:
            try:
                return see(joints, **options)
            except FormatError as error:
                raise FormatError(f"{path}: {f'{joints.name}: ' if joints.name else ''}{error}") from None

        found = shared.keep_sound(loaded, views)
        return [one for some in found for one in (some if isinstance(some, list) else [some])]

    first, *rest = inspect.signature(load).parameters.values()
    options = [p for p in inspect.signature(see).parameters.values() if p.kind is p.KEYWORD_ONLY]
    read.__signature__ = inspect.Signature([first, *rest, *options])
    return shared.with_options(read)


@seen_by_cameras
def read(
    path, *, joints: Literal[tuple(_ORDERS)] | Annotated[list[str], Field(min_length=1)] | None = None,
    fps: shared.Fps = None,
) -> list[Joints]:  # fmt: skip
    """Read a file of 3D joints as virtual cameras see them.

    `joints` replaces the file's names: the joints in order, or a key of :data:`poseemo_lib.skeleton.JOINT_NAMES`, or
    ``emotion_gait``. `fps` replaces the file's rate; without either it is 30.
    """
    ending = Path(path).suffix.lower()
    own, told = None, {}
    if ending == ".csv":
        own, array = _read_csv(path)
        arrays = {None: array}
    elif ending == ".h5":
        arrays = _read_h5(path)
    else:
        arrays = load_arrays(path)
        told["fps"] = told_value(arrays, "fps")
        own = arrays.pop("names").astype(str).ravel().tolist() if "names" in arrays else None
        arrays = {None: _only(arrays, path)}
    names = _ORDERS[joints] if isinstance(joints, str) else joints or own
    if names is None:
        raise FormatError(f"{path}: holds no names of joints: give --set joints=ORDER ({', '.join(_ORDERS)}) or a list")
    rate = fps or shared.told_number(told, "fps", path, most=1000)
    note = "" if rate else "30 frames a second, since the files do not say"
    return [Joints(names, _places(array, names, path), rate or 30.0, name, note) for name, array in arrays.items()]


def _fits(array: np.ndarray) -> bool:
    return array.dtype.kind in "fiu" and array.size > 0 and array.ndim in (2, 3) and array.shape[-1] % 3 == 0


def _only(arrays: dict[str, np.ndarray], path) -> np.ndarray:
    """Return the one array of positions."""
    fitting = [array for array in arrays.values() if _fits(array)]
    if len(fitting) != 1:
        got = ", ".join(f"{name or 'an array'} {array.shape} {array.dtype}" for name, array in arrays.items())
        raise FormatError(
            f"{path}: wanted one array (frames, joints, 3), got {len(fitting)} such in {got or 'no arrays'}"
        )
    return fitting[0]


def _places(array: np.ndarray, names: Sequence[str], path) -> np.ndarray:
    """Return positions (T, J, 3) with what was not seen as NaN."""
    if array[0].size != 3 * len(names):
        raise FormatError(f"{path}: wanted x, y and z of {len(names)} joints a frame, got {array[0].size} numbers")
    places = array.reshape(len(array), -1, 3).astype(np.float64)
    if (np.abs(places[np.isfinite(places)]) > 1e9).any():
        raise FormatError(f"{path}: wanted positions, got numbers above 1e9")
    places[(places == 0).all(-1) | ~np.isfinite(places).all(-1)] = np.nan
    return places


def _read_csv(path) -> tuple[list[str], np.ndarray]:
    try:
        table = pd.read_csv(io.StringIO(shared.read_text(path)), skipinitialspace=True, low_memory=False)
    except ValueError as error:
        raise FormatError(f"{path}: not a sound CSV file: {first_line(error)}") from None
    axes: dict[str, dict[str, str]] = {}
    for match in filter(None, map(_COLUMN.fullmatch, table.columns)):
        axes.setdefault(match[1], {})[match[2].lower()] = match[0]
    if not axes or table.empty:
        got = ", ".join(table.columns[:8])
        raise FormatError(f"{path}: wanted rows of columns such as Head.x, Head.y, Head.z, got {len(table)} of {got}")
    if lost := [joint for joint, ours in axes.items() if len(ours) < 3]:
        raise FormatError(f"{path}: wanted x, y and z of {lost[0][:40]}, got {', '.join(axes[lost[0]])}")
    used = [axes[joint][axis] for joint in axes for axis in "xyz"]
    if words := [column for column in used if table[column].dtype.kind not in "fiu"]:
        raise FormatError(f"{path}: column {words[0]}: wanted numbers, got {table[words[0]].dtype}")
    if "Frame" in table and not (table["Frame"].diff()[1:] == 1).all():
        raise FormatError(f"{path}: column Frame: wanted numbers that count up by one, since rows are frames")
    return list(axes), table[used].to_numpy(np.float64)


def _read_h5(path) -> dict[str, np.ndarray]:
    """Return the arrays of positions by their names."""
    with extra("h5py", "formats"):
        import h5py
    found = {}

    def keep(name, item) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and item.nbytes <= shared.LARGEST:
            found[name] = item[()]

    try:
        with h5py.File(path) as file:
            file.visititems(keep)
    except Exception as error:  # a damaged file fails in any part of HDF5
        raise FormatError(f"{path}: not a sound HDF5 file: {first_line(error)}") from None
    arrays = {name: array for name, array in found.items() if _fits(array)}
    if not arrays:
        raise FormatError(f"{path}: wanted arrays (frames, 3 numbers a joint), got none of them in {', '.join(found)}")
    return arrays
