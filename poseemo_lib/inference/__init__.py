"""A trained run at work: predictions for files and videos, a check of the input, ONNX export, the live demo.

In: a run folder or an exported network, and anything that shows a body. Out: calibrated probabilities, window by
window. Read `predictor` first.
"""
