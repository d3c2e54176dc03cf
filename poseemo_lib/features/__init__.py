"""Keypoints to network input: preparation, windows, augmentation and the 238 features.

In: keypoints (T, M, K, 3) in pixels. Out: features (B, T, 238) and a mask.
Read `layout` (what the 238 features are), then `preparation` (once a clip) and `tensor_features` (how features are
made; `compiled_features` does the same on a CPU, held equal by tests/features/test_features.py).
"""
