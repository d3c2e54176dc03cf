import itertools

import numpy as np
import pytest
import torch

from poseemo_lib.features import preparation as pre
from poseemo_lib.skeleton import JOINT

NAN = torch.nan


def stack(*clips):
    """Stack clips of shape (T, M, K, 3) and give their lengths."""
    return torch.cat(clips), torch.tensor([len(clip) for clip in clips])


def walker(n_frames, speed=1.0, people=1):
    """Every joint on the line x = y = speed * t, confidence 1."""
    t = torch.arange(n_frames, dtype=torch.float32) * speed
    keypoints = torch.ones(n_frames, people, 17, 3)
    keypoints[..., :2] = t.view(-1, 1, 1, 1)
    return keypoints


def hide(keypoints, frames, joint=0):
    out = keypoints.clone()
    out[frames, :, joint] = torch.tensor([NAN, NAN, 0.0])
    return out


def person(torso=100.0, shift=(300.0, 200.0), n_frames=5):
    """A still body facing the camera, shoulders at shift, hips one torso below."""
    keypoints = torch.full((n_frames, 1, 17, 3), NAN)
    keypoints[..., 2] = 0
    for name, x, y in [("shoulder", 0.4, 0.0), ("hip", 0.2, 1.0), ("ankle", 0.2, 2.8)]:
        for side, sign in (("left", 1), ("right", -1)):
            place = torch.tensor([shift[0] + sign * x * torso, shift[1] + y * torso, 1.0])
            keypoints[:, :, JOINT[f"{side}_{name}"]] = place
    return keypoints


def test_unsure_joints_become_missing():
    keypoints = walker(3)
    keypoints[1, 0, 4, 2] = 0.05
    out = pre.drop_unsure(keypoints, 0.1)
    assert out[1, 0, 4, :2].isnan().all() and out[1, 0, 4, 2] == 0
    assert (out[..., 2] == 0).sum() == 1


