"""Videos read at a constant rate, turned as shown, odd files named in one line."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import GREYS, corners, make_sound, make_video, quarters, which
from shared_videos import VIDEOS, needs_shared

from poseemo_lib.errors import FormatError, UsageError
from poseemo_lib.video.decoding import LONGEST_GAP, Damage, _timed
from poseemo_lib.video.frames import prefetch, probe, read_frames


def shown(frames, n=20):
    return [which(frame.rgb, n) for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mkv", "libx264", {}),
        ("a.avi", "mpeg4", {}),
        ("b.avi", "mpeg4", {"bf": "2"}),
        ("a.mov", "mjpeg", {}),
        ("a.ts", "libx264", {}),
    ],
)
def test_a_constant_rate_gives_each_picture_once_and_in_order(tmp_path, name, codec, options):
    path = make_video(tmp_path / name, GREYS, codec=codec, **options)
    damage = []
    frames = list(read_frames(path, on_damage=damage.append))
    assert shown(frames) == list(range(20)) and not any(frame.repeated for frame in frames)
    assert [frame.index for frame in frames] == list(range(20))
    assert np.allclose([frame.seconds for frame in frames], np.arange(20) / 25)
    info = probe(path)
    assert (info.fps, info.width, info.height) == (25, 64, 48) and damage == []
    assert frames[0].rgb.shape == (48, 64, 3) and frames[0].rgb.dtype == np.uint8
    if info.n_frames:
        assert abs(info.n_frames - 20) <= 1


@pytest.mark.parametrize("fps", [29.97, 59.94, 23.976])
def test_a_rate_that_milliseconds_round_loses_and_repeats_nothing(tmp_path, fps):
    frames = list(read_frames(make_video(tmp_path / "a.mkv", GREYS * 5, fps=fps)))
    assert shown(frames) == list(range(20)) * 5


def test_a_lower_rate_shows_the_latest_picture_and_a_higher_one_is_not_made_up(tmp_path):
    path = make_video(tmp_path / "a.mp4", GREYS, fps=25)
    slow = list(read_frames(path, fps=10))
    assert shown(slow) == [int(k / 10 * 25 + 1e-9) for k in range(8)] == [0, 2, 5, 7, 10, 12, 15, 17]
    assert probe(path, fps=10).fps == 10 and probe(path, fps=10).n_frames == 8
    assert len(list(read_frames(path, fps=60))) == 20 and probe(path, fps=60).fps == 25


def test_a_variable_rate_becomes_constant_with_the_latest_picture_at_each_time(tmp_path):
    times = [0, 40, 80, 200, 240, 500, 520, 560, 1000, 1040]
    path = make_video(tmp_path / "a.mkv", GREYS[:10], times=times)
    fps = 25
    frames = list(read_frames(path, fps=fps))
    rate = probe(path, fps=fps).fps
    n = len(frames)
    wanted = [max(i for i, t in enumerate(times) if t <= 1000 * k / rate + 1) for k in range(n)]
    assert shown(frames, 10) == wanted
    assert abs(n - rate * (times[-1] / 1000 + 1 / rate)) <= 1.5
    repeats = [False] + [a == b for a, b in zip(wanted, wanted[1:], strict=False)]
    assert [frame.repeated for frame in frames] == repeats and sum(repeats) > 5
    assert all(b.rgb is a.rgb for a, b in zip(frames, frames[1:], strict=False) if b.repeated)


@pytest.mark.parametrize(
    ("turn", "wanted"),
    [
        ((0, False, False), "rgbw"),
        ((90, False, False), "gwrb"),
        ((180, False, False), "wbgr"),
        ((-90, False, False), "brwg"),
        ((0, True, False), "grwb"),
        ((0, False, True), "bwrg"),
        ((90, True, False), "wgbr"),
        ((-90, True, False), "rbgw"),
    ],
)
def test_a_picture_is_turned_and_mirrored_as_its_file_states(tmp_path, turn, wanted):
    path = make_video(tmp_path / "a.mp4", [quarters()] * 3, turn=turn)
    frame = next(read_frames(path))
    assert corners(frame.rgb) == wanted
    size = (64, 48) if turn[0] in (0, 180) else (48, 64)
    assert (probe(path).width, probe(path).height) == size and frame.rgb.shape == (*size[::-1], 3)
    with av.open(str(path)) as container:  # against PyAV's own reading of the matrix
        decoded = next(container.decode(video=0))
        if not any(turn[1:]):
            assert np.array_equal(frame.rgb, np.rot90(decoded.to_ndarray(format="rgb24"), decoded.rotation // 90))


def test_wide_pixels_are_made_square(tmp_path):
    path = make_video(tmp_path / "a.mp4", [quarters()] * 3, aspect="4/3")
    assert (probe(path).width, probe(path).height) == (85, 48)
    assert next(read_frames(path)).rgb.shape == (48, 85, 3) and corners(next(read_frames(path)).rgb) == "rgbw"


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.avi", "rawvideo"), ("b.avi", "mjpeg")])
def test_odd_sizes_are_read_as_they_are(tmp_path, name, codec):
    rng = np.random.default_rng(0)
    pictures = [np.kron(rng.integers(0, 256, (5, 9, 3)), np.ones((7, 7, 1))).astype(np.uint8) for _ in range(3)]
    path = make_video(tmp_path / name, pictures, codec=codec)
    frames = list(read_frames(path))
    assert (probe(path).width, probe(path).height, len(frames)) == (63, 35, 3)
    for frame, picture in zip(frames, pictures, strict=True):
        error = np.abs(frame.rgb.astype(int) - picture)
        assert error.mean() < 30 if codec == "mjpeg" else error.max() == 0


def test_odd_names_and_texts_do_not_matter(tmp_path, monkeypatch):
    whole = make_video(tmp_path / "a.avi", GREYS, codec="mpeg4").read_bytes()
    assert whole.count(b"Lavf") == 1
    monkeypatch.chdir(tmp_path)
    for name in ("a:b.avi", "-i.avi", "film %03d é.avi", os.fsdecode(b"caf\xe9.avi")):
        Path(name).write_bytes(whole.replace(b"Lavf", b"\xe9avf"))  # Latin-1, as old programs wrote it
        assert shown(read_frames(name)) == list(range(20)), ascii(name)


def lines_of(path, **options):
    with pytest.raises(FormatError) as caught:
        list(read_frames(path, **options))
    with pytest.raises(FormatError) as probed:
        probe(path)
    assert str(probed.value) == str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_video_is_said_in_one_line(tmp_path):
    text, empty, folder = tmp_path / "text.mp4", tmp_path / "empty.mp4", tmp_path / "folder.mp4"
    text.write_text("this is a text\n" * 100)
    empty.write_bytes(b"")
    folder.mkdir()
    noise = tmp_path / "noise.avi"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    for path in (text, empty, noise):
        assert lines_of(path) == f"{path}: cannot be read as a video: Invalid data found when processing input"
    assert lines_of(folder) == f"{folder}: wanted a video file, got a folder"
    assert lines_of(tmp_path / "missing.mp4").endswith("cannot be read as a video: No such file or directory")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "got a pipe or a device" in lines_of(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.m4a", "aac"), ("a.mp4", "aac")])
def test_sound_alone_is_no_video(tmp_path, name, codec):
    path = make_sound(tmp_path / name, codec)
    assert lines_of(path) == f"{path}: wanted a video, got a file with only sound"


def test_a_file_cut_anywhere_gives_what_is_there_and_says_so(tmp_path):
    whole = make_video(tmp_path / "whole.avi", GREYS * 10, codec="mpeg4").read_bytes()
    path = tmp_path / "cut.avi"
    for share in (0.3, 0.5, 0.7):
        path.write_bytes(whole[: int(len(whole) * share)])
        damage = []
        frames = list(read_frames(path, on_damage=damage.append))
        assert 20 < len(frames) < 200
        assert len(damage) == 1 and damage[0].startswith("truncated: ends at ") and "of 8.0 s" in damage[0]
        assert shown(frames)[:-1] == (list(range(20)) * 10)[: len(frames) - 1]
        list(read_frames(path))  # who does not ask is not told
    path.write_bytes(whole[:300])
    assert lines_of(path).startswith(f"{path}: ")


def test_no_damage_at_random_ends_otherwise_than_in_pictures_or_one_line(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "a"
    for name, codec in (("w.avi", "mpeg4"), ("w.mp4", "libx264"), ("w.mkv", "libx264")):
        whole = make_video(tmp_path / name, GREYS, codec=codec, sound=True).read_bytes()
        for _ in range(25):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), 1 + rng.integers(20)):
                data[at] = rng.integers(256)
            path.write_bytes(data)
            try:
                n = sum(1 for _ in read_frames(path, on_damage=lambda text: None))
            except FormatError as error:
                assert "\n" not in str(error)
            else:
                assert 0 < n < 25 * LONGEST_GAP * 2


class Stamp:
    """A decoded frame's times."""

    is_corrupt = False
    time_base = dts = None
    duration = 0

    def __init__(self, seconds):
        self.pts = None if seconds is None else round(seconds * 1000)


