"""Pictures to people: decoding, pose estimators, tracking, scene cuts, drawing and writing.

In: a video file or pictures. Out: keypoints of every person in every frame. Read `people` first, then `frames`.
"""
