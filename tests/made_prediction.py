"""Small trained networks to predict with, and recordings to predict from."""

from conftest import SMALL

from poseemo_lib.data.formats import Recording
from poseemo_lib.features.preparation import Preparation
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run

NETWORK = {**SMALL, "architecture": "deep_residual", "epochs": 1}


def train(tiny, folder, **values):
    return train_run(check_parameters({**NETWORK, "dataset": str(tiny), **values}), folder)


def recording_of(clip):
    return Recording(clip.keypoints, clip.fps, clip.width, clip.height)


def made_info(name, classes, *, n_frames):
    known = {"temperature": 1.0, "abstain_below": 0.5, "synthetic": True}
    return PredictorInfo(name=name, classes=classes, n_frames=n_frames, preparation=Preparation(), **known)
