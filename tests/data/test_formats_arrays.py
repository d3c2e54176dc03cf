"""Arrays of landmarks, the netCDF of movement and our own archive."""

import numpy as np
import pytest
from made_formats import read, write

from poseemo_lib.data.formats import find_files
from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT, JOINT_NAMES

# --- mediapipe


def landmarks(columns, frames=6, people=None):
    """Landmark j at (0.1 + 0.02 j, 0.2 + 0.02 j), z -0.5 to 0.5, visibility 0.8, presence 0.5."""
    j = np.arange(33)
    one = np.stack([0.1 + 0.02 * j, 0.2 + 0.02 * j, np.linspace(-0.5, 0.5, 33), np.full(33, 0.8), np.full(33, 0.5)], 1)
    shape = (frames,) if people is None else (frames, people)
    return np.broadcast_to(one[:, :columns], (*shape, 33, columns)).copy()


def save_array(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize(("columns", "confidence"), [(3, 1.0), (4, 0.8), (5, 0.4)])
@pytest.mark.parametrize("people", [None, 3])
def test_mediapipe_arrays(tmp_path, columns, confidence, people):
    path = save_array(tmp_path / "a.npy", landmarks(columns, people=people))
    assert find_files("mediapipe", tmp_path) == [path]
    recording = read("mediapipe", path, width=1000, height=500)
    assert recording.keypoints.shape == (6, people or 1, 17, 3) and recording.tracked == (people is None)
    for name in COCO_KEYPOINTS:
        j = JOINT_NAMES["blazepose33"].index(name)
        expected = [1000 * (0.1 + 0.02 * j), 500 * (0.2 + 0.02 * j), confidence]
        np.testing.assert_allclose(recording.keypoints[2, -1, JOINT[name]], expected, rtol=1e-6)
    with pytest.raises(UsageError, match="x and y are shares of the picture: give the options width and height"):
        read("mediapipe", path)


def test_mediapipe_third_column_units_and_missing(tmp_path):
    array = landmarks(3)
    array[..., 2] = 0.25
    array[1] = 0
    array[2, :, :2] = np.nan
    path = save_array(tmp_path / "a.npy", array)
    size = {"width": 640, "height": 480}
    recording = read("mediapipe", path, **size)
    assert (recording.keypoints[[0, 3], ..., 2] == 0.25).all() and (recording.keypoints[[1, 2], ..., 2] == 0).all()
    assert (read("mediapipe", path, third="z", **size).keypoints[0, ..., 2] == 1).all()
    with pytest.raises(FormatError, match="wanted pixels, got coordinates of mostly at most 2"):
        read("mediapipe", path, units="pixels")
    array[..., :2] *= 640
    assert read("mediapipe", save_array(path, array)).width == round(640 * (0.1 + 0.02 * 28) + 0.5)
    with pytest.raises(UsageError, match="units: should be 'auto', 'parts' or 'pixels', got 'metres'"):
        read("mediapipe", path, units="metres")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((5, 17, 3)), r"got 0 such in an array \(5, 17, 3\)"),
        (np.ones((0, 33, 4)), "got 0 such"),
        (np.full((5, 33, 4), None), "it holds Python objects"),
        (np.full((5, 33, 4), np.nan), "at least one frame, got none in 5 frames"),
    ],
)
def test_mediapipe_other_arrays(tmp_path, array, message):
    with pytest.raises(FormatError, match=message):
        read("mediapipe", save_array(tmp_path / "a.npy", array), width=10, height=10)


def test_mediapipe_archives(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, something=landmarks(4), fps=30.0, width=640, height=480, names=np.array(["a"]))
    assert read("mediapipe", path).fps == 30 and read("mediapipe", path).width == 640
    np.savez(path, landmarks=landmarks(4), fps=[30.0, 25.0])
    with pytest.raises(FormatError, match="fps: wanted a number from 1 to 1000, got a list of 2"):
        read("mediapipe", path, width=10, height=10)


# --- movement


def movement_dataset(names=COCO_KEYPOINTS, frames=10, people=2, space="xy", confidence=None):
    """A dataset as movement makes it; joint j of person p at (100 p + j + 1, t)."""
    import xarray

    t, s, j, p = np.meshgrid(range(frames), range(len(space)), range(len(names)), range(people), indexing="ij")
    position = np.where(s == 0, 100.0 * p + j + 1, t + 1.0)
    score = np.full((frames, len(names), people), np.nan) if confidence is None else confidence
    dimensions = ("time", "space", "keypoints", "individuals")
    variables = {"position": (dimensions, position), "confidence": (("time", *dimensions[2:]), score)}
    places = (np.arange(frames) / 30, list(space), list(names), [f"id_{i}" for i in range(people)])
    told = {"ds_type": "poses", "fps": 30.0, "time_unit": "seconds"}
    return xarray.Dataset(variables, dict(zip(dimensions, places, strict=True)), told)


