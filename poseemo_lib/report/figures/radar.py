"""Figure 05: the networks of the highest validation scores on six axes, with the numbers beside them."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.speed import machine
from poseemo_lib.plots import style
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run, sample_of

# Name, title, and how a value is written.
SHARES = {
    "accuracy": ("accuracy", "{:.0%}"),
    "macro_f1": ("macro-F1", "{:.0%}"),
    "class_balance": ("class balance", "{:.0%}"),
    "calibration": ("calibration, 1 − ECE", "{:.0%}"),
}
COSTS = {"ms_alone": ("speed, one window", "{:g} ms"), "n_parameters": ("efficiency, parameters", "{:,.0f}")}
# Colour, marker and line of a network, by its place.
LOOKS = (
    ("#0072B2", "o", "-"), ("#E69F00", "s", "--"), ("#009E73", "^", "-."), ("#CC79A7", "D", ":"),
    ("#D55E00", "P", (0, (6, 1, 1, 1, 1, 1))),
)  # fmt: skip
MOST = len(LOOKS)


class Axis(NamedTuple):
    """An axis: column, title, the values at its centre and its rim (the better end), whether logarithmic, format."""

    name: str
    title: str
    centre: float
    rim: float
    is_log: bool
    pattern: str


def draw(data: ReportData) -> Drawn:
    """Draw accuracy, macro-F1, class balance, calibration, measured speed and size of at most five networks.

    Data: values (config, and a column an axis), intervals, axes (centre, rim), places (0 the centre, 1 the rim).
    """
    ranked = ranked_networks(data)
    if not ranked:
        why = "The study has no network; `poseemo study parameters/studies/architectures.yaml` trains some."
        return not_run("Networks on six axes", why)
    configs = ranked[:MOST]
    values, intervals = values_of(configs, data.speed), intervals_of(configs)
    axes = axes_of(values)
    places = pd.DataFrame({axis.name: scaled(values[axis.name], axis) for axis in axes}, index=values.index)
    figure = _figure(values, axes, places, intervals, data, ranked)
    tables = {
        "values": values.reset_index(),
        "intervals": intervals,
        "axes": pd.DataFrame(axes).drop(columns="pattern"),
        "places": places.reset_index(),
    }
    each = "; ".join(_row_text(str(name), row) for name, row in values.iterrows())
    text = f"Radar and table of {len(values)} of {len(ranked)} networks, the highest on validation first: {each}"
    return Drawn(figure, text, tables)


def ranked_networks(data: ReportData) -> list[ConfigRuns]:
    """List the networks that can be compared, the highest on validation first, without ensembles."""
    networks = [config for config in data.main.configs if config.is_network]
    return sorted(networks, key=lambda config: (bool(config.leaks), -config.validation_macro_f1))


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
    return pd.DataFrame.from_dict(rows, orient="index").astype(float).rename_axis("config")


def intervals_of(configs: list[ConfigRuns]) -> pd.DataFrame:
    """Collect the 95 % intervals: config, axis (accuracy, macro_f1, calibration), low, high."""
    rows = []
    for config in configs:
        ends = {name: config.scores.score(name)[["low", "high"]] for name in ("accuracy", "macro_f1")}
        low, high = config.calibrated_scores.score("ece")[["low", "high"]]
        ends["calibration"] = (1 - high, 1 - low)
        rows += [{"config": config.name, "axis": name, "low": a, "high": b} for name, (a, b) in ends.items()]
    return pd.DataFrame(rows)


def axes_of(values: pd.DataFrame) -> list[Axis]:
    """Give each axis its ends: shares go from 0 to 1, costs from one power of ten to another around the values."""
    shares = [Axis(name, title, 0.0, 1.0, False, pattern) for name, (title, pattern) in SHARES.items()]
    ends = {name: decades(values[name]) for name in COSTS}
    costs = [Axis(name, title, ends[name][1], ends[name][0], True, text) for name, (title, text) in COSTS.items()]
    return [*shares, *costs]


def decades(values: pd.Series) -> tuple[float, float]:
    """Return the powers of ten below and above positive values, at least one decade apart; of no value, 1 and 10."""
    known = np.log10(values.dropna())
    if known.empty:
        return 1.0, 10.0
    low = np.floor(known.min())
    return float(10**low), float(10 ** max(np.ceil(known.max()), low + 1))


def scaled(values, axis: Axis) -> np.ndarray:
    """Place values on an axis: 0 the centre, 1 the rim; values beyond the ends lie at the ends, NaN stays NaN."""
    values, ends = np.asarray(values, dtype=np.float64), np.array([axis.centre, axis.rim], dtype=np.float64)
    if axis.is_log:
        values, ends = np.log(values), np.log(ends)
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)


@style.in_style
def _figure(values, axes: list[Axis], places, intervals, data: ReportData, ranked: list[ConfigRuns]):
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
    for (colour, marker, line), (_, row) in reversed(list(zip(LOOKS, places.iterrows(), strict=False))):
        radar.plot(around, [*row, row.iloc[0]], marker=marker, linestyle=line, color=colour, zorder=3, clip_on=False,
                   linewidth=2, markersize=7, markeredgecolor="white", markeredgewidth=0.7)  # fmt: skip
    if np.isfinite(places.iloc[0]).all():
        radar.fill(angles, places.iloc[0], color=LOOKS[0][0], alpha=0.12, zorder=2)
    _write_table(table, axes, written(values, intervals), best_values(values, axes))
    style.finish(
        fig, title=_title(values, len(ranked)), note=_note(data, ranked), synthetic=data.results.synthetic,
        leaky=any(config.leaks for config in ranked[:MOST]),
    )  # fmt: skip
    return fig


def _write_axis(ax, angle: float, axis: Axis) -> None:
    """Write an axis' name, and the values at its ends, outside of the rim."""
    side, up = (int(np.sign(round(turn, 6))) for turn in (np.sin(angle), np.cos(angle)))
    rim, centre = (axis.pattern.format(end).replace("%", " %") for end in (axis.rim, axis.centre))
    lines = [*axis.title.split(", "), f"rim {rim}", f"centre {centre}", *(["log scale"] if axis.is_log else [])]
    ax.text(angle, 1.07, "\n".join(lines), fontsize=9, linespacing=1.2, ha=("right", "center", "left")[side + 1],
            va="center" if side else ("top", "center", "bottom")[up + 1])  # fmt: skip


