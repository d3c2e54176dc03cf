"""Sentences of the report, made from runs: every number in them is computed here from what the runs left behind.

Names that come from data are escaped, since the sentences end up in Markdown and HTML.
"""

import html
from collections import Counter

import pandas as pd

from poseemo_lib.cells import Cell
from poseemo_lib.results import Results, format_p
from poseemo_lib.statistics import MIN_GROUPS, compare_with_constant

PERCENT = "{:.1f} %"
# What the audit counts (`audit.KINDS`).
LEAK_WORDS = {
    "source": ("recording", "recordings"),
    "group": ("group", "groups"),
    "exact": ("set of equal clips", "sets of equal clips"),
    "augmented": ("family of copies", "families of copies"),
    "near": ("near-duplicate", "near-duplicates"),
}
NO_RANKS = "No ranks: they take at least two networks, and a test of every pair of them."


def _percent(share: float) -> str:
    return PERCENT.format(100 * share)


def _score(cell: Cell, metric: str) -> pd.Series:
    return cell.scores.scores.set_index("metric").loc[metric]


def _with_interval(cell: Cell, metric: str) -> str:
    score = _score(cell, metric)
    return f"{_percent(score['mean'])} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


def _majority(results: Results) -> Cell | None:
    return next((cell for cell in results.cells if cell.architecture == "majority"), None)


def opening(results: Results) -> str:
    """Answer first: the best network by validation, its scores with intervals, and what they are to be held against."""
    lines = []
    if results.synthetic:
        lines.append(
            '<div class="warning"><b>Synthetic data.</b> The clips are drawn, not filmed. They show that the system '
            "works; they say nothing about people.</div>"
        )
    if leaky := [cell for cell in results.cells if cell.leaks]:
        who = "These runs were" if len(leaky) == len(results.cells) else f"Some runs ({_names(leaky)}) were"
        lines.append(
            f'<div class="warning"><b>Leaky split.</b> {who} allowed to train on a split with leaks '
            f"({found_by_audit(results.leaks)}). Their scores are too high and no estimate of anything.</div>"
        )
    if results.incomplete:
        names = ", ".join(html.escape(name) for name in results.incomplete[:10])
        more = f" and {len(results.incomplete) - 10} more" if len(results.incomplete) > 10 else ""
        lines.append(f"**Not run, or not complete**, and left out: {names}{more}.")
    part = comparable(results)
    best = part.best()
    over = f"means over {len(best.seeds)} seeds" if len(best.seeds) > 1 else "from one seed"
    lines.append(
        f"**{html.escape(best.name)}**, chosen {_among(part)}, reaches a balanced accuracy of "
        f"**{_with_interval(best, 'balanced_accuracy')}** on the test part "
        f"(chance {_percent(best.chance)}), an accuracy of {_with_interval(best, 'accuracy')} and a macro-F1 of "
        f"{_with_interval(best, 'macro_f1')}: {over}, with 95 % intervals resampled by "
        f"{best.scores.resampled_by} ({_counted(best)})."
    )
    lines.append(against_chance(part))
    return "\n\n".join(lines)


def comparable(results: Results) -> Results:
    """Return the part of a study's cells that the best cell is compared with: those tested on the same clips."""
    best = results.best()
    return next(part for part in results.parts() if any(cell.name == best.name for cell in part.cells))


def counted(n: int, unit: str) -> str:
    """Write a number with its unit: `1 seed`, `3 seeds`."""
    return f"{n} {unit}{'s' * (n != 1)}"


def found_by_audit(leaks: dict[str, int]) -> str:
    """Say what the audit found: `1 recording, 30 groups in two parts`; empty: nothing."""
    found = [f"{number} {LEAK_WORDS[kind][number != 1]}" for kind, number in leaks.items() if number]
    return f"{', '.join(found)} in two parts" if found else ""


def _names(cells: list[Cell]) -> str:
    return ", ".join(html.escape(cell.name) for cell in cells)


