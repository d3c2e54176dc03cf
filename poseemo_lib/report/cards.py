"""Model card and dataset card in Markdown, made from runs and dataset alone.

The model card is after Mitchell et al. 2019 ("Model cards for model reporting"), in the order of Hugging Face's cards.
Names that come from data are escaped.
"""

import hashlib

from poseemo_lib.analysis.configs import ConfigRuns
from poseemo_lib.analysis.factors import settings
from poseemo_lib.analysis.reliability import abstain_threshold, calibration_errors, coverage_table
from poseemo_lib.analysis.variations import changes_of, default_settings
from poseemo_lib.report import limits, wording
from poseemo_lib.report.card_text import escape, hashes, sections, span, table
from poseemo_lib.report.dataset_card import dataset_card, split_text, warnings
from poseemo_lib.report.findings import METRIC_NAMES, pair_sentence
from poseemo_lib.report.material import Material
from poseemo_lib.report.provenance import provenance

__all__ = ["dataset_card", "model_card"]

_USES = (
    "Research on how far posture and movement agree with the labels of a dataset, and on how such claims are to be "
    "evaluated."
)
_UNLAWFUL = [
    f"- {line}"
    for line in (
        limits.BANNED,
        limits.TELL,
        "No judgement about a single person: no hiring, grading, policing, insurance, credit, diagnosis or lie "
        "detection.",
        "No use on people who have not agreed to it, and none on children.",
        limits.CONSENT,
    )
]


def model_card(material: Material) -> str:
    """Describe the model that validation chooses: what it is, how good, how sure, and what it must not be used for.

    Parameters
    ----------
    material : Material

    Returns
    -------
    str
        Markdown.
    """
    best = material.best
    return sections(
        f"# Model card: {escape(best.name)}",
        warnings(material),
        f"{escape(best.name)} answers one of {len(best.classes)} classes ({', '.join(map(escape, best.classes))}) for "
        f"the body keypoints of a video clip. {wording.choice(material.results)}",
        "## Model details",
        _details(best),
        "## Intended use",
        f"{_USES} {limits.FEELING}",
        "## Out of scope and unlawful use",
        "\n".join(_UNLAWFUL),
        "## Training data and split",
        split_text(best),
        "## Scores",
        _score_text(material),
        "### By class",
        _class_table(best),
        "### Confidence, and when no answer is given",
        _confidence_text(best),
        "## Limits",
        wording.caution(material.results),
        "\n".join(line for line in limits.limits(material).splitlines() if line not in _UNLAWFUL),
        "## Provenance",
        _provenance(material),
        "### All settings",
        table(["setting", "value"], [(escape(name), escape(value)) for name, value in settings(best).items()]),
    )


def _details(config: ConfigRuns) -> str:
    values = config.parameters
    people = "one person" if values["people"] == 1 else "two people"
    changes = changes_of(config, default_settings(config.architecture))
    rows = [
        ("architecture", escape(config.architecture)),
        ("trainable parameters", f"{config.n_parameters:,}" if config.n_parameters else "none that are counted"),
        ("multiply-adds a window", f"{config.multiply_adds:,}" if config.multiply_adds else "not counted"),
        ("input", f"{values['n_frames']} frames at {values['fps']:g} a second, {people}"),
        ("normalisation", escape(values["normalisation"])),
        ("answers by", config.unit),
        ("trained", f"{wording.counted(len(config.seeds), 'seed')}, {wording.counted(len(config.runs), 'run')}"),
        ("not at its default", escape(", ".join(changes)) or "nothing"),
    ]
    return table(["", ""], rows)


def _score_text(material: Material) -> str:
    best = material.best
    configs = [best, *(config for config in material.main.configs if config.is_baseline and config.name != best.name)]
    rows = []
    for config in configs:
        scores = config.scores.scores.set_index("metric")
        name = f"**{escape(config.name)}**" if config is best else f"{escape(config.name)} (baseline)"
        rows.append(
            [name, *(wording.with_interval(scores.loc[metric], "mean") for metric in METRIC_NAMES), len(config.seeds)]
        )
    rows.append(
        ["chance", *(f"{100 * best.chance:.1f} %" * (name == "balanced_accuracy") for name in METRIC_NAMES), ""]
    )
    head = ["", *METRIC_NAMES.values(), "seeds"]
    scores = best.scores
    over = (
        f"Test part: {wording.counted(scores.n_clips, best.unit)} in {wording.counted(scores.n_groups, 'group')}; mean "
        f"over seeds, with 95 % bootstrap intervals resampled by {scores.resampled_by}."
    )
    return sections(over, table(head, rows), *_tested(material))


def _tested(material: Material) -> list[str]:
    """Say whether the tests can tell the model from chance and from each baseline."""
    if material.best.is_baseline:
        return []
    rows = wording.baseline_tests(material).to_dict("records")
    listed = "\n".join(f"- {pair_sentence(row, f'{material.best.unit}s')}" for row in rows)
    return [wording.against_chance(material.main), listed]


def _class_table(config: ConfigRuns) -> str:
    scores, shares = config.scores.per_class.set_index(["class", "metric"]), config.predicted_shares
    rows = [
        [
            escape(name),
            *(wording.with_interval(scores.loc[(name, metric)], "mean") for metric in ("precision", "recall", "f1")),
            f"{scores.loc[(name, 'recall'), 'support']:g}",
            f"{100 * shares.loc[name, 'true']:.1f} %",
            f"{100 * shares.loc[name, 'predicted']:.1f} %",
        ]
        for name in config.classes
    ]
    return table(["class", "precision", "recall", "F1", f"test {config.unit}s", "true", "predicted"], rows)


def _confidence_text(config: ConfigRuns) -> str:
    errors = [wording.with_interval(row, "mean") for _, row in calibration_errors(config).iterrows()]
    runs = [run for run in config.runs if run.seed in config.seeds]
    temperatures = [config.calibration(run)["temperature"] for run in runs]
    threshold = abstain_threshold(config)
    row = coverage_table(config.calibrated("test"), config.classes, thresholds=[threshold]).iloc[0]
    answered = (
        f"of these answers {wording.with_interval(row, 'accuracy')} are right" if row["n"] else "none is answered"
    )
    return (
        f"The probabilities are scaled by a temperature that validation chose, {span(temperatures, '{:.2f}')}. "
        f"Expected calibration error on the test part: {errors[0]} before, "
        f"{errors[1]} after. Below a confidence of {threshold:.2f} no answer is given: "
        f"{100 * row['coverage']:.1f} % of the test {config.unit}s get one, and {answered}."
    )


def _provenance(material: Material) -> str:
    """List where all runs come from, and what is the model's own."""
    best = material.best
    records = [run.record for run in best.runs]
    rows = [(key, value.replace("|", "&#124;")) for key, value in provenance(material).items()]
    rows += [
        ("minutes of this model's runs", f"{sum(record.get('seconds', 0) for record in records) / 60:.1f}"),
        ("content hash of its dataset", hashes("dataset", records)),
        ("hash of its split", hashes("split", records)),
        ("SHA-256 of its weights", "<br>".join(_weight_hashes(best)) or "no file of weights"),
    ]
    return table(["", ""], rows)


def _weight_hashes(config: ConfigRuns) -> list[str]:
    found = []
    for run in config.runs:
        path = run.folder / "weights.safetensors"
        if path.exists():
            fold = f", fold {escape(run.fold)}" if run.fold else ""
            found.append(f"seed {run.seed}{fold}: {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return found
