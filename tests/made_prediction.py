"""Small trained networks to predict with, recordings to predict from, and an estimator that knows the people."""

from conftest import SMALL, train_calibrated

from poseemo_lib.data.formats import Recording
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.video.estimators import EstimatorInfo

NETWORK = {**SMALL, "architecture": "deep_residual", "epochs": 1}


def train(tiny, folder, **values):
    return train_calibrated({**NETWORK, "dataset": str(tiny), **values}, folder)


def recording_of(clip, **how):
    return Recording(clip.keypoints, clip.fps, clip.width, clip.height, **how)


def made_info(name, classes, *, n_frames):
    known = {"temperature": 1.0, "abstain_below": 0.5, "synthetic": True}
    return PredictorInfo(name=name, classes=classes, n_frames=n_frames, preparation=Preparation(), **known)


class Recorded:
    """An estimator that gives known people, so that no model file is needed."""

    info = EstimatorInfo("recorded", "none", "0", "CPU", "")

    def __init__(self, keypoints):
        self.keypoints, self.calls = keypoints, 0

    def estimate(self, rgb, seconds):
        self.calls += 1
        return self.keypoints[self.calls - 1]

    def reset(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
