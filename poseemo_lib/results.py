"""The runs of a study as tables: predictions pooled over folds, scores with intervals, the choice of the best cell."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from poseemo_lib.errors import PoseemoError
from poseemo_lib.evaluation import CellScores, average_by_source, cell_scores
from poseemo_lib.parameters import is_baseline
from poseemo_lib.runs import PLACE_PARAMETERS, STUDY_FILE, Run, find_runs

SHOWN_METRICS = ("accuracy", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True)
class Cell:
    """The completed runs of one cell: all its seeds, and folds where it has them.

    Parameters
    ----------
    name : str
    runs : list of Run
    """

    name: str
    runs: list[Run]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(self.runs[0].record["classes"])

    @property
    def architecture(self) -> str:
        """Name of the model or baseline."""
        return self.runs[0].record["parameters"]["architecture"]

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of the baselines."""
        return is_baseline(self.architecture)

    @property
    def n_parameters(self) -> int | None:
        """Trainable parameters; None for a baseline."""
        return self.runs[0].record.get("n_parameters")

    @property
    def seeds(self) -> list[int]:
        """Seeds, sorted."""
        return sorted({run.seed for run in self.runs})

    def predictions(self, split: str = "test") -> dict[int, pd.DataFrame]:
        """Pool the predictions of a split over the folds: seed -> table, one row a clip (or recording, as scored)."""
        by_seed = {}
        for run in self.runs:
            table = run.predictions(split)
            if run.record["parameters"]["score_by"] == "source":
                table = average_by_source(table, self.classes)
            # In validation a clip is predicted in several folds.
            by_seed.setdefault(run.seed, []).append(table.assign(clip_id=run.fold + "/" + table["clip_id"]))
        return {seed: pd.concat(tables, ignore_index=True) for seed, tables in sorted(by_seed.items())}

    @cached_property
    def scores(self) -> CellScores:
        """Scores on the test split, with intervals."""
        return cell_scores(self.predictions("test"), self.classes)

    @cached_property
    def validation_macro_f1(self) -> float:
        """Mean macro-F1 on validation, over seeds: what a choice between cells may look at."""
        scores = cell_scores(self.predictions("val"), self.classes, n_bootstrap=1).scores
        return float(scores.set_index("metric").loc["macro_f1", "mean"])


