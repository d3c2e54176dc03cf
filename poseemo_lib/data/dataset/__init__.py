"""The dataset on disk: a folder with `dataset.json` and Parquet shards, one row a clip.

In: clips. Out: the same clips, bit for bit, streamed, and everything that is wrong with them. Memory holds one row
group (64 clips), whatever the size of the dataset. A shard is written under a temporary name and renamed, so a reader
never sees half of one. The folder may be any fsspec URL. docs/data_format.md describes every field.
Read `format` (columns, content hash) first, then `writer` and `reader`; `statistics` sums up what clips look like,
`ratings` reads how people labelled them, and `notes` keeps the results of what every run would compute again.
"""

from poseemo_lib.data.dataset.format import INFO_FILE, ROW_GROUP_CLIPS, DatasetInfo, Fault
from poseemo_lib.data.dataset.reader import Dataset
from poseemo_lib.data.dataset.writer import DatasetWriter

__all__ = ["INFO_FILE", "ROW_GROUP_CLIPS", "Dataset", "DatasetInfo", "DatasetWriter", "Fault"]
