"""The names of recordings, and the label, group, source and split in their names and files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from poseemo_lib.clips import EMOTIONS, SPLITS, PoseClip
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import UsageError

_SPLIT_WORDS = {word: word for word in SPLITS}
_SPLIT_WORDS |= {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
_GROUPS = ("label", "group", "source", "split")


@dataclass(frozen=True)
class Entry:
    """A recording that was found, and what its file or its name says of it."""

    path: Path  # its file or folder
    text: str  # what the pattern is searched in
    name: str  # for its clips
    inside: str | None = None  # its name in a file that holds several
    label: str | None = None
    split: str | None = None
    source_id: str = ""
    group_id: str = ""


def clip_of(entry: Entry, recording: Recording) -> PoseClip:
    """Make the clip of a recording whose main people are in its slots."""
    picture = (recording.fps, recording.width, recording.height)
    clip_id, source, group = entry.name + recording.suffix, entry.source_id, entry.group_id
    return PoseClip(clip_id, entry.label, recording.keypoints, *picture, source, group, entry.split)


def find_path(path: Path, src: Path) -> Entry:
    """Name a recording by its path under `src`, without the suffix of a file."""
    text = path.resolve().name if path == src else path.relative_to(src).as_posix()
    # Only a file has a suffix to cut: folders may have dots in their names.
    return Entry(path, text, text.removesuffix(path.suffix) if path.is_file() else text)


def find_inside(found: Entry, recording: Recording, src: Path) -> Entry:
    """Name a recording in a file: by its own name, after the file's where `src` is a folder."""
    told = replace(found, inside=recording.name, label=recording.label, split=recording.split)
    if recording.name is None:
        return told
    if found.path == src:
        return replace(told, text=recording.name, name=recording.name)
    return replace(told, text=f"{found.text}/{recording.name}", name=f"{found.name}/{recording.name}")


def match_found(
    found: list[Entry], label_pattern: str | None, label_map: Mapping[str, str], split: str | None = None
) -> tuple[list[Entry], list[str]]:
    """Take label, group, source and split of recordings from their names, else from what their files say.

    For the arguments see :func:`poseemo_lib.data.importing.import_dataset`. Returns the entries, and the recordings
    without a label. UsageError where the pattern is faulty or matches nothing, or a label or split is unknown.
    """
    pattern = compile_pattern(label_pattern) if label_pattern is not None else re.compile("")
    matches = [(one, match.groupdict()) for one in found if (match := pattern.search(one.text))]
    told = [(one, groups, label) for one, groups in matches if (label := groups.get("label") or one.label)]
    if not told:
        examples = ", ".join([one.text for one in found][:3])
        if label_pattern is None or matches and "label" not in pattern.groupindex:
            raise UsageError(f"wanted --label-pattern with (?P<label>...): the files hold no labels ({examples})")
        raise UsageError(f"--label-pattern {label_pattern!r} matches none of {len(found)} paths, such as {examples}")
    label_of = _label_table({label for _, _, label in told}, label_map)
    splits = [groups.get("split") or one.split or split for one, groups, _ in told]
    split_of = _split_table(set(splits) - {None})
    entries = []
    for (one, groups, label), own in zip(told, splits, strict=True):
        source = groups.get("source") or one.name
        names = {"source_id": source, "group_id": groups.get("group") or source}
        entries.append(replace(one, label=label_of[label], split=split_of.get(own), **names))
    labelled = {id(one) for one, _, _ in told}
    return entries, [one.text for one in found if id(one) not in labelled]


def compile_pattern(label_pattern: str) -> re.Pattern:
    """Compile the pattern; UsageError where it is faulty or has other named groups than the four."""
    try:
        pattern = re.compile(label_pattern)
    except re.error as error:
        raise UsageError(f"--label-pattern {label_pattern!r}: not a regular expression: {error}") from None
    if not pattern.groupindex or not set(pattern.groupindex) <= set(_GROUPS):
        got = ", ".join(pattern.groupindex) or "no named group"
        wanted = f"a group (?P<label>...) and at most {', '.join(_GROUPS[1:])} beside it"
        raise UsageError(f"--label-pattern {label_pattern!r}: wanted {wanted}, got {got}")
    return pattern


def _label_table(labels: set[str], label_map: Mapping[str, str]) -> dict[str, str]:
    """Label of a recording -> class, for every label that occurs."""
    wanted = {label.lower(): emotion.lower() for label, emotion in label_map.items()}
    if bad := sorted(set(wanted.values()) - set(EMOTIONS)):
        raise UsageError(f"--label-map: wanted a class among {', '.join(EMOTIONS)}, got {', '.join(bad)}")
    table = {label: wanted.get(label.lower(), label.lower()) for label in labels}
    if lost := sorted(label for label, emotion in table.items() if emotion not in EMOTIONS):
        got = f"{', '.join(lost[:20])}; map each: --label-map {lost[0]}=neutral"
        raise UsageError(f"labels: wanted {', '.join(EMOTIONS)}, got {got}")
    return table


def _split_table(words: set[str]) -> dict[str, str]:
    """Split in a path -> train, val or test, for every word that occurs."""
    if lost := sorted(word for word in words if word.lower() not in _SPLIT_WORDS):
        raise UsageError(f"split: wanted one of {', '.join(_SPLIT_WORDS)}, got {', '.join(lost)}")
    return {word: _SPLIT_WORDS[word.lower()] for word in words}
