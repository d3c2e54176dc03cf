"""COCO's keypoint annotations and PoseTrack's, as MMPose reads them: images, annotations and the names of the joints.

Joints are found by the names in ``categories[].keypoints``, not by their order: PoseTrack's second joint is
`head_bottom`, COCO's the left eye. Joints that the file does not name are missing.

Recordings. Images with a ``vid_id`` or ``video_id`` are frames of that video. Of the others, those that share folder
and name up to a number are frames of one recording where they have one size and their numbers lie close, 30 apart on
average at most; else each image is a recording of one frame. Frames are numbered by the names of the images, else by
``frame_id``. ``track_id`` says who is who. Crowds (``iscrowd``) and annotations without keypoints are left out, and so
are recordings in which nobody is annotated.

Confidence. The visibility v is 0, 1 or 2 in COCO: not labelled, labelled and hidden, seen. It becomes 0, 0.5 and 1. In
a file without any 2, such as PoseTrack's, 1 means labelled: confidence 1. Where an annotation has a list ``scores`` of
one number a joint (PoseTrack), the labelled joints have these as confidence. Other numbers in place of v are
confidences.

Written: PoseTrack's layout with COCO's joints, v = 2, the confidence in ``scores``, and a list ``videos`` with frame
rate, label and split.

Sources: COCO's data format page (Lin et al. 2014, "Microsoft COCO"); Andriluka et al. 2018, "PoseTrack".
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from poseemo_lib.clips import SPLITS
from poseemo_lib.data.formats import Recording
from poseemo_lib.data.formats.frames import (
    arrange,
    boxes,
    check_spread,
    flags_to_confidence,
    mark_poses,
    seen_people,
    shortest,
    split_number,
    unique_names,
    without_ending,
)
from poseemo_lib.data.formats.names import match_names, pick_named
from poseemo_lib.data.formats.shared import Fps, Side, in_words, load_json, make_recording, numbers, with_options
from poseemo_lib.errors import FormatError
from poseemo_lib.files import write_text
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES

SUFFIX = ".json"
LOST = "slots in which nobody is ever seen"
MANY = True
_MOST_APART = 30


class _Group(NamedTuple):
    name: str
    images: list[dict]
    frames: list[int]


@with_options
def read(path, *, fps: Fps = None, width: Side = None, height: Side = None) -> list[Recording]:
    """Read one annotation file: a recording for each video or image, named where there are several."""
    content = load_json(path)
    images, annotations = _table(content, "images", path), _table(content, "annotations", path)
    category, names = _joints(content, path)
    people = [a for a in annotations if "keypoints" in a and not a.get("iscrowd") and a.get("category_id") == category]
    poses = _poses(people, names, path)
    rows = _rows_by_image(people, images, path)
    videos = content.get("videos") if isinstance(content.get("videos"), list) else []
    videos = {_key(video): video for video in videos if isinstance(video, dict)}
    groups = [group for group in _groups(images, path) if any(rows.get(_key(image)) for image in group.images)]
    if not (poses[..., 2] > 0).any() or not groups:
        raise FormatError(f"{path}: wanted a person in at least one image, got none in {len(images)} images")
    return [
        _recording(group, rows, people, poses, videos.get(group.name, {}), fps, width, height, len(groups) > 1, path)
        for group in groups
        if (poses[[row for image in group.images for row in rows.get(_key(image), [])]][..., 2] > 0).any()
    ]


def _table(content, key: str, path) -> list[dict]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        hint = "; a list of results is read as alphapose" if isinstance(content, list) else ""
        got = in_words(content) if found is None else f"{key}: {in_words(found)} that are not all objects"
        raise FormatError(f"{path}: wanted COCO's images and annotations, got {got}{hint}")
    return found


def _joints(content: dict, path) -> tuple[int, list[str]]:
    """Return the id of the person category and the names of its joints."""
    listed = content.get("categories")
    listed = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    listed = [each for each in listed if isinstance(each.get("keypoints"), list) and each["keypoints"]]
    listed = [each for each in listed if each.get("name") == "person"] or listed
    if len(listed) != 1:
        raise FormatError(f"{path}: wanted the joints' names in categories[].keypoints, got them {len(listed)} times")
    names = [str(name) for name in listed[0]["keypoints"]]
    match_names(names, path)
    return listed[0].get("id"), names


def _poses(people: list[dict], names: list[str], path) -> np.ndarray:
    """Turn the annotations of people into poses (N, 17, 3)."""
    values, scores = np.zeros((len(people), len(names), 3)), np.full((len(people), len(names)), np.nan)
    for row, person in enumerate(people):
        where = f"{path}: annotation {person.get('id', row)}"
        values[row] = _exactly(person["keypoints"], 3 * len(names), where).reshape(-1, 3)
        if person.get("scores"):
            scores[row] = _exactly(person["scores"], len(names), f"{where}: scores")
    visible = values[..., 2]
    plain = np.isnan(scores) | (visible <= 0)
    values[..., 2] = np.where(plain, flags_to_confidence(visible), scores)
    return pick_named(mark_poses(values), names, path)


def _exactly(values, wanted: int, where: str) -> np.ndarray:
    array = numbers(values, where)
    if len(array) != wanted:
        raise FormatError(f"{where}: wanted {wanted} values for the joints that categories name, got {len(array)}")
    return array


def _key(image: dict) -> str:
    """Return the id of an image or video as a text: files disagree on whether it is a number."""
    return str(image.get("id"))


def _rows_by_image(people: list[dict], images: list[dict], path) -> dict[str, list[int]]:
    known = {_key(image) for image in images}
    if len(known) < len(images):
        raise FormatError(f"{path}: wanted an id of its own for each image, got {len(known)} for {len(images)} images")
    rows = defaultdict(list)
    for row, person in enumerate(people):
        rows[str(person.get("image_id"))].append(row)
    lost = sorted(set(rows) - known)
    if lost:
        raise FormatError(f"{path}: wanted images for all annotations, got none with the id {lost[0][:60]}")
    return rows


def _groups(images: list[dict], path) -> list[_Group]:
    """Sort images into recordings."""
    shared: dict[tuple, list[dict]] = {}
    for image in images:
        video = image.get("vid_id", image.get("video_id"))
        shared.setdefault(
            ("name", split_number(_stem(image))[0]) if video is None else ("video", str(video)), []
        ).append(image)
    groups = []
    for (kind, name), members in shared.items():
        frames = _frame_numbers(members)
        if kind == "video":
            if frames is None:
                raise FormatError(f"{path}: video {name}: wanted a frame number of its own for each image")
            check_spread(frames, f"{path}: video {name}")
            groups.append(_Group(name, members, frames))
        elif frames is not None and _is_sequence(members, frames):
            groups.append(_Group(name.strip("/") or "images", members, frames))
        else:
            groups += [_Group(_stem(image), [image], [0]) for image in members]
    return groups


def _stem(image: dict) -> str:
    return without_ending(str(image.get("file_name") or image.get("id")))


def _frame_numbers(images: list[dict]) -> list[int] | None:
    """Return a number for each image, by name or else by `frame_id`; none where they are not all different."""
    by_name = [split_number(_stem(image))[1] for image in images]
    for found in (by_name, [image.get("frame_id") for image in images]):
        if all(type(each) is int for each in found) and len(set(found)) == len(found):
            return found
    return None


def _is_sequence(images: list[dict], frames: list[int]) -> bool:
    close = max(frames) - min(frames) < _MOST_APART * len(frames)
    return close and len(images) > 1 and len({str((image.get("width"), image.get("height"))) for image in images}) == 1


def _recording(
    group: _Group, rows: dict, people: list[dict], poses: np.ndarray, video: dict, fps, width, height, named: bool, path
) -> Recording:
    where = f"{path}: {group.name}" if named else path
    first = min(group.frames)
    listed = [(frame - first, row) for image, frame in zip(group.images, group.frames, strict=True)
              for row in rows.get(_key(image), [])]  # fmt: skip
    frames, own = np.array(listed).T
    ids = [people[row].get("track_id") for row in own]
    ids = ids if all(type(each) is int and abs(each) < 2**62 for each in ids) else None
    keypoints, tracked = arrange(poses[own], frames, ids, max(group.frames) - first + 1, where)
    told = {"fps": video.get("fps"), "width": _side(group, "width", where), "height": _side(group, "height", where)}
    # Only poseemo writes these two; others may mean something else by them.
    label, split = video.get("label"), video.get("split")
    told |= {"label": label if isinstance(label, str) else None, "split": split if split in SPLITS else None}
    name = group.name if named else None
    return make_recording(keypoints, where, fps, width, height, told, tracked=tracked, name=name)


def _side(group: _Group, side: str, where):
    found = {str(image.get(side)): image.get(side) for image in group.images}
    if len(found) > 1:
        raise FormatError(f"{where}: wanted images of one {side}, got {', '.join(sorted(found)[:3])}")
    return found.popitem()[1]


@with_options
def write(recordings: list[Recording], path) -> None:
    """Write recordings into one JSON file."""
    skeleton = [[a + 1, b + 1] for a, b in EDGES]
    person = {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": [*COCO_KEYPOINTS],
        "skeleton": skeleton,
    }
    content = {"categories": [person], "videos": [], "images": [], "annotations": []}
    for name, recording in zip(unique_names(recordings), recordings, strict=True):
        _add(content, recording, name)
    write_text(Path(path), json.dumps(content))


def _add(content: dict, recording: Recording, name: str) -> None:
    size = {"width": recording.width, "height": recording.height}
    told = {key: getattr(recording, key) for key in ("label", "split") if getattr(recording, key)}
    content["videos"].append({"id": name, "fps": recording.fps} | size | told)
    start, n_frames = len(content["images"]) + 1, len(recording.keypoints)
    content["images"] += [
        {"id": start + i, "file_name": f"images/{name}/{i:06d}.jpg", "vid_id": name, "frame_id": i, "is_labeled": True}
        | {"nframes": n_frames, **size}
        for i in range(n_frames)
    ]
    content["annotations"] += _annotations(recording, start, len(content["annotations"]) + 1)


def _annotations(recording: Recording, first_image: int, first: int) -> list[dict]:
    frames, slots, poses = seen_people(recording)
    scores, values = poses[..., 2], poses * [1, 1, 0]
    values[..., 2] = 2 * (scores > 0)
    box = boxes(poses)
    keypoints, shown, bbox = shortest(values.reshape(len(poses), -1)), shortest(scores), shortest(box)
    area, seen = shortest(box[:, 2] * box[:, 3]), (scores > 0).sum(-1).tolist()
    return [
        {"id": first + i, "image_id": image, "category_id": 1, "keypoints": keypoints[i], "scores": shown[i]}
        | {"num_keypoints": seen[i], "bbox": bbox[i], "area": area[i], "iscrowd": 0}
        | ({"track_id": slot} if recording.tracked else {})
        for i, (image, slot) in enumerate(zip((frames + first_image).tolist(), slots.tolist(), strict=True))
    ]
