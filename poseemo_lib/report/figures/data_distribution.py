"""Figure 01: clips of each class in training, validation and test, and joints that were not seen."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from poseemo_lib import plots
from poseemo_lib.plots import marks, style
from poseemo_lib.plots.data import SPLIT_COLOURS
from poseemo_lib.report.cards import missing_joints
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, note_text
from poseemo_lib.text import count

SPLITS = tuple(SPLIT_COLOURS)


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
    tables = []
    for name in SPLITS:
        groups = split[split["part"] == name].groupby("label")["group_id"]
        own = groups.agg(clips="size", groups="nunique").reindex(list(classes), fill_value=0)
        own.insert(1, "share", own["clips"] / max(own["clips"].sum(), 1))
        tables.append(own.add_prefix(f"{name}_"))
    return pd.concat(tables, axis=1).rename_axis("class").reset_index()


@style.in_style
def _figure(split: pd.DataFrame, table: pd.DataFrame, missing, data: ReportData, fold: str):
    fig = plt.figure(figsize=(14, 6.2), layout="constrained")
    counts, shares, unseen = fig.subplots(1, 3, width_ratios=(1.25, 1, 1))
    plots.data_distribution(split, split["part"], data.classes, synthetic=False, ax=counts)
    _draw_shares(shares, table)
    if missing is None:
        style.write_missing(unseen, "The dataset of these runs was not found, so missing joints are not counted.")
    else:
        plots.missing_share(missing, synthetic=False, ax=unseen)
    style.finish(fig, title=_title(table), note=[_note(split, missing, data, fold)],
                 synthetic=data.results.synthetic, leaky=bool(data.best.leaks))  # fmt: skip
    return fig


def _draw_shares(ax, table: pd.DataFrame) -> None:
    """Draw the share of each class in each split: alike where the split is drawn well."""
    wide = 100 * table[[f"{name}_share" for name in SPLITS]].set_axis(list(SPLITS), axis=1)
    ax.hlines(range(len(wide)), wide.min(axis=1), wide.max(axis=1), color="#bbbbbb", linewidth=2)
    long = wide.reset_index(names="row").melt(id_vars="row", var_name="split", value_name="share")
    sns.stripplot(long, x="share", y="row", hue="split", palette=SPLIT_COLOURS, orient="h", native_scale=True, size=8,
                  jitter=False, edgecolor="black", linewidth=0.6, ax=ax)  # fmt: skip
    counts = table[[f"{name}_clips" for name in SPLITS]].to_numpy()
    marks.name_rows(ax, [" / ".join(f"{n:,}" for n in row) for row in counts])
    sns.move_legend(ax, "upper left", bbox_to_anchor=(-0.02, -0.13), ncols=3, title=None, borderaxespad=0)
    most = max(long["share"].max(), 1)
    ax.set(xlim=(-0.04 * most, 1.08 * most), xlabel="share of the split's clips, %", title="Share in each split")
    ax.set_ylabel(f"clips: {' / '.join(SPLITS)}")
    ax.grid(axis="x")


def _note(split: pd.DataFrame, missing, data: ReportData, fold: str) -> str:
    n_shared = int((split.groupby("group_id")["part"].nunique() > 1).sum())
    n_folds, n_seen = len({run.fold for run in data.best.runs}), 0 if missing is None else len(data.dataset)
    return note_text("distribution", n_clips=len(split), fold=style.name_text(fold), n_folds=n_folds,
                     repeats=data.best.runs[0].repeat, n_shared=n_shared, n_seen=n_seen)  # fmt: skip


def _title(table: pd.DataFrame) -> str:
    """Name the most and the least frequent class of training and of test; augmentation can make these differ."""
    return f"Class shares: {_span(table, 'train')} of training, {_span(table, 'test')} of test clips"


def _span(table: pd.DataFrame, split: str) -> str:
    share = table.set_index("class")[f"{split}_share"]
    if share.max() == share.min():
        return f"each {100 * share.max():.0f} %"
    ends = [f"{100 * share[name]:.0f} % ({style.name_text(name, 20)})" for name in (share.idxmin(), share.idxmax())]
    return " to ".join(ends)


def _text(table: pd.DataFrame, missing) -> str:
    each = "; ".join(
        f"{row['class']}: "
        + ", ".join(f"{name} {row[f'{name}_clips']} in {count(row[f'{name}_groups'], 'group')}" for name in SPLITS)
        for row in table.to_dict("records")
    )
    if missing is None:
        return f"Clips of every class. {each}"
    joint = missing.idxmax().replace("_", " ")
    return f"Clips of every class. {each}. Most often missing: {joint}, in {100 * missing.max():.0f} % of the frames"
