import numpy as np
import pytest
from made_prediction import made_info

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.data.formats import Recording
from poseemo_lib.features.windows import Window, cut_windows
from poseemo_lib.inference.inputs import InputRecording
from poseemo_lib.inference.overlay_video import window_of_frames, write_overlay
from poseemo_lib.inference.predictor import window_table
from poseemo_lib.plots import style
from poseemo_lib.skeleton import JOINT
from poseemo_lib.video import drawing as overlay
from poseemo_lib.video.drawing import MIN_CONFIDENCE, class_colour, draw_overlay, draw_people, draw_strip
from poseemo_lib.video.frames import read_frames
from poseemo_lib.video.writing import video_writer

cv2 = pytest.importorskip("cv2")
pytest.importorskip("av")
GREY = 90
SIZES = [(240, 320), (1920, 1088), (33, 47), (1, 1)]


def picture(height, width):
    return np.full((height, width, 3), GREY, np.uint8)


def person(height, width, confidence=0.9):
    rng = np.random.default_rng(0)
    xy = rng.uniform(0.3, 0.7, (17, 2)) * [width, height]
    return np.concatenate([xy, np.full((17, 1), confidence)], 1).astype(np.float32)


def probabilities(best="happy"):
    values = np.full(7, 0.05)
    values[EMOTIONS.index(best)] = 0.7
    return values


class TestColours:
    def test_they_are_those_of_the_figures(self):
        for name in (*EMOTIONS, "one", "two"):
            classes = (*EMOTIONS, "one", "two")
            red, green, blue = class_colour(name, classes)
            assert f"#{red:02X}{green:02X}{blue:02X}" == style.emotion_mark(name, classes)[0]
        assert class_colour("not sure", EMOTIONS) == class_colour("", EMOTIONS) == overlay._GREY


class TestPicture:
    @pytest.mark.parametrize(("height", "width"), SIZES)
    @pytest.mark.parametrize("hidden", [False, True])
    def test_any_size_and_state(self, height, width, hidden):
        rgb = picture(height, width)
        people = np.stack([person(height, width)] * 2)
        strip = draw_strip(np.array([probabilities()] * 3), EMOTIONS, 10, 5)
        lines = ["12 fps", "34 ms, größer"]
        for keypoints, prediction, values, more in (
            (people, "happy", probabilities(), {"extra_lines": lines, "strip": strip, "now": 0.5}),
            (people[:0], "", None, {}),
            (people[:1], "not sure", probabilities(), {"strip": strip, "now": 1.0}),
        ):
            out = draw_overlay(rgb, keypoints, prediction, values, EMOTIONS, hidden=hidden, **more)
            assert out.shape == rgb.shape and out.dtype == np.uint8 and (rgb == GREY).all()
        assert (draw_overlay(rgb, people[:0], "", None, EMOTIONS) == rgb).all()

    @pytest.mark.parametrize(("height", "width"), SIZES[:2])
    def test_the_prediction_can_be_read_and_stays_inside(self, height, width):
        out = draw_overlay(picture(height, width), np.zeros((0, 17, 3)), "surprise", probabilities(), EMOTIONS)
        white = (out == 255).all(-1)
        rows, columns = np.nonzero(white[: height // 2])
        assert rows.max() - rows.min() >= max(9, height // 60)  # pixels, from the highest letter to the lowest
        assert columns.max() < 0.75 * width and rows.min() > 0
        chip = out[rows.min(), 0]
        assert tuple(chip) == class_colour("surprise", EMOTIONS)

    def test_hidden_shows_nothing_of_the_picture(self):
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 255, (120, 160, 3)).astype(np.uint8)
        a, b = (draw_overlay(one, person(120, 160)[None], "sad", probabilities(), EMOTIONS, hidden=True)
                for one in (noise, picture(120, 160)))  # fmt: skip
        assert (a == b).all()


class TestPeople:
    def test_only_joints_that_were_seen_are_drawn(self):
        unsure = person(100, 100, MIN_CONFIDENCE / 2)
        missing = np.full((17, 3), np.nan)
        missing[:, 2] = 0
        wild = person(100, 100) * [np.inf, 1, 1]
        out = picture(100, 100)
        draw_people(out, np.stack([unsure, missing, wild]), 1.0)
        assert (out == GREY).all()
        draw_people(out, (person(100, 100) * [1e8, 1, 1])[None], 1.0)  # far outside: no error

    def test_an_edge_wants_both_ends(self):
        pose = np.zeros((17, 3))
        pose[JOINT["left_hip"]] = [20, 50, 1]
        pose[JOINT["left_knee"]] = [80, 50, 1]
        out = picture(100, 100)
        draw_people(out, pose[None], 1.0)
        assert (out[50, 50] != GREY).any()
        pose[JOINT["left_knee"], 2] = 0
        out = picture(100, 100)
        draw_people(out, pose[None], 1.0)
        assert (out[50, 50] == GREY).all() and (out[50, 20] != GREY).any()

    def test_people_have_colours_of_their_own(self):
        out, poses = picture(100, 200), np.zeros((2, 17, 3))
        poses[:, 0] = [50, 50, 1], [150, 50, 1]
        draw_people(out, poses, 2.0)
        assert (out[50, 50] != out[50, 150]).any()


class TestStrip:
    def test_heights_are_the_probabilities_and_gaps_are_dark(self):
        values = np.array([[0.25, 0.75, 0], [np.nan] * 3, [0, 0, 1.0]])
        strip = draw_strip(values, ("a", "b", "c"), 300, 100)
        assert strip.shape == (100, 300, 3)
        a, b, c = (class_colour(name, ("a", "b", "c")) for name in "abc")
        assert (strip[:25, :100] == a).all() and (strip[25:, :100] == b).all()
        assert (strip[:, 100:200] == overlay._DARK).all() and (strip[:, 200:] == c).all()


class TestVideo:
    def test_frames_take_the_window_whose_middle_is_nearest(self):
        none = np.zeros((0, 1, 17, 3))
        windows = [Window(none, start, start + 10, ()) for start in (0, 4)] + [Window(none, 20, 30, ())]
        chosen = window_of_frames(windows, 32)
        assert chosen.tolist() == [0] * 7 + [1] * 7 + [-1] * 6 + [2] * 10 + [-1] * 2
        assert window_of_frames([], 3).tolist() == [-1] * 3

    def test_it_writes_every_frame_with_its_prediction(self, tmp_path):
        with video_writer(tmp_path / "a.mp4", 25, 322, 242) as writer:
            for _ in range(30):
                writer.write(picture(242, 322))
        keypoints = np.repeat(person(242, 322)[None, None], 30, 0)
        windows = cut_windows(keypoints, 25.0, 16, 25.0, tracked=True)
        info = made_info("n", EMOTIONS, n_frames=16)
        table = window_table(windows, np.array([probabilities()] * len(windows)), 25.0, info)
        one = InputRecording("a.mp4", Recording(keypoints, 25.0, 322, 242))
        write_overlay(tmp_path / "a.mp4", tmp_path / "b.mp4", one, windows, table, info)
        shown = list(read_frames(tmp_path / "b.mp4"))
        assert len(shown) == 30 and shown[0].rgb.shape == (242, 322, 3)
        strip = shown[15].rgb[-20:].astype(int)
        assert (np.abs(strip - class_colour("happy", EMOTIONS)).max(-1) < 60).any()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]
