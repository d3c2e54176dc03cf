"""Many runs: the plan of a study, the engine that carries it out, and how far it is.

In: a study file, or a folder of videos. Out: run folders, or a dataset. Read `plan`, `study`, `engine` in this order;
`notebook` executes one notebook, `kernels` makes its kernel start quickly, `extraction` turns videos into a dataset.
"""
