"""What the configs of a study differ in, read from their runs' parameters and not from their names.

A factor is one thing that a study can change: a hyper-parameter, the normalisation, the augmentation as a whole, what
is done about rare classes, the split. Parameters that only go with another one (the noise, whose unit follows the
normalisation; the exchange of two people, where there is one) belong to that one's factor.
"""

from dataclasses import fields

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.results import Results
from poseemo_lib.errors import UsageError
from poseemo_lib.training.run_folder import PLACE_PARAMETERS

IMBALANCE, SPLIT, AUGMENTATION = "imbalance", "split", "augmentation"
_IMBALANCE_PARAMETERS = ("sampler", "class_weights", "loss", "focal_gamma", "allow_double_balancing")
_SPLIT_PARAMETERS = ("split", "split_seed", "allow_leak")
_BOTH = "both (the published bug)"
_REGIMES = ("none", "class weights", "balanced sampler", _BOTH, "focal loss", "logit adjustment")
_NOT_COMPARED = ("seed", "fold", *PLACE_PARAMETERS)
_GOES_WITH = {"noise": "normalisation", "slot_swap": "people"}


def settings(config: ConfigRuns) -> dict:
    """Flatten all parameters of a config; hyper-parameters of the model are `model.<name>`, defaults included."""
    from poseemo_lib.models import hyper_parameters

    try:
        model = {} if config.is_baseline else hyper_parameters(config.architecture)
    except UsageError:  # a model that this version of the library does not have
        model = {}
    values = {name: value for name, value in config.parameters.items() if name not in (*_NOT_COMPARED, "model")}
    values |= {f"model.{name}": value for name, value in (model | config.parameters["model"]).items()}
    return values | {"architecture": config.architecture}  # that of an ensemble is not its members'


def differing_factors(one: dict, other: dict) -> set[str]:
    """Name the factors in which two configs' settings differ."""
    differing = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    differing -= {name for name, main in _GOES_WITH.items() if main in differing}
    return {_factor(name) for name in differing}


def _factor(parameter: str) -> str:
    if parameter in _augmentation_parameters():
        return AUGMENTATION
    if parameter in _IMBALANCE_PARAMETERS:
        return IMBALANCE
    return SPLIT if parameter in _SPLIT_PARAMETERS else parameter.removeprefix("model.")


def _augmentation_parameters() -> list[str]:
    from poseemo_lib.features.augmentation import Augmentation

    return [field.name for field in fields(Augmentation)]


def base_config(results: Results) -> ConfigRuns | None:
    """Find the config of an ablation that the others vary: the network from which most differ in one factor.

    The architecture, what is done about rare classes, and the split are no factors here.

    Returns
    -------
    ConfigRuns or None
        None where not most of the networks are such variations: the study is no ablation.
    """
    networks = _networks(results)
    counts = {name: len(_variations(networks, name)) for name in networks}
    name = max(counts, key=counts.get, default=None)
    is_ablation = name is not None and 2 * counts[name] > len(networks)
    return results[name] if is_ablation else None


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


def ablation_table(results: Results, metric: str = "macro_f1", tests: pd.DataFrame | None = None) -> pd.DataFrame:
    """Score of the base and of every config that changes one factor of it, by factor.

    Parameters
    ----------
    results : Results
    metric : str
    tests : DataFrame, optional
        From :func:`poseemo_lib.report.findings.comparisons`: which configs can be told from the base, if they were held
        against it.

    Returns
    -------
    DataFrame
        factor, value, is_base, config, mean, low, high, sd, n_seeds, and `significant` with such tests. The base comes once
        in each factor, in the place of its value. Empty where there is no base.
    """
    base, networks = base_config(results), _networks(results)
    columns = ["factor", "value", "is_base", "config", "mean", "low", "high", "sd", "n_seeds"]
    if base is None:
        return pd.DataFrame(columns=columns)
    rows = []
    factors = _variations(networks, base.name)
    for factor in dict.fromkeys(factors.values()):
        configs = [base.name, *(name for name, own in factors.items() if own == factor)]
        texts = {name: value_text(factor, networks[name], networks[base.name]) for name in configs}
        for name in sorted(configs, key=lambda name: _rank(factor, networks[name], name == base.name)):
            score = results[name].scores.scores.set_index("metric").loc[metric]
            row = {"factor": factor, "value": texts[name], "is_base": name == base.name, "config": name}
            row |= {key: score[key] for key in ("mean", "low", "high", "sd", "n_seeds")}
            rows.append(row)
    table = pd.DataFrame(rows, columns=columns)
    if tests is None or not len(held := tests[(tests["family"] == "base") & (tests["b"] == base.name)]):
        return table
    return table.assign(significant=table["config"].isin(set(held[held["significant"]]["a"])))


def _rank(factor: str, values: dict, is_base: bool) -> tuple:
    """Order numbers by size; otherwise the base comes first and the rest as the study has them."""
    value = values.get(factor, values.get(f"model.{factor}"))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (value,) if number else (not is_base,)