def _among(results: Results) -> str:
    networks = sum(cell.is_network for cell in results.cells)
    if not networks:
        return f"by validation among {len(results.cells)} baselines (there is no network in this study)"
    return f"by validation among {networks} networks" if networks > 1 else "as the only network"


def _counted(cell: Cell) -> str:
    n_clips, groups = counted(cell.scores.n_clips, cell.unit), counted(cell.scores.n_groups, "group")
    return f"{n_clips} in {groups}" if groups_known(cell) or cell.scores.n_groups == 1 else f"{n_clips}, groups unknown"


def groups_known(cell: Cell) -> bool:
    """Whether its test part has groups that are more than single recordings."""
    return cell.scores.resampled_by == "group"


def against_chance(results: Results) -> str:
    """Hold the best network against chance, by a test, and against the majority baseline's numbers."""
    best, majority = results.best(), _majority(results)
    networks = {cell.name: cell for cell in results.cells if cell.is_network} | {best.name: best}
    fixed = {best.name} if best.is_baseline else ()
    predictions = {name: cell.predictions("test") for name, cell in networks.items()}
    row = compare_with_constant(best.name, predictions, best.chance, results.classes, fixed=fixed)
    text = f"Its balanced accuracy {_beside_chance(row)}"
    if majority is None:
        text += " The majority baseline was not run."
    else:
        text += (
            f" Always answering the largest class gets an accuracy of {_percent(_score(majority, 'accuracy')['mean'])} "
            f"and a macro-F1 of {_percent(_score(majority, 'macro_f1')['mean'])}."
        )
    return text


def _beside_chance(row: dict) -> str:
    """Say what a row of :func:`poseemo_lib.statistics.compare_with_constant` supports."""
    if row["limit"] == "groups" and row["n_groups"] >= MIN_GROUPS:
        return "cannot be told from chance: nothing is claimed where groups are not known."
    if row["limit"] == "groups":
        return f"cannot be told from chance: nothing is claimed without at least {MIN_GROUPS} groups."
    if row["limit"] == "seeds":
        return "cannot be told from chance: nothing is claimed from one seed."
    where = ("above" if row["difference"] > 0 else "below") if row["different"] else ""
    interval = f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    p = format_p(row["p"])
    tested = f"({interval}, p {p if p.startswith('<') else f'= {p}'}, with groups and seeds as what varies)"
    return f"is {where} chance {tested}." if where else f"cannot be told from chance {tested}."


def choice(results: Results) -> str:
    """Say how the best cell was chosen, and its epochs."""
    best = comparable(results).best()
    text = f"**{html.escape(best.name)}** was chosen by its validation macro-F1, {_percent(best.validation_macro_f1)}."
    epochs = [run.record["best_epoch"] for run in best.runs if run.record.get("best_epoch")]
    if not epochs:
        return text
    share, most = best.parameters["choose_after"], best.parameters["epochs"]
    when = {0: "", 0.5: ", in the second half of the schedule"}.get(
        share, f", in the last {100 * (1 - share):.0f} % of the schedule"
    )
    spread = f"{min(epochs)}" if min(epochs) == max(epochs) else f"{min(epochs)} to {max(epochs)}"
    why = ", since early ones jump" if share else ""
    return f"{text} The epoch of each run was chosen by validation too{when}{why}: epoch {spread} of at most {most}."


def not_run(kinds: dict[str, bool]) -> str:
    """Say which kinds of comparison a study does not have; kind -> whether it has."""
    missing = [kind for kind, there in kinds.items() if not there]
    return f"**Not run** in this study: {', '.join(missing)}." if missing else ""


def regimes(table: pd.DataFrame) -> str:
    """Say for each regime against imbalance how it treats the most frequent class; what was measured, no test.

    Parameters
    ----------
    table : DataFrame
        From :func:`poseemo_lib.factors.imbalance_table`.
    """
    largest = table.loc[table["true"].idxmax(), "class"]
    share = table["true"].max()
    lines = [f"The most frequent class, {html.escape(str(largest))}, is {_percent(share)} of the test clips."]
    for row in table[table["class"] == largest].to_dict("records"):
        interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        answered = f"the answer for {_percent(row['predicted'])} of the clips" if row["predicted"] else "never answered"
        lines.append(f"- {html.escape(row['regime'])}: {answered}, recall {_percent(row['recall'])} {interval}")
    return "\n".join([lines[0], "", *lines[1:]])


