"""People beside models: how those who rated the test clips would score, and how far they agree."""

from dataclasses import dataclass

import krippendorff
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import SHOWN_METRICS
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.dataset.ratings import rating_counts, read_ratings
from poseemo_lib.training.evaluation import ConfigScores, config_scores, probability_columns

ONE, MAJORITY = "one observer", "majority of observers"


@dataclass(frozen=True)
class Observers:
    """How people rated the test clips of a config (or the recordings that these were cut from).

    Parameters
    ----------
    scores : dict of ConfigScores
        `one observer`, drawn at random for each clip, and `majority of observers`, where labels that tie share a clip.
    agreement : float
        Krippendorff's alpha for nominal labels; NaN where it is not defined.
    unit : {"clip", "recording"}
        What was rated, and counted in `n_tested`, with or without ratings.
    """

    scores: dict[str, ConfigScores]
    agreement: float
    unit: str
    n_observers: int
    n_ratings: int
    n_tested: int

    @property
    def n_rated(self) -> int:
        """How many test clips (or recordings) have ratings."""
        return self.scores[ONE].n_clips

    @property
    def recall(self) -> pd.DataFrame:
        """Recall of every class: index class, a column for each of `scores`."""
        tables = {name: scores.per_class.query("metric == 'recall'") for name, scores in self.scores.items()}
        return pd.DataFrame({name: table.set_index("class")["mean"] for name, table in tables.items()})

    def score_table(self) -> pd.DataFrame:
        """Scores as rows of :meth:`poseemo_lib.analysis.results.Results.score_table`."""
        tables = [scores.scores.assign(config=name) for name, scores in self.scores.items()]
        table = pd.concat(tables, ignore_index=True)
        return table[table["metric"].isin(SHOWN_METRICS)].assign(is_baseline=False, is_majority=False, chance=np.nan)


def observers_of(config: ConfigRuns, dataset: Dataset | None) -> Observers | None:
    """Score the people who rated the test clips of a config; None where nobody did.

    Raises
    ------
    DatasetError
        The ratings are faulty.
    """
    ratings = None if dataset is None else read_ratings(dataset)
    if ratings is None:
        return None
    key = ratings.columns[0]
    splits = pd.concat([run.split() for run in config.counted_runs])
    tested = splits[splits["part"] == "test"].drop_duplicates(key).set_index(key, drop=False)
    ratings = ratings[ratings[key].isin(tested.index)]
    if ratings.empty:
        return None
    counts = rating_counts(ratings, config.classes)
    rated = tested.loc[counts.index].assign(clip_id=counts.index, split="test").reset_index(drop=True)
    votes = {ONE: counts, MAJORITY: counts.eq(counts.max(axis=1), axis=0)}
    return Observers(
        scores={name: config_scores({0: _shares(rated, one)}, config.classes, shared=True)
                for name, one in votes.items()},
        agreement=agreement(counts.to_numpy()),
        unit="clip" if key == "clip_id" else "recording",
        n_observers=ratings["rater"].nunique(),
        n_ratings=len(ratings),
        n_tested=len(tested),
    )  # fmt: skip


def _shares(rated: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """Make a predictions table whose probabilities are the shares of the votes."""
    shares = votes.to_numpy(np.float64) / votes.to_numpy().sum(1, keepdims=True)
    return rated.join(pd.DataFrame(shares, columns=probability_columns(tuple(votes.columns))))


def agreement(counts: np.ndarray) -> float:
    """Krippendorff's alpha of counts (N, C) of labels, which may be of different numbers of people.

    NaN without two labels among the clips that several people rated.
    """
    several = counts[counts.sum(1) > 1]
    if (several.sum(0) > 0).sum() < 2:
        return np.nan
    return float(krippendorff.alpha(value_counts=several, level_of_measurement="nominal"))
