"""What the leakage audit finds: planted copies of each kind, and pairs that it takes for copies where there are none.

    python benchmarks/audit_recall.py --clips 600 --planted 60 --seeds 0 1 2

Walkers (as in dataset_scale.py), drawn clips (the synthetic generator) and, where `../shared` exists, motion capture
seen by 8 cameras are split by group. For each kind of leak, copies of some training clips are added to the test split
under other names. Printed for each kind: copies found, of how many; and for the clean clips: pairs found.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from dataset_scale import make_clip

from poseemo_lib.clips import PoseClip, mark_missing
from poseemo_lib.data.audit import audit
from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.enhance import make_copies
from poseemo_lib.data.splits import make_split
from poseemo_lib.features.preparation import smooth, take_between
from poseemo_lib.skeleton import torso_length

BANDAI = Path(__file__).parents[2] / "shared" / "data" / "bandai-namco"
KINDS = ("mirror", "time_warp", "joint_noise", "rotation", "interpolation")


def rotated(clip: PoseClip, degrees: float) -> PoseClip:
    """Turn the picture about its middle."""
    turn, middle = np.exp(1j * np.radians(degrees)), (clip.width + 1j * clip.height) / 2
    z = (clip.keypoints[..., 0] + 1j * clip.keypoints[..., 1] - middle) * turn + middle
    return clip.with_(keypoints=np.stack([z.real, z.imag, clip.keypoints[..., 2]], -1).astype(np.float32))


def legs_hidden(clip: PoseClip) -> PoseClip:
    """Hide hips, knees and ankles."""
    keypoints = clip.keypoints.copy()
    keypoints[:, :, 11:, 2] = 0
    return clip.with_(keypoints=mark_missing(keypoints))


def cut(clip: PoseClip, first: int, last: int) -> PoseClip | None:
    """Keep some frames, if they are a second or more."""
    return clip.with_(keypoints=clip.keypoints[first:last].copy()) if last - first >= clip.fps else None


def faster(clip: PoseClip, speed: float) -> PoseClip:
    """Play a clip faster."""
    position = np.arange(0, clip.n_frames - 1, speed)
    return clip.with_(keypoints=mark_missing(take_between(clip.keypoints, position)))


def other_estimator(clip: PoseClip, rng: np.random.Generator) -> PoseClip:
    """Smooth over 5 frames, add jitter of 1 % of the torso and an offset of 1 % to each joint, change confidences."""
    keypoints, torso = smooth(clip.keypoints, 5), torso_length(clip.keypoints)[0]
    torso = torso if torso > 0 else np.nanstd(clip.keypoints[..., :2])
    change = rng.normal(0, 0.01, keypoints[..., :2].shape) + rng.normal(0, 0.01, (1, *keypoints.shape[1:3], 2))
    keypoints[..., :2] += torso * change
    seen = keypoints[..., 2] > 0
    keypoints[..., 2] = np.where(seen, np.clip(0.5 + 0.5 * keypoints[..., 2], 0, 1), 0)
    keypoints[rng.random(seen.shape) < 0.03] = np.nan, np.nan, 0
    return clip.with_(keypoints=mark_missing(keypoints))


def enhanced(clip: PoseClip, partner: PoseClip | None, seed: int) -> PoseClip | None:
    """Copy a clip as `enhance` does, and do not say so."""
    made = make_copies(clip, [partner], seed, KINDS)
    return made[0].with_(augmented_from=None, origin=clip.origin) if made else None


# What each kind of leak makes of a clip, from a partner of its group and label, and a generator.
LEAKS: dict[str, Callable] = {
    "rotated by 5 degrees": lambda clip, partner, rng: rotated(clip, rng.choice([-5, 5])),
    "rotated by 10 degrees": lambda clip, partner, rng: rotated(clip, rng.choice([-10, 10])),
    "legs hidden": lambda clip, partner, rng: legs_hidden(clip),
    "unmarked copies of enhance": lambda clip, partner, rng: enhanced(clip, partner, int(rng.integers(2**31))),
    "middle half": lambda clip, partner, rng: cut(clip, clip.n_frames // 4, clip.n_frames - clip.n_frames // 4),
    "starts 0.4 s later": lambda clip, partner, rng: cut(clip, round(0.4 * clip.fps), clip.n_frames),
    "starts 0.8 s later": lambda clip, partner, rng: cut(clip, round(0.8 * clip.fps), clip.n_frames),
    "starts 1.2 s later": lambda clip, partner, rng: cut(clip, round(1.2 * clip.fps), clip.n_frames),
    "10 % faster": lambda clip, partner, rng: faster(clip, 1.1),
    "another estimator": lambda clip, partner, rng: other_estimator(clip, rng),
}


def walkers(seed: int, n_clips: int) -> tuple[list[PoseClip], Callable | None]:
    """Make people who move each in their own way; no other camera can see them."""
    return [make_clip(1_000_000 * seed + i) for i in range(n_clips)], None


def drawn(seed: int, n_clips: int) -> tuple[list[PoseClip], Callable | None]:
    """Draw bodies; another camera stands 30 to 90 degrees to the side, with its own noise."""
    from poseemo_lib.data.synthetic import generator
    from poseemo_lib.data.synthetic.body import ANGLE

    settings = generator.check_settings(n_clips, seed=seed)
    draw_scene, stream = generator.draw_scene, generator.stream

    def other_camera(clip: PoseClip, rng: np.random.Generator) -> PoseClip:
        turn = rng.choice([-1, 1]) * rng.uniform(30, 90)

        def turned(*arguments):
            scene = draw_scene(*arguments)
            pose = scene.pose.copy()
            pose[:, ANGLE["facing"]] += turn
            return replace(scene, pose=pose)

        def other_noise(of, purpose, *indices):
            return stream(of, purpose, *indices, 1) if purpose == "estimator" else stream(of, purpose, *indices)

        with patch.multiple(generator, draw_scene=turned, stream=other_noise):
            return generator.synthetic_clip(settings, int(clip.clip_id[-6:]))[0]

    return [generator.synthetic_clip(settings, i)[0] for i in range(n_clips)], other_camera


def filmed(seed: int) -> dict[str, list[PoseClip]]:
    """Film the recordings of motion capture from 8 sides."""
    from poseemo_lib.data.importing import import_dataset

    with tempfile.TemporaryDirectory() as folder:
        import_dataset(
            "bvh", BANDAI, folder, name="mocap", progress=False, label_map={"normal": "neutral"},
            label_pattern="dataset-1_(?P<group>[^_]+)_(?P<label>[^_]+)_",
            options={"views": 8, "joint_map": "bandai", "seed": seed},
        )  # fmt: skip
        recordings = {}
        for clip in Dataset(folder).clips():
            recordings.setdefault(clip.source_id, []).append(clip)
        return recordings


def mocap(seed: int, n_clips: int) -> tuple[list[PoseClip], Callable | None]:
    """Film 33 recordings from 4 sides; another camera is one of 4 more."""
    recordings = filmed(seed)
    first = [clip for views in recordings.values() for clip in views[::2]]

    def other_camera(clip: PoseClip, rng: np.random.Generator) -> PoseClip:
        return recordings[clip.source_id][1 + 2 * rng.integers(4)]

    return first[:n_clips], other_camera


DATA = {"walkers": walkers, "drawn": drawn, "mocap": mocap}


def plant(
    clips: list[PoseClip], other_camera: Callable | None, split: pd.Series, n_planted: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, PoseClip, str]]:
    """Yield kind, training clip, its copy and the copy's partner, `n_planted` of each kind where there are as many.

    A clip that a kind does not change, such as one without legs to hide, is passed over: its copy is another leak.
    """
    train = [clip for clip in clips if split[clip.clip_id] == "train"]
    mates = {}
    for clip in train:
        mates.setdefault((clip.label, clip.group_id, clip.n_people), []).append(clip)
    leaks = dict(LEAKS)
    if other_camera:
        leaks["another camera"] = lambda clip, partner, rng: other_camera(clip, rng)
    for kind, leak in leaks.items():
        n_made = 0
        for i in rng.permutation(len(train)):
            clip = train[i]
            others = [mate for mate in mates[clip.label, clip.group_id, clip.n_people] if mate is not clip]
            partner = others[rng.integers(len(others))] if others else None
            copy = leak(clip, partner, rng)
            if copy is not None and not np.array_equal(copy.keypoints, clip.keypoints, equal_nan=True):
                name = f"{kind}/{n_made}"
                names = {"clip_id": name, "source_id": name, "group_id": name, "split": None}
                yield kind, clip.clip_id, copy.with_(**names), partner.clip_id if partner else ""
                n_made += 1
            if n_made == n_planted:
                break


def near_pairs(dataset: Dataset, split: pd.Series) -> list[tuple[str, str, str]]:
    """Audit a split; return all pairs of near clips, with the audit's remark."""
    with patch("poseemo_lib.data.audit._EXAMPLES", 10**6):
        leaks = audit(dataset, split).examples["near"]
    return [re.fullmatch(r"(.+?) \(\w+\) ~ (.+?) \(\w+\): (.*)", leak).groups() for leak in leaks]


