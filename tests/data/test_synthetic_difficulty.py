import warnings

import numpy as np
import pytest

from poseemo_lib.data.synthetic import generate_clips


def posture_and_movement(clip) -> np.ndarray:
    """Mean, spread, speed, acceleration and visibility of each joint, scaled by the shoulders or the trunk."""
    rows = []
    for person in np.moveaxis(clip.keypoints.astype(float), 1, 0):
        xy, shoulders, hips = person[..., :2], person[:, [5, 6], :2], person[:, [11, 12], :2].mean(1)
        width = np.nanmedian(np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1))
        trunk = np.nanmedian(np.linalg.norm(shoulders.mean(1) - hips, axis=-1))
        xy = (xy - np.nanmedian(shoulders.mean(1), axis=0)) / np.nanmax([width, 0.6 * trunk, 1e-6])
        speed = np.linalg.norm(np.diff(xy, axis=0), axis=-1) * clip.fps
        change = np.linalg.norm(np.diff(xy, 2, axis=0), axis=-1) * clip.fps
        statistics = [np.nanmean(xy, 0).ravel(), np.nanstd(xy, 0).ravel(), np.nanmean(speed, 0)]
        statistics += [np.nanpercentile(speed, 90, axis=0), np.nanmean(change, 0), (person[..., 2] > 0).mean(0)]
        rows.append(np.concatenate(statistics))
    return np.concatenate([*rows, np.full_like(rows[0], np.nan)][:2])


def extra_trees_scores(
    signal: float, n_clips: int, seed: int = 0, trees: int = 150, splits: tuple[str, ...] = ("grouped", "random")
) -> dict[str, tuple[float, float]]:
    """Balanced accuracy and accuracy in five-fold splits by show and by clip."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    clips = [clip for clip, _ in generate_clips(n_clips, signal=signal, seed=seed)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # joints that are never seen
        features = np.nan_to_num([posture_and_movement(clip) for clip in clips], nan=-9, posinf=-9)
    labels = np.array([clip.label for clip in clips])
    shows = [clip.group_id for clip in clips]
    model = ExtraTreesClassifier(trees, min_samples_leaf=2, class_weight="balanced", random_state=0)
    scores = {}
    for name in splits:
        splitter, groups = (StratifiedGroupKFold, shows) if name == "grouped" else (StratifiedKFold, None)
        folds = splitter(5, shuffle=True, random_state=0)
        predicted = cross_val_predict(model, features, labels, groups=groups, cv=folds)
        scores[name] = balanced_accuracy_score(labels, predicted), np.mean(labels == predicted)
    return scores


def test_a_strong_signal_is_learnt_across_groups():
    assert extra_trees_scores(5, 350, trees=50, splits=("grouped",))["grouped"][0] > 0.3


@pytest.mark.slow
def test_difficulty_at_signal_one():
    scores = extra_trees_scores(1, 1200)
    assert 0.33 < scores["grouped"][0] < 0.5
    assert scores["grouped"][1] > 0.4
    assert scores["random"][0] > scores["grouped"][0] + 0.03


@pytest.mark.slow
def test_without_signal_only_a_leaky_split_is_above_chance():
    scores = [extra_trees_scores(0, 1200, seed) for seed in range(3)]
    grouped = np.mean([score["grouped"][0] for score in scores])
    assert abs(grouped - 1 / 7) < 0.025
    assert np.mean([score["random"][0] for score in scores]) > 0.22
