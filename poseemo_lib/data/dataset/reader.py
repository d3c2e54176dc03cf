"""Reading a dataset: rows, clips and faults, streamed one row group at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from poseemo_lib.clips import PoseClip, check_clip, clip_faults
from poseemo_lib.data.dataset import format as layout
from poseemo_lib.errors import ClipError, DatasetError
from poseemo_lib.paths import open_place
from poseemo_lib.text import first_line

_READ_TYPES = {"keypoints": pa.list_(pa.float32())}


class Dataset:
    """Read a dataset: a folder, any fsspec URL, or a path of the fsspec file system `fs`.

    With `allow_incomplete`, also one whose writer did not finish.

    Raises
    ------
    DatasetError
        There is no dataset, or its `dataset.json` is damaged, of a newer format, or incomplete.
    UsageError
        fsspec cannot open such a URL.
    """

    def __init__(self, url, *, fs=None, allow_incomplete: bool = False):
        self.fs, self.root = (fs, str(url)) if fs is not None else open_place(url)
        self.info = self._read_info()
        if not (self.info.complete or allow_incomplete):
            raise DatasetError(
                f"{self.root}: wanted a complete dataset, got one whose writing was interrupted after "
                f"{self.info.n_clips} clips; run the command that made it again"
            )

    def _read_info(self) -> layout.DatasetInfo:
        path = f"{self.root}/{layout.INFO_FILE}"
        try:
            with self.fs.open(path, "r", encoding="utf-8") as file:
                return layout.info_from_json(file.read())
        except (FileNotFoundError, NotADirectoryError):
            raise DatasetError(
                f"{self.root}: wanted a dataset (a folder with {layout.INFO_FILE}), found none; "
                "make one with `poseemo synth`, `import` or `extract`; a stopped `extract` continues if it is run again"
            ) from None
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read: {first_line(error)}") from None
        except ValueError as error:
            raise DatasetError(f"{path}: damaged: {error}") from None

    def __len__(self) -> int:
        return self.info.n_clips

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.info.classes

    @contextmanager
    def _open_shard(self, name: str):
        path = f"{self.root}/{name}"
        try:
            # A Python file is closed by a thread of Arrow, which can abort a process that exits at the same time
            # (apache/arrow issue 34314); Arrow's own file is safe.
            local = isinstance(self.fs, LocalFileSystem)
            with pa.OSFile(path) if local else self.fs.open(path, "rb") as file, pq.ParquetFile(file) as shard:
                missing = [field for field in layout.SCHEMA.names if field not in shard.schema_arrow.names]
                if missing:
                    wanted = ", ".join(layout.SCHEMA.names)
                    raise DatasetError(f"{path}: wanted the columns {wanted}, missing {', '.join(missing)}")
                n_rows, wanted = shard.metadata.num_rows, self.info.shards[name]
                if n_rows != wanted:
                    raise DatasetError(f"{path}: wanted {wanted} clips, got {n_rows}")
                yield shard
        except FileNotFoundError:
            raise DatasetError(f"{path}: wanted the shard that {layout.INFO_FILE} names, found no file") from None
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(f"{path}: truncated or damaged shard: {first_line(error)}") from None

    def _shard_batches(self, name: str, columns, rows=None, start: int = 0) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (number of its first row, batch) for the row groups that hold one of `rows`, or for all."""
        # Every column may be null here, so that a null of another writer becomes the fault of a clip.
        schema = pa.schema([(column, _READ_TYPES.get(column, layout.SCHEMA.field(column).type)) for column in columns])
        with self._open_shard(name) as shard:
            if "keypoints" not in columns:
                # Small: the whole shard at once.
                table = shard.read(columns=schema.names).select(schema.names).cast(schema)
                yield from ((start, batch) for batch in table.combine_chunks().to_batches())
                return
            for group in range(shard.num_row_groups):
                stop = start + shard.metadata.row_group(group).num_rows
                if rows is None or np.searchsorted(rows, start) < np.searchsorted(rows, stop):
                    for batch in shard.iter_batches(layout.ROW_GROUP_CLIPS, row_groups=[group], columns=schema.names):
                        yield start, batch.select(schema.names).cast(schema)
                        start += batch.num_rows
                start = stop

    def table(self):
        """Everything but the keypoints, as a pandas DataFrame in the order of the dataset."""
        shards = (self._shard_batches(name, layout.METADATA_COLUMNS) for name in self.info.shards)
        batches = [batch for shard in shards for _, batch in shard]
        schema = pa.schema([(name, layout.SCHEMA.field(name).type) for name in layout.METADATA_COLUMNS])
        return pa.Table.from_batches(batches, schema=schema).to_pandas()

    def clips(self, where=None) -> Iterator[PoseClip]:
        """Stream the clips, each checked, or those whose clip_id `where` accepts.

        Raises
        ------
        DatasetError, ClipError
            A shard is damaged, or a clip is faulty.
        """
        for name in self.info.shards:
            path = f"{self.root}/{name}"
            for _, batch in self._shard_batches(name, layout.SCHEMA.names):
                for clip in layout.to_clips(batch, path):
                    if where is None or where(clip.clip_id):
                        yield self._sound(clip, path)

    def take(self, rows) -> Iterator[tuple[int, PoseClip]]:
        """Stream (row, clip) for some rows of :meth:`table`, in its order; other row groups are not read."""
        rows = np.unique(np.asarray(rows, dtype=np.int64))
        first = 0
        for name, n_clips in self.info.shards.items():
            path = f"{self.root}/{name}"
            wanted = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + n_clips)]
            if wanted.size:
                for start, batch in self._shard_batches(name, layout.SCHEMA.names, wanted, first):
                    inside = wanted[(wanted >= start) & (wanted < start + batch.num_rows)]
                    for row, clip in zip(
                        inside, layout.to_clips(batch.take(pa.array(inside - start)), path), strict=True
                    ):
                        yield int(row), self._sound(clip, path)
            first += n_clips

    def _sound(self, clip: PoseClip | layout.Fault, path: str) -> PoseClip:
        if isinstance(clip, layout.Fault):
            raise ClipError(f"{clip}; `poseemo inspect` lists every fault")
        return check_clip(clip, self.classes, path, self.info.synthetic)

    def faults(self) -> Iterator[layout.Fault]:
        """Stream everything that is wrong: see :meth:`scan`."""
        return (item for item in self.scan() if isinstance(item, layout.Fault))

    def scan(self) -> Iterator[PoseClip | layout.Fault]:
        """Stream every clip without a fault, and a Fault for everything that is wrong.

        Wrong are shards that are missing or damaged, faulty clips, a `clip_id` that is taken, a copy of a clip that
        is not in the dataset, and clips that do not add up to the content hash.
        """
        seen: set[bytes] = set()
        copies: list[tuple[bytes, str, str]] = []
        total, sound = 0, True
        for name in self.info.shards:
            path = f"{self.root}/{name}"
            for clip in self.scan_shard(name):
                faults = [clip] if isinstance(clip, layout.Fault) else self._faults_of(clip, path, seen)
                seen.add(layout.short_hash(clip.clip_id or ""))
                sound = sound and not faults
                yield from faults or (clip,)
                if not faults:
                    total = layout.add_clip(total, clip)
                    if clip.augmented_from is not None:
                        copies.append((layout.short_hash(clip.augmented_from), path, clip.clip_id))
        if not sound:
            return
        found, wanted = f"{total:064x}", self.info.content_hash
        if found != wanted:
            message = f"wanted the content hash {wanted}, got {found}: clips were changed"
            yield layout.Fault(f"{self.root}/{layout.INFO_FILE}", "", message)
        for source, path, clip_id in copies:
            if source not in seen:
                yield layout.Fault(path, clip_id, "augmented_from: wanted a clip of this dataset, got none of that id")

    def scan_shard(self, name: str) -> Iterator[PoseClip | layout.Fault]:
        """Stream the clips of a shard, unchecked, with a Fault for what cannot be read."""
        path = f"{self.root}/{name}"
        try:
            for _, batch in self._shard_batches(name, layout.SCHEMA.names):
                yield from layout.to_clips(batch, path)
        except DatasetError as error:
            yield layout.Fault(path, "", str(error).removeprefix(f"{path}: "))

    def _faults_of(self, clip: PoseClip, path: str, seen: set[bytes]) -> list[layout.Fault]:
        messages = clip_faults(clip, self.classes, self.info.synthetic)
        if isinstance(clip.clip_id, str) and layout.short_hash(clip.clip_id) in seen:
            messages.append("wanted a clip_id of its own, got one that is taken")
        return [layout.Fault(path, clip.clip_id or "", message) for message in messages]
