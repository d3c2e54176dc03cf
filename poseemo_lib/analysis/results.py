"""The runs of a study as tables: scores with intervals, sizes, ranks, and the selected model."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns, largest_counts, selected
from poseemo_lib.analysis.ranking import rank_table
from poseemo_lib.analysis.statistics import not_tested
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.text import format_p
from poseemo_lib.training.evaluation import config_scores
from poseemo_lib.training.run_folder import PLACE_PARAMETERS, STUDY_FILE, Run, find_runs

TEST_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "ece")
SHOWN_METRICS = ("accuracy", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True)
class Results:
    """A study's completed runs."""

    root: Path
    configs: list[ConfigRuns]  # baselines first
    incomplete: list[str] = field(default_factory=list)  # runs that are missing or not complete
    not_run: list[str] = field(default_factory=list)  # configs without a completed run

    def __getitem__(self, name: str) -> ConfigRuns:
        """Return a config by its name."""
        configs = {config.name: config for config in self.configs}
        if name not in configs:
            raise UsageError(f"{self.root}: wanted one of its configs, {', '.join(configs)}; got {name!r}")
        return configs[name]

    @property
    def runs(self) -> list[Run]:
        """All completed runs, without those of an ensemble, which are its members'."""
        return [run for config in self.configs if config.architecture != ENSEMBLE for run in config.runs]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.configs[0].classes

    @property
    def synthetic(self) -> bool:
        """Whether any run's data are synthetic."""
        return any(run.record["dataset"]["synthetic"] for run in self.runs)

    @property
    def leaks(self) -> dict[str, int]:
        """Largest number of leaks of each kind in any run's split; empty where all splits are clean."""
        return largest_counts(config.leaks for config in self.configs)

    def by_split(self) -> list["Results"]:
        """Divide the configs by the clips that they were tested on, since only the same clips allow a comparison.

        Results without leaks come first, then those with most configs.
        """
        by_clips: dict[frozenset, list[ConfigRuns]] = {}
        for config in self.configs:
            by_clips.setdefault(config.tested_on, []).append(config)
        splits = [Results(self.root, configs) for configs in by_clips.values()]
        return sorted(splits, key=lambda split: (bool(split.leaks), -len(split.configs)))

    def best(self) -> ConfigRuns:
        """Return the selected model: see :func:`poseemo_lib.analysis.configs.selected`."""
        return selected(self.configs)

    def score_table(self) -> pd.DataFrame:
        """Scores of all configs: config, is_baseline, is_majority, metric, mean, sd, low, high, n_seeds, chance."""
        tables = []
        for config in self.configs:
            table = config.scores.scores
            table = table[table["metric"].isin(SHOWN_METRICS)].assign(
                config=config.name, is_baseline=config.is_baseline, is_majority=config.is_majority
            )
            # Chance is known for balanced accuracy only; elsewhere the `stratified` baseline shows it.
            tables.append(table.assign(chance=table["metric"].map({"balanced_accuracy": config.chance})))
        return pd.concat(tables, ignore_index=True)

    def seed_scores(self) -> pd.DataFrame:
        """Scores of every seed by itself: config, seed, metric, value."""
        rows = []
        for config in self.configs:
            for seed, table in config.predictions("test").items():
                scores = config_scores({seed: table}, config.classes)
                row = {"config": config.name, "seed": seed}
                rows += [row | {"metric": name, "value": scores.score(name)["mean"]} for name in SHOWN_METRICS]
        return pd.DataFrame(rows)

    def ranks(self, tests: pd.DataFrame) -> pd.DataFrame:
        """Rank the networks by macro-F1 as :func:`poseemo_lib.analysis.ranking.rank_table`, from tests without a base.

        Empty with fewer than two networks, or without their tests.
        """
        scores = self.size_table().query("~is_baseline").set_index("config")["mean"]
        pairs = tests[tests["a"].isin(scores.index) & tests["b"].isin(scores.index) & (tests["family"] == "networks")]
        pairs = pairs[pairs["limit"] == ""]
        n = len(scores)
        if n < 2 or len(pairs) < n * (n - 1) // 2:
            return pd.DataFrame(columns=["config", "score", "letters", "rank_low", "rank_high"])
        return rank_table(scores, pairs)

    def size_table(self) -> pd.DataFrame:
        """Size and macro-F1 of every config.

        Columns: config, is_baseline, n_parameters, multiply_adds (of one window), mean, sd, low, high, n_seeds.
        """
        table = self.score_table().query("metric == 'macro_f1'").reset_index(drop=True)
        for name in ("n_parameters", "multiply_adds"):
            table[name] = np.array([getattr(config, name) for config in self.configs], dtype=float)  # NaN for None
        return table[["config", "is_baseline", "n_parameters", "multiply_adds", "mean", "sd", "low", "high", "n_seeds"]]


def load_results(root: str | Path) -> Results:
    """Read the runs below a folder and group them by config.

    Raises
    ------
    UsageError
        There is no run.
    PoseemoError
        No run is complete, or runs of different datasets lie together.
    """
    complete, others = find_runs(root)
    incomplete, planned = [str(folder.relative_to(root)) for folder in others], []
    if (Path(root) / STUDY_FILE).exists():
        complete, incomplete, planned = _planned_only(Path(root), complete)
    if not complete:
        raise PoseemoError(f"{root}: wanted completed runs, found {len(incomplete)} that are not; run the study again")
    hashes = {run.record["dataset"]["content_hash"]: run for run in complete}
    if len(hashes) > 1:
        places = ", ".join(str(run.folder) for run in hashes.values())
        raise PoseemoError(f"{root}: wanted runs of one dataset, found several ({places}); report them apart")
    names = list(dict.fromkeys(run.config for run in complete))
    configs = [ConfigRuns(name, [run for run in complete if run.config == name]) for name in names]
    for config in configs:
        _check_alike(config)
    configs.sort(key=lambda config: not config.is_baseline)
    return Results(Path(root), configs, incomplete, [name for name in planned if name not in names])


