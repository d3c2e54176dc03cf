"""What was done, in a sentence that takes no knowledge of the project: the first of a report."""

import html

from poseemo_lib.report.material import Material
from poseemo_lib.report.wording import counted, percent


def what_was_done(material: Material) -> str:
    """Say what was trained on what, what it was tested on, and how often the chosen model is wrong.

    Parameters
    ----------
    material : Material

    Returns
    -------
    str
        Markdown, one paragraph.
    """
    best, run = material.best, material.best.runs[0]
    clips, kind = run.record["clips"], "drawn (synthetic)" if material.results.synthetic else "labelled"
    networks = counted(sum(config.is_network for config in material.main.configs), "network")
    baselines = counted(sum(config.is_baseline for config in material.main.configs), "baseline")
    scores = best.scores
    wrong = 1 - scores.scores.set_index("metric").loc["accuracy", "mean"]
    folds = len({run.fold for run in best.runs if run.fold})
    how = f", in {folds} folds, each tested on a group that its training has not seen" if folds else ""
    text = (
        f"{networks} and {baselines} learned to tell {len(material.classes)} {kind} emotions from the body pose of "
        f"{clips['train']} clips of *{html.escape(run.record['dataset']['name'])}*{how}; they were tested on "
        f"{counted(scores.n_clips, best.unit)} in {counted(scores.n_groups, 'group')}. {percent(wrong)} of the answers "
        "of the one that validation chose are wrong. What it cannot do stands at the end of this page."
    )
    return f"{text} {_absent(material)}".rstrip()


def _absent(material: Material) -> str:
    """Name the classes without test clips: macro-F1 and balanced accuracy are means over the others."""
    support = material.best.scores.confusion.sum(1)
    absent = [html.escape(name) for name, n in zip(material.classes, support, strict=True) if not n]
    if not absent:
        return ""
    left = len(material.classes) - len(absent)
    return f"Without test clips: {', '.join(absent)}; mean scores are over the other {left} classes."
