import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL

from poseemo_lib.analysis import attribution, recovery
from poseemo_lib.analysis.attribution import Permuted
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.synthetic import read_planted
from poseemo_lib.errors import PoseemoError
from poseemo_lib.features.tensor_features import CHANNEL_NAMES, N_FEATURES
from poseemo_lib.models import MODELS, build_model
from poseemo_lib.models.standardised import Standardised
from poseemo_lib.skeleton import COCO_KEYPOINTS, JOINT
from poseemo_lib.training import trained as inference
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run
from poseemo_lib.training.run_folder import Run, read_record

SMALLEST = {"conv1d": {"hidden": 8}, "gru": {"hidden": 8}, "bilstm": {"hidden": 8}, "multiscale": {"hidden": 8}}


def batch(n=6, n_frames=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, n_frames, N_FEATURES, generator=generator)
    joints = attribution.as_joints(features)
    joints[..., CHANNEL_NAMES.index("confidence")] = torch.rand(joints.shape[:-1], generator=generator) + 0.1
    mask = torch.ones(n, n_frames, dtype=torch.bool)
    mask[1, 7:] = False
    return features * mask[..., None], mask


def standardised(name="bilstm", n_classes=3, **more):
    torch.manual_seed(0)
    network = build_model(name, n_classes=n_classes, **{**SMALLEST.get(name, {}), **more})
    return Standardised(network, batch(seed=1)[0]).eval()


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    model = {"hidden": 8}
    values = {**SMALL, "dataset": str(tiny), "architecture": "gru", "model": model, "epochs": 1, "eval_crops": 3}
    folder = train_run(check_parameters(values), tmp_path_factory.mktemp("runs") / "gru" / "seed-0")
    return Run(folder, read_record(folder))


@pytest.fixture(scope="module")
def windows(run, tiny):
    return inference.test_windows(run, Dataset(tiny))


class TestInference:
    def test_the_mean_over_the_windows_is_what_the_run_predicted(self, run, tiny):
        windows = inference.test_windows(run, Dataset(tiny), crops=3)
        with torch.inference_mode():
            probabilities = inference.load_model(run)(windows.features, windows.mask).softmax(-1).numpy()
        mine = pd.DataFrame(probabilities).groupby(windows.clip_ids).mean()
        predictions = run.predictions("test").set_index("clip_id")
        theirs = predictions.loc[mine.index, [f"p_{name}" for name in run.record["classes"]]]
        assert len(windows) > len(predictions) == len(mine)
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
        labels = predictions.loc[windows.clip_ids, "label"]
        assert [run.record["classes"][label] for label in windows.labels] == list(labels)

    @pytest.mark.parametrize(
        ("content", "wanted"),
        [(None, "cannot be read"), (b"no weights", "cannot be read"), ("other", "do not fit the network gru")],
    )
    def test_weights_that_cannot_be_used_are_named(self, run, tmp_path, content, wanted):
        from safetensors.torch import save_file

        path = tmp_path / "weights.safetensors"
        if content == "other":
            save_file(standardised("conv1d").state_dict(), path)
        elif content:
            path.write_bytes(content)
        with pytest.raises(PoseemoError, match=wanted) as error:
            inference.load_model(Run(tmp_path, run.record))
        assert str(path) in str(error.value) and "\n" not in str(error.value)

    def test_a_baseline_has_no_network_and_another_dataset_not_the_clips(self, run, tiny):
        record = {**run.record, "parameters": {**run.record["parameters"], "architecture": "majority", "model": {}}}
        with pytest.raises(PoseemoError, match="the baseline majority"):
            inference.load_model(Run(run.folder, record))
        empty = Dataset(tiny)
        empty.clips = lambda where: iter(())
        with pytest.raises(PoseemoError, match=r"test clips of .*, found 0"):
            inference.test_windows(run, empty)

    def test_units_are_clips_or_recordings_and_some_of_them_are_whole(self, windows):
        number, clips = windows.units("clip")
        assert list(clips["clip_id"].to_numpy()[number]) == list(windows.clip_ids)
        number, recordings = windows.units("recording")
        assert len(recordings) == len(set(windows.source_ids)) < len(clips)
        some = windows.at_most(5, "recording")
        kept = np.isin(windows.source_ids, some.source_ids)
        assert 5 <= len(some) == kept.sum() < len(windows)
        assert windows.at_most(1000, "clip") is windows


class TestAttention:
    @pytest.mark.parametrize("name", ["bilstm", "gru", "multiscale", "tcn_bilstm", "deep_residual"])
    def test_it_is_the_mean_s_weights(self, name):
        features, mask = batch()
        weights = attribution.attention_over_time(standardised(name), features, mask)
        assert weights.shape == mask.shape
        torch.testing.assert_close(weights.sum(1), torch.ones(6))
        assert (weights[~mask] == 0).all() and (weights[mask] > 0).all()

    def test_a_network_without_it_gives_none(self):
        with_it = [name for name in MODELS if attribution.attention_over_time(standardised(name), *batch()) is not None]
        assert set(with_it) == {"deep_residual", "bilstm", "gru", "tcn_bilstm", "multiscale"}
        assert attribution.attention_over_time(standardised("gru", pooling="mean"), *batch()) is None