def _planned_only(root: Path, complete: list[Run]) -> tuple[list[Run], list[str], list[str]]:
    """Keep the runs that the study consists of now; also name those that are not complete, and all configs."""
    by_identity = {(run.config, run.record["identity"]): run for run in complete}
    try:
        planned = json.loads((root / STUDY_FILE).read_text(encoding="utf-8"))["runs"]
        # Older studies call it "cell".
        planned = [{"config": one.get("cell"), **one} for one in planned]
        kept = [by_identity.get((one["config"], one["identity"])) for one in planned]
        missing = [one["folder"] for one, run in zip(planned, kept, strict=True) if run is None]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise PoseemoError(
            f"{root / STUDY_FILE}: wanted the list of the study's runs, cannot read it; start the study again: this "
            "writes the file anew and keeps the runs"
        ) from None
    configs = list(dict.fromkeys(one["config"] for one in planned))
    return [run for run in kept if run is not None], missing, configs


def _check_alike(config: ConfigRuns) -> None:
    """Raise if runs of one config differ in more than seed, fold and place."""
    apart = ("seed", "fold", *PLACE_PARAMETERS)
    first = config.runs[0].record["parameters"]
    for run in config.runs[1:]:
        mine = run.record["parameters"]
        differing = [name for name in first if name not in apart and mine.get(name) != first[name]]
        if differing:
            raise PoseemoError(
                f"config {config.name}: wanted runs that differ in seed and fold only, got {', '.join(differing)} too "
                f"({config.runs[0].folder} and {run.folder}); move one away, or run the study again"
            )


def run_table(results: Results) -> pd.DataFrame:
    """Return one row a completed run, in the order in which the runs finished.

    Columns: config, architecture, seed, fold, finished (UTC), n_parameters and best_epoch (NaN for baselines), seconds,
    val_macro_f1, and test_accuracy, test_balanced_accuracy, test_macro_f1, test_ece: shares, as in `metrics.json`.
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
    """Lay a :func:`run_table` out for reading: the runs of networks, scores in percent."""
    scores = {"val_macro_f1": "val. macro-F1, %", "test_accuracy": "accuracy, %",
              "test_balanced_accuracy": "bal. accuracy, %", "test_macro_f1": "macro-F1, %"}  # fmt: skip
    plain = {"config": "config", "seed": "seed", "n_parameters": "parameters", "seconds": "seconds"}
    out = table.dropna(subset="n_parameters")[[*plain, *scores]].rename(columns=plain | scores).astype({"seed": str})
    return out.assign(**{name: (100 * out[name]).round(1) for name in scores.values()})


def format_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Lay :meth:`Results.score_table` out for reading: a row a config, `mean ± sd [low, high]` in percent a metric."""
    wide = _with_texts(table).pivot(index="config", columns="metric", values="text")
    wide = wide.loc[list(dict.fromkeys(table["config"])), list(SHOWN_METRICS)]
    return wide.rename(columns={name: _metric_text(name) for name in wide.columns})


def format_per_class(table: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Lay `ConfigScores.per_class` out for reading: a row a class, scores as in :func:`format_scores`, and clips."""
    wide = _with_texts(table).pivot(index="class", columns="metric", values="text").loc[list(classes)]
    wide = wide[["precision", "recall", "f1"]].rename(columns={"f1": "F1"})
    return wide.assign(clips=table.groupby("class")["support"].first().map("{:.3g}".format))


def format_ranks(ranks: pd.DataFrame) -> pd.DataFrame:
    """Lay :meth:`Results.ranks` out for reading: macro-F1 in percent, letters, and the possible ranks."""
    score = (100 * ranks["score"].astype(float)).map("{:.1f}".format)
    low, high = ranks["rank_low"].astype(str), ranks["rank_high"].astype(str)
    possible = low.where(low == high, low + " to " + high)
    return pd.DataFrame({"macro-F1": score, "letters": ranks["letters"], "rank": possible}).set_index(ranks["config"])


def format_comparisons(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay :func:`poseemo_lib.report.comparisons.comparisons` out for reading, the largest difference first.

    Differences are in percentage points, p is after Holm's correction.
    """
    tests = tests.iloc[tests["difference"].abs().argsort(kind="stable")[::-1]]
    ends = (100 * tests[["difference", "low", "high"]]).itertuples(index=False)
    tested, why = tests["limit"] == "", tests["limit"].map(lambda limit: not_tested([limit]))
    columns = {
        "compared in": tests["family"],
        "a": tests["a"],
        "b": tests["b"],
        "score": tests["metric"].map(_metric_text),
        "a - b, points": [f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]" for mean, low, high in ends],
        "p": tests["p_holm"].map(format_p).where(tested, "-"),
        "significant": tests["significant"].map({True: "yes", False: "no"}).where(tested, why),
        "detectable (power 0.8), points": (100 * tests["detectable"]).map("{:.1f}".format),
        "p, McNemar": tests["p_mcnemar_holm"].map(format_p),
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def _metric_text(name: str) -> str:
    return name.replace("_", " ").replace("macro f1", "macro-F1")


def _with_texts(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(text=[_interval_text(*row) for row in table[["mean", "sd", "low", "high"]].to_numpy(float)])


def _interval_text(mean: float, sd: float, low: float, high: float) -> str:
    if np.isnan(mean):
        return "not defined"
    spread = "" if np.isnan(sd) else f" ± {100 * sd:.1f}"
    return f"{100 * mean:.1f}{spread} [{100 * low:.1f}, {100 * high:.1f}]"
