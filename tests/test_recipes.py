import pytest
import yaml

from poseemo_lib import recipes
from poseemo_lib.dataset import Dataset
from poseemo_lib.errors import UsageError


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


def test_a_recipe_is_made_once_and_found_by_both_names(room):
    folder = recipes.ensure_dataset("mine")
    assert len(Dataset(folder)) == 40 and Dataset(folder).info.name == "mine"
    made = Dataset(folder).info.created
    assert recipes.ensure_dataset("data/mine") == folder and Dataset(folder).info.created == made


def test_a_changed_recipe_is_not_silently_ignored_and_nothing_is_removed(room):
    folder = recipes.ensure_dataset("mine")
    write_recipe(room, {"command": "synth", "n_clips": 50, "n_groups": 10})
    with pytest.raises(UsageError, match="was made by other settings.*move it away"):
        recipes.ensure_dataset("mine")
    assert len(Dataset(folder)) == 40


def test_an_interrupted_recipe_is_made_again(room):
    folder = room / "data" / "mine"
    recipes.ensure_dataset("mine")
    info = (folder / "dataset.json").read_text()
    (folder / "dataset.json").write_text(info.replace('"complete": true', '"complete": false'))
    recipes.ensure_dataset("mine")
    assert Dataset(folder).info.complete


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"command": "bake"}, "command: wanted synth or import, got 'bake'"),
        ({"command": "synth", "n_clip": 3}, "n_clip: unknown argument of synth; did you mean n_clips?"),
        ({"command": "synth"}, "recipe wrong: synth wants n_clips too"),
        ({"command": "import", "format": "bvh"}, "import wants src, label_pattern too"),
        ({"command": "import", "format": "bvh", "src": "no/where", "label_pattern": "(?P<label>x)"}, "found none"),
    ],
)
def test_a_wrong_recipe_is_named_and_leaves_nothing(room, recipe, message):
    write_recipe(room, recipe, "wrong")
    with pytest.raises(UsageError) as error:
        recipes.ensure_dataset("wrong")
    assert message in str(error.value)
    assert not (room / "data" / "wrong").exists()


def test_what_is_neither_a_folder_nor_a_recipe_lists_the_recipes(room):
    with pytest.raises(UsageError, match=r"other: wanted a dataset's folder or a recipe \(mine\), found neither"):
        recipes.ensure_dataset("other")
