import pytest
import yaml
from conftest import SMALL

from poseemo_lib.data.dataset import DatasetInfo, DatasetWriter
from poseemo_lib.errors import PoseemoError
from poseemo_lib.studies.plan import load_study, plan_runs

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
