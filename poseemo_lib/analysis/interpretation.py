"""What a config's predictions depend on: importance, attributions and their sanity checks, over all of its runs."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from torch import nn

from poseemo_lib.analysis import attribution, recovery
from poseemo_lib.analysis.configs import ConfigRuns, pooled_names
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.synthetic import read_planted
from poseemo_lib.errors import DatasetError
from poseemo_lib.training.calibration import factors_of, scale_probabilities
from poseemo_lib.training.jackknife import resampled_by
from poseemo_lib.training.run_folder import Run
from poseemo_lib.training.trained import ClipWindows, load_model, test_windows

# Orders of a permutation, points of an integral, and random networks in all runs together.
N_REPEATS, N_STEPS, N_RANDOM = 2, 16, 3
# Multiply-adds of one pass over the windows of all runs: a large network gets fewer clips.
MOST_WORK, LEAST_WINDOWS = 12e9, 24
# Windows of one run that get integrated gradients, the slowest step. More where the true locations are known.
MOST_ATTRIBUTED, MOST_LOCATED = 64, 160
TRAINED, RANDOMISED = "trained", "randomised"
RANDOM_PAIR, SEED_PAIR = "trained and random weights", "two seeds"


@dataclass(frozen=True)
class Interpretation:
    """What a config's predictions depend on.

    Parameters
    ----------
    config : str
    importance : DataFrame
        One row a block of features: kind (joint, feature, person, time), name; drop (of balanced accuracy when it is
        permuted, a share), low, high; loss_increase (nats), loss_low, loss_high; randomised_drop and
        randomised_loss_increase, of random networks; for spans of time also attention (its share there; NaN if the
        network has none) and even (the share of the real frames there).
    recovery : DataFrame or None
        See :func:`poseemo_lib.analysis.recovery.recovery_table`; None where no true locations are known.
    similarity : DataFrame
        Spearman's correlation of contributions, one row a pair and target: compared, target (joints, frames),
        correlation, low, high, n_clips.
    counts : dict
        n_clips, n_groups, n_seeds, n_repeats, n_steps, n_random, n_attributed (clips with integrated gradients), unit,
        resampled_by, and completeness: mean error of the integrals over the mean size of what they should add up to.
    """

    config: str
    importance: pd.DataFrame
    recovery: pd.DataFrame | None
    similarity: pd.DataFrame
    counts: dict


@dataclass(frozen=True)
class _Attributions:
    """Of one network, trained or random: contributions (R, T, M, K, C) and attention (W, T)."""

    contributions: np.ndarray
    attention: np.ndarray | None
    permuted: attribution.Permuted | None


@dataclass(frozen=True)
class _RunAttributions:
    """Of one run: its windows, the clip or recording of each (`unit`), and those that were attributed (`rows`)."""

    run: Run
    windows: ClipWindows
    unit: np.ndarray
    units: pd.DataFrame
    rows: np.ndarray
    where: recovery.TrueLocations | None
    trained: _Attributions
    random: list[_Attributions]
    error: tuple[float, float]  # mean error of the integrals, and mean size of what they should add up to

    def with_ids(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add clip_id and group_id to a table with the windows' positions in `row`."""
        return table.assign(clip_id=self.windows.clip_ids[table["row"]], group_id=self.windows.group_ids[table["row"]])


def interpret(config: ConfigRuns, dataset: Dataset | None) -> Interpretation | None:
    """Permute a config's inputs and attribute its predictions, and do both to random networks too.

    It uses the middle window of each test clip, or of some clips where all would take too long. None where the config
    is not a network or there is no dataset.

    Raises
    ------
    PoseemoError
        The weights of a run, or some of its clips, are missing.
    """
    if not config.is_network or dataset is None:
        return None
    runs, planted = config.counted_runs, planted_table(dataset)
    most = int(MOST_WORK / (config.multiply_adds or MOST_WORK) / len(runs))
    found = [_attribute_run(run, dataset, config.unit, planted, max(most, LEAST_WINDOWS), len(runs)) for run in runs]
    units = pd.concat([one.units for one in found], ignore_index=True)
    errors, sizes = zip(*(one.error for one in found), strict=True)
    counts = {
        "n_clips": units["clip_id"].nunique(),
        "n_groups": units["group_id"].nunique(),
        "n_seeds": len(config.seeds),
        "n_repeats": N_REPEATS,
        "n_steps": N_STEPS,
        "n_random": sum(len(one.random) for one in found),
        "n_attributed": len({name for one in found for name in one.windows.clip_ids[one.rows]}),
        "unit": config.unit,
        "resampled_by": resampled_by(units),
        "completeness": float(np.mean(errors) / np.mean(sizes)),
    }
    return Interpretation(config.name, _importance(found, units), _recovery(found), _similarity(found), counts)


