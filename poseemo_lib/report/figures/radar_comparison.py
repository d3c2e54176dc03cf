"""Report figure 05: the networks that validation ranks highest, on six axes."""

import textwrap

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.speed import machine
from poseemo_lib.plots.radar import MOST, Axis, radar_comparison, scaled
from poseemo_lib.plots.style import name_text, sample_text
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run

TITLE = "Networks on six axes"
COMMAND = "There is no network in this study; `poseemo study parameters/studies/architectures.yaml` trains some."
# Letters in a line of the title, so that it ends before the mark on synthetic data.
_TITLE_WIDTH = 118
# Name, as written, and how a value is written.
_SHARES = {
    "accuracy": ("accuracy", "{:.0%}"),
    "macro_f1": ("macro-F1", "{:.0%}"),
    "class_balance": ("class balance", "{:.0%}"),
    "calibration": ("calibration, 1 − ECE", "{:.0%}"),
}
_COSTS = {"ms_alone": ("speed, one window", "{:g} ms"), "n_parameters": ("efficiency, parameters", "{:,.0f}")}


def draw(material: ReportData) -> Drawn:
    """Draw accuracy, macro-F1, class balance, calibration, measured speed and size of at most five networks.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: values (config, and a column an axis), intervals, axes (centre, rim), places (0 the centre, 1 the rim).
    """
    ranked = ranked_networks(material)
    if not ranked:
        return not_run(TITLE, COMMAND)
    configs = ranked[:MOST]
    values, intervals = values_of(configs, material.speed), intervals_of(configs)
    axes = axes_of(values)
    figure, _ = radar_comparison(
        values,
        axes,
        _written(values, intervals),
        title=_title(values, axes, len(ranked)),
        sample=_note(material, configs, ranked[MOST:]),
        synthetic=material.results.synthetic,
        leaky=any(config.leaks for config in configs),
    )
    places = pd.DataFrame({axis.name: scaled(values[axis.name], axis) for axis in axes}, index=values.index)
    data = {
        "values": values.reset_index(),
        "intervals": intervals,
        "axes": pd.DataFrame(axes).drop(columns="pattern"),
        "places": places.reset_index(),
    }
    return Drawn(figure, _describe(values, len(ranked)), data)


def ranked_networks(material: ReportData) -> list[ConfigRuns]:
    """List the networks that can be compared, the best by validation first; ensembles and baselines are none."""
    networks = [config for config in material.main.configs if config.is_network]
    return sorted(networks, key=lambda config: (bool(config.leaks), -config.validation_macro_f1))


def values_of(configs: list[ConfigRuns], speed: pd.DataFrame) -> pd.DataFrame:
    """Collect what the axes show.

    Parameters
    ----------
    configs : list of ConfigRuns
        Networks.
    speed : DataFrame
        From :func:`poseemo_lib.analysis.speed.measure_speed`, of these and maybe others.

    Returns
    -------
    DataFrame
        Index config; accuracy, macro_f1, class_balance (1 less half the summed differences of answered and true shares),
        calibration (1 less the ECE of calibrated probabilities): shares, 0 to 1; ms_alone (milliseconds a window),
        n_parameters.
    """
    speed = speed.set_index("config")["ms_alone"]
    rows = {
        config.name: {
            **config.scores.scores.set_index("metric")["mean"][["accuracy", "macro_f1"]],
            "class_balance": 1
            - (config.predicted_shares["predicted"] - config.predicted_shares["true"]).abs().sum() / 2,
            "calibration": 1 - config.calibrated_scores.scores.set_index("metric").loc["ece", "mean"],
            "ms_alone": speed[config.name],
            "n_parameters": np.nan if config.n_parameters is None else config.n_parameters,
        }
        for config in configs
    }
    return pd.DataFrame.from_dict(rows, orient="index").astype(float).rename_axis("config")


def intervals_of(configs: list[ConfigRuns]) -> pd.DataFrame:
    """Collect the 95 % intervals of the axes that have one.

    Returns
    -------
    DataFrame
        One row a config and axis: config, axis (accuracy, macro_f1, calibration), low, high.
    """
    rows = []
    for config in configs:
        scores = config.scores.scores.set_index("metric")
        ece = config.calibrated_scores.scores.set_index("metric").loc["ece"]
        for name in ("accuracy", "macro_f1"):
            rows.append({"config": config.name, "axis": name, "low": scores["low"][name], "high": scores["high"][name]})
        rows.append({"config": config.name, "axis": "calibration", "low": 1 - ece["high"], "high": 1 - ece["low"]})
    return pd.DataFrame(rows)


