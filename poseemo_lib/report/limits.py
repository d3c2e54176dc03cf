"""What the method cannot do, and where its use is unlawful: text for the end of a report."""

import html

from poseemo_lib.analysis.reliability import abstain_threshold
from poseemo_lib.report.material import Material
from poseemo_lib.report.wording import percent

FEELING = (
    "A posture is not a feeling. The labels are what annotators saw, what actors were asked to show, or what a program "
    "drew; nothing says what anybody felt, and reading emotion from a body is uncertain."
)
CULTURE = "How emotion shows in a body differs between people and cultures; clips of one culture say little of another."
CONSENT = "People who are filmed have to consent to it and to this use. A skeleton can be personal data."
BANNED = (
    "In the European Union it is prohibited to place on the market, put into service for this purpose or use an AI "
    "system that infers people's emotions at work or in education, unless it is meant for medical or safety reasons "
    "(AI Act, Regulation (EU) 2024/1689, Article 5(1)(f))."
)
TELL = (
    "Where it is allowed, those who use it have to inform the people exposed to it and follow data protection law "
    "(Article 50(3); law enforcement has exceptions), and such systems are listed as high-risk (Annex III, point "
    "1(c)). This is no legal advice."
)


def limits(material: Material) -> str:
    """Say what the method cannot do, and where its use is unlawful.

    Parameters
    ----------
    material : Material

    Returns
    -------
    str
        A Markdown list.
    """
    lines = [FEELING, _scope(material), CULTURE, _abstention(material), _judging(material), CONSENT, BANNED, TELL]
    if material.results.synthetic:
        lines.insert(0, "The data are synthetic: nothing here is evidence about people.")
    return "\n".join(f"- {line}" for line in lines)


def _scope(material: Material) -> str:
    names = {run.record["dataset"]["name"] for run in material.results.runs}
    data = ", ".join(html.escape(name) for name in sorted(names))
    return (
        f"The scores hold for clips like those of {data}. Nothing here was measured on other people, cameras, angles, "
        "scenes or pose estimators; expect lower scores there."
    )


def _abstention(material: Material) -> str:
    threshold = 100 * abstain_threshold(material.best)
    return (
        f"Below a calibrated probability of {threshold:.0f} % no answer is given. That number is fixed, and the "
        "temperature was fitted on clips like these: on other data a high probability can be wrong, and no answer does "
        "not mean no emotion."
    )


def _judging(material: Material) -> str:
    accuracy = material.best.scores.scores.set_index("metric").loc["accuracy", "mean"]
    return f"Do not use it to judge a person: {percent(1 - accuracy)} of its answers on the test part are wrong."
