import numpy as np
import pytest
import torch
from torch.nn import functional

from poseemo_lib.errors import UsageError
from poseemo_lib.features import N_FEATURES
from poseemo_lib.models import MODELS, build_model, hyper_parameters
from poseemo_lib.models.pooling import MeanStdPooling
from poseemo_lib.models.standardised import Standardised

# Variants that every test below runs on; a model that is in none of them fails test_every_model_is_tested.
VARIANTS = {
    "deep_residual": [
        {},
        {"block": "bottleneck"},
        {"block": "pre_activation", "pooling": "mean"},
        {"pooling": "max", "squeeze_excitation": True},
        {"pooling": "mean_std"},
    ],
    "bilstm": [{}, {"hidden": 32, "layers": 2}],
}
CASES = [(name, variant) for name, variants in VARIANTS.items() for variant in variants]

# reference.md: trainable parameters with 8 and with 7 outputs.
COUNTS = [
    ("deep_residual", {}, 693_000, 692_743),
    ("deep_residual", {"hidden": 128}, 190_856, 190_727),
    ("deep_residual", {"hidden": 512}, 2_631_176, 2_630_663),
    ("deep_residual", {"blocks": 2}, 427_784, 427_527),
    ("deep_residual", {"blocks": 6}, 958_216, 957_959),
    ("deep_residual", {"blocks": 8}, 1_223_432, 1_223_175),
    ("deep_residual", {"block": "bottleneck"}, 314_632, 314_375),
    ("deep_residual", {"block": "pre_activation"}, 693_000, 692_743),
    ("deep_residual", {"pooling": "mean"}, 659_976, 659_719),
    ("deep_residual", {"pooling": "max"}, 659_976, 659_719),
    ("bilstm", {}, 361_992, 361_863),
    ("bilstm", {"hidden": 256, "layers": 2}, 2_956_296, 2_956_039),
]


def batch(n_clips=4, n_frames=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n_clips, n_frames, N_FEATURES, generator=generator)
    lengths = torch.randint(3, n_frames + 1, (n_clips,), generator=generator)
    mask = torch.arange(n_frames) < lengths[:, None]
    return torch.where(mask[..., None], features, 0.0), mask


def build(name, variant):
    torch.manual_seed(0)
    return build_model(name, n_classes=7, **variant)


def test_every_model_is_tested():
    assert set(VARIANTS) == set(MODELS)


@pytest.mark.parametrize(("name", "variant", "with_8", "with_7"), COUNTS)
def test_parameter_counts_are_the_published_ones(name, variant, with_8, with_7):
    for n_classes, wanted in ((8, with_8), (7, with_7)):
        model = build_model(name, n_classes=n_classes, **variant)
        assert sum(p.numel() for p in model.parameters()) == wanted


@pytest.mark.parametrize(("name", "variant"), CASES)
class TestEveryModel:
    def test_shape_finite_repeatable(self, name, variant):
        model = build(name, variant).eval()
        features, mask = batch()
        logits = model(features, mask)
        assert logits.shape == (4, 7)
        assert torch.isfinite(logits).all()
        assert torch.equal(logits, model(features, mask))

    def test_a_gradient_everywhere(self, name, variant):
        model = build(name, variant).eval()
        features, mask = batch()
        functional.cross_entropy(model(features, mask), torch.tensor([0, 1, 2, 3])).backward()
        assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]

    def test_padding_changes_nothing(self, name, variant):
        model = build(name, variant).eval()
        features, mask = batch()
        rubbish = torch.where(mask[..., None], features, 1e3)
        longer = functional.pad(rubbish, (0, 0, 0, 5), value=-7.0)
        logits = model(features, mask)
        torch.testing.assert_close(model(longer, functional.pad(mask, (0, 5))), logits, atol=1e-5, rtol=1e-5)
        alone = torch.cat(
            [model(f[None, : int(m.sum())], m[None, : int(m.sum())]) for f, m in zip(features, mask, strict=True)]
        )
        torch.testing.assert_close(alone, logits, atol=1e-5, rtol=1e-5)

    def test_overfits_8_clips(self, name, variant):
        model = build(name, variant)
        features, mask = batch(8)
        labels = torch.arange(8) % 7
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for _ in range(60):
            optimizer.zero_grad()
            functional.cross_entropy(model(features, mask), labels).backward()
            optimizer.step()
        assert (model.eval()(features, mask).argmax(1) == labels).all()

    def test_save_and_load_are_equal(self, name, variant, tmp_path):
        from safetensors.torch import load_file, save_file

        model, other = build(name, variant).eval(), build_model(name, n_classes=7, **variant).eval()
        save_file(model.state_dict(), tmp_path / "weights.safetensors")
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(model(*batch()), other(*batch()))


