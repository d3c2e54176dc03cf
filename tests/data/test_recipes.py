import json
import shutil

import pytest
import yaml

from poseemo_lib.data import recipes
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.synthetic import write_synthetic_dataset
from poseemo_lib.errors import PoseemoError, UsageError


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A project folder of our own, with one recipe."""
    (tmp_path / "parameters" / "datasets").mkdir(parents=True)
    monkeypatch.setattr(recipes, "PROJECT", tmp_path)
    monkeypatch.setattr(recipes, "PARAMETERS", tmp_path / "parameters")
    write_recipe(tmp_path, {"command": "synth", "n_clips": 40, "n_groups": 10})
    return tmp_path


def write_recipe(room, recipe, name="mine"):
    (room / "parameters" / "datasets" / f"{name}.yaml").write_text(yaml.safe_dump(recipe))


def test_a_recipe_is_made_once_and_a_changed_one_removes_nothing(room):
    folder = recipes.ensure_dataset("mine")
    assert len(Dataset(folder)) == 40 and Dataset(folder).info.name == "mine"
    made = Dataset(folder).info.created
    assert recipes.ensure_dataset("data/mine") == folder and Dataset(folder).info.created == made
    write_recipe(room, {"command": "synth", "n_clips": 50, "n_groups": 10})
    with pytest.raises(UsageError, match="was made by other settings.*move it away"):
        recipes.ensure_dataset("mine")
    assert len(Dataset(folder)) == 40


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"command": "bake"}, "command: wanted synth, import, enhance, got 'bake'"),
        ({"command": "synth", "n_clip": 3}, "n_clip: unknown argument of synth; did you mean n_clips?"),
        ({"command": "synth"}, "recipe wrong: synth wants n_clips too"),
        ({"command": "enhance"}, "recipe wrong: enhance wants dataset too"),
        ({"command": "enhance", "dataset": "wrong"}, "wanted another dataset to enhance, got wrong -> wrong"),
        ({"command": "enhance", "dataset": "no/where"}, "no/where: wanted a dataset's folder or a recipe"),
        ({"command": "import", "format": "bvh", "src": "no/where", "label_pattern": "(?P<label>x)"}, "found none"),
    ],
)
def test_a_wrong_recipe_is_named_and_leaves_nothing(room, recipe, message):
    write_recipe(room, recipe, "wrong")
    with pytest.raises(UsageError) as error:
        recipes.ensure_dataset("wrong")
    assert message in str(error.value)
    # What the recipe enhances may have been made.
    assert {path.name for path in (room / "data").iterdir()} - {"mine", ".mine.lock"} == {".wrong.lock"}


def test_faulty_recordings_fail_every_time_and_leave_nothing(room):
    for name in ("happy_1", "sad_1"):
        (room / "src" / name).mkdir(parents=True)
        person = {"pose_keypoints_2d": [50.0, 60.0, 0.9] * 25}
        (room / "src" / name / "a_0_keypoints.json").write_text(json.dumps({"people": [person]}))
    broken = room / "src" / "sad_1" / "a_0_keypoints.json"
    sound = broken.read_text()
    broken.write_text("{")
    recipe = {"command": "import", "format": "openpose", "src": str(room / "src")}
    write_recipe(room, recipe | {"label_pattern": "^(?P<label>[a-z]+)"}, "films")
    for _ in range(2):
        with pytest.raises(PoseemoError, match="recipe films: 1 recordings failed.*damaged JSON"):
            recipes.ensure_dataset("films")
        assert [path.name for path in (room / "data").iterdir()] == [".films.lock"]
    broken.write_text(sound)
    dataset = Dataset(recipes.ensure_dataset("films"))
    assert len(dataset) == 2 and dataset.info.name == "films"


def test_what_a_killed_call_left_is_made_again(room):
    made = Dataset(recipes.ensure_dataset("mine")).info.content_hash
    folder, unfinished = room / "data" / "mine", room / "data" / ".tmp-mine"
    for kept in (["dataset.json"], [], ["recipe.yaml"]):
        folder.rename(unfinished)
        (unfinished / "planted.parquet").unlink()
        if "dataset.json" not in kept:  # killed between two steps of an older version
            folder.mkdir()
            for name in kept:
                shutil.copy(unfinished / name, folder)
        assert Dataset(recipes.ensure_dataset("mine")).info.content_hash == made
        assert not unfinished.exists() and (folder / "planted.parquet").exists()


def test_a_dataset_in_the_working_directory_goes_before_a_recipe(room, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    (elsewhere / "mine").mkdir()  # a folder without a dataset is none
    made = recipes.ensure_dataset("mine")
    assert made == recipes.ensure_dataset("data/mine") == str(room / "data" / "mine")
    for place in ("mine", "data/mine"):
        write_synthetic_dataset(elsewhere / place, 3)
        assert recipes.ensure_dataset(place) == str(elsewhere / place)
    # In the project itself the path is the recipe's own dataset, which is still checked.
    monkeypatch.chdir(room)
    write_recipe(room, {"command": "synth", "n_clips": 50, "n_groups": 10})
    with pytest.raises(UsageError, match="was made by other settings"):
        recipes.ensure_dataset("data/mine")


def test_what_is_neither_a_folder_nor_a_recipe_lists_the_recipes(room):
    with pytest.raises(UsageError, match=r"other: wanted a dataset's folder or a recipe \(mine\), found neither"):
        recipes.ensure_dataset("other")


def test_an_enhanced_dataset_has_its_source_made_first_and_follows_its_recipe(room):
    write_recipe(room, {"command": "enhance", "dataset": "mine", "split": "grouped", "target": 0.5}, "more")
    made = Dataset(recipes.ensure_dataset("data/more"))
    source = Dataset(room / "data" / "mine")
    assert made.info.name == "more" and made.info.recipe["made_from"]["content_hash"] == source.info.content_hash
    assert len(made) > len(source) == 40
    assert recipes.ensure_dataset("more") == made.root
    # Another recipe of the source makes the copies of the old one out of date.
    write_recipe(room, {"command": "synth", "n_clips": 50, "n_groups": 10})
    with pytest.raises(UsageError, match="more: was made by other settings"):
        recipes.ensure_dataset("more")


def test_a_page_about_a_dataset_that_no_recipe_makes_is_named(room):
    (room / "docs").mkdir()
    (room / "docs" / "films.md").write_text("how to get it")
    with pytest.raises(UsageError, match=r"data/films: wanted a dataset's folder.*; docs/films.md says how to get it"):
        recipes.ensure_dataset("data/films")