def planted_table(dataset: Dataset) -> pd.DataFrame | None:
    """Read where the emotions of a synthetic dataset are; None where that is not known."""
    if not dataset.info.synthetic:
        return None
    try:
        return read_planted(dataset.root)
    except DatasetError:  # synthetic, of another origin
        return None


def _attribute_run(run: Run, dataset: Dataset, unit_name: str, planted, most: int, n_runs: int) -> _RunAttributions:
    windows = test_windows(run, dataset).at_most(most, unit_name)
    unit, units = windows.units(unit_name)
    units["clip_id"] = pooled_names(units["clip_id"], run, "test")
    where = None if planted is None else recovery.true_locations(planted, windows)
    where = where and where.at_most(MOST_LOCATED)
    rows = recovery.evenly(len(windows), MOST_ATTRIBUTED) if where is None else where.rows
    model = load_model(run)
    trained = _attribute(model, windows, unit, rows, N_REPEATS, run.seed)
    random = []
    for i in range(-(-N_RANDOM // n_runs)):
        network = attribution.randomised(model, crc32(f"{run.fold}/{run.seed}/{i}".encode()))
        # The permutation of one random network is enough: its importance is about 0.
        random.append(_attribute(network, windows, unit, rows, int(i == 0), run.seed))
    some = windows.take(rows)
    contributions = torch.from_numpy(trained.contributions)
    error = attribution.integral_error(model, some.features, some.mask, some.labels, contributions)
    return _RunAttributions(run, windows, unit, units, rows, where, trained, random, error)


def _attribute(model: nn.Module, windows: ClipWindows, unit, rows, n_repeats: int, seed: int) -> _Attributions:
    inputs, some, permuted = (windows.features, windows.mask), windows.take(rows), None
    attention = attribution.attention_over_time(model, *inputs)
    if n_repeats:
        blocks = attribution.feature_blocks(windows.mask.shape[1])
        labels = windows.labels.numpy()
        permuted = attribution.permute_blocks(model, *inputs, labels, unit, blocks, n_repeats=n_repeats, seed=seed)
    contributions = attribution.integrated_gradients(model, some.features, some.mask, some.labels, n_steps=N_STEPS)
    return _Attributions(contributions.numpy(), None if attention is None else attention.numpy(), permuted)


def _importance(found: list[_RunAttributions], units: pd.DataFrame) -> pd.DataFrame:
    first = found[0].windows
    blocks = attribution.feature_blocks(first.mask.shape[1])
    table = attribution.importance_table(blocks, [one.trained.permuted for one in found], units)
    random = attribution.importance_table(blocks, [one.random[0].permuted for one in found], units)
    table[["randomised_drop", "randomised_loss_increase"]] = random[["drop", "loss_increase"]]
    spans = [(name, index) for kind, name, index in blocks if kind == "time"]
    shares = pd.DataFrame([_time_shares(found, index) for _, index in spans], columns=["attention", "even"])
    table[["attention", "even"]] = shares.set_index(table.index[table["kind"] == "time"]).reindex(table.index)
    seconds = {name: "–".join(f"{int(edge) / first.fps:.1f}" for edge in name.split("-")) for name, _ in spans}
    return table.assign(name=table["name"].replace(seconds))


def _time_shares(found: list[_RunAttributions], index: tuple) -> tuple[float, float]:
    """Share of the attention and of the real frames in a span, mean over clips and runs."""
    even = np.concatenate([one.windows.mask[index].sum(1) / one.windows.mask.sum(1) for one in found])
    attention = [one.trained.attention for one in found]
    inside = np.nan if attention[0] is None else np.concatenate([one[index].sum(1) for one in attention]).mean()
    return float(inside), float(even.mean())


def _recovery(found: list[_RunAttributions]) -> pd.DataFrame | None:
    rows = [
        one.with_ids(_recovered(one, network)).assign(model=TRAINED if network is one.trained else RANDOMISED)
        for one in found
        if one.where is not None
        for network in (one.trained, *one.random)
    ]
    return recovery.recovery_table(pd.concat(rows)) if rows else None


def _recovered(one: _RunAttributions, network: _Attributions) -> pd.DataFrame:
    tables = [recovery.gradient_recovery(network.contributions, one.where)]
    if network.attention is not None:
        tables.append(recovery.attention_recovery(network.attention[one.rows], one.where))
    if network.permuted is not None:
        joints = network.permuted.loss_increase[: one.where.seen.shape[2]]  # the joints are the first blocks
        tables.append(recovery.permutation_recovery(joints[:, one.unit[one.rows]].T, one.where))
    return pd.concat(tables, ignore_index=True)


def _similarity(found: list[_RunAttributions]) -> pd.DataFrame:
    """Compare each trained network with its random ones, and the networks of two seeds of one fold."""
    pairs = [(RANDOM_PAIR, one, one.trained, other) for one in found for other in one.random]
    last: dict[str, _RunAttributions] = {}
    for one in found:
        before = last.get(one.run.fold)
        # With a split drawn for each seed the clips differ.
        if before and np.array_equal(before.windows.clip_ids[before.rows], one.windows.clip_ids[one.rows]):
            pairs.append((SEED_PAIR, one, one.trained, before.trained))
        last[one.run.fold] = one
    rows = pd.concat([_correlated(*pair) for pair in pairs])
    tables = [
        {"compared": compared, "target": target} | recovery.summarise(own, ["correlation"]).iloc[0].to_dict()
        for (compared, target), own in rows.groupby(["compared", "target"], sort=False)
    ]
    return pd.DataFrame(tables).rename(columns={"mean": "correlation"}).astype({"n_clips": int})


def _correlated(compared: str, one: _RunAttributions, a: _Attributions, b: _Attributions) -> pd.DataFrame:
    kept, parts = one.windows.take(one.rows), []
    for target, axes, candidates in (
        ("joints", (1, 4), kept.seen_joints()),
        ("frames", (2, 3, 4), kept.mask.numpy()),
    ):
        values = recovery.correlations(a.contributions.sum(axes), b.contributions.sum(axes), candidates)
        parts.append(pd.DataFrame({"row": one.rows, "correlation": values, "target": target, "compared": compared}))
    return one.with_ids(pd.concat(parts, ignore_index=True))


def player_clips(config: ConfigRuns, dataset: Dataset | None, n: int = 10) -> list:
    """Choose n test clips to look at: of each class the right one with the highest confidence, then wrong ones.

    A third of them are wrong ones, where there are so many. Returns the middle window of each clip, from the first
    seed's runs, as :class:`poseemo_lib.plots.player.PlayerClip`; nothing where the config is not a network or there is
    no dataset.
    """
    if not config.is_network or dataset is None:
        return []
    planted, tables, clips = planted_table(dataset), [], {}
    for number, run in enumerate(run for run in config.runs if run.seed == config.seeds[0]):
        windows, model = test_windows(run, dataset), load_model(run)
        inputs = attribution.as_joints(model.standardise(windows.features)), windows.mask
        probabilities = attribution.predict(model, *inputs)
        fit = config.calibration(run)
        probabilities = scale_probabilities(probabilities, fit["temperature"], factors_of(fit, config.classes))
        table = {"row": np.arange(len(windows)), "label": windows.labels.numpy(), "run": number}
        table |= {"prediction": probabilities.argmax(1), "confidence": probabilities.max(1)}
        tables.append(pd.DataFrame(table))
        clips[number] = (windows, model, probabilities)
    chosen = choose_clips(pd.concat(tables, ignore_index=True), n)
    return [_player_clip(*clips[row.run], row.row, config.classes, planted) for row in chosen.itertuples()]


def choose_clips(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose at most n rows of label, prediction (class indices) and confidence: see :func:`player_clips`."""
    predictions = predictions.sort_values("confidence", ascending=False, kind="stable")
    right = predictions["label"] == predictions["prediction"]
    wrong = predictions[~right]
    kept = predictions[right].drop_duplicates("label").head(n - min(len(wrong), n // 3)).sort_values("label")
    return pd.concat([kept, wrong.head(n - len(kept))])


def _player_clip(windows: ClipWindows, model: nn.Module, probabilities, row: int, classes, planted):
    from poseemo_lib.plots.player import PlayerClip

    one = windows.take([row])
    attention = attribution.attention_over_time(model, one.features, one.mask)
    return PlayerClip(
        name=str(one.clip_ids[0]),
        label=classes[int(one.labels[0])],
        keypoints=one.keypoints[0].numpy(),
        mask=one.mask[0].numpy(),
        fps=one.fps,
        attention=None if attention is None else attention[0].numpy(),
        probabilities=probabilities[row],
        planted=recovery.true_span(planted, one, 0),
    )
