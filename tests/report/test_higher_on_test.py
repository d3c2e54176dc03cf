"""The opening names a config that scores higher on test than the one that validation chose."""

import made_studies
import pytest
from made_runs import write_cell

from poseemo_lib.analysis.results import load_results
from poseemo_lib.report import wording
from poseemo_lib.report.findings import comparisons, higher_on_test
from poseemo_lib.report.material import load_material


def macro_f1(results, name):
    return results[name].scores.scores.set_index("metric").loc["macro_f1", "mean"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Validation prefers `chosen`; `lucky` and `<other>` are ahead on test, the first by far."""
    root = tmp_path_factory.mktemp("study")
    write_cell(root, "chosen", 0.5, val_share=0.95)
    write_cell(root, "lucky", 0.95, val_share=0.4)
    write_cell(root, "<other>", 0.7, val_share=0.3)
    write_cell(root, "last", 0.1, val_share=0.1)
    return root


def test_the_highest_is_named_with_what_the_tests_say(root):
    results = load_results(root)
    tests = comparisons(results, n_bootstrap=500)
    pair = tests[(tests["a"].isin(["lucky", "chosen"])) & (tests["b"].isin(["lucky", "chosen"]))].iloc[0]
    assert pair["significant"]
    (text,) = higher_on_test(results, tests)
    points = 100 * (macro_f1(results, "lucky") - macro_f1(results, "chosen"))
    assert text.startswith(
        f"**lucky** scores higher on the test part, as does 1 more (macro-F1 {100 * macro_f1(results, 'lucky'):.1f} %, "
        f"difference {points:+.1f} points ["
    )
    low, high = sorted(abs(100 * pair[end]) for end in ("low", "high"))
    assert f"[+{low:.1f}, +{high:.1f}]; significantly apart: p < 0.001 after Holm's correction for 6 " in text
    assert text.endswith("): choosing it now would be choosing on test.")


def test_it_is_a_line_of_the_opening_and_only_there_where_a_score_is_higher(root, tmp_path):
    material = load_material(root)
    assert higher_on_test(material.main, material.tests)[0] in wording.opening(material).split("\n\n")
    for name, share in (("best", 0.9), ("other", 0.4)):
        write_cell(tmp_path / "plain", name, share)
    assert "choosing on test" not in wording.opening(load_material(tmp_path / "plain"))


def test_one_seed_is_no_claim_and_names_are_escaped(tmp_path):
    write_cell(tmp_path, "chosen", 0.5, val_share=0.95, seeds=[0])
    write_cell(tmp_path, "<b>", 0.95, val_share=0.4, seeds=[0])
    results = load_results(tmp_path)
    (text,) = higher_on_test(results, comparisons(results, n_bootstrap=200))
    assert "**&lt;b&gt;** scores higher on the test part (macro-F1" in text
    assert "; not significantly apart: one seed of a network ranks nothing): " in text


def test_a_pair_that_was_not_planned_is_tested_here(root):
    results = load_results(root)
    held = comparisons(results, "last", n_bootstrap=200)
    assert set(held["b"]) == {"last"}
    assert "after Holm's correction for 3 comparisons" in higher_on_test(results, held)[0]


def test_a_baseline_that_is_ahead_counts_too(tmp_path):
    configs = {"trees": {"architecture": "extra_trees", "skill": 0.9}, "net": {"skill": 0.4}}
    results = load_results(made_studies.made_study(tmp_path / "study", configs))
    (text,) = higher_on_test(results, comparisons(results, n_bootstrap=200))
    assert text.startswith("**trees** scores higher") and results.best().name == "net"
