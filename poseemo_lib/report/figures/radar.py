"""Figure 05: the networks of the highest validation scores on six axes, with the numbers beside them."""

import textwrap
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.speed import machine
from poseemo_lib.plots import style
from poseemo_lib.plots.confusion import draw_heatmap
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run, note_text, sample_of


class Axis(NamedTuple):
    """An axis: column, title, format of a value, values at centre and rim (the better end), whether logarithmic."""

    name: str
    title: str
    pattern: str
    centre: float = 0
    rim: float = 1
    is_log: bool = False


AXES = (
    Axis("accuracy", "accuracy", "{:.1%}"),
    Axis("macro_f1", "macro-F1", "{:.1%}"),
    Axis("class_balance", "class balance", "{:.1%}"),
    Axis("calibration", "calibration, 1 − ECE", "{:.1%}"),
    Axis("ms_alone", "speed, one window", "{:.4g} ms", is_log=True),
    Axis("n_parameters", "efficiency, parameters", "{:,.0f}", is_log=True),
)
# Colour, marker and line of a network, by its place.
LOOKS = (
    ("#0072B2", "o", "-"), ("#E69F00", "s", "--"), ("#009E73", "^", "-."), ("#CC79A7", "D", ":"),
    ("#D55E00", "P", (0, (6, 1, 1, 1, 1, 1))),
)  # fmt: skip
MOST = len(LOOKS)


def draw(data: ReportData) -> Drawn:
    """Draw accuracy, macro-F1, class balance, calibration, measured speed and size of at most five networks.

    Data: values (config, and a column an axis), intervals, axes (centre, rim), places (0 the centre, 1 the rim).
    """
    networks = [config for config in data.main.configs if config.is_network]
    if not networks:
        why = "`poseemo study parameters/studies/architectures.yaml` trains the networks that this figure compares."
        return not_run("Networks on six axes", why)
    ranked = sorted(networks, key=lambda config: (bool(config.leaks), -config.validation_macro_f1))
    configs = ranked[:MOST]
    values, intervals = values_of(configs, data.speed), intervals_of(configs)
    axes = [axis._replace(**decades(values[axis.name])) if axis.is_log else axis for axis in AXES]
    places = pd.DataFrame({axis.name: scaled(values[axis.name], axis) for axis in axes}, index=values.index)
    texts = written(values, intervals)
    tables = {
        "values": values.reset_index(),
        "intervals": intervals,
        "axes": pd.DataFrame(axes).drop(columns="pattern"),
        "places": places.reset_index(),
    }
    heads = [axis.title.split(", ")[-1] for axis in axes]
    rows = {name: ", ".join(f"{head} {text}" for head, text in zip(heads, row, strict=True))
            for name, *row in texts.itertuples()}  # fmt: skip
    each = "; ".join(f"{name}: {row}" for name, row in rows.items())
    text = f"Radar and table of {len(values)} of {len(ranked)} networks, the highest on validation first: {each}"
    return Drawn(_figure(values, axes, places, texts, data, ranked), text.replace("\n", " "), tables)


def values_of(configs: list[ConfigRuns], speed: pd.DataFrame) -> pd.DataFrame:
    """Collect what the axes show, a row for each network.

    Class balance is 1 minus half the summed differences of predicted and true shares; calibration is 1 minus the ECE of
    calibrated probabilities; ms_alone is in milliseconds per window.
    """
    speed = speed.set_index("config")["ms_alone"]
    rows = {}
    for config in configs:
        shares = config.predicted_shares
        rows[config.name] = {
            "accuracy": config.scores.score("accuracy")["mean"],
            "macro_f1": config.scores.score("macro_f1")["mean"],
            "class_balance": 1 - (shares["predicted"] - shares["true"]).abs().sum() / 2,
            "calibration": 1 - config.calibrated_scores.score("ece")["mean"],
            "ms_alone": speed[config.name],
            "n_parameters": np.nan if config.n_parameters is None else config.n_parameters,
        }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float).rename_axis("config")


def intervals_of(configs: list[ConfigRuns]) -> pd.DataFrame:
    """Collect the 95 % intervals: config, axis (accuracy, macro_f1, calibration), low, high."""
    rows = []
    for config in configs:
        ends = {name: config.scores.score(name)[["low", "high"]] for name in ("accuracy", "macro_f1")}
        low, high = config.calibrated_scores.score("ece")[["low", "high"]]
        ends["calibration"] = (1 - high, 1 - low)
        rows += [{"config": config.name, "axis": name, "low": a, "high": b} for name, (a, b) in ends.items()]
    return pd.DataFrame(rows)


def decades(values: pd.Series) -> dict[str, float]:
    """End an axis at the powers of ten around its values, at least one decade apart; without a value at 10 and 1."""
    known = np.log10(values.dropna())
    low = np.floor(known.min()) if len(known) else 0
    return {"centre": float(10 ** max(np.ceil(known.max()), low + 1)) if len(known) else 10, "rim": float(10**low)}


def scaled(values, axis: Axis) -> np.ndarray:
    """Place values on an axis: 0 the centre, 1 the rim; values beyond the ends lie at the ends, NaN stays NaN."""
    places = np.array([*values, axis.centre, axis.rim], dtype=np.float64)
    *places, centre, rim = np.log(places) if axis.is_log else places
    return np.clip((np.array(places) - centre) / (rim - centre), 0, 1)


