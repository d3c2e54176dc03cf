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

The amounts, and the list of cues for each class, are the generator's own choice: they set its difficulty and are not
measurements. :data:`LOCAL_CUES` are not based on research: the head or one limb moves, to test whether an attribution
method finds it.
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
    """One way in which an emotion shows: a posture that is held, a rhythm, or a change of the natural motion."""

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

_PLACES = ("head", "one arm", "one forearm", "one leg", "one shank")
_BEAT_ANGLES = ("head_turn", "shoulder_flexion", "elbow_flexion", "hip_flexion", "knee_flexion")
_DOWN_ANGLES = ("head_flexion", *_BEAT_ANGLES[1:])
_AWAY_ANGLES = ("head_turn", "shoulder_abduction", "shoulder_rotation", "hip_abduction", "knee_flexion")


def _local(verb: str, angles: tuple[str, ...], kind: str, degrees: tuple[float, ...], **more) -> tuple[Cue, ...]:
    """One cue a place: `kind` is posture or rhythm."""
    return tuple(
        Cue(f"{place} {verb}", (angle,), **{kind: amount}, **more)
        for place, angle, amount in zip(_PLACES, angles, degrees, strict=True)
    )


_AWAY = _local("away", _AWAY_ANGLES, "posture", (45, 40, 50, 25, 45))
# Each class moves in its own way: the head, one arm (elbow and wrist), forearm (wrist), leg (knee and ankle) or shank
# (ankle). The place is drawn, so it does not depend on the class, and no fixed order of joints finds it. Shoulders and
# trunk are left out: positions are measured from the middle of the shoulders, so they would move every input.
LOCAL_CUES: dict[str, tuple[Cue, ...]] = {
    "angry": _local("beats", _BEAT_ANGLES, "rhythm", (18, 14, 20, 10, 16), hz=3.2),
    "disgust": tuple(cue._replace(either_way=place in (0, 2)) for place, cue in enumerate(_AWAY)),
    "fear": _local("trembles", _BEAT_ANGLES, "rhythm", (12, 8, 12, 6, 10), hz=5.5),
    "happy": _local("swings", _BEAT_ANGLES, "rhythm", (24, 24, 32, 16, 24), hz=1.6),
    "neutral": (),
    "sad": _local("sinks", _DOWN_ANGLES, "posture", (33, -30, -40, -20, 30), rise=0.4),
    "surprise": _local("starts", _DOWN_ANGLES, "posture", (-30, 45, 50, 30, 45), rise=0.1),
}


class CueSet(NamedTuple):
    """A way to plant emotions."""

    cues: dict[str, tuple[Cue, ...]]
    single: bool  # a clip shows one of its class's cues; otherwise each by chance
    span: tuple[float, float]  # share of the clip, drawn between
    overhang: float  # share of the span that may lie outside the clip
    sides: tuple[float, float, float]  # chances that a cue of the limbs is on both sides, the left, the right
    listed_second: float  # chance that the main one of two people is in the second slot
    head_to_foot: bool  # the picture shows the whole body


# A tracker lists the larger or more confident person first, who is the main one in most clips. With local cues both
# slots, and almost all times, are equally likely.
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

    `signal` multiplies the effect, `cue_set` is a key of :data:`CUE_SETS`. None where nothing is planted: for neutral,
    or without signal.
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