def caution(results: Results) -> str:
    """Say what makes the intervals of this study weak, where something does."""
    scores = results.best().scores
    lines = [
        "The intervals cover the choice of test groups, not that of seeds (their spread is the ±), nor other data."
    ]
    if any(run.fold for run in results.runs):
        lines.append(
            "Every group is tested in one fold and trains or validates in the others, so a choice between networks by "
            "validation has seen all groups; only within a fold has the test part no say. Networks of different folds "
            "were trained on mostly the same clips, so the groups' scores are not independent, and neither intervals "
            "nor tests know how much other training clips would change them (Bengio and Grandvalet 2004; Nadeau and "
            "Bengio 2003)."
        )
    if len(parts := results.parts()) > 1:
        each = "; ".join(
            f"{counted(part.cells[0].scores.n_clips, part.cells[0].unit)}: {_names(part.cells)}" for part in parts
        )
        lines.append(f"Not all cells were tested on the same clips ({each}); compare only those that were.")
    if scores.n_groups < 10 and scores.resampled_by == "group":
        lines.append(f"With {scores.n_groups} groups they are rough and probably too short.")
    if scores.resampled_by != "group":
        why = "There is one group only" if scores.n_groups == 1 else "Groups are not known"
        lines.append(
            f"{why}, so they are resampled by {scores.resampled_by} and too short where clips of one show or actor are "
            "alike."
        )
    if scores.n_seeds < 3:
        tell = "tells nothing" if scores.n_seeds == 1 else "tell little"
        lines.append(f"{counted(scores.n_seeds, 'seed').capitalize()} {tell} about the spread over seeds.")
    return " ".join(lines)


def shared_by_parts(cell: Cell) -> str:
    """Say whether train, validation and test of a cell's splits can share a show, an actor or content."""
    if cell.leaks:
        return f"Parts share clips or groups: {found_by_audit(cell.leaks)}."
    if groups_known(cell):
        return "Parts share no group: no show, actor or content is in two of them."
    return "Groups are not known, so nothing says whether a show or an actor is in two parts."


def limits(results: Results) -> str:
    """Say what the method cannot do, and where its use is unlawful."""
    lines = [
        "- A posture is not a feeling. The labels say what annotators saw in acted or broadcast scenes, and reading "
        "emotion from posture is uncertain and bound to culture.",
        "- The scores hold for clips like these. Other cameras, other people and other pose estimators lower them.",
        "- Do not use it to judge a person. In the European Union inferring emotions at work or in education is "
        "prohibited (AI Act, Article 5(1)(f)), with narrow exceptions for medical and safety reasons.",
    ]
    if results.synthetic:
        lines.insert(0, "- The data are synthetic: nothing here is evidence about people.")
    return "\n".join(lines)


def provenance(results: Results) -> dict[str, str]:
    """Collect what made the runs: dataset, versions, devices, time."""
    records = [run.record for run in results.runs]

    def every(*keys) -> str:
        values = Counter()
        for record in records:
            value = record
            for key in keys:
                value = value[key]
            values[str(value)] += 1
        return ", ".join(html.escape(value) for value in sorted(values)) or "unknown"

    return {
        "runs": f"{len(records)} complete, {len(results.incomplete)} not",
        "dataset": every("dataset", "name"),
        "dataset content hash": every("dataset", "content_hash"),
        "split": every("parameters", "split"),
        "poseemo": every("poseemo_version"),
        "commit": every("commit"),
        "torch": every("torch_version"),
        "device": every("device"),
        "time of all runs": f"{sum(record['seconds'] for record in records) / 60:.1f} minutes",
        "first and last": f"{min(r['started'] for r in records)} to {max(r['finished'] for r in records)}",
    }
