import os

import numpy as np
import pytest
import torch
from skops.io import dump

from poseemo_lib.errors import PoseemoError
from poseemo_lib.features.augmentation import flip
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT
from poseemo_lib.training import baselines
from poseemo_lib.training.baselines import BASELINE_FILE, BASELINES, Windows
from poseemo_lib.training.batching import PreparedClips
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.pose_statistics import movement_statistics, point_series, posture_statistics
from poseemo_lib.training.run_folder import Run
from poseemo_lib.training.trained import load_baseline

FPS = 25.0
# A standing figure with spread arms; hips at (0, 0), shoulders at y = -1, y down.
STANDING = {
    "nose": (0, -1.5), "left_eye": (0.05, -1.55), "right_eye": (-0.05, -1.55), "left_ear": (0.1, -1.5),
    "right_ear": (-0.1, -1.5), "left_shoulder": (0.4, -1), "right_shoulder": (-0.4, -1), "left_elbow": (0.9, -1),
    "right_elbow": (-0.9, -1), "left_wrist": (0.9, -0.5), "right_wrist": (-1.4, -1), "left_hip": (0.2, 0),
    "right_hip": (-0.2, 0), "left_knee": (0.2, 0.8), "right_knee": (-0.2, 0.8), "left_ankle": (0.2, 1.6),
    "right_ankle": (-0.2, 1.6),
}  # fmt: skip


def standing(n_frames=50, n_windows=1, people=1):
    figure = np.array([(*STANDING[name], 1.0) for name in COCO_KEYPOINTS], np.float32)
    return np.tile(figure, (n_windows, n_frames, people, 1, 1))


def statistics(keypoints, mask=None, fps=FPS):
    mask = np.ones(keypoints.shape[:2], bool) if mask is None else mask
    return posture_statistics(keypoints, mask) | movement_statistics(keypoints, mask, fps)


def random_walks(seed=0, n_windows=6, n_frames=40):
    rng = np.random.default_rng(seed)
    steps = rng.normal(scale=0.02, size=(n_windows, n_frames, 2, 17, 3)).cumsum(1)
    keypoints = (standing(n_frames, n_windows, people=2) + steps).astype(np.float32)
    keypoints[:, :, 1, :, 0] += 2.5
    keypoints[rng.random(keypoints.shape[:4]) < 0.1] = np.nan
    keypoints[1, :, 1] = np.nan
    return keypoints


def assert_same(one, other, rtol=2e-3):
    # Positions are float32 of size about 1, so that a jerk is only good to about 1e-3 of the fastest.
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=2e-3, err_msg=name)