class Linear(torch.nn.Module):
    """Logits that are a known sum of the features."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.weight = torch.nn.Parameter(torch.randn(3, N_FEATURES))

    def forward(self, features, mask):
        return (features * mask[..., None]).sum(1) @ self.weight.T


class TestIntegratedGradients:
    @pytest.mark.parametrize("name", ["conv1d", "multiscale"])
    def test_the_contributions_add_up_to_the_difference_of_the_margins(self, name):
        model, (features, mask), target = standardised(name), batch(), torch.tensor([0, 1, 2, 0, 1, 2])
        found = attribution.integrated_gradients(model, features, mask, target, n_steps=128)
        error, size = attribution.integral_error(model, features, mask, target, found)
        assert error < 0.02 * size
        assert (found[1, 7:] == 0).all()

    def test_those_of_a_linear_network_are_weight_times_input(self):
        model = Standardised(Linear(), batch(seed=1)[0])
        features, mask = batch()
        target = torch.tensor([2] * 6)
        found = attribution.integrated_gradients(model, features, mask, target, n_steps=4)
        weight = model.network.weight[2] - model.network.weight.mean(0)
        wanted = attribution.as_joints(model.standardise(features) * weight * mask[..., None]).detach()
        torch.testing.assert_close(found, wanted)


class TestRandomised:
    def test_a_seed_gives_one_copy_and_leaves_the_model_and_the_generator_alone(self):
        model = standardised()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        state = torch.random.get_rng_state()
        one, same, other = (attribution.randomised(model, seed).state_dict() for seed in (1, 1, 2))
        assert torch.equal(state, torch.random.get_rng_state())
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]) and torch.equal(one[name], same[name])
            if name in ("mean", "std"):
                assert torch.equal(one[name], value)
            elif "norm" not in name and value.ndim > 1:
                assert not torch.equal(one[name], other[name])

    @pytest.mark.parametrize("name", list(MODELS))
    def test_no_parameter_of_any_model_is_kept(self, name):
        """A trained parameter that no layer's reset reaches would make the check unfair."""
        model = standardised(name)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape))
        trained = dict(model.named_parameters())
        anew = attribution.randomised(model, 0).named_parameters()
        assert [key for key, value in anew if (value == trained[key]).any()] == []


class OneJoint(torch.nn.Module):
    """Predicts class 1 where the left wrist of person 1 is at the right in the first frame, else class 0."""

    def forward(self, features, mask):
        x = attribution.as_joints(features)[:, 0, 0, JOINT["left_wrist"], 0]
        return torch.stack([-x, x, torch.full_like(x, -50)], -1)


