from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from statsmodels.stats.inter_rater import fleiss_kappa

from poseemo_lib.analysis import observers
from poseemo_lib.analysis.observers import MAJORITY, ONE, agreement, observers_of

CLASSES = ("angry", "happy", "sad")


def rated(monkeypatch, clips, ratings):
    """The observers of a config tested on clips (clip_id, source_id, group_id, part, label), with such ratings."""
    split = pd.DataFrame(clips, columns=["clip_id", "source_id", "group_id", "part", "label"])
    monkeypatch.setattr(observers, "read_ratings", lambda dataset: ratings)
    config = SimpleNamespace(counted_runs=[SimpleNamespace(split=lambda: split)], classes=CLASSES)
    return observers_of(config, object())


def rate(rows, key="clip_id"):
    """Ratings from clip -> labels of the raters 1, 2, ...; an empty one is left out."""
    rows = [(clip, f"P{i}", label) for clip, labels in rows.items() for i, label in enumerate(labels, 1) if label]
    return pd.DataFrame(rows, columns=[key, "rater", "label"])


BY_HAND = [
    ("a", "a", "g1", "test", "angry"), ("b", "b", "g1", "test", "angry"), ("c", "c", "g2", "test", "happy"),
    ("d", "d", "g2", "test", "sad"), ("e", "e", "g2", "test", "sad"), ("t", "t", "g3", "train", "sad"),
]  # fmt: skip
RATINGS = {"a": ["angry", "angry", "happy"], "b": ["", "happy", "sad"], "c": ["happy", "angry"], "d": ["sad"],
           "t": ["angry", "angry", "angry"]}  # fmt: skip


def test_one_observer_and_the_majority_by_hand(monkeypatch):
    """a: 2 of 3 right; b: none; c: 1 of 2, a tie; d: the only one; e has no rating, and t is no test clip."""
    people = rated(monkeypatch, BY_HAND, rate(RATINGS))
    one, majority = people.scores[ONE], people.scores[MAJORITY]
    assert one.score("accuracy")["mean"] == pytest.approx((2 / 3 + 0 + 1 / 2 + 1) / 4)
    assert majority.score("accuracy")["mean"] == pytest.approx((1 + 0 + 1 / 2 + 1) / 4)
    assert people.recall[ONE].tolist() == pytest.approx([1 / 3, 1 / 2, 1])
    assert people.recall[MAJORITY].tolist() == pytest.approx([1 / 2, 1 / 2, 1])
    assert one.score("balanced_accuracy")["mean"] == pytest.approx((1 / 3 + 1 / 2 + 1) / 3)
    assert (people.n_rated, people.n_tested, people.n_ratings, people.n_observers) == (4, 5, 8, 3)
    assert people.unit == "clip" and one.resampled_by == "group" and one.n_groups == 2
    # Coincidences of a, b and c by hand (pairs in a clip of m ratings count 1 / (m - 1)); d, of one rating, has none.
    disagree, n = (2 * 2 / 2) + 2 + 2, np.array([3, 3, 1])  # angry 2 + 1, happy 1 + 1 + 1, sad 1
    expected = (n.sum() ** 2 - (n**2).sum()) / (n.sum() - 1)
    assert people.agreement == pytest.approx(1 - disagree / expected)


def test_scores_are_those_of_weighted_ratings(monkeypatch):
    rng = np.random.default_rng(3)
    clips = [(f"c{i}", f"c{i}", f"g{i % 9}", "test", rng.choice(CLASSES)) for i in range(90)]
    labels = {row[0]: row[-1] for row in clips}
    ratings = rate({clip: [label if rng.random() < 0.4 else rng.choice(["", *CLASSES]) for _ in range(7)]
                    for clip, label in labels.items()})  # fmt: skip
    people = rated(monkeypatch, clips, ratings)
    true, weight = ratings["clip_id"].map(labels), 1 / ratings.groupby("clip_id")["label"].transform("size")
    one = people.scores[ONE]
    for metric, reference in (("accuracy", accuracy_score), ("balanced_accuracy", balanced_accuracy_score)):
        wanted = reference(true, ratings["label"], sample_weight=weight)
        assert one.score(metric)["mean"] == pytest.approx(wanted)
        assert one.score(metric)["low"] < wanted < one.score(metric)["high"]
    f1 = f1_score(true, ratings["label"], sample_weight=weight, average="macro")
    assert one.score("macro_f1")["mean"] == pytest.approx(f1)
    modes = ratings.groupby("clip_id")["label"].agg(lambda own: own.mode().tolist())
    shares = [(labels[clip] in most) / len(most) for clip, most in modes.items()]
    assert people.scores[MAJORITY].score("accuracy")["mean"] == pytest.approx(np.mean(shares))
    assert people.scores[MAJORITY].score("accuracy")["mean"] > one.score("accuracy")["mean"]


def test_agreement_is_that_of_references():
    # The example of Wikipedia's "Krippendorff's alpha", three coders and 15 units: 0.691.
    coders = ["*****34121133*3", "1*213343*******", "**21344*21133*4"]
    counts = np.array([[sum(coder[unit] == value for coder in coders) for value in "1234"] for unit in range(15)])
    assert agreement(counts) == pytest.approx(0.691, abs=5e-4)
    rng = np.random.default_rng(0)
    full = rng.multinomial(6, [0.5, 0.3, 0.2], 40)  # 6 raters each: alpha follows from Fleiss' kappa
    n = full.sum()
    assert 1 - agreement(full) == pytest.approx((1 - fleiss_kappa(full)) * (n - 1) / n)
    assert agreement(np.array([[3, 0], [0, 4]])) == 1
    assert np.isnan(agreement(np.array([[3, 0], [4, 0]]))) and np.isnan(agreement(np.array([[1, 0], [0, 1]])))


def test_a_recording_that_several_clips_show_counts_once(monkeypatch):
    clips = [(f"{name}{view}", name, "g", "test", label) for name, label in (("a", "sad"), ("b", "happy"))
             for view in range(4 if name == "a" else 1)]  # fmt: skip
    people = rated(monkeypatch, clips, rate({"a": ["sad", "sad"], "b": ["sad", "angry"]}, "source_id"))
    assert people.scores[ONE].score("accuracy")["mean"] == 0.5 and people.n_tested == people.n_rated == 2
    assert people.unit == "recording"


def test_without_ratings_of_test_clips_there_are_no_observers(monkeypatch):
    assert rated(monkeypatch, BY_HAND, None) is None
    assert rated(monkeypatch, BY_HAND, rate({"t": ["sad"]})) is None
    assert observers_of(None, None) is None
