import re
import shutil
from dataclasses import replace

import made_studies
import numpy as np
import pytest
from made_runs import write_config

from poseemo_lib.analysis import factors
from poseemo_lib.analysis.ensembles import with_ensemble
from poseemo_lib.analysis.results import format_comparisons, load_results
from poseemo_lib.analysis.statistics import LIMITS, ONE_SEED, UNKNOWN_GROUPS
from poseemo_lib.errors import UsageError
from poseemo_lib.report import findings
from poseemo_lib.report.comparisons import comparisons
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures import architecture_comparison
from poseemo_lib.report.figures.factors import describe_leak
from poseemo_lib.report.templates import METRIC_NAMES
from poseemo_lib.text import count

WORDS = re.compile(
    r"\b(better|best|worse|worst|above|below|more|less|higher|lower|beats?|exceeds?|outperforms?|wins?|loses?|ahead|"
    r"behind|superior|inferior|surpass\w*)\b"
)
# Sentences that tests stand behind, and one that is no claim.
TESTED = (
    r"\*\*\S+\*\* is (not significantly )?better than guessing: balanced accuracy [+-]",
    r"Its accuracy is significantly (above|below) that of always predicting",
    r"\*\*\S+\*\* has a significantly (higher|lower) (recall of )?[\w-]+ than \*\*\S+\*\*",
    r"[Aa] lower mean than",
)


def random_row(rng, a="<a>", b="b&b"):
    difference = rng.normal(0, 0.2)
    half = abs(rng.normal(0, 0.2))
    limit = str(rng.choice(["", "", *LIMITS]))
    return {
        "a": a, "b": b, "metric": str(rng.choice(list(METRIC_NAMES))), "difference": difference,
        "low": difference - half, "high": difference + half, "p_holm": rng.random(),
        "significant": not limit and bool(rng.random() < 0.5), "limit": limit, "detectable": abs(rng.normal(0, 0.3)),
        "n_clips": int(rng.integers(1, 900)), "n_groups": int(rng.integers(1, 90)),
        "n_seeds_a": int(rng.integers(1, 5)), "n_seeds_b": int(rng.integers(1, 5)),
        "n_comparisons": int(rng.integers(1, 100)), "paired": bool(rng.random() < 0.8),
    }  # fmt: skip


def carries(text, row):
    """Whether a sentence has the difference, its interval and all counts."""
    interval = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    unknown = row["limit"] == UNKNOWN_GROUPS and row["n_groups"] > 1
    groups = ", groups unknown" if unknown else f" in {count(row['n_groups'], 'group')}"
    counts = f"{count(row['n_clips'], 'clip')}{groups}"
    seeds = [count(row[f"n_seeds_{end}"], "seed") for end in "ab"]
    seeds = f"{seeds[0]} each" if seeds[0] == seeds[1] else " and ".join(seeds)
    return interval in text and f"{counts}, {seeds}" in text


@pytest.mark.parametrize("seed", range(30))
def test_words_of_difference_stand_only_where_a_test_supports_them(seed):
    row = random_row(np.random.default_rng(seed))
    text = findings.pair_sentence(row)
    words = WORDS.findall(text)
    assert carries(text, row) and "**&lt;a&gt;**" in text and "**b&amp;b**" in text
    if row["significant"]:
        assert words == ["higher" if row["difference"] > 0 else "lower"]
        assert text.index("&lt;a&gt;") < text.index(words[0]) < text.index("b&amp;b")
    else:
        assert not words and ("do not differ significantly" in text) == (row["limit"] == "")
        assert ("significant" in text) == (row["limit"] == "")
        if row["limit"]:
            assert f" is not tested: {row['limit']}" in text
        assert ("optimistic, as if clips were independent: p" in text) == (row["limit"] == UNKNOWN_GROUPS)
        missed = f"a true difference under {100 * row['detectable']:.1f} points would often be missed"
        assert (missed in text) == (row["limit"] == "")


def sentences_of(results, table=None, base=""):
    """The sentences of the findings."""
    data = ReportData((results,), base)
    vars(data)["tests"] = comparisons(results, base or None) if table is None else table
    return [line.removeprefix("- ") for line in findings.findings(data).split("\n") if line]


