"""The netCDF files of `movement`, a toolbox for tracks of animals: poses, joints by name, individuals as people.

Variables ``position`` (time, space, keypoints, individuals) and ``confidence``, in any order of the dimensions and with
their names in the singular too (from movement 0.17 on). Where confidence is NaN throughout, as movement writes what it
does not know, a joint that has a place has confidence 1. 3D poses and boxes are refused.

Written: the same with the dimensions of movement 0.15, and `width`, `height`, `tracked`, `label` and `split` as
attributes, which movement keeps and does not use: to it, individuals are tracked.

Source: `movement.validators.datasets.ValidPosesInputs` of movement 0.15 (BSD-3-Clause), which is not needed; xarray
(Apache-2.0) and h5netcdf (BSD-3-Clause) are.
"""

import numpy as np

from poseemo_lib.data.formats import Recording, shared
from poseemo_lib.errors import FormatError, extra
from poseemo_lib.skeleton import COCO_KEYPOINTS
from poseemo_lib.text import first_line

SUFFIX = ".nc"
LOST = ""
_DIMENSIONS = ("time", "space", "keypoints", "individuals")
_SINGULAR = {"keypoint": "keypoints", "individual": "individuals"}
_MOST_SPREAD = 100  # frames for each one given: more are a sign that the times are not times


@shared.with_options
def read(path, *, fps: shared.Fps = None, width: shared.Side = None, height: shared.Side = None) -> list[Recording]:
    """Read one file: a list of one recording. Times that are left out are frames in which nobody was seen.

    `fps` is used only where the file does not say it, since the file's times follow from its rate; `width` and
    `height` replace the file's, which only poseemo writes.
    """
    dataset = _load(path)
    told = {key: _number(dataset.attrs.get(key)) for key in ("fps", "width", "height")}
    told |= shared.own_told(dataset.attrs)
    fps = told["fps"] or fps or 25.0
    values = np.concatenate([_values(dataset, "position"), _confidence(dataset, path)], -1)
    poses = shared.pick_named(values, [str(name) for name in dataset["keypoints"].values], path)
    keypoints = _in_time(poses, dataset, fps, path)
    tracked = not np.array_equal(dataset.attrs.get("tracked", 1), 0)
    return [shared.make_recording(keypoints, path, fps, width, height, told, tracked=tracked)]


def _load(path):
    """Return the loaded dataset with the dimensions' names in the plural."""
    with extra("xarray and h5netcdf", "formats"):
        import h5netcdf  # noqa: F401
        import h5py
        import xarray
    try:
        with h5py.File(path) as file:  # with some damaged attributes h5netcdf never ends
            for each in (file, *file.values()):
                dict(each.attrs)
        with xarray.open_dataset(path, engine="h5netcdf", decode_times=False) as dataset:
            dataset = dataset.rename({old: new for old, new in _SINGULAR.items() if old in dataset.dims})
            _check(dataset, path)
            if dataset.nbytes > shared.LARGEST:
                raise FormatError(f"{path}: wanted poses of at most {shared.LARGEST} bytes, got {dataset.nbytes}")
            return dataset.load()
    except FormatError:
        raise
    except OSError as error:
        raise FormatError(f"{path}: cannot be read as netCDF: {first_line(error)}") from None
    except Exception as error:  # a damaged file fails in any part of HDF5 and xarray
        raise FormatError(f"{path}: not a sound netCDF file: {first_line(error)}") from None


def _check(dataset, path) -> None:
    dims = dataset["position"].dims if "position" in dataset else ("none",)
    if set(dims) != set(_DIMENSIONS) or 0 in dataset["position"].shape:
        got = ", ".join(map(str, dims))
        raise FormatError(f"{path}: wanted movement's poses, position ({', '.join(_DIMENSIONS)}), got {got}")
    space = [str(axis) for axis in dataset["space"].values]
    if space != ["x", "y"]:
        raise FormatError(f"{path}: wanted positions x, y in a picture, got {', '.join(space)}")
    kinds = [dataset[name].dtype for name in ("position", "time")]
    if any(kind.kind not in "fiu" for kind in kinds):
        raise FormatError(f"{path}: wanted numbers for position and time, got {kinds[0]} and {kinds[1]}")


def _values(dataset, name: str) -> np.ndarray:
    """Return a variable as (T, P, J, 2), or (T, P, J, 1) where it has no space."""
    order = [dim for dim in ("time", "individuals", "keypoints", "space") if dim in dataset[name].dims]
    array = dataset[name].transpose(*order).values
    return array if "space" in order else array[..., None]


def _confidence(dataset, path) -> np.ndarray:
    shape = (*(dataset.sizes[dim] for dim in ("time", "individuals", "keypoints")), 1)
    found = _values(dataset, "confidence") if "confidence" in dataset else np.full(shape, np.nan)
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise FormatError(f"{path}: confidence: wanted numbers {shape[:3]}, got {found.dtype} {found.shape[:3]}")
    return np.ones(shape) if np.isnan(found).all() else found


def _in_time(keypoints: np.ndarray, dataset, rate: float, path) -> np.ndarray:
    """Put frames where their times say; frames that were left out are missing."""
    times = np.asarray(dataset["time"].values, np.float64)
    scale = 1.0 if dataset.attrs.get("time_unit") == "frames" else rate
    with np.errstate(invalid="ignore", over="ignore"):
        index = np.round((times - times[0]) * scale)
    if not np.isfinite(index).all() or (np.diff(index) < 1).any() or index[-1] + 1 > _MOST_SPREAD * len(index):
        got = f"{len(index)} times over {times[-1] - times[0]:g} at {rate:g} frames per second"
        raise FormatError(f"{path}: wanted times that rise by a frame or more, got {got}")
    out = np.full((int(index[-1]) + 1, *keypoints.shape[1:]), [np.nan, np.nan, 0], np.float32)
    out[index.astype(int)] = keypoints
    return out


def _number(value) -> float | None:
    """Return an attribute that is a number of 1 or more, or None."""
    try:
        return float(value) if float(value) >= 1 else None
    except (TypeError, ValueError):
        return None


def write(recordings: list[Recording], path) -> None:
    """Write one recording into a `.nc` file."""
    with extra("xarray and h5netcdf", "formats"):
        import h5netcdf  # noqa: F401
        import xarray
    [recording] = recordings
    keypoints = recording.keypoints.astype(np.float32)
    count, people = keypoints.shape[:2]
    attributes = {"source_software": "poseemo", "ds_type": "poses", "fps": float(recording.fps), "time_unit": "seconds"}
    attributes |= {"width": int(recording.width), "height": int(recording.height), "tracked": int(recording.tracked)}
    attributes |= {key: value for key in ("label", "split") if (value := getattr(recording, key)) is not None}
    variables = {
        "position": (_DIMENSIONS, np.ascontiguousarray(keypoints[..., :2].transpose(0, 3, 2, 1))),
        "confidence": (("time", *_DIMENSIONS[2:]), np.ascontiguousarray(keypoints[..., 2].swapaxes(1, 2))),
    }
    coordinates = {"time": np.arange(count) / recording.fps, "space": ["x", "y"], "keypoints": list(COCO_KEYPOINTS)}
    coordinates |= {"individuals": [f"id_{slot}" for slot in range(people)]}
    xarray.Dataset(variables, coordinates, attributes).to_netcdf(path, engine="h5netcdf")