def written(values: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """Write the values for the table, with their intervals on a second line."""
    texts = pd.DataFrame(index=values.index)
    for name in SHARES:
        texts[name] = [f"{100 * value:.1f} %" for value in values[name]]
    texts["ms_alone"] = ["not measured" if np.isnan(value) else f"{value:.2f} ms" for value in values["ms_alone"]]
    texts["n_parameters"] = ["unknown" if np.isnan(n) else f"{n:,.0f}" for n in values["n_parameters"]]
    for row in intervals.dropna().to_dict("records"):
        texts.loc[row["config"], row["axis"]] += f"\n[{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
    return texts


def best_values(values: pd.DataFrame, axes: list[Axis]) -> np.ndarray:
    """Tell which values are the best of their axis: array (names, axes), bool; none where all are alike."""
    signed = np.column_stack([np.sign(axis.rim - axis.centre) * values[axis.name] for axis in axes])
    known = np.where(np.isnan(signed), -np.inf, signed)
    return (known == known.max(0)) & (known.max(0) > known.min(0))


def _write_table(ax, axes: list[Axis], texts: pd.DataFrame, best: np.ndarray) -> None:
    """Write the values, a row a network behind its mark; the selected one in bold, the best of a column shaded."""
    ax.axis("off")
    names_end = 2.3  # in widths of a column
    ax.set(xlim=(0, names_end + len(axes)), ylim=(MOST + 0.6, -1.1))
    centres = names_end + 0.5 + np.arange(len(axes))
    for x, axis in zip(centres, axes, strict=True):
        ax.text(x, -0.45, axis.title.replace(", ", "\n"), ha="center", va="center", fontsize=8.5, color=style.DARK)
    ax.plot(ax.get_xlim(), [0, 0], color="#777777", linewidth=1)
    for i, ((colour, marker, line), (name, row)) in enumerate(zip(LOOKS, texts.iterrows(), strict=False)):
        weight = "normal" if i else "bold"
        ax.plot(0.02 + 0.22 * np.arange(3), [i + 0.5] * 3, color=colour, marker=marker, markevery=[1], linestyle=line,
                linewidth=2, markersize=7)  # fmt: skip
        ax.text(0.56, i + 0.5, _two_lines(name), va="center", fontsize=9, weight=weight)
        for x, axis, is_best in zip(centres, axes, best[i], strict=True):
            if is_best:
                ax.add_patch(plt.Rectangle((x - 0.46, i + 0.14), 0.92, 0.72, color="#DCEBF7", linewidth=0))
            ax.text(x, i + 0.5, row[axis.name], ha="center", va="center", fontsize=9, weight=weight)
        ax.plot(ax.get_xlim(), [i + 1] * 2, color="#dddddd", linewidth=0.8)


def _two_lines(name: object, width: int = 16) -> str:
    """Break a long name once, at an underscore or a space where there is one."""
    text = " ".join(str(name).split())
    cut = len(text) if len(text) <= width else max(text.rfind(mark, 0, width) for mark in "_ -") + 1 or width
    return f"{style.name_text(text[:cut].strip())}\n{style.name_text(text[cut:].strip(), width)}".strip()


def _title(values: pd.DataFrame, n_networks: int) -> str:
    first = style.name_text(values.index[0], 26)
    if len(values) == 1:
        return f"{first}, the only network, on six axes"
    drawn = f"the {len(values)} highest on validation" if n_networks > len(values) else f"{len(values)} networks"
    ahead = values["macro_f1"].idxmax()
    same = "has" if ahead == values.index[0] else f"is selected on validation; {style.name_text(ahead, 26)} has"
    return f"{first} {same} the highest macro-F1 on test of {drawn}"


def _note(data: ReportData, ranked: list[ConfigRuns]) -> str:
    configs, left_out = ranked[:MOST], ranked[MOST:]
    n_frames = sorted({config.parameters["n_frames"] for config in configs})
    names = ", ".join(style.name_text(config.name, 30) for config in left_out)
    others = any(not config.is_network for config in data.main.configs)
    texts = [
        sample_of(configs[0], "[ ]", [len(config.seeds) for config in configs]),
        "Farther out is better; the area has no meaning. Shaded: the best value of a column, which is not a test.",
        "Class balance: 1 minus the total variation distance of predicted and true shares.",
        f"Speed: one window of {' or '.join(map(str, n_frames))} frames alone, measured on {machine()}.",
        f"Lower on validation, not drawn: {names}." if left_out else "",
        "Baselines and ensembles have no size and speed here." if others else "",
    ]
    return " ".join(text for text in texts if text)


def _row_text(name: str, row: pd.Series) -> str:
    shares = ", ".join(f"{title} {100 * row[key]:.1f} %" for key, (title, _) in SHARES.items())
    speed = "speed not measured" if np.isnan(row["ms_alone"]) else f"{row['ms_alone']:.2f} ms a window"
    size = "size unknown" if np.isnan(row["n_parameters"]) else f"{row['n_parameters']:,.0f} parameters"
    return f"{name}: {shares}, {speed}, {size}"
