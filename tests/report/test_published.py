import dataclasses
import json

import made_studies
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from poseemo_lib.analysis.results import load_results
from poseemo_lib.paths import PROJECT
from poseemo_lib.report import published
from poseemo_lib.report.data import load_report_data
from poseemo_lib.training.metrics import scores_from_confusion

# Trained as published, but for the split, which is not compared.
DEEP = published.recipe().base | {"split": "grouped", "allow_leak": False}
CONFIGS = {
    "floor": {"architecture": "majority"},
    "recurrent": {**DEEP, "architecture": "gru"},
    "transformer": {**DEEP, "architecture": "gru", "model": {"hidden": 64}},  # its name lies
    "plain": DEEP,
    "flip only": {**DEEP, **{name: 0.0 for name in made_studies.AUGMENTATION if name != "flip"}},
    "narrow": {**DEEP, "model": {"hidden": 128}, "lr": 1e-3},
    "unsampled": {**DEEP, "architecture": "conv1d", "sampler": "uniform"},
    "leaky": {**DEEP, "architecture": "multiscale", "split": "random", "allow_leak": True},
}


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    made_studies.made_study(root / "nets", CONFIGS, leaks=made_studies.LEAKS)
    made_studies.made_study(root / "rare", made_studies.IMBALANCE)
    return load_report_data([root / "nets", root / "rare"])


@pytest.fixture(scope="module")
def table(studied):
    return published.side_by_side(studied.studies)


def copied(studied, root, old, new):
    """The same studies with another text in every record."""
    import shutil

    folders = []
    for study in studied.studies:
        folders.append(shutil.copytree(study.root, root / study.root.name))
        for path in folders[-1].rglob("run.json"):
            path.write_text(path.read_text().replace(old, new))
    return load_report_data(folders)


def row_of(table, name):
    (row,) = table[table["name"] == name].to_dict("records")
    return row


def test_the_counts_are_those_of_the_published_study():
    clips = published.class_counts()
    assert clips.sum().to_dict() == {"train": 7108, "test": 889} and clips.loc["neutral", "test"] == 284
    confusion = np.array(published.published()["confusion"]["counts"])
    assert list(confusion.sum(1)) == list(clips["test"])
    scores = {name: round(float(value), 5) for name, value in scores_from_confusion(confusion).items()}
    expected = {"accuracy": 0.31159, "balanced_accuracy": 0.25901, "macro_f1": 0.26598, "macro_precision": 0.31770}
    assert scores.items() >= expected.items()
    assert (round(scores["kappa"], 4), round(scores["mcc"], 4)) == (0.1233, 0.1267)
    of = published.published()["confusion"]["of"]
    assert row_of(published.published_numbers(), of)["correct"] == confusion.trace()


def test_intervals_and_tests_follow_from_the_counts():
    table = published.published_numbers()
    highest = table.loc[table["published"].idxmax()]
    assert highest["name"] == "deep_residual, pre-activation" and highest["correct"] == 302
    p, n, z = 302 / 889, 889, 1.959964
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    wilson = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    assert (highest["published_low"], highest["published_high"]) == pytest.approx(wilson, abs=1e-6)
    assert highest["p"] == pytest.approx(0.1045, abs=5e-4)
    np.testing.assert_allclose(table["p_holm"], multipletests(table["p"], method="holm")[1])
    assert not table["above"].any()
    # Each printed percentage is that of its count, and of no other.
    printed = [entry["percent"] for group in published.published()["accuracies"].values() for entry in group]
    for text, count in zip(printed, table["correct"], strict=True):
        near = [f"{100 * one / 889:.{len(text.partition('.')[2])}f}" for one in (count - 1, count, count + 1)]
        assert [one == text for one in near] == [False, True, False]


def test_our_config_is_found_by_its_settings_and_not_by_its_name(table):
    configs = {row["name"]: row["config"] for row in table.to_dict("records") if row["config"]}
    assert configs == {
        "gru": "recurrent",
        "deep_residual, standard": "plain",
        "standard block, attention, hidden 256, 4 blocks": "plain",
        "hidden 128": "narrow",
        "class weights and balanced sampler (the bug)": "twice",
        "balanced sampler alone (the fix)": "sampler",
        "focal loss": "focal",
    }
    assert row_of(table, "hidden 128")["differs_in"] == "lr" and row_of(table, "gru")["differs_in"] == ""
    # One study for all regimes, though its training is ours and `plain` is nearer.
    for name in ("focal loss", "balanced sampler alone (the fix)"):
        assert row_of(table, name)["study"] == "rare" and "standardise" in row_of(table, name)["differs_in"]


def test_the_nearest_of_several_configs_stands_there(studied):
    only = [config for config in studied.results.configs if config.name in ("floor", "flip only")]
    part = dataclasses.replace(studied, studies=(dataclasses.replace(studied.results, configs=only),))
    row = row_of(published.side_by_side(part.studies), "deep_residual, standard")
    assert (row["config"], row["differs_in"]) == ("flip only", "augmentation")


def test_our_numbers_are_those_of_the_predictions(studied, table):
    row, accuracies, shares = row_of(table, "gru"), [], []
    for seed in (0, 1):
        one = pd.read_parquet(studied.results.root / "recurrent" / f"seed-{seed}" / "predictions.parquet")
        one = one[one["split"] == "test"]
        answers = one.filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
        accuracies.append((answers == one["label"]).mean())
        shares.append(one["label"].value_counts(normalize=True).max())
    assert row["accuracy"] == pytest.approx(np.mean(accuracies)) and row["low"] < row["accuracy"] < row["high"]
    assert row["majority_share"] == pytest.approx(shares[0]) == pytest.approx(shares[1])
    assert (row["dataset"], row["synthetic"], row["unit"]) == ("made", True, "clip")