class TestFillGaps:
    def test_a_short_gap_on_a_line_is_restored_and_a_long_one_stays(self):
        full = walker(20)
        keypoints = hide(hide(full, slice(3, 6)), slice(10, 14))
        out = pre.fill_gaps(keypoints, torch.tensor([20]), torch.tensor([3.0]))
        torch.testing.assert_close(out[:10], full[:10])
        assert out[10:14, 0, 0, :2].isnan().all()

    def test_nothing_is_invented_at_the_ends_or_across_clips(self):
        keypoints, lengths = stack(hide(walker(6), slice(4, 6)), hide(walker(6), slice(0, 2)))
        out = pre.fill_gaps(keypoints, lengths, torch.tensor([9.0, 9.0]))
        assert out[4:8, 0, 0, :2].isnan().all()

    def test_a_joint_never_seen_stays_missing(self):
        keypoints = hide(walker(6), slice(0, 6))
        out = pre.fill_gaps(keypoints, torch.tensor([6]), torch.tensor([9.0]))
        torch.testing.assert_close(out, keypoints, equal_nan=True)

    def test_the_same_bits_as_joint_by_joint(self):
        rng = np.random.default_rng(0)
        lengths = torch.tensor([1, 40, 2, 90, 7, 30])
        keypoints = torch.from_numpy(rng.normal(300, 60, (int(lengths.sum()), 2, 17, 3)).astype(np.float32))
        keypoints[..., 2] = torch.from_numpy(rng.uniform(0.1, 1, keypoints.shape[:-1]))
        runs = np.repeat(rng.random((len(keypoints) // 4 + 1, 2, 17)) < 0.3, 4, 0)[: len(keypoints)]
        keypoints[torch.from_numpy(runs | (rng.random(runs.shape) < 0.2))] = torch.tensor([NAN, NAN, 0.0])
        most = torch.tensor([3.0, 5.0, 9.0, 4.5, 0.0, 30.0], dtype=torch.float64)
        out, start = pre.fill_gaps(keypoints, lengths, most), 0
        for length, limit in zip(lengths.tolist(), most.tolist(), strict=True):
            for joint in np.ndindex(2, 17):
                track = keypoints[start : start + length, *joint]
                wanted = bridge(track, limit)
                torch.testing.assert_close(out[start : start + length, *joint], wanted, rtol=0, atol=0, equal_nan=True)
            start += length
        assert (out[..., 2] > 0).sum() > (keypoints[..., 2] > 0).sum() + 100


def bridge(track, limit):
    """Fill the gaps of one joint's track (T, 3), one after another."""
    out, seen = track.clone(), (track[:, 2] > 0).nonzero()[:, 0].tolist()
    for low, high in itertools.pairwise(seen):
        if high - low - 1 <= limit:
            for t in range(low + 1, high):
                out[t] = track[low] + (track[high] - track[low]) * torch.tensor((t - low) / (high - low))
    return out


class TestSmooth:
    def test_a_line_stays_a_line_inside_and_missing_stays_missing(self):
        keypoints = hide(walker(9), slice(4, 5))
        out = pre.smooth(keypoints, torch.tensor([9]), 3)
        torch.testing.assert_close(out[1:8, 0, 1], keypoints[1:8, 0, 1])
        assert out[4, 0, 0, :2].isnan().all()
        # the neighbours of the hole average what was seen: frames 2, 3 for frame 3
        assert out[3, 0, 0, 0] == 2.5

    def test_clips_do_not_mix(self):
        keypoints, lengths = stack(walker(4), walker(4) + torch.tensor([100.0, 0, 0]))
        out = pre.smooth(keypoints, lengths, 5)
        alone = pre.smooth(walker(4), torch.tensor([4]), 5)
        torch.testing.assert_close(out[:4], alone)


class TestResample:
    def test_the_same_rate_changes_nothing(self):
        keypoints = hide(walker(30), slice(3, 9))
        out, lengths = pre.resample(keypoints, torch.tensor([30]), torch.tensor([25.0]), 25.0)
        torch.testing.assert_close(out, keypoints, equal_nan=True, rtol=0, atol=0)
        assert lengths.tolist() == [30]

    @pytest.mark.parametrize(
        ("fps", "n_frames", "wanted"), [(50.0, 21, 11), (12.5, 11, 21), (30.0, 31, 26), (29.97, 60, 50)]
    )
    def test_a_walker_keeps_its_speed_a_second(self, fps, n_frames, wanted):
        keypoints = walker(n_frames, speed=1 / fps)
        out, lengths = pre.resample(keypoints, torch.tensor([n_frames]), torch.tensor([fps]), 25.0)
        assert lengths.tolist() == [wanted]
        torch.testing.assert_close(out[:, 0, 0, 0], torch.arange(wanted) / 25.0, atol=1e-5, rtol=0)

    def test_stacked_equals_alone(self):
        clips = [walker(20, 0.3), walker(7, 2.0), walker(33)]
        fps = torch.tensor([30.0, 12.0, 60.0])
        keypoints, lengths = stack(*clips)
        out, new = pre.resample(keypoints, lengths, fps, 25.0)
        alone = [pre.resample(c, torch.tensor([len(c)]), f[None], 25.0)[0] for c, f in zip(clips, fps, strict=True)]
        torch.testing.assert_close(out, torch.cat(alone))
        assert new.tolist() == [len(a) for a in alone]

    def test_half_known_is_missing(self):
        keypoints = hide(walker(5), slice(2, 3))
        out, _ = pre.resample(keypoints, torch.tensor([5]), torch.tensor([12.5]), 25.0)
        missing = out[:, 0, 0, 0].isnan().nonzero().flatten().tolist()
        assert missing == [3, 4, 5]


class TestNormalise:
    def test_frame_runs_from_minus_to_plus_one_half(self):
        keypoints = torch.ones(2, 1, 17, 3)
        keypoints[0, ..., 0], keypoints[0, ..., 1] = 0.0, 0.0
        keypoints[1, ..., 0], keypoints[1, ..., 1] = 640.0, 480.0
        out = pre.normalise_frame(keypoints, torch.tensor([2]), torch.tensor([640]), torch.tensor([480]))
        assert out[0, 0, 0, :2].tolist() == [-0.5, -0.5]
        assert out[1, 0, 0, :2].tolist() == [0.5, 0.5]

    def test_body_measures_in_torsos_from_the_shoulders(self):
        out = pre.normalise_body(person(), torch.tensor([5]))
        np.testing.assert_allclose(out[0, 0, JOINT["left_shoulder"], :2], [0.4, 0.0], atol=1e-6)
        np.testing.assert_allclose(out[0, 0, JOINT["right_ankle"], :2], [-0.2, 2.8], atol=1e-6)

    def test_body_does_not_depend_on_place_or_size(self):
        a = pre.normalise_body(person(), torch.tensor([5]))
        b = pre.normalise_body(person(torso=37.0, shift=(20.0, 900.0)), torch.tensor([5]))
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5, equal_nan=True)

    def test_body_keeps_movement_through_the_scene(self):
        moving = person(n_frames=11)
        moving[..., 0] += torch.arange(11).view(-1, 1, 1) * 10.0  # a tenth of a torso a frame
        out = pre.normalise_body(moving, torch.tensor([11]))
        steps = out[1:, 0, JOINT["left_hip"], 0] - out[:-1, 0, JOINT["left_hip"], 0]
        torch.testing.assert_close(steps, torch.full((10,), 0.1), atol=1e-5, rtol=0)

    def test_body_falls_back_to_shoulder_width_then_to_extent(self):
        no_hips = person()
        no_hips[:, :, [JOINT["left_hip"], JOINT["right_hip"]]] = torch.tensor([NAN, NAN, 0.0])
        out = pre.normalise_body(no_hips, torch.tensor([5]))
        # width 80 px, unit 100 px
        np.testing.assert_allclose(out[0, 0, JOINT["left_shoulder"], 0], 0.4, atol=1e-6)
        head = torch.full((3, 1, 17, 3), NAN)
        head[..., 2] = 0
        head[:, :, 0], head[:, :, 1] = torch.tensor([10.0, 10.0, 1.0]), torch.tensor([16.0, 18.0, 1.0])
        out = pre.normalise_body(head, torch.tensor([3]))
        np.testing.assert_allclose((out[0, 0, 1, :2] - out[0, 0, 0, :2]).norm(), 2.0, atol=1e-5)

    def test_body_does_not_depend_on_the_order_of_people_or_on_an_absent_one(self):
        two = torch.cat([person(), person(torso=60.0, shift=(700.0, 250.0))], 1)
        a = pre.normalise_body(two, torch.tensor([5]))
        b = pre.normalise_body(two.flip(1), torch.tensor([5])).flip(1)
        torch.testing.assert_close(a, b, equal_nan=True)
        absent = torch.full_like(person(), NAN)
        absent[..., 2] = 0
        out = pre.normalise_body(torch.cat([person(), absent], 1), torch.tensor([5]))
        torch.testing.assert_close(out[:, :1], pre.normalise_body(person(), torch.tensor([5])), equal_nan=True)
        assert out[:, 1, :, :2].isnan().all()


def test_whole_numbers_gather_the_frames_themselves():
    keypoints = hide(walker(6), slice(3, 4))
    out = pre.gather_between(keypoints, torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64))
    torch.testing.assert_close(out, keypoints[[2, 3, 5]], equal_nan=True, rtol=0, atol=0)