def test_posture_of_a_known_figure():
    s = {name: float(values[0]) for name, values in statistics(standing()).items()}
    wanted = {
        "left_elbow_angle_mean": np.pi / 2, "right_elbow_angle_mean": np.pi, "left_knee_angle_mean": np.pi,
        "trunk_lean_mean": 0, "head_tilt_mean": 0, "head_height_mean": 0.52, "left_wrist_x_mean": 0.9,
        "left_wrist_y_mean": -0.5, "wrists_apart_mean": np.hypot(2.3, 0.5), "shoulders_apart_mean": 0.8,
        "hands_height_mean": 0.0, "width_mean": 2.3, "height_mean": 3.12, "left_wrist_x_sd": 0, "left_wrist_x_range": 0,
        "present_share": 1, "hips_share": 1, "second_present_share": 0,
    }  # fmt: skip
    assert {name: s[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
    assert np.isnan(s["second_distance_mean"]) and np.isnan(s["second_trunk_lean_mean"])


def test_a_body_that_stands_still_does_not_move():
    s = statistics(standing())
    for name in ("motion_mean", "motion_sd", "motion_max", "acceleration_max", "jerk_max"):
        assert s[name] == 0, name
    for name in ("motion_frequency", "head_motion_share", "root_jerkiness", "root_straightness", "wrists_together"):
        assert np.isnan(s[name]), name


def test_walking_on_a_line_moves_the_root_only():
    keypoints = standing()
    keypoints[..., 0] += 0.04 * np.arange(50)[None, :, None, None]
    s = statistics(keypoints)
    assert s["root_straightness"] == pytest.approx(1.0, rel=1e-4)
    assert s["root_curvature"] == pytest.approx(0.0, abs=1e-2)
    assert s["root_unevenness"] == pytest.approx(0.0, abs=1e-3)
    assert s["motion_mean"] == pytest.approx(0.0, abs=1e-4)


def test_a_waving_hand_has_its_frequency_speed_and_curvature():
    keypoints = standing(n_frames=100)
    phase = 2 * np.pi * 2.0 * np.arange(100) / FPS
    wrist = JOINT["left_wrist"]
    keypoints[0, :, 0, wrist, 0] += 0.3 * np.cos(phase)
    keypoints[0, :, 0, wrist, 1] += 0.3 * np.sin(phase)
    s = statistics(keypoints)
    assert s["left_wrist_y_frequency"] == pytest.approx(2.0, abs=0.1)
    assert s["left_wrist_y_rhythm"] > 0.9
    # A circle of radius 0.3: speed w r, curvature 1 / r; one of 13 points moves. The rates are those of differences.
    rate = 2 * np.sin(np.pi * 2.0 / FPS) * FPS
    assert s["motion_mean"] == pytest.approx(0.3 * rate / 13, rel=1e-3)
    assert s["acceleration_mean"] == pytest.approx(0.3 * rate**2 / 13, rel=1e-3)
    assert s["jerk_max"] == pytest.approx(0.3 * rate**3 / 13, rel=1e-2)
    assert s["left_wrist_hardness"] == pytest.approx(rate, rel=1e-3)
    assert s["left_wrist_jerkiness"] == pytest.approx(rate, rel=1e-2)
    assert s["left_wrist_unevenness"] == pytest.approx(0, abs=1e-3)
    assert s["left_wrist_motion_share"] == pytest.approx(13, rel=1e-3)
    assert s["arms_motion_share"] == pytest.approx(13 / 4, rel=1e-3)
    assert s["left_wrist_curvature"] == pytest.approx(1 / 0.3, rel=0.05)
    assert s["left_wrist_straightness"] < 0.1
    assert s["legs_motion_share"] == 0


def test_place_and_size_in_the_picture_do_not_matter():
    keypoints = random_walks()
    changed = keypoints.copy()
    changed[..., :2] = 37.0 * keypoints[..., :2] + np.float32([400, -150])
    assert_same(statistics(keypoints), statistics(changed))


def test_padding_does_not_matter():
    keypoints = random_walks()
    padded = np.concatenate([keypoints, np.full((6, 24, 2, 17, 3), 9.0, np.float32)], axis=1)
    mask = np.arange(64)[None].repeat(6, 0) < 40
    short, long = statistics(keypoints), statistics(padded, mask)
    # The periodogram of a padded window has the window's own length in its definition of "near" and "enough".
    for name in [name for name in short if name.endswith(("_frequency", "_rhythm"))]:
        del short[name], long[name]
    assert_same(short, long, rtol=1e-5)


def test_an_absent_second_person_is_the_same_as_no_slot():
    keypoints = random_walks()
    alone = keypoints.copy()
    alone[:, :, 1] = np.nan
    assert_same(statistics(alone), statistics(keypoints[:, :, :1]), rtol=0)


def test_the_second_person():
    keypoints = standing(people=2)
    keypoints[:, :, 1, :, :2] = 2 * keypoints[:, :, 1, :, :2] + np.float32([3.0, -0.5])
    s = statistics(keypoints)
    assert s["second_size"] == pytest.approx(2.0, rel=1e-5)
    assert s["second_distance_mean"] == pytest.approx(np.hypot(3, 0.5), rel=1e-5)
    assert s["second_height_mean"] == pytest.approx(0.5, abs=1e-5)
    assert s["second_present_share"] == 1


def test_without_hips_the_shoulders_stand_in():
    keypoints = standing()
    whole = statistics(keypoints)
    keypoints[..., JOINT["left_hip"] :, :] = np.nan
    s = statistics(keypoints)
    # Here 1.25 shoulder widths are one torso exactly.
    assert s["hips_share"] == 0
    for name in ("left_wrist_x_mean", "head_y_mean", "head_height_mean", "left_elbow_angle_mean", "wrists_apart_mean"):
        assert s[name] == pytest.approx(whole[name], abs=1e-5), name
    assert np.isnan(s["trunk_lean_mean"]) and np.isnan(s["left_knee_x_mean"])


@pytest.mark.parametrize("n_frames", [1, 2, 3, 64])
def test_missing_stays_missing_and_nothing_warns(n_frames):
    nothing = np.full((2, n_frames, 2, 17, 3), np.nan, np.float32)
    s = statistics(nothing)
    shares = {name for name in s if name.endswith("present_share") or name == "hips_share"}
    assert all(np.isnan(s[name]).all() for name in s if name not in shares)
    assert all((s[name] == 0).all() for name in shares)
    padding_only = statistics(standing(n_frames), np.zeros((1, n_frames), bool))
    assert np.isnan(padding_only["left_wrist_x_mean"]).all()


@pytest.fixture(scope="module")
def two_styles():
    """Windows of 3 classes; class 2 waves the left hand, class 1 holds it up, class 0 does neither."""
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], [20, 10, 10])
    keypoints = standing(32, len(labels)) + rng.normal(scale=0.02, size=(40, 32, 1, 17, 3)).astype(np.float32)
    wrist = JOINT["left_wrist"]
    keypoints[labels == 1, :, :, wrist, 1] -= 0.6
    keypoints[labels == 2, :, 0, wrist, 1] += 0.3 * np.sin(2 * np.pi * 2 * np.arange(32) / FPS).astype(np.float32)
    keypoints[rng.random(keypoints.shape[:4]) < 0.05] = np.nan
    keypoints[3] = np.nan
    return Windows(keypoints, np.ones((40, 32), bool), FPS, np.arange(40)), labels


