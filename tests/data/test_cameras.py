import numpy as np
import pytest

from poseemo_lib.data.formats.cameras import MARGIN, Camera, place_cameras, project, to_y_up
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import JOINT

FRONT = Camera(np.array([0.0, 1.0, 4.0]), np.array([0.0, 1.0, 0.0]), fov=90, width=1280, height=720)
OPTIONS = {"views": 4, "jitter": 0, "width": 1280, "height": 720, "follow": False}
OPTIONS |= {"heights": (0.8, 0.8), "fovs": (40, 40)}


def person(shift=(0.0, 0.0, 0.0)):
    """(1, 17, 3): upright, 1.7 high, facing +z, so that left is +x."""
    side = np.array([0, 1, -1, 1, -1, 2, -2, 2, -2, 2, -2, 1, -1, 1, -1, 1, -1]) * 0.1
    level = np.array([16, 17, 17, 16, 16, 14, 14, 11, 11, 9, 9, 9, 9, 5, 5, 0, 0]) * 0.1
    return (np.stack([side, level, 0 * side], -1) + np.array(shift))[None]


def walk(n_frames=40, length=8.0):
    return np.concatenate([person((0.2 * i % 1, 0, length * i / n_frames)) for i in range(n_frames)])


def place(points, **options):
    return place_cameras(points, rng=np.random.default_rng(0), **(OPTIONS | options))


def test_pixels_in_closed_form():
    # fov 90: focal = 720 / 2 / tan 45 = 360. Depth 4: 360 / 4 = 90 pixels a unit.
    found = project(np.array([[[1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]]), FRONT)
    np.testing.assert_allclose(found[0, :, :2], [[730, 360], [640, 270], [640, 540]], rtol=1e-6)


def test_points_behind_the_camera_or_outside_the_picture_are_missing():
    points = np.array([[[0.0, 1.0, 5.0], [9.0, 1.0, 0.0], [0.0, -9.0, 0.0], [np.nan] * 3, [0.0, 1.0, 4.0]]])
    found = project(points, FRONT)[0]
    assert np.isnan(found[:, :2]).all() and (found[:, 2] == 0).all()


def test_left_hand_of_a_person_who_faces_the_camera_is_on_the_right():
    body = project(person(), FRONT)[0]
    assert body[JOINT["left_wrist"], 0] > body[JOINT["right_wrist"], 0]
    behind = Camera(np.array([0.0, 1.0, -4.0]), np.array([0.0, 1.0, 0.0]), fov=90, width=1280, height=720)
    body = project(person(), behind)[0]
    assert body[JOINT["left_wrist"], 0] < body[JOINT["right_wrist"], 0]
    assert body[JOINT["nose"], 1] < body[JOINT["left_ankle"], 1]


@pytest.mark.parametrize("follow", [False, True])
def test_every_frame_is_framed_with_the_margin_and_no_further(follow):
    points = walk()
    size = np.array([1280, 720])
    for camera in place(points, follow=follow, heights=(0.2, 1.2), fovs=(25, 60), jitter=10):
        xy = project(points, camera)[..., :2]
        assert not np.isnan(xy).any()
        space = np.concatenate([xy / size, 1 - xy / size]).min()
        assert MARGIN <= space < MARGIN + 0.03


def test_a_camera_that_follows_keeps_the_hips_at_the_centre_and_stays_where_it_is():
    points = walk()
    hips = points[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(1, keepdims=True)
    for camera, static in zip(place(points, follow=True), place(points), strict=True):
        assert camera.position.shape == (3,)
        np.testing.assert_allclose(project(hips, camera)[:, 0, :2], np.tile([640, 360], (len(points), 1)), rtol=1e-5)
        near, far = (np.ptp(project(points, c)[..., 1], axis=1).mean() for c in (camera, static))
        assert near > 1.2 * far  # pixels from head to foot


def test_cameras_stand_evenly_round_the_body_at_the_asked_height():
    positions = np.stack([camera.position for camera in place(person())])
    np.testing.assert_allclose(positions[:, 1], 0.8 * 1.7, rtol=1e-6)
    azimuths = np.degrees(np.unwrap(np.arctan2(positions[:, 0], positions[:, 2])))
    np.testing.assert_allclose(np.diff(azimuths), 90, atol=1e-6)
    jittered = np.stack([camera.position for camera in place(person(), jitter=10)])
    moved = np.degrees(np.arctan2(jittered[:, 0], jittered[:, 2]) - np.arctan2(positions[:, 0], positions[:, 2]))
    moved = (moved + 180) % 360 - 180
    assert 0 < np.abs(moved).max() <= 10


def test_fields_of_view_are_drawn_from_their_range():
    assert [camera.fov for camera in place(person(), fovs=(30, 30))] == [30] * 4
    drawn = [camera.fov for camera in place(person(), fovs=(30, 50))]
    assert len(set(drawn)) == 4 and 30 <= min(drawn) < max(drawn) <= 50


@pytest.mark.parametrize("up", ["x", "y", "z", "-x", "-y", "-z"])
def test_any_axis_may_be_up_and_nothing_is_mirrored(up):
    turn = to_y_up(np.eye(3)[None], up)[0]  # row i: where axis i goes
    axis, sign = "xyz".index(up[-1]), -1 if up[0] == "-" else 1
    np.testing.assert_array_equal(sign * turn[axis], [0, 1, 0])
    assert np.linalg.det(turn) == pytest.approx(1)  # a rotation, not a reflection
    found = to_y_up(person() @ turn.T, "auto")
    np.testing.assert_allclose(found, person(), atol=1e-12)


def test_what_cannot_be_framed_is_named():
    with pytest.raises(FormatError, match="one level"):
        place(np.zeros((3, 17, 3)))
    points = person()
    points[:, JOINT["left_hip"]] = np.nan
    with pytest.raises(FormatError, match="both hips"):
        place(points, follow=True)
    assert len(place(points)) == 4
