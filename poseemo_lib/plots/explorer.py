"""Interactive figures of a study: confusions of every config, and runs as parallel lines."""

import numpy as np
import pandas as pd

from poseemo_lib.plots import style
from poseemo_lib.plots.interactive import house_layout, menu, plain_text, short_text

_HEIGHT, _MARGIN = 540, {"l": 80, "r": 16, "t": 166, "b": 70}
_BLUES = [[0, "#ffffff"], [0.5, "#6baed6"], [1, "#08306b"]]
_GREY_TO_BLUE = [[0, "#d0d0d0"], [0.5, "#6baed6"], [1, "#08306b"]]
_AXIS_WIDTH = 110  # pixels that an axis of the parallel lines needs


def confusion_explorer(confusions, classes, *, synthetic: bool):
    """Show the confusions of one config at a time: a dropdown chooses the config, buttons shares or counts.

    Colour is the share of the true class in both. A class without clips has no shares.

    Parameters
    ----------
    confusions : dict of str -> int array (C, C)
        Rows: true classes.
    classes : sequence of str
    synthetic : bool

    Returns
    -------
    plotly Figure
        Two heatmaps of the same colours: shares, which is shown first, and counts.

    Raises
    ------
    ValueError
        There is no config.
    """
    import plotly.graph_objects as go

    if not confusions:
        raise ValueError("wanted the confusions of at least one config, got none")
    names, tables = list(confusions), [_tables(np.asarray(counts)) for counts in confusions.values()]
    ticks = {"tickvals": list(range(len(classes))), "ticktext": [plain_text(name, 12) for name in classes]}
    still = {"fixedrange": True, "showgrid": False, "zeroline": False, "ticks": ""}
    layout = house_layout(
        height=_HEIGHT,
        synthetic=synthetic,
        margin=_MARGIN,
        title={"text": tables[0]["title"], "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 12, "b": 12},
               "y": 1, "yref": "paper", "yanchor": "bottom", "font": {"size": 12}},
        xaxis={**ticks, **still, "title": {"text": "predicted", "standoff": 6}, "tickangle": -40, "automargin": True},
        yaxis={**ticks, **still, "title": {"text": "true", "standoff": 8}, "autorange": "reversed", "automargin": True},
        updatemenus=[_config_menu(names, tables), _kind_menu()],
    )  # fmt: skip
    heatmaps = [_heatmap(tables[0], kind, shown=place == 0) for place, kind in enumerate(("shares", "counts"))]
    return go.Figure(heatmaps, layout)


def _tables(counts: np.ndarray) -> dict:
    """Shares by true class, None where it has no clips, and what is written on them."""
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    values = [[None if np.isnan(share) else round(float(share), 4) for share in row] for row in shares]
    percent = [["–" if share is None else f"{100 * share:.0f}" for share in row] for row in values]
    n, right = int(counts.sum()), int(np.trace(counts))
    accuracy = f", {100 * right / n:.1f} % right" if n else ""
    title = f"{style.count(n, 'prediction')} of all seeds{accuracy}"
    return {"z": values, "shares": percent, "counts": counts.astype(int).astype(str).tolist(), "title": title}


def _heatmap(tables: dict, kind: str, *, shown: bool) -> dict:
    ending = " %" if kind == "shares" else ""
    return {
        "type": "heatmap", "z": tables["z"], "text": tables[kind], "texttemplate": "%{text}", "visible": shown,
        "zmin": 0, "zmax": 1, "colorscale": _BLUES, "showscale": False, "xgap": 1, "ygap": 1, "hoverongaps": True,
        "hovertemplate": f"true %{{y}}, predicted %{{x}}: %{{text}}{ending}<extra></extra>",
    }  # fmt: skip


def _config_menu(names: list[str], tables: list[dict]) -> dict:
    buttons = []
    for name, found in zip(names, tables, strict=True):
        drawn = {"z": [found["z"]] * 2, "text": [found["shares"], found["counts"]]}
        buttons.append({"label": plain_text(name), "method": "update", "args": [drawn, {"title.text": found["title"]}]})
    return menu(buttons, x=0, y=_above(132))


def _kind_menu() -> dict:
    buttons = [
        {"label": label, "method": "restyle", "args": [{"visible": visible}]}
        for label, visible in (("% of true class", [True, False]), ("counts", [False, True]))
    ]
    return menu(buttons, x=0, y=_above(88), type="buttons", direction="left")


def _above(pixels: int) -> float:
    """Place above the heatmap, in shares of its height."""
    return 1 + pixels / (_HEIGHT - _MARGIN["t"] - _MARGIN["b"])


def parallel_runs(table: pd.DataFrame, *, synthetic: bool):
    """Draw every run as a line through its settings and scores.

    Parameters
    ----------
    table : DataFrame
        One row a run. Columns are the axes, in order; the last one that holds numbers gives the colour. Texts become
        places on an axis. A run in which a number is missing is left out, and the title says how many were.
    synthetic : bool

    Returns
    -------
    plotly Figure
    """
    import plotly.graph_objects as go

    numbers = [name for name in table.columns if _is_number(table[name])]
    whole = table.dropna(subset=numbers)
    left_out = f"; {len(table) - len(whole)} without all numbers left out" if len(whole) < len(table) else ""
    title = f"{style.count(len(whole), 'run')}{left_out}. Drag along an axis to choose lines."
    lines = {"color": "#0072B2"}
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
    places = [known.index(text) for text in texts]
    ticks = {"tickvals": list(range(len(known))), "ticktext": [short_text(text, 16) for text in known]}
    return {"label": label, "values": places, "range": [-0.5, len(known) - 0.5], **ticks}
