"""COCO's keypoint annotations and PoseTrack's, as MMPose reads them: images, annotations and the names of the joints.

Joints are found by the names in ``categories[].keypoints``, not by their order: PoseTrack's second joint is
`head_bottom`, COCO's the left eye. Joints that the file does not name are missing.

Recordings. Images with a ``vid_id`` or ``video_id`` are frames of that video. Of the others, those that share folder
and name up to a number are frames of one recording if they have one size and their numbers are at most 30 apart on
average; else each image is a recording of one frame. Frames are numbered by the names of the images, else by
``frame_id``; ``track_id`` tells people apart. Crowds (``iscrowd``), annotations without keypoints and recordings in
which nobody is annotated are left out.

Confidence. The visibility v is 0, 1 or 2 in COCO: not labelled, labelled and hidden, seen. It becomes 0, 0.5 and 1. In
a file without any 2, such as PoseTrack's, 1 means labelled: confidence 1. If an annotation has a list ``scores`` of one
number a joint (PoseTrack), these are the confidence of its labelled joints. Other numbers instead of v are confidences.

Written: PoseTrack's layout with COCO's joints, v = 2, the confidence in ``scores``, and a list ``videos`` with frame
rate, label and split.

Sources: COCO's data format page (Lin et al. 2014, "Microsoft COCO"); Andriluka et al. 2018, "PoseTrack".
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from poseemo_lib.data.formats import Recording, sequences, shared
from poseemo_lib.errors import FormatError
from poseemo_lib.files import write_text
from poseemo_lib.skeleton import COCO_KEYPOINTS, EDGES

SUFFIX = ".json"
LOST = "slots in which nobody is ever seen"
MANY = (".json",)


@shared.with_options
def read(path, *, fps: shared.Fps = None, width: shared.Side = None, height: shared.Side = None) -> list[Recording]:
    """Read one annotation file: a recording for each video or image, named where there are several."""
    content = shared.load_json(path)
    images, annotations = _table(content, "images", path), _table(content, "annotations", path)
    category, names = _joints(content, path)
    people = [a for a in annotations if "keypoints" in a and not a.get("iscrowd") and a.get("category_id") == category]
    poses = _poses(people, names, path)
    rows = _rows_by_image(people, poses, images, path)
    videos = {str(video.get("id")): video for video in content.get("videos") or [] if isinstance(video, dict)}
    groups = [
        (name, frames) for name, frames in _groups(images, path) if any(rows[str(i.get("id"))] for i in frames.values())
    ]
    if not groups:
        raise FormatError(f"{path}: wanted a person in at least one image, got none in {len(images)} images")
    recordings = []
    for name, frames in groups:
        where = f"{path}: {name}" if len(groups) > 1 else path
        shown = [(frame, row) for frame, image in frames.items() for row in rows[str(image.get("id"))]]
        seen = [(frame, poses[row], people[row].get("track_id")) for frame, row in shown]
        keypoints, tracked = sequences.arrange(seen, min(frames), max(frames))
        video = videos.get(name, {})
        told = {"fps": video.get("fps"), **{side: _side(frames, side, where) for side in ("width", "height")}}
        told |= shared.own_told(video)
        more = {"tracked": tracked, "name": name if len(groups) > 1 else None}
        recordings.append(shared.make_recording(keypoints, where, fps, width, height, told, **more))
    return recordings


def _table(content, key: str, path) -> list[dict]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        hint = "; a list of results is read as alphapose" if isinstance(content, list) else ""
        got = shared.in_words(content) if found is None else f"{key}: {shared.in_words(found)} that are not all objects"
        raise FormatError(f"{path}: wanted COCO's images and annotations, got {got}{hint}")
    return found


def _joints(content: dict, path) -> tuple[int, list[str]]:
    """Return the id of the person category and the names of its joints."""
    listed = [each for each in content.get("categories") or [] if isinstance(each, dict) and each.get("keypoints")]
    listed = [each for each in listed if each.get("name") == "person"] or listed
    if len(listed) != 1:
        raise FormatError(f"{path}: wanted the joints' names in categories[].keypoints, got them {len(listed)} times")
    names = [str(name) for name in listed[0]["keypoints"]]
    shared.match_names(names, path)
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
    values[..., 2] = np.where(plain, sequences.flags_to_confidence(visible), scores)
    return shared.pick_named(values, names, path)


def _exactly(values, wanted: int, where: str) -> np.ndarray:
    array = shared.numbers(values, where)
    if len(array) != wanted:
        raise FormatError(f"{where}: wanted {wanted} values for the joints that categories name, got {len(array)}")
    return array


def _rows_by_image(people: list[dict], poses: np.ndarray, images: list[dict], path) -> dict[str, list[int]]:
    """Id of an image, as a text since files disagree on its type -> rows of the people seen in it."""
    known = {str(image.get("id")) for image in images}
    if len(known) < len(images):
        raise FormatError(f"{path}: wanted an id of its own for each image, got {len(known)} for {len(images)} images")
    rows = defaultdict(list)
    for row in np.flatnonzero((poses[..., 2] > 0).any(-1)).tolist():
        rows[str(people[row].get("image_id"))].append(row)
    if lost := sorted(set(rows) - known):
        raise FormatError(f"{path}: wanted images for all annotations, got none with the id {lost[0][:60]}")
    return rows


def _groups(images: list[dict], path) -> list[tuple[str, dict[int, dict]]]:
    """Sort images into recordings: name, and images by frame number."""
    grouped = defaultdict(list)
    for image in images:
        video = image.get("vid_id", image.get("video_id"))
        key = ("name", sequences.split_number(_stem(image))[0]) if video is None else ("video", str(video))
        grouped[key].append(image)
    groups = []
    for (kind, name), members in grouped.items():
        frames = _frame_numbers(members)
        if kind == "video":
            if frames is None:
                raise FormatError(f"{path}: video {name}: wanted a frame number of its own for each image")
            sequences.check_spread(frames, f"{path}: video {name}")
            groups.append((name, dict(zip(frames, members, strict=True))))
        elif frames is not None and _is_sequence(members, frames):
            groups.append((name.strip("/") or "images", dict(zip(frames, members, strict=True))))
        else:
            groups += [(_stem(image), {0: image}) for image in members]
    return groups


def _stem(image: dict) -> str:
    return sequences.without_ending(str(image.get("file_name") or image.get("id")))


def _frame_numbers(images: list[dict]) -> list[int] | None:
    """Return a number for each image, by name or else by `frame_id`; none where they are not all different."""
    by_name = [sequences.split_number(_stem(image))[1] for image in images]
    for found in (by_name, [image.get("frame_id") for image in images]):
        if all(type(each) is int for each in found) and len(set(found)) == len(found):
            return found
    return None


def _is_sequence(images: list[dict], frames: list[int]) -> bool:
    close = max(frames) - min(frames) < 30 * len(frames)
    return close and len(images) > 1 and len({str((image.get("width"), image.get("height"))) for image in images}) == 1


def _side(frames: dict[int, dict], side: str, where):
    found = {str(image.get(side)): image.get(side) for image in frames.values()}
    if len(found) > 1:
        raise FormatError(f"{where}: wanted images of one {side}, got {', '.join(sorted(found)[:3])}")
    return found.popitem()[1]


def write(recordings: list[Recording], path) -> None:
    """Write recordings into one JSON file."""
    person = {"supercategory": "person", "id": 1, "name": "person", "keypoints": [*COCO_KEYPOINTS]}
    person |= {"skeleton": [[a + 1, b + 1] for a, b in EDGES]}
    content = {"categories": [person], "videos": [], "images": [], "annotations": []}
    for name, recording in zip(sequences.unique_names(recordings), recordings, strict=True):
        size = {"width": recording.width, "height": recording.height}
        told = {key: getattr(recording, key) for key in ("label", "split") if getattr(recording, key)}
        content["videos"].append({"id": name, "fps": recording.fps} | size | told)
        start, n_frames = len(content["images"]) + 1, len(recording.keypoints)
        content["images"] += [
            {"id": start + i, "file_name": f"images/{name}/{i:06d}.jpg", "vid_id": name, "frame_id": i}
            | {"is_labeled": True, "nframes": n_frames, **size}
            for i in range(n_frames)
        ]
        content["annotations"] += _annotations(recording, start, len(content["annotations"]) + 1)
    write_text(Path(path), json.dumps(content))


def _annotations(recording: Recording, first_image: int, first: int) -> list[dict]:
    frames, slots, poses = sequences.seen_people(recording)
    box, scores, values = sequences.boxes(poses), poses[..., 2], poses * [1, 1, 0]
    values[..., 2] = 2 * (scores > 0)
    columns = (values.reshape(len(poses), -1), scores, box, box[:, 2] * box[:, 3])
    counts = (frames + first_image).tolist(), slots.tolist(), (scores > 0).sum(-1).tolist()
    columns = zip(*counts, *map(sequences.shortest, columns), strict=True)
    return [
        {"id": i, "image_id": image, "category_id": 1, "keypoints": keypoints, "scores": shown}
        | {"num_keypoints": seen, "bbox": bbox, "area": area, "iscrowd": 0}
        | ({"track_id": slot} if recording.tracked else {})
        for i, (image, slot, seen, keypoints, shown, bbox, area) in enumerate(columns, start=first)
    ]
