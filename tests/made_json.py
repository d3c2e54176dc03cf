"""The JSON and text of pose estimators, made up: what they say of one person or a few."""

import json

import numpy as np

from poseemo_lib.data.formats import Recording
from poseemo_lib.skeleton import COCO_KEYPOINTS

NAN = float("nan")


def made(n_frames=40, people=3, tracked=True, seed=0, **told):
    """A recording with missing joints and people who come and go, in the first and last frame nobody."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(-3, 1900, (n_frames, people, 17, 3)).astype(np.float32)
    keypoints[..., 2] = rng.uniform(0.001, 1, (n_frames, people, 17))
    away = rng.random((n_frames, people)) < 0.3
    away[[0, -1]], away[n_frames // 2] = True, False
    if not tracked:
        away.sort(1)  # detectors leave no gap
    keypoints[(rng.random((n_frames, people, 17)) < 0.2) | away[..., None]] = [np.nan, np.nan, 0]
    return Recording(keypoints, 25.0, 1920, 1080, tracked=tracked, **told)


def same(found, wanted):
    np.testing.assert_array_equal(found.keypoints, wanted.keypoints)
    assert found.keypoints.dtype == np.float32
    for field in ("fps", "width", "height", "tracked"):
        assert getattr(found, field) == getattr(wanted, field)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def entry(image, x=100.0, joints=17, confidence=0.5, **more):
    values = [value for j in range(joints) for value in (x + j, 2.0 * j, confidence)]
    return {"image_id": image, "category_id": 1, "keypoints": values, "score": 2.5, **more}


def annotated(n=4, names=COCO_KEYPOINTS, v=2, **image):
    images = [{"id": i, "file_name": f"clip/{i:04d}.jpg", "width": 640, "height": 480} | image for i in range(n)]
    people = [{"id": i, "image_id": i, "category_id": 1, "keypoints": [10.5 + i, 20, v] * len(names)} for i in range(n)]
    person = {"id": 1, "name": "person", "keypoints": list(names)}
    return {"images": images, "annotations": people, "categories": [person]}


def line(x=0.5, v=0.9, tail=(), joints=17, channels=3):
    return " ".join(map(str, [0, 0.5, 0.5, 0.2, 0.4, *((x, 0.25, v)[:channels] * joints), *tail]))


def result(x=100.0, joints=17, **more):
    keypoints = {"x": [x] * joints, "y": [50.0] * joints, "visible": [0.75] * joints}
    return {"name": "person", "class": 0, "confidence": 0.9, "box": {}, "keypoints": keypoints, **more}
