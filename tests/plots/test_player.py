import numpy as np
import pandas as pd
import pytest

from poseemo_lib.plots.interactive import confusion_explorer, parallel_runs
from poseemo_lib.plots.player import N_MOVING, TRACES, PlayerClip, body_path, skeleton_player
from poseemo_lib.skeleton import EDGES, JOINT

CLASSES = ("calm", "tense", "<b>")
NASTY = "<script>alert(1)</script> $x$"


def make_clip(name="clip", n=8, real=6, attention=True, planted=(1, 4), label="tense"):
    rng = np.random.default_rng(3)
    weights = rng.random(n) if attention else None
    keypoints = rng.random((n, 2, 17, 3))
    return PlayerClip(name, label, keypoints, np.arange(n) < real, 25.0, weights, np.array([0.2, 0.7, 0.1]), planted)


def test_the_pen_draws_every_edge_once():
    path = body_path()
    drawn = [frozenset(pair) for pair in zip(path, path[1:], strict=False) if None not in pair]
    assert sorted(map(sorted, drawn)) == sorted(map(sorted, EDGES))


def test_the_frames_are_the_real_frames_of_each_clip_and_what_is_missing_is_a_gap():
    keypoints = np.full((3, 2, 17, 3), np.nan)
    keypoints[0, 0, JOINT["left_shoulder"]] = (10.0, 20.0, 0.9)
    keypoints[0, 0, JOINT["right_shoulder"]] = (30.0, 60.0, 0.9)
    clip = PlayerClip("c", "calm", keypoints, np.array([True, True, False]), 10.0, None, np.ones(3) / 3)
    fig = skeleton_player([make_clip(), clip], CLASSES, synthetic=False)
    frames = [frame for frame in fig.frames if frame.group == "1"]
    assert [frame.name for frame in frames] == ["1/0", "1/1"]
    assert list(frames[0].traces) == list(range(N_MOVING))
    first = frames[0].data[0]
    seen = {(x, y) for x, y in zip(first.x, first.y, strict=True) if x is not None}
    # 20 wide, 40 high: the longer side is 1000 steps, the shorter one 500, in the middle.
    assert seen == {(250, 0), (750, 1000)}
    assert set(frames[1].data[0].x) == {None} and set(frames[0].data[1].x) == {None}
    assert list(frames[1].data[2].x) == [0.1, 0.1]


def test_attention_is_relative_to_an_even_one_and_the_bars_are_the_probabilities():
    clip = make_clip()
    fig = skeleton_player([clip], CLASSES, synthetic=True)
    traces = dict(zip(TRACES, fig.data, strict=True))
    wanted = clip.attention[:6] / clip.attention[:6].mean()
    assert np.allclose(traces["attention"].y, wanted, atol=1e-3) and len(traces["attention"].x) == 6
    assert list(traces["planted"].x)[:2] == [0.04, 0.04] and list(traces["planted"].x)[-1] == 0.16
    bars = [shape for shape in fig.layout.shapes if shape.type == "rect"]
    assert [bar.x1 for bar in bars] == [0.2, 0.7, 0.1]
    assert [bar.line.width for bar in bars] == [0, 2, 0]
    assert fig.layout.yaxis3.ticktext == ("calm 20 %", "<b>✓ tense 70 %</b>", "&lt;b&gt; 10 %")
    assert fig.layout.title.text == "true class <b>tense</b>, predicted <b>tense</b>"
    assert any("synthetic data" in note.text for note in fig.layout.annotations)


def test_without_attention_or_a_planted_span_nothing_is_made_up():
    fig = skeleton_player([make_clip(attention=False, planted=None)], CLASSES, synthetic=False)
    traces = dict(zip(TRACES, fig.data, strict=True))
    assert not traces["attention"].x and not traces["planted"].x
    assert "no attention" in fig.layout.yaxis2.title.text and not fig.layout.annotations
    assert all(shape.type == "rect" for shape in fig.layout.shapes if shape.visible is not False)


