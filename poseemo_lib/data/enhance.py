"""Oversampling: changed copies of training clips of rare classes, until every class reaches its target.

Only clips that a split trains on are copied, and the split is written into the dataset, so that `split: official` then
trains on exactly these. Every class goes through the same changes and the same test: in the published study two classes
were treated differently, so that preprocessing leaked the label. A copy depends on the seed and the names of the
clips alone, not on their order or on what was made before.
"""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from poseemo_lib.clips import SPLITS, PoseClip
from poseemo_lib.data.copies import KINDS, change_clip, draw_change, keeps_enough
from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.dataset.ratings import RATINGS_FILE, read_ratings
from poseemo_lib.data.formats.shared import with_options
from poseemo_lib.data.splits import default_method, make_split, split_hash
from poseemo_lib.errors import DatasetError, UsageError
from poseemo_lib.text import track

METHODS = ("official", "grouped", "neighbours")
_ATTEMPTS = 8
_SHARD_CLIPS = 1024
_CHUNK_CLIPS = 256


@dataclass(frozen=True)
class EnhanceReport:
    """What was made."""

    info: DatasetInfo
    split: str  # the method: official, grouped or neighbours
    counts: pd.DataFrame  # training clips by class: before, copies, after, and wanted, the target


@with_options
def enhance_dataset(
    dataset: Dataset,
    out,
    *,
    name: str,
    split: Literal[METHODS] | None = None,
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
    target: Annotated[float, Field(gt=0, le=1)] = 1.0,
    most: Annotated[int, Field(ge=1)] = 10,
    kinds: tuple[Literal[KINDS], ...] = KINDS,
    progress: bool = True,
) -> EnhanceReport:
    """Write a dataset again, with copies of the training clips of rare classes.

    People's ratings are copied too: a copy keeps the label of its source, and so its ratings. An interrupted call is
    continued by the same call. Memory holds the table and a few hundred clips.

    Parameters
    ----------
    dataset : Dataset
        Without augmented copies.
    out : str or Path
        Folder or fsspec URL of the new dataset.
    split : {"official", "grouped", "neighbours"}, optional
        Which clips train; by default the dataset's own split where it has one, otherwise `grouped`. It becomes the
        official split of the new dataset.
    target : float
        More than 0, at most 1: the share of the largest class's training clips that every class is brought to.
    most : int
        Largest number of copies of a clip; it may keep a class below its target.
    kinds : sequence of str
        Of :data:`poseemo_lib.data.copies.KINDS`; each copy has one to three of them.

    Raises
    ------
    UsageError
        An argument is out of range, the dataset has copies already, or `out` holds another one. Nothing was written.
    DatasetError
        The dataset cannot be split this way, its ratings are faulty, or a class has no training clips.
    """
    kinds, ratings = tuple(kind for kind in KINDS if kind in kinds) or KINDS, read_ratings(dataset)
    table = dataset.table()
    n_copies = int((table["origin"] == "augmented").sum())
    if n_copies:
        raise UsageError(
            f"{dataset.root}: wanted a dataset without augmented copies, got {n_copies}; "
            "enhance the dataset that it was made from"
        )
    method = split or default_method(table)
    chosen = make_split(table, method, seed=seed)
    settings = {"split": method, "seed": seed, "target": target, "most": most, "kinds": list(kinds)}
    made_from = {key: getattr(dataset.info, key) for key in ("name", "content_hash", "recipe")}
    recipe = {"command": "enhance", **settings, "split_hash": split_hash(chosen), "made_from": made_from}
    same = ("classes", "source", "licence", "citation", "estimator", "synthetic")
    kept = {key: getattr(dataset.info, key) for key in same}
    partners, before, wanted = _plan(dataset, table, chosen, settings)
    split_of = chosen.where(chosen.notna(), None).to_dict()
    info = DatasetInfo(name=name, recipe=recipe, **kept)
    with DatasetWriter(out, info, shard_clips=_SHARD_CLIPS, resume=True) as writer:
        copies = _write(dataset, writer, split_of, partners, settings, progress)
        if ratings is not None:
            with writer.fs.open(f"{writer.root}/{RATINGS_FILE}", "w", encoding="utf-8", newline="") as file:
                ratings.to_csv(file, index=False)
    counts = pd.DataFrame({"before": before, "copies": copies, "wanted": wanted}).fillna(0).astype(int)
    counts.insert(2, "after", counts["before"] + counts["copies"])
    return EnhanceReport(writer.info, method, counts.reindex([c for c in dataset.classes if c in counts.index]))


