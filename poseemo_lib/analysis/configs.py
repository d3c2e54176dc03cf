"""One config of a study: its completed runs, with their predictions and scores."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

import pandas as pd

from poseemo_lib.training.calibration import calibrated, calibration_of, check_calibration
from poseemo_lib.training.evaluation import ConfigScores, Training, average_by_source, config_scores
from poseemo_lib.training.parameters import RunParameters, is_baseline
from poseemo_lib.training.run_folder import Run

# Baselines that are the same with every seed: more seeds of them are no more evidence.
DETERMINISTIC = ("majority", "logistic_regression")
# Architecture of `ensembles.Ensemble`, a config that is made of others.
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class ConfigRuns:
    """The completed runs of one config: all its seeds, and folds where it has them."""

    name: str
    runs: list[Run]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(self.runs[0].record["classes"])

    @property
    def parameters(self) -> dict:
        """All parameters of its first run; one that the run's version did not have is at its default."""
        defaults = {name: field.default for name, field in RunParameters.model_fields.items()}
        return defaults | self.runs[0].record["parameters"]

    @property
    def architecture(self) -> str:
        """Name of the model or baseline."""
        return self.parameters["architecture"]

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of the baselines."""
        return is_baseline(self.architecture)

    @property
    def is_network(self) -> bool:
        """Whether it is a single network: neither a baseline nor an ensemble."""
        return not self.is_baseline and self.architecture != ENSEMBLE

    @property
    def is_majority(self) -> bool:
        """Whether it always predicts the most frequent class."""
        return self.architecture == "majority"

    @property
    def is_blind(self) -> bool:
        """Whether it sees no pose: only the labels' shares."""
        return self.architecture in ("majority", "stratified")

    @property
    def n_parameters(self) -> int | None:
        """Trainable parameters; None for a baseline."""
        return self.runs[0].record.get("n_parameters")

    def untrained(self):
        """Build its network with new weights."""
        from poseemo_lib.models import build_model

        n_outputs = self.parameters["n_outputs"] or len(self.classes)
        return build_model(self.architecture, n_outputs, **self.parameters["model"])

    @cached_property
    def multiply_adds(self) -> int | None:
        """Multiply-adds of one window; None where there is no network."""
        from poseemo_lib.models.cost import count_multiply_adds

        return count_multiply_adds(self.untrained(), n_frames=self.parameters["n_frames"]) if self.is_network else None

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds that count, sorted: those with the most folds. A deterministic baseline has one."""
        folds: dict[int, set[str]] = {}
        for run in self._whole:
            folds.setdefault(run.seed, set()).add(run.fold)
        fullest = max((folds[seed] for seed in sorted(folds)), key=len)
        seeds = sorted(seed for seed in folds if folds[seed] == fullest)
        return seeds[:1] if self.architecture in DETERMINISTIC else seeds

    @property
    def counted_runs(self) -> list[Run]:
        """Runs of the seeds that count."""
        return [run for run in self._whole if run.seed in self.seeds]

    @cached_property
    def n_repeats(self) -> int:
        """Repeats of its cross-validation, or 1."""
        return len({run.repeat for run in self.counted_runs})

    def training_of(self, run: Run) -> int | Training:
        """Return the key of a run in :meth:`predictions`."""
        return Training(run.seed, run.repeat) if self.n_repeats > 1 else run.seed

    @cached_property
    def _whole(self) -> list[Run]:
        """All runs but those of repeats that lack a fold; where all do, those of the first repeat with most folds."""
        sizes = Counter((run.seed, run.repeat) for run in self.runs)
        most = max(sizes.values())
        first = min(repeat for (_, repeat), n in sizes.items() if n == most)
        kept = {one for one, n in sizes.items() if n == most and (n == self.parameters["folds"] or one[1] == first)}
        return [run for run in self.runs if (run.seed, run.repeat) in kept]

    @property
    def unit(self) -> str:
        """What is scored: clip or recording."""
        return "recording" if self.parameters["score_by"] == "source" else "clip"

    @property
    def leaks(self) -> dict[str, int]:
        """Largest number of leaks of each kind that the audit found in its splits; empty: none."""
        return largest_counts(run.record["leaks"] for run in self.runs)

    def predictions(self, split: str = "test") -> dict[int | Training, pd.DataFrame]:
        """Pool the predictions of a split over the folds: seed -> table, one row a clip (or recording, as scored).

        A cross-validation that is repeated has a table for each seed of each repeat.
        """
        return self._pooled(split, lambda run: self._units(run, split))

    def calibrated(self, split: str = "test", *, prior: bool = True) -> dict[int | Training, pd.DataFrame]:
        """As :meth:`predictions`, with the probabilities of each run calibrated; or by its temperature alone."""
        return self._pooled(
            split, lambda run: calibrated(self._units(run, split), self.classes, self.calibration(run), prior=prior)
        )

    def calibration(self, run: Run) -> dict:
        """Return a run's `calibration.json`; where it has none, a temperature is fitted."""
        stored = run.calibration()
        if stored is None:
            return calibration_of(self._units(run, "val"), self.classes)
        check_calibration(stored, self.classes, str(run.folder / "calibration.json"))
        return stored

    def _units(self, run: Run, split: str) -> pd.DataFrame:
        table = run.predictions(split)
        return average_by_source(table, self.classes) if self.unit == "recording" else table

    def _pooled(self, split: str, read: Callable[[Run], pd.DataFrame]) -> dict[int, pd.DataFrame]:
        """Read a table of every run that counts, and pool the folds."""
        by_seed: dict[int | Training, list[pd.DataFrame]] = {}
        for run in self.counted_runs:
            table = read(run)
            named = table.assign(clip_id=pooled_names(table["clip_id"], run, split))
            by_seed.setdefault(self.training_of(run), []).append(named)
        return {seed: pd.concat(tables, ignore_index=True) for seed, tables in sorted(by_seed.items())}

    @cached_property
    def scores(self) -> ConfigScores:
        """Scores on the test split, with intervals."""
        return config_scores(self.predictions("test"), self.classes)

    @cached_property
    def calibrated_scores(self) -> ConfigScores:
        """Scores of the calibrated probabilities, whose class prior can change the predicted classes."""
        return config_scores(self.calibrated("test"), self.classes)

    @property
    def recall(self) -> pd.DataFrame:
        """Recall of every class: class, recall, sd, low, high, support."""
        return self.scores.per_class.query("metric == 'recall'").rename(columns={"mean": "recall"})

    @cached_property
    def tested_on(self) -> frozenset[str]:
        """Clips (or recordings) that it was tested on, each with its fold."""
        key = "source_id" if self.unit == "recording" else "clip_id"
        return frozenset(f"{run.fold}/{clip}" for run in self.counted_runs for clip in run.predictions("test")[key])

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing: 1 / number of classes in the test split."""
        return 1 / int((self.scores.confusion.sum(1) > 0).sum())

    @property
    def predicted_shares(self) -> pd.DataFrame:
        """How often each class was predicted and how often it was true: columns predicted and true, index class."""
        confusion = self.scores.confusion
        shares = {"predicted": confusion.sum(0) / confusion.sum(), "true": confusion.sum(1) / confusion.sum()}
        return pd.DataFrame(shares, index=pd.Index(self.classes, name="class"))

    @cached_property
    def validation_macro_f1(self) -> float:
        """Mean macro-F1 on validation, over seeds: what a choice between configs may use."""
        return float(config_scores(self.predictions("val"), self.classes).score("macro_f1")["mean"])


def pooled_names(clips: pd.Series, run: Run, split: str) -> pd.Series:
    """Name clips so that folds can be pooled: in validation a clip is predicted in several folds.

    A cross-validation tests a clip in one fold of each repeat, under the same name.
    """
    return clips if run.repeat and split == "test" else run.fold + "/" + clips


def largest_counts(found: Iterable[dict[str, int]]) -> dict[str, int]:
    """Take the largest count of each kind, without zeros."""
    return dict(reduce(or_, map(Counter, found), Counter()))


def selected(configs: list[ConfigRuns]) -> ConfigRuns:
    """Return the selected model: the network with the best macro-F1 on validation, without a leak if there is one.

    The test split plays no role. Ensembles are left out, since their members were chosen on the same validation split.
    Without a network, another config is selected.
    """
    networks = [config for config in configs if config.is_network]
    return max(networks or configs, key=lambda config: (not config.leaks, config.validation_macro_f1))
