"""Interactive charts (confusions of every config, runs as parallel lines), and what all such charts share."""

import html

import numpy as np
import pandas as pd

from poseemo_lib.plots import style
from poseemo_lib.text import count

FONT = {"family": "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif", "size": 12, "color": "#1d2126"}
_HEIGHT, _MARGIN = 540, {"l": 80, "r": 16, "t": 166, "b": 70}
_GREY_TO_BLUE = [[0, "#d0d0d0"], [0.5, "#6baed6"], [1, "#08306b"]]
_AXIS_WIDTH = 110  # pixels that an axis of the parallel lines needs


def confusion_explorer(confusions, classes, *, synthetic: bool):
    """Show the confusion matrix of one config at a time: a menu chooses the config, buttons shares or counts.

    Parameters
    ----------
    confusions : dict of str -> int array (C, C)
        Rows: true classes. At least one.
    """
    import plotly.graph_objects as go

    if not confusions:
        raise ValueError("wanted the confusions of at least one config, got none")
    tables = {name: _tables(np.asarray(counts)) for name, counts in confusions.items()}
    first = next(iter(tables.values()))
    ticks = {"tickvals": list(range(len(classes))), "ticktext": [plain_text(name, 12) for name in classes]}
    ticks |= {"fixedrange": True, "showgrid": False, "zeroline": False, "ticks": "", "automargin": True}
    configs = [
        {"label": plain_text(name), "method": "update",
         "args": [{"z": [one["z"]] * 2, "text": [one["shares"], one["counts"]]}, {"title.text": one["title"]}]}
        for name, one in tables.items()
    ]  # fmt: skip
    kinds = [
        {"label": label, "method": "restyle", "args": [{"visible": visible}]}
        for label, visible in (("% of true class", [True, False]), ("counts", [False, True]))
    ]
    layout = house_layout(
        height=_HEIGHT,
        synthetic=synthetic,
        margin=_MARGIN,
        title={"text": first["title"], "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 12, "b": 12},
               "y": 1, "yref": "paper", "yanchor": "bottom", "font": {"size": 12}},
        xaxis={**ticks, "title": {"text": "predicted class", "standoff": 6}, "tickangle": -40},
        yaxis={**ticks, "title": {"text": "true class", "standoff": 8}, "autorange": "reversed"},
        updatemenus=[menu(configs, y=_above(132)), menu(kinds, y=_above(88), type="buttons", direction="left")],
    )  # fmt: skip
    return go.Figure([_heatmap(first, "shares", " %", True), _heatmap(first, "counts", "", False)], layout)


def _tables(counts: np.ndarray) -> dict:
    """Shares by true class, None where it has no clips, and what is written on them."""
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    values = [[None if np.isnan(share) else round(float(share), 4) for share in row] for row in shares]
    percent = [["–" if share is None else f"{100 * share:.0f}" for share in row] for row in values]
    n = int(counts.sum())
    accuracy = f", {100 * np.trace(counts) / n:.1f} % correct" if n else ""
    title = f"{count(n, 'prediction')} of all seeds{accuracy}"
    return {"z": values, "shares": percent, "counts": counts.astype(int).astype(str).tolist(), "title": title}


def _heatmap(tables: dict, kind: str, ending: str, shown: bool) -> dict:
    return {
        "type": "heatmap", "z": tables["z"], "text": tables[kind], "texttemplate": "%{text}", "visible": shown,
        "zmin": 0, "zmax": 1, "colorscale": "Blues", "showscale": False, "xgap": 1, "ygap": 1, "hoverongaps": True,
        "hovertemplate": f"true %{{y}}, predicted %{{x}}: %{{text}}{ending}<extra></extra>",
    }  # fmt: skip


def _above(pixels: int) -> float:
    """Place above the heatmap, in shares of its height."""
    return 1 + pixels / (_HEIGHT - _MARGIN["t"] - _MARGIN["b"])


