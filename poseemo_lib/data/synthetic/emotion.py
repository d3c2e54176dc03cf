"""The synthetic generator's emotions: which joint angles an emotion changes, how, and when.

The cues are taken, simplified, from work on expressive movement, and overlap between classes as they do there:

- de Meijer 1989, "The contribution of general features of body movement to the attribution of emotions": bowing or
  stretching trunk, opening or closing arms, forward or backward, force, speed.
- Wallbott 1998, "Bodily expression of emotion": posture of shoulders, head and arms by emotion, amount of movement by
  activation, and pronounced habits of each actor.
- Pollick et al. 2001, "Perceiving affect from arm movement": arms are fast in anger and joy, slow in sadness.
- Roether et al. 2009, "Critical features for the perception of emotion from gait": bent limbs in anger and fear, bent
  head in sadness, speed and size of movement.
- Gross, Crane and Fredrickson 2012, "Effort-shape and kinematic assessment of bodily expression of emotion during
  gait": contracted shape and little movement in sadness, expanded in joy, fast and wide limbs in anger and joy.
- Dael, Mortillaro and Scherer 2012, "Emotion expression in body action and posture": most emotions show in several
  patterns, which is why each clip shows a part of the cues.
- Halovic and Kroos 2018, "Not all is noticed: Kinematic cues of emotion-specific gait": bouncing joy, more arm movement
  in joy and anger, less in sadness.

The amounts, and the list of cues for each class, are the generator's own choice: they set its difficulty, and are not
measurements. :data:`LOCAL_CUES` are no research at all: a limb or the head moves, so that it can be asked whether an
attribution finds it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from poseemo_lib.data.synthetic.body import ANGLE, ANGLES, N_ANGLES
from poseemo_lib.skeleton import COCO_KEYPOINTS

# Posture and rhythm bend smoothly towards this many degrees, so that a large signal stays a body.
_LIMIT_DEGREES = 80.0
# Chance of each cue to be shown.
_CUE_SHARE = 0.85
_GAIN_RANGE = (0.05, 4.0)
_MOVES = tuple(angle.moves for angle in ANGLES.values())


class Cue(NamedTuple):
    """One way in which an emotion shows: it holds a posture, swings in a rhythm, or changes the natural motion."""

    name: str
    # Limbs without their side: one or both are drawn.
    angles: tuple[str, ...]
    posture: float = 0  # degrees, held
    rhythm: float = 0  # degrees, swung
    hz: float = 0
    gain: float = 1  # of the natural motion
    rise: float = 0.3  # share of the span until it is full
    either_way: bool = False  # the sign of `posture` is drawn


_ARM = ("shoulder_flexion", "shoulder_abduction", "elbow_flexion")
_LIVE = (*_ARM, "head_flexion", "head_turn", "trunk_flexion", "trunk_turn")

CUES: dict[str, tuple[Cue, ...]] = {
    "angry": (
        Cue("trunk forward", ("trunk_flexion",), posture=20),
        Cue("shoulders up", ("shoulder_elevation",), posture=16),
        Cue("elbows bent", ("elbow_flexion",), posture=55),
        Cue("arm beats", ("shoulder_flexion", "elbow_flexion"), rhythm=28, hz=2.6),
        Cue("lively", _LIVE, gain=2),
    ),
    "disgust": (
        Cue("trunk back", ("trunk_flexion",), posture=-16),
        Cue("shoulders forward", ("shoulder_protraction",), posture=36),
        Cue("head down", ("head_flexion",), posture=22),
        Cue("head turned away", ("head_turn",), posture=49, either_way=True),
        Cue("arms crossed", ("shoulder_rotation", "shoulder_flexion", "elbow_flexion"), posture=44),
        Cue("inexpansive", _LIVE, gain=0.5),
    ),
    "fear": (
        Cue("trunk back", ("trunk_flexion",), posture=-22),
        Cue("shoulders up", ("shoulder_elevation",), posture=25),
        Cue("elbows bent", ("elbow_flexion",), posture=76),
        Cue("arms close", ("shoulder_abduction",), posture=-22),
        Cue("trembling", ("elbow_flexion", "head_turn"), rhythm=9, hz=5.5),
    ),
    "happy": (
        Cue("head back", ("head_flexion",), posture=-22),
        Cue("chest open", ("shoulder_protraction",), posture=-22),
        Cue("arms up", ("shoulder_flexion", "shoulder_abduction"), posture=36),
        Cue("bounce", ("trunk_flexion", "head_flexion"), rhythm=6, hz=2.2),
        Cue("lively", _LIVE, gain=2.2),
    ),
    "neutral": (),
    "sad": (
        Cue("head down", ("head_flexion",), posture=33),
        Cue("trunk forward", ("trunk_flexion",), posture=20),
        Cue("shoulders down", ("shoulder_elevation",), posture=-14),
        Cue("arms close", ("shoulder_abduction",), posture=-16),
        Cue("still", _LIVE, gain=0.3),
    ),
    "surprise": (
        Cue("trunk back", ("trunk_flexion",), posture=-16, rise=0.1),
        Cue("head back", ("head_flexion",), posture=-16, rise=0.1),
        Cue("shoulders up", ("shoulder_elevation",), posture=20, rise=0.1),
        Cue("hands up", ("shoulder_flexion", "elbow_flexion"), posture=55, rise=0.1),
        Cue("arms wide", ("shoulder_abduction",), posture=36, rise=0.1),
    ),
}

# How a class moves: the head, one arm (elbow and wrist), forearm (wrist), leg (knee and ankle) or shank (ankle). Which
# of them is drawn, so that the place tells nothing of the class, and a fixed order of joints does not find it. No
# shoulder and no trunk: positions are measured from the middle of the shoulders, so that these move every joint of a
# network's input.
LOCAL_CUES: dict[str, tuple[Cue, ...]] = {
    "angry": (
        Cue("head beats", ("head_turn",), rhythm=18, hz=3.2),
        Cue("one arm beats", ("shoulder_flexion",), rhythm=14, hz=3.2),
        Cue("one forearm beats", ("elbow_flexion",), rhythm=20, hz=3.2),
        Cue("one leg beats", ("hip_flexion",), rhythm=10, hz=3.2),
        Cue("one shank beats", ("knee_flexion",), rhythm=16, hz=3.2),
    ),
    "disgust": (
        Cue("head away", ("head_turn",), posture=45, either_way=True),
        Cue("one arm away", ("shoulder_abduction",), posture=40),
        Cue("one forearm away", ("shoulder_rotation",), posture=50, either_way=True),
        Cue("one leg away", ("hip_abduction",), posture=25),
        Cue("one shank away", ("knee_flexion",), posture=45),
    ),
    "fear": (
        Cue("head trembles", ("head_turn",), rhythm=12, hz=5.5),
        Cue("one arm trembles", ("shoulder_flexion",), rhythm=8, hz=5.5),
        Cue("one forearm trembles", ("elbow_flexion",), rhythm=12, hz=5.5),
        Cue("one leg trembles", ("hip_flexion",), rhythm=6, hz=5.5),
        Cue("one shank trembles", ("knee_flexion",), rhythm=10, hz=5.5),
    ),
    "happy": (
        Cue("head swings", ("head_turn",), rhythm=24, hz=1.6),
        Cue("one arm swings", ("shoulder_flexion",), rhythm=24, hz=1.6),
        Cue("one forearm swings", ("elbow_flexion",), rhythm=32, hz=1.6),
        Cue("one leg swings", ("hip_flexion",), rhythm=16, hz=1.6),
        Cue("one shank swings", ("knee_flexion",), rhythm=24, hz=1.6),
    ),
    "neutral": (),
    "sad": (
        Cue("head sinks", ("head_flexion",), posture=33, rise=0.4),
        Cue("one arm sinks", ("shoulder_flexion",), posture=-30, rise=0.4),
        Cue("one forearm sinks", ("elbow_flexion",), posture=-40, rise=0.4),
        Cue("one leg sinks", ("hip_flexion",), posture=-20, rise=0.4),
        Cue("one shank sinks", ("knee_flexion",), posture=30, rise=0.4),
    ),
    "surprise": (
        Cue("head starts", ("head_flexion",), posture=-30, rise=0.1),
        Cue("one arm starts", ("shoulder_flexion",), posture=45, rise=0.1),
        Cue("one forearm starts", ("elbow_flexion",), posture=50, rise=0.1),
        Cue("one leg starts", ("hip_flexion",), posture=30, rise=0.1),
        Cue("one shank starts", ("knee_flexion",), posture=45, rise=0.1),
    ),
}


class CueSet(NamedTuple):
    """A way to plant emotions."""

    cues: dict[str, tuple[Cue, ...]]
    single: bool  # a clip shows one of its class's cues; otherwise each by chance
    span: tuple[float, float]  # share of the clip, drawn between
    overhang: float  # share of the span that may lie before the clip or after it
    sides: tuple[float, float, float]  # chance of a cue of the limbs to be on both sides, the left, the right
    listed_second: float  # chance of the main one of two people to be in the second slot
    head_to_foot: bool  # the picture shows the whole body


# A tracker lists the larger or surer person first, which is the main one in most clips. With local cues no slot and
# hardly any time is likelier than others.
CUE_SETS = {
    "whole_body": CueSet(CUES, False, (0.5, 0.9), 0, (0.6, 0.2, 0.2), 0.2, False),
    "local": CueSet(LOCAL_CUES, True, (0.3, 0.5), 0.6, (0, 0.5, 0.5), 0.5, True),
}


@dataclass(frozen=True)
class Expression:
    """What was done to one person's joint angles: `pose + gain * motion + added`."""

    added: np.ndarray  # (T, A) degrees, 0 outside the span
    gain: np.ndarray  # (T, A), 1 outside the span
    start: int
    stop: int
    cues: tuple[str, ...]
    joints: tuple[str, ...]  # the COCO joints that follow
    rhythm_hz: float | None
    intensity: float


