import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from poseemo_lib.errors import UsageError
from poseemo_lib.features.tensor_features import N_FEATURES
from poseemo_lib.models import MODELS, build_model, hyper_parameters
from poseemo_lib.models.layers import masked_mean_std
from poseemo_lib.models.standardised import Standardised
from poseemo_lib.models.transformer import positions

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
    "gru": [{}, {"hidden": 32, "layers": 1, "pooling": "mean"}],
    "transformer": [{}, {"hidden": 33, "heads": 3, "layers": 1, "feed_forward": 64}],
    "tcn_bilstm": [{}, {"hidden": 32, "blocks": 1, "kernel": 5, "heads": 2}],
    "conv1d": [{}, {"hidden": 32, "kernel": 1, "pooling": "attention"}],
    "multiscale": [{}, {"hidden": 32, "pooling": "max"}],
    "conv_lstm": [{}, {"hidden": 32, "blocks": 1, "kernel": 7}],
    "st_gcn": [{}, {"hidden": 16, "blocks": 4, "patch": 1, "stream": "bone", "people": "max"}],
    "joint_transformer": [{}, {"hidden": 32, "layers": 1, "heads": 2, "stream": "joint", "people": "max"}],
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
    ("gru", {}, 592_392, 592_263),
    ("transformer", {}, 436_552, 436_487),
    ("tcn_bilstm", {}, 539_784, 539_719),
    ("conv1d", {}, 410_504, 410_375),
    ("multiscale", {}, 311_304, 311_175),
    ("conv_lstm", {}, 428_040, 427_911),
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

    def test_one_frame_and_bfloat16_can_be_trained_on(self, name, variant):
        model = build(name, variant)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(torch.ones(1, 1, N_FEATURES), torch.ones(1, 1, dtype=torch.bool))
        logits.float().sum().backward()
        assert torch.isfinite(logits).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

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
        model = build(name, variant | {"dropout": 0.0})
        features, mask = batch(8)
        labels = torch.arange(8) % 7
        optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
        for _ in range(30):
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


def test_mean_std_pooling_is_numpys():
    features, mask = batch()
    pooled = masked_mean_std(features, mask)
    for row, clip, length in zip(pooled, features, mask.sum(1), strict=True):
        wanted = np.concatenate([clip[:length].mean(0), clip[:length].numpy().std(0)])
        np.testing.assert_allclose(row, wanted, atol=2e-3)


def recurrent_reference(model, clip):
    states, _ = (model.gru if hasattr(model, "gru") else model.lstm)(model.embed(clip))
    return model.head(model.pool(states, torch.ones(clip.shape[:2], dtype=torch.bool)))


def conv_lstm_reference(model, clip):
    x = model.embed(clip).transpose(1, 2)
    for layer in model.convs:
        x = nn.BatchNorm1d.forward(layer.norm, nn.Conv1d.forward(layer.conv, x)).relu()
    _, (last, _) = model.lstm(x.transpose(1, 2))
    return model.head(torch.cat([last[0], last[1]], -1))


def transformer_reference(model, clip):
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 2, model.head[0], enable_nested_tensor=False).eval()
    encoder.layers.load_state_dict(model.layers.state_dict())
    x = model.embed(clip) + positions(clip.shape[1], 128)
    return model.head[1:](encoder(torch.cat([model.token[None, None], x], 1))[:, 0])


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("bilstm", recurrent_reference),
        ("gru", recurrent_reference),
        ("conv_lstm", conv_lstm_reference),
        ("transformer", transformer_reference),
    ],
)
def test_a_model_equals_torchs_own_layers_on_each_clip_alone(name, reference):
    model = build(name, {}).eval()
    features, mask = batch()
    clips = [clip[None, :n] for clip, n in zip(features, mask.sum(1), strict=True)]
    wanted = torch.cat([reference(model, clip) for clip in clips])
    torch.testing.assert_close(model(features, mask), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["bilstm", "gru", "transformer", "tcn_bilstm", "conv1d", "multiscale", "conv_lstm"])
def test_a_sequence_model_sees_the_order_of_the_frames(name):
    model = build(name, {}).eval()
    features, mask = torch.randn(1, 12, N_FEATURES), torch.ones(1, 12, dtype=torch.bool)
    assert (model(features, mask) - model(features.flip(1), mask)).abs().max() > 1e-4


def test_dilated_convolutions_see_14_frames_to_either_side():
    model = build("tcn_bilstm", {}).eval()
    mask = torch.ones(1, 60, dtype=torch.bool)

    def convolved(features):
        x = model.embed(features).transpose(1, 2)
        for block in model.blocks:
            x = block(x, mask)
        return x[0]

    features = torch.randn(1, 60, N_FEATURES)
    touched = features.clone()
    touched[0, 30] += 1.0
    changed = (convolved(touched) - convolved(features)).abs().amax(0) > 1e-6
    # two convolutions of three frames, dilated by 1, 2 and 4: 2 (1 + 2 + 4)
    assert changed.nonzero().flatten().tolist() == list(range(16, 45))


def test_errors_name_what_there_is():
    with pytest.raises(UsageError, match=f"{', '.join(MODELS)}, got 'lstm'"):
        build_model("lstm")
    with pytest.raises(UsageError, match="bilstm has hidden, layers, pooling, dropout, got width"):
        build_model("bilstm", width=3)
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

    def test_positions_get_mean_0_and_all_but_the_confidence_deviation_1_where_seen_and_the_rest_stays_0(self):
        features, seen = self.seen_features()
        out = self.make(features).standardise(features).view(200, 10, 2, 17, 7)
        values = out[seen]
        torch.testing.assert_close(values[:, :2].mean(0), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(values[:, [0, 1]].std(0), torch.ones(2), atol=1e-2, rtol=0)
        # motions keep their zero, so that their size about zero becomes 1
        torch.testing.assert_close(values[:, 3:].square().mean(0).sqrt(), torch.ones(4), atol=1e-2, rtol=0)
        assert (values[:, 2] == 0.8).all() and out[~seen].abs().sum() == 0

    def test_of_zeros_it_changes_nothing(self):
        features, _ = self.seen_features()
        assert torch.equal(self.make(torch.zeros(1, 1, 238)).standardise(features), features)

    def test_reserved_outputs_are_left_out_but_in_training(self):
        network = build_model("deep_residual", n_classes=8, hidden=16, blocks=1, dropout=0.0)
        model, batched = Standardised(network, torch.zeros(1, 1, 238), n_classes=7), batch()
        training, logits = model.train()(*batched), model.eval()(*batched)
        assert training.shape == (4, 8) and torch.equal(logits, training[:, :7])
        kept = training.softmax(1)[:, :7]
        torch.testing.assert_close(logits.softmax(1), kept / kept.sum(1, keepdim=True))

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