class Stream:
    guessed_rate = average_rate = 25
    time_base = 0.001


def timed(*seconds):
    damage = Damage()
    return [t for t, _ in _timed("x", map(Stamp, seconds), Stream, damage)], damage


def test_times_that_leap_are_closed_and_those_that_stand_still_are_dropped():
    times, damage = timed(0, 0.04, 0.08, 5000, 5000.04)
    assert np.allclose(times, [0, 0.04, 0.08, 0.12, 0.16]) and damage.text() == "1 leaps of the time stamps"
    times, damage = timed(100, 100.04, 3, 3.04)
    assert np.allclose(times, [0, 0.04, 0.08, 0.12]) and damage.leaps == 1
    times, damage = timed(0, 0.04, 0.04, 0.02, 0.08)
    assert np.allclose(times, [0, 0.04, 0.08]) and damage.text() == ""
    times, _ = timed(None, None, None)
    assert np.allclose(times, [0, 0.04, 0.08])
    times, damage = timed(0, 30, 30.04)
    assert np.allclose(times, [0, 30, 30.04]) and damage.text() == ""


@pytest.mark.parametrize("fps", [0, -1, 0.5, 1001, float("nan"), float("inf")])
def test_a_rate_out_of_range_is_refused(tmp_path, fps):
    path = make_video(tmp_path / "a.mp4", GREYS)
    with pytest.raises(UsageError, match=r"fps: wanted 1 to 1000, got"):
        next(read_frames(path, fps=fps))


def test_a_file_without_a_sensible_rate_asks_for_one(tmp_path):
    path = make_video(tmp_path / "slides.mp4", GREYS[:4], fps=0.25)
    assert lines_of(path) == f"{path}: frame rate: wanted 1 to 1000, got 0.25; state one with `fps`"
    frames = list(read_frames(path, fps=2))
    assert probe(path, fps=2).fps == 2 and shown(frames[:25]) == [k // 8 for k in range(25)]


@pytest.mark.parametrize(
    ("name", "n", "fps", "size"),
    [("one_person_dance", 545, 30, (384, 496)), ("two_people_outdoor_cam01", 100, 60, (1088, 1920))],
)
def test_real_videos(name, n, fps, size):
    needs_shared()
    path = VIDEOS / f"{name}.mp4"
    info, damage = probe(path), []
    assert (info.n_frames, info.fps, (info.width, info.height)) == (n, fps, size)
    assert sum(not frame.repeated for frame in prefetch(read_frames(path, on_damage=damage.append))) == n
    assert damage == []