def _plan(dataset: Dataset, table: pd.DataFrame, split: pd.Series, settings: dict) -> tuple[dict, pd.Series, pd.Series]:
    """Choose how many copies each training clip gets, evenly over a class, and draw their partners.

    Returns the row of each copy's partner, -1 for none, by clip_id; and clips by class: before, and wanted.
    """
    train = table.assign(row=np.arange(len(table)))[(split == "train").to_numpy()]
    before = train["label"].value_counts()
    for label in dataset.classes:
        if label not in before.index and (table["label"] == label).any():
            raise DatasetError(
                f"{dataset.root}: wanted training clips of every class, the {settings['split']} split has none of "
                f"{label!r}; choose another split or seed"
            )
    # Mirroring alone gives one copy of a clip.
    most = 1 if settings["kinds"] == ["mirror"] else settings["most"]
    wanted = np.ceil(settings["target"] * before.max() - 1e-9) + 0 * before
    mates = _mates(train)
    partners = {}
    for label, clips in train.groupby("label"):
        ids = sorted(clips["clip_id"], key=lambda clip_id: _rng(settings["seed"], clip_id).random())
        if settings["kinds"] == ["interpolation"]:
            ids = [clip_id for clip_id in ids if len(mates[clip_id]) > 1]
        needed = int(max(0, wanted[label] - before[label]))
        each, extra = divmod(needed, max(len(ids), 1))
        for i, clip_id in enumerate(ids):
            count = min(most, each + (i < extra))
            if count:
                partners[clip_id] = [_partner(mates[clip_id], clip_id, number, settings) for number in range(count)]
    return partners, before, wanted.clip(lower=before)


def _mates(train: pd.DataFrame) -> dict[str, list[tuple[str, int]]]:
    """For each clip, itself and those that it may be mixed with, as (clip_id, row), sorted.

    They are training clips of one class and one group, so a split that keeps groups whole never separates them.
    """
    mates = {}
    for _, clips in train.groupby(["label", "group_id", "n_people"]):
        some = sorted(zip(clips["clip_id"], clips["row"], strict=True))
        mates.update({clip_id: some for clip_id in clips["clip_id"]})
    return mates


def _partner(mates: list[tuple[str, int]], clip_id: str, number: int, settings: dict) -> int:
    others = [row for mate, row in mates if mate != clip_id]
    if not others or "interpolation" not in settings["kinds"]:
        return -1
    return int(others[_rng(settings["seed"], clip_id, number, "partner").integers(len(others))])


def _rng(*names) -> np.random.Generator:
    """Make a generator from a seed and names."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(json.dumps(names).encode()).digest()))


def _write(dataset: Dataset, writer: DatasetWriter, split_of: dict, partners_of: dict, settings: dict, progress: bool):
    """Write every clip and its copies; return the number of copies by class."""
    copies, clips = defaultdict(int), track(dataset.clips(), "enhance", len(dataset), shown=progress)
    while chunk := list(islice(clips, _CHUNK_CLIPS)):
        planned = [partners_of.get(clip.clip_id, []) for clip in chunk]
        partners = dict(dataset.take(sorted({row for rows in planned for row in rows} - {-1})))
        for clip, rows in zip(chunk, planned, strict=True):
            # Also those that an interrupted call has written: making them again is cheap.
            made = make_copies(clip, [partners.get(row) for row in rows], settings["seed"], settings["kinds"])
            for one in (clip.with_(split=split_of[clip.clip_id]), *made):
                if not writer.written(one.clip_id):
                    writer.write(one)
            copies[clip.label] += len(made)
    return pd.Series(copies, dtype=int)


def make_copies(clip: PoseClip, partners: list[PoseClip | None], seed: int, kinds: list[str]) -> list[PoseClip]:
    """Make the copies of one training clip, one for each partner that it may be mixed with (or None).

    A copy that misses more than 5 % of what its source shows is drawn again, up to seven times and without
    interpolation; then it is left out.
    """
    copies = []
    for number, partner in enumerate(partners):
        for attempt in range(_ATTEMPTS):
            mixed = partner is not None and attempt == 0
            possible = kinds if mixed else tuple(kind for kind in kinds if kind != "interpolation")
            if not possible:
                continue
            change = draw_change(clip, possible, _rng(seed, clip.clip_id, number, attempt))
            keypoints = change_clip(clip, change, partner)
            if keeps_enough(keypoints, clip.keypoints):
                names = {"clip_id": f"{clip.clip_id}~copy-{number + 1:02d}", "augmented_from": clip.clip_id}
                copies.append(clip.with_(keypoints=keypoints, split=SPLITS[0], origin="augmented", **names))
                break
    return copies
