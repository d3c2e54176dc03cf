import re
import threading
import time

import numpy as np
import pytest
from made_prediction import made_info
from shared_videos import write

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.data.formats import Recording
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.inference.inputs import InputRecording
from poseemo_lib.inference.live import view
from poseemo_lib.inference.live.loop import run_live
from poseemo_lib.inference.live.session import LiveSession, LiveState
from poseemo_lib.inference.live.sources import camera_frames, keypoint_source, open_camera, open_file
from poseemo_lib.inference.live.view import Painter, View

pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")
from poseemo_lib.video.drawing import class_colour  # noqa: E402
from poseemo_lib.video.frames import Frame, read_frames  # noqa: E402
from poseemo_lib.video.people import find_people  # noqa: E402

RATE = 100.0


class Even:
    """A predictor of which only the time is of interest."""

    info = made_info("even", EMOTIONS, n_frames=8)

    def probabilities(self, windows, fps, width, height):
        return np.full((len(windows), 7), 1 / 7)


class Slow:
    """An estimator that takes its time, and finds one person."""

    def __init__(self, seconds=0.0, fail_at=None):
        self.seconds, self.fail_at, self.seen, self.resets = seconds, fail_at, [], 0

    def reset(self):
        self.resets += 1

    def estimate(self, rgb, seconds):
        if self.fail_at is not None and len(self.seen) >= self.fail_at:
            raise PoseemoError("estimator: broke")
        time.sleep(self.seconds)
        self.seen.append(round(seconds * RATE))
        pose = np.linspace(1, 20, 17)[:, None].repeat(3, 1)
        pose[:, 0] += rgb[0, 0, 0]  # tells which picture it was
        pose[:, 2] = 1
        return pose[None].astype(np.float32)


class Numbered:
    """A source of pictures at a rate; those in `cuts` begin a scene."""

    name, kind, fps, width, height, size, tracked, label = "n", "camera", RATE, 64, 48, (64, 48), False, None

    def __init__(self, n, estimator, *, live, cuts=(), fail_at=None):
        self.n, self.estimator, self.live, self.cuts, self.fail_at, self.closed = n, estimator, live, cuts, fail_at, 0

    def frames(self):
        start = time.monotonic()
        try:
            for k in range(self.n):
                if k == self.fail_at:
                    raise PoseemoError("camera 0: gives no more pictures")
                if self.live:
                    time.sleep(max(0, start + k / RATE - time.monotonic()))
                yield Frame(k, k / RATE, np.full((48, 64, 3), k % 256, np.uint8), is_cut=k in self.cuts)
        finally:
            self.closed += 1

    def find_people(self, frames):
        return find_people(frames, self.estimator)


class Watched(LiveSession):
    """A session that notes what it is given."""

    def __post_init__(self):
        super().__post_init__()
        self.given = []

    def push(self, poses, *, index=None, cut=False):
        self.given.append((index, cut))
        assert not len(poses) or poses[0, 0, 0] == 1 + index % 256
        return super().push(poses, index=index, cut=cut)


def session(source, **how):
    return Watched(Even(), source.fps, source.width, source.height, keep=True, **how)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("live")]


class TestDropping:
    def test_a_slow_estimator_on_a_live_source_drops_frames_instead_of_lagging(self):
        source = Numbered(150, Slow(0.04), live=True)
        at = session(source, stride=0.1)
        pace = run_live(at, source)
        indices = [index for index, _ in at.given]
        assert 10 < pace.frames < 80 and indices == sorted(set(indices)) and indices[-1] >= 140
        assert set(indices) <= set(source.estimator.seen)
        assert pace.dropped == 150 - pace.frames
        assert np.percentile(pace.delays, 90) < 250  # a queue would have ended at seconds
        assert source.closed == 1

    def test_a_cut_on_a_dropped_frame_is_none_lost(self):
        source = Numbered(80, Slow(0.05), live=True, cuts=(21, 52))
        at = session(source, stride=0.1)
        run_live(at, source)
        cuts = [index for index, cut in at.given if cut]
        assert len(cuts) == 2 and 21 <= cuts[0] < 40 and 52 <= cuts[1] < 75
        assert source.estimator.resets == 3

    def test_the_video_has_every_time_once(self, tmp_path):
        source = Numbered(60, Slow(0.04), live=True)
        at = session(source)
        pace = run_live(at, source, out=tmp_path / "o.mp4")
        assert pace.dropped > 10
        assert sum(1 for _ in read_frames(tmp_path / "o.mp4")) == at.given[-1][0] + 1


