"""Predict while pictures come in, from a camera or a file.

In: a predictor and a source. Out: drawn pictures, and the windows with their probabilities. Read `loop` first.
"""
