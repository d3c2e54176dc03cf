"""Figure 01: clips of each class in training, validation and test, and joints that were not seen."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from poseemo_lib import plots
from poseemo_lib.plots import marks, style
from poseemo_lib.plots.data import SPLIT_COLOURS
from poseemo_lib.report.cards import missing_joints
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn
from poseemo_lib.text import count

PARTS = tuple(SPLIT_COLOURS)


def draw(data: ReportData) -> Drawn:
    """Draw clips of each class in each split, the classes' shares, and the joints that were not seen.

    Data: clips (class, and clips, share and groups of each split) and, where the dataset was found, missing.
    """
    run = data.best.runs[0]
    split = run.split()
    table = split_counts(split, data.classes)
    missing = None if data.dataset is None else missing_joints(data.dataset)
    fig = _figure(split, table, missing, data, run.fold)
    found = {} if missing is None else {"missing": missing.rename_axis("joint").reset_index(name="share")}
    return Drawn(fig, _text(table, missing), {"clips": table} | found)


def split_counts(split: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Count for each class the clips, their share and the groups in each split; `split` has a row for each clip."""
    table = pd.DataFrame({"class": list(classes)})
    for part in PARTS:
        rows = split[split["part"] == part]
        counts = rows["label"].value_counts().reindex(list(classes), fill_value=0)
        groups = rows.groupby("label")["group_id"].nunique().reindex(list(classes), fill_value=0)
        table[f"{part}_clips"], table[f"{part}_share"] = counts.to_numpy(), (counts / max(len(rows), 1)).to_numpy()
        table[f"{part}_groups"] = groups.to_numpy()
    return table


@style.in_style
def _figure(split: pd.DataFrame, table: pd.DataFrame, missing, data: ReportData, fold: str):
    fig = plt.figure(figsize=(14, 6.2), layout="constrained")
    counts, shares, unseen = fig.subplots(1, 3, width_ratios=(1.25, 1, 1))
    plots.data_distribution(split, split["part"], data.classes, synthetic=False, ax=counts)
    _draw_shares(shares, table)
    if missing is None:
        style.write_not_run(unseen, "The dataset of these runs was not found, so missing joints are not counted.")
        unseen.set_title("Missing joints")
    else:
        plots.missing_share(missing, synthetic=False, ax=unseen)
    style.finish(fig, title=_title(table), note=_note(split, missing, data, fold),
                 synthetic=data.results.synthetic, leaky=bool(data.best.leaks))  # fmt: skip
    return fig


def _draw_shares(ax, table: pd.DataFrame) -> None:
    """Draw the share of each class in each split: alike where the split is drawn well."""
    wide = 100 * table[[f"{part}_share" for part in PARTS]].set_axis(list(PARTS), axis=1)
    ax.hlines(range(len(wide)), wide.min(axis=1), wide.max(axis=1), color="#bbbbbb", linewidth=2)
    long = wide.reset_index(names="row").melt(id_vars="row", var_name="split", value_name="share")
    sns.stripplot(long, x="share", y="row", hue="split", palette=SPLIT_COLOURS, orient="h", native_scale=True, size=8,
                  jitter=False, edgecolor="black", linewidth=0.6, ax=ax)  # fmt: skip
    counts = table[[f"{part}_clips" for part in PARTS]].to_numpy()
    marks.name_rows(ax, [" / ".join(f"{n:,}" for n in row) for row in counts])
    sns.move_legend(ax, "upper left", bbox_to_anchor=(-0.02, -0.13), ncols=3, title=None, borderaxespad=0)
    most = max(long["share"].max(), 1)
    ax.set(xlim=(-0.04 * most, 1.08 * most), xlabel="share of the split's clips, %", title="Share in each split")
    ax.set_ylabel(f"clips: {' / '.join(PARTS)}")
    ax.grid(axis="x")


def _note(split: pd.DataFrame, missing, data: ReportData, fold: str) -> str:
    """Say what was counted, and whether a group lies in several splits."""
    shared = int((split.groupby("group_id")["part"].nunique() > 1).sum())
    n_folds = len({run.fold for run in data.best.runs})
    text = f"Counts of all {len(split):,} clips, so without an interval."
    if fold:
        text += f" Only the first of {count(n_folds, 'fold')} is drawn, which tests {style.name_text(fold)}."
    if shared:
        text += f" A leak: {count(shared, 'group')} with clips in more than one split."
    return text if missing is None else f"{text} Joints: all frames and people of {count(len(data.dataset), 'clip')}."


def _title(table: pd.DataFrame) -> str:
    """Name the most and the least frequent class of training and of test; augmentation can make these differ."""
    return "; ".join(f"{word}: {_span(table, part)}" for word, part in (("Training", "train"), ("test", "test")))


def _span(table: pd.DataFrame, part: str) -> str:
    share = table.set_index("class")[f"{part}_share"]
    if share.max() == share.min():
        return f"all classes {100 * share.max():.0f} %"
    ends = [f"{style.name_text(name, 20)} {100 * share[name]:.0f} %" for name in (share.idxmax(), share.idxmin())]
    return f"{ends[0]} to {ends[1]} of the clips"


def _text(table: pd.DataFrame, missing) -> str:
    each = "; ".join(
        f"{row['class']}: "
        + ", ".join(f"{part} {row[f'{part}_clips']} in {count(row[f'{part}_groups'], 'group')}" for part in PARTS)
        for row in table.to_dict("records")
    )
    if missing is None:
        return f"Clips of every class. {each}"
    joint = missing.idxmax().replace("_", " ")
    return f"Clips of every class. {each}. Most often missing: {joint}, in {100 * missing.max():.0f} % of the frames"
