"""Videos to clips: which videos, the keypoints of one video, and what is kept until the dataset is written.

In: video files and their labels. Out: recordings, and a report on each video. Read `clip` first, then `results`.
"""
