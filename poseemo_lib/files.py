"""Files that a reader sees whole or not at all: each is written under a temporary name and renamed."""

import json
import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file atomically; NaN is refused."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_table(path: Path, table) -> None:
    """Write a Parquet file atomically."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    table.to_parquet(temporary, index=False)
    os.replace(temporary, path)