def test_attention_weights_are_a_distribution_over_real_frames():
    model = build("deep_residual", {}).eval()
    features, mask = batch()
    weights = model.pool.weights(model.embed(features), mask)
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    assert (weights[~mask] == 0).all() and (weights[mask] > 0).all()


def test_mean_std_pooling_is_numpys():
    features, mask = batch()
    pooled = MeanStdPooling()(features, mask)
    for row, clip, length in zip(pooled, features, mask.sum(1), strict=True):
        wanted = np.concatenate([clip[:length].mean(0), clip[:length].numpy().std(0)])
        np.testing.assert_allclose(row, wanted, atol=2e-3)


def test_bilstm_equals_torch_on_each_clip_alone():
    model = build("bilstm", {"pooling": "mean"}).eval()
    features, mask = batch()
    wanted = []
    for clip, length in zip(features, mask.sum(1), strict=True):
        states, _ = model.lstm(model.embed(clip[None, :length]))
        wanted.append(model.head(states.mean(1)))
    np.testing.assert_allclose(model(features, mask).detach(), torch.cat(wanted).detach(), atol=1e-5)


def test_errors_name_what_there_is():
    with pytest.raises(UsageError, match="deep_residual, bilstm, got 'lstm'"):
        build_model("lstm")
    with pytest.raises(UsageError, match="bilstm has hidden, layers, pooling, dropout, got width"):
        build_model("bilstm", width=3)
    with pytest.raises(UsageError, match="standard, bottleneck, pre_activation, got 'wide'"):
        build_model("deep_residual", block="wide")
    with pytest.raises(UsageError, match="attention, mean, max, mean_std, got 'sum'"):
        build_model("bilstm", pooling="sum")
    assert hyper_parameters("deep_residual")["dropout"] == 0.3


class TestStandardised:
    def make(self, features):
        return Standardised(build("deep_residual", {"hidden": 16, "blocks": 1}).eval(), features)

    def seen_features(self, n=200):
        generator = torch.Generator().manual_seed(0)
        x = 3 + 5 * torch.randn(n, 10, 2, 17, 7, generator=generator)
        x[..., 2] = 0.8
        hidden = torch.rand(n, 10, 2, 17, generator=generator) < 0.3
        x[hidden] = 0.0
        return x.flatten(2), ~hidden

    def test_positions_get_mean_0_and_all_but_the_confidence_deviation_1_where_seen(self):
        features, seen = self.seen_features()
        out = self.make(features).standardise(features).view(200, 10, 2, 17, 7)
        values = out[seen]
        torch.testing.assert_close(values[:, :2].mean(0), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(values[:, [0, 1]].std(0), torch.ones(2), atol=1e-2, rtol=0)
        # motions keep their zero, so that their size about zero becomes 1
        torch.testing.assert_close(values[:, 3:].square().mean(0).sqrt(), torch.ones(4), atol=1e-2, rtol=0)
        assert (values[:, 2] == 0.8).all()

    def test_what_was_not_seen_stays_zero(self):
        features, seen = self.seen_features()
        out = self.make(features).standardise(features).view(200, 10, 2, 17, 7)
        assert out[~seen].abs().sum() == 0

    def test_both_people_are_treated_alike(self):
        features, _ = self.seen_features()
        model = self.make(features)
        swapped = features.view(200, 10, 2, -1).flip(2).flatten(2)
        torch.testing.assert_close(
            model.standardise(swapped), model.standardise(features).view(200, 10, 2, -1).flip(2).flatten(2)
        )

    def test_a_joint_that_is_never_seen_does_no_harm(self):
        model = self.make(torch.zeros(4, 10, 238))
        assert torch.isfinite(model(torch.ones(2, 10, 238), torch.ones(2, 10, dtype=torch.bool))).all()

    def test_motions_can_be_made_smaller_or_hidden(self):
        features, seen = self.seen_features()
        network = build("deep_residual", {"hidden": 16, "blocks": 1})
        plain, third, none = (
            Standardised(network, features, motion).standardise(features).view(200, 10, 2, 17, 7)[seen]
            for motion in (1.0, 0.3, 0.0)
        )
        torch.testing.assert_close(third[:, 3:], 0.3 * plain[:, 3:])
        assert none[:, 3:].abs().sum() == 0
        assert torch.equal(none[:, :3], plain[:, :3])