def axes_of(values: pd.DataFrame) -> list[Axis]:
    """Give each axis its ends: all shares go from 0 to 1, costs from one power of ten to another around the values."""
    shares = [Axis(name, title, 0.0, 1.0, False, pattern) for name, (title, pattern) in _SHARES.items()]
    costs = []
    for name, (title, pattern) in _COSTS.items():
        least, most = decades(values[name])
        costs.append(Axis(name, title, most, least, True, pattern))
    return [*shares, *costs]


def decades(values: pd.Series) -> tuple[float, float]:
    """Return the powers of ten below and above positive values, at least one decade apart; of no value, 1 and 10."""
    known = np.log10(values.dropna())
    if known.empty:
        return 1.0, 10.0
    low = np.floor(known.min())
    return float(10**low), float(10 ** max(np.ceil(known.max()), low + 1))


def _written(values: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """Write the values for the table, with their intervals in a second line."""
    texts = pd.DataFrame(index=values.index)
    for name in _SHARES:
        texts[name] = [f"{100 * value:.1f} %" for value in values[name]]
    texts["ms_alone"] = ["not measured" if np.isnan(value) else f"{value:.2f} ms" for value in values["ms_alone"]]
    texts["n_parameters"] = ["unknown" if np.isnan(n) else f"{n:,.0f}" for n in values["n_parameters"]]
    for row in intervals.dropna().to_dict("records"):
        texts.loc[row["config"], row["axis"]] += f"\n[{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
    return texts


def _title(values: pd.DataFrame, axes: list[Axis], n_networks: int) -> str:
    """Say what is drawn, and which network has the highest score; the other leads are in the table, and no test."""
    first = name_text(values.index[0], 26)
    if len(values) == 1:
        return f"{first}, the only network, on {len(axes)} axes"
    drawn = f"the {len(values)} best by validation" if n_networks > len(values) else f"{len(values)} networks"
    ahead = values["macro_f1"].idxmax()
    other = "" if ahead == values.index[0] else f"; highest macro-F1: {name_text(ahead, 26)}"
    return textwrap.fill(f"{first}, chosen by validation, among {drawn}{other}", _TITLE_WIDTH)


def _note(material: ReportData, configs: list[ConfigRuns], left_out: list[ConfigRuns]) -> str:
    scores = configs[0].scores
    n_frames = sorted({config.parameters["n_frames"] for config in configs})
    texts = [
        sample_text(scores.n_clips, scores.n_groups, [len(config.seeds) for config in configs], unit=configs[0].unit,
                    resampled_by=scores.resampled_by, interval="[ ]"),
        "Further out is better; the area means nothing. Shaded: the best value of a column, which is no test.",
        "Class balance: 1 less the total variation distance of answered and true shares. "
        "Calibration: 1 less the ECE after calibration.",
        f"Speed: one window of {' or '.join(map(str, n_frames))} frames alone, measured on {machine()}; other programs "
        "on it slow it.",
    ]  # fmt: skip
    if left_out:
        texts.append(f"Lower on validation, not drawn: {', '.join(name_text(config.name, 30) for config in left_out)}.")
    if any(not config.is_network for config in material.main.configs):
        texts.append("Baselines and ensembles have no size and speed here.")
    return " ".join(texts)


def _describe(values: pd.DataFrame, n_networks: int) -> str:
    each = "; ".join(_row_text(str(name), row) for name, row in values.iterrows())
    return f"Radar and table of {len(values)} of {n_networks} networks, the best by validation first: {each}"


def _row_text(name: str, row: pd.Series) -> str:
    shares = ", ".join(f"{title} {100 * row[key]:.1f} %" for key, (title, _) in _SHARES.items())
    speed = "speed not measured" if np.isnan(row["ms_alone"]) else f"{row['ms_alone']:.2f} ms a window"
    size = "size unknown" if np.isnan(row["n_parameters"]) else f"{row['n_parameters']:,.0f} parameters"
    return f"{name}: {shares}, {speed}, {size}"
