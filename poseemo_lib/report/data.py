"""What a report is made from: studies, the tests among their configs, and the dataset where it can be found."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.ensembles import Ensemble, nested_selection, with_ensemble
from poseemo_lib.analysis.observers import Observers, observers_of
from poseemo_lib.analysis.results import Results, load_results
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.recipes import find_dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.paths import resolve
from poseemo_lib.report.comparisons import bug_tests, comparisons, with_baselines


@dataclass(frozen=True)
class ReportData:
    """Studies and what a report needs from them, each computed once, when it is asked for.

    The report is about the first study; the others may add an ablation, regimes against class imbalance, or a leak.
    `base` names a config that every other one is compared with; empty: the comparisons that the study calls for.
    """

    studies: tuple[Results, ...]
    base: str = ""

    @property
    def results(self) -> Results:
        """The study that the report is about."""
        return self.studies[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.results.classes

    @cached_property
    def best(self) -> ConfigRuns:
        """The config that validation selects."""
        return self.results.best()

    @cached_property
    def main(self) -> Results:
        """The configs that were tested on the same clips as the best one."""
        return next(split for split in self.results.by_split() if self.best in split.configs)

    @cached_property
    def nested(self) -> Ensemble | None:
        """The network that each fold selects: see :func:`poseemo_lib.analysis.ensembles.nested_selection`."""
        return nested_selection(self.main)

    @property
    def majority(self) -> ConfigRuns | None:
        """The majority baseline among `main`, or None."""
        return next((config for config in self.main.configs if config.is_majority), None)

    @cached_property
    def compared_with(self) -> str | None:
        """Name of the config that all others are compared with, or None."""
        ablated = factors.base_config(self.results)
        return self.base or (ablated.name if ablated else None)

    @cached_property
    def tests(self) -> pd.DataFrame:
        """Comparisons among the configs: see :func:`poseemo_lib.report.comparisons.comparisons`."""
        return comparisons(self.results, self.compared_with)

    @cached_property
    def baseline_tests(self) -> pd.DataFrame:
        """The best config against each baseline: see :func:`poseemo_lib.report.comparisons.with_baselines`."""
        return with_baselines(self.main, self.tests)

    @property
    def skill(self) -> list[dict]:
        """The best config against guessers: see :func:`poseemo_lib.report.comparisons.skill`; empty for a baseline."""
        rows = self.tests[(self.tests["family"] == "guess") & (self.tests["a"] == self.best.name)]
        return rows.to_dict("records")

    @cached_property
    def ablation(self) -> tuple[Results, pd.DataFrame]:
        """The first study with an ablation, and its table, which may be empty."""
        return self._first(lambda study: factors.ablation_table(study, tests=self._tests_of(study)))

    @cached_property
    def imbalance(self) -> tuple[Results, pd.DataFrame]:
        """The first study with regimes against class imbalance, and its table, which may be empty."""
        return self._first(factors.imbalance_table)

    @cached_property
    def bug_tests(self) -> pd.DataFrame:
        """The published bug against its fix: see :func:`poseemo_lib.report.comparisons.bug_tests`."""
        return bug_tests(self.imbalance[0])

    @cached_property
    def leakage(self) -> tuple[Results, pd.DataFrame]:
        """The first study with one model under several splits, and its table, which may be empty."""
        return self._first(lambda study: factors.leakage_table(study)[0])

    def _first(self, table: Callable[[Results], pd.DataFrame]) -> tuple[Results, pd.DataFrame]:
        for study in self.studies:
            if len(found := table(study)):
                return study, found
        return self.results, table(self.results)

    def _tests_of(self, study: Results) -> pd.DataFrame | None:
        if study is self.results:
            return self.tests
        base = factors.base_config(study)
        return comparisons(study, base.name) if base else None

    @cached_property
    def dataset(self) -> Dataset | None:
        """The dataset of the best config; None if it is not found."""
        return find_dataset(self.best.runs[0].record)

    @cached_property
    def observers(self) -> Observers | None:
        """The people who rated test clips of the best config; None without ratings."""
        return observers_of(self.best, self.dataset)

    @property
    def score_table(self) -> pd.DataFrame:
        """Scores of all configs and, where there are ratings, of people: see `Results.score_table`."""
        people = self.observers and self.observers.score_table()
        return pd.concat([self.results.score_table(), people], ignore_index=True)

    @cached_property
    def speed(self) -> pd.DataFrame:
        """Prediction time of each network among `main`: see :func:`poseemo_lib.analysis.speed.measure_speed`."""
        from poseemo_lib.analysis.speed import measure_speed

        return measure_speed([config for config in self.main.configs if config.is_network])

    def begin(self) -> None:
        """Start `interpretation`, which takes longest, in a process on another core; speed is measured before."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if cores > 1 and self.dataset is not None and self.best.multiply_adds and len(self.speed):
            # Spawned: a fork of a process that has used threads can wait for ever.
            pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_prepare, initargs=(cores - 1,))
            vars(self)["_begun"] = pool.submit(_interpret, self.best, self.dataset)
            pool.shutdown(wait=False)

    @cached_property
    def interpretation(self):
        """What the best config relies on (:mod:`poseemo_lib.analysis.interpretation`); None without network or data.

        Raises where the weights of a run are missing.
        """
        try:
            if begun := vars(self).get("_begun"):
                return begun.result()
        except BrokenProcessPool:  # it was killed, perhaps for want of memory
            pass
        return _interpret(self.best, self.dataset)

    @cached_property
    def clips_to_play(self) -> list:
        """Clips for the player; none if files are missing, for which figure 07 gives the reason."""
        from poseemo_lib.analysis.interpretation import player_clips

        try:
            return player_clips(self.best, self.dataset)
        except PoseemoError:
            return []


def _prepare(threads: int) -> None:
    """Make this process end with its parent, and leave a core to it."""
    import torch

    from poseemo_lib.studies.kernels import die_with_parent

    die_with_parent()
    torch.set_num_threads(min(threads, torch.get_num_threads()))


def _interpret(config: ConfigRuns, dataset: Dataset | None):
    from poseemo_lib.analysis.interpretation import interpret

    return interpret(config, dataset)


def load_report_data(runs: str | Path | Sequence[str | Path], base: str = "") -> ReportData:
    """Read one or more studies, folders of runs; with a `base` the ensemble of the three best networks is added.

    Raises
    ------
    UsageError
        A folder has no runs, or no config is called `base`.
    PoseemoError
        No run of a folder is complete.
    """
    places = [resolve(folder) for folder in ([runs] if isinstance(runs, str | Path) else runs)]
    if not places:
        raise UsageError("runs: wanted at least one folder of runs, got none")
    if twice := {place for place in places if places.count(place) > 1}:
        raise UsageError(f"runs: wanted each folder once, got {', '.join(sorted(twice))} more than once")
    first, *others = map(load_results, places)
    if base:
        base = first[base].name  # raises where there is none
        first = with_ensemble(first, base)
    return ReportData((first, *others), base)
