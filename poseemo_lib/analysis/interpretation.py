"""What a config looks at: importance, attributions and their sanity checks, over all of its runs."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from torch import nn

from poseemo_lib.analysis import attribution, permutation, recovery
from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.planted import PlantedWindows, evenly
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.synthetic import read_planted
from poseemo_lib.errors import DatasetError
from poseemo_lib.training.calibration import scale_probabilities
from poseemo_lib.training.evaluation import resampled_by
from poseemo_lib.training.run_folder import Run
from poseemo_lib.training.trained import ClipWindows, load_model, test_windows

# Orders of a permutation, points of an integral, and random networks in all runs together.
N_REPEATS, N_STEPS, N_RANDOM = 2, 16, 3
# Multiply-adds of one pass over the windows of all runs: a large network looks at fewer clips.
MOST_WORK, LEAST_WINDOWS = 12e9, 24
# Windows of one run whose contributions are integrated: the dearest step. More where it is known what to find.
MOST_ATTRIBUTED, MOST_PLANTED = 64, 160
TRAINED, RANDOMISED = "trained", "randomised"
RANDOM_PAIR, SEED_PAIR = "trained and randomised", "two seeds"


@dataclass(frozen=True)
class Interpretation:
    """What a config looks at.

    Parameters
    ----------
    config : str
    importance : DataFrame
        One row a block of features: kind (joint, feature, person, time), name; drop (of balanced accuracy when it is
        permuted, a share), low, high; loss_increase (nats), loss_low, loss_high; randomised_drop and
        randomised_loss_increase, of random networks; for spans of time also attention (its share there) and even (the
        share of the real frames there), NaN elsewhere and where the network has no attention.
    recovery : DataFrame or None
        One row a method, target and model (trained, randomised): precision, low, high; chance; difference (to chance),
        difference_low, difference_high; n_clips; and the same against a fixed order (fixed, over_fixed, ...) and
        against the order upside down (reversed, over_reversed, ...), NaN for a share of attention. None where nothing
        is known to be planted.
    similarity : DataFrame
        Spearman's correlation of contributions, one row a pair and target: compared, target (joints, frames),
        correlation, low, high, n_clips.
    counts : dict
        n_clips, n_groups, n_seeds, n_repeats, n_steps, n_random, n_attributed (clips whose contributions were
        integrated), unit, resampled_by, and completeness: mean error of the integrals, as a share of the mean
        difference that they should add up to.
    """

    config: str
    importance: pd.DataFrame
    recovery: pd.DataFrame | None
    similarity: pd.DataFrame
    counts: dict


def interpret(config: ConfigRuns, dataset: Dataset | None) -> Interpretation | None:
    """Look into a config: permute its inputs, attribute its answers, and do both to random networks too.

    It looks at the middle window of each test clip, or of some of them where that were too much work.

    Parameters
    ----------
    config : ConfigRuns
    dataset : Dataset or None
        The one that its runs were made with.

    Returns
    -------
    Interpretation or None
        None where the config is no network or there is no dataset.

    Raises
    ------
    PoseemoError
        The weights of a run, or some of its clips, are missing.
    """
    if not config.is_network or dataset is None:
        return None
    runs = [run for run in config.runs if run.seed in config.seeds]
    planted = planted_table(dataset)
    most = int(MOST_WORK / (config.multiply_adds or MOST_WORK) / len(runs))
    looks = [_look(run, dataset, config.unit, planted, max(most, LEAST_WINDOWS), len(runs)) for run in runs]
    units = pd.concat([look.units for look in looks], ignore_index=True)
    return Interpretation(
        config=config.name,
        importance=_importance(looks, units),
        recovery=_recovery(looks),
        similarity=_similarity(looks),
        counts=_counts(config, looks, units),
    )


def planted_table(dataset: Dataset) -> pd.DataFrame | None:
    """Read where the emotions of a synthetic dataset are; None where that is not known."""
    if not dataset.info.synthetic:
        return None
    try:
        return read_planted(dataset.root)
    except DatasetError:  # synthetic, of another origin
        return None


@dataclass(frozen=True)
class _Seen:
    """What one network, trained or random, gave: (R, T, M, K, 7) and (W, T)."""

    contributions: np.ndarray
    attention: np.ndarray | None
    permuted: permutation.Permuted | None


@dataclass(frozen=True)
class _Look:
    """One run: its windows, those of them (`rows`) that were attributed, and what its networks gave."""

    run: Run
    windows: ClipWindows
    # The unit (clip or recording) of each window, and their table.
    unit: np.ndarray
    units: pd.DataFrame
    rows: np.ndarray
    where: PlantedWindows | None
    trained: _Seen
    random: list[_Seen]
    # Mean error of the integrals, and mean of what they should add up to.
    error: tuple[float, float]

    def of_clips(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add clip_id and group_id to a table with the windows' positions in `row`."""
        return table.assign(clip_id=self.windows.clip_ids[table["row"]], group_id=self.windows.group_ids[table["row"]])


