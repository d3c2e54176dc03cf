"""Every file in parameters/: valid, nothing but differences, and usable with plain Papermill."""

import warnings
from collections import Counter

import pytest
import yaml
from conftest import SMALL
from made_ratings import rated_copy
from papermill import inspect_notebook
from papermill.cli import papermill as command

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.recipes import recipe_names
from poseemo_lib.data.splits import fold_names, repeated_folds
from poseemo_lib.data.synthetic import write_synthetic_dataset
from poseemo_lib.files import read_yaml
from poseemo_lib.models import hyper_parameters
from poseemo_lib.paths import NOTEBOOKS, PARAMETERS
from poseemo_lib.studies.plan import config_values, load_study, plan_runs
from poseemo_lib.training.inputs import load_inputs, split_table
from poseemo_lib.training.parameters import RunParameters, check_parameters
from poseemo_lib.training.run import train_run
from poseemo_lib.training.run_folder import read_record

RUN_FILES = sorted([*PARAMETERS.glob("architectures/*.yaml"), *PARAMETERS.glob("ablations/*.yaml")])
STUDY_FILES = sorted(PARAMETERS.glob("studies/*.yaml"))
# The data that a user has to bring.
BROUGHT = {"data/caer"}
QUICK = {name: value for name, value in SMALL.items() if name != "model"} | {"epochs": 1}
one_file = pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.stem)


def papermill(path, dataset, out):
    """Execute the training notebook with a parameter file, without our command; return the run's record."""
    options = []
    values = QUICK | {"dataset": str(dataset), "out": str(out / path.stem)}
    for name, value in values.items():
        options += ["-p", name, str(value)]
    executed = out / f"{path.stem}.ipynb"
    arguments = [NOTEBOOKS / "03_train.ipynb", executed, "-f", path, *options, "--no-progress-bar"]
    command.main([str(one) for one in arguments], standalone_mode=False)
    return read_record(out / path.stem)


@one_file
def test_it_says_in_a_comment_what_it_is_and_holds_differences_only(path):
    assert path.read_text().startswith("# ")
    values = read_yaml(path)
    parameters = check_parameters(values, str(path))
    defaults = {name: field.default for name, field in RunParameters.model_fields.items()}
    same = [name for name, value in values.items() if value == defaults[name] and name != "architecture"]
    published = hyper_parameters(parameters.architecture)
    same += [name for name, value in parameters.model.items() if value == published[name]]
    assert not same


def test_the_notebook_has_every_name_that_a_file_gives():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = set(inspect_notebook(str(NOTEBOOKS / "03_train.ipynb")))
    assert {name for path in RUN_FILES for name in read_yaml(path)} <= known


@pytest.fixture(scope="module")
def few_clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "few"
    write_synthetic_dataset(folder, 28, seed=1, n_groups=7)
    return folder


@one_file
def test_it_trains(path, few_clips, tmp_path):
    parameters = check_parameters(read_yaml(path) | QUICK | {"dataset": str(few_clips)})
    folder = train_run(parameters, tmp_path / "run", inputs=load_inputs(parameters))
    record = read_record(folder)
    assert record["status"] == "complete" and record["parameters"]["architecture"] == parameters.architecture


def test_plain_papermill_takes_a_file(few_clips, tmp_path):
    record = papermill(PARAMETERS / "ablations" / "normalisation_frame.yaml", few_clips, tmp_path)
    assert record["status"] == "complete" and record["parameters"]["normalisation"] == "frame"


@pytest.mark.slow
@one_file
def test_plain_papermill_takes_every_file(path, few_clips, tmp_path):
    assert papermill(path, few_clips, tmp_path)["status"] == "complete"


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
class TestStudyFiles:
    def test_it_is_valid_and_so_is_every_config(self, path):
        study = load_study(path)
        assert study.name == path.stem
        assert study.dataset in recipe_names() or study.dataset in BROUGHT
        for name in study.configs:
            values = config_values(study, name, path)
            fold = {"fold": "1-1"} if values.get("folds") else {}
            check_parameters(values | fold, f"{path.name}: {name}")

    def test_it_has_a_comment_and_more_than_one_seed(self, path):
        assert path.read_text().startswith("# ")
        assert len(load_study(path).seeds) >= 2


def test_every_ablation_file_is_in_the_ablation_study():
    configs = set(yaml.safe_load((PARAMETERS / "studies" / "ablations.yaml").read_text())["configs"])
    assert {path.stem for path in PARAMETERS.glob("ablations/*.yaml")} == configs - {"base"}


def test_every_architecture_file_is_in_the_architecture_study():
    configs = load_study(PARAMETERS / "studies" / "architectures.yaml").configs.values()
    assert {f"architectures/{path.stem}" for path in PARAMETERS.glob("architectures/*.yaml")} == {
        config.file for config in configs if config.file
    }


def test_people_are_in_one_split_each_and_are_tested_once_a_repeat(tiny, tmp_path):
    data = rated_copy(tiny, tmp_path / "rated")
    path, table = PARAMETERS / "studies" / "people.yaml", Dataset(data).table()
    study = load_study(path)
    assert study.dataset == "hanyang" and len(study.seeds) == 5
    study.configs = {name: study.configs[name] for name in ("majority", "deep_residual_soft")}
    runs = plan_runs(study.model_copy(update={"dataset": str(data), "seeds": [0]}), path, tmp_path / "out")
    own = [run.parameters for run in runs if run.config == "majority"]
    assert [run.fold for run in own] == repeated_folds(5, 2) and len(runs) == 20
    tested = []
    for parameters in own:
        splits = table["group_id"].groupby(split_table(table, parameters).to_numpy()).unique()
        assert sum(map(len, splits)) == len({person for people in splits for person in people}) == 12
        tested += list(splits["test"])
    assert Counter(tested) == dict.fromkeys(fold_names(table), 2)
