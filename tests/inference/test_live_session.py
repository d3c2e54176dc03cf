import numpy as np
import pandas as pd
import pytest
from made_prediction import made_info, recording_of

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.inference.live.session import LiveSession
from poseemo_lib.inference.predictor import predict_recording


class Steps:
    """A predictor whose prediction is known: by the last frame of a window, each class for ten frames."""

    info = made_info("steps", EMOTIONS, n_frames=8)

    def probabilities(self, windows, fps, width, height):
        return np.stack([np.eye(7)[window.stop // 10 % 7] for window in windows])


@pytest.fixture
def pairs(clips):
    return [clip for clip in clips if clip.n_people == 2]


def someone(n=1):
    xy = np.random.default_rng(0).uniform(0, 80, (17, 2))
    poses = [np.concatenate([xy + [100 + 300 * k, 50], np.ones((17, 1))], 1) for k in range(n)]
    return np.array(poses, np.float32).reshape(n, 17, 3)


def check_stream(predictor, recording, stride, cuts=(), frames=None):
    """Check that a stream of frames, all or some of them, gives what the whole recording gives."""
    size = recording.fps, recording.width, recording.height
    session = LiveSession(predictor, *size, stride=stride, tracked=recording.tracked, keep=True)
    for frame in range(len(recording.keypoints)) if frames is None else frames:
        session.push(recording.keypoints[frame], index=int(frame), cut=frame in cuts)
    session.flush()
    batch = predict_recording(predictor, recording, stride=stride, cuts=cuts)
    assert len(batch) > 1
    pd.testing.assert_frame_equal(session.table(), batch, rtol=0, atol=1e-6)


class TestStreamingEqualsBatch:
    @pytest.mark.parametrize("tracked", [True, False])
    @pytest.mark.parametrize("stride", [0.04, 0.4])
    def test_on_stored_clips(self, predictor, clips, pairs, tracked, stride):
        for clip in pairs[:3] + clips[:2]:
            check_stream(predictor, recording_of(clip, tracked=tracked), stride)

    def test_with_scene_cuts_and_frames_without_anybody(self, predictor, pairs):
        one, two = pairs[:2]
        keypoints = np.concatenate([one.keypoints, two.keypoints]).copy()
        keypoints[10:20, 1, :, 2] = 0
        keypoints[40:70, :, :, 2] = 0
        recording = recording_of(one.with_(keypoints=keypoints), tracked=False)
        check_stream(predictor, recording, 0.1, (one.n_frames,))

    def test_frames_left_out_are_frames_without_anybody(self, predictor, clips):
        clip = clips[0]
        seen = np.random.default_rng(0).random(clip.n_frames) < 0.7
        seen[[0, -1]] = True
        keypoints = clip.keypoints.copy()
        keypoints[~seen, :, :, 2] = 0
        recording = recording_of(clip.with_(keypoints=keypoints), tracked=False)
        check_stream(predictor, recording, 0.1, frames=np.flatnonzero(seen))


class TestStates:
    def session(self, **how):
        return LiveSession(Steps(), 25.0, 640, 480, **{"stride": 0.04, "smoothing": 0, **how})

    def test_nothing_is_known_before_the_first_window(self):
        session = self.session()
        states = [session.push(someone(n=2)) for _ in range(8)]
        assert [state.filled for state in states] == [k / 8 for k in range(1, 9)]
        for state in states[:-1]:
            assert state.prediction == "" and state.probabilities is None and state.people.shape == (0, 17, 3)
            assert state.everybody.shape == (2, 17, 3)
        assert states[-1].prediction == "angry" and states[-1].people.shape == (2, 17, 3)

    def test_after_a_cut_it_begins_anew(self):
        session = self.session()
        for _ in range(12):
            state = session.push(someone())
        assert state.prediction
        state = session.push(someone(), cut=True)
        assert state.prediction == "" and state.filled == 1 / 8 and not len(state.people)

    def test_a_prediction_ends_when_nobody_is_left_in_its_window(self):
        session = self.session()
        for _ in range(12):
            session.push(someone())
        predictions = [session.push(someone(n=0)).prediction for _ in range(9)]
        assert all(predictions[:6]) and not any(predictions[6:])  # fewer than two frames with somebody
        for _ in range(2):
            state = session.push(someone())
        assert state.prediction and state.filled == 1

    @pytest.mark.parametrize("stride", [0.04, 0.2])
    def test_smoothing_is_exponential_whatever_the_stride(self, stride):
        session = self.session(stride=stride, smoothing=0.5)
        for _ in range(8):
            state = session.push(someone())
        assert state.probabilities[0] == 1
        session.predictor = type("Happy", (Steps,), {"probabilities": lambda self, w, *_: np.eye(7)[[3] * len(w)]})()
        for _ in range(15):
            state = session.push(someone())
        left = np.exp(-15 / 25 / 0.5)
        np.testing.assert_allclose(state.probabilities[[0, 3]], [left, 1 - left])
        assert state.probabilities.sum() == pytest.approx(1)

    def test_who_stays_keeps_the_slot_when_weights_change_order(self):
        session = self.session()
        small, large = someone(), someone(n=2)[1:]
        for size in np.linspace(2, 0.5, 40):  # the first one shrinks
            first = small.copy()
            first[..., :2] = 100 + (first[..., :2] - 100) * size
            state = session.push(np.concatenate([large, first]))
            if len(state.people) == 2:
                np.testing.assert_array_equal(state.people[0], first[0])
                np.testing.assert_array_equal(state.people[1], large[0])
        assert len(state.people) == 2

    def test_people_of_the_state_are_marked_missing_where_they_are(self):
        session = self.session()
        for _ in range(10):
            session.push(someone())
        state = session.push(someone(n=0))
        assert np.isnan(state.people[..., :2]).all() and (state.people[..., 2] == 0).all()
