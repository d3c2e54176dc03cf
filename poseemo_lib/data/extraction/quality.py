"""What became of the videos of an extraction: how well people were seen in each, and why some are no clips."""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from poseemo_lib.data.dataset import DatasetInfo
from poseemo_lib.data.extraction.clip import Quality
from poseemo_lib.data.labelling import Entry
from poseemo_lib.files import write_text

QUALITY_FILE = "quality.csv"


@dataclass
class VideoReport:
    """What became of a video: how well its people were seen, or why it could not be used."""

    entry: Entry
    quality: Quality | None = None
    fault: str = ""


@dataclass
class ExtractionReport:
    """What an extraction did.

    Parameters
    ----------
    out : Path
    info : DatasetInfo or None
        What was written.
    videos : list of VideoReport
    unmatched : list of str
        Videos of which no label is known.
    done_before : int
        Results that an earlier call had made.
    """

    out: Path
    info: DatasetInfo | None = None
    videos: list[VideoReport] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    done_before: int = 0

    @property
    def used(self) -> list[VideoReport]:
        """Those that are clips of the dataset."""
        return [one for one in self.videos if not one.fault]

    @property
    def faults(self) -> list[str]:
        """Why the others are not, one line each."""
        return [one.fault for one in self.videos if one.fault]


def write_quality(report: ExtractionReport) -> None:
    """Write `quality.csv` beside the dataset: one row a video.

    Raises
    ------
    OSError
        The disk is full, or the folder is gone.
    """
    rows = list(_quality_rows(report))
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(report.out / QUALITY_FILE, text.getvalue())


def _quality_rows(report: ExtractionReport) -> Iterator[dict]:
    for one in report.videos:
        entry = one.entry
        row = {"clip_id": entry.name, "path": str(entry.path), "label": entry.label, "split": entry.split or ""}
        row |= {"used": int(not one.fault), "fault": one.fault}
        if one.quality:
            values = asdict(one.quality)
            missing = values.pop("missing")
            values["cuts"] = len(values["cuts"])
            values |= {f"missing_{part}": share for part, share in missing.items()}
            row |= {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
        yield row
