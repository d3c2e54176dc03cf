"""poseemo: emotion recognition from body pose, from keypoints to an audited, reported study.

Importing this package is light: torch, scikit-learn and the plotting libraries load where they are used.
"""

__version__ = "0.1.0"
