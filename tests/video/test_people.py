"""Pictures -> people: scene cuts reset the estimator, repeated pictures are estimated once."""

import numpy as np
import pytest
from made_videos import GREYS, make_video, quarters

from poseemo_lib.video.people import people_of_video

pytest.importorskip("scenedetect")


class Counting:
    """An estimator that finds as many people as it has seen pictures since its reset."""

    def __init__(self):
        self.seen, self.resets, self.calls = 0, 0, 0

    def reset(self):
        self.seen, self.resets = 0, self.resets + 1

    def estimate(self, rgb, seconds):
        self.seen, self.calls = self.seen + 1, self.calls + 1
        return np.ones((min(self.seen, 3), 17, 3), np.float32)


def test_each_picture_is_estimated_once_and_the_estimator_is_reset_at_cuts(tmp_path):
    turned = quarters()[::-1, ::-1]
    path = make_video(tmp_path / "a.mkv", [quarters()] * 25 + [turned] * 25)
    estimator, told = Counting(), []
    found = people_of_video(path, estimator, progress=lambda done, total: told.append((done, total)))
    assert found.cuts == (25,) and estimator.resets == 2 and estimator.calls == 50
    assert told[-1] == (50, 50) and found.keypoints.shape == (50, 3, 17, 3) and found.damage == ""
    np.testing.assert_array_equal((found.keypoints[:, 0, 0, 2] > 0), True)
    people = (found.keypoints[..., 2] > 0).any(-1).sum(1)
    assert people[:4].tolist() == people[25:29].tolist() == [1, 2, 3, 3]
    assert people_of_video(path, Counting(), cuts=False).cuts == ()


def test_a_repeated_picture_is_not_estimated_again(tmp_path):
    path = make_video(tmp_path / "a.mkv", GREYS[:4], times=[0, 40, 200, 240])
    estimator = Counting()
    found = people_of_video(path, estimator, fps=25, cuts=False)
    assert estimator.calls == 4 and found.repeated == len(found.keypoints) - 4 == 3
