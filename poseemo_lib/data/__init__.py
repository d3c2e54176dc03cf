"""Datasets: on disk, made from keypoint files, videos or the synthetic generator, split and audited.

In: keypoint files, videos, settings. Out: a dataset folder of clips, and tables of which clip is in which split.
Read `dataset` first (clips on disk), then `splits` (with `blocks`) and `audit` (with `near_duplicates`, which compares
`movements`). Datasets come from `importing` (with `formats`), `extraction`, `synthetic` and `enhance` (with `copies`);
`recipes` makes those of `parameters/datasets/` (with `downloads`), `converting` writes other formats, `inspecting`
describes.
"""