def _look(run: Run, dataset: Dataset, unit_name: str, planted: pd.DataFrame | None, most: int, n_runs: int) -> _Look:
    windows = test_windows(run, dataset).at_most(most, unit_name)
    unit, units = windows.units(unit_name)
    units["clip_id"] = run.fold + "/" + units["clip_id"]
    where = None if planted is None else recovery.planted_windows(planted, windows)
    where = where and where.at_most(MOST_PLANTED)
    rows = evenly(len(windows), MOST_ATTRIBUTED) if where is None else where.rows
    model = load_model(run)
    trained = _see(model, windows, unit, rows, N_REPEATS, run.seed)
    networks = [
        attribution.randomised(model, crc32(f"{run.fold}/{run.seed}/{i}".encode()))
        for i in range(-(-N_RANDOM // n_runs))
    ]
    # One order of one random network shows the size of nothing; more would be as near to it.
    random = [_see(one, windows, unit, rows, int(i == 0), run.seed) for i, one in enumerate(networks)]
    error = attribution.integral_error(model, *_inputs(windows.take(rows)), torch.from_numpy(trained.contributions))
    return _Look(run, windows, unit, units, rows, where, trained, random, error)


def _see(
    model: nn.Module, windows: ClipWindows, unit: np.ndarray, rows: np.ndarray, n_repeats: int, seed: int
) -> _Seen:
    inputs, chosen = (windows.features, windows.mask), windows.take(rows)
    attention = attribution.attention_over_time(model, *inputs)
    permuted = None
    if n_repeats:
        blocks = permutation.feature_blocks(windows.mask.shape[1])
        labels = windows.labels.numpy()
        permuted = permutation.permute_blocks(model, *inputs, labels, unit, blocks, n_repeats=n_repeats, seed=seed)
    contributions = attribution.integrated_gradients(model, *_inputs(chosen), n_steps=N_STEPS)
    return _Seen(contributions.numpy(), None if attention is None else attention.numpy(), permuted)


def _inputs(windows: ClipWindows) -> tuple:
    return windows.features, windows.mask, windows.labels


def _importance(looks: list[_Look], units: pd.DataFrame) -> pd.DataFrame:
    first = looks[0].windows
    blocks = permutation.feature_blocks(first.mask.shape[1])
    table = permutation.importance_table(blocks, [look.trained.permuted for look in looks], units)
    random = permutation.importance_table(blocks, [look.random[0].permuted for look in looks], units, n_bootstrap=1)
    table = table.assign(randomised_drop=random["drop"], randomised_loss_increase=random["loss_increase"])
    spans = [(name, index) for kind, name, index in blocks if kind == "time"]
    shares = pd.DataFrame([_time_shares(looks, index) for _, index in spans], columns=["attention", "even"])
    table[["attention", "even"]] = shares.set_index(table.index[table["kind"] == "time"]).reindex(table.index)
    seconds = {name: "–".join(f"{int(edge) / first.fps:.1f}" for edge in name.split("-")) for name, _ in spans}
    return table.assign(name=table["name"].replace(seconds))


def _time_shares(looks: list[_Look], index: tuple) -> tuple[float, float]:
    """Share of the attention and of the real frames in a span, mean over clips and runs."""
    even = np.concatenate([look.windows.mask[index].sum(1) / look.windows.mask.sum(1) for look in looks])
    attention = [look.trained.attention for look in looks]
    inside = np.nan if attention[0] is None else np.concatenate([one[index].sum(1) for one in attention]).mean()
    return float(inside), float(even.mean())


def _recovery(looks: list[_Look]) -> pd.DataFrame | None:
    looks = [look for look in looks if look.where is not None]
    if not looks:
        return None
    rows = pd.concat(
        [
            look.of_clips(_recovered(look, seen)).assign(model=TRAINED if seen is look.trained else RANDOMISED)
            for look in looks
            for seen in (look.trained, *look.random)
        ]
    )
    return recovery.recovery_table(rows)


def _recovered(look: _Look, seen: _Seen) -> pd.DataFrame:
    parts = [recovery.gradient_recovery(seen.contributions, look.where)]
    if seen.attention is not None:
        parts.append(recovery.attention_recovery(seen.attention[look.rows], look.where))
    if seen.permuted is not None:
        joints = seen.permuted.loss_increase[: look.where.seen.shape[2]]  # the joints are the first blocks
        parts.append(recovery.permutation_recovery(joints[:, look.unit[look.rows]].T, look.where))
    return pd.concat(parts, ignore_index=True)


def _similarity(looks: list[_Look]) -> pd.DataFrame:
    """Compare each trained network with its random ones, and the networks of two seeds of one fold."""
    pairs = [(RANDOM_PAIR, look, look.trained, other) for look in looks for other in look.random]
    last: dict[str, _Look] = {}
    for look in looks:
        before = last.get(look.run.fold)
        # With a split drawn for each seed the clips differ.
        if before and np.array_equal(before.windows.clip_ids[before.rows], look.windows.clip_ids[look.rows]):
            pairs.append((SEED_PAIR, look, look.trained, before.trained))
        last[look.run.fold] = look
    rows = pd.concat([_correlated(*pair) for pair in pairs])
    tables = [
        {"compared": compared, "target": target} | recovery.summarise(one, ["correlation"]).iloc[0].to_dict()
        for (compared, target), one in rows.groupby(["compared", "target"], sort=False)
    ]
    return pd.DataFrame(tables).rename(columns={"mean": "correlation"}).astype({"n_clips": int})


def _correlated(compared: str, look: _Look, one: _Seen, other: _Seen) -> pd.DataFrame:
    chosen = look.windows.take(look.rows)
    parts = []
    for target, axes, candidates in (
        ("joints", (1, 4), chosen.seen_joints()),
        ("frames", (2, 3, 4), chosen.mask.numpy()),
    ):
        values = recovery.correlations(one.contributions.sum(axes), other.contributions.sum(axes), candidates)
        parts.append(pd.DataFrame({"row": look.rows, "correlation": values, "target": target, "compared": compared}))
    return look.of_clips(pd.concat(parts, ignore_index=True))


def _counts(config: ConfigRuns, looks: list[_Look], units: pd.DataFrame) -> dict:
    errors, sizes = zip(*(look.error for look in looks), strict=True)
    return {
        "n_clips": units["clip_id"].nunique(),
        "n_groups": units["group_id"].nunique(),
        "n_seeds": len(config.seeds),
        "n_repeats": N_REPEATS,
        "n_steps": N_STEPS,
        "n_random": sum(len(look.random) for look in looks),
        "n_attributed": len({f"{look.run.fold}/{name}" for look in looks for name in look.windows.clip_ids[look.rows]}),
        "unit": config.unit,
        "resampled_by": resampled_by(units),
        "completeness": float(np.mean(errors) / np.mean(sizes)),
    }


def player_clips(config: ConfigRuns, dataset: Dataset | None, n: int = 10) -> list:
    """Choose test clips to look at: of each class the right one it is surest of, then the surest of the wrong ones.

    Parameters
    ----------
    config : ConfigRuns
    dataset : Dataset or None
    n : int
        Clips in all; a third of them wrong ones, where there are so many.

    Returns
    -------
    list of poseemo_lib.plots.player.PlayerClip
        The middle window of each clip, from the first seed's runs. Empty where the config is no network or there is no
        dataset.
    """
    if not config.is_network or dataset is None:
        return []
    planted = planted_table(dataset)
    tables, clips = [], {}
    for number, run in enumerate(run for run in config.runs if run.seed == config.seeds[0]):
        windows, model = test_windows(run, dataset), load_model(run)
        probabilities = _window_probabilities(model, windows, config.calibration(run)["temperature"])
        tables.append(_answers(windows, probabilities).assign(run=number))
        clips[number] = (windows, model, probabilities)
    chosen = choose_clips(pd.concat(tables, ignore_index=True), n)
    return [_player_clip(*clips[row.run], row.row, config.classes, planted) for row in chosen.itertuples()]


def choose_clips(answers: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose the rows of :func:`player_clips`.

    Parameters
    ----------
    answers : DataFrame
        label, answer (class indices) and confidence.
    n : int

    Returns
    -------
    DataFrame
        At most n rows: right ones by class, then wrong ones, the surest first.
    """
    answers = answers.sort_values("confidence", ascending=False, kind="stable")
    right = answers["label"] == answers["prediction"]
    wrong = answers[~right]
    kept = answers[right].drop_duplicates("label").head(n - min(len(wrong), n // 3)).sort_values("label")
    return pd.concat([kept, wrong.head(n - len(kept))])


@torch.inference_mode()
def _window_probabilities(model: nn.Module, windows: ClipWindows, temperature: float) -> np.ndarray:
    logits = [
        model(windows.features[rows], windows.mask[rows])
        for rows in torch.arange(len(windows)).split(attribution.CHUNK)
    ]
    return scale_probabilities(torch.cat(logits).softmax(-1).numpy(), temperature)


def _answers(windows: ClipWindows, probabilities: np.ndarray) -> pd.DataFrame:
    table = {"row": np.arange(len(windows)), "label": windows.labels.numpy(), "prediction": probabilities.argmax(1)}
    return pd.DataFrame(table | {"confidence": probabilities.max(1)})


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
        planted=recovery.planted_span(planted, one, 0),
    )