@style.in_style
def _figure(values, axes: list[Axis], places, texts, data: ReportData, ranked: list[ConfigRuns]):
    fig = plt.figure(figsize=(12.2, 6.4), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=(1, 1.3))
    radar, table = left.add_subplot(projection="polar"), right.add_subplot()
    angles = np.linspace(0, 2 * np.pi, len(axes), endpoint=False)
    around = np.append(angles, angles[0])
    radar.set_theta_offset(np.pi / 2)
    radar.set_theta_direction(-1)
    radar.set(ylim=(0, 1), xticks=[], yticks=[])
    radar.spines["polar"].set_visible(False)
    for ring in range(1, 5):  # straight; each axis has its own scale, so the rings carry no number
        radar.plot(around, np.full(len(around), ring / 4), color="#777777" if ring == 4 else "#dddddd", linewidth=0.9)
    for angle, axis in zip(angles, axes, strict=True):
        radar.plot([angle, angle], [0, 1], color="#cccccc", linewidth=0.8)
        _write_axis(radar, angle, axis)
    for i, ((colour, marker, line), (name, row)) in enumerate(zip(LOOKS, places.iterrows(), strict=False)):
        radar.plot(around, [*row, row.iloc[0]], marker=marker, linestyle=line, color=colour, zorder=4 - 0.1 * i,
                   clip_on=False, linewidth=2, markersize=7, markeredgecolor="white", markeredgewidth=0.7,
                   label=style.name_text(name))  # fmt: skip
    left.legend(loc="outside lower center", ncols=2)
    if np.isfinite(places.iloc[0]).all():
        radar.fill(angles, places.iloc[0], color=LOOKS[0][0], alpha=0.12, zorder=2)
    _write_table(table, axes, texts, best_values(values, axes))
    style.finish(
        fig, title=_title(values, len(ranked)), note=_note(data, ranked), synthetic=data.results.synthetic,
        leaky=any(config.leaks for config in ranked[:MOST]),
    )  # fmt: skip
    return fig


def _write_axis(ax, angle: float, axis: Axis) -> None:
    """Write an axis' name, and the values at its ends, outside of the rim."""
    side, up = (int(np.sign(round(turn, 6))) for turn in (np.sin(angle), np.cos(angle)))
    rim, centre = (axis.pattern.format(end).replace(".0%", " %") for end in (axis.rim, axis.centre))
    lines = [*axis.title.split(", "), f"rim {rim}", f"centre {centre}", *(["log scale"] if axis.is_log else [])]
    ax.text(angle, 1.07, "\n".join(lines), fontsize=9, linespacing=1.2, ha=("right", "center", "left")[side + 1],
            va="center" if side else ("top", "center", "bottom")[up + 1])  # fmt: skip


def written(values: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """Write the values for the table, with their intervals on a second line."""
    texts = pd.DataFrame({axis.name: values[axis.name].map(axis.pattern.format) for axis in AXES})
    texts = texts.replace("%", " %", regex=True).mask(values.isna(), "unknown")
    for row in intervals.dropna().to_dict("records"):
        texts.loc[row["config"], row["axis"]] += f"\n[{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
    return texts


def best_values(values: pd.DataFrame, axes: list[Axis]) -> np.ndarray:
    """Tell which values are the best of their axis: array (names, axes), bool; none where all are alike."""
    signed = np.column_stack([np.sign(axis.rim - axis.centre) * values[axis.name] for axis in axes])
    known = np.where(np.isnan(signed), -np.inf, signed)
    return (known == known.max(0)) & (known.max(0) > known.min(0))


def _write_table(ax, axes: list[Axis], texts: pd.DataFrame, best: np.ndarray) -> None:
    """Write the values, a row a network; the selected one in bold, the best of a column shaded."""
    heads = [axis.title.replace(", ", "\n") for axis in axes]
    rows = [textwrap.fill(style.name_text(name), 18) for name in texts.index]
    draw_heatmap(ax, best.astype(float), texts[[axis.name for axis in axes]], columns=heads, rows=rows, fontsize=9,
                 vmax=6)  # fmt: skip
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0, labelsize=8.5)
    ax.set(ylim=(MOST, 0), title="The values, with 95 % intervals")
    for text in [ax.get_yticklabels()[0], *ax.texts[: len(axes)]]:
        text.set_weight("bold")


def _title(values: pd.DataFrame, n_networks: int) -> str:
    first = style.name_text(values.index[0], 26)
    if len(values) == 1:
        return f"{first}, the only network, on six axes"
    drawn = f"the {len(values)} highest on validation" if n_networks > len(values) else f"{len(values)} networks"
    ahead = values["macro_f1"].idxmax()
    same = "has" if ahead == values.index[0] else f"is selected on validation; {style.name_text(ahead, 26)} has"
    return f"{first} {same} the highest test macro-F1 of {drawn}"


def _note(data: ReportData, ranked: list[ConfigRuns]) -> list[str]:
    configs = ranked[:MOST]
    note = note_text(
        "radar", n_frames=sorted({config.parameters["n_frames"] for config in configs}), machine=machine(),
        left_out=[style.name_text(config.name, 30) for config in ranked[MOST:]],
        others=any(not config.is_network for config in data.main.configs),
    )  # fmt: skip
    return [sample_of(configs[0], "[ ]", [len(config.seeds) for config in configs]), note]
