"""Synthetic clips with a known ground truth: moving bodies before a TV-like camera, and a record of what was planted.

In: settings. Out: clips, or a dataset of them with `planted.parquet`, which says where each clip's emotion is.
Read `generator` first (one clip from its index), then `plan` (which show, scene and label a clip has), `style` (shows,
actors, scenes), `motion` and `emotion` (joint angles), `body` (angles to 3D joints) and `camera` (3D joints to
keypoints).

Shows contain actors and scenes, and a scene is cut into one to four clips. What the clips of a show, an actor or a
scene have in common is stronger than the effect of an emotion, and each show has its own mixture of labels. So a random
split inflates scores and a grouped split does not. With `signal=0` the label has no effect on the keypoints. These
clips say nothing about real people: they check the path from keypoints to report.
"""

from poseemo_lib.data.synthetic.generator import (
    PLANTED_FILE,
    Planted,
    generate_clips,
    read_planted,
    synthetic_clip,
    write_synthetic_dataset,
)

__all__ = ["PLANTED_FILE", "Planted", "generate_clips", "read_planted", "synthetic_clip", "write_synthetic_dataset"]
