import made_studies
import pytest

from poseemo_lib.analysis.results import load_results, run_table
from poseemo_lib.report.alt_texts import describe_runs


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    configs = {"majority": {"architecture": "majority"}, "net": {}, "better": {"architecture": "bilstm", "skill": 0.9}}
    return load_results(made_studies.made_study(tmp_path_factory.mktemp("runs"), configs))


def test_a_row_is_a_run_with_the_scores_of_its_own_clips(results):
    table = run_table(results)
    assert len(table) == 6 and table["n_parameters"].isna().sum() == 2
    for row in table.itertuples():
        run = next(run for run in results.runs if (run.config, run.seed) == (row.config, row.seed))
        answered = run.predictions("test").filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
        assert row.test_accuracy == pytest.approx((answered == run.predictions("test")["label"]).mean())
    by_config = table.groupby("config")["test_macro_f1"].mean()
    scores = results["better"].scores.scores.set_index("metric")["mean"]
    assert by_config["better"] == pytest.approx(scores["macro_f1"])


def test_its_text_names_the_best_on_validation(results):
    table = run_table(results)
    best = table.sort_values("val_macro_f1").iloc[-1]
    assert f"Best on validation: better, seed {best['seed']}" in describe_runs(table)
    assert f"{100 * best['test_macro_f1']:.1f} % on the test part" in describe_runs(table)