def test_one_clip_at_a_time_is_shown_with_its_own_controls():
    clips = [make_clip("a"), make_clip(NASTY, n=12, real=12, attention=False, label="calm"), make_clip("c")]
    fig = skeleton_player(clips, CLASSES, synthetic=True)
    chooser, *plays = fig.layout.updatemenus
    assert [menu.visible for menu in plays] == [slider.visible for slider in fig.layout.sliders] == [True, False, False]
    assert chooser.buttons[1].label == "&lt;script&gt;alert(1)&lt;/script&gt; &#36;x&#36;"
    assert tuple(chooser.buttons[1].args[0]) == ("clip/1",)
    entry = next(frame for frame in fig.frames if frame.name == "clip/1")
    assert [menu.visible for menu in entry.layout.updatemenus[1:]] == [False, True, False]
    assert [slider.visible for slider in entry.layout.sliders] == [False, True, False]
    assert plays[1].buttons[0].args[0] == "1" and tuple(fig.layout.sliders[1].steps[2].args[0]) == ("1/2",)
    # What the entry shows is what the clip alone would show.
    alone = skeleton_player(clips[1:2], CLASSES, synthetic=True)
    for drawn, wanted in zip(entry.data, alone.data, strict=True):
        assert (drawn.x, drawn.y) == (wanted.x, wanted.y)
    assert entry.layout.title.text == alone.layout.title.text and entry.layout.shapes == alone.layout.shapes
    assert entry.layout.yaxis3.ticktext == alone.layout.yaxis3.ticktext
    assert len(entry.layout.shapes) == len(fig.layout.shapes)  # plotly merges them one by one


def test_odd_clips_do_not_stop_it():
    empty = np.full((4, 2, 17, 3), np.nan), np.zeros(4, bool)
    nothing = PlayerClip("none", "else", *empty, 25.0, np.ones(4), np.ones(3) / 3)
    alone = PlayerClip("one", "calm", np.ones((4, 1, 17, 3)), np.ones(4, bool), 25.0, np.zeros(4), np.ones(3) / 3)
    fig = skeleton_player([nothing, alone], CLASSES, synthetic=False)
    assert {frame.group for frame in fig.frames} == {"1", "clip"} and not fig.layout.sliders[0].visible
    with pytest.raises(ValueError, match="at least one clip"):
        skeleton_player([], CLASSES, synthetic=False)


def test_twelve_clips_stay_small():
    fig = skeleton_player([make_clip(str(place), 64, 64) for place in range(12)], CLASSES, synthetic=True)
    assert len(fig.frames) == 12 * 64 + 12 and len(fig.to_json()) < 2.5e6


def test_the_explorer_shows_counts_as_they_are_and_shares_by_true_class():
    confusions = {"net": np.array([[3, 1, 0], [0, 0, 0], [2, 2, 4]]), NASTY: np.eye(3, dtype=int)}
    fig = confusion_explorer(confusions, CLASSES, synthetic=True)
    shares, counts = fig.data
    assert shares.visible and not counts.visible
    assert [list(row) for row in shares.z] == [[0.75, 0.25, 0], [None] * 3, [0.25, 0.25, 0.5]]
    assert [list(row) for row in counts.text] == [["3", "1", "0"], ["0", "0", "0"], ["2", "2", "4"]]
    assert list(shares.text[1]) == ["–"] * 3
    assert fig.layout.title.text.startswith("12 predictions") and "58.3 % correct" in fig.layout.title.text
    button = fig.layout.updatemenus[0].buttons[1]
    assert "<script" not in button.label and "100.0 % correct" in button.args[1]["title.text"]
    assert sum(int(text) for row in button.args[0]["text"][1] for text in row) == 3
    with pytest.raises(ValueError, match="at least one config"):
        confusion_explorer({}, CLASSES, synthetic=True)


def test_the_parallel_lines_keep_every_value_and_say_what_is_left_out():
    table = pd.DataFrame({"config": ["b", NASTY, "a"], "F1": [0.5, np.nan, 0.25], "flag": [True, False, True]})
    fig = parallel_runs(table, synthetic=True)
    lines = fig.data[0]
    assert fig.layout.title.text.startswith("2 runs; 1 with a missing number not drawn")
    dimensions = {dimension.label: dimension for dimension in lines.dimensions}
    configs = dimensions["config"]
    assert [configs.ticktext[place] for place in configs.values] == ["b", "a"]
    assert list(dimensions["F1"].values) == [0.5, 0.25] == list(lines.line.color)
    assert [dimensions["flag"].ticktext[place] for place in dimensions["flag"].values] == ["True", "True"]
    assert parallel_runs(table[["config"]], synthetic=False).data[0].line.color == "#0072B2"
