from dataclasses import replace

import numpy as np
import pytest

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.data.synthetic.body import ANGLE, joint_positions
from poseemo_lib.data.synthetic.camera import see
from poseemo_lib.data.synthetic.emotion import CUE_SETS, draw_expression
from poseemo_lib.data.synthetic.motion import natural_motion
from poseemo_lib.data.synthetic.style import FRAMINGS, draw_actor, draw_scene, draw_show
from poseemo_lib.skeleton import PARTS

# Camera and estimator


def film(framing: float, seed: int = 0, **changes) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints and 3D joints of one person standing."""
    rng = np.random.default_rng(seed)
    show = replace(draw_show(rng), framing_shares=np.eye(5)[FRAMINGS.index(framing)], stance_shares=np.eye(3)[0])
    show = replace(show, **changes)
    scene = replace(draw_scene(rng, show, [draw_actor(rng)] * 2, two_people=0), desk=False)
    seconds = np.arange(60) / show.fps
    motion, root = natural_motion(rng, seconds, scene)
    pose = scene.pose + motion
    joints = joint_positions(pose, root, scene.lengths)
    return see(rng, joints, pose[..., ANGLE["facing"]], seconds, scene, show), joints


def test_framing_decides_which_joints_are_seen():
    for seed in range(10):
        close, _ = film(FRAMINGS[0], seed)
        whole, _ = film(FRAMINGS[-1], seed)
        assert not (close[:, :, PARTS["legs"], 2] > 0).any()
        assert (whole[:, :, PARTS["legs"], 2] > 0).mean() > 0.5
        assert (close[:, :, PARTS["head"], 2] > 0).mean() > 0.3


def test_the_picture_is_a_perspective_of_the_joints():
    keypoints, joints = film(FRAMINGS[-1], noise=1e-6, handheld=0, pan=0, elevation=0)
    seen = keypoints[..., 2] > 0
    # x (z - d) and y (z - d) are linear in the position, so that a homography-like fit leaves nothing over.
    xyz, (x, y) = joints[seen], keypoints[seen][:, :2].T
    ones = np.ones((len(xyz), 1))
    for image, axis in ((x, 0), (y, 1)):
        system = np.hstack([xyz[:, [axis]], xyz[:, [2]], ones, -image[:, None] * xyz[:, [2]]])
        solution, *_ = np.linalg.lstsq(system, image, rcond=None)
        assert np.abs(system @ solution - image).max() < 0.02


# Emotions


@pytest.mark.parametrize("how", CUE_SETS.values(), ids=CUE_SETS)
def test_cues_name_known_angles_and_have_one_rhythm_at_most(how):
    assert set(how.cues) == set(EMOTIONS) and sum(how.sides) == 1
    for cues in how.cues.values():
        assert sum(cue.rhythm > 0 for cue in cues) <= 1 or how.single
        for cue in cues:
            assert all(name in ANGLE or f"left_{name}" in ANGLE for name in cue.angles)
            assert cue.posture or cue.rhythm or cue.gain != 1


@pytest.mark.parametrize("cue_set", CUE_SETS)
@pytest.mark.parametrize("signal", [0.5, 1, 100])
def test_an_expression_stays_in_its_span_and_in_bounds(signal, cue_set):
    rng = np.random.default_rng(3)
    for label in EMOTIONS[:4] * 10:
        shown = draw_expression(rng, label, 50, 25, signal, cue_set)
        assert 0 <= shown.start < shown.stop <= 50
        outside = np.r_[0 : shown.start, shown.stop : 50]
        assert (shown.added[outside] == 0).all() and (shown.gain[outside] == 1).all()
        assert np.abs(shown.added).max() <= 80
        assert shown.gain.min() >= 0.05 and shown.gain.max() <= 4.0001
        assert (shown.added != 0).any() or (shown.gain != 1).any()
