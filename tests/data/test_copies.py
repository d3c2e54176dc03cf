import numpy as np
import pytest

from poseemo_lib.clips import PoseClip, clip_faults, mark_missing
from poseemo_lib.data.copies import (
    KINDS,
    Change,
    change_clip,
    decimals_of,
    draw_change,
    interpolate,
    time_warp,
)
from poseemo_lib.skeleton import FLIP_ORDER

CHANGES = {
    "mirror": Change(mirror=True),
    "time_warp": Change(bend=-0.3),
    "joint_noise": Change(drift=np.random.default_rng(0).normal(0, 0.02, (6, 2, 17, 2))),
    "rotation": Change(angle=10.0),
    "interpolation": Change(weight=0.3),
}


def make_clip(seed=0, frames=50, people=2, missing=0.1, decimals=None, **changes):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(100, 400, (1, people, 17, 2)) + rng.normal(0, 2, (frames, people, 17, 2)).cumsum(0)
    confidence = rng.uniform(0.3, 1, (frames, people, 17, 1)) * (rng.random((frames, people, 17, 1)) > missing)
    confidence[:, 0, 15:] = 0  # ankles that are never seen
    xy = xy if decimals is None else xy.round(decimals)
    keypoints = mark_missing(np.concatenate([xy, confidence], -1))
    clip = PoseClip("a", "fear", keypoints, 25.0, 640, 480, source_id="film", group_id="show")
    return clip.with_(**changes)


def test_mirroring_exchanges_left_and_right_about_the_middle_of_the_picture_and_twice_is_nothing():
    clip = make_clip()
    mirrored = change_clip(clip, CHANGES["mirror"])
    wanted = clip.keypoints[:, :, list(FLIP_ORDER)] * np.float32([-1, 1, 1]) + np.float32([640, 0, 0])
    np.testing.assert_allclose(mirrored, wanted, atol=1e-4)
    twice = change_clip(clip.with_(keypoints=mirrored), CHANGES["mirror"])
    np.testing.assert_allclose(twice, clip.keypoints, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_joint_stays_missing_and_confidences_are_the_sources(kind):
    clip, partner = make_clip(), make_clip(7, missing=0, clip_id="b")
    copy = change_clip(clip, CHANGES[kind], partner)
    assert clip_faults(clip.with_(keypoints=copy)) == []
    if kind == "time_warp":
        position = np.arange(50) + 0.3 * np.arange(50) * (1 - np.arange(50) / 49)
        nearest = clip.keypoints[np.round(position).astype(int)]
        np.testing.assert_array_equal(copy[..., 2], nearest[..., 2])
    else:
        order = list(FLIP_ORDER) if kind == "mirror" else slice(None)
        confidence = clip.keypoints[:, :, order, 2]
        kept = copy[..., 2] > 0
        assert not (kept & (confidence == 0)).any()
        np.testing.assert_array_equal(copy[..., 2][kept], confidence[kept])
        if kind != "interpolation":
            np.testing.assert_array_equal(kept, confidence > 0)
    assert set(np.unique(copy[..., 2])) <= set(np.unique(clip.keypoints[..., 2]))


@pytest.mark.parametrize("bend", [-0.5, 0.2])
def test_the_time_warp_of_a_steady_motion_is_known_in_closed_form(bend):
    keypoints, frame = np.ones((41, 1, 17, 3)), np.arange(41)
    keypoints[..., 0] = 5 * frame[:, None, None]
    warped = time_warp(keypoints, bend)[:, 0, 0, 0]
    known = 5 * (frame - bend * frame * (1 - frame / 40))
    # Exact but beside the ends, where it is off by less than a quarter of a frame's motion.
    np.testing.assert_allclose(warped[2:-2], known[2:-2])
    assert np.abs(warped - known).max() < 5 / 4
    assert warped[0] == 0 and warped[-1] == 200


def test_a_time_warp_keeps_the_jitter():
    keypoints = np.ones((4000, 1, 17, 3))
    keypoints[..., :2] = np.random.default_rng(0).normal(size=(4000, 1, 17, 2))
    sizes = [np.median(np.abs(np.diff(one[..., :2], n=2, axis=0))) for one in (keypoints, time_warp(keypoints, 0.3))]
    assert 0.85 < sizes[1] / sizes[0] < 1.15


def test_mixing_a_clip_with_itself_is_the_clip_and_with_another_is_in_between():
    clip = make_clip()
    np.testing.assert_allclose(change_clip(clip, CHANGES["interpolation"], clip), clip.keypoints, atol=1e-3)
    # A partner elsewhere in the picture and of another size is brought to the clip's place and size.
    moved = clip.with_(keypoints=clip.keypoints * np.float32([2, 2, 1]) + np.float32([50, -90, 0]))
    np.testing.assert_allclose(change_clip(clip, CHANGES["interpolation"], moved), clip.keypoints, atol=2e-3)
    a, b = np.zeros((4, 1, 17, 3)), np.full((4, 1, 17, 3), 8.0)
    a[..., 2] = b[..., 2] = 0.5
    a[0, 0, 3] = b[1, 0, 4] = np.nan, np.nan, 0
    mixed = interpolate(a, b, 0.25)
    assert mixed[2, 0, 5].tolist() == [2, 2, 0.5]
    assert np.isnan(mixed[0, 0, 3, :2]).all() and np.isnan(mixed[1, 0, 4, :2]).all()
    assert (mixed[..., 2] == 0).sum() == 2


@pytest.mark.parametrize("decimals", [0, 1, 3, None])
def test_copies_are_rounded_as_their_source_is(decimals):
    clip = make_clip(decimals=decimals)
    assert decimals_of(clip.keypoints) == decimals
    for kind, change in CHANGES.items():
        assert decimals_of(change_clip(clip, change, make_clip(1))) == decimals, kind


def test_nothing_leaves_the_picture_where_the_source_has_nothing_outside():
    clip = make_clip(frames=30, missing=0)
    inside = clip.with_(keypoints=mark_missing(clip.keypoints * np.float32([1, 1, 1])), width=450, height=450)
    xy = inside.keypoints[..., :2]
    assert np.nanmax(xy) < 450 and np.nanmin(xy) > 0
    turned = change_clip(inside, Change(angle=40.0))
    assert np.nanmax(turned[..., :2]) <= 450 and np.nanmin(turned[..., :2]) >= 0
    assert 0 < (turned[..., 2] > 0).sum() < (inside.keypoints[..., 2] > 0).sum()
    outside = clip.with_(width=200, height=200)
    np.testing.assert_array_equal(change_clip(outside, Change(angle=40.0))[..., 2], clip.keypoints[..., 2])


def test_draws_use_the_chosen_kinds_and_never_a_mirror_alone_beside_others():
    clip = make_clip()
    for seed in range(60):
        change = draw_change(clip, KINDS, np.random.default_rng(seed))
        others = [change.bend, change.drift is not None, change.angle, change.weight]
        assert 1 <= sum(map(bool, [change.mirror, *others])) <= 3 and any(others)
        only = draw_change(clip, ("mirror", "rotation"), np.random.default_rng(seed))
        assert only.angle and not only.bend and only.drift is None and not only.weight
    assert draw_change(clip, ("mirror",), np.random.default_rng(0)) == Change(mirror=True)
