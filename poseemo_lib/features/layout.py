"""What the 238 features of a frame are: names, order and units; made by `tensor_features` and `compiled_features`."""

from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS

# Order of the features of one joint. The features of a frame run person -> joint -> these.
CHANNEL_NAMES = ("x", "y", "confidence", "vx", "vy", "ax", "ay")
N_FEATURES = MAX_PEOPLE * N_KEYPOINTS * len(CHANNEL_NAMES)

# Velocities are in units a second, accelerations in 50 units a second squared. An estimator's jitter of 1 % of the
# torso is then about 0.3 in both, less than a lively gesture's speed of 1, and no kind of feature dominates the others.
ACCELERATION_UNIT = 50.0


def motion_scales(fps: float, motion_unit: str) -> tuple[float, float]:
    """Factors by which differences between frames become velocities, and differences of those accelerations.

    `motion_unit` is `second`, see above, or `frame`: plain differences, as in the published study.
    """
    return (fps, fps / ACCELERATION_UNIT) if motion_unit == "second" else (1.0, 1.0)
