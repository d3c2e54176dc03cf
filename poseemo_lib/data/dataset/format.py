"""The layout of a dataset on disk: columns, `dataset.json`, content hash, rows to clips and back."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from poseemo_lib import __version__
from poseemo_lib.clips import EMOTIONS, PoseClip
from poseemo_lib.skeleton import CHANNELS, N_KEYPOINTS

FORMAT_VERSION = 1
ROW_GROUP_CLIPS = 64
# 32 MiB of keypoints: a row group of very long clips holds fewer of them.
ROW_GROUP_VALUES = 8_000_000
SHARD_CLIPS = 4096
INFO_FILE = "dataset.json"

_TEXT = pa.string()
_COLUMNS = {
    **dict.fromkeys(("clip_id", "label", "split", "source_id", "group_id", "origin", "augmented_from"), _TEXT),
    "fps": pa.float64(),
    **dict.fromkeys(("width", "height", "n_frames", "n_people"), pa.int32()),
    # (n_frames, n_people, 17, 3) in C order; a joint that was not seen is NaN, NaN, 0.
    "keypoints": pa.list_(pa.field("item", pa.float32(), nullable=False)),
}
_OPTIONAL = ("split", "augmented_from")
SCHEMA = pa.schema([pa.field(name, kind, nullable=name in _OPTIONAL) for name, kind in _COLUMNS.items()])
METADATA_COLUMNS = tuple(name for name in SCHEMA.names if name != "keypoints")
TEXT_COLUMNS = tuple(name for name, kind in _COLUMNS.items() if kind == _TEXT)
_VALUES_PER_PERSON = N_KEYPOINTS * len(CHANNELS)


class DatasetInfo(BaseModel):
    """What `dataset.json` holds."""

    model_config = ConfigDict(extra="forbid")

    name: str
    classes: tuple[str, ...] = EMOTIONS
    source: str = Field("", description="where the clips come from")
    licence: str = Field("", description="its name, and what it asks for")
    citation: str = Field("", description="what to cite, and whom to credit")
    estimator: dict | None = Field(None, description="name of the pose estimator and sha256 of its model file")
    synthetic: bool = False
    recipe: dict = Field({}, description="the command and the settings that made it")
    format_version: int = FORMAT_VERSION
    poseemo_version: str = __version__
    created: str = ""
    complete: bool = False
    n_clips: NonNegativeInt = 0
    content_hash: str = ""
    shards: dict[str, NonNegativeInt] = Field({}, description="shard file -> number of clips")


def info_from_json(text: str) -> DatasetInfo:
    """Read a `dataset.json`; ValueError says what is wrong with it."""
    raw = json.loads(text)
    version = raw.get("format_version", FORMAT_VERSION) if isinstance(raw, dict) else FORMAT_VERSION
    # Before the fields are checked: a newer format may have fields that this version does not know.
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ValueError(f"wanted format {FORMAT_VERSION} or older, got {version}; a newer poseemo reads it")
    try:
        info = DatasetInfo.model_validate_json(text)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'content'}: {one['msg']}" for one in error.errors()]
        raise ValueError("; ".join(faults)) from None
    if info.n_clips != (n := sum(info.shards.values())):
        raise ValueError(f"wanted n_clips to be the sum over the shards, {n}, got {info.n_clips}")
    return info


def add_clip(total: int, clip: PoseClip) -> int:
    """Add a clip to a content hash: the sum of the SHA-256 of everything in each clip, modulo 2**256.

    A sum needs constant memory and depends neither on the order of the clips nor on the shards (Bellare and Micciancio
    1997, "A new paradigm for collision-free hashing", AdHash).
    """
    # The types of the columns, so that a clip with fps=30 has the digest of the 30.0 that is read back.
    fields = [clip.clip_id, clip.label, clip.split, clip.source_id, clip.group_id, clip.origin, clip.augmented_from]
    fields += [float(clip.fps), int(clip.width), int(clip.height), *clip.keypoints.shape]
    # One bit pattern for NaN, so that equal clips have equal bytes.
    keypoints = np.where(np.isnan(clip.keypoints), np.float32(np.nan), clip.keypoints).astype("<f4", copy=False)
    digest = hashlib.sha256(json.dumps(fields).encode() + keypoints.tobytes()).digest()
    return (total + int.from_bytes(digest, "big")) % 2**256


def short_hash(text: str) -> bytes:
    """Ten bytes that stand for a clip_id where all of them are held in memory."""
    return hashlib.blake2b(text.encode(), digest_size=10).digest()


@dataclass(frozen=True)
class Fault:
    """Something wrong in a dataset: where, and what."""

    file: str
    clip_id: str
    message: str

    def __str__(self) -> str:
        clip = f"clip {self.clip_id!r}: " if self.clip_id else ""
        return f"{self.file}: {clip}{self.message}"


def to_batch(clips: list[PoseClip]) -> pa.RecordBatch:
    """Turn clips into rows with the columns of :data:`SCHEMA`."""
    columns = {name: [getattr(clip, name) for clip in clips] for name in METADATA_COLUMNS}
    arrays = [pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()]
    offsets = np.cumsum([0] + [clip.keypoints.size for clip in clips], dtype=np.int32)
    values = np.concatenate([clip.keypoints.ravel() for clip in clips])
    keypoints = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=SCHEMA.field("keypoints").type)
    return pa.RecordBatch.from_arrays([*arrays, keypoints], schema=SCHEMA)


def to_clips(batch: pa.RecordBatch, path: str) -> Iterator[PoseClip | Fault]:
    """Turn rows of a shard into clips that own their keypoints; a row of impossible size becomes a Fault."""
    rows = batch.select(list(METADATA_COLUMNS)).to_pylist()
    column = batch.column("keypoints")
    values, offsets = column.values.to_numpy(zero_copy_only=False), column.offsets.to_numpy()
    for i, row in enumerate(rows):
        n_frames, n_people = row.pop("n_frames") or 0, row.pop("n_people") or 0
        flat = values[offsets[i] : offsets[i + 1]]
        wanted = n_frames * n_people * _VALUES_PER_PERSON
        if n_frames < 1 or n_people < 1 or flat.size != wanted:
            message = (
                f"keypoints: wanted {n_frames} frames x {n_people} people x {N_KEYPOINTS} joints x {len(CHANNELS)} "
                f"channels = {wanted} numbers (at least one frame and person), got {flat.size}"
            )
            yield Fault(path, row["clip_id"] or "", message)
        else:
            # A copy: a view would keep the whole row group in memory for as long as one clip lives.
            keypoints = flat.reshape(n_frames, n_people, N_KEYPOINTS, len(CHANNELS)).copy()
            yield PoseClip(keypoints=keypoints, **row)
