"""Markdown of the cards: texts from data that stay texts, and tables."""

import html
from collections.abc import Iterable, Sequence

_MARKS = str.maketrans({mark: f"&#{ord(mark)};" for mark in "|`*[]$\\"})


def escape(text: object) -> str:
    """Write a text from data so that it is neither HTML nor Markdown nor the end of a table's config."""
    return html.escape(" ".join(str(text).split())).translate(_MARKS)


def table(head: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Lay rows out as a Markdown table; what is in them is Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def sections(*parts: str) -> str:
    """Put paragraphs under each other; empty ones are left out."""
    return "\n\n".join(part for part in parts if part)


def span(values: Sequence[float], form: str) -> str:
    """Write the smallest and the largest of some numbers, or the one that all are."""
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def hashes(kind: str, records: Iterable[dict]) -> str:
    """Name the hashes of the `dataset` or of the `split` in runs' records, each once."""
    found = {
        record["dataset"]["content_hash"] if kind == "dataset" else record.get("split_hash", "not noted")
        for record in records
    }
    return ", ".join(map(escape, sorted(found)))
