import math

import numpy as np
import pytest
import torch

from poseemo_lib.errors import TrainingError
from poseemo_lib.models import build_model
from poseemo_lib.training.batching import PreparedClips
from poseemo_lib.training.fit import fit, learning_rate, predict, update_average
from poseemo_lib.training.parameters import RunParameters


def settings(**changes):
    """Parameters of a short training."""
    usual = dict(
        epochs=4, patience=0, choose_after=0.0, batch_size=8, lr=2e-3, warmup_epochs=1, weight_average=0.9, n_frames=16,
        eval_crops=2, flip=0, rotation=0, slot_swap=0, noise=0.005,
    )  # fmt: skip
    return RunParameters(**usual | changes)


TRAIN, VAL = torch.arange(0, 30), torch.arange(30, 42)


def make_data(n=42, seed=0):
    """Clips of 3 classes: the class is the height of the right wrist, and the noise is small."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(8, 40, (n,), generator=generator)
    labels = torch.arange(n) % 3
    keypoints = 0.01 * torch.randn(int(lengths.sum()), 2, 17, 3, generator=generator)
    keypoints[..., 2] = 1.0
    keypoints[:, 0, 10, 1] += torch.repeat_interleave(labels.float(), lengths)
    starts = lengths.cumsum(0) - lengths
    return PreparedClips(keypoints, starts, lengths, labels, [f"clip{i}" for i in range(n)], 25.0)


def small_model(seed=0):
    torch.manual_seed(seed)
    return build_model("deep_residual", n_classes=3, hidden=32, blocks=1)


def fit_small(how=None, data=None, **more):
    model = small_model()
    return model, fit(model, data or make_data(), TRAIN, VAL, 3, how or settings(), **more)


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a) and a.keys() == b.keys()


def test_it_learns_and_keeps_the_best_epoch():
    model, progress = fit_small(settings(epochs=25))
    scores = [row["val_macro_f1"] for row in progress.history]
    assert progress.best_score == max(scores) > 0.9
    assert scores[progress.best_epoch - 1] == progress.best_score
    assert scores.index(max(scores)) == progress.best_epoch - 1  # the first of equals
    assert equal(model.state_dict(), progress.best_weights)


def test_the_same_seed_twice_gives_the_same_weights_and_another_does_not():
    first, second = fit_small()[0], fit_small()[0]
    assert equal(first.state_dict(), second.state_dict())
    other, _ = fit_small(settings(seed=1))
    assert not equal(first.state_dict(), other.state_dict())


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path, stop_after):
    def stop(row):
        if row["epoch"] == stop_after:
            raise KeyboardInterrupt

    whole, wanted = fit_small()
    with pytest.raises(KeyboardInterrupt):
        fit_small(checkpoint=tmp_path / "c.pt", identity="a", report=stop)
    rows = []
    resumed, progress = fit_small(checkpoint=tmp_path / "c.pt", identity="a", report=rows.append)
    assert [row["epoch"] for row in rows] == list(range(stop_after + 1, 5))
    assert equal(resumed.state_dict(), whole.state_dict())
    kept = ("epoch", "lr", "train_loss", "val_loss", "val_macro_f1")
    assert [[r[k] for k in kept] for r in progress.history] == [[r[k] for k in kept] for r in wanted.history]


def test_a_checkpoint_of_another_run_is_not_continued(tmp_path):
    fit_small(checkpoint=tmp_path / "c.pt", identity="a")
    rows = []
    fit_small(checkpoint=tmp_path / "c.pt", identity="b", report=rows.append)
    assert len(rows) == 4


def test_early_stopping_waits_for_its_patience():
    data = make_data()
    data.labels[:] = torch.randint(3, (42,), generator=torch.Generator().manual_seed(5))  # nothing to learn
    _, progress = fit_small(settings(epochs=60, patience=3), data)
    assert progress.epoch == progress.best_epoch + 3 < 60


def test_no_epoch_is_chosen_too_early():
    _, progress = fit_small(settings(epochs=8, choose_after=0.5))
    scores = [row["val_macro_f1"] for row in progress.history]
    assert progress.best_epoch > 4 and progress.best_score == max(scores[4:])


def test_the_last_epoch_can_be_kept():
    _, progress = fit_small(settings(epochs=8, choose_after=1, patience=2))
    assert progress.best_epoch == progress.epoch == 8


def test_a_list_of_class_weights_is_that_of_torch():
    """With weights of 1, 1, 0 nothing is learned of the third class; the sampler may stay balanced."""
    model, _ = fit_small(settings(epochs=25, class_weights=[1, 1, 0], label_smoothing=0))
    data = make_data()
    predicted = predict(model.eval(), data, VAL, settings()).argmax(1)
    assert (predicted[data.labels[VAL] < 2] == data.labels[VAL][data.labels[VAL] < 2]).all() and (predicted < 2).all()


def test_a_loss_that_is_not_finite_names_the_clip_and_the_epoch():
    data = make_data()
    start, length = int(data.starts[7]), int(data.lengths[7])
    data.keypoints[start : start + length, :, :, :2] = 1e30
    with pytest.raises(TrainingError, match="epoch 1.*clip 'clip7'|epoch 1.*'clip7'"):
        fit_small(settings(sampler="uniform"), data)


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    rates = np.array([learning_rate(step, 10, settings()) for step in range(40)])
    assert (np.diff(rates[:10]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    assert rates.max() == rates[10] == 2e-3
    assert rates[25] == pytest.approx(2e-3 / 2)
    assert rates[-1] == pytest.approx(2e-3 * 0.5 * (1 + math.cos(math.pi * 29 / 30)))


def test_probabilities_are_the_mean_over_windows():
    data, model = make_data(), small_model().eval()
    index = torch.tensor([3, 0, 41])
    probabilities = predict(model, data, index, settings())
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))
    for row, clip in zip(probabilities, index, strict=True):
        alone = predict(model, data, clip[None], settings())[0]
        torch.testing.assert_close(row, alone, atol=1e-6, rtol=1e-5)
    assert not model.training


def test_the_weight_average_is_the_closed_form():
    model, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    average.weight.data.fill_(0.0)
    model.weight.data.fill_(1.0)
    for step in range(1000, 1010):
        update_average(average, model, 0.9, step)
    assert average.weight.item() == pytest.approx(1 - 0.9**10, rel=1e-5)
    update_average(average, model, 0.0, 5)
    assert average.weight.item() == 1.0


CHANGES = [{"loss": "focal"}, {"loss": "logit_adjustment"}, {"class_weights": "inverse"}, {"precision": "bf16"}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_other_losses_and_bf16_train_too(change):
    assert fit_small(settings(epochs=25, sampler="uniform", **change))[1].best_score > 0.8
