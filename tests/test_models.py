import numpy as np
import pytest
import torch
from torch.nn import functional

from poseemo_lib.errors import UsageError
from poseemo_lib.features import N_FEATURES
from poseemo_lib.models import MODELS, build_model, hyper_parameters

# Variants that every test below runs on; a model that is in none of them fails test_every_model_is_tested.
VARIANTS = {
    "deep_residual": [
        {},
        {"block": "bottleneck"},
        {"block": "pre_activation", "pooling": "mean"},
        {"pooling": "max", "squeeze_excitation": True},
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
    with pytest.raises(UsageError, match="attention, mean or max, got 'sum'"):
        build_model("bilstm", pooling="sum")
    assert hyper_parameters("deep_residual")["dropout"] == 0.3