def measure(data: str, seed: int, n_clips: int, n_planted: int) -> tuple[dict[str, tuple[int, int]], list, float]:
    """Plant all kinds of leaks and audit once; return found and planted by kind, false alarms, and seconds."""
    clips, other_camera = DATA[data](seed, n_clips)
    columns = ["clip_id", "label", "source_id", "group_id"]
    table = pd.DataFrame([[getattr(clip, column) for column in columns] for clip in clips], columns=columns)
    split = make_split(table.assign(split=None, origin="real", augmented_from=None), "grouped", seed=seed)
    rng = np.random.default_rng([seed, 17])
    planted = list(plant(clips, other_camera, split, n_planted, rng))
    group = {clip.clip_id: clip.group_id for clip in clips}
    group |= {copy.clip_id: group[source] for _, source, copy, _ in planted}
    split = pd.concat([split, pd.Series("test", index=[copy.clip_id for _, _, copy, _ in planted])])
    with tempfile.TemporaryDirectory() as folder:
        with DatasetWriter(f"{folder}/data", DatasetInfo(name=data, synthetic=data == "drawn")) as writer:
            for clip in [*clips, *(copy for _, _, copy, _ in planted)]:
                writer.write(clip)
        began = time.perf_counter()
        pairs = near_pairs(Dataset(f"{folder}/data"), split)
        seconds = time.perf_counter() - began
    joined = {frozenset(pair[:2]) for pair in pairs}
    found = {}
    for kind, source, copy, _ in planted:
        n_found, n = found.get(kind, (0, 0))
        found[kind] = n_found + (frozenset((source, copy.clip_id)) in joined), n + 1
    # A copy may be near other clips of its own group: they share scenes, views and partners.
    false = [pair for pair in pairs if group[pair[0]] != group[pair[1]]]
    return found, false, seconds


