from dataclasses import replace

import numpy as np

from poseemo_lib.data.synthetic.body import ANGLE, joint_positions
from poseemo_lib.data.synthetic.camera import see
from poseemo_lib.data.synthetic.motion import natural_motion
from poseemo_lib.data.synthetic.style import FRAMINGS, draw_actor, draw_scene, draw_show

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
