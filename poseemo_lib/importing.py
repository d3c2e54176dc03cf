"""Keypoint files -> dataset: labels from paths, reading, tracking, writing."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from poseemo_lib.clips import EMOTIONS, SPLITS, PoseClip, check_clip
from poseemo_lib.dataset import DatasetInfo, DatasetWriter
from poseemo_lib.errors import ClipError, FormatError, UsageError
from poseemo_lib.formats import Recording, load_reader, reader_options
from poseemo_lib.tracking import main_people

_SPLIT_WORDS = {word: word for word in SPLITS} | {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}
_GROUPS = ("label", "group", "source", "split")


@dataclass(frozen=True)
class Entry:
    """A recording that the pattern matched, and what its path says."""

    path: Path
    name: str
    label: str
    source_id: str
    group_id: str
    split: str | None


@dataclass
class ImportReport:
    """What an import did.

    Parameters
    ----------
    info : DatasetInfo
        What was written.
    recordings, clips : Counter
        Label -> number of recordings read and of clips in the dataset; a recording has one clip a view.
    unmatched : list of str
        Recordings whose path the pattern does not match.
    faults : list of str
        Recordings and clips that could not be used, with the reason.
    """

    info: DatasetInfo | None = None
    recordings: Counter = field(default_factory=Counter)
    clips: Counter = field(default_factory=Counter)
    unmatched: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read_recordings(format: str, path, **options) -> list[Recording]:
    """Read one recording with its people tracked.

    Parameters
    ----------
    format : str
        A key of :data:`poseemo_lib.formats.READERS`.
    path : str or Path
    **options
        Options of the format's ``read``.

    Returns
    -------
    list of Recording
        One a view, with keypoints (T, M, 17, 3), M = 1 or 2.

    Raises
    ------
    FormatError
        The recording is faulty.
    UsageError
        There is no such format or option, or an option is out of its range.
    """
    reader, known = load_reader(format), reader_options(format)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"format {format}: wanted options among {', '.join(known)}, got {', '.join(unknown)}")
    return [
        recording if recording.tracked else replace(recording, keypoints=main_people(recording.keypoints), tracked=True)
        for recording in reader.read(path, **options)
    ]


def match_paths(
    paths: list[Path], src: Path, label_pattern: str, label_map: Mapping[str, str], split: str | None = None
) -> tuple[list[Entry], list[str]]:
    """Take label, group, source and split of recordings from their paths.

    Parameters
    ----------
    paths : list of Path
    src : Path
        The pattern is searched in the paths relative to this folder, with ``/`` between their parts.
    label_pattern, label_map, split
        See :func:`import_dataset`.

    Returns
    -------
    entries : list of Entry
    unmatched : list of str
        Relative paths that the pattern does not match.

    Raises
    ------
    UsageError
        The pattern is faulty or matches nothing, or a label or split is unknown.
    """
    pattern = _compile(label_pattern)
    names = {path: _relative(path, src) for path in paths}
    matches = {path: match for path, name in names.items() if (match := pattern.search(name)) and match["label"]}
    if not matches:
        examples = ", ".join(list(names.values())[:3])
        raise UsageError(f"--label-pattern {label_pattern!r} matches none of {len(paths)} paths, such as {examples}")
    label_of = _label_table({match["label"] for match in matches.values()}, label_map)
    split_of = _split_table({_group(match, "split") for match in matches.values()} - {None} | ({split} - {None}))
    entries = []
    for path, match in matches.items():
        # Only a file has a suffix to cut: folders may have dots in their names.
        name = names[path].removesuffix(path.suffix) if path.is_file() else names[path]
        source = _group(match, "source") or name
        group, part = _group(match, "group") or source, _group(match, "split") or split
        entries.append(Entry(path, name, label_of[match["label"]], source, group, split_of.get(part)))
    return entries, [name for path, name in names.items() if path not in matches]


def _compile(label_pattern: str) -> re.Pattern:
    try:
        pattern = re.compile(label_pattern)
    except re.error as error:
        raise UsageError(f"--label-pattern {label_pattern!r}: not a regular expression: {error}") from None
    unknown = sorted(set(pattern.groupindex) - set(_GROUPS))
    if "label" not in pattern.groupindex or unknown:
        raise UsageError(
            f"--label-pattern {label_pattern!r}: wanted a group (?P<label>...) and at most {', '.join(_GROUPS[1:])} "
            f"beside it, got {', '.join(pattern.groupindex) or 'no named group'}"
        )
    return pattern


def _relative(path: Path, src: Path) -> str:
    return path.resolve().name if path == src else path.relative_to(src).as_posix()


def _group(match: re.Match, name: str) -> str | None:
    return match.groupdict().get(name) or None


def _label_table(labels: set[str], label_map: Mapping[str, str]) -> dict[str, str]:
    """Label in a path -> class, for every label that occurs."""
    wanted = {label.lower(): emotion.lower() for label, emotion in label_map.items()}
    bad = sorted(set(wanted.values()) - set(EMOTIONS))
    if bad:
        raise UsageError(f"--label-map: wanted a class among {', '.join(EMOTIONS)}, got {', '.join(bad)}")
    table = {label: wanted.get(label.lower(), label.lower()) for label in labels}
    lost = sorted(label for label, emotion in table.items() if emotion not in EMOTIONS)
    if lost:
        raise UsageError(
            f"labels: wanted {', '.join(EMOTIONS)}, got {', '.join(lost)}; map each: --label-map {lost[0]}=neutral"
        )
    return table


def _split_table(words: set[str]) -> dict[str, str]:
    """Split in a path -> train, val or test, for every word that occurs."""
    lost = sorted(word for word in words if word.lower() not in _SPLIT_WORDS)
    if lost:
        raise UsageError(f"split: wanted one of {', '.join(_SPLIT_WORDS)}, got {', '.join(lost)}")
    return {word: _SPLIT_WORDS[word.lower()] for word in words}


def import_dataset(
    format: str,
    src,
    out,
    *,
    name: str,
    label_pattern: str,
    label_map: Mapping[str, str] | None = None,
    split: str | None = None,
    options: Mapping | None = None,
    source: str = "",
    licence: str = "",
    progress: bool = True,
) -> ImportReport:
    r"""Turn keypoint files into a dataset.

    A recording or clip that is faulty is reported and left out; the others are written. An import that was interrupted
    goes on with the same call.

    Parameters
    ----------
    format : str
        A key of :data:`poseemo_lib.formats.READERS`.
    src : str or Path
        A folder of recordings, or one recording.
    out : str or Path
        The dataset's folder, or any fsspec URL.
    name : str
        The dataset's name.
    label_pattern : str
        Regular expression, searched in each recording's path relative to `src`. Its named groups: ``label``, and where
        the path tells them ``group`` (what must not straddle a split; else the source), ``source`` (the recording that
        it was cut from; else the path without suffix) and ``split``. An example:
        ``(?P<split>train|test)/(?P<label>\w+)/(?P<source>\w+)_\d+``.
    label_map : mapping, optional
        Label in a path -> one of :data:`poseemo_lib.clips.EMOTIONS`. Labels that are classes already need no entry.
        Upper and lower case are the same.
    split : str, optional
        The official split of all recordings whose path tells none.
    options : mapping, optional
        Options of the format's ``read``.
    source, licence : str
        Where the recordings come from, and their licence.
    progress : bool
        Show a progress bar, in a terminal only.

    Returns
    -------
    ImportReport
        The dataset's classes are the labels that occur, in the order of :data:`poseemo_lib.clips.EMOTIONS`.

    Raises
    ------
    UsageError
        Nothing was written: an argument is wrong, there are no recordings, none matches, a label is unknown, or `out`
        holds a complete dataset, or an unfinished one of other arguments.
    FormatError
        Nothing was written: every recording or clip is faulty.
    """
    src, options = Path(src), dict(options or {})
    if not src.exists():
        raise UsageError(f"{src}: wanted a file or folder, found none")
    paths = load_reader(format).find(src)
    if not paths:
        raise UsageError(f"{src}: wanted {format} files, found none")
    report = ImportReport()
    entries, report.unmatched = match_paths(paths, src, label_pattern, label_map or {}, split)
    recipe = {"command": "import", "format": format, "label_pattern": label_pattern, "label_map": dict(label_map or {})}
    recipe |= {"src": str(src), "split": split, "options": reader_options(format) | options}
    classes = tuple(emotion for emotion in EMOTIONS if emotion in {entry.label for entry in entries})
    info = DatasetInfo(name=name, classes=classes, source=source, licence=licence, recipe=recipe)
    clips = _read_all(format, entries, options, classes, report, progress)
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


def _read_all(
    format: str, entries: list[Entry], options: dict, classes: tuple[str, ...], report: ImportReport, progress: bool
) -> Iterator[tuple[PoseClip, str]]:
    """Yield the sound clips with their files; the faulty go to the report."""
    from tqdm import tqdm

    # disable=None: no bar where the output is not a terminal.
    for entry in tqdm(entries, desc="import", unit="recording", disable=None if progress else True):
        try:
            recordings = read_recordings(format, entry.path, **options)
        except FormatError as error:
            report.faults.append(str(error))
            continue
        report.recordings[entry.label] += 1
        for recording in recordings:
            try:
                yield check_clip(_to_clip(entry, recording), classes, str(entry.path)), str(entry.path)
            except ClipError as error:
                report.faults.append(str(error))


def _to_clip(entry: Entry, recording: Recording) -> PoseClip:
    return PoseClip(
        clip_id=entry.name + recording.suffix,
        label=entry.label,
        keypoints=recording.keypoints,
        fps=recording.fps,
        width=recording.width,
        height=recording.height,
        source_id=entry.source_id,
        group_id=entry.group_id,
        split=entry.split,
    )