def other_cameras(seed: int) -> tuple[int, int, int]:
    """Audit recordings that 4 cameras train and 4 others test under other names.

    Returns how many recordings are found by a pair of views, of how many, and the pairs of different recordings.
    """
    recordings = filmed(seed)
    with tempfile.TemporaryDirectory() as folder:
        with DatasetWriter(f"{folder}/data", DatasetInfo(name="mocap")) as writer:
            for name, clips in recordings.items():
                for i, clip in enumerate(clips):
                    names = {"source_id": f"{i % 2}:{name}", "group_id": f"{i % 2}:{clip.group_id}"}
                    writer.write(clip.with_(clip_id=f"{i}:{name}", split=("train", "test")[i % 2], **names))
        table = Dataset(f"{folder}/data").table()
        pairs = near_pairs(Dataset(f"{folder}/data"), table.set_index("clip_id")["split"])
    found = [tuple(clip[2:] for clip in pair[:2]) for pair in pairs]
    return len({a for a, b in found if a == b}), len(recordings), sum(a != b for a, b in found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=600)
    parser.add_argument("--planted", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    here = [name for name in DATA if name != "mocap" or BANDAI.exists()]
    parser.add_argument("--data", nargs="+", choices=DATA, default=here)
    options = parser.parse_args()
    for data in options.data:
        total, alarms, seconds = {}, [], 0.0
        for seed in options.seeds:
            found, false, took = measure(data, seed, options.clips, options.planted)
            alarms, seconds = alarms + false, seconds + took
            for kind, counts in found.items():
                total[kind] = np.add(total.get(kind, 0), counts)
        print(f"{data}, {options.clips} clips, seeds {options.seeds}, {seconds:.0f} s")  # noqa: T201
        for kind, (n_found, n) in total.items():
            print(f"  {kind:28s} {n_found:4d} of {n:4d}  {100 * n_found / n:5.1f} %")  # noqa: T201
        print(f"  pairs of different groups: {len(alarms)} {alarms[:5]}", flush=True)  # noqa: T201
        if data == "mocap":
            n_found, n, n_false = np.sum([other_cameras(seed) for seed in options.seeds], axis=0)
            print(f"  recordings by 4 other cameras: {n_found} of {n}; pairs of different ones: {n_false}")  # noqa: T201


if __name__ == "__main__":
    main()