@dataclass(frozen=True)
class Results:
    """A study's completed runs.

    Parameters
    ----------
    root : Path
    cells : list of Cell
        Baselines first.
    incomplete : list of str
        Runs of the study that are not there or not complete.
    """

    root: Path
    cells: list[Cell]
    incomplete: list[str]

    def __getitem__(self, name: str) -> Cell:
        return next(cell for cell in self.cells if cell.name == name)

    @property
    def runs(self) -> list[Run]:
        """All completed runs."""
        return [run for cell in self.cells for run in cell.runs]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.cells[0].classes

    @property
    def synthetic(self) -> bool:
        """Whether any run's data are synthetic."""
        return any(run.record["dataset"]["synthetic"] for run in self.runs)

    @property
    def leaks(self) -> dict[str, int]:
        """Largest number of leaks of each kind in any run's split; empty where all splits are clean."""
        leaks: dict[str, int] = {}
        for run in self.runs:
            for kind, count in run.record["leaks"].items():
                leaks[kind] = max(count, leaks.get(kind, 0))
        return leaks

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing: 1 / number of classes that the test part has."""
        return 1 / int((self.best().scores.confusion.sum(1) > 0).sum())

    def best(self) -> Cell:
        """Return the network with the best validation macro-F1; the test split plays no part."""
        networks = [cell for cell in self.cells if not cell.is_baseline] or self.cells
        return max(networks, key=lambda cell: cell.validation_macro_f1)

    def score_table(self) -> pd.DataFrame:
        """Scores of all cells, long: cell, is_baseline, metric, mean, sd, low, high, n_seeds, chance."""
        tables = []
        for cell in self.cells:
            table = cell.scores.scores.assign(cell=cell.name, is_baseline=cell.is_baseline)
            tables.append(table[table["metric"].isin(SHOWN_METRICS)])
        table = pd.concat(tables, ignore_index=True)
        # Chance is known for balanced accuracy alone; what guessing gets elsewhere is the `stratified` baseline.
        return table.assign(chance=table["metric"].map({"balanced_accuracy": self.chance}))


def load_results(root: str | Path) -> Results:
    """Read the runs below a folder and group them by cell.

    Parameters
    ----------
    root : str or Path

    Returns
    -------
    Results

    Raises
    ------
    UsageError
        There is no run.
    PoseemoError
        No run is complete, or runs of different datasets lie together.
    """
    complete, others = find_runs(root)
    incomplete = [str(folder.relative_to(root)) for folder in others]
    if (Path(root) / STUDY_FILE).exists():
        complete, incomplete = _planned_only(Path(root), complete)
    if not complete:
        raise PoseemoError(f"{root}: wanted completed runs, found {len(incomplete)} that are not; run the study again")
    hashes = {run.record["dataset"]["content_hash"]: run for run in complete}
    if len(hashes) > 1:
        places = ", ".join(str(run.folder) for run in hashes.values())
        raise PoseemoError(f"{root}: wanted runs of one dataset, found several ({places}); report them apart")
    names = list(dict.fromkeys(run.cell for run in complete))
    cells = [Cell(name, [run for run in complete if run.cell == name]) for name in names]
    for cell in cells:
        _check_alike(cell)
    cells.sort(key=lambda cell: not cell.is_baseline)
    return Results(Path(root), cells, incomplete)


def _planned_only(root: Path, complete: list[Run]) -> tuple[list[Run], list[str]]:
    """Keep the runs that the study consists of now; also name those of its runs that are not complete."""
    planned = json.loads((root / STUDY_FILE).read_text(encoding="utf-8"))["runs"]
    by_identity = {(run.cell, run.record["identity"]): run for run in complete}
    kept = [by_identity.get((one["cell"], one["identity"])) for one in planned]
    missing = [one["folder"] for one, run in zip(planned, kept, strict=True) if run is None]
    return [run for run in kept if run is not None], missing


def _check_alike(cell: Cell) -> None:
    """Refuse to pool runs that differ in more than seed, fold and place."""
    apart = ("seed", "fold", *PLACE_PARAMETERS)
    first = cell.runs[0].record["parameters"]
    for run in cell.runs[1:]:
        mine = run.record["parameters"]
        differing = [name for name in first if name not in apart and mine.get(name) != first[name]]
        if differing:
            raise PoseemoError(
                f"cell {cell.name}: wanted runs that differ in seed and fold only, got {', '.join(differing)} too "
                f"({cell.runs[0].folder} and {run.folder}); move one away, or run the study again"
            )


def format_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Lay a score table out for reading: one row a cell, `mean ± sd [low, high]` in percent.

    Parameters
    ----------
    table : DataFrame
        From :meth:`Results.score_table`.

    Returns
    -------
    DataFrame
        Index cell, one column a metric.
    """
    texts = table.assign(text=table.apply(_interval_text, axis=1))
    wide = texts.pivot(index="cell", columns="metric", values="text")
    wide = wide.loc[list(dict.fromkeys(table["cell"])), list(SHOWN_METRICS)]
    return wide.rename(columns={name: name.replace("_", " ").replace("macro f1", "macro-F1") for name in wide.columns})


def format_per_class(table: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Lay per-class scores out for reading: one row a class, `mean ± sd [low, high]` in percent.

    Parameters
    ----------
    table : DataFrame
        `CellScores.per_class`.
    classes : tuple of str

    Returns
    -------
    DataFrame
        Index class, columns precision, recall, f1 and the number of clips.
    """
    texts = table.assign(text=table.apply(_interval_text, axis=1))
    wide = texts.pivot(index="class", columns="metric", values="text").loc[list(classes)]
    return wide[["precision", "recall", "f1"]].assign(clips=table.groupby("class")["support"].first().round(1))


def _interval_text(row) -> str:
    if pd.isna(row["mean"]):
        return "not defined"
    sd = "" if pd.isna(row["sd"]) else f" ± {100 * row['sd']:.1f}"
    return f"{100 * row['mean']:.1f}{sd} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
