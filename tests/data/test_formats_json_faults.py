"""Faulty files of JSON and text: one line that names the file."""

import json

import pytest
from made_json import NAN, annotated, entry, line, put, result

from poseemo_lib.data.formats import alphapose, coco, find_files, openpose, ultralytics
from poseemo_lib.errors import FormatError, UsageError


def faulty(**changes):
    return annotated(2) | changes


def with_person(**changes):
    content = annotated(2)
    content["annotations"][1] |= changes
    return content


FAULTS = [
    (alphapose, '[{"image_id": "0.jpg", "keyp', "truncated or damaged JSON"),
    (alphapose, "[" * 100_000, "truncated or damaged JSON: maximum recursion"),
    (alphapose, [], "wanted a list of results .* got a list of 0"),
    (alphapose, [3], "entry 0: wanted an object .* got 3"),
    (alphapose, [{"keypoints": []}], "wanted an object with image_id and keypoints, got keypoints"),
    (alphapose, [entry("0.jpg", joints=14)], r"wanted 51 or 78 or .* got 42 \(14 joints\)"),
    (alphapose, [entry("0.jpg"), entry("1.jpg", joints=26)], "one number of joints in all entries, got 17, 26"),
    (alphapose, [entry("0.jpg") | {"keypoints": [None] * 51}], "entry 0: keypoints: wanted numbers, got None"),
    (alphapose, [entry("0.jpg") | {"keypoints": [NAN] * 51}], "wanted a person in at least one frame"),
    (alphapose, [entry("0.jpg", confidence=70)], "confidence: wanted 0 to 1, got up to 70"),
    (alphapose, [entry("a_1.jpg"), entry("a_01.png")], "one image for each frame number"),
    (alphapose, [entry("a_1.jpg"), entry("a_1700000000.jpg")], "wanted frame numbers"),
    (coco, [entry("0.jpg")], "COCO's images and annotations, got a list of 1; .* alphapose"),
    (coco, faulty(images=[3]), "images: a list of 1 that are not all objects"),
    (coco, faulty(categories=[]), "joints' names in categories"),
    (coco, faulty(categories=[{"id": 1, "keypoints": ["nose", "tail"]}]), "named like COCO's"),
    (coco, with_person(keypoints=[1, 2, 2] * 14), "annotation 1: wanted 51 values .* got 42"),
    (coco, with_person(scores=[1.0] * 5), "annotation 1: scores: wanted 17"),
    (coco, with_person(image_id=77), "none with the id 77"),
    (coco, annotated(2, id=5), "an id of its own for each image"),
    (coco, annotated(2, vid_id="v", file_name="a.jpg"), "video v: wanted a frame number of its own"),
    (coco, annotated(2, width="wide"), "width: wanted a number from 1 to 100000, got 'wide'"),
    (coco, annotated(2, v=0), "a person in at least one image"),
    (ultralytics, [[], []], "wanted a person in at least one frame, got none in 2 frames"),
    (ultralytics, {"a": 1}, "wanted a list of people or a list of such lists, got an object of 1"),
    (ultralytics, [{"name": "person", "box": {}}], "got name, box; is it a pose model"),
    (ultralytics, [result(joints=14)], "wanted 17 joints in x, y and visible, got 14, 14, 14"),
    (ultralytics, [result() | {"keypoints": {"x": "no", "y": []}}], "x: wanted numbers, got 'no'"),
]


@pytest.mark.parametrize(("module", "content", "message"), FAULTS)
def test_faulty_json_is_named_in_one_line(tmp_path, module, content, message):
    path = put(tmp_path / "bad.json", content)
    with pytest.raises(FormatError, match=message) as error:
        module.read(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line(joints=14), "wanted 56 values a line .* got 47"),
        (line() + "\n" + line(tail=(0.5,)), "wanted lines of equally many numbers, .*changed from 56 to 57 at row 2"),
        (line(x="x"), "equally many numbers, got something else"),
        (line(x="nan"), "wanted a person in at least one frame"),
    ],
)
def test_faulty_labels_are_named_in_one_line(tmp_path, text, message):
    path = put(tmp_path / "bad.txt", text)
    with pytest.raises(FormatError, match=message) as error:
        ultralytics.read(path, width=640, height=480)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_labels_of_two_kinds_in_one_recording(tmp_path):
    put(tmp_path / "a_1.txt", line())
    put(tmp_path / "a_2.txt", line(channels=2))
    with pytest.raises(FormatError, match="39 in a_2.txt, 56 in a_1.txt"):
        ultralytics.read(tmp_path, width=640, height=480)


@pytest.mark.parametrize("module", [alphapose, coco, ultralytics, openpose])
def test_other_bytes_folders_and_nothing(tmp_path, module):
    size = {"width": 640, "height": 480}
    bad = tmp_path / "bad_keypoints.json"
    bad.write_bytes(b'[{"image_id": "\xff\xfe\x80"}]')
    with pytest.raises(FormatError, match="damaged JSON"):
        module.read(bad, **size)
    (tmp_path / "folder.json").mkdir()
    for path in (tmp_path / "folder.json", tmp_path / "nothing.json"):
        with pytest.raises(FormatError, match=r"(folder|nothing)\.json: (cannot be read|wanted .* found none)"):
            module.read(path, **size)
    with pytest.raises(UsageError, match="files, found none"):
        find_files(module.__name__.rpartition(".")[2], tmp_path / "folder.json")
    with pytest.raises(UsageError, match="width"):
        module.read(bad, width="wide")


def test_json_with_a_byte_order_mark_or_in_utf_16(tmp_path):
    text = json.dumps([entry("0.jpg")])
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_bytes(text.encode(encoding))
        assert len(alphapose.read(tmp_path / "a.json")) == 1


def test_so_many_tracks_that_slots_do_not_fit_are_left_to_be_linked(tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.data.formats.sequences._MOST_SLOTS", 5)
    (found,) = alphapose.read(put(tmp_path / "a.json", [entry(f"{i}.jpg", idx=i + 1) for i in range(4)]))
    assert not found.tracked and found.keypoints.shape == (4, 1, 17, 3)
