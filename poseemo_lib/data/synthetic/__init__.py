"""Synthetic clips with a known answer: bodies before a TV-like camera, and emotions planted where it is written down.

Shows contain actors and scenes, and a scene is cut into one to four clips. What a show, an actor and a scene have in
common is stronger than what an emotion does, and a show has its own mixture of labels, so that a random split pays and
a grouped split is honest. With `signal=0` the label tells nothing about the keypoints. These clips say nothing about
real people: they check the path from keypoints to report.

A clip depends on its index and the settings only, so that any of them can be made alone and memory stays flat.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from poseemo_lib.clips import EMOTIONS, PoseClip
from poseemo_lib.data.dataset import DatasetInfo, DatasetWriter
from poseemo_lib.data.synthetic.body import ANGLE, joint_positions
from poseemo_lib.data.synthetic.camera import see
from poseemo_lib.data.synthetic.emotion import CUE_SETS, Expression, draw_expression
from poseemo_lib.data.synthetic.motion import natural_motion
from poseemo_lib.data.synthetic.plan import SyntheticSettings, label_of, place_of, stream
from poseemo_lib.data.synthetic.style import (
    HEAD_TO_FOOT,
    N_ACTORS,
    Actor,
    Scene,
    Show,
    draw_actor,
    draw_scene,
    draw_show,
)
from poseemo_lib.errors import DatasetError, UsageError
from poseemo_lib.paths import open_place
from poseemo_lib.text import first_line

PLANTED_FILE = "planted.parquet"
PLANTED_SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("person", pa.int32(), nullable=False),
        pa.field("joints", pa.list_(pa.string()), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("stop", pa.int32(), nullable=False),
        pa.field("cues", pa.list_(pa.string()), nullable=False),
        pa.field("rhythm_hz", pa.float64()),
        pa.field("intensity", pa.float64(), nullable=False),
    ]
)

_MEDIAN_SECONDS, _SECONDS_SPREAD, _SECONDS_RANGE = 2.7, 0.42, (1.0, 6.0)
_PLANTED_ROWS = 1024


@dataclass(frozen=True)
class Planted:
    """Where the emotion of a clip is.

    Parameters
    ----------
    clip_id, label : str
    person : int
        Slot of the person who shows it.
    joints : tuple of str
        The COCO joints that move otherwise than they would without it, in COCO order, in the picture or not.
    start, stop : int
        Frames, `stop` not included.
    cues : tuple of str
        Names out of :data:`poseemo_lib.data.synthetic.emotion.CUES` or `LOCAL_CUES`.
    rhythm_hz : float or None
        Frequency of the planted rhythm, where there is one.
    intensity : float
        Drawn for the clip, about 1, before `signal`.
    """

    clip_id: str
    label: str
    person: int
    joints: tuple[str, ...]
    start: int
    stop: int
    cues: tuple[str, ...]
    rhythm_hz: float | None
    intensity: float


@lru_cache(maxsize=512)
def _show(settings: SyntheticSettings, group: int) -> tuple[Show, list[Actor]]:
    actors = [draw_actor(stream(settings, "actor", group, number)) for number in range(N_ACTORS)]
    show = draw_show(stream(settings, "show", group))
    if CUE_SETS[settings.cues].head_to_foot:
        show = replace(show, framing_shares=HEAD_TO_FOOT)
    return show, actors


def synthetic_clip(
    settings: SyntheticSettings, index: int, label: str | None = None
) -> tuple[PoseClip, Planted | None]:
    """Make one clip.

    Parameters
    ----------
    settings : SyntheticSettings
    index : int
        0..n_clips - 1.
    label : str, optional
        Show this emotion instead of the one that is drawn.

    Returns
    -------
    clip : PoseClip
        `group_id` is the show, `source_id` the scene.
    planted : Planted or None
        None where the label leaves no trace: neutral, or no signal.

    Raises
    ------
    UsageError
        No such index or label.
    """
    if not 0 <= index < settings.n_clips:
        raise UsageError(f"index: wanted 0 to {settings.n_clips - 1}, got {index}")
    if label is not None and label not in EMOTIONS:
        raise UsageError(f"label: wanted one of {', '.join(EMOTIONS)}, got {label!r}")
    place = place_of(settings, index)
    label = label or label_of(settings, place, index)
    show, actors = _show(settings, place.group)
    how = CUE_SETS[settings.cues]
    scene_rng = stream(settings, "scene", place.group, place.visit, place.scene)
    scene = draw_scene(scene_rng, show, actors, settings.two_people)
    if how.head_to_foot:
        scene = replace(scene, desk=False)
    rng = stream(settings, "clip", index)
    seconds = _MEDIAN_SECONDS * rng.lognormal(0, _SECONDS_SPREAD)
    n_frames = round(np.clip(seconds, *_SECONDS_RANGE) * show.fps)
    expression = draw_expression(
        stream(settings, "expression", index), label, n_frames, show.fps, settings.signal, settings.cues
    )
    second = len(scene.heights) == 2 and rng.random() < how.listed_second
    slots = [1, 0] if second else [0, 1][: len(scene.heights)]
    keypoints = _perform(settings, index, rng, np.arange(n_frames) / show.fps, scene, show, expression)[:, slots]
    group_id = f"synthetic-{settings.seed}/show-{place.group:03d}"
    clip = PoseClip(
        clip_id=f"synthetic-{settings.seed}/clip-{index:06d}",
        label=label,
        keypoints=keypoints,
        fps=show.fps,
        width=show.width,
        height=show.height,
        source_id=f"{group_id}/scene-{place.visit:03d}-{place.scene}",
        group_id=group_id,
        origin="synthetic",
    )
    return clip, expression and _planted(clip, slots.index(0), expression)


def _perform(
    settings: SyntheticSettings,
    index: int,
    rng: np.random.Generator,
    seconds: np.ndarray,
    scene: Scene,
    show: Show,
    expression: Expression | None,
) -> np.ndarray:
    """Move the bodies, the main person (0) with the expression, and film them: (T, M, 17, 3)."""
    motion, root = natural_motion(rng, seconds, scene)
    if expression:
        motion[:, 0] = expression.gain * motion[:, 0] + expression.added
    # Clips of one scene differ a little in bearing.
    pose = scene.pose + rng.normal(0, 2.5, scene.pose.shape) + motion
    joints = joint_positions(pose, root, scene.lengths)
    return see(stream(settings, "estimator", index), joints, pose[..., ANGLE["facing"]], seconds, scene, show)


def _planted(clip: PoseClip, person: int, expression: Expression) -> Planted:
    return Planted(
        clip_id=clip.clip_id,
        label=clip.label,
        person=person,
        joints=expression.joints,
        start=expression.start,
        stop=expression.stop,
        cues=expression.cues,
        rhythm_hz=expression.rhythm_hz,
        intensity=expression.intensity,
    )


def generate_clips(
    n_clips: int,
    *,
    seed: int = 0,
    signal: float = 1.0,
    n_groups: int | None = None,
    two_people: float = 0.5,
    cues: str = "whole_body",
) -> Iterator[tuple[PoseClip, Planted | None]]:
    """Make clips one by one; the parameters are those of :class:`SyntheticSettings`.

    Yields
    ------
    (PoseClip, Planted or None)
        See :func:`synthetic_clip`.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """
    settings = SyntheticSettings(n_clips, seed, signal, n_groups, two_people, cues)
    return (synthetic_clip(settings, index) for index in range(n_clips))


def write_synthetic_dataset(
    out,
    n_clips: int,
    *,
    seed: int = 0,
    signal: float = 1.0,
    n_groups: int | None = None,
    two_people: float = 0.5,
    cues: str = "whole_body",
    name: str = "synthetic",
    progress: Callable[[int], None] | None = None,
) -> DatasetInfo:
    """Write a synthetic dataset, with `planted.parquet` beside its shards.

    A writing that was interrupted goes on with the same call.

    Parameters
    ----------
    out : str or Path
        A new folder, or any fsspec URL.
    n_clips, seed, signal, n_groups, two_people, cues
        See :class:`SyntheticSettings`.
    name : str
        The dataset's name.
    progress : callable, optional
        Called after each clip with the number of clips that are done.

    Returns
    -------
    DatasetInfo

    Raises
    ------
    UsageError
        A parameter is out of range, or `out` holds a complete dataset, or an unfinished one of other settings.
    """
    settings = SyntheticSettings(n_clips, seed, signal, n_groups, two_people, cues)
    info = DatasetInfo(
        name=name,
        source="synthetic: made by poseemo_lib.data.synthetic, no real people",
        licence="CC0-1.0",
        synthetic=True,
        recipe={"generator": "poseemo_lib.data.synthetic", **settings.recipe()},
    )
    with DatasetWriter(out, info, resume=True) as writer, _planted_rows(writer.fs, writer.root) as write_planted:
        for index in range(n_clips):
            clip, planted = synthetic_clip(settings, index)
            if not writer.written(clip.clip_id):
                writer.write(clip)
            # Also for clips that were there: this table is written anew.
            if planted:
                write_planted(planted)
            if progress:
                progress(index + 1)
    return writer.info


@contextmanager
def _planted_rows(fs, root: str):
    """Give a function that adds one row to `planted.parquet`; the file appears under its name when it is whole."""
    rows: list[dict] = []
    temporary = f"{root}/.tmp-{PLANTED_FILE}"

    def flush() -> None:
        table.write_table(pa.Table.from_pylist(rows, PLANTED_SCHEMA))
        rows.clear()

    def add(planted: Planted) -> None:
        rows.append(asdict(planted))
        if len(rows) == _PLANTED_ROWS:
            flush()

    try:
        with fs.open(temporary, "wb") as file, pq.ParquetWriter(file, PLANTED_SCHEMA, compression="zstd") as table:
            yield add
            flush()
    except BaseException:
        if fs.exists(temporary):
            fs.rm(temporary)
        raise
    fs.mv(temporary, f"{root}/{PLANTED_FILE}")


def read_planted(url):
    """Read where the emotions of a synthetic dataset are.

    Parameters
    ----------
    url : str or Path
        The dataset's folder, or any fsspec URL.

    Returns
    -------
    pandas.DataFrame
        One row a clip in which something was planted, with the fields of :class:`Planted`; `joints` and `cues` are
        arrays of str.

    Raises
    ------
    DatasetError
        The folder has no sound `planted.parquet`.
    UsageError
        fsspec cannot open such a URL.
    """
    fs, root = open_place(url)
    path = f"{root}/{PLANTED_FILE}"
    try:
        with fs.open(path, "rb") as file:
            table = pq.read_table(file)
    except FileNotFoundError:
        raise DatasetError(f"{path}: wanted a synthetic dataset's {PLANTED_FILE}, found none") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{path}: truncated or damaged: {first_line(error)}") from None
    missing = [field for field in PLANTED_SCHEMA.names if field not in table.column_names]
    if missing:
        raise DatasetError(
            f"{path}: wanted the columns {', '.join(PLANTED_SCHEMA.names)}, missing {', '.join(missing)}"
        )
    return table.to_pandas()