def claims(text):
    """All pairs of which a text says that one is higher than the other: (the higher one, the lower one)."""
    found = set()
    for a, word, b in re.findall(r"\*\*(\S+?)\*\* has a significantly (higher|lower) [\w-]+ than \*\*(\S+?)\*\*", text):
        found.add((a, b) if word == "higher" else (b, a))
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    write_config(root, "floor", 0.3, architecture="majority", seeds=(0,))
    write_config(root, "trees", 0.62, architecture="extra_trees")
    for name, share in (("good", 0.93), ("fair", 0.6), ("alike", 0.6)):
        write_config(root, name, share, lr=share)
    return load_results(root)


def test_a_study_is_reported_pair_by_pair(study):
    table = comparisons(study)
    assert table.groupby("family").size().to_dict() == {"guess": 3, "baselines": 1, "networks": 3}
    assert table["n_comparisons"].tolist() == [3, 3, 3, 1, 3, 3, 3]
    sentences = sentences_of(study, table)
    text = " ".join(sentences)
    assert claims(text) == {("good", "trees"), ("good", "fair"), ("good", "alike")}
    assert claims(text) == {
        (row.a, row.b) if row.difference > 0 else (row.b, row.a)
        for row in table.query("significant and family != 'guess'").itertuples()
    }
    assert "each other:(" not in text
    assert "2 of 3 pairs of networks differ significantly in macro-F1" in text
    assert "(a) good; (b)" in text and "Against the strongest baseline: **good**" in text
    assert all("120 clips in 10 groups" in sentence for sentence in sentences[1:])


def test_pairs_that_are_not_tested_are_counted_apart(study):
    short = replace(study["alike"], runs=study["alike"].runs[:1])
    mixed = replace(study, configs=[short if config.name == "alike" else config for config in study.configs])
    table = comparisons(mixed)
    sentences = sentences_of(mixed, table)
    assert "2 pairs of networks are not tested: one seed." in sentences
    assert "1 of 1 pairs of networks differs significantly" in " ".join(sentences)
    assert mixed.ranks(table).empty and claims(" ".join(sentences)) == {("good", "trees"), ("good", "fair")}
    shown = format_comparisons(table).query("a == 'alike' or b == 'alike'")
    assert shown["significant"].tolist() == ["not tested: one seed"] * 2 and shown["p"].tolist() == ["-"] * 2
    text = " ".join(sentences_of(mixed, base="fair"))
    assert (
        "The difference between **alike** and **fair** in macro-F1 (" in text and ") is not tested: one seed." in text
    )
    assert "No significant difference in macro-F1 from" not in text


def test_with_a_base_every_other_config_is_held_against_it(study):
    table = comparisons(study, base="fair")
    assert table.groupby("family").size().to_dict() == {"guess": 3, "base": 4}
    text = " ".join(sentences_of(study, table, "fair"))
    assert claims(text) == {("good", "fair"), ("fair", "floor")}
    assert "No significant difference in macro-F1 from **fair**: **trees** (" in text and "**alike** (" in text
    assert text.split("from **fair**: ")[1].count("120 clips in 10 groups, 3 seeds each") == 1  # one sample of both
    with pytest.raises(UsageError, match="wanted one of its configs, floor, trees, .*; got 'nobody'"):
        comparisons(study, base="nobody")


