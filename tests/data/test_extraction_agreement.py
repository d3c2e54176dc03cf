"""Extraction held against keypoints that another estimator found in the same video, and against what is in pictures."""

import numpy as np
import pytest
from shared_videos import MODEL, SHARED, VIDEOS, needs_shared

from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT

pytestmark = pytest.mark.slow
NEAR = 0.2  # torso lengths


@pytest.fixture(scope="module")
def estimator():
    needs_shared()
    from poseemo_lib.video.estimators import open_estimator

    with open_estimator(model=MODEL) as opened:
        yield opened


def torso(keypoints):
    """Length from the middle of the shoulders to that of the hips, (...,) in pixels, of keypoints (..., 17, 3)."""
    middle = [
        keypoints[..., [JOINT[f"left_{part}"], JOINT[f"right_{part}"]], :2].mean(-2) for part in ("shoulder", "hip")
    ]
    return np.linalg.norm(middle[0] - middle[1], axis=-1)


def test_the_dance_agrees_with_movenet(estimator):
    sleap_io = pytest.importorskip("sleap_io")
    from poseemo_lib.data.extraction.clip import extract_video

    labels = sleap_io.load_slp(str(SHARED / "data" / "formats" / "sleap" / "one_person_dance_movenet.slp"))
    assert [node.name for node in labels.skeletons[0].nodes] == list(COCO_KEYPOINTS)
    theirs = labels.numpy(return_confidence=True)[:, 0]
    recording, quality = extract_video(VIDEOS / "one_person_dance.mp4", estimator)
    ours = recording.keypoints[:, 0]
    assert ours.shape == theirs.shape == (545, 17, 3) and quality.detected == 1 and recording.keypoints.shape[1] == 1
    distance = np.linalg.norm(ours[..., :2] - theirs[..., :2], axis=-1) / np.median(torso(theirs))  # (545, 17)
    # Measured: 0.046 and 97.1 %; the worst joint is the right wrist with 89 %. An offset of half a torso, a swap of
    # left and right or of two joints, or keypoints that lag by a few frames, would be far outside.
    assert np.median(distance) < 0.06 and (distance < NEAR).mean() > 0.95
    assert np.median(distance, 0).max() < 0.1 and (distance < NEAR).mean(0).min() > 0.8


def chest(saturation, person):
    """Median saturation around a point a quarter of the way from shoulders to hips."""
    shoulders, hips = person[[5, 6], :2].mean(0), person[[11, 12], :2].mean(0)
    x, y = (shoulders + (hips - shoulders) / 4).astype(int)
    return np.median(saturation[max(0, y - 25) : y + 25, max(0, x - 25) : x + 25])


@pytest.mark.parametrize(("name", "share"), [("two_people_outdoor_cam01", 0.9), ("two_people_outdoor_cam02", 0.8)])
def test_two_people_keep_their_slots(estimator, name, share):
    """Who it is: the shirt of one is white, the other wears none (saturation at the chest)."""
    cv2 = pytest.importorskip("cv2")
    from poseemo_lib.data.extraction.clip import extract_video
    from poseemo_lib.video.frames import read_frames

    recording, quality = extract_video(VIDEOS / f"{name}.mp4", estimator)
    keypoints = recording.keypoints
    assert keypoints.shape == (100, 2, 17, 3) and quality.cuts == () and quality.two_people > share
    seen = np.zeros((2, 2), int)  # slot, whether without a shirt
    for frame in read_frames(VIDEOS / f"{name}.mp4"):
        saturation = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2HSV)[..., 1]
        for slot, person in enumerate(keypoints[frame.index]):
            if (person[:, 2] > 0).any():
                seen[slot, int(chest(saturation, person) > 30)] += 1
    assert min(seen.trace(), seen[::-1].trace()) <= 0.02 * seen.sum()
