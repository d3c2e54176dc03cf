"""Keypoint files -> dataset: labels, reading, tracking, writing."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from poseemo_lib.clips import EMOTIONS, PoseClip, check_clip
from poseemo_lib.data.dataset import DatasetInfo, DatasetWriter
from poseemo_lib.data.formats import Recording, check_options, find_files, load_reader, read_files, reader_options
from poseemo_lib.data.labelling import Entry, clip_of, compile_pattern, find_inside, find_path, match_found
from poseemo_lib.errors import ClipError, FormatError
from poseemo_lib.skeleton import MAX_PEOPLE
from poseemo_lib.text import track
from poseemo_lib.video.tracking import choose_main, main_people


@dataclass
class ImportReport:
    """What an import did."""

    info: DatasetInfo | None = None  # what was written
    recordings: Counter = field(default_factory=Counter)  # label -> number of recordings read
    clips: Counter = field(default_factory=Counter)  # label -> number of clips in the dataset, one a view
    notes: Counter = field(default_factory=Counter)  # what was guessed -> number of recordings
    unmatched: list[str] = field(default_factory=list)  # recordings without a label
    faults: list[str] = field(default_factory=list)  # recordings and clips that could not be used, and why


def to_main_people(recording: Recording) -> Recording:
    """Keep the one or two main people, each in a slot: see :func:`poseemo_lib.video.tracking.main_people`."""
    keypoints = recording.keypoints
    if not recording.tracked:
        return replace(recording, keypoints=main_people(keypoints, fps=recording.fps), tracked=True)
    if keypoints.shape[1] <= MAX_PEOPLE:
        return recording
    frames, slots = np.nonzero((keypoints[..., 2] > 0).any(-1))
    return replace(recording, keypoints=choose_main(keypoints[frames, slots], frames, slots, len(keypoints))[0])


def import_dataset(
    format: str,
    src,
    out,
    *,
    name: str,
    label_pattern: str | None = None,
    label_map: Mapping[str, str] | None = None,
    split: str | None = None,
    options: Mapping | None = None,
    source: str = "",
    licence: str = "",
    citation: str = "",
    progress: bool = True,
) -> ImportReport:
    r"""Turn keypoint files into a dataset.

    A faulty recording or clip is reported and left out; the others are written. The same call continues an import that
    was interrupted. The dataset's classes are the labels that occur, in the order of
    :data:`poseemo_lib.clips.EMOTIONS`.

    Parameters
    ----------
    format : str
        A key of :data:`poseemo_lib.data.formats.READERS`.
    src : str or Path
        A folder of recordings, or one recording.
    out : str or Path
        The dataset's folder, or any fsspec URL.
    label_pattern : str, optional
        Regular expression, searched in each recording's path relative to `src`; if a file holds several recordings, in
        path / name (name alone if `src` is that file). Its named groups: ``label``, and if the path has them ``group``
        (what must not straddle a split; default: the source), ``source`` (the recording that it was cut from; default:
        the path without suffix) and ``split``. An example:
        ``(?P<split>train|test)/(?P<label>\w+)/(?P<source>\w+)_\d+``. Without it, or without a group ``label`` or
        ``split`` in it, the label or split in the file is used.
    label_map : mapping, optional
        Label in a path or file, in upper or lower case -> one of :data:`poseemo_lib.clips.EMOTIONS`. Labels that are
        classes already need no entry.
    split : str, optional
        The official split of all recordings for which neither path nor file gives one.
    options : mapping, optional
        Options of the format's ``read``.
    progress : bool
        Show a progress bar, in a terminal only.

    Raises
    ------
    UsageError
        Nothing was written: an argument is wrong, there are no recordings, none matches, a label is unknown, or `out`
        holds a complete dataset, or an unfinished one of other arguments.
    FormatError
        Nothing was written: every recording or clip is faulty.
    """
    src, options, label_map = Path(src), dict(options or {}), dict(label_map or {})
    paths = find_files(format, src)
    check_options(format, reader_options(format), options)
    report = ImportReport()
    kept: dict[Path, list[Recording]] = {}
    many = any(path.name.lower().endswith(getattr(load_reader(format), "MANY", ())) for path in paths)
    if label_pattern is not None and "label" in compile_pattern(label_pattern).groupindex and not many:
        found = [find_path(path, src) for path in paths]  # the paths alone give every label
    else:
        found = _look_inside(format, paths, src, options, report, kept)
    entries, report.unmatched = match_found(found, label_pattern, label_map, split)
    recipe = {"command": "import", "format": format, "label_pattern": label_pattern, "label_map": label_map}
    recipe |= {"src": str(src), "split": split, "options": reader_options(format) | options}
    labels = {entry.label for entry in entries}
    classes = tuple(emotion for emotion in EMOTIONS if emotion in labels)
    said = {"source": source, "licence": licence, "citation": citation}
    info = DatasetInfo(name=name, classes=classes, recipe=recipe, **said)
    clips = _read_all(format, entries, options, classes, report, progress, kept)
    # The first sound clip comes before the folder: a wrong option or a wholly faulty source leaves nothing behind.
    first = next(clips, None)
    if first is None:
        raise FormatError(f"{src}: none of {len(entries)} recordings could be used; the first: {report.faults[0]}")
    seen = set()
    with DatasetWriter(out, info, resume=True) as writer:
        for clip, where in chain([first], clips):
            try:
                # Written and not seen: by the import that this one continues. Written and seen: a second of that name.
                if clip.clip_id in seen or not writer.written(clip.clip_id):
                    writer.write(clip, where)
                report.clips[clip.label] += 1
            except ClipError as error:
                report.faults.append(str(error))
            seen.add(clip.clip_id)
    report.info = writer.info
    return report


def _look_inside(format: str, paths, src: Path, options: dict, report: ImportReport, kept: dict) -> list[Entry]:
    """Read every file for the labels in it; `kept` gets the content of a single file, so it is read only once."""
    found: dict[tuple, Entry] = {}
    for path, recordings in read_files(format, paths, options, report.faults):
        if len(paths) == 1:
            kept[path] = recordings
        here = find_path(path, src)
        found |= {(path, recording.name): find_inside(here, recording, src) for recording in recordings}
    if not found:
        raise FormatError(f"{src}: none of {len(paths)} recordings could be used; the first: {report.faults[0]}")
    return list(found.values())


def _read_all(
    format: str, entries: list[Entry], options: dict, classes: tuple[str, ...], report: ImportReport, progress: bool,
    kept: dict[Path, list[Recording]],
) -> Iterator[tuple[PoseClip, str]]:  # fmt: skip
    """Yield the sound clips with their files; the faulty go to the report."""
    groups = {path: list(group) for path, group in groupby(entries, key=lambda entry: entry.path)}
    read = kept.items() or read_files(format, track(groups, "import", shown=progress), options, report.faults)
    for path, recordings in read:
        by_name = defaultdict(list)
        for recording in recordings:
            by_name[recording.name].append(recording)
        for entry in groups[path]:
            report.recordings[entry.label] += 1
            report.notes.update({recording.note for recording in by_name.get(entry.inside, ()) if recording.note})
            for recording in by_name.get(entry.inside, ()):
                try:
                    yield check_clip(clip_of(entry, to_main_people(recording)), classes, str(path)), str(path)
                except ClipError as error:
                    report.faults.append(str(error))