def test_a_leak_is_said_first_and_how_much_it_inflates(tmp_path):
    for split, share, leaks in (("grouped", 0.5, {}), ("random", 0.9, {"augmented": 3})):
        for name, architecture in (("net", "gru"), ("floor", "majority")):
            one = share if name == "net" else 0.3
            more = {"architecture": architecture, "split": split, "leaks": leaks, "prefix": split}
            write_config(tmp_path, f"{name}_{split}", one, seeds=(0, 1, 2) if name == "net" else (0,), **more)
    results = load_results(tmp_path)
    table = comparisons(results)
    assert table.groupby("family").size().to_dict() == {"guess": 6, "splits": 2}
    sentences = sentences_of(results, table)
    assert sentences[0].startswith("Leaky split: the scores of floor_random, net_random are inflated")
    (inflated,) = [text for text in sentences if "not skill" in text]
    assert "**net_random** has a significantly higher balanced accuracy than **net_grouped**" in inflated
    assert "at least 120 clips" in inflated
    assert (
        "contains copies of test clips: the difference shows how much such an evaluation inflates the score" in inflated
    )
    assert table.set_index("family").loc["splits", "metric"].unique().tolist() == ["balanced_accuracy"]
    for text in sentences[1:]:
        if "**net_random** has" in text and "The same model, two splits" not in text:
            assert text.startswith("Leaky split, inflated scores: ")
    # Without a difference nothing is inflated.
    (floor,) = [text for text in sentences if re.search(r"\*\*floor_random\*\* and \*\*floor_grouped\*\*", text)]
    assert "not skill" not in floor and not WORDS.findall(floor)


def test_what_no_test_supports_is_said_by_no_text_of_a_report(study, tmp_path):
    """Outside the sentences of the tests such words are about means, and say so."""
    tables = study.score_table(), study.size_table()
    sizes = tables[1].assign(n_parameters=[np.nan, np.nan, 1e3, 2e3, 3e3])
    texts = [architecture_comparison.describe(tables[0], sizes)]
    kinds = {"IMBALANCE": {}, "LEAKAGE": {"leaks": made_studies.LEAKS}}
    made = {kind: load_results(made_studies.made_study(tmp_path / kind, getattr(made_studies, kind), **more))
            for kind, more in kinds.items()}  # fmt: skip
    texts.append(findings.regimes(ReportData((made["IMBALANCE"],))))
    texts.append(describe_leak(*factors.leakage_table(made["LEAKAGE"])))
    for results in (study, *made.values()):
        data = ReportData((results,))
        texts += [findings.opening(data), findings.selection(data), findings.caution(data)]
        texts.append(findings.shared_by_splits(data.best))
    assert "on the Pareto front" in texts[0]
    for text in texts:
        unsupported = re.sub("|".join(TESTED), "", text)
        assert not WORDS.findall(unsupported), text


def test_an_ensemble_is_compared_with_a_base_and_never_selected(study):
    wider = with_ensemble(study, "trees")
    assert wider.configs[-1].name == "ensemble of 3" and wider.best().name == study.best().name == "good"
    assert len(wider.runs) == len(study.runs) and factors.base_config(wider) == factors.base_config(study)
    with pytest.raises(UsageError, match="got 'nobody'"):
        with_ensemble(study, "nobody")
    # One seed of an ensemble could have been another.
    single = replace(study, configs=[replace(config, runs=config.runs[:1]) for config in study.configs])
    table = comparisons(with_ensemble(single, "trees"), base="trees").set_index("a")
    assert table.loc["ensemble of 3", "limit"] == ONE_SEED


def test_a_study_with_missing_runs_is_compared_with_a_base(tmp_path):
    """Three folds; one network lacks a fold, another one a fold of its second seed."""
    for fold in "xyz":
        values = {"split": "leave_one_group_out", "fold": fold}
        configs = {
            name: {"architecture": "gru", "lr": lr, **values}
            for lr, name in ((0.1, "first"), (0.2, "late"), (0.3, "slow"))
        }
        made_studies.made_study(tmp_path / fold, configs | {"trees": {"architecture": "extra_trees", **values}})
    shutil.rmtree(tmp_path / "z" / "slow")
    shutil.rmtree(tmp_path / "z" / "late" / "seed-1")
    results = with_ensemble(load_results(tmp_path), "trees")
    ensemble = results.configs[-1]
    assert ensemble.name == "ensemble of 2" and ensemble.seeds == [0] and len(ensemble.tested_on) == 3 * 144
    table = comparisons(results, base="trees")
    assert set(table.query("family == 'base'")["a"]) == {"first", "late", "ensemble of 2"}
    text = " ".join(sentences_of(results, table, "trees"))
    assert "tested on the same clips as slow, so there is no comparison for it" in text
