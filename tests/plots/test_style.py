"""Looks of classes: those of other datasets are not taken for emotions."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots import style

FOREIGN = tuple(f"state {i}" for i in range(8))
# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1, on linear RGB.
VISIONS = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(1)
DIFFERENT = 15  # CIE 1976; a just noticeable difference is 2.3


def to_lab(colour, vision):
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(vision) @ linear, 0, 1) / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def marks_of(classes):
    return [style.emotion_mark(name, classes) for name in classes]


def test_no_other_class_has_the_colour_hatch_or_marker_of_an_emotion():
    for part in range(3):
        ours, theirs = ([mark[part] for mark in marks_of(classes)] for classes in (EMOTIONS, FOREIGN))
        assert len(set(theirs)) == len(theirs) and not set(ours) & set(theirs)


@pytest.mark.parametrize("vision", VISIONS.values(), ids=VISIONS)
def test_any_eye_sees_the_colour_of_another_class_as_different_from_all(vision):
    emotions, foreign = ([to_lab(mark[0], vision) for mark in marks_of(classes)] for classes in (EMOTIONS, FOREIGN))
    pairs = [*combinations(foreign, 2), *((one, other) for one in foreign for other in emotions)]
    assert min(np.linalg.norm(one - other) for one, other in pairs) > DIFFERENT
    paper = to_lab("white", vision)
    assert min(np.linalg.norm(one - paper) for one in foreign) > DIFFERENT


def test_emotions_among_other_classes_keep_their_look_and_take_no_place():
    mixed = ("angry", "bored", "happy", "calm")
    assert style.emotion_mark("angry", mixed) == style.emotion_mark("angry", EMOTIONS)
    assert style.emotion_mark("bored", mixed) == style.emotion_mark(FOREIGN[0], FOREIGN)
    assert style.emotion_mark("calm", mixed) == style.emotion_mark(FOREIGN[1], FOREIGN)
    many = tuple(f"state {i}" for i in range(11))
    assert marks_of(many)[8:] == marks_of(many)[:3]
