"""The dataset on disk: a folder with `dataset.json` and Parquet shards, one row a clip.

Writing and reading stream: memory holds one row group (64 clips), whatever the size of the dataset.
A shard is written under a temporary name and renamed, so a reader never sees half of one. The folder may be
any fsspec URL. docs/data_format.md describes every field. The parts: `dataset_format` (columns, hash),
`dataset_reader`, `dataset_writer`.
"""

from poseemo_lib.data.dataset.format import (
    FORMAT_VERSION,
    INFO_FILE,
    METADATA_COLUMNS,
    ROW_GROUP_CLIPS,
    SCHEMA,
    SHARD_CLIPS,
    DatasetInfo,
    Fault,
    add_digests,
    clip_digest,
)
from poseemo_lib.data.dataset.reader import Dataset
from poseemo_lib.data.dataset.writer import DatasetWriter

__all__ = [
    "FORMAT_VERSION",
    "INFO_FILE",
    "METADATA_COLUMNS",
    "ROW_GROUP_CLIPS",
    "SCHEMA",
    "SHARD_CLIPS",
    "Dataset",
    "DatasetInfo",
    "DatasetWriter",
    "Fault",
    "add_digests",
    "clip_digest",
]
