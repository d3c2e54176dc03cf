import re

import pytest

from poseemo_lib.errors import UsageError
from poseemo_lib.files import read_yaml
from poseemo_lib.paths import PARAMETERS
from poseemo_lib.training.baselines import BASELINES
from poseemo_lib.training.parameters import BASELINE_NAMES, RunParameters, check_parameters, describe_parameters


def fault(**values):
    with pytest.raises(UsageError) as error:
        check_parameters(values, "mine.yaml")
    return str(error.value)


def test_a_number_in_scientific_notation_is_a_number(tmp_path):
    (tmp_path / "p.yaml").write_text("lr: 1e-4\n")  # YAML 1.1 reads this as a text
    assert check_parameters(read_yaml(tmp_path / "p.yaml")).lr == 1e-4
    (tmp_path / "p.yaml").write_text("model: {dropout: 1e-1, pooling: mean}\n")
    assert check_parameters(read_yaml(tmp_path / "p.yaml")).model == {"dropout": 0.1, "pooling": "mean"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "mine.yaml: epoch: unknown parameter; did you mean epochs?"),
        ({"epochs": "many"}, "mine.yaml: epochs: input should be a valid integer.*got 'many'"),
        ({"epochs": 0}, "mine.yaml: epochs: input should be greater than or equal to 1, got 0"),
        ({"normalisation": "bodi"}, "mine.yaml: normalisation: input should be 'body' or 'frame', got 'bodi'"),
        ({"lr": float("inf")}, "lr: input should be a finite number"),
        ({"device": "abacus"}, "device: string should match pattern.*got 'abacus'"),
        ({"model": {"dropout": 7}}, "model: .*dropout probability"),
        ({"model": {"pooling": "sum"}}, "model.pooling: wanted one of attention, mean, max, mean_std, got 'sum'"),
        ({"model": {"hidden": 0}}, "mine.yaml: model.hidden: input should be greater than or equal to 1, got 0"),
        ({"architecture": "extra_trees", "normalisation": "frame"}, "a baseline measures lengths and angles"),
        ({"model": {"block": "wide"}}, "model.block: wanted one of standard, bottleneck, pre_activation, got 'wide'"),
        ({"architecture": "st_gcn", "model": {"hidden": 3}}, "model.hidden: wanted 4 or more"),
        ({"architecture": "transformer", "model": {"heads": 3}}, "model.heads: wanted a divisor of hidden, 128, got 3"),
        ({"architecture": "tcn_bilstm", "model": {"hidden": 20}}, "model.hidden: wanted an even number that heads, 8,"),
        ({"architecture": "rocket", "n_frames": 8}, "n_frames: rocket wants 9 or more, got 8"),
        ({"smoothing": 4}, "smoothing: wanted an odd number of frames, got 4"),
        (
            {"architecture": "lstm"},
            "architecture: wanted one of deep_residual, bilstm.*extra_trees, rocket, got 'lstm'",
        ),
        ({"model": {"hiden": 3}}, "model.hiden: unknown parameter; did you mean hidden?"),
        ({"model": {"hidden": "wide"}}, "model.hidden: input should be a valid integer, got 'wide'"),
        ({"model": {"squeeze_excitation": 1}}, "model.squeeze_excitation: input should be a valid boolean, got 1"),
        ({"architecture": "majority", "model": {"hidden": 3}}, "a baseline has no hyper-parameters, got hidden"),
        ({"class_weights": "inverse"}, "corrects the imbalance twice"),
        ({"class_weights": [1, 2, 1]}, r"sampler: balanced with class_weights: \[1.0, 2.0, 1.0\] corrects .* twice"),
        (
            {"class_weights": "inverted"},
            "mine.yaml: class_weights: input should be 'none' or 'inverse', got 'inverted'",
        ),
        ({"class_weights": [1, -1]}, "class_weights: input should be greater than or equal to 0, got -1"),
        ({"split": "leave_one_group_out"}, "fold: wanted the test group's name"),
        ({"labels": "soft", "architecture": "majority"}, "labels: wanted hard with a baseline .* got soft"),
        ({"labels": "soft", "loss": "focal"}, "labels: wanted hard with a baseline or the focal loss"),
        ({"fold": "walk"}, "fold: wanted the test group's name"),
        ({"folds": 3}, "fold: wanted the repeat and the fold, from 1-1 to 1-3, got ''"),
        ({"folds": 3, "repeats": 2, "fold": "3-1"}, "from 1-1 to 2-3, got '3-1'"),
        ({"folds": 1, "fold": "1-1"}, "folds: wanted 2 or more with split: grouped"),
        ({"folds": 3, "fold": "1-1", "split": "official"}, "folds: .* got 3 with split: official"),
        ({"repeats": 2}, "folds: .* got 0 with split: grouped and repeats: 2"),
        ({"prior": "given"}, "given_prior: wanted the share of each class with prior: given"),
        ({"given_prior": {"sad": 1}}, "given_prior: wanted the share of each class with prior: given"),
        ({"prior": "given", "given_prior": {"sad": 0}}, "given_prior: wanted shares above 0, got {'sad': 0}"),
    ],
)
def test_every_mistake_is_named_with_its_file_and_key(values, message):
    assert re.search(message, fault(**values))


def test_all_mistakes_come_in_one_message():
    text = fault(epoch=3, lr=-1)
    assert "epoch:" in text and "lr:" in text and len(text.splitlines()) == 2


def test_double_balancing_needs_its_flag():
    both = check_parameters({"class_weights": "inverse", "allow_double_balancing": True})
    assert both.sampler == "balanced"
    assert check_parameters({"class_weights": "inverse", "sampler": "uniform"})
    assert check_parameters({"class_weights": [1, 1, 0]}).sampler == "balanced"  # equal but for a reserved output
    assert "sampler: balanced with loss: logit_adjustment corrects" in fault(loss="logit_adjustment")
    three = fault(loss="logit_adjustment", class_weights="inverse")
    assert (
        "sampler: balanced with class_weights: inverse with loss: logit_adjustment" in three and "three times" in three
    )
    assert check_parameters({"loss": "focal"}).focal_gamma == 2.0  # focal weighs clips, not classes


def test_every_parameter_is_described_and_every_baseline_named():
    assert tuple(BASELINES) == BASELINE_NAMES
    assert all(text for _, _, _, text in describe_parameters())
    assert len(describe_parameters()) == len(RunParameters.model_fields)
    kinds = {name: kind for name, kind, _, _ in describe_parameters()}
    assert (kinds["class_weights"], kinds["lr"]) == ("none | inverse | list", "float")


@pytest.mark.parametrize(
    "path",
    sorted([*PARAMETERS.glob("architectures/*.yaml"), *PARAMETERS.glob("ablations/*.yaml")]),
    ids=lambda p: p.stem,
)
def test_every_parameter_file_is_valid(path):
    assert check_parameters(read_yaml(path), str(path)).architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "wanted `name: value` lines, got list"),
        ("a: [1", "not a YAML file"),
        (b"\xff\xfe\x00", "not a YAML"),
        ("configs:\n  a: {lr: 1}\n  b: 2\n  a: {lr: 2}\n", "not a YAML file: a: occurs twice"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_parameters_file(tmp_path, text, message):
    path = tmp_path / "p.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message):
        read_yaml(path)
