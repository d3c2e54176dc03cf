"""All variations of one architecture over several studies of one dataset, named by what they change.

The plain one is the config with the architecture's default hyper-parameters that differs least from the defaults of a
run. One variation in two studies stays two rows: the studies may differ in seeds and in the version of the code.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import Results

ARCHITECTURE, PLAIN = "deep_residual", "default"


@dataclass(frozen=True)
class Variation:
    """One config of the architecture: its unique label, its study, and what it changes from the plain one."""

    label: str
    study: str
    config: ConfigRuns
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Variations:
    """Configs of one architecture that were tested on the same clips, and the baselines tested on them."""

    rows: tuple[Variation, ...]  # the plain one first
    changes: tuple[str, ...]  # what the plain one itself changes from the defaults of a run
    left_out: tuple[str, ...]  # `study/config` of the same architecture and dataset, tested on other clips
    baselines: tuple[ConfigRuns, ...]  # one of each architecture

    @property
    def plain(self) -> Variation:
        """The plain one."""
        return self.rows[0]

    @property
    def results(self) -> Results:
        """Their configs."""
        return Results(Path(), [row.config for row in self.rows])

    @property
    def n_commits(self) -> int:
        """Number of versions of the code that made the runs."""
        return len({run.record.get("commit", "") for row in self.rows for run in row.config.runs})

    def score_table(self) -> pd.DataFrame:
        """Macro-F1 of every variation.

        Columns: label, study, config, changes, is_plain, n_parameters, mean, sd, low, high, n_seeds, validation
        (macro-F1 on validation).
        """
        rows = []
        for row in self.rows:
            table = {"label": row.label, "study": row.study, "config": row.config.name}
            table |= {"changes": ", ".join(row.changes), "is_plain": not row.changes}
            table |= {"n_parameters": row.config.n_parameters} | row.config.scores.score("macro_f1").to_dict()
            rows.append(table | {"validation": row.config.validation_macro_f1})
        return pd.DataFrame(rows).astype({"n_seeds": int})

    def seed_table(self) -> pd.DataFrame:
        """Macro-F1 of every seed by itself: label, seed, value."""
        configs = [replace(row.config, name=row.label) for row in self.rows]
        table = Results(Path(), configs).seed_scores().rename(columns={"config": "label"})
        return table.loc[table["metric"] == "macro_f1", ["label", "seed", "value"]].reset_index(drop=True)

    def recall_table(self) -> pd.DataFrame:
        """Recall of every class: label, class, recall, low, high, support; NaN without clips of the class."""
        tables = pd.concat([row.config.recall.assign(label=row.label) for row in self.rows], ignore_index=True)
        return tables[["label", "class", "recall", "low", "high", "support"]]

    def baseline_table(self) -> pd.DataFrame:
        """Macro-F1 of the baselines: name, is_majority, mean."""
        rows = [(config.name, config.is_majority, config.scores.score("macro_f1")["mean"]) for config in self.baselines]
        return pd.DataFrame(rows, columns=["name", "is_majority", "mean"])


def find_variations(studies: Sequence[Results], best: ConfigRuns) -> Variations | None:
    """Collect the architecture's configs from all studies of one dataset, that of `best`; None where there is none."""
    dataset = _dataset_hash(best)
    pairs = [
        (name, config)
        for name, study in _named(studies)
        for config in study.configs
        if _dataset_hash(config) == dataset
    ]
    own = [(name, config) for name, config in pairs if config.architecture == ARCHITECTURE]
    if not own:
        return None
    defaults = factors.settings_of({"architecture": ARCHITECTURE})
    first = min(own, key=lambda pair: _distance(pair[1], defaults))  # of equals the first study's
    clips = first[1].tested_on
    own.remove(first)
    same = [first, *(pair for pair in own if pair[1].tested_on == clips)]
    left_out = tuple(f"{name}/{config.name}" for name, config in own if config.tested_on != clips)
    baselines = {
        config.architecture: config for _, config in reversed(pairs) if config.is_baseline and config.tested_on == clips
    }
    return Variations(_labelled(same), changes_of(first[1], defaults), left_out, tuple(reversed(baselines.values())))


def changes_of(config: ConfigRuns, base: dict) -> tuple[str, ...]:
    """Name what a config changes from other settings: `hidden 128`, `without squeeze excitation`."""
    values = factors.settings(config)
    return tuple(_change(factor, config, values, base) for factor in sorted(factors.differing_factors(base, values)))


def _change(factor: str, config: ConfigRuns, values: dict, base: dict) -> str:
    if factor in (factors.IMBALANCE, factors.SPLIT):
        return f"{factor} {(factors.imbalance_regime if factor == factors.IMBALANCE else factors.split_name)(config)}"
    text, name = factors.value_text(factor, values, base), factor.replace("_", " ")
    return f"{text} {name}" if text in ("with", "without") else f"{name} {text}"


def _dataset_hash(config: ConfigRuns) -> str:
    return config.runs[0].record["dataset"]["content_hash"]


def _distance(config: ConfigRuns, defaults: dict) -> tuple:
    """Distance of a config from the defaults: a leak weighs most, then hyper-parameters, then all other factors."""
    values = factors.settings(config)
    changed = [name for name in values if name.startswith("model.") and values[name] != defaults.get(name)]
    return bool(config.leaks), len(changed), len(factors.differing_factors(defaults, values))


def _named(studies: Sequence[Results]) -> list[tuple[str, Results]]:
    """Name each study by its folder, and by the one above it too where two have the same name."""
    times = Counter(study.root.name for study in studies)
    return [
        (study.root.name if times[study.root.name] == 1 else f"{study.root.parent.name}/{study.root.name}", study)
        for study in studies
    ]


def _labelled(pairs: list[tuple[str, ConfigRuns]]) -> tuple[Variation, ...]:
    """Label configs by what they change from the first; add the study and the name where they are equal."""
    base = factors.settings(pairs[0][1])
    changes = [changes_of(config, base) for _, config in pairs]
    plain = [", ".join(one) or PLAIN for one in changes]
    labels = plain
    for more in ("{study}", "{study}/{config}"):
        times = Counter(labels)
        texts = [more.format(study=study, config=config.name) for study, config in pairs]
        labels = [f"{plain[i]} ({texts[i]})" if times[label] > 1 else label for i, label in enumerate(labels)]
    return tuple(
        Variation(label, study, config, one) for label, (study, config), one in zip(labels, pairs, changes, strict=True)
    )