def parallel_runs(table: pd.DataFrame, *, synthetic: bool):
    """Draw every run, a row of the table, as a line through its settings and scores, the columns.

    The last column of numbers gives the colour. A run in which a number is missing is left out, and the title says how
    many were.
    """
    import plotly.graph_objects as go

    numbers = [name for name in table.columns if _is_number(table[name])]
    whole = table.dropna(subset=numbers)
    left_out = f"; {len(table) - len(whole)} with a missing number not drawn" if len(whole) < len(table) else ""
    title = f"{count(len(whole), 'run')}{left_out}. Drag along an axis to select lines."
    lines = {"color": style.BLUE}
    if numbers:
        lines = {"color": whole[numbers[-1]].astype(float).tolist(), "colorscale": _GREY_TO_BLUE}
    trace = {
        "type": "parcoords", "dimensions": [_dimension(name, whole[name]) for name in table.columns], "line": lines,
        "labelfont": {"size": 12}, "tickfont": {"size": 10}, "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
    }  # fmt: skip
    layout = house_layout(
        height=440,
        synthetic=synthetic,
        min_width=_AXIS_WIDTH * len(table.columns) + 160,
        margin={"l": 110, "r": 50, "t": 104, "b": 24},
        title={"text": title, "x": 0, "xanchor": "left", "pad": {"l": 12, "t": 36}, "y": 1, "yref": "container",
               "yanchor": "top", "font": {"size": 12}},
    )  # fmt: skip
    return go.Figure(trace, layout)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _dimension(name: str, column: pd.Series) -> dict:
    """One axis; a text becomes its place among the sorted ones, with the first at the top."""
    label = plain_text(name, 18)
    if _is_number(column):
        return {"label": label, "values": column.astype(float).tolist()}
    texts = column.astype(object).where(column.notna(), "–").astype(str)
    known = sorted(set(texts), reverse=True)
    ticks = {"tickvals": list(range(len(known))), "ticktext": [style.short_text(text, 16) for text in known]}
    return {"label": label, "values": texts.map(known.index).tolist(), "range": [-0.5, len(known) - 0.5], **ticks}


def plain_text(name: object, most: int = 34) -> str:
    """Write a name on one short line that plotly shows as it is: no markup, no formula.

    Ticks of parallel coordinates take no markup: there :func:`poseemo_lib.plots.style.short_text`.
    """
    return html.escape(style.short_text(name, most)).replace("$", "&#36;")


def house_layout(*, height: int, synthetic: bool, min_width: int = 0, **more) -> dict:
    """Return the layout that all interactive charts share, in pixels; synthetic data are marked in a top corner.

    On a screen narrower than `min_width` the page lets the chart scroll in its box.
    """
    side = {"x": 0, "xanchor": "left"} if min_width else {"x": 1, "xanchor": "right"}
    mark = {
        "text": f"<b>{style.SYNTHETIC_TEXT}</b>", "xref": "paper", "yref": "paper", "y": 1, "yanchor": "top",
        "yshift": more.get("margin", {}).get("t", 100) - 8, "showarrow": False, "bgcolor": "#FFF2CC",
        "bordercolor": "#B45F06", "borderpad": 3, "font": {"size": 11, "color": "#7F3F00"}, **side,
    }  # fmt: skip
    return {
        "template": "none", "height": height, "autosize": True, "font": FONT, "paper_bgcolor": "white",
        "plot_bgcolor": "white", "meta": {"min_width": min_width}, "annotations": [mark] * synthetic, **more,
    }  # fmt: skip


def menu(buttons: list[dict], *, y: float, **more) -> dict:
    """Return a menu or a row of buttons at the left, `y` in shares of the plot's height."""
    look = {"xanchor": "left", "yanchor": "top", "bgcolor": "#f5f6f8", "bordercolor": "#c9ced6", "borderwidth": 1}
    return {"buttons": buttons, "x": 0, "y": y, "font": {"size": 12}, "pad": {"t": 0, "b": 0, "l": 0}, **look, **more}
