"""Measure how often 95 % intervals hold the true score, and how often a difference is claimed that is not there.

    python benchmarks/interval_coverage.py [--studies 1000]

Studies are simulated: clips come in groups that differ in difficulty and in their classes, and trainings of one
network differ. The true scores are those of 400,000 clips. "Percentile" is the percentile bootstrap over groups.
"""

import argparse
import sys

import numpy as np
import pandas as pd

from poseemo_lib.analysis.statistics import compare_configs
from poseemo_lib.training.evaluation import config_scores, probability_columns
from poseemo_lib.training.metrics import scores_from_confusion

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
PRIOR = np.array([0.115, 0.093, 0.065, 0.184, 0.323, 0.109, 0.111])  # CAER's
STRENGTH = np.array([1.6, 1.5, 1.4, 2.0, 1.6, 1.6, 1.4])  # how well each class is recognised
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "ece")
# Groups, clips a group, how much groups differ in difficulty, and how evenly each has the classes.
STUDIES = ((8, 40, 0.4, 10), (10, 10, 0.4, 10), (10, 10, 0.0, 100), (20, 20, 0.4, 10), (100, 10, 0.4, 10))


def study(rng, n_groups: int, n_clips: int, spread: float, evenness: float, trainings=0.0, n_seeds=1, n_configs=1):
    """Simulate the predictions of equally good configs on one test split: config -> seed -> table."""
    group = np.repeat(np.arange(n_groups), n_clips)
    share = rng.dirichlet(evenness * PRIOR, n_groups).cumsum(1)
    label = np.minimum((rng.random((len(group), 1)) > share[group]).sum(1), len(CLASSES) - 1)
    easy = np.exp(spread * rng.normal(size=n_groups))[group]
    shared = rng.normal(size=(len(group), len(CLASSES)))  # what makes a clip look like a class, to every network
    frame = pd.DataFrame({"clip_id": np.arange(len(group)).astype(str), "split": "test"})
    frame = frame.assign(label=np.take(CLASSES, label), group_id=group.astype(str), source_id=frame["clip_id"])
    out = {}
    for config in "abcdefghij"[:n_configs]:
        own = 0.7 * shared + 0.5 * rng.normal(size=shared.shape)
        for seed in range(n_seeds):
            strength = STRENGTH * np.exp(trainings * rng.normal()) * easy[:, None]
            logits = own + 0.5 * rng.normal(size=shared.shape) + np.log(PRIOR)
            logits[np.arange(len(group)), label] += strength[np.arange(len(group)), label]
            p = np.exp(logits - logits.max(1, keepdims=True))
            columns = dict(zip(probability_columns(CLASSES), (p / p.sum(1, keepdims=True)).T, strict=True))
            out.setdefault(config, {})[seed] = frame.assign(**columns)
    return out


def percentile(table: pd.DataFrame, rng, n: int = 1000) -> dict[str, np.ndarray]:
    """Give percentile bootstrap intervals over groups: score, or class whose recall it is -> low, high."""
    predicted = table[probability_columns(CLASSES)].to_numpy().argmax(1)
    label, group = pd.Index(CLASSES).get_indexer(table["label"]), pd.factorize(table["group_id"])[0]
    counts = np.zeros((group.max() + 1, len(CLASSES), len(CLASSES)))
    np.add.at(counts, (group, label, predicted), 1)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), n) @ counts.reshape(len(counts), -1)
    drawn = drawn.reshape(n, len(CLASSES), len(CLASSES))
    found = {name: values for name, values in scores_from_confusion(drawn).items() if name in SCORES}
    with np.errstate(invalid="ignore"):
        found["recall of fear"] = drawn[:, 2, 2] / drawn[:, 2].sum(1)
    return {name: np.nanpercentile(values, [2.5, 97.5]) for name, values in found.items()}


def ours(table: pd.DataFrame) -> pd.DataFrame:
    """Scores of a table: index score or class; mean, low, high."""
    scored = config_scores({0: table}, CLASSES)
    fear = scored.per_class.query("`class` == 'fear' and metric == 'recall'").assign(metric="recall of fear")
    return (
        pd.concat([scored.scores, fear]).set_index("metric").loc[[*SCORES, "recall of fear"], ["mean", "low", "high"]]
    )


def coverage(rng, n_studies: int, n_groups: int, n_clips: int, *kind) -> dict:
    """Count how often the intervals hold the true score, for one kind of study."""
    truth = ours(study(rng, 40_000, 10, *kind)["a"][0])["mean"]
    hits = []
    for _ in range(n_studies):  # of one network: trainings do not differ
        table = study(rng, n_groups, n_clips, *kind)["a"][0]
        scored = ours(table)
        hit = (scored["low"] <= truth) & (truth <= scored["high"])
        hits.append(hit.where(scored["mean"].notna()).rename("jackknife").to_dict())
        hits[-1] |= {
            f"{name}, percentile": low <= truth[name] <= high for name, (low, high) in percentile(table, rng).items()
        }
    return pd.DataFrame(hits).mean().mul(100).round(1).to_dict()


def false_claims(rng, n_studies: int, n_seeds: int, *kind) -> float:
    """Percentage of comparisons of two equally good configs that claim a difference."""
    claims = [
        compare_configs(study(rng, *kind, trainings=0.06, n_seeds=n_seeds, n_configs=2), CLASSES).iloc[0]["significant"]
        for _ in range(n_studies)
    ]
    return 100 * float(np.mean(claims))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="of each kind")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    names = ("groups", "clips a group", "spread", "evenness")
    rows = [dict(zip(names, kind, strict=True)) | coverage(rng, given.studies, *kind) for kind in STUDIES]
    sys.stdout.write(f"Coverage in %, nominal 95\n\n{pd.DataFrame(rows).T.to_string()}\n\n")
    rows = [
        dict(zip(names, kind, strict=True))
        | {"seeds": seeds, "false claims, %": false_claims(rng, given.studies, seeds, *kind)}
        for kind in STUDIES
        for seeds in (2, 5)
    ]
    sys.stdout.write(
        f"Differences claimed between equally good configs, nominal 5 %\n\n{pd.DataFrame(rows).to_string()}\n"
    )


if __name__ == "__main__":
    main()
