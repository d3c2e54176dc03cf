"""The published study beside ours: its numbers with intervals and tests, our configs of the same networks, its faults.

`published.yaml` holds what was printed. Of a published number nothing but counts is known, so its interval and test
take the clips for independent; clips of one show are not, and the true intervals are wider.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.factors import IMBALANCE, differing_factors, settings
from poseemo_lib.analysis.results import Results
from poseemo_lib.analysis.statistics import ALPHA, holm
from poseemo_lib.errors import PoseemoError
from poseemo_lib.files import read_yaml
from poseemo_lib.paths import PARAMETERS
from poseemo_lib.report.material import Material
from poseemo_lib.text import format_p
from poseemo_lib.training.metrics import scores_from_confusion
from poseemo_lib.training.run_folder import Run

FILE = Path(__file__).with_name("published.yaml")
RARE = "rare classes"
OURS = ["config", "study", "accuracy", "low", "high", "unit", "majority_share", "dataset", "synthetic", "differs_in"]
NEEDS_DATA = "no: needs CAER"
OVERLAP, APART, NOT_RUN = "yes: the intervals overlap", "no: the intervals do not overlap", "no: not run on CAER"


@dataclass(frozen=True)
class Fault:
    """Something that was wrong with the published study, and what is done about it here."""

    wrong: str
    ours: str


@cache
def published() -> dict:
    """Read what was printed.

    Returns
    -------
    dict
        The content of `published.yaml`.
    """
    return read_yaml(FILE)


def correct_count(percent: str, n: int) -> int:
    """Find how many of n clips were right, from a percentage as printed.

    Parameters
    ----------
    percent : str
        With the decimals that were printed.
    n : int
        Number of clips.

    Returns
    -------
    int

    Raises
    ------
    PoseemoError
        No count, or more than one, rounds to it.
    """
    decimals = len(percent.partition(".")[2])
    found = [count for count in range(n + 1) if f"{100 * count / n:.{decimals}f}" == percent]
    if len(found) != 1:
        raise PoseemoError(f"{FILE.name}: wanted a percentage that one count of {n} clips rounds to, got {percent}")
    return found[0]


def class_counts() -> pd.DataFrame:
    """Count the published study's clips.

    Returns
    -------
    DataFrame
        Index class; train, test: clips.
    """
    return pd.DataFrame(published()["clips"], index=["train", "test"]).T.rename_axis("class")


def confusion_matrix() -> np.ndarray:
    """Give the published confusion matrix: (C, C) counts, rows true, classes in the order of :func:`class_counts`."""
    return np.array(published()["confusion"]["counts"])


def published_numbers() -> pd.DataFrame:
    """Hold every published accuracy against always answering the largest class of the test part.

    Returns
    -------
    DataFrame
        kind, name; published: accuracy, 0 to 1; correct, n: clips; published_low, published_high: Wilson's 95 %
        interval; p: one-sided, exact binomial; p_holm: after Holm's correction for all rows; above: p_holm < 0.05;
        recalled: classes with a recall above 5 %, NaN where not printed.
    """
    clips = class_counts()["test"]
    n, floor = int(clips.sum()), clips[published()["majority"]] / clips.sum()
    rows = []
    for kind, entries in published()["accuracies"].items():
        for entry in entries:
            correct = correct_count(entry["percent"], n)
            test = binomtest(correct, n, floor, alternative="greater")
            low, high = binomtest(correct, n).proportion_ci(method="wilson")
            row = {"kind": kind, "name": entry["name"], "published": correct / n, "correct": correct, "n": n}
            row |= {"published_low": low, "published_high": high, "p": test.pvalue}
            rows.append(row | {"recalled": entry.get("recalled", np.nan)})
    table = pd.DataFrame(rows)
    table.insert(8, "p_holm", holm(table["p"]))
    table.insert(9, "above", table["p_holm"] < ALPHA)
    return table


def side_by_side(material: Material) -> pd.DataFrame:
    """Put our config of the same network and setting beside every published accuracy.

    A config is of the same network where architecture, hyper-parameters of the model and what is done about rare classes
    are those of our parameter file of it; of several, the one that differs in least besides. Leaky configs stand beside
    nothing.

    Parameters
    ----------
    material : Material
        All of its studies are looked through.

    Returns
    -------
    DataFrame
        The columns of :func:`published_numbers`, and of our config: config, study, accuracy, low, high (0 to 1, 95 %
        interval), unit, majority_share (share of the largest class in OUR test part), dataset, synthetic, differs_in
        (names of what else differs from the parameter file); empty or NaN where there is no such config. And reproduced:
        yes or no, and why.
    """
    entries = [(kind, entry) for kind, group in published()["accuracies"].items() for entry in group]
    configs = {kind: _networks(material, kind) for kind in published()["accuracies"]}
    ours = pd.DataFrame([_our_row(_same_network(entry, configs[kind])) for kind, entry in entries], columns=OURS)
    table = published_numbers().join(ours)
    has_caer = any(_is_caer(study.runs[0].record["dataset"]) for study in material.studies)
    return table.assign(reproduced=[_reproduced(row, has_caer) for row in table.to_dict("records")])


def _networks(material: Material, kind: str) -> list[tuple[Results, ConfigRuns, dict]]:
    """List the networks without leaks, each with its study and settings."""
    studies = list(material.studies)
    if kind == RARE:  # their regimes beside each other come from one study
        studies.sort(key=lambda study: study is not material.imbalance[0])
    configs = [
        (study, config) for study in studies for config in study.configs if config.is_network and not config.leaks
    ]
    return [(study, config, settings(config)) for study, config in configs]


def _same_network(entry: Mapping, configs: list[tuple[Results, ConfigRuns, dict]]) -> tuple | None:
    """Find the config of a published network: its study, itself, and what it differs in; None where there is none."""
    wanted, open_names = _wanted(entry), entry.get("not_stated", [])
    found = []
    for study, config, own in configs:
        differing = differing_factors(_with_open(wanted, own, open_names), own)
        if not differing & _decisive(own):
            found.append((len(differing), len(differing_factors(wanted, own)), study, config, differing))
    # The first of equals: `min` keeps the order of the studies.
    return min(found, key=lambda one: one[:2])[2:] if found else None


def _wanted(entry: Mapping) -> dict:
    """Give the settings of our parameter file of a published network, trained as published."""
    values = read_yaml(PARAMETERS / f"{entry['from']}.yaml") | published()["training"] | entry.get("with", {})
    return settings(ConfigRuns("", [Run(Path(), {"parameters": values})]))


def _with_open(wanted: dict, own: dict, names: list[str]) -> dict:
    """Take what was not stated as the config has it; with the architecture, its hyper-parameters."""
    kept = {
        name: value for name, value in wanted.items() if "architecture" not in names or not name.startswith("model.")
    }
    taken = {*names, *(name for name in own if "architecture" in names and name.startswith("model."))}
    return kept | {name: own[name] for name in taken}


def _decisive(own: dict) -> set[str]:
    """Name the factors in which the config of a published network must not differ."""
    return {"architecture", IMBALANCE, *(name.removeprefix("model.") for name in own if name.startswith("model."))}


def _our_row(found: tuple | None) -> dict:
    if found is None:
        numbers = dict.fromkeys(("accuracy", "low", "high", "majority_share"), np.nan)
        return dict.fromkeys(OURS, "") | numbers | {"synthetic": False}
    study, config, differing = found
    score = config.scores.scores.set_index("metric").loc["accuracy"]
    data = config.runs[0].record["dataset"]
    row = {"config": config.name, "study": study.root.name, "accuracy": score["mean"], "low": score["low"]}
    row |= {"high": score["high"], "unit": config.unit, "majority_share": float(config.predicted_shares["true"].max())}
    return row | {"dataset": data["name"], "synthetic": data["synthetic"], "differs_in": ", ".join(sorted(differing))}


def _is_caer(data: Mapping) -> bool:
    """Whether a run's dataset calls itself CAER and is real; not CAER-S, its image twin."""
    words = re.findall(r"[a-z0-9]+", data["name"].lower())
    return not data["synthetic"] and words[:1] == ["caer"] and words[1:2] != ["s"]


