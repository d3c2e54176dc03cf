"""Keypoints to network input: preparation, windows, augmentation and the 238 features.

In: keypoints (T, M, K, C) in pixels. Out: features (B, T, 238) and a mask. Read `tensor_features` first.
"""
