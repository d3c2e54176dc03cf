import json
import shutil
from datetime import UTC, datetime, timedelta

import made_studies
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawings import overlapping, written
from sklearn.metrics import f1_score

from poseemo_lib.data.dataset import Dataset
from poseemo_lib.report.data import load_report_data
from poseemo_lib.report.figures import architecture_comparison, data_distribution, improvement_timeline

CONFIGS = {
    "majority": {"architecture": "majority"},
    "net": {"architecture": "bilstm", "skill": 0.6},
    "other": {"architecture": "gru", "skill": 0.2},
}
MODULES = [data_distribution, architecture_comparison, improvement_timeline]


@pytest.fixture
def runs(tmp_path):
    return made_studies.made_study(tmp_path / "runs", CONFIGS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same study, which no test changes."""
    return load_report_data(made_studies.made_study(tmp_path_factory.mktemp("whole") / "runs", CONFIGS))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def drawn(module, runs):
    figure, text, data = module.draw(load_report_data(runs))
    words = [one.get_text() for one in written(figure)]
    plt.close(figure)
    return words, text, data


def note(figure):
    return " ".join(figure.get_supxlabel().split())


def edit_records(runs, change):
    for path in sorted(runs.rglob("run.json")):
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))


def test_clips_are_those_of_the_split_and_shares_add_up(runs):
    words, text, data = drawn(data_distribution, runs)
    split = pd.read_parquet(runs / "net" / "seed-0" / "split.parquet")
    table = data["clips"].set_index("class")
    for part in ("train", "val", "test"):
        rows = split[split["part"] == part]
        assert table[f"{part}_clips"].sum() == len(rows) and table[f"{part}_share"].sum() == pytest.approx(1)
        assert table.loc["fear", f"{part}_clips"] == (rows["label"] == "fear").sum()
        assert table.loc["fear", f"{part}_groups"] == rows[rows["label"] == "fear"]["group_id"].nunique()
    assert "missing" not in data and any("The dataset of these runs was not found" in word for word in words)
    assert f"fear: train {table.loc['fear', 'train_clips']} in" in text


def test_what_was_not_run_is_a_row_that_says_so(runs):
    planned = [
        {
            "config": path.parents[1].name,
            "identity": json.loads(path.read_text())["identity"],
            "folder": str(path.parent),
        }
        for path in sorted(runs.rglob("run.json"))
    ]
    (runs / "study.json").write_text(json.dumps({"runs": planned}))
    assert not load_report_data(runs).results.not_run
    shutil.rmtree(runs / "other")
    after, text, data = drawn(architecture_comparison, runs)
    assert after.count("not run") == 3 and "Not run: other" in text
    assert any("1 to 2 seeds a config" in word for word in after)  # not 0, of what was not run
    assert data["scores"].query("config == 'other'")["mean"].isna().all()
    assert any("other" in word for word in after) or "other" in set(data["scores"]["config"])


def test_what_has_no_row_or_no_point_is_named(runs, tmp_path):
    figure, text, _ = architecture_comparison.draw(load_report_data(runs, base="net"))
    assert "Not drawn against size, size or score unknown: ensemble" in note(figure)
    leaky = made_studies.made_study(tmp_path / "leaky", made_studies.LEAKAGE, leaks=made_studies.LEAKS)
    figure, text, data = architecture_comparison.draw(load_report_data(leaky))
    left = "Not comparable, tested on other clips: majority_random, net_random."
    assert left in note(figure) and left in text
    assert set(data["scores"]["config"]) == {"majority_grouped", "net_grouped"}


@pytest.mark.parametrize("module", [architecture_comparison, improvement_timeline])
def test_a_changed_prediction_changes_the_data(module, runs, whole):
    before = module.draw(whole).data
    path = runs / "net" / "seed-0" / "predictions.parquet"
    table = pd.read_parquet(path)
    names = [name for name in table.columns if name.startswith("p_")]
    table.loc[:, names] = [1.0] + [0.0] * (len(names) - 1)
    table.to_parquet(path)
    _, _, after = drawn(module, runs)
    name = "runs" if module is improvement_timeline else "scores"
    changed = (before[name] != after[name]) & before[name].notna()
    assert set(before[name].loc[changed.any(axis=1), "config"]) == {"net"}


def test_bars_are_the_means_over_seeds_and_the_chosen_name_is_bold(whole):
    figure, text, data = architecture_comparison.draw(whole)
    bold = [name.get_text() for name in figure.axes[0].get_yticklabels() if name.get_fontweight() == "bold"]
    assert bold == [whole.best.name] and "Bold: chosen by validation." in note(figure)
    assert not overlapping(figure)
    means = data["seeds"].query("metric == 'macro_f1'").groupby("config")["value"].mean()
    drawn_means = data["scores"].query("metric == 'macro_f1'").set_index("config")["mean"]
    pd.testing.assert_series_equal(means, drawn_means.loc[means.index], check_names=False)
    assert f"net {100 * means['net']:.1f} %" in text


def test_the_line_follows_validation_in_the_order_of_the_time_stamps(runs):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    order = {("other", 1): 1, ("net", 0): 2, ("majority", 0): 3, ("other", 0): 4, ("net", 1): 5, ("majority", 1): 6}

    def stamp(record):
        minute = order[record["config"], record["parameters"]["seed"]]
        record |= {"started": start.isoformat(), "finished": (start + timedelta(minutes=minute)).isoformat()}
        record["seconds"] = 60.0

    edit_records(runs, stamp)
    words, text, data = drawn(improvement_timeline, runs)
    table = data["runs"]
    # One seed stands for a baseline without chance in it.
    assert list(zip(table["config"], table["seed"], strict=True)) == sorted(order, key=order.get)[:5]
    assert list(table["x"]) == [1, 2, 3, 4, 5] and any("minutes since" in word for word in words)
    best = -1.0
    for row in table.itertuples():
        assert row.is_new_best == (row.val > best)
        best = max(best, row.val)
    config = load_report_data(runs).results["net"]
    scores = config.scores.scores.set_index("metric")["mean"]
    assert table.query("config == 'net'")["test"].mean() == pytest.approx(scores["macro_f1"])
    assert "net, seed 0" in text


def test_no_baseline_and_no_leak_is_the_best_so_far(tmp_path):
    configs = made_studies.LEAKAGE | {"forest": {"architecture": "extra_trees", "skill": 0.99}}
    runs = made_studies.made_study(tmp_path / "runs", configs, leaks=made_studies.LEAKS)
    words, text, data = drawn(improvement_timeline, runs)
    table = data["runs"]
    assert set(table["config"]) == {"majority_grouped", "net_grouped", "forest"}
    assert set(table[table["is_new_best"]]["config"]) == {"net_grouped"} and "net_random" not in text
    said = " ".join(words).replace("\n", " ")
    assert "2 configs with other test clips or a leak left out" in said and "leaky split" not in said
    validation = load_report_data(runs).best.validation_macro_f1
    assert f"net_grouped is chosen, by its mean over 2 seeds: {100 * validation:.1f} % on validation" in said


def test_folds_are_one_value_when_the_last_was_finished(tmp_path):
    runs = made_studies.made_study(tmp_path / "runs", {"net": {"skill": 0.6}}, seeds=(0,))
    whole = runs / "net" / "seed-0"
    predictions = pd.read_parquet(whole / "predictions.parquet")
    (runs / "net" / "fold-b").mkdir()
    shutil.copytree(whole, runs / "net" / "fold-b", dirs_exist_ok=True)
    half = predictions["group_id"].str.endswith(("0", "1", "2"))
    for folder, fold, rows, minute in ((whole, "a", half, 7), (runs / "net" / "fold-b", "b", ~half, 3)):
        predictions[rows].to_parquet(folder / "predictions.parquet")
        record = json.loads((folder / "run.json").read_text())
        record["parameters"]["fold"] = fold
        record["finished"] = f"2026-01-01T00:0{minute}:00+00:00"
        record["seconds"] = 400.0
        (folder / "run.json").write_text(json.dumps(record))
    words, _, data = drawn(improvement_timeline, runs)
    (row,) = data["runs"].to_dict("records")
    assert row["x"] == 7 and "pooled over its folds" in " ".join(words)
    for part in ("val", "test"):
        rows = predictions[predictions["split"] == part]
        answers = rows.filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
        assert row[part] == pytest.approx(f1_score(rows["label"], answers, average="macro"))


def test_joints_are_counted_where_the_dataset_is_found(tiny, tmp_path):
    runs = made_studies.made_study(tmp_path / "runs", {"net": {"dataset": str(tiny)}}, seeds=(0,))
    content = Dataset(tiny).info.content_hash
    edit_records(runs, lambda record: record["dataset"].update(content_hash=content))
    seen = [(clip.keypoints[:, :, 15, 2] > 0).ravel() for clip in Dataset(tiny).clips()]
    _, text, data = drawn(data_distribution, runs)
    share = data["missing"].set_index("joint").loc["left_ankle", "share"]
    assert share == pytest.approx(1 - np.concatenate(seen).mean())
    assert f"in {100 * data['missing']['share'].max():.0f} % of the frames" in text


def test_baselines_alone_have_a_best(tmp_path):
    configs = {"majority": {"architecture": "majority"}, "forest": {"architecture": "extra_trees"}}
    _, _, data = drawn(improvement_timeline, made_studies.made_study(tmp_path / "runs", configs))
    assert data["runs"]["is_new_best"].any()


def test_the_headline_tells_training_from_test(runs):
    for path in runs.rglob("split.parquet"):
        split = pd.read_parquet(path)
        enough = split[(split["part"] == "train") & (split["label"] != "fear")].groupby("label").head(3)
        pd.concat([enough, split[split["part"] != "train"]]).to_parquet(path)
    words, _, data = drawn(data_distribution, runs)
    share = data["clips"].set_index("class")["test_share"]
    training, test = next(word for word in words if word.startswith("Training")).split("; ")
    assert training.endswith(" 17 % to fear 0 % of the clips")
    ends = [f"{name} {100 * share[name]:.0f} %" for name in (share.idxmax(), share.idxmin())]
    assert test == f"test: {ends[0]} to {ends[1]} of the clips"


def test_the_figure_of_the_data_writes_every_count_and_names_shared_groups(runs):
    material = load_report_data(runs)
    for path in runs.rglob("split.parquet"):
        split = pd.read_parquet(path)
        split.loc[split["group_id"] == "val-0", "group_id"] = "train-0"
        split.to_parquet(path)
    figure, _, data = data_distribution.draw(material)
    shares = figure.axes[1]
    counts = data["clips"][["train_clips", "val_clips", "test_clips"]].to_numpy()
    assert [label.get_text() for label in shares.get_yticklabels()] == [" / ".join(map(str, row)) for row in counts]
    assert "1 group with clips in more than one part: a leak" in figure.get_supxlabel()
    right = shares.get_xlim()[1]
    assert all(max(line.get_xdata()) <= right for line in shares.lines)
    figure.canvas.draw()
    for ax in figure.axes[:2]:  # a legend on no data
        assert ax.get_legend().get_window_extent().y1 < ax.bbox.y0
    assert not overlapping(figure)


@pytest.mark.parametrize("module", [data_distribution, improvement_timeline])
def test_no_texts_overlap(module, whole):
    figure, _, _ = module.draw(whole)
    assert not overlapping(figure)


def test_a_study_that_stood_still_is_drawn_by_number(runs):
    edit_records(runs, lambda record: record.update(started="2025-01-01T00:00:00+00:00"))
    words, _, data = drawn(improvement_timeline, runs)
    assert list(data["runs"]["x"]) == [1, 2, 3, 4, 5] and any("number of the run" in word for word in words)


def test_runs_of_one_time_are_drawn_side_by_side(runs):
    _, _, data = drawn(improvement_timeline, runs)
    assert list(data["runs"]["x"]) == [1, 2, 3, 4, 5]


def test_a_class_without_test_clips_is_drawn_whole(runs):
    for path in runs.rglob("split.parquet"):
        split = pd.read_parquet(path)
        split[(split["part"] != "test") | (split["label"] != "fear")].to_parquet(path)
    figure, _, data = data_distribution.draw(load_report_data(runs))
    assert data["clips"].set_index("class").loc["fear", ["test_clips", "test_share", "test_groups"]].eq(0).all()
    assert figure.axes[1].get_xlim()[0] < 0


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    "configs",
    [{"majority": {"architecture": "majority"}}, {"net": {}}, made_studies.LEAKAGE],
    ids=["baseline", "network", "leaks"],
)
def test_odd_studies_are_drawn(module, configs, tmp_path):
    runs = made_studies.made_study(tmp_path / "runs", configs, seeds=(0,), n_groups=3, per_group=6)
    words, text, data = drawn(module, runs)
    assert len(text) > 30 and data and any("synthetic data" in word for word in words)
