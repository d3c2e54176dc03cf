"""AlphaPose's results: one JSON list of everybody in every frame, as COCO's keypoint results.

Each entry has ``image_id``, ``category_id``, ``keypoints`` (x, y, confidence of every joint), ``score`` and, from the
tracker, ``idx``. The number of joints gives the layout: COCO-17, Halpe-26, or the body of Halpe-136 or COCO-WholeBody's
133, which begin with those two. COCO's keypoint results (MMPose, Detectron, Ultralytics) are the same list without
``idx``.

Images that share a name up to a number are frames of one recording. A video's images are named `0.jpg`, `1.jpg`...:
there, time begins at 0; elsewhere at the first image of the list. Frames in which nobody was seen are not in the list.
Without tracking AlphaPose writes the `idx` 0 for everybody: it does not count then.

Written: COCO-17; ``score`` is the mean confidence of the joints seen.

Sources: AlphaPose's `doc/output.md` and `write_json` (Fang et al. 2022, "AlphaPose"); the Halpe-FullBody repository.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording, sequences, shared
from poseemo_lib.errors import FormatError
from poseemo_lib.files import write_text
from poseemo_lib.skeleton import JOINT_NAMES, to_coco17

SUFFIX = ".json"
LOST = (
    "the frame rate and the size of the picture (give them when reading), label and split, the frames after the last "
    "person (of several recordings also those before the first), and slots in which nobody is ever seen"
)
MANY = (".json",)
# Number of joints -> layout of the first ones.
_LAYOUTS = {17: "coco17", 26: "halpe26", 133: "coco17", 136: "halpe26"}


@shared.with_options
def read(path, *, fps: shared.Fps = 25.0, width: shared.Side = None, height: shared.Side = None) -> list[Recording]:
    """Read one file: a recording for each name that images share up to a number, in the order of the list."""
    return read_results(shared.load_json(path), path, fps, width, height)


def read_results(content, path, fps: shared.Fps, width: shared.Side, height: shared.Side) -> list[Recording]:
    """Turn a parsed list of results into recordings; see :func:`read`."""
    if not isinstance(content, list) or not content:
        got = shared.in_words(content)
        raise FormatError(f"{path}: wanted a list of results with image_id and keypoints, got {got}")
    poses = _stack([_keypoints(entry, f"{path}: entry {i}") for i, entry in enumerate(content)], path)
    ids = [_first(entry.get("idx")) for entry in content]
    ids = ids if any(ids) else [None] * len(ids)
    groups = _by_clip([entry["image_id"] for entry in content], path)

    def recording(group: tuple[str, list]) -> Recording:
        clip, members = group
        where = path if len(groups) == 1 else f"{path}: {clip}"
        frames = [frame for _, frame in members]
        sequences.check_spread(frames, where)
        # The frames of a video are named `0.jpg`, `1.jpg`, ...
        from_video = re.fullmatch(r"(0|[1-9][0-9]*)\.jpg", str(content[members[0][0]]["image_id"]))
        people = [(frame, poses[row], ids[row]) for row, frame in members]
        keypoints, tracked = sequences.arrange(people, 0 if from_video else min(frames), max(frames))
        name = clip if len(groups) > 1 else None
        return shared.make_recording(keypoints, where, fps, width, height, tracked=tracked, name=name)

    return shared.keep_sound(groups.items(), recording)


def _keypoints(entry, where: str) -> np.ndarray:
    if not isinstance(entry, dict) or not isinstance(entry.get("image_id"), str | int):
        got = ", ".join(entry) if isinstance(entry, dict) else shared.in_words(entry)
        raise FormatError(f"{where}: wanted an object with image_id and keypoints, got {got or 'an empty one'}")
    values = shared.numbers(entry.get("keypoints"), f"{where}: keypoints")
    if len(values) % 3 or len(values) // 3 not in _LAYOUTS:
        wanted = " or ".join(f"{3 * count}" for count in _LAYOUTS)
        raise FormatError(f"{where}: wanted {wanted} values, got {len(values)} ({len(values) / 3:g} joints)")
    return values


def _stack(values: list[np.ndarray], path) -> np.ndarray:
    """Turn equally many values of each person into COCO-17 (N, 17, 3), float32."""
    counts = sorted({len(each) // 3 for each in values})
    if len(counts) > 1:
        raise FormatError(f"{path}: wanted one number of joints in all entries, got {', '.join(map(str, counts))}")
    layout = _LAYOUTS[counts[0]]
    body = np.stack(values).reshape(len(values), -1, 3)[:, : len(JOINT_NAMES[layout])]
    return to_coco17(shared.mark_unseen(body, path), layout)


def _first(value):
    """Return the first id: merged detections have a list of ids, in a list each."""
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _by_clip(images: list, path) -> dict[str, list[tuple[int, int]]]:
    """Name without number -> row and frame number of each of its people."""
    split = {image: sequences.split_number(sequences.without_ending(str(image))) for image in images}
    if len({(clip, number or 0) for clip, number in split.values()}) < len(split):
        raise FormatError(f"{path}: wanted one image for each frame number, got two of one number")
    groups = defaultdict(list)
    for row, image in enumerate(images):
        clip, number = split[image]
        groups[clip].append((row, number or 0))
    return groups


def write(recordings: list[Recording], path) -> None:
    """Write recordings into one JSON file; images are named as a video's, `0.jpg`, and of several `name_0.jpg`."""
    names = [""] if len(recordings) == 1 else [f"{name}_" for name in sequences.unique_names(recordings)]
    entries = [entry for name, each in zip(names, recordings, strict=True) for entry in _entries(each, name)]
    write_text(Path(path), json.dumps(entries))


def _entries(recording: Recording, name: str) -> list[dict]:
    frames, slots, poses = sequences.seen_people(recording)
    values, scores, box = (
        sequences.shortest(a)
        for a in (poses.reshape(len(poses), -1), sequences.mean_scores(poses), sequences.boxes(poses))
    )
    return [
        {"image_id": f"{name}{frame}.jpg", "category_id": 1, "keypoints": values[i], "score": scores[i], "box": box[i]}
        | ({"idx": slot + 1} if recording.tracked else {})
        for i, (frame, slot) in enumerate(zip(frames.tolist(), slots.tolist(), strict=True))
    ]
