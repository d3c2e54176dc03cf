"""Small trained networks to predict with, and recordings to predict from."""

from conftest import SMALL

from poseemo_lib.data.formats import Recording
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run

NETWORK = {**SMALL, "architecture": "deep_residual", "epochs": 1}


def train(tiny, folder, **values):
    return train_run(check_parameters({**NETWORK, "dataset": str(tiny), **values}), folder)


def recording_of(clip):
    return Recording(clip.keypoints, clip.fps, clip.width, clip.height)