class TestPermutation:
    def result(self, n=40, **more):
        features, mask = batch(n, 16)
        model = Standardised(OneJoint(), features)
        labels = model(features, mask).argmax(-1).numpy()
        blocks = attribution.feature_blocks(16)
        found = attribution.permute_blocks(model, features, mask, labels, np.arange(n), blocks, **more)
        return blocks, found, model.standardise(features), labels

    def test_only_the_blocks_that_hold_what_counts_matter(self):
        blocks, found, _, _ = self.result()
        drop = {(kind, name): value for (kind, name, _), value in zip(blocks, found.drop.mean(1), strict=True)}
        wanted = {("joint", "left_wrist"), ("feature", "x"), ("person", "person 1"), ("time", "0-2")}
        assert {key for key, value in drop.items() if value != 0} == wanted
        assert all(0.3 < drop[key] < 0.7 for key in wanted)
        assert len({round(drop[key], 9) for key in wanted}) == 1  # one order for all blocks
        assert (found.loss_increase[[block[:2] not in wanted for block in blocks]] == 0).all()

    def test_the_mean_over_repeats_is_by_hand(self):
        blocks, found, x, labels = self.result(n_repeats=3, seed=5)
        generator = torch.Generator().manual_seed(5)
        value = attribution.as_joints(x)[:, 0, 0, JOINT["left_wrist"], 0]
        wrong = np.zeros(len(value))
        for _ in range(3):
            order = torch.randperm(len(value), generator=generator).numpy()
            for place, row in enumerate(order):  # each takes over from the one before it in the order
                wrong[row] += (value[order[place - 1]] > 0) != labels[row]
        at = next(i for i, block in enumerate(blocks) if block[1] == "left_wrist")
        np.testing.assert_allclose(found.drop[at], wrong / 3)

    def test_predictions_are_averaged_over_the_windows_of_a_recording(self):
        features, mask = batch(8, 16)
        model = Standardised(OneJoint(), features)
        unit = np.array([0, 0, 0, 0, 1, 1, 1, 1])
        labels = unit.copy()
        found = attribution.permute_blocks(model, features, mask, labels, unit, attribution.feature_blocks(16))
        assert found.drop.shape == (17 + 5 + 2 + 8, 2) and list(found.label) == [0, 1]

    def test_the_blocks_of_each_kind_cover_a_window_once(self):
        for kind in ("joint", "feature", "person", "time"):
            covered = torch.zeros(1, 13, 2, 17, 7)
            for one, _, index in attribution.feature_blocks(13):
                if one == kind:
                    covered[index] += 1
            assert (covered == 1).all(), kind
        short = [name for kind, name, _ in attribution.feature_blocks(4) if kind == "time"]
        assert short == ["0-1", "1-2", "2-3", "3-4"]  # no empty span

    def test_the_table_is_the_mean_over_classes(self):
        blocks = [("joint", "nose", ())]
        # class 0: 3 clips that lose 0, 0, 1; class 1: one that loses 1
        part = Permuted(np.array([[0.0, 0, 1, 1]]), np.array([[0.0, 0, 3, 2]]), np.array([0, 0, 0, 1]))
        units = pd.DataFrame({"clip_id": list("abcd"), "group_id": ["g", "g", "h", "h"]})
        (row,) = attribution.importance_table(blocks, [part, part], pd.concat([units, units])).to_dict("records")
        assert row["drop"] == pytest.approx((1 / 3 + 1) / 2) and row["loss_increase"] == pytest.approx((1 + 2) / 2)
        assert (row["low"], row["high"]) == (-1, 1)  # two groups that differ tell nothing


class TestRecovery:
    def test_precision_at_k_by_hand(self):
        every = np.ones(5, bool)
        wanted = np.array([1, 1, 0, 0, 0], bool)
        assert recovery.precision_at_k(np.array([5.0, 1, 4, 0, 0]), wanted, every) == (0.5, 0.4)
        assert recovery.precision_at_k(np.array([5.0, 4, 1, 0, 0]), wanted, every) == (1.0, 0.4)
        # what is no candidate does not count
        some = np.array([1, 1, 0, 0, 1], bool)
        assert recovery.precision_at_k(np.array([1.0, 2, 9, 9, 0]), wanted, some) == (1, 2 / 3)
        # a tie is drawn at random: one of the three for the second place
        precision, _ = recovery.precision_at_k(np.array([2.0, 1, 1, 1, 0]), wanted, every)
        assert precision == pytest.approx((1 + 1 / 3) / 2)
        for nothing in (np.zeros(5, bool), every):
            assert np.isnan(recovery.precision_at_k(np.arange(5.0), nothing, every)).all()

    def test_planted_frames_are_mapped_from_the_clip_s_rate_to_the_window_s(self, windows, run, tiny):
        planted = read_planted(tiny)
        where = recovery.true_locations(planted, windows)
        assert set(np.array(run.record["classes"])[windows.labels[where.rows]]) <= set(planted["label"])
        table = planted.set_index("clip_id")
        assert len(set(windows.original_fps)) > 1
        for i, row in enumerate(where.rows):
            one = table.loc[windows.clip_ids[row]]
            seconds = (windows.start[row] + np.arange(16)) / 25
            inside = where.frames[i]
            step = 0.51 / windows.original_fps[row]
            first, last = one["start"] / windows.original_fps[row], (one["stop"] - 1) / windows.original_fps[row]
            assert (seconds[inside] >= first - step).all() and (seconds[inside] <= last + step).all()
            outside = ~inside & windows.mask[row].numpy()
            assert ((seconds[outside] < first + step) | (seconds[outside] > last - step)).all()
            names = {COCO_KEYPOINTS[k] for k in np.flatnonzero(where.joints[i, one["person"]])}
            assert names <= set(one["joints"]) and not where.joints[i, 1 - one["person"]].any()
            frames = np.flatnonzero(inside)
            span = recovery.true_span(planted, windows, row)
            assert span == ((frames[0], frames[-1] + 1) if len(frames) else None)
        assert recovery.true_locations(planted.assign(clip_id="no"), windows) is None
        assert recovery.true_span(None, windows, 0) is None

    def test_correlations_are_spearman_s(self):
        from scipy.stats import spearmanr

        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 3, 10))
        kept = np.ones((3, 10), bool)
        kept[1, 4:], kept[2, 2:] = False, False
        found = recovery.correlations(a, b, kept)
        np.testing.assert_allclose(found[:2], [spearmanr(a[0], b[0])[0], spearmanr(a[1, :4], b[1, :4])[0]])
        assert np.isnan(found[2])
