"""One model under several splits: what a leaky split would have reported."""

from poseemo_lib import plots
from poseemo_lib.analysis import factors
from poseemo_lib.report import alt_texts
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.figures.drawn import Drawn, not_run
from poseemo_lib.report.findings import found_by_audit


def draw(material: ReportData) -> Drawn:
    """Draw the balanced accuracy of each model under each of its splits.

    Parameters
    ----------
    material : ReportData

    Returns
    -------
    Drawn
        Data: `splits`.
    """
    study, splits = material.leakage
    if splits.empty:
        why = "No model was trained under two splits. `poseemo study parameters/studies/leakage.yaml` makes such runs."
        return not_run("What a leak is worth", why)
    leaks = factors.leakage_table(study)[1]
    sample = {key: study.sample[key] for key in ("unit", "resampled_by", "synthetic")}
    audits = {split: found_by_audit(found) for split, found in leaks.items()}
    fig, _ = plots.leakage_comparison(splits, audits, **sample)
    return Drawn(fig, alt_texts.describe_leakage(splits, leaks), {"splits": splits})