class TestEnding:
    def test_an_error_of_the_camera_ends_it_and_what_was_done_is_kept(self, tmp_path):
        source = Numbered(99, Slow(), live=False, fail_at=40)
        at = session(source, stride=0.05)
        with pytest.raises(PoseemoError, match="gives no more pictures"):
            run_live(at, source, out=tmp_path / "o.mp4")
        assert [index for index, _ in at.given] == list(range(40)) and at.table()["stop_seconds"].iloc[-1] == 0.4
        assert sum(1 for _ in read_frames(tmp_path / "o.mp4")) == 40

    @pytest.mark.parametrize("live", [True, False])
    def test_an_error_of_the_estimator_too(self, live):
        source = Numbered(10**6, Slow(fail_at=5), live=live)
        at = session(source)
        with pytest.raises(PoseemoError, match="estimator: broke"):
            run_live(at, source)
        assert len(at.given) <= 5 and source.closed == 1

    def test_an_error_before_the_first_picture_is_the_one_that_is_told(self, tmp_path):
        source = Numbered(9, Slow(), live=False, fail_at=0)
        with pytest.raises(PoseemoError, match="gives no more pictures"):
            run_live(session(source), source, out=tmp_path / "o.mp4")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("live", [True, False])
    def test_a_key_a_time_and_a_wish_end_it(self, live, tmp_path):
        class Keys:
            shown = 0

            def show(self, rgb):
                self.shown += 1
                return {3: "m", 4: "h", 6: "xq"}.get(self.shown, "")

        source, keys, view = Numbered(10**6, Slow(), live=live), Keys(), View()
        pace = run_live(session(source), source, screen=keys, view=view, out=tmp_path / "o.mp4")
        assert pace.frames == keys.shown == 6 and view == View(True, True) and source.closed == 1
        assert (tmp_path / "o.mp4").exists()
        source = Numbered(10**6, Slow(), live=live)
        at = session(source)
        run_live(at, source, seconds=0.3)
        assert at.given[-1][0] < 30 and (live or len(at.given) == 30)
        source, stop = Numbered(10**6, Slow(), live=live), threading.Event()
        threading.Timer(0.2, stop.set).start()
        assert 0 < run_live(session(source), source, stop=stop).frames < 10**4

    def test_an_error_while_drawing_leaves_no_thread_and_no_file(self, tmp_path):
        class Broken:
            def show(self, rgb):
                raise RuntimeError("screen")

        source = Numbered(10**6, Slow(), live=False)
        with pytest.raises(RuntimeError, match="screen"):
            run_live(session(source), source, screen=Broken(), out=tmp_path / "o.mp4")
        assert source.closed == 1 and not list(tmp_path.iterdir())


class TestSources:
    def video(self, folder):
        return write(folder / "a.mp4", [np.full((48, 64, 3), 60 + 5 * k, np.uint8) for k in range(20)], fps=25)

    def test_a_camera_numbers_pictures_by_their_time_and_says_when_it_is_gone(self, tmp_path):
        capture = cv2.VideoCapture(str(self.video(tmp_path)))
        seen = []
        with pytest.raises(PoseemoError, match="camera 0: gives no more pictures"):
            for frame in camera_frames(0, 25.0, capture):
                seen.append(frame.index)
                assert not frame.is_cut and frame.rgb.shape == (48, 64, 3) and frame.seconds == frame.index / 25
                time.sleep(0.5 if len(seen) == 5 else 0)
        assert len(seen) == 20 and seen == sorted(set(seen)) and seen[5] >= 12
        assert not capture.isOpened()

    def test_no_camera(self):
        if cv2.VideoCapture(93).isOpened():
            pytest.skip("this machine has a camera 93")
        with pytest.raises(PoseemoError, match="camera 93: wanted a webcam") as error:
            open_camera(93, Slow)
        assert error.value.exit_code == 1

    def test_a_video_plays_at_its_own_speed_where_it_is_live(self, tmp_path):
        source = open_file(self.video(tmp_path), Slow, live=True)
        start = time.monotonic()
        assert sum(1 for _ in source.frames()) == 20 and time.monotonic() - start >= 0.75

    def test_keypoints_come_on_black_of_a_size_that_can_be_seen(self):
        keypoints = np.zeros((5, 1, 17, 3), np.float32)
        sizes = {(1, 1): (480, 480), (854, 480): (854, 480), (4000, 2000): (1280, 640), (9999, 1): (1280, 16)}
        for (width, height), size in sizes.items():
            source = keypoint_source(InputRecording("a", Recording(keypoints, 25.0, width, height), cuts=(3,)), "npz")
            frames = list(source.frames())
            assert source.size == size and frames[0].rgb.shape == (size[1], size[0], 3)
            assert [frame.is_cut for frame in frames] == [False] * 3 + [True, False]

    def test_one_of_several_recordings_is_named(self, tmp_path, tiny, clips):
        with pytest.raises(UsageError, match="several recordings; choose one with --clip NAME"):
            open_file(tiny, Slow)
        name = clips[7].clip_id
        source = open_file(tiny, Slow, clip=name)
        assert source.name == name and source.label in EMOTIONS and source.tracked
        with pytest.raises(UsageError, match="has no such recording"):
            open_file(tiny, Slow, clip="x")
        with pytest.raises(UsageError, match="wanted one file"):
            open_file(self.video(tmp_path).parent, Slow)


