"""Writing a dataset: clips one by one into shards that appear whole or not at all."""

from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from poseemo_lib.clips import PoseClip, check_clip
from poseemo_lib.data.dataset import format as layout
from poseemo_lib.data.dataset.reader import Dataset
from poseemo_lib.errors import ClipError, DatasetError, UsageError
from poseemo_lib.paths import open_place
from poseemo_lib.text import first_line

_TEMPORARY = ".tmp-"


class DatasetWriter:
    """Write clips one by one into a new dataset, a folder or any fsspec URL; use it in a `with` statement.

    A faulty clip raises without harm to the others: what was written before is kept and stays readable, also when the
    `with` block ends in an error. A writer that is killed loses the shard that it had not finished; where a clip is
    costly to make, use small shards. The counts and the hash of `info` are filled in here. With `resume`, a dataset
    that an earlier writer did not complete is continued; :meth:`written` knows what is there.

    Raises
    ------
    UsageError
        The folder holds a dataset already and `resume` is false, or it is complete, or it was made from other
        classes or another recipe, or fsspec cannot open such a URL.
    DatasetError
        The folder cannot be written to, or what is to be continued is damaged.
    """

    def __init__(self, url, info: layout.DatasetInfo, *, shard_clips: int = layout.SHARD_CLIPS, resume: bool = False):
        self.fs, self.root = open_place(url)
        self.shard_clips = shard_clips
        fresh = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "shards": {}, "n_clips": 0}
        self.info = info.model_copy(update=fresh, deep=True)
        self._ids: set[bytes] = set()
        self._hash = 0
        self._rows: list[PoseClip] = []
        self._n_values = 0
        self._shard: pq.ParquetWriter | None = None
        self._n_shard = 0
        self._failed = False
        if self.fs.exists(f"{self.root}/{layout.INFO_FILE}"):
            self._continue(resume)
        with self._write_errors():
            self.fs.makedirs(self.root, exist_ok=True)
            for path in self.fs.find(self.root, maxdepth=1):
                if path.rsplit("/", 1)[-1].startswith(_TEMPORARY):  # of a killed writer
                    self.fs.rm_file(path)

    def _continue(self, resume: bool) -> None:
        old = Dataset(self.root, fs=self.fs, allow_incomplete=True)
        if old.info.complete:
            raise UsageError(f"{self.root}: wanted an empty folder, got a dataset; remove it or write somewhere else")
        if not resume:
            raise UsageError(f"{self.root}: wanted an empty folder, got an unfinished dataset; resume or remove it")
        # As JSON: a tuple becomes a list on disk.
        before, after = old.info.model_dump(mode="json"), self.info.model_dump(mode="json")
        for field in ("classes", "recipe"):
            if before[field] != after[field]:
                raise UsageError(
                    f"{self.root}: holds an unfinished dataset: wanted the same {field} to continue it, "
                    f"{before[field]}, got {after[field]}; remove it or write somewhere else"
                )
        self.info.shards, self.info.n_clips = dict(old.info.shards), old.info.n_clips
        for clip in old.clips():
            self._add(clip)

    def _add(self, clip: PoseClip) -> None:
        self._ids.add(layout.short_hash(clip.clip_id))
        self._hash = layout.add_clip(self._hash, clip)

    @contextmanager
    def _write_errors(self):
        """Turn a full disk and the like into a DatasetError; the finished shards are on disk and stay."""
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            self._failed = True
            raise DatasetError(f"{self.root}: cannot write: {first_line(error)}; finished shards are kept") from None

    def written(self, clip_id: str) -> bool:
        """Tell whether a clip of that id is in the dataset."""
        return layout.short_hash(clip_id) in self._ids

    def write(self, clip: PoseClip, where: str = "") -> None:
        """Check and add one clip; `where` is the file that it came from, for messages.

        A ClipError says that nothing was added: the clip is faulty, its `clip_id` is taken, or it is synthetic and the
        dataset does not say so. A DatasetError says that the folder cannot be written to.
        """
        check_clip(clip, self.info.classes, where, self.info.synthetic)
        if self.written(clip.clip_id):
            place = f"{where}: " if where else ""
            raise ClipError(f"{place}clip {clip.clip_id!r}: wanted a clip_id of its own, got one that is taken")
        self._add(clip)
        self._rows.append(clip)
        self._n_values += clip.keypoints.size
        if len(self._rows) == layout.ROW_GROUP_CLIPS or self._n_values >= layout.ROW_GROUP_VALUES:
            self._flush_rows()

    @property
    def _shard_name(self) -> str:
        return f"clips-{len(self.info.shards):05d}.parquet"

    def _flush_rows(self) -> None:
        if not self._rows:
            return
        with self._write_errors():
            if self._shard is None:
                # Bytes of equal significance side by side compress; dictionaries of float values do not.
                encoding = {"keypoints.list.item": "BYTE_STREAM_SPLIT"}
                form = {"compression": "zstd", "compression_level": 1, "use_dictionary": list(layout.TEXT_COLUMNS)}
                place = f"{self.root}/{_TEMPORARY}{self._shard_name}"
                self._shard = pq.ParquetWriter(
                    place, layout.SCHEMA, filesystem=self.fs, column_encoding=encoding, **form
                )
            self._shard.write_batch(layout.to_batch(self._rows))
        self._n_shard += len(self._rows)
        self._rows, self._n_values = [], 0
        if self._n_shard >= self.shard_clips:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._shard is None:
            return
        with self._write_errors():
            self._shard.close()
            self._put(self._shard_name)
        self.info.shards[self._shard_name] = self._n_shard
        self.info.n_clips += self._n_shard
        self._shard, self._n_shard = None, 0
        # Here the hash covers exactly the clips of the finished shards: the rows held back were just flushed.
        self._write_info(complete=False)

    def _put(self, name: str) -> None:
        self.fs.mv(f"{self.root}/{_TEMPORARY}{name}", f"{self.root}/{name}")

    def _write_info(self, complete: bool) -> None:
        self.info.complete = complete
        self.info.content_hash = f"{self._hash:064x}"
        with self._write_errors():
            with self.fs.open(f"{self.root}/{_TEMPORARY}{layout.INFO_FILE}", "w", encoding="utf-8") as file:
                file.write(self.info.model_dump_json(indent=2) + "\n")
            self._put(layout.INFO_FILE)

    def close(self, complete: bool = True) -> layout.DatasetInfo:
        """Write what is still held and `dataset.json`; return its content. After a failed write, only tidy up."""
        if not self._failed:
            self._flush_rows()
            self._close_shard()
            self._write_info(complete)
        elif self._shard is not None:
            with suppress(OSError, ValueError, pa.ArrowException):
                self._shard.close()
            with suppress(OSError):
                self.fs.rm_file(f"{self.root}/{_TEMPORARY}{self._shard_name}")
        return self.info

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, error, *_) -> None:
        # After an error of the caller the clips written so far are kept, but the dataset does not count as complete.
        self.close(complete=error is None)
