"""What the configs of a study differ in, read from their parameters and not from their names.

A factor is one thing that a study can change: a hyper-parameter, the normalisation, the augmentation as a whole, the
handling of rare classes, the split.
"""

from dataclasses import fields
from pathlib import Path

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import Results
from poseemo_lib.training.parameters import RunParameters, weighs_classes
from poseemo_lib.training.run_folder import PLACE_PARAMETERS, Run

IMBALANCE, SPLIT, AUGMENTATION = "imbalance", "split", "augmentation"
_IMBALANCE_PARAMETERS = ("sampler", "class_weights", "loss", "focal_gamma", "allow_double_balancing")
_SPLIT_PARAMETERS = ("split", "split_seed", "folds", "allow_leak")
BUG, FIX = "both (the published bug)", "balanced sampler"
_REGIMES = ("none", "class weights", FIX, BUG, "focal loss", "logit adjustment")
_NOT_COMPARED = ("seed", "fold", *PLACE_PARAMETERS)
# A parameter that follows from another one is part of that one's factor.
_FOLLOWS_FROM = {"noise": "normalisation", "positions": "normalisation", "slot_swap": "people"}


def settings(config: ConfigRuns) -> dict:
    """Return all parameters of a config, flat; those of the model are `model.<name>`, defaults included."""
    from poseemo_lib.models import hyper_parameters

    model = {} if config.is_baseline else hyper_parameters(config.parameters["architecture"])
    values = {name: value for name, value in config.parameters.items() if name not in (*_NOT_COMPARED, "model")}
    values |= {f"model.{name}": value for name, value in (model | config.parameters["model"]).items()}
    if not weighs_classes(values["class_weights"]):
        values["class_weights"] = "none"
    return values | {"architecture": config.architecture}  # that of an ensemble is not its members'


def settings_of(parameters: dict) -> dict:
    """Return the :func:`settings` of a run with these parameters, and the defaults of all others."""
    values = RunParameters.model_validate(parameters).model_dump()
    return settings(ConfigRuns("", [Run(Path(), {"parameters": values})]))


def differing_factors(one: dict, other: dict) -> set[str]:
    """Name the factors in which two configs' settings differ."""
    differing = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    differing -= {name for name, main in _FOLLOWS_FROM.items() if main in differing}
    kinds = {AUGMENTATION: _augmentation_parameters(), IMBALANCE: _IMBALANCE_PARAMETERS, SPLIT: _SPLIT_PARAMETERS}
    factors = {name: factor for factor, names in kinds.items() for name in names}
    return {factors.get(name, name.removeprefix("model.")) for name in differing}


def _augmentation_parameters() -> list[str]:
    from poseemo_lib.features.augmentation import Augmentation

    return [field.name for field in fields(Augmentation)]


def base_config(results: Results) -> ConfigRuns | None:
    """Find the base of an ablation: the network from which most others differ in exactly one factor.

    The architecture, the handling of rare classes and the split do not count as factors here. None where fewer than
    half of the networks are such variations.
    """
    networks = _networks(results)
    counts = {name: len(_variations(networks, name)) for name in networks}
    name = max(counts, key=counts.get, default=None)
    return results[name] if name is not None and 2 * counts[name] > len(networks) else None


def _networks(results: Results) -> dict[str, dict]:
    return {config.name: settings(config) for config in results.configs if config.is_network}


def _variations(networks: dict[str, dict], base: str) -> dict[str, str]:
    """Configs that differ from the base in one factor: name -> factor."""
    found = {}
    for name, values in networks.items():
        differing = differing_factors(networks[base], values)
        if len(differing) == 1 and not differing & {"architecture", IMBALANCE, SPLIT}:
            found[name] = differing.pop()
    return found


def ablation_table(results: Results, tests: pd.DataFrame | None = None) -> pd.DataFrame:
    """Macro-F1 of the base and of every config that changes one factor of it, by factor.

    Columns: factor, value, is_base, config, mean, low, high, sd, n_seeds and, where `tests` (from
    :func:`poseemo_lib.report.comparisons.comparisons`) compare the configs with the base, `significant` and `limit`.
    The base comes once in each factor. Empty where there is no base.
    """
    base, networks, rows = base_config(results), _networks(results), []
    factors = _variations(networks, base.name) if base else {}
    for factor in dict.fromkeys(factors.values()):
        names = [base.name, *(name for name, own in factors.items() if own == factor)]
        for name in sorted(names, key=lambda name: _rank(factor, networks[name], name == base.name)):
            value = value_text(factor, networks[name], networks[base.name])
            row = {"factor": factor, "value": value, "is_base": name == base.name, "config": name}
            rows.append(
                row | results[name].scores.score("macro_f1")[["mean", "low", "high", "sd", "n_seeds"]].to_dict()
            )
    columns = ["factor", "value", "is_base", "config", "mean", "low", "high", "sd", "n_seeds"]
    table = pd.DataFrame(rows, columns=columns)
    if base is None or tests is None:
        return table
    tests = tests[(tests["family"] == "base") & (tests["b"] == base.name)]
    if tests.empty:
        return table
    limit = table["config"].map(tests.set_index("a")["limit"]).fillna("")
    return table.assign(significant=table["config"].isin(tests["a"][tests["significant"]]), limit=limit)


def _rank(factor: str, values: dict, is_base: bool) -> tuple:
    """Order numbers by size; otherwise the base comes first and the rest as the study has them."""
    value = values.get(factor, values.get(f"model.{factor}"))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (value,) if number else (not is_base,)


