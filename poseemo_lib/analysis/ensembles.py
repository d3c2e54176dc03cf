"""Several networks as one: the mean of their probabilities.

Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles". Members are
chosen by validation, in each fold by that fold's own, so that the test group plays no role.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns
from poseemo_lib.analysis.predictions import Predictions, mean_probabilities
from poseemo_lib.analysis.results import Results
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.training.evaluation import Training


def ensemble_predictions(configs: dict[str, Predictions], classes: tuple[str, ...]) -> Predictions:
    """Average the probabilities of configs (name -> seed -> predictions table) for each seed that all of them have.

    Raises
    ------
    PoseemoError
        The configs have no seed in common, or were tested on different clips.
    """
    common = sorted(set.intersection(*(set(by_seed) for by_seed in configs.values())))
    if not common:
        seeds = ", ".join(f"{name} {sorted(by_seed)}" for name, by_seed in configs.items())
        raise PoseemoError(f"ensemble: wanted configs with a seed in common, got {seeds}; run them with the same seeds")
    return {
        seed: mean_probabilities({name: by_seed[seed] for name, by_seed in configs.items()}, classes) for seed in common
    }


def best_by_validation(results: Results, n: int = 3) -> dict[str, list[str]]:
    """Choose up to n networks with the best macro-F1 on validation, mean over seeds, within each fold.

    Returns fold -> names of configs, the best first. The fold of runs without folds is "".

    Raises
    ------
    UsageError
        n is below 1, or there is no network.
    PoseemoError
        The networks have different folds.
    """
    networks = [config for config in results.configs if config.is_network]
    if n < 1 or not networks:
        raise UsageError(f"ensemble: wanted n of at least 1 and a network, got n = {n} and {len(networks)} networks")
    folds = {config.name: sorted({run.fold for run in config.counted_runs}) for config in networks}
    every = folds[networks[0].name]
    for name, mine in folds.items():
        if mine != every:
            raise PoseemoError(
                f"ensemble: wanted networks with the same folds, got {every} of {networks[0].name} and {mine} of "
                f"{name}; complete the study"
            )
    best = {}
    for fold in every:
        # By name where they are equal, so that the order of the configs does not matter.
        ranked = sorted((-_within(config, fold).validation_macro_f1, config.name) for config in networks)
        best[fold] = [name for _, name in ranked[:n]]
    return best


def _within(config: ConfigRuns, fold: str) -> ConfigRuns:
    return ConfigRuns(config.name, [run for run in config.counted_runs if run.fold == fold])


@dataclass(frozen=True)
class Ensemble(ConfigRuns):
    """Networks as one config, which has predictions and scores as any other.

    Its runs are its members'. Its macro-F1 on validation is too high, since validation chose the members: never choose
    by it.
    """

    members: dict[str, list[ConfigRuns]] = field(default_factory=dict)  # fold -> the configs whose mean predicts it

    @property
    def architecture(self) -> str:
        """No model's name."""
        return ENSEMBLE

    @property
    def n_parameters(self) -> None:
        """Its members may differ from fold to fold."""
        return None

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds, sorted."""
        return sorted({getattr(key, "seed", key) for key in self.predictions("test")})

    def predictions(self, split: str = "test") -> Predictions:
        """Average the members' predictions of a split in each fold, and pool the folds: seed -> table."""
        return self._averaged(lambda config: config.predictions(split))

    def calibrated(self, split: str = "test", *, prior: bool = True) -> Predictions:
        """Average the members' calibrated predictions; the average itself is not calibrated once more."""
        return self._averaged(lambda config: config.calibrated(split, prior=prior))

    def _averaged(self, read: Callable[[ConfigRuns], Predictions]) -> Predictions:
        within = {fold: [_within(config, fold) for config in configs] for fold, configs in self.members.items()}
        folds = [
            (ones[0].runs[0].repeat, ensemble_predictions({one.name: read(one) for one in ones}, self.classes))
            for ones in within.values()
        ]
        repeats = sorted({repeat for repeat, _ in folds})
        pooled = {}
        for seed in sorted(set.intersection(*(set(by_seed) for _, by_seed in folds))):
            for repeat in repeats:
                tables = [by_seed[seed] for one, by_seed in folds if one == repeat]
                key = Training(seed, repeat) if len(repeats) > 1 else seed
                pooled[key] = pd.concat(tables, ignore_index=True)
        return pooled


def ensemble_config(results: Results, n: int = 3) -> Ensemble:
    """Make one config of the n best networks by validation."""
    best = best_by_validation(results, n)
    members = {fold: [results[name] for name in names] for fold, names in best.items()}
    runs = [run for fold, configs in members.items() for config in configs for run in _within(config, fold).runs]
    return Ensemble(f"ensemble of {max(map(len, members.values()))}", runs, members)


def nested_selection(results: Results) -> Ensemble | None:
    """Make one config of the network that each fold selects by its own validation: the honest score of selecting so.

    None without folds, or without two networks that have a seed in common. All configs have the same folds.
    """
    networks = [config for config in results.configs if config.is_network]
    if len(networks) < 2 or not networks[0].runs[0].fold or not set.intersection(*(set(one.seeds) for one in networks)):
        return None
    return replace(ensemble_config(results, 1), name="selected in each fold")


def with_ensemble(results: Results, name: str) -> Results:
    """Add the ensemble of the three best networks that were tested on the same clips as the config `name`.

    With fewer than two such networks nothing is added.
    """
    clips = results[name].tested_on
    alike = replace(results, configs=[config for config in results.configs if config.tested_on == clips])
    if sum(config.is_network for config in alike.configs) < 2:
        return results
    return replace(results, configs=[*results.configs, ensemble_config(alike)])
