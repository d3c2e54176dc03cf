"""Datasets: on disk, made from keypoint files, videos or the synthetic generator, split and audited.

In: keypoint files, videos, settings. Out: a dataset folder of clips, and tables that say which clip is in which split.
Read `dataset` first, then `splits` and `audit`.
"""