class TestDrawing:
    def state(self, people, probabilities=None):
        return LiveState(people, people, probabilities, "happy" if probabilities is not None else "", 1.0)

    def pose(self, x):
        pose = np.zeros((1, 17, 3), np.float32)
        pose[0, 5] = [x, 100, 1]
        return pose

    def columns(self, picture):
        return np.flatnonzero((picture[100] > 60).any(-1))

    def test_mirroring_moves_picture_and_people_alike_and_never_what_is_predicted(self):
        rgb = np.zeros((240, 320, 3), np.uint8)
        view = View()
        painter, people = Painter(Even.info, 320, view), self.pose(50)
        plain = self.columns(painter.draw(rgb, self.state(people), 0.0))
        assert abs(plain.mean() - 50) < 2
        rgb[100, 200] = 255
        view.press("m")
        mirrored = self.columns(painter.draw(rgb, self.state(people), 0.1))
        assert 319 - 200 in mirrored and abs(np.median(mirrored) - 269) < 2 and people[0, 5, 0] == 50

    def test_people_are_scaled_to_the_picture_and_the_picture_can_be_hidden(self):
        view = View(hidden=True)
        painter = Painter(Even.info, 1280, view)
        drawn = painter.draw(np.full((240, 320, 3), 200, np.uint8), self.state(self.pose(400) * [1, 4, 1]), 0.0)
        assert abs(self.columns(drawn).mean() - 100) < 2

    def test_it_says_how_full_the_first_window_is_and_how_fast_it_goes(self, monkeypatch):
        said = []
        monkeypatch.setattr(view, "draw_overlay", lambda *a, extra_lines, **_: said.append([a[2], *extra_lines]))
        painter, pose = Painter(Even.info, 320, View()), self.pose(1)
        painter.draw(np.zeros((240, 320, 3)), LiveState(pose, pose, None, "", 0.4), 0.0)
        painter.pace.count(time.monotonic())
        painter.draw(np.zeros((240, 320, 3)), self.state(pose), 0.1)
        assert [one[0] for one in said] == ["watching 40 %", "nobody seen"]
        assert re.fullmatch(r"0 frames/s  \d+ ms  0 dropped", said[1][1])

    def test_the_strip_moves_with_time_not_with_frames(self):
        painter, pose, dark = Painter(Even.info, 200, View()), self.pose(1), (24, 24, 24)
        first, second = (class_colour(name, EMOTIONS) for name in EMOTIONS[:2])

        def colours(probabilities, seconds):
            drawn = painter.draw(np.zeros((120, 200, 3), np.uint8), self.state(pose, probabilities), seconds)
            return [tuple(map(int, colour)) for colour in drawn[-1]]

        assert colours(np.eye(7)[0], 0.0) == [dark] * 199 + [first]
        assert colours(np.eye(7)[1], 5.0) == [dark] * 149 + [first] * 50 + [second]  # a quarter of 20 s later
        assert colours(None, 5.2) == [dark] * 147 + [first] * 50 + [second] * 2 + [dark]
        assert colours(None, 1e6)[0] != first