@pytest.mark.parametrize("name", BASELINES)
def test_probabilities_cover_all_classes(name, two_styles):
    windows, labels = two_styles
    # Five classes, of which 3 and 4 never occur.
    fitted = baselines.fit_baseline(name, windows, labels, n_classes=5, seed=0)
    probabilities = baselines.predict_probabilities(fitted, windows)
    assert probabilities.shape == (40, 5)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (probabilities[:, 3:] == 0).all() and (probabilities >= 0).all()
    again = baselines.predict_probabilities(baselines.fit_baseline(name, windows, labels, n_classes=5, seed=0), windows)
    np.testing.assert_array_equal(probabilities, again)
    if name in ("logistic_regression", "extra_trees", "rocket"):
        seen = np.arange(40) != 3
        assert (probabilities.argmax(1) == labels)[seen].mean() > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_a_stored_baseline_is_the_same_and_each_window_stands_alone(name, two_styles, tmp_path):
    windows, labels = two_styles
    fitted = baselines.fit_baseline(name, windows, labels, n_classes=3, seed=2**32 - 1)
    baselines.save_baseline(fitted, tmp_path)
    (file,) = tmp_path.iterdir()
    assert b"pickle" not in file.read_bytes()
    stored = baselines.read_baseline(file)
    probabilities = baselines.predict_probabilities(fitted, windows)
    np.testing.assert_array_equal(baselines.predict_probabilities(stored, windows), probabilities)
    some = Windows(windows.keypoints[5:9], windows.mask[5:9], FPS, windows.unit[5:9])
    np.testing.assert_allclose(baselines.predict_probabilities(stored, some), probabilities[5:9], atol=1e-6)


def test_with_mirrored_windows_a_clip_and_its_mirror_image_are_predicted_alike(two_styles):
    windows, labels = two_styles
    clips, mirror = torch.from_numpy(windows.keypoints).flatten(0, 1), torch.ones(40 * 32, dtype=torch.bool)
    starts, lengths = 32 * torch.arange(40), torch.full((40,), 32)
    data, mirrored = (
        PreparedClips(keypoints, starts, lengths, torch.from_numpy(labels), [""] * 40, FPS)
        for keypoints in (clips, flip(clips[:, None], mirror)[:, 0])
    )
    apart = {}
    for share in (0, 0.5):
        how = check_parameters({"architecture": "logistic_regression", "people": 1, "n_frames": 32, "flip": share})
        fitted = baselines.fit_clips(data, torch.arange(40), windows.unit, 3, 0, how)
        one, other = (baselines.predict_clips(fitted, d, torch.arange(40), windows.unit, how) for d in (data, mirrored))
        apart[share] = np.abs(one - other).max()
    assert apart[0.5] < 1e-3 and apart[0] > 0.1