def value_text(factor: str, values: dict, base: dict) -> str:
    """Write the value that a factor has in some settings; an augmentation is described relative to the base's."""
    if factor == AUGMENTATION:
        return _augmentation_text(values, base)
    value = values.get(factor, values.get(f"model.{factor}"))
    return {True: "with", False: "without"}[value] if isinstance(value, bool) else str(value)


def _augmentation_text(values: dict, base: dict) -> str:
    """Describe an augmentation: all of the base's, none, only one of them, or what was changed."""
    used = [name for name in _augmentation_parameters() if base[name]]
    same = [name for name in used if values[name] == base[name]]
    if values == base or len(same) == len(_augmentation_parameters()):
        return "all"
    changed = [name for name in _augmentation_parameters() if values[name] != base[name] and values[name]]
    if changed:
        return ", ".join(f"{name.replace('_', ' ')} {values[name]}" for name in changed)
    if len(same) < 2:
        return f"only {same[0].replace('_', ' ')}" if same else "none"
    return f"without {', '.join(name for name in used if not values[name]).replace('_', ' ')}"


def imbalance_configs(results: Results) -> list[ConfigRuns]:
    """Find the largest set of at least two configs that differ only in the handling of rare classes, or none."""
    networks = _networks(results)
    sets = [[other for other in networks if differing_factors(networks[name], networks[other]) <= {IMBALANCE}]
            for name in networks]  # fmt: skip
    largest = max(sets, key=len, default=[])
    configs = [results[name] for name in largest] if len(largest) > 1 else []
    order = {regime: i for i, regime in enumerate(_REGIMES)}
    return sorted(configs, key=lambda config: order.get(imbalance_regime(config), len(order)))


def imbalance_regime(config: ConfigRuns) -> str:
    """Name how a config handles rare classes."""
    values = settings(config)
    loss = {"focal": "focal loss", "logit_adjustment": "logit adjustment"}.get(values["loss"])
    sampled, weighted = values["sampler"] == "balanced", values["class_weights"] != "none"
    if sampled and weighted and loss is None:
        return BUG
    used = [name for name, on in ((FIX, sampled), ("class weights", weighted), (loss, loss)) if on]
    return " + ".join(used) or "none"


def imbalance_table(results: Results) -> pd.DataFrame:
    """Recall of every class and how often it was predicted, under every regime.

    Columns: regime, config, class, recall, low, high, predicted, true, n_seeds. Empty if the study has no such configs.
    """
    columns = ["regime", "config", "class", "recall", "low", "high", "predicted", "true", "n_seeds"]
    tables = [
        config.recall.merge(config.predicted_shares, left_on="class", right_index=True).assign(
            regime=imbalance_regime(config), config=config.name, n_seeds=len(config.seeds)
        )
        for config in imbalance_configs(results)
    ]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def split_groups(results: Results) -> list[list[ConfigRuns]]:
    """Find the models that were trained under several splits: configs that differ only in the split."""
    every = {config.name: settings(config) for config in results.configs}
    groups, used = [], set()
    for name in every:
        same = [other for other in every if differing_factors(every[name], every[other]) <= {SPLIT}]
        if name not in used and len({split_name(results[other]) for other in same}) > 1:
            groups.append([results[other] for other in same])
        used |= set(same)
    return groups


def split_name(config: ConfigRuns) -> str:
    """Name a config's split, with its folds, and its seed where that is not 0."""
    values = config.parameters
    folds = f", {values['folds']} folds" if values["folds"] else ""
    return values["split"] + folds + (f", seed {values['split_seed']}" if values["split_seed"] else "")


def leakage_table(results: Results) -> tuple[pd.DataFrame, dict[str, dict[str, int]]]:
    """Balanced accuracy of the models that were trained under several splits, and the leaks of each split.

    The test splits differ, and other scores depend on how frequent each class is in them. The table, which may be
    empty, has model, split, config, metric, mean, low, high, n_seeds, chance, n_clips, n_groups; the dict says how many
    leaks of each kind a split has.
    """
    groups, rows, leaks = split_groups(results), [], {}
    for name, group in zip(_model_names(groups), groups, strict=True):
        for config in group:
            split, scores = split_name(config), config.scores
            leaks[split] = leaks.get(split) or config.leaks
            row = {"model": name, "split": split, "config": config.name, "metric": "balanced_accuracy"}
            row |= scores.score("balanced_accuracy")[["mean", "low", "high", "n_seeds"]].to_dict()
            rows.append(row | {"chance": config.chance, "n_clips": scores.n_clips, "n_groups": scores.n_groups})
    columns = ["model", "split", "config", "metric", "mean", "low", "high", "n_seeds", "chance", "n_clips", "n_groups"]
    return pd.DataFrame(rows, columns=columns), leaks


def _model_names(groups: list[list[ConfigRuns]]) -> list[str]:
    """Name each group by its architecture and, where several share one, by what it sets differently."""
    names = []
    for group in groups:
        alike = [other for other in groups if other[0].architecture == group[0].architecture]
        values, first = settings(group[0]), settings(alike[0][0])
        own = [f"{key.removeprefix('model.')} {values[key]}" for key in values if values[key] != first.get(key)]
        own = [text for text in own if text.split()[0] not in _SPLIT_PARAMETERS]
        names.append(", ".join([group[0].architecture, *own]))
    return names
