"""Many runs: the plan of a study, the engine that carries it out, and how far it is.

In: a study file, or a folder of videos. Out: run folders, or a dataset. Read `plan` and `study` first: `run_study`
gives the missing runs to the `engine`, whose workers call `make_run`. `notebook` executes one notebook, `kernels` and
`preload` make its kernel start quickly, `status` shows progress, `extraction` turns videos into a dataset.
"""
