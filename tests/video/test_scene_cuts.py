from itertools import islice

import numpy as np
import pytest
from shared_videos import VIDEOS, needs_shared

pytest.importorskip("scenedetect", reason="wants PySceneDetect: pip install 'poseemo[video]'")

from poseemo_lib.video.scene_cuts import CutDetector

NAMES = ("two_people_outdoor_cam01", "two_people_outdoor_cam02", "one_person_dance")


def scene(seed, size=(90, 120)):
    """uint8 (H, W, 3): coloured patches that no other seed has."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(30, 200, (6, 8, 3))
    return np.kron(patches, np.ones((size[0] // 6, size[1] // 8, 1))).astype(np.uint8)


def lit(picture, gain, offset=0):
    return np.clip(picture * float(gain) + offset, 0, 255).astype(np.uint8)


def noisy(pictures, sigma=6, seed=0):
    rng = np.random.default_rng(seed)
    return [np.clip(p + rng.normal(0, sigma, p.shape), 0, 255).astype(np.uint8) for p in pictures]


def cuts(pictures, fps=25):
    detector = CutDetector(fps)
    return [frame for frame, picture in enumerate(pictures) if detector.is_cut(picture)]


A, B, C = scene(1), scene(2), scene(3)


def test_a_cut_is_where_the_scene_changes():
    assert cuts(noisy([A] * 30 + [B] * 30 + [C] * 30)) == [30, 60]
    assert cuts(noisy([A] * 5 + [B] * 30)) == [5]  # the first shot may be short


@pytest.mark.parametrize("fps", [10, 23.976, 25, 60])
def test_the_rate_does_not_move_a_cut(fps):
    assert cuts(noisy([A] * 40 + [B] * 40), fps) == [40]


def test_a_change_of_light_is_no_cut():
    dimming = [lit(A, gain) for gain in np.linspace(1, 0.3, 40)]
    assert cuts(noisy(dimming + dimming[::-1])) == []
    switched = [A] * 20 + [lit(A, 0.4)] * 20 + [A] * 20
    assert cuts(noisy(switched)) == []
    assert cuts(noisy([*switched[:40], *[B] * 20])) == [40]


@pytest.mark.parametrize(
    "flash",
    [[np.full_like(A, 255)], [np.full_like(A, 255)] * 3, [lit(A, 1.2, 60)], [np.zeros_like(A)] * 2],
    ids=["white", "white for long", "brighter", "black"],
)
def test_a_flash_is_no_cut_and_does_not_hide_one(flash):
    assert cuts(noisy([A] * 20, 3) + flash + noisy([A] * 5, 3)) == []
    after = 20 + len(flash) + 5
    assert cuts(noisy([A] * 20, 3) + flash + noisy([A] * 5 + [B] * 20, 3)) == [after]


def test_a_fade_through_black_is_a_cut_where_another_picture_comes():
    out = [lit(A, gain) for gain in np.linspace(1, 0, 30)]
    black = [np.zeros_like(A)] * 5
    fade_in = [lit(B, gain) for gain in np.linspace(0, 1, 30)]
    found = cuts(out + black + fade_in)
    assert len(found) == 1 and 35 < found[0] < 40
    assert cuts(out + black + out[::-1]) == []
    assert cuts(black + [A] * 20) == []


def test_cuts_keep_their_distance():
    assert cuts([A] * 20 + [B] * 5 + [C] * 30) == [20]
    assert np.diff(cuts([A, B] * 30)).min() >= 15


def test_sizes_of_every_kind():
    assert cuts([scene(4, (6, 8))] * 20 + [scene(5, (6, 8))] * 20) == [20]
    assert cuts([scene(4, (600, 1600))] * 20 + [scene(5, (600, 1600))] * 20) == [20]
    assert cuts([A] * 20 + [scene(2, (60, 160))] * 20) == [20]  # the size changes too
    assert cuts([np.zeros((1, 1, 3), np.uint8)] * 3) == []


@pytest.fixture(scope="module")
def videos():
    av = pytest.importorskip("av")
    needs_shared()

    def read(name):
        with av.open(str(VIDEOS / f"{name}.mp4")) as container:
            frames = islice(container.decode(video=0), 200)
            return [frame.to_ndarray(width=192, height=256, format="rgb24") for frame in frames]

    return {name: read(name) for name in NAMES}


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_two_real_shots_have_one_cut_and_one_shot_has_none(videos, first, second):
    same = first == second
    later = videos[second][50:100] if same else videos[second][:50]
    assert cuts(videos[first][:50] + later, 30) == ([] if same else [50])
