"""One run: parameters, inputs, batches, the fit, scores, and the folder that the run leaves.

In: a dataset and parameters. Out: a run folder. Read `run` (the steps in order), then `fit` (the training loop).
"""
