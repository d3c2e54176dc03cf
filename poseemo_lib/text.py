"""Small helpers for text that people read."""

import difflib


def nearest(key: str, known) -> str:
    """Say which known name is nearest to an unknown one."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
