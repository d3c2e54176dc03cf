"""Many runs: the plan of a study, the engine that carries it out, and how far it is.

In: a study file, or a folder of videos. Out: run folders, or a dataset. Read `plan` and `study` first:
`execute_study` gives an order for each missing run to the `engine`, whose workers call `execute_order`; that executes
the training notebook, which calls `training.run.train_run`. `notebook` executes one notebook, `kernels` and `preload`
make its kernel start quickly, `status` shows progress, `extraction` turns videos into a dataset.
"""
