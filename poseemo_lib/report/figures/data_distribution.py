"""Figure 01: who is in which part, how even the classes are, and what the camera did not see."""

import matplotlib.pyplot as plt
import pandas as pd

from poseemo_lib import plots
from poseemo_lib.plots import style
from poseemo_lib.plots.data import class_shares
from poseemo_lib.report.cards import missing_joints
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn

PARTS = ("train", "val", "test")


def draw(material: ReportData) -> Drawn:
    """Draw clips of each class in each part, the classes' shares, and the joints that were not seen.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: `clips` (class, and clips, share and groups of each part) and, where the dataset was found, `missing`.
    """
    config = material.best
    run = config.runs[0]
    split = run.split()
    table = part_counts(split, material.classes)
    missing = None if material.dataset is None else missing_joints(material.dataset)
    fig = _figure(split, table, missing, material, run.fold)
    data = {"clips": table} | (
        {} if missing is None else {"missing": missing.rename_axis("joint").reset_index(name="share")}
    )
    return Drawn(fig, _text(table, missing), data)


def part_counts(split: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Count clips and groups of each class in each part.

    Parameters
    ----------
    split : DataFrame
        One row a clip: part, label, group_id.
    classes : tuple of str

    Returns
    -------
    DataFrame
        One row a class: class, and for train, val and test: clips, share (of the part's clips), groups.
    """
    table = pd.DataFrame({"class": list(classes)})
    for part in PARTS:
        rows = split[split["part"] == part]
        counts = rows["label"].value_counts().reindex(list(classes), fill_value=0)
        groups = rows.groupby("label")["group_id"].nunique().reindex(list(classes), fill_value=0)
        table[f"{part}_clips"], table[f"{part}_share"] = counts.to_numpy(), (counts / max(len(rows), 1)).to_numpy()
        table[f"{part}_groups"] = groups.to_numpy()
    return table


@style.in_style
def _figure(split: pd.DataFrame, table: pd.DataFrame, missing, material: ReportData, fold: str):
    fig = plt.figure(figsize=(14, 6.0), layout="constrained")
    counts, shares, unseen = fig.subplots(1, 3, width_ratios=(1.25, 1, 1))
    plots.data_distribution(split, split["part"], material.classes, synthetic=False, ax=counts)
    class_shares(table, material.classes, ax=shares)
    if missing is None:
        style.write_not_run(
            unseen, "The dataset of these runs was not found, so joints that were not seen are not counted."
        )
        unseen.set_title("Joints that were not seen")
    else:
        plots.missing_share(missing, synthetic=False, ax=unseen)
    style.title_figure(fig, _headline(table))
    style.note_sample(fig, _sample(split, missing, material, fold))
    style.note_data(fig, material.results.synthetic, bool(material.best.leaks))
    return fig


def _sample(split: pd.DataFrame, missing, material: ReportData, fold: str) -> str:
    """Say what was counted, and where a group lies in several parts."""
    shared = int((split.groupby("group_id")["part"].nunique() > 1).sum())
    texts = [
        f"All {len(split):,} clips of the split, counted, so without an interval; no seed plays a part.",
        f"Of {style.count(len({run.fold for run in material.best.runs}), 'fold')}, only the first is drawn, which "
        f"tests {style.name_text(fold)}." if fold else "",
        f"{style.count(shared, 'group')} with clips in more than one part: a leak." if shared else "",
        "" if missing is None else
        f"Joints: all frames and people of the dataset's {style.count(len(material.dataset), 'clip')}.",
    ]  # fmt: skip
    return " ".join(text for text in texts if text)


def _headline(table: pd.DataFrame) -> str:
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
        + ", ".join(f"{part} {row[f'{part}_clips']} in {style.count(row[f'{part}_groups'], 'group')}" for part in PARTS)
        for row in table.to_dict("records")
    )
    unseen = (
        ""
        if missing is None
        else (
            f". Not seen most often: {missing.idxmax().replace('_', ' ')}, in {100 * missing.max():.0f} % of the frames"
        )
    )
    return f"Clips of every class. {each}{unseen}"
