from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from poseemo_lib.data.synthetic.body import ANGLE, ANGLES, BONE, BONES, N_ANGLES, joint_positions, rotation_matrices
from poseemo_lib.data.synthetic.camera import see
from poseemo_lib.data.synthetic.motion import natural_motion
from poseemo_lib.data.synthetic.style import FRAMINGS, draw_actor, draw_scene, draw_show
from poseemo_lib.skeleton import COCO_KEYPOINTS, FLIP_ORDER, JOINT

LENGTHS = np.array(list(BONES.values()))[None] * 1.7
LIMBS = {
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
}


def stand(**degrees) -> dict[str, np.ndarray]:
    """Joints of a body whose angles are all 0 but those named, with the hips at the origin."""
    pose = np.zeros((1, 1, N_ANGLES))
    for name, value in degrees.items():
        pose[..., ANGLE[name]] = value
    joints = joint_positions(pose, np.zeros((1, 1, 3)), LENGTHS)[0, 0]
    return dict(zip(COCO_KEYPOINTS, joints, strict=True))


def test_rotations_agree_with_scipy():
    angles = np.random.default_rng(0).uniform(-3, 3, (20, 3))
    expected = Rotation.from_euler("XZY", angles[:, [0, 2, 1]]).as_matrix()
    np.testing.assert_allclose(rotation_matrices(angles), expected, atol=1e-12)


def test_each_angle_turns_the_way_its_name_says():
    still, length = stand(), 1.7 * BONES["forearm"]
    bent = stand(left_elbow_flexion=90)
    np.testing.assert_allclose(bent["left_wrist"], bent["left_elbow"] + (0, 0, length), atol=1e-12)
    crossed = stand(right_elbow_flexion=90, right_shoulder_rotation=90)
    np.testing.assert_allclose(crossed["right_wrist"], crossed["right_elbow"] + (length, 0, 0), atol=1e-12)
    assert stand(right_shoulder_abduction=90)["right_wrist"][0] < still["right_shoulder"][0] - 0.5
    assert stand(left_shoulder_flexion=90)["left_wrist"][2] > 0.5
    assert stand(left_shoulder_elevation=20)["left_shoulder"][1] > still["left_shoulder"][1]
    assert stand(right_shoulder_protraction=20)["right_shoulder"][2] > 0
    assert stand(trunk_flexion=20)["left_shoulder"][2] > 0
    assert stand(head_flexion=20)["nose"][1] < still["nose"][1]
    assert stand(head_turn=20)["nose"][0] > 0
    assert stand(left_hip_flexion=90)["left_knee"][2] > 0.3
    assert stand(left_knee_flexion=90)["left_ankle"][2] < -0.3


def test_mirrored_angles_give_a_mirrored_body():
    rng = np.random.default_rng(1)
    sides = {name: rng.uniform(0, 40) for name in ANGLES if name.startswith(("left_", "right_"))}
    swapped = {name.replace("left", "-").replace("right", "left").replace("-", "right"): v for name, v in sides.items()}
    body, mirrored = np.array(list(stand(**sides).values())), np.array(list(stand(**swapped).values()))
    np.testing.assert_allclose(mirrored, body[list(FLIP_ORDER)] * (-1, 1, 1), atol=1e-12)


def test_limb_lengths_stay_constant_in_3d():
    rng = np.random.default_rng(2)
    pose = rng.uniform(-90, 90, (50, 2, N_ANGLES))
    lengths = np.array([draw_actor(rng).lengths for _ in range(2)])
    joints = joint_positions(pose, rng.normal(size=(50, 2, 3)), lengths)
    for bone, (near, far) in LIMBS.items():
        for side in ("left", "right"):
            length = np.linalg.norm(
                joints[:, :, JOINT[f"{side}_{far}"]] - joints[:, :, JOINT[f"{side}_{near}"]], axis=-1
            )
            np.testing.assert_allclose(length, np.tile(lengths[:, BONE[bone]], (50, 1)), rtol=1e-12)
    eyes = np.linalg.norm(joints[:, :, JOINT["left_eye"]] - joints[:, :, JOINT["right_eye"]], axis=-1)
    np.testing.assert_allclose(eyes, np.tile(eyes[0], (50, 1)), rtol=1e-12)


def test_the_picture_is_a_perspective_of_the_joints():
    rng = np.random.default_rng(0)
    show = replace(draw_show(rng), framing_shares=np.eye(len(FRAMINGS))[-1], stance_shares=np.eye(3)[0])
    show = replace(show, noise=1e-6, handheld=0, pan=0, elevation=0)
    scene = replace(draw_scene(rng, show, [draw_actor(rng)] * 2, two_people=0), desk=False)
    seconds = np.arange(60) / show.fps
    motion, root = natural_motion(rng, seconds, scene)
    pose = scene.pose + motion
    joints = joint_positions(pose, root, scene.lengths)
    keypoints = see(rng, joints, pose[..., ANGLE["facing"]], seconds, scene, show)
    seen = keypoints[..., 2] > 0
    # x (z - d) and y (z - d) are linear in the position, so that a homography-like fit leaves nothing over.
    xyz, (x, y) = joints[seen], keypoints[seen][:, :2].T
    ones = np.ones((len(xyz), 1))
    for image, axis in ((x, 0), (y, 1)):
        system = np.hstack([xyz[:, [axis]], xyz[:, [2]], ones, -image[:, None] * xyz[:, [2]]])
        solution, *_ = np.linalg.lstsq(system, image, rcond=None)
        assert np.abs(system @ solution - image).max() < 0.02
