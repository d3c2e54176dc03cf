import pytest

from poseemo_lib.data.extraction.sources import find_entries, find_videos
from poseemo_lib.errors import UsageError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def told(entries):
    return [(one.name, one.label, one.split, one.source_id, one.group_id) for one in entries]


def test_caers_layout_gives_label_split_and_an_id_with_both(tmp_path):
    above, tmp_path = tmp_path, tmp_path / "CAER"
    touch(tmp_path, "train/Anger/0001.avi", "validation/Anger/0001.avi", "test/Surprise/0001.avi", "README.txt")
    touch(tmp_path, "train/.hidden/0001.avi", "train/Anger/._0001.avi")
    entries, unmatched = find_entries(tmp_path)
    assert unmatched == []
    assert told(entries) == [
        (name, label, split, name, name)
        for name, label, split in [
            ("test/Surprise/0001", "surprise", "test"),
            ("train/Anger/0001", "angry", "train"),
            ("validation/Anger/0001", "angry", "val"),
        ]
    ]
    deeper = find_entries(above)[0]
    assert [(one.label, one.split) for one in deeper] == [(one.label, one.split) for one in entries]
    part = find_entries(tmp_path / "train", split="train")[0]
    assert told(part) == [("Anger/0001", "angry", "train", "Anger/0001", "Anger/0001")]


def test_a_folder_per_class_and_words_of_others(tmp_path):
    touch(tmp_path, "show/joy/a.mp4", "show/Sadness/b.MOV", "c.mp4")
    entries, unmatched = find_entries(tmp_path, label_map={"Joy": "happy"})
    assert [(one.name, one.label, one.split) for one in entries] == [
        ("show/Sadness/b", "sad", None),
        ("show/joy/a", "happy", None),
    ]
    assert unmatched == ["c.mp4"]
    with pytest.raises(UsageError, match="labels: wanted angry, .* got joy; map each: --label-map joy=neutral"):
        find_entries(tmp_path)


def test_one_label_for_all_and_a_pattern(tmp_path):
    touch(tmp_path, "bob_happy_1.mp4", "eve_sad_1.mp4")
    entries, _ = find_entries(tmp_path, label="happy", split="test")
    assert told(entries)[0] == ("bob_happy_1", "happy", "test", "bob_happy_1", "bob_happy_1")
    assert len(entries) == 2
    one, _ = find_entries(tmp_path / "eve_sad_1.mp4", label="sad")
    assert told(one) == [("eve_sad_1", "sad", None, "eve_sad_1", "eve_sad_1")]
    entries, _ = find_entries(tmp_path, label_pattern=r"(?P<group>\w+?)_(?P<label>\w+?)_")
    assert [(one.label, one.group_id) for one in entries] == [("happy", "bob"), ("sad", "eve")]


def test_videos_that_differ_in_the_suffix_only_are_two_clips_of_one_source(tmp_path):
    touch(tmp_path, "happy/a.mp4", "happy/a.avi", "happy/b.avi")
    entries, _ = find_entries(tmp_path)
    assert [one.name for one in entries] == ["happy/a.avi", "happy/a.mp4", "happy/b"]
    assert {one.group_id for one in entries[:2]} == {"happy/a"}


@pytest.mark.parametrize(
    "text",
    [
        "x/a.mp4,happy,show1,,train\n# a comment\n\nb.mp4,Anger,show2\n",
        "\ufeffgroup,label,path,split\nshow1,happy,x/a.mp4,train\nshow2,Anger,b.mp4,\n",
        "x/a.mp4\thappy\tshow1\t\ttrain\nb.mp4\tAnger\tshow2\n",
    ],
)
def test_a_list_says_it_by_place_or_by_name(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    entries, _ = find_entries(path)
    assert told(entries) == [("x/a", "happy", "train", "x/a", "show1"), ("b", "angry", None, "b", "show2")]
    assert [one.path for one in entries] == [tmp_path / "x/a.mp4", tmp_path / "b.mp4"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\n", "wanted a list of videos, found none in it"),
        ("a.mp4\n", "line 1: wanted a path and a label, got 'a.mp4'"),
        ("a.mp4,happy\na.mp4,sad\n", "a.mp4: wanted each video once, got it 2 times"),
        ("a.mp4,happy,g,s,train,more\n", "line 1: wanted at most 5 columns"),
        ("path,label,mood\na.mp4,happy,x\n", "wanted columns among path, .* got mood"),
        ("a.mp4,happy,g,s,week\n", "split: wanted one of train, .* got week"),
        ("a.mp4,bored\n", "labels: wanted angry, .* got bored"),
    ],
)
def test_a_faulty_list_is_refused(tmp_path, text, said):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UsageError, match=said):
        find_entries(tmp_path / "list.txt")


def test_what_cannot_be_meant_is_refused(tmp_path):
    with pytest.raises(UsageError, match="found neither a file nor a folder"):
        find_videos(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"wanted videos \(\.avi, .*\), found none"):
        find_entries(tmp_path)
    touch(tmp_path, "a.mp4")
    for src in (tmp_path, tmp_path / "a.mp4"):
        with pytest.raises(UsageError, match="labels: wanted a folder per class, .*; give --label CLASS"):
            find_entries(src)
    with pytest.raises(UsageError, match="--label: gives the label of all videos"):
        find_entries(tmp_path, label="happy", label_pattern="(?P<label>a)")
    (tmp_path / "l.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="wanted a list of videos as text"):
        find_entries(tmp_path / "l.csv")
