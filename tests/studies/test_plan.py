import json

import pytest
import yaml
from conftest import SMALL

from poseemo_lib.data.dataset import Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.errors import PoseemoError
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.findings import findings, opening
from poseemo_lib.studies.plan import load_study, plan_runs
from poseemo_lib.training.run import train_run
from poseemo_lib.training.run_folder import is_complete

BASE = SMALL | {"epochs": 1}


def write_study(path, tiny, **changes):
    study = {
        "name": "s",
        "dataset": str(tiny),
        "seeds": [0, 1],
        "base": BASE,
        "configs": {
            "net": {"architecture": "deep_residual"},
            "majority": {"architecture": "majority", "seeds": [0], "model": {}},
        },
    }  # fmt: skip
    path.write_text(yaml.safe_dump(study | changes, sort_keys=False))
    return path


def plan(path, out):
    return plan_runs(load_study(path), path, out)


def test_configs_times_seeds_seeds_outermost(tiny, tmp_path):
    runs = plan(write_study(tmp_path / "s.yaml", tiny), tmp_path / "out")
    assert [run.name for run in runs] == ["net seed 0", "majority seed 0", "net seed 1"]
    assert runs[0].folder == tmp_path / "out" / "net" / "seed-0"
    assert runs[0].parameters.epochs == 1


def test_leave_one_group_out_has_a_run_for_every_group(tiny, tmp_path):
    base = BASE | {"split": "leave_one_group_out"}
    runs = plan(write_study(tmp_path / "s.yaml", tiny, base=base, seeds=[3]), tmp_path / "out")
    net = [run for run in runs if run.config == "net"]
    assert len({run.parameters.fold for run in net}) == len(net) == 12
    assert net[0].folder.parent.name.startswith("fold-") and len({run.identity for run in net}) == 12


def test_smoothing_of_a_baseline_is_its_own(tiny, tmp_path):
    configs = {
        "net": {},
        "trees": {"architecture": "extra_trees"},
        "asked": {"architecture": "extra_trees", "smoothing": 3},
    }
    study = write_study(tmp_path / "s.yaml", tiny, configs=configs, base={"smoothing": 5}, seeds=[0])
    assert [run.parameters.smoothing for run in plan(study, tmp_path / "out")] == [5, 0, 3]


def test_a_cross_validation_has_a_run_for_every_fold_of_every_repeat_and_more_repeats_keep_them(tiny, tmp_path):
    base = BASE | {"folds": 3}
    one, two = (
        plan(write_study(tmp_path / "s.yaml", tiny, base=base | {"repeats": n}), tmp_path / "out") for n in (1, 2)
    )
    net = [run for run in two if run.config == "net"]
    assert [run.name for run in net[:7]] == [
        *(f"net fold {repeat}-{fold} seed 0" for repeat in (1, 2) for fold in (1, 2, 3)),
        "net fold 1-1 seed 1",
    ]
    assert len(net) == len({run.identity for run in net}) == 12
    assert net[0].folder == tmp_path / "out" / "net" / "fold-1-1" / "seed-0"
    assert {run.identity for run in one} < {run.identity for run in two} and 2 * len(one) == len(two)
    (single,) = plan(
        write_study(tmp_path / "s.yaml", tiny, base=base | {"fold": "1-2"}, configs={"net": {}}, seeds=[0]), tmp_path
    )
    assert single.parameters.fold == "1-2"
    with pytest.raises(PoseemoError, match="configs.net: .* at least 13 groups .* got 12; take fewer folds"):
        plan(write_study(tmp_path / "s.yaml", tiny, base=BASE | {"folds": 13}), tmp_path / "out")


@pytest.mark.slow
def test_a_cross_validation_runs_to_a_report_and_a_second_repeat_keeps_the_first(tiny, tmp_path):
    base, configs = BASE | {"folds": 2, "eval_crops": 1}, {"net": {}, "wide": {"lr": 1e-2}}
    for repeats in (1, 2):
        changes = {"base": base | {"repeats": repeats}, "configs": configs, "seeds": [0]}
        runs = plan(write_study(tmp_path / "s.yaml", tiny, **changes), tmp_path / "out")
        todo = [run for run in runs if not is_complete(run.folder, run.identity)]
        assert len(runs) == 4 * repeats and len(todo) == 4
        for run in todo:
            train_run(run.parameters.model_copy(update={"dataset": run.dataset}), run.folder, config=run.config)
    planned = {"runs": [run.plan(tmp_path / "out") for run in runs]}
    (tmp_path / "out" / "study.json").write_text(json.dumps(planned))
    data = load_report_data(tmp_path / "out")
    assert not data.results.incomplete and data.best.n_repeats == 2
    for table in data.best.predictions().values():
        assert sorted(table["clip_id"]) == sorted(Dataset(tiny).table()["clip_id"])
    text = opening(data) + findings(data)
    assert "in 2 folds of whole groups, dealt anew 2 times" in text and "Selected in each fold" in text


def test_a_config_takes_its_file_then_its_own_values(tiny, tmp_path):
    (tmp_path / "mine.yaml").write_text("architecture: bilstm\nlr: 1e-3\nepochs: 7\n")
    write_study(tmp_path / "study.yaml", tiny, base={"lr": 0.01})
    configs = {
        "a": {"from": "mine.yaml", "epochs": 9},
        "b": {"from": "architectures/bilstm"},
        "c": {"from": "study.yaml", "epochs": 8},
    }
    runs = plan(write_study(tmp_path / "s.yaml", tiny, configs=configs, base={}, seeds=[0]), tmp_path / "out")
    assert [(r.parameters.architecture, r.parameters.lr, r.parameters.epochs) for r in runs] == [
        ("bilstm", 1e-3, 9),
        ("bilstm", 5e-4, 60),
        ("deep_residual", 0.01, 8),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [1]}, "s.yaml: sedes: unknown key; did you mean seeds?"),
        ({"configs": {}}, "s.yaml: configs: dictionary should have at least 1 item"),
        ({"configs": {"../../out": {}}}, "configs.../../out: string should match pattern"),
        ({"configs": {"a": {"seeds": 3}}}, "configs.a.seeds: input should be a valid list, got 3"),
        ({"seeds": [0, 0]}, "seeds: wanted every seed once, got [0, 0]"),
        ({"configs": {"a": {"dataset": "other"}}}, "configs.a: dataset: belongs to the study"),
        ({"configs": {"a": {"split": "official"}}}, "s.yaml: configs.a: official split"),
        ({"configs": {"a": {"epoch": 1}}}, "s.yaml: configs.a: epoch: unknown parameter; did you mean epochs?"),
        ({"configs": {"a": {"from": "no.yaml"}}}, "configs.a.from: wanted a parameter file, found none at no.yaml"),
        ({"dataset": "/no/where"}, "/no/where: wanted a dataset's folder or a recipe"),
    ],
)
def test_mistakes_in_a_study_are_named(tiny, tmp_path, changes, message):
    with pytest.raises(PoseemoError) as error:
        plan(write_study(tmp_path / "s.yaml", tiny, **changes), tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_an_empty_dataset_is_refused(tmp_path):
    DatasetWriter(tmp_path / "empty", DatasetInfo(name="empty", classes=("happy", "sad"))).close()
    with pytest.raises(PoseemoError, match="wanted clips to split, got an empty dataset"):
        plan(write_study(tmp_path / "s.yaml", tmp_path / "empty"), tmp_path / "out")
