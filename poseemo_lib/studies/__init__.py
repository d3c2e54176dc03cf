"""Many runs: the plan of a study, the engine that carries it out, and how far it is.

In: a study file. Out: run folders. Read `plan` first, then `study`.
"""