def _reproduced(row: Mapping, has_caer: bool) -> str:
    if not has_caer:
        return NEEDS_DATA
    if not row["config"] or not _is_caer({"name": row["dataset"], "synthetic": row["synthetic"]}):
        return NOT_RUN
    overlap = row["low"] <= row["published_high"] and row["published_low"] <= row["high"]
    return OVERLAP if overlap else APART


def format_side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Lay a table of :func:`side_by_side` out for reading, in percent.

    Returns
    -------
    DataFrame
        One row a published number, in the same order.
    """
    rows = table.to_dict("records")
    none = "not run"
    return pd.DataFrame(
        {
            "of": table["kind"],
            "published as": table["name"],
            "published accuracy": [_interval(row, "published", "published_low", "published_high") for row in rows],
            "p against always neutral": table["p"].map(format_p),
            "p after Holm": table["p_holm"].map(format_p),
            "our config": [f"{row['config']} ({row['study']})" if row["config"] else none for row in rows],
            "our accuracy": [_interval(row, "accuracy", "low", "high") if row["config"] else none for row in rows],
            "ours differs in": [row["differs_in"] if row["config"] else none for row in rows],
            "largest class in our test part": [
                f"{100 * row['majority_share']:.1f}" if row["config"] else none for row in rows
            ],
            "ours measured on": [_measured_on(row) if row["config"] else none for row in rows],
            "reproduced": table["reproduced"],
        }
    )


def _interval(row: Mapping, value: str, low: str, high: str) -> str:
    return f"{100 * row[value]:.1f} [{100 * row[low]:.1f}, {100 * row[high]:.1f}]"


def _measured_on(row: Mapping) -> str:
    unit = f" by {row['unit']}" if row["unit"] != "clip" else ""
    return f"{row['dataset']}{unit}, {'synthetic' if row['synthetic'] else 'real'}"


def summary(table: pd.DataFrame) -> str:
    """Say what the published numbers support, and which of them could be reproduced.

    Parameters
    ----------
    table : DataFrame
        From :func:`side_by_side`.

    Returns
    -------
    str
        One line.
    """
    highest = table.loc[table["published"].idxmax()]
    clips, majority = class_counts()["test"], published()["majority"]
    floor, n = int(clips[majority]), int(clips.sum())
    text = (
        f"Significantly above always answering {majority} ({floor}/{n} = {100 * floor / n:.1f} %), after Holm's "
        f"correction: {int(table['above'].sum())} of {len(table)} published accuracies. The highest, "
        f"{highest['name']} with {_interval(highest, 'published', 'published_low', 'published_high')} %, has "
        f"p = {highest['p']:.2f} before that correction. "
    )
    return text + _reproduced_text(table["reproduced"])


def _reproduced_text(reproduced: pd.Series) -> str:
    """Say how many could be reproduced."""
    if (reproduced == NEEDS_DATA).all():
        return "None of them could be reproduced here: that takes CAER, which is not distributed with this project."
    overlap, apart, missing = ((reproduced == one).sum() for one in (OVERLAP, APART, NOT_RUN))
    return (
        f"On CAER, by other test clips than the published ones: the intervals of {overlap} overlap with ours, those of "
        f"{apart} do not, and {missing} were not run."
    )


def what_was_wrong() -> list[Fault]:
    """List the faults of the published study, and what is done about each here.

    Returns
    -------
    list of Fault
        Plain text; every number in it is worked out from the printed ones.
    """
    facts = _facts()
    return [Fault(one["wrong"].format(**facts), one["ours"]) for one in published()["what_was_wrong"]]


def _facts() -> dict:
    """Work out the numbers that the list of faults names; percentages."""
    table, printed = published_numbers(), published()
    n, majority, by_name = int(table["n"].iloc[0]), printed["majority"], table.groupby("name")["published"].max()
    highest = table.loc[table["name"] == printed["highest"]["of"]].iloc[0]
    standard = table[table["name"].isin(_names("architectures/deep_residual"))]["published"]
    bug, fix = (100 * by_name[name] for name in (_bug_name(True), _bug_name(False)))
    confusion = confusion_matrix()
    scores = {name: 100 * float(value) for name, value in scores_from_confusion(confusion).items()}
    floor = int(class_counts()["test"][majority])
    return {
        "n": n, "majority": majority, "majority_correct": floor, "majority_share": 100 * floor / n,
        "highest_correct": highest["correct"], "highest": 100 * highest["published"], "highest_p": highest["p"],
        "highest_low": 100 * highest["published_low"], "highest_high": 100 * highest["published_high"],
        "highest_macro_f1": printed["highest"]["macro_f1"], "neutral_answers": printed["highest"]["neutral_answers"],
        "highest_balanced_accuracy": printed["highest"]["balanced_accuracy"],
        "confusion_correct": int(confusion.trace()), "confusion_accuracy": scores["accuracy"],
        "confusion_balanced": scores["balanced_accuracy"], "bug": bug, "fix": fix,
        "standard_high": 100 * standard.max(), "standard_low": 100 * standard.min(),
    }  # fmt: skip


def _names(file: str) -> list[str]:
    """Name what was published of a parameter file's network, without the rare classes."""
    kinds = published()["accuracies"].items()
    return [one["name"] for kind, group in kinds if kind != RARE for one in group if one["from"] == file]


def _bug_name(doubled: bool) -> str:
    group = published()["accuracies"][RARE]
    return next(one["name"] for one in group if ("class_weights" in one.get("with", {})) == doubled)