def test_without_caer_nothing_is_reproduced(studied, table, tmp_path):
    assert set(table["reproduced"]) == {"no: needs the published clips"}
    text = published.summary(table)
    assert "0 of 26 published accuracies are significantly above" in text and "(284/889 = 31.9 %)" in text
    assert "34.0 [30.9, 37.1] %" in text and "p = 0.10 before" in text and "None could be reproduced" in text
    # A name decides nothing.
    real = copied(studied, tmp_path, '"name": "made", "content_hash": "h", "synthetic": true',
                  '"name": "CAER", "content_hash": "h", "synthetic": false')  # fmt: skip
    assert set(published.side_by_side(real.studies)["reproduced"]) == {"no: needs the published clips"}


def published_clips(counts):
    """Make clips of a split, in groups of 12, with these numbers of clips for each class."""

    def clips(part, split, n_groups, per_group):
        labels = counts[part].index.repeat(counts[part])
        names = [f"{part}-{i}" for i in range(len(labels))]
        groups = [f"{part}-{i // 12}" for i in range(len(labels))]
        return pd.DataFrame({"clip_id": names, "part": part, "label": labels, "group_id": groups, "source_id": names})

    return clips


def test_on_the_published_clips_the_intervals_decide(studied, tmp_path, monkeypatch):
    counts = published.class_counts().assign(val=lambda table: table["test"])
    moved = counts.copy()
    moved.loc["angry", "test"], moved.loc["sad", "test"] = counts.loc["sad", "test"], counts.loc["angry", "test"]
    nets = {name: CONFIGS[name] for name in ("floor", "recurrent", "leaky")}
    for name, clips, synthetic in (("nets", counts, False), ("other", moved, False), ("drawn", counts, True)):
        monkeypatch.setattr(made_studies, "_clips", published_clips(clips))
        made_studies.made_study(tmp_path / name, nets, seeds=[0], leaks=made_studies.LEAKS)
        for path in (tmp_path / name).rglob("run.json"):
            record = json.loads(path.read_text())
            record["dataset"] |= {"name": "mine", "synthetic": synthetic}
            path.write_text(json.dumps(record))
    studies = {name: load_results(tmp_path / name) for name in ("nets", "other", "drawn")}
    for name in ("other", "drawn"):
        row = row_of(published.side_by_side([studies[name]]), "gru")
        assert row["config"] == "recurrent" and row["reproduced"] == published.NEEDS_DATA
    table = published.side_by_side([studies["nets"], *studied.studies])
    assert row_of(table, "transformer")["reproduced"] == "no: not run on the published clips"
    assert row_of(table, "focal loss")["reproduced"] == published.NOT_RUN and row_of(table, "focal loss")["config"]
    # The published split leaked, so here a leak is no reason to leave a config out.
    assert set(table.loc[table["same_clips"], "config"]) == {"recurrent", "leaky"}
    for row in table[table["same_clips"]].to_dict("records"):
        apart = row["low"] > row["published_high"] or row["high"] < row["published_low"]
        assert row["reproduced"] == (published.APART if apart else published.OVERLAP)
    counts = table["reproduced"].value_counts()
    assert counts[published.APART] >= 1
    assert f"{counts[published.APART]} do not, and {counts[published.NOT_RUN]} were not run" in (
        published.summary(table)
    )


def test_the_table_for_reading_says_what_was_not_run(table):
    shown = published.format_side_by_side(table)
    assert len(shown) == len(table)
    assert list(shown["our config"] == "not run") == list(table["config"] == "")
    assert (
        shown["published accuracy"].iloc[0] == "34.0 [30.9, 37.1]" and shown["p, against always neutral"][0] == "0.104"
    )
    assert "recurrent (nets)" in set(shown["our config"]) and "made, synthetic" in set(shown["our data"])


def test_the_faults_are_told_with_their_numbers():
    faults = published.what_was_wrong()
    text = " ".join(wrong for wrong, _ in faults)
    for words in (
        *("302/889 = 33.97 %", "30.9 to 37.1", "284/889 = 31.95 %", "p = 0.10", "neutral for 72 %", "22.1"),
        *("277/889 = 31.16 %, balanced accuracy 25.9", "31.16 in one run and 29.02", "17.5 %, and 31.4 % without"),
    ):
        assert words in text
    assert len(faults) >= 10 and all(wrong and ours for wrong, ours in faults)
    assert not {"{", "}"} & set(text + " ".join(ours for _, ours in faults))


def test_the_table_in_the_documentation_is_that_of_the_file():
    text = (PROJECT / "docs" / "method.md").read_text(encoding="utf-8")
    lines = {tuple(part.strip() for part in line.strip("|").split("|")) for line in text.splitlines() if "|" in line}
    for row in published.published_numbers().to_dict("records"):
        low, high = 100 * row["published_low"], 100 * row["published_high"]
        wanted = (row["name"], f"{row['correct']}", f"{100 * row['published']:.1f}", f"{low:.1f} to {high:.1f}")
        assert (*wanted, f"{row['p']:.2f}") in lines
