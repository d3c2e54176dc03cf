"""The completed runs of a study as one table."""

import pandas as pd

from poseemo_lib.analysis.results import Results

TEST_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "ece")


def run_table(results: Results) -> pd.DataFrame:
    """Give one row a completed run, in the order in which the runs finished.

    Parameters
    ----------
    results : Results

    Returns
    -------
    DataFrame
        config, architecture, seed, fold, finished (UTC), n_parameters and best_epoch (NaN for baselines), seconds,
        val_macro_f1, and test_accuracy, test_balanced_accuracy, test_macro_f1, test_ece: shares, 0 to 1, as in the
        run's `metrics.json`. With folds they are those of one fold's part alone.
    """
    rows = []
    for run in results.runs:
        record, metrics = run.record, run.metrics()
        row = {"config": run.config, "architecture": record["parameters"]["architecture"], "seed": run.seed}
        row |= {"fold": run.fold, "finished": record["finished"]}
        row |= {name: record.get(name) for name in ("n_parameters", "best_epoch", "seconds")}
        row |= {"val_macro_f1": metrics["val"]["macro_f1"]}
        rows.append(row | {f"test_{name}": metrics["test"][name] for name in TEST_SCORES})
    table = pd.DataFrame(rows).astype({"n_parameters": float, "best_epoch": float})
    return table.sort_values(["finished", "config", "seed"], kind="stable", ignore_index=True)


def readable_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Give the runs of networks in few columns with names and units to read: scores of the test part, in percent.

    Parameters
    ----------
    table : DataFrame
        From :func:`run_table`.
    """
    scores = {"val_macro_f1": "val. macro-F1, %", "test_accuracy": "accuracy, %",
              "test_balanced_accuracy": "bal. accuracy, %", "test_macro_f1": "macro-F1, %"}  # fmt: skip
    plain = {"config": "config", "seed": "seed", "n_parameters": "parameters", "seconds": "seconds"}
    out = table.dropna(subset="n_parameters")[[*plain, *scores]].rename(columns=plain | scores).astype({"seed": str})
    for name in scores.values():
        out[name] = (100 * out[name]).round(1)
    return out
