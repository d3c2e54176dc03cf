"""One synthetic clip from its index, and whole datasets of them.

A clip depends on its index and the settings only, so any of them can be made alone and memory stays flat.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from poseemo_lib.clips import PoseClip
from poseemo_lib.data.dataset import DatasetInfo, DatasetWriter
from poseemo_lib.data.synthetic.body import ANGLE, joint_positions
from poseemo_lib.data.synthetic.camera import see
from poseemo_lib.data.synthetic.emotion import CUE_SETS, Expression, draw_expression
from poseemo_lib.data.synthetic.motion import natural_motion
from poseemo_lib.data.synthetic.plan import SyntheticSettings, check_settings, label_of, place_of, stream
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
from poseemo_lib.errors import DatasetError
from poseemo_lib.paths import open_place
from poseemo_lib.text import first_line, track

PLANTED_FILE = "planted.parquet"
_PLANTED_COLUMNS = {
    **{"clip_id": pa.string(), "label": pa.string(), "person": pa.int32(), "joints": pa.list_(pa.string())},
    **{"start": pa.int32(), "stop": pa.int32(), "cues": pa.list_(pa.string())},
    **{"rhythm_hz": pa.float64(), "intensity": pa.float64()},
}
PLANTED_SCHEMA = pa.schema([pa.field(name, kind, name == "rhythm_hz") for name, kind in _PLANTED_COLUMNS.items()])
_MEDIAN_SECONDS, _SECONDS_SPREAD, _SECONDS_RANGE = 2.7, 0.42, (1.0, 6.0)
_BATCH_ROWS = 1024


@dataclass(frozen=True)
class Planted:
    """Where the emotion of a clip is."""

    clip_id: str
    label: str
    person: int  # slot of the person who shows it
    joints: tuple[str, ...]  # COCO joints that move differently because of it, in the picture or not
    start: int  # frames, `stop` not included
    stop: int
    cues: tuple[str, ...]  # names of :data:`poseemo_lib.data.synthetic.emotion.CUES` or `LOCAL_CUES`
    rhythm_hz: float | None  # frequency of the planted rhythm, where there is one
    intensity: float  # drawn for the clip, about 1, before `signal`


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
    """Make the clip of an index, 0..n_clips - 1, with the label that is drawn or with the given one.

    Its `group_id` is the show, its `source_id` the scene. Planted is None where the label leaves no trace: neutral, or
    no signal.
    """
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
    expression_rng = stream(settings, "expression", index)
    expression = draw_expression(expression_rng, label, n_frames, show.fps, settings.signal, settings.cues)
    n_people = len(scene.heights)
    main_is_second = n_people == 2 and rng.random() < how.listed_second
    keypoints = _perform(rng, stream(settings, "estimator", index), n_frames, scene, show, expression)
    group_id = f"synthetic-{settings.seed}/show-{place.group:03d}"
    clip = PoseClip(
        clip_id=f"synthetic-{settings.seed}/clip-{index:06d}",
        label=label,
        keypoints=keypoints[:, ::-1].copy() if main_is_second else keypoints,
        fps=show.fps,
        width=show.width,
        height=show.height,
        source_id=f"{group_id}/scene-{place.visit:03d}-{place.scene}",
        group_id=group_id,
        origin="synthetic",
    )
    if expression is None:
        return clip, None
    shown = {name: getattr(expression, name) for name in ("joints", "start", "stop", "cues", "rhythm_hz", "intensity")}
    return clip, Planted(clip.clip_id, label, int(main_is_second), **shown)


def _perform(rng, estimator_rng, n_frames: int, scene: Scene, show: Show, expression: Expression | None) -> np.ndarray:
    """Move the bodies, the main person (0) with the expression, and film them: (T, M, 17, 3)."""
    seconds = np.arange(n_frames) / show.fps
    motion, root = natural_motion(rng, seconds, scene)
    if expression:
        motion[:, 0] = expression.gain * motion[:, 0] + expression.added
    # Clips of one scene differ a little in bearing.
    pose = scene.pose + rng.normal(0, 2.5, scene.pose.shape) + motion
    joints = joint_positions(pose, root, scene.lengths)
    return see(estimator_rng, joints, pose[..., ANGLE["facing"]], seconds, scene, show)


def generate_clips(n_clips: int, **settings) -> Iterator[tuple[PoseClip, Planted | None]]:
    """Make clips one by one, as :func:`synthetic_clip`; the settings are those of :class:`SyntheticSettings`."""
    checked = check_settings(n_clips, **settings)
    return (synthetic_clip(checked, index) for index in range(n_clips))


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
    progress: bool = True,
) -> DatasetInfo:
    """Write a synthetic dataset, with `planted.parquet` beside its shards.

    `out` is a new folder or any fsspec URL; the settings are those of :class:`SyntheticSettings`. An interrupted call
    is continued by the same call.

    Raises
    ------
    UsageError
        A setting is out of range, or `out` holds a complete dataset, or an unfinished one of other settings.
    """
    given = {"seed": seed, "signal": signal, "n_groups": n_groups, "two_people": two_people, "cues": cues}
    settings = check_settings(n_clips, **given)
    # Older records lack `cues`, so it is left out at its default.
    recipe = {key: value for key, value in asdict(settings).items() if value != "whole_body"}
    info = DatasetInfo(
        name=name,
        source="synthetic: made by poseemo_lib.data.synthetic, no real people",
        licence="CC0-1.0",
        synthetic=True,
        recipe={"generator": "poseemo_lib.data.synthetic", **recipe},
    )
    rows, batches = [], []
    with DatasetWriter(out, info, resume=True) as writer:
        for index in track(range(n_clips), name, n_clips, shown=progress):
            clip, planted = synthetic_clip(settings, index)
            if not writer.written(clip.clip_id):
                writer.write(clip)
            rows += [asdict(planted)] if planted else []
            if len(rows) == _BATCH_ROWS or index == n_clips - 1:  # Arrow needs a tenth of the memory
                batches.append(pa.RecordBatch.from_pylist(rows, PLANTED_SCHEMA))
                rows = []
        temporary = f"{writer.root}/.tmp-{PLANTED_FILE}"
        with writer.fs.open(temporary, "wb") as file:
            pq.write_table(pa.Table.from_batches(batches, PLANTED_SCHEMA), file, compression="zstd")
        writer.fs.mv(temporary, f"{writer.root}/{PLANTED_FILE}")
    return writer.info


def read_planted(url):
    """Read where the emotions of a synthetic dataset are: a DataFrame with the fields of :class:`Planted`."""
    fs, root = open_place(url)
    path = f"{root}/{PLANTED_FILE}"
    try:
        with fs.open(path, "rb") as file:
            table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(
            f"{path}: wanted the record of a synthetic dataset, cannot read it: {first_line(error)}"
        ) from None
    return table.to_pandas()
