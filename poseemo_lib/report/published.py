"""The published study next to ours: its numbers with intervals and tests, our configs of the same networks, its faults.

`published.yaml` holds what was printed, `parameters/studies/as_published.yaml` how it was trained. Of a published
number only counts are known, so its interval and test take the clips as independent. Clips of one show are not, and the
true intervals are wider.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.factors import IMBALANCE, SPLIT, differing_factors, imbalance_configs, settings, settings_of
from poseemo_lib.analysis.results import Results
from poseemo_lib.analysis.statistics import ALPHA, holm
from poseemo_lib.files import read_yaml
from poseemo_lib.paths import PARAMETERS
from poseemo_lib.report.templates import Markup, render
from poseemo_lib.studies.plan import Study, config_values, load_study
from poseemo_lib.text import format_p
from poseemo_lib.training.metrics import scores_from_confusion

FILE = Path(__file__).with_name("published.yaml")
RECIPE = PARAMETERS / "studies" / "as_published.yaml"
RARE = "rare classes"
OURS = ["config", "study", "accuracy", "low", "high", "unit", "majority_share", "dataset", "synthetic", "same_clips"]
OURS += ["differs_in"]
OVERLAP, APART = "yes: the intervals overlap", "no: the intervals do not overlap"
NEEDS_DATA, NOT_RUN = "no: needs the published clips", "no: not run on the published clips"


@cache
def published() -> dict:
    """Read the content of `published.yaml`."""
    return read_yaml(FILE)


@cache
def recipe() -> Study:
    """Read the study that trains as published."""
    return load_study(RECIPE)


def class_counts() -> pd.DataFrame:
    """Count the published study's clips: index class; columns train, test."""
    return pd.DataFrame(published()["clips"], index=["train", "test"]).T.rename_axis("class")


def has_published_clips(config: ConfigRuns) -> bool:
    """Whether each of its runs has, in each split, as many clips of each class as the published study, and no other.

    Names tell nothing; of the published clips only these numbers are known, and of validation only their sum.
    """
    wanted = class_counts().sort_index()
    n = wanted.sum().to_dict() | {"val": published()["validation_clips"]}
    if any(run.record["dataset"]["synthetic"] or run.record["clips"] != n for run in config.runs):
        return False
    splits = (run.split() for run in config.runs)
    return all(pd.crosstab(one["label"], one["part"])[wanted.columns].equals(wanted) for one in splits)


def published_numbers() -> pd.DataFrame:
    """Test every published accuracy against always predicting the largest class of the test split.

    Returns
    -------
    DataFrame
        kind, name; published: accuracy, 0 to 1; correct, n: clips; published_low, published_high: Wilson's 95 %
        interval; p: one-sided, exact binomial; p_holm: after Holm's correction for all rows; above: p_holm < 0.05;
        recalled: classes with a recall above 5 %, NaN if not printed.
    """
    clips = class_counts()["test"]
    n, floor = int(clips.sum()), clips[published()["majority"]] / clips.sum()
    rows = []
    for kind, entries in published()["accuracies"].items():
        for entry in entries:
            correct = round(float(entry["percent"]) * n / 100)
            test = binomtest(correct, n, floor, alternative="greater")
            low, high = binomtest(correct, n).proportion_ci(method="wilson")
            row = {"kind": kind, "name": entry["name"], "published": correct / n, "correct": correct, "n": n}
            row |= {"published_low": low, "published_high": high, "p": test.pvalue}
            rows.append(row | {"recalled": entry.get("recalled", np.nan)})
    table = pd.DataFrame(rows)
    table.insert(8, "p_holm", holm(table["p"]))
    table.insert(9, "above", table["p_holm"] < ALPHA)
    return table


def side_by_side(studies: Sequence[Results]) -> pd.DataFrame:
    """Find our config of the same network and setting for every published accuracy.

    That is a config with the architecture, the hyper-parameters and the handling of rare classes of the network in
    :data:`RECIPE`; of several, the one that differs least besides. Configs with leaks are left
    out, except on the published clips, since the published split has leaks.

    Returns
    -------
    DataFrame
        The columns of :func:`published_numbers`, and of our config: config, study, accuracy, low, high (0 to 1, 95 %
        interval), unit, majority_share (share of the largest class in our test split), dataset, synthetic, differs_in
        (names of what else differs from the recipe, but the split, which was random by clip), same_clips (see
        :func:`has_published_clips`); empty or NaN if there is no such config. And reproduced: yes or no, and why.
    """
    # Regimes for rare classes are only comparable within one study.
    rare = next((study for study in studies if imbalance_configs(study)), None)
    configs = [
        (study, config, settings(config))
        for study in studies
        for config in study.configs
        if config.is_network and (not config.leaks or has_published_clips(config))
    ]
    ours = []
    for kind, entries in published()["accuracies"].items():
        first = [one for one in configs if kind == RARE and one[0] is rare]
        ours += [_our_row(_same_network(entry, first) or _same_network(entry, configs)) for entry in entries]
    ours = pd.DataFrame(ours, columns=OURS)
    table = published_numbers().join(ours)
    known = any(has_published_clips(config) for _, config, _ in configs)
    return table.assign(reproduced=[_reproduced(row, known) for row in table.to_dict("records")])


def _same_network(entry: Mapping, configs: list[tuple[Results, ConfigRuns, dict]]) -> tuple | None:
    """Find the config of a published network: its study, itself, and what it differs in; None where there is none."""
    wanted, not_stated = _wanted(entry), entry.get("not_stated", [])
    found = []
    for study, config, own in configs:
        differing = differing_factors(_filled_in(wanted, own, not_stated), own) - {SPLIT}
        hyper_parameters = {name.removeprefix("model.") for name in own if name.startswith("model.")}
        if not differing & {"architecture", IMBALANCE, *hyper_parameters}:
            found.append((len(differing), len(differing_factors(wanted, own)), study, config, differing))
    # The first of equals: `min` keeps the order of the studies.
    return min(found, key=lambda one: one[:2])[2:] if found else None