def save_netcdf(path, dataset):
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def test_movement_both_orders_and_both_names(tmp_path):
    names = ["Spine", *[name.replace("_", " ").title() for name in reversed(COCO_KEYPOINTS)]]
    dataset = movement_dataset(names)
    old = read("movement", save_netcdf(tmp_path / "a.nc", dataset))
    turned = dataset.rename(keypoints="keypoint", individuals="individual")
    turned = turned.transpose("individual", "keypoint", "space", "time")
    new = read("movement", save_netcdf(tmp_path / "b.nc", turned))
    np.testing.assert_array_equal(old.keypoints, new.keypoints)
    assert old.keypoints.shape == (10, 2, 17, 3) and old.tracked and old.fps == 30
    # Names from the back, after the spine; no confidence is known.
    np.testing.assert_array_equal(old.keypoints[4, 1, JOINT["nose"]], [118, 5, 1])
    np.testing.assert_array_equal(old.keypoints[4, 0, JOINT["right_ankle"]], [2, 5, 1])


def test_movement_confidence_frames_and_gaps(tmp_path):
    confidence = np.full((10, 17, 2), 0.25)
    confidence[3] = np.nan
    dataset = movement_dataset(confidence=confidence)
    recording = read("movement", save_netcdf(tmp_path / "a.nc", dataset))
    assert (recording.keypoints[0, ..., 2] == 0.25).all() and (recording.keypoints[3, ..., 2] == 0).all()
    some = read("movement", save_netcdf(tmp_path / "b.nc", dataset.isel(time=[2, 5, 6])))
    assert some.keypoints.shape[0] == 5 and (some.keypoints[1:3, ..., 2] == 0).all()
    np.testing.assert_array_equal(some.keypoints[3], recording.keypoints[5])
    frames = dataset.assign_coords(time=np.arange(10) + 100)
    frames.attrs = {"time_unit": "frames", "ds_type": "poses"}
    path = save_netcdf(tmp_path / "c.nc", frames)
    assert read("movement", path).fps == 25 and read("movement", path, fps=50).fps == 50
    np.testing.assert_array_equal(read("movement", path).keypoints, recording.keypoints)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("position"), "wanted movement's poses, position .* got none"),
        (lambda d: movement_dataset(space="xyz"), "wanted positions x, y in a picture, got x, y, z"),
        (lambda d: movement_dataset(["a", "b"]), "wanted joints named like COCO's"),
        (lambda d: d.assign_coords(time=np.zeros(10)), "wanted times that rise by a frame or more"),
        (lambda d: d.assign_coords(time=[f"t{i}" for i in range(10)]), "wanted numbers for position and time"),
        (lambda d: d * np.nan, "wanted a person in at least one frame"),
    ],
)
def test_movement_other_datasets(tmp_path, change, message):
    with pytest.raises(FormatError, match=message) as error:
        read("movement", save_netcdf(tmp_path / "a.nc", change(movement_dataset())))
    assert "\n" not in str(error.value)


def test_what_movement_gets_is_its_schema(tmp_path):
    """Variables, dimensions and coordinates of `ValidPosesInputs.to_dataset` of movement 0.15."""
    import xarray

    with xarray.open_dataset(write("movement", tmp_path), engine="h5netcdf") as dataset:
        assert dataset.position.dims == ("time", "space", "keypoints", "individuals")
        assert dataset.confidence.dims == ("time", "keypoints", "individuals")
        assert list(dataset.space.values) == ["x", "y"] and list(dataset.individuals.values) == ["id_0", "id_1"]
        assert list(dataset.keypoints.values) == list(COCO_KEYPOINTS)
        np.testing.assert_allclose(dataset.time, np.arange(20) / 29.97)
        assert dataset.attrs["ds_type"] == "poses" and dataset.attrs["time_unit"] == "seconds"


# --- npz

SOUND = np.full((4, 17, 3), (100, 50, 0.5))


def test_npz_as_people_make_it(tmp_path):
    keypoints = np.full((4, 17, 3), 5.0)  # one person, float64
    keypoints[..., 2] = 2
    keypoints[0, 0] = 0
    np.savez_compressed(tmp_path / "a.npz", keypoints=keypoints)
    recording = read("npz", tmp_path / "a.npz", fps=50)
    assert recording.keypoints.shape == (4, 1, 17, 3) and recording.tracked
    assert (recording.fps, recording.width, recording.height) == (50, 5, 5)
    assert np.isnan(recording.keypoints[0, 0, 0, 0]) and recording.keypoints[1, 0, 0, 2] == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"poses": np.ones((4, 17, 3))}, "wanted an array named keypoints, got none"),
        ({"keypoints": np.ones((4, 14, 3))}, r"got float64 of \(4, 14, 3\)"),
        ({"keypoints": np.full((4, 17, 3), "x")}, "got <U1"),
        ({"keypoints": SOUND, "fps": "fast"}, "fps: wanted a number from 1 to 1000, got 'fast'"),
        ({"keypoints": np.full((4, 17, 3), 90.0)}, "confidence: wanted 0 to 1, got up to 90"),
        ({"keypoints": SOUND, "split": "later"}, "a split among train, val, test, got"),
    ],
)
def test_npz_other_archives(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(FormatError, match=message):
        read("npz", tmp_path / "a.npz")
