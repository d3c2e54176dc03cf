"""What all interactive figures share: names as plain text, the look, and the mark on synthetic data."""

import html

from poseemo_lib.plots.style import SYNTHETIC_TEXT

FONT = {"family": "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif", "size": 12, "color": "#1d2126"}


def plain_text(name: object, most: int = 34) -> str:
    """Write a name from data in one short line that plotly shows as it is: no markup, no formula.

    Not for the ticks of parallel coordinates, which take no markup: there :func:`short_text`.

    Parameters
    ----------
    name : object
    most : int
        Characters.

    Returns
    -------
    str
    """
    return html.escape(short_text(name, most)).replace("$", "&#36;")


def short_text(name: object, most: int) -> str:
    """Write a name in one line of at most so many characters."""
    text = " ".join(str(name).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def house_layout(*, height: int, synthetic: bool, min_width: int = 0, **more) -> dict:
    """Return the layout that all interactive figures begin with.

    Parameters
    ----------
    height : int
        Pixels.
    synthetic : bool
        Marked at the top right.
    min_width : int
        Pixels: on a narrower screen the page lets the figure scroll in its box.
    **more
        Further properties of the layout; `annotations` are added to the mark.

    Returns
    -------
    dict
    """
    marks = [_mark(more.get("margin", {}).get("t", 100), left=bool(min_width))] if synthetic else []
    annotations = [*marks, *more.pop("annotations", [])]
    return {
        "template": "none",
        "height": height,
        "autosize": True,
        "font": FONT,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "meta": {"min_width": min_width},
        "annotations": annotations,
        **more,
    }


def menu(buttons: list[dict], *, x: float, y: float, **more) -> dict:
    """Return a dropdown or a row of buttons with the house's look, placed in shares of the plot from the left, top."""
    look = {"xanchor": "left", "yanchor": "top", "bgcolor": "#f5f6f8", "bordercolor": "#c9ced6", "borderwidth": 1}
    return {"buttons": buttons, "x": x, "y": y, "font": {"size": 12}, "pad": {"t": 0, "b": 0, "l": 0}, **look, **more}


def _mark(margin: int, *, left: bool) -> dict:
    """Return the mark for the top corner of a plot under this margin, in pixels."""
    side = {"x": 0, "xanchor": "left"} if left else {"x": 1, "xanchor": "right"}
    return {
        "text": f"<b>{SYNTHETIC_TEXT}</b>", "xref": "paper", "yref": "paper", "y": 1, "yshift": margin - 8,
        "yanchor": "top", "showarrow": False, "bgcolor": "#FFF2CC", "bordercolor": "#B45F06",
        "borderpad": 3, "font": {"size": 11, "color": "#7F3F00"}, **side,
    }  # fmt: skip
