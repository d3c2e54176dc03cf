"""One run: parameters, inputs, batches, the fit, scores, and the folder that all of it leaves.

In: a dataset and parameters. Out: a run folder. Read `run` first, then `fit`.
"""
