"""The 238 features as data, for the path with torch and for the one without."""

from poseemo_lib.skeleton import MAX_PEOPLE, N_KEYPOINTS

# Order of the features of one joint. The features of a frame run person -> joint -> these.
CHANNEL_NAMES = ("x", "y", "confidence", "vx", "vy", "ax", "ay")
N_FEATURES = MAX_PEOPLE * N_KEYPOINTS * len(CHANNEL_NAMES)

# Velocities are in units a second and accelerations in 50 units a second squared: then an estimator's jitter of 1 % of
# the torso is about 0.3 in both, less than the 1 of a lively gesture's speed, and no kind of feature drowns the others.
ACCELERATION_UNIT = 50.0

# Shoulder line to hip line over shoulder width in an adult, from the segment lengths of Winter (2009,
# "Biomechanics and Motor Control of Human Movement", fig. 4.1): 0.288 H over 0.259 H, joint centres further in.
TORSO_PER_SHOULDER_WIDTH = 1.25