def draw_expression(
    rng: np.random.Generator, label: str, n_frames: int, fps: float, signal: float, cue_set: str = "whole_body"
) -> Expression | None:
    """Draw how an emotion shows in one clip: its time span, intensity, cues and sides.

    Parameters
    ----------
    rng : numpy.random.Generator
    label : str
        A key of :data:`CUES`.
    n_frames : int
    fps : float
    signal : float
        Multiplies the effect.
    cue_set : str
        A key of :data:`CUE_SETS`.

    Returns
    -------
    Expression or None
        None where nothing is planted: for neutral, or without signal.
    """
    how = CUE_SETS[cue_set]
    cues = how.cues[label]
    if not cues or signal == 0:
        return None
    length = max(int(n_frames * rng.uniform(*how.span)), 2)
    over = int(how.overhang * length)
    start = int(rng.integers(-over, n_frames - length + over + 1))
    # Most clips near 1, some nearly neutral.
    intensity = float(rng.gamma(4, 1 / 4))
    shown = [] if how.single else [cue for cue in cues if rng.random() < _CUE_SHARE]
    shown = shown or [cues[rng.integers(len(cues))]]
    added, log_gain, moved = np.zeros((n_frames, N_ANGLES)), np.zeros((n_frames, N_ANGLES)), set()
    rhythm_hz = None
    for cue in shown:
        angles = _draw_angles(rng, cue, how.sides)
        envelope = signal * intensity * _envelope(n_frames, start, start + length, cue.rise)
        course, hz = _draw_course(rng, cue, np.arange(n_frames) / fps)
        added[:, angles] += (envelope * course)[:, None]
        log_gain[:, angles] += (envelope * np.log(cue.gain))[:, None]
        moved.update(joint for angle in angles for joint in _MOVES[angle])
        rhythm_hz = hz or rhythm_hz
    return Expression(
        added=_LIMIT_DEGREES * np.tanh(added / _LIMIT_DEGREES),
        gain=np.exp(np.clip(log_gain, *np.log(_GAIN_RANGE))),
        start=max(start, 0),
        stop=min(start + length, n_frames),
        cues=tuple(cue.name for cue in shown),
        joints=tuple(joint for joint in COCO_KEYPOINTS if joint in moved),
        rhythm_hz=rhythm_hz,
        intensity=intensity,
    )


