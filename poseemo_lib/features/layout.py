"""The 238 features as data, for the path with torch and for the one without."""

from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS

# Order of the features of one joint. The features of a frame run person -> joint -> these.
CHANNEL_NAMES = ("x", "y", "confidence", "vx", "vy", "ax", "ay")
N_FEATURES = MAX_PEOPLE * N_KEYPOINTS * len(CHANNEL_NAMES)

# Velocities are in units a second and accelerations in 50 units a second squared: then an estimator's jitter of 1 % of
# the torso is about 0.3 in both, less than the 1 of a lively gesture's speed, and no kind of feature drowns the others.
ACCELERATION_UNIT = 50.0