def _wanted(entry: Mapping) -> dict:
    """Return the settings of a published network, trained as published."""
    return settings_of(config_values(recipe(), entry["config"], RECIPE))


def _filled_in(wanted: dict, own: dict, not_stated: list[str]) -> dict:
    """Take from the config what was not stated; with the architecture, its hyper-parameters."""
    if "architecture" in not_stated:
        wanted = {name: value for name, value in wanted.items() if not name.startswith("model.")}
        not_stated = [*not_stated, *(name for name in own if name.startswith("model."))]
    return wanted | {name: own[name] for name in not_stated}


def _our_row(found: tuple | None) -> dict:
    if found is None:
        numbers = dict.fromkeys(("accuracy", "low", "high", "majority_share"), np.nan)
        return dict.fromkeys(OURS, "") | numbers | {"synthetic": False, "same_clips": False}
    study, config, differing = found
    score, data = config.scores.score("accuracy"), config.runs[0].record["dataset"]
    row = {"config": config.name, "study": study.root.name, "accuracy": score["mean"], "low": score["low"]}
    row |= {"high": score["high"], "unit": config.unit, "majority_share": float(config.predicted_shares["true"].max())}
    row |= {"dataset": data["name"], "synthetic": data["synthetic"], "same_clips": has_published_clips(config)}
    return row | {"differs_in": ", ".join(sorted(differing))}


def _reproduced(row: Mapping, known: bool) -> str:
    """Say whether a number was reproduced; `known`: some config has the published clips."""
    if not row["same_clips"]:
        return NOT_RUN if known else NEEDS_DATA
    overlap = row["low"] <= row["published_high"] and row["published_low"] <= row["high"]
    return OVERLAP if overlap else APART


def format_side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Lay :func:`side_by_side` out for reading, in percent."""
    rows = []
    for row in table.to_dict("records"):
        unit = f" by {row['unit']}" if row["unit"] != "clip" else ""
        ours = {
            "our config": f"{row['config']} ({row['study']})",
            "our accuracy": _interval(row, "accuracy", "low", "high"),
            "our config differs in": row["differs_in"] or "nothing",
            "largest class in our test split": f"{100 * row['majority_share']:.1f}",
            "our data": f"{row['dataset']}{unit}, {'synthetic' if row['synthetic'] else 'real'}",
        }
        rows.append({
            "table": row["kind"],
            "published as": row["name"],
            "published accuracy": _interval(row, "published", "published_low", "published_high"),
            "p, against always neutral": format_p(row["p"]),
            "p, after Holm": format_p(row["p_holm"]),
            **(ours if row["config"] else dict.fromkeys(ours, "not run")),
            "reproduced": row["reproduced"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def _interval(row: Mapping, value: str, low: str, high: str) -> str:
    return f"{100 * row[value]:.1f} [{100 * row[low]:.1f}, {100 * row[high]:.1f}]"


def summary(table: pd.DataFrame) -> str:
    """Say which numbers of :func:`side_by_side` are significant and which could be reproduced."""
    highest, clips, majority = table.loc[table["published"].idxmax()], class_counts()["test"], published()["majority"]
    return render(
        "published",
        table=table,
        majority=majority,
        floor=clips[majority],
        n=clips.sum(),
        n_classes=len(clips),
        train=class_counts()["train"].sum(),
        validation=published()["validation_clips"],
        highest=highest,
        interval=Markup(_interval(highest, "published", "published_low", "published_high")),
        counts=table["reproduced"]
        .value_counts()
        .reindex([NEEDS_DATA, OVERLAP, APART, NOT_RUN], fill_value=0)
        .to_list(),
    )


def what_was_wrong() -> list[tuple[str, str]]:
    """List the faults of the published study, their numbers computed from the printed ones, and what is done here."""
    table, printed = published_numbers(), published()
    highest = table.loc[table["name"] == printed["highest"]["of"]].iloc[0]
    # One network was printed twice, among the architectures and among the ablations.
    configs = [entry["config"] for group in printed["accuracies"].values() for entry in group]
    twice = (pd.Series(configs) == "deep_residual") & (table["kind"] != RARE)
    percent = 100 * table["published"]
    rare = percent[table["kind"] == RARE].to_list()  # the bug, the fix, focal loss
    confusion = np.array(printed["confusion"]["counts"])
    scores = {name: 100 * float(value) for name, value in scores_from_confusion(confusion).items()}
    n, majority = int(table["n"].iloc[0]), printed["majority"]
    floor = int(class_counts()["test"][majority])
    numbers = {
        "n": n, "majority": majority, "majority_correct": floor, "majority_share": 100 * floor / n,
        "highest_correct": highest["correct"], "highest": 100 * highest["published"], "highest_p": highest["p"],
        "highest_low": 100 * highest["published_low"], "highest_high": 100 * highest["published_high"],
        **{f"highest_{name}": value for name, value in printed["highest"].items()},
        "confusion_correct": int(confusion.trace()), "confusion_accuracy": scores["accuracy"],
        "confusion_balanced": scores["balanced_accuracy"], "bug": rare[0], "fix": rare[1],
        "standard_high": percent[twice].max(), "standard_low": percent[twice].min(),
    }  # fmt: skip
    return [(one["wrong"].format(**numbers), one["ours"]) for one in printed["what_was_wrong"]]