def _draw_angles(rng: np.random.Generator, cue: Cue, shares: tuple[float, float, float]) -> list[int]:
    """Draw the indices of a cue's angles, on one side or on both."""
    sides = (("left", "right"), ("left",), ("right",))[rng.choice(3, p=shares)]
    return [
        ANGLE[full]
        for name in cue.angles
        for full in ([name] if name in ANGLE else [f"{side}_{name}" for side in sides])
    ]


def _draw_course(rng: np.random.Generator, cue: Cue, seconds: np.ndarray) -> tuple[np.ndarray | float, float | None]:
    """Degrees that a cue adds over time at its full strength, and its frequency where it has one."""
    way, phase, hz = rng.choice([-1, 1]), rng.uniform(0, 2 * np.pi), cue.hz * rng.uniform(0.85, 1.15)
    if not cue.rhythm:
        return cue.posture * (way if cue.either_way else 1), None
    return cue.rhythm * np.sin(2 * np.pi * hz * seconds + phase), hz


def _envelope(n_frames: int, start: int, stop: int, rise: float) -> np.ndarray:
    """Rise to 1 and fall to 0 smoothly inside start..stop, above 0 there and exactly 0 outside."""
    share = (np.arange(n_frames) - start + 0.5) / (stop - start)
    inside = (share > 0) & (share < 1)
    edge = np.clip(np.minimum(share / rise, (1 - share) / 0.3), 0, 1)
    return np.where(inside, np.sin(np.pi / 2 * edge) ** 2, 0)
