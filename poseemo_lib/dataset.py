"""The dataset on disk: a folder with `dataset.json` and Parquet shards, one row a clip.

Writing and reading stream: memory holds one row group (64 clips), whatever the size of the dataset.
A shard is written under a temporary name and renamed, so a reader never sees half of one. The folder may be
any fsspec URL. docs/data_format.md describes every field.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from poseemo_lib import __version__
from poseemo_lib.clips import EMOTIONS, PoseClip, check_clip
from poseemo_lib.errors import ClipError, DatasetError, UsageError
from poseemo_lib.skeleton import CHANNELS, N_KEYPOINTS

FORMAT_VERSION = 1
ROW_GROUP_CLIPS = 64
SHARD_CLIPS = 4096
INFO_FILE = "dataset.json"

_TEXT = pa.string()
SCHEMA = pa.schema(
    [
        pa.field("clip_id", _TEXT, nullable=False),
        pa.field("label", _TEXT, nullable=False),
        pa.field("split", _TEXT),
        pa.field("source_id", _TEXT, nullable=False),
        pa.field("group_id", _TEXT, nullable=False),
        pa.field("origin", _TEXT, nullable=False),
        pa.field("augmented_from", _TEXT),
        pa.field("fps", pa.float64(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("n_frames", pa.int32(), nullable=False),
        pa.field("n_people", pa.int32(), nullable=False),
        # (n_frames, n_people, 17, 3) in C order; a joint that was not seen is NaN, NaN, 0.
        pa.field("keypoints", pa.list_(pa.field("item", pa.float32(), nullable=False)), nullable=False),
    ]
)
METADATA_COLUMNS = tuple(name for name in SCHEMA.names if name != "keypoints")
_CLIP_FIELDS = tuple(name for name in METADATA_COLUMNS if name not in ("n_frames", "n_people"))
_VALUES_PER_PERSON = N_KEYPOINTS * len(CHANNELS)


class DatasetInfo(BaseModel):
    """What `dataset.json` holds."""

    model_config = ConfigDict(extra="forbid")

    name: str
    classes: tuple[str, ...] = EMOTIONS
    source: str = Field("", description="where the clips come from")
    licence: str = ""
    estimator: dict | None = Field(None, description="name of the pose estimator and sha256 of its model file")
    synthetic: bool = False
    recipe: dict = Field({}, description="the command and the settings that made it")
    format_version: int = FORMAT_VERSION
    poseemo_version: str = __version__
    created: str = ""
    complete: bool = False
    n_clips: int = 0
    content_hash: str = ""
    shards: dict[str, int] = Field({}, description="shard file -> number of clips")


def clip_digest(clip: PoseClip) -> int:
    """SHA-256 of everything in a clip, as an integer.

    Parameters
    ----------
    clip : PoseClip

    Returns
    -------
    int
    """
    fields = json.dumps([getattr(clip, name) for name in _CLIP_FIELDS] + list(clip.keypoints.shape))
    # One bit pattern for NaN, so that equal clips have equal bytes.
    keypoints = np.where(np.isnan(clip.keypoints), np.float32(np.nan), clip.keypoints)
    return int.from_bytes(hashlib.sha256(fields.encode() + keypoints.tobytes()).digest(), "big")


def add_digests(total: int, digest: int) -> int:
    """Add one clip to a content hash: the sum of the clips' SHA-256 modulo 2**256.

    A sum does not depend on the order of the clips or on the shards, and needs constant memory
    (Bellare and Micciancio 1997, "A new paradigm for collision-free hashing", AdHash).
    """
    return (total + digest) % 2**256


def _hash_text(total: int) -> str:
    return f"{total:064x}"


class DatasetWriter:
    """Write clips one by one into a new dataset; use it in a `with` statement.

    Every clip is checked as it comes, and a faulty one raises without harm to the others: what was written before
    is kept and stays readable, also when the `with` block ends in an error.

    Parameters
    ----------
    url : str or Path
        The folder, or any fsspec URL.
    info : DatasetInfo
        Name, classes, source and so on; the counts and the hash are filled in here.
    shard_clips : int
        Clips a shard.
    resume : bool
        Continue a dataset that an earlier writer did not complete; :attr:`written` knows what is there.

    Raises
    ------
    UsageError
        The folder holds a dataset already, and `resume` is false or it is complete.
    """

    def __init__(self, url, info: DatasetInfo, *, shard_clips: int = SHARD_CLIPS, resume: bool = False):
        self.fs, self.root = fsspec.core.url_to_fs(str(url))
        self.shard_clips = shard_clips
        self.info = info.model_copy(update={"created": datetime.now(UTC).isoformat(timespec="seconds")}, deep=True)
        self._ids: set[bytes] = set()
        self._hash = 0
        self._rows: list[PoseClip] = []
        self._shard: _OpenShard | None = None
        if self.fs.exists(f"{self.root}/{INFO_FILE}"):
            self._continue(resume)
        self.fs.makedirs(self.root, exist_ok=True)

    def _continue(self, resume: bool) -> None:
        old = Dataset(f"{self.root}", fs=self.fs, allow_incomplete=True)
        if not resume or old.info.complete:
            raise UsageError(f"{self.root}: wanted an empty folder, got a dataset; remove it or write somewhere else")
        if old.info.classes != self.info.classes:
            raise UsageError(f"{self.root}: wanted the classes {old.info.classes} to continue, got {self.info.classes}")
        self.info.shards = dict(old.info.shards)
        for clip in old.clips():
            self._ids.add(_short_hash(clip.clip_id))
            self._hash = add_digests(self._hash, clip_digest(clip))
        self.info.n_clips = len(self._ids)

    def written(self, clip_id: str) -> bool:
        """Tell whether a clip of that id is in the dataset."""
        return _short_hash(clip_id) in self._ids

    def write(self, clip: PoseClip, where: str = "") -> None:
        """Check and add one clip.

        Parameters
        ----------
        clip : PoseClip
        where : str
            The file that it came from, for messages.

        Raises
        ------
        ClipError
            The clip is faulty or its `clip_id` is taken. Nothing was added.
        """
        check_clip(clip, self.info.classes, where)
        key = _short_hash(clip.clip_id)
        if key in self._ids:
            place = f"{where}: " if where else ""
            raise ClipError(f"{place}clip {clip.clip_id!r}: wanted a clip_id of its own, got one that is taken")
        self._ids.add(key)
        self._hash = add_digests(self._hash, clip_digest(clip))
        self._rows.append(clip)
        if len(self._rows) == ROW_GROUP_CLIPS:
            self._flush_rows()

    def _flush_rows(self) -> None:
        if not self._rows:
            return
        if self._shard is None:
            self._shard = _OpenShard(self.fs, self.root, f"clips-{len(self.info.shards):05d}.parquet")
        self._shard.write(_to_batch(self._rows))
        self._rows = []
        if self._shard.n_clips >= self.shard_clips:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._shard is None:
            return
        self._shard.close()
        self.info.shards[self._shard.name] = self._shard.n_clips
        self.info.n_clips += self._shard.n_clips
        self._shard = None
        self._write_info(complete=False)

    def _write_info(self, complete: bool) -> None:
        self.info.complete = complete
        self.info.content_hash = _hash_text(self._hash)
        temporary = f"{self.root}/.tmp-{uuid.uuid4().hex}.json"
        with self.fs.open(temporary, "w") as file:
            file.write(self.info.model_dump_json(indent=2) + "\n")
        self.fs.mv(temporary, f"{self.root}/{INFO_FILE}")

    def close(self, complete: bool = True) -> DatasetInfo:
        """Write what is still held and `dataset.json`; return its content."""
        self._flush_rows()
        self._close_shard()
        self._write_info(complete)
        return self.info

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, error, *_) -> None:
        # After an error the clips written so far are kept, but the dataset is not called complete.
        self.close(complete=error is None)


class _OpenShard:
    """A shard under its temporary name, until it is closed."""

    def __init__(self, fs, root: str, name: str):
        self.fs, self.name, self.n_clips = fs, name, 0
        self.final = f"{root}/{name}"
        self.temporary = f"{root}/.tmp-{uuid.uuid4().hex}-{name}"
        self.file = fs.open(self.temporary, "wb")
        # Bytes of equal significance side by side compress; dictionaries of float values do not.
        self.writer = pq.ParquetWriter(
            self.file,
            SCHEMA,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in SCHEMA.names if pa.types.is_string(SCHEMA.field(name).type)],
            column_encoding={"keypoints.list.item": "BYTE_STREAM_SPLIT"},
        )

    def write(self, batch: pa.RecordBatch) -> None:
        self.writer.write_batch(batch)
        self.n_clips += batch.num_rows

    def close(self) -> None:
        self.writer.close()
        self.file.close()
        self.fs.mv(self.temporary, self.final)


def _short_hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=10).digest()


def _to_batch(clips: list[PoseClip]) -> pa.RecordBatch:
    columns = {name: [getattr(clip, name) for clip in clips] for name in METADATA_COLUMNS}
    arrays = [pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()]
    offsets = np.cumsum([0] + [clip.keypoints.size for clip in clips], dtype=np.int32)
    values = np.concatenate([clip.keypoints.ravel() for clip in clips])
    keypoints = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=SCHEMA.field("keypoints").type)
    return pa.RecordBatch.from_arrays([*arrays, keypoints], schema=SCHEMA)


@dataclass(frozen=True)
class Fault:
    """Something wrong in a dataset: where, and what."""

    file: str
    clip_id: str
    message: str

    def __str__(self) -> str:
        clip = f"clip {self.clip_id!r}: " if self.clip_id else ""
        return f"{self.file}: {clip}{self.message}"


class Dataset:
    """Read a dataset.

    Parameters
    ----------
    url : str or Path
        The folder, or any fsspec URL.
    allow_incomplete : bool
        Open a dataset whose writer did not finish.

    Raises
    ------
    DatasetError
        There is no dataset, or its `dataset.json` is damaged, of a newer format, or incomplete.
    """

    def __init__(self, url, *, fs=None, allow_incomplete: bool = False):
        self.fs, self.root = (fs, str(url)) if fs is not None else fsspec.core.url_to_fs(str(url))
        self.info = self._read_info()
        if not (self.info.complete or allow_incomplete):
            raise DatasetError(
                f"{self.root}: wanted a complete dataset, got one whose writing was interrupted after "
                f"{self.info.n_clips} clips; run the command that made it again"
            )

    def _read_info(self) -> DatasetInfo:
        path = f"{self.root}/{INFO_FILE}"
        try:
            with self.fs.open(path, "r") as file:
                info = DatasetInfo.model_validate_json(file.read())
        except (FileNotFoundError, NotADirectoryError):
            raise DatasetError(
                f"{self.root}: wanted a dataset (a folder with {INFO_FILE}), found none; "
                "make one with `poseemo synth` or `poseemo import`"
            ) from None
        except (ValidationError, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}: not a sound {INFO_FILE}: {_first_line(error)}") from None
        if info.format_version > FORMAT_VERSION:
            raise DatasetError(f"{path}: wanted format {FORMAT_VERSION} or older, got {info.format_version}")
        return info

    def __len__(self) -> int:
        return self.info.n_clips

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.info.classes

    def _open_shard(self, name: str) -> pq.ParquetFile:
        path = f"{self.root}/{name}"
        try:
            shard = pq.ParquetFile(self.fs.open(path, "rb"))
        except FileNotFoundError:
            raise DatasetError(f"{path}: wanted the shard that {INFO_FILE} names, found no file") from None
        except (pa.ArrowInvalid, OSError) as error:
            raise DatasetError(f"{path}: truncated or damaged shard: {_first_line(error)}") from None
        missing = [field for field in SCHEMA.names if field not in shard.schema_arrow.names]
        if missing:
            raise DatasetError(f"{path}: wanted the columns {', '.join(SCHEMA.names)}, missing {', '.join(missing)}")
        if shard.metadata.num_rows != self.info.shards[name]:
            raise DatasetError(f"{path}: wanted {self.info.shards[name]} clips, got {shard.metadata.num_rows}")
        return shard

    def batches(self, columns: tuple[str, ...] | None = None) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Stream the rows, one row group at a time.

        Parameters
        ----------
        columns : tuple of str, optional
            Only these columns.

        Yields
        ------
        (shard path, pyarrow.RecordBatch)

        Raises
        ------
        DatasetError
            A shard is missing, truncated or damaged.
        """
        for name in self.info.shards:
            path = f"{self.root}/{name}"
            with self._open_shard(name) as shard:
                try:
                    for batch in shard.iter_batches(ROW_GROUP_CLIPS, columns=list(columns) if columns else None):
                        yield path, batch
                except (pa.ArrowInvalid, OSError) as error:
                    raise DatasetError(f"{path}: damaged shard: {_first_line(error)}") from None

    def table(self):
        """Everything but the keypoints, as a pandas DataFrame in the order of the dataset."""
        batches = [batch for _, batch in self.batches(METADATA_COLUMNS)]
        schema = pa.schema([SCHEMA.field(name) for name in METADATA_COLUMNS])
        return pa.Table.from_batches(batches, schema=schema).to_pandas()

    def clips(self, where=None) -> Iterator[PoseClip]:
        """Stream the clips, each checked.

        Parameters
        ----------
        where : callable, optional
            Given a clip_id, tells whether the clip is wanted.

        Raises
        ------
        DatasetError
            A shard is damaged.
        ClipError
            A clip is faulty; the message names the shard and the clip.
        """
        for path, batch in self.batches():
            for clip in _to_clips(batch, path):
                if isinstance(clip, Fault):
                    raise ClipError(f"{clip}; `poseemo inspect` lists every fault")
                if where is None or where(clip.clip_id):
                    yield check_clip(clip, self.classes, path)

    def faults(self) -> Iterator[Fault]:
        """Stream everything that is wrong: damaged shards, faulty clips, duplicate ids, a content hash that differs."""
        seen: set[bytes] = set()
        total, damaged = 0, False
        for name, n_clips in self.info.shards.items():
            one = Dataset(self.root, fs=self.fs, allow_incomplete=True)
            one.info.shards = {name: n_clips}
            try:
                for path, batch in one.batches():
                    for clip in _to_clips(batch, path):
                        faults = [clip] if isinstance(clip, Fault) else self._clip_faults(clip, path, seen)
                        damaged = damaged or bool(faults)
                        yield from faults
                        if not isinstance(clip, Fault):
                            total = add_digests(total, clip_digest(clip))
            except DatasetError as error:
                damaged = True
                yield Fault(f"{self.root}/{name}", "", str(error).removeprefix(f"{self.root}/{name}: "))
        if not damaged and _hash_text(total) != self.info.content_hash:
            yield Fault(
                f"{self.root}/{INFO_FILE}",
                "",
                f"wanted the content hash {self.info.content_hash}, got {_hash_text(total)}: the clips were changed",
            )

    def _clip_faults(self, clip: PoseClip, path: str, seen: set[bytes]) -> list[Fault]:
        faults = []
        key = _short_hash(clip.clip_id)
        if key in seen:
            faults.append(Fault(path, clip.clip_id, "wanted a clip_id of its own, got one that is taken"))
        seen.add(key)
        try:
            check_clip(clip, self.classes)
        except ClipError as error:
            faults.append(Fault(path, clip.clip_id, str(error).removeprefix(f"clip {clip.clip_id!r}: ")))
        return faults


def _to_clips(batch: pa.RecordBatch, path: str) -> Iterator[PoseClip | Fault]:
    rows = batch.select(list(METADATA_COLUMNS)).to_pylist()
    column = batch.column("keypoints")
    values, offsets = column.values.to_numpy(), column.offsets.to_numpy()
    for i, row in enumerate(rows):
        n_frames, n_people = row.pop("n_frames"), row.pop("n_people")
        flat = values[offsets[i] : offsets[i + 1]]
        wanted = n_frames * n_people * _VALUES_PER_PERSON
        if n_frames < 1 or n_people < 1 or flat.size != wanted:
            message = (
                f"keypoints: wanted {n_frames} frames x {n_people} people x {N_KEYPOINTS} joints x {len(CHANNELS)} "
                f"channels = {wanted} numbers (at least one frame and person), got {flat.size}"
            )
            yield Fault(path, row["clip_id"], message)
        else:
            yield PoseClip(keypoints=flat.reshape(n_frames, n_people, N_KEYPOINTS, len(CHANNELS)), **row)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