@pytest.mark.parametrize(
    ("estimator", "fault"),
    [
        (Windows(1, 2, 3, 4), "poseemo_lib.training.baselines.Windows"),
        (os.system, "posix.system"),
        ("text", "wanted the baseline majority of the run's classes, got another thing"),
    ],
)
def test_a_file_with_another_thing_is_not_loaded(estimator, fault, tmp_path):
    dump({"name": "majority", "n_classes": 2, "estimator": estimator}, tmp_path / BASELINE_FILE)
    with pytest.raises(PoseemoError, match=f"baseline.skops: cannot be read .*{fault}"):
        load_baseline(Run(tmp_path, {"parameters": {"architecture": "majority"}, "classes": ["a", "b"]}))


def test_a_damaged_file_is_named_wherever_it_is_damaged(two_styles, tmp_path):
    baselines.save_baseline(baselines.fit_baseline("majority", *two_styles, n_classes=3, seed=0), tmp_path)
    whole, rng, read = (tmp_path / BASELINE_FILE).read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(len(whole), size=3)] = rng.integers(256, size=3)
        (tmp_path / BASELINE_FILE).write_bytes(damaged)
        try:
            load_baseline(Run(tmp_path, {"parameters": {"architecture": "majority"}, "classes": ["a", "b", "c"]}))
            read += 1  # the bytes are in no sum and mean nothing, as a date
        except PoseemoError as error:
            assert "baseline.skops: cannot be read" in str(error)
    assert read < 100


def test_two_classes_and_one_person_make_a_rocket_too(two_styles):
    windows, labels = two_styles
    alone = Windows(windows.keypoints[:20, :, :1], windows.mask[:20], FPS, windows.unit[:20])
    fitted = baselines.fit_baseline("rocket", alone, np.repeat([0, 1], 10), n_classes=3, seed=0)
    probabilities = baselines.predict_probabilities(fitted, alone)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities[:, 2] == 0).all()


def test_series_are_points_without_gaps():
    keypoints, mask = standing(6), np.array([[True] * 5 + [False]])
    keypoints[0, :, 0, JOINT["left_wrist"], 0] += np.float32([0, 0.1, 0.2, 0.3, 0.4, 9])
    whole = point_series(keypoints, mask)
    assert whole.shape == (1, 28 * keypoints.shape[2], 6) and whole.dtype == np.float32
    holes = keypoints.copy()
    holes[0, 2:4, 0, JOINT["left_wrist"]] = np.nan
    holes[0, :2, 0, JOINT["nose"] : JOINT["left_shoulder"]] = np.nan
    np.testing.assert_allclose(point_series(holes, mask), whole, atol=1e-6)
    np.testing.assert_array_equal(whole[..., 5], whole[..., 4])
    assert (point_series(np.full_like(keypoints, np.nan), mask) == 0).all()


def test_majority_is_by_clip_not_by_window(two_styles):
    windows, _ = two_styles
    # 30 windows of one clip of class 0, ten clips of class 1.
    many = Windows(windows.keypoints, windows.mask, FPS, np.r_[np.zeros(30, int), np.arange(1, 11)])
    labels = np.repeat([0, 1], [30, 10])
    fitted = baselines.fit_baseline("majority", many, labels, n_classes=2, seed=0)
    np.testing.assert_array_equal(baselines.predict_probabilities(fitted, many), np.tile([0.0, 1.0], (40, 1)))


def test_stratified_draws_with_the_class_frequencies_once_a_clip():
    n = 3000
    windows = Windows(np.full((2 * n, 1, 1, 17, 3), np.nan), np.ones((2 * n, 1), bool), FPS, np.repeat(np.arange(n), 2))
    labels = np.repeat(np.random.default_rng(0).choice(3, n, p=[0.6, 0.3, 0.1]), 2)
    fitted = baselines.fit_baseline("stratified", windows, labels, n_classes=3, seed=1)
    probabilities = baselines.predict_probabilities(fitted, windows)
    np.testing.assert_array_equal(probabilities[::2], probabilities[1::2])
    assert set(np.unique(probabilities)) == {0.0, 1.0}
    np.testing.assert_allclose(probabilities.mean(0), [0.6, 0.3, 0.1], atol=0.03)
    other = baselines.fit_baseline("stratified", windows, labels, n_classes=3, seed=2)
    assert (baselines.predict_probabilities(other, windows) != probabilities).any()
