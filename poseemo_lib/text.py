"""How numbers and names are written for people: counts, percent, intervals, p values, errors of other libraries."""

import difflib
from collections.abc import Iterable


def count(n: int, unit: str, units: str = "") -> str:
    """Write a number with its unit: `1 seed`, `3 seeds`; `units` where the plural takes more than an s."""
    return f"{n:,} {unit if n == 1 else units or unit + 's'}"


def percent(share: float) -> str:
    """Write a share, 0 to 1, in percent."""
    return f"{100 * share:.1f} %"


def with_interval(share: float, low: float, high: float) -> str:
    """Write a share, 0 to 1, with its interval: `62.7 % [58.1, 66.0]`; NaN: why there is none."""
    if share != share:
        return "not defined"
    if low != low:
        return f"{percent(share)} (no interval: too few groups)"
    return f"{percent(share)} [{100 * low:.1f}, {100 * high:.1f}]"


def format_p(p: float) -> str:
    """Write a p value for a table: `0.012`, `< 0.001`, `–` where there is none."""
    if p != p:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_text(p: float) -> str:
    """Write a p value for a sentence: `p = 0.012`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def listed(names: Iterable[str], most: int) -> str:
    """Join names with commas; beyond `most` of them the rest is counted: `a, b and 3 more`."""
    names = list(names)
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def first_line(error: Exception) -> str:
    """Return the first line of another library's error, at most 200 letters, or its kind where it said nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def nearest(key: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to an unknown one, or name all."""
    known = list(known)
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def track(items: Iterable, title: str, total: int | None = None, *, shown: bool = True) -> Iterable:
    """Yield items, with a progress bar on the error output where that is a terminal."""
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    return rich_track(items, title, total, console=console, disable=not (shown and console.is_terminal))
