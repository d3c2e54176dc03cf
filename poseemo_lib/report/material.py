"""What a report is made from: studies, the tests among their configs, and the dataset where it can be found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.ensembles import with_ensemble
from poseemo_lib.analysis.results import Results, load_results
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.recipes import find_dataset
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.paths import resolve
from poseemo_lib.report.ahead import Ahead, spare_cores
from poseemo_lib.report.findings import comparisons


@dataclass(frozen=True)
class Material:
    """Studies and what a report needs of them, each thing made once and when it is asked for.

    Parameters
    ----------
    studies : tuple of Results
        The first is the one that the report is about. The others may add an ablation, regimes against uneven classes,
        or a leak.
    base : str
        Name of a config that every other one is compared with; empty: what the study calls for.
    """

    studies: tuple[Results, ...]
    base: str = ""

    @property
    def results(self) -> Results:
        """The study that the report is about, all of its configs."""
        return self.studies[0]

    @cached_property
    def main(self) -> Results:
        """Its configs that can be compared with the best one: those tested on the same clips."""
        best = self.results.best()
        return next(part for part in self.results.parts() if any(config.name == best.name for config in part.configs))

    @cached_property
    def best(self) -> ConfigRuns:
        """The config that validation chooses."""
        return self.results.best()

    @cached_property
    def held_against(self) -> str | None:
        """Name of the config that all others are compared with, or None."""
        ablated = factors.base_config(self.results)
        return self.base or (ablated.name if ablated else None)

    @cached_property
    def tests(self) -> pd.DataFrame:
        """Comparisons among the configs of the study: see :func:`poseemo_lib.report.findings.comparisons`."""
        return comparisons(self.results, self.held_against)

    @cached_property
    def ablation(self) -> tuple[Results, pd.DataFrame]:
        """The first study that is an ablation, and :func:`poseemo_lib.analysis.factors.ablation_table` of it, maybe empty."""
        return self._first(lambda study: factors.ablation_table(study, tests=self._tests_of(study)))

    @cached_property
    def imbalance(self) -> tuple[Results, pd.DataFrame]:
        """The first study with regimes against uneven classes, and its table, maybe empty."""
        return self._first(factors.imbalance_table)

    @cached_property
    def leakage(self) -> tuple[Results, pd.DataFrame]:
        """The first study with one model under several splits, and its table, maybe empty."""
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
        """The dataset of the best config; None where it is not found."""
        return find_dataset(self.best.runs[0].record)

    @cached_property
    def speed(self) -> pd.DataFrame:
        """Time that each network among `main` takes: see :func:`poseemo_lib.analysis.speed.measure_speed`."""
        from poseemo_lib.analysis.speed import measure_speed

        return measure_speed([config for config in self.main.configs if config.is_network])

    def begin(self) -> None:
        """Begin with `interpretation`, which takes longest, on another core where there is one.

        The speed is measured before, while nothing else runs, and what is counted before is not counted twice.
        """
        cores = spare_cores()
        if cores and self.dataset is not None and self.best.multiply_adds and len(self.speed):
            vars(self)["_begun"] = Ahead(_interpret, self.best, self.dataset, cores)

    @cached_property
    def interpretation(self):
        """What the best config looks at: :func:`poseemo_lib.analysis.interpretation.interpret`; None without network or data.

        Raises where the weights of a run are gone.
        """
        if begun := vars(self).get("_begun"):
            return begun.result()
        return _interpret(self.best, self.dataset)

    @cached_property
    def clips_to_play(self) -> list:
        """Clips for the player (:func:`poseemo_lib.analysis.interpretation.player_clips`); none where weights or clips are gone.

        Why they are gone is what `interpretation` raises, and figure 07 says it.
        """
        from poseemo_lib.analysis.interpretation import player_clips

        try:
            return player_clips(self.best, self.dataset)
        except PoseemoError:
            return []

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.results.classes


def _interpret(config: ConfigRuns, dataset: Dataset | None, threads: int = 0):
    from poseemo_lib.analysis.interpretation import interpret

    if threads:
        import torch

        torch.set_num_threads(min(threads, torch.get_num_threads()))
    return interpret(config, dataset)


def load_material(runs: str | Path | Sequence[str | Path], base: str = "") -> Material:
    """Read one or more studies.

    Parameters
    ----------
    runs : str, Path or sequence of them
        Folders of runs; the report is about the first.
    base : str
        See :class:`Material`. With it the ensemble of the three best networks is one more config.

    Returns
    -------
    Material

    Raises
    ------
    UsageError
        A folder has no runs, or there is no config called `base`.
    PoseemoError
        No run of a folder is complete.
    """
    folders = [runs] if isinstance(runs, str | Path) else list(runs)
    if not folders:
        raise UsageError("runs: wanted at least one folder of runs, got none")
    places = [resolve(folder) for folder in folders]
    if twice := {place for place in places if places.count(place) > 1}:
        raise UsageError(f"runs: wanted each folder once, got {', '.join(sorted(twice))} more than once")
    first, *others = (load_results(resolve(folder)) for folder in folders)
    if base:
        base = first[base].name  # raises where there is none
        first = with_ensemble(first, base)
    return Material((first, *others), base)