def value_text(factor: str, values: dict, base: dict) -> str:
    """Write the value that a factor has in some settings; an augmentation is described beside the base's."""
    if factor == AUGMENTATION:
        return _augmentation_text(values, base)
    value = values.get(factor, values.get(f"model.{factor}"))
    if isinstance(value, bool):
        return "with" if value else "without"
    return str(value)


def _augmentation_text(values: dict, base: dict) -> str:
    """Describe an augmentation beside the base's: all, none, only one of them, or what was changed."""
    used = [name for name in _augmentation_parameters() if base[name]]
    same = [name for name in used if values[name] == base[name]]
    off = [name for name in used if not values[name]]
    if values == base or len(same) == len(_augmentation_parameters()):
        return "all"
    changed = [name for name in _augmentation_parameters() if values[name] != base[name] and values[name]]
    if changed:
        return ", ".join(f"{name.replace('_', ' ')} {values[name]}" for name in changed)
    if not same:
        return "none"
    return f"only {same[0].replace('_', ' ')}" if len(same) == 1 else f"without {', '.join(off).replace('_', ' ')}"


def imbalance_configs(results: Results) -> list[ConfigRuns]:
    """Find the largest set of configs that differ in nothing but what they do about rare classes; empty: under two."""
    networks = _networks(results)
    sets = [[other for other in networks if differing_factors(networks[name], networks[other]) <= {IMBALANCE}]
            for name in networks]  # fmt: skip
    largest = max(sets, key=len, default=[])
    configs = [results[name] for name in largest] if len(largest) > 1 else []
    order = {regime: i for i, regime in enumerate(_REGIMES)}
    return sorted(configs, key=lambda config: order.get(imbalance_regime(config), len(order)))


def imbalance_regime(config: ConfigRuns) -> str:
    """Name what a config does about rare classes."""
    values = settings(config)
    loss = {"focal": "focal loss", "logit_adjustment": "logit adjustment"}.get(values["loss"])
    sampled, weighted = values["sampler"] == "balanced", values["class_weights"] == "inverse"
    if sampled and weighted and loss is None:
        return _BOTH
    used = [name for name, on in (("balanced sampler", sampled), ("class weights", weighted), (loss, loss)) if on]
    return " + ".join(used) or "none"


def imbalance_table(results: Results) -> pd.DataFrame:
    """Recall of every class and how often it was answered, under every regime.

    Returns
    -------
    DataFrame
        regime, config, class, recall, low, high, predicted, true, n_seeds; empty where the study has no such configs.
    """
    tables = []
    for config in imbalance_configs(results):
        recall = config.scores.per_class.query("metric == 'recall'").rename(columns={"mean": "recall"})
        table = recall[["class", "recall", "low", "high"]].merge(
            config.predicted_shares, left_on="class", right_index=True
        )
        tables.append(table.assign(regime=imbalance_regime(config), config=config.name, n_seeds=len(config.seeds)))
    columns = ["regime", "config", "class", "recall", "low", "high", "predicted", "true", "n_seeds"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def split_groups(results: Results) -> list[list[ConfigRuns]]:
    """Find the models that were trained under several splits: configs that differ in nothing but the split."""
    every = {config.name: settings(config) for config in results.configs}
    groups, used = [], set()
    for name in every:
        same = [other for other in every if differing_factors(every[name], every[other]) <= {SPLIT}]
        if name not in used and len({split_name(results[other]) for other in same}) > 1:
            groups.append([results[other] for other in same])
        used |= set(same)
    return groups


def split_name(config: ConfigRuns) -> str:
    """Name a config's split, with its seed where that is not 0."""
    values = config.parameters
    return values["split"] + (f", seed {values['split_seed']}" if values["split_seed"] else "")


def leakage_table(results: Results) -> tuple[pd.DataFrame, dict[str, dict[str, int]]]:
    """Scores of the models that were trained under several splits, and what the audit found in each split.

    Balanced accuracy alone: the test parts differ, and the others move with the shares of the classes in them.

    Returns
    -------
    table : DataFrame
        model, split, config, metric, mean, low, high, n_seeds, chance, n_clips, n_groups; empty where the study has none.
    leaks : dict
        Split -> number of leaks by kind.
    """
    groups = split_groups(results)
    names = _model_names(groups)
    rows, leaks = [], {}
    for name, group in zip(names, groups, strict=True):
        for config in group:
            split = split_name(config)
            leaks[split] = leaks.get(split) or config.leaks
            facts = {"n_clips": config.scores.n_clips, "n_groups": config.scores.n_groups}
            score = config.scores.scores.set_index("metric", drop=False).loc["balanced_accuracy"]
            values = {key: score[key] for key in ("metric", "mean", "low", "high", "n_seeds")}
            rows.append(
                {"model": name, "split": split, "config": config.name, **values, "chance": config.chance} | facts
            )
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
