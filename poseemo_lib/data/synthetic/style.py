"""The synthetic generator's shows, actors and scenes: everything that clips share and that does not depend on emotion.

A show has its picture, camera habits and acting style; an actor has a body and a bearing; a scene puts one or two
actors of a show in front of a camera. Each draws from a generator of its own, so any of them can be made alone.
"""

from dataclasses import dataclass

import numpy as np

from poseemo_lib.data.synthetic.body import ANGLE, ANGLES, BONE, BONES, HIP_HEIGHT, N_ANGLES

FRAME_RATES = (24000 / 1001, 25.0, 30000 / 1001, 30.0)
PICTURES = ((720, 400), (720, 480), (640, 360), (854, 480), (640, 480), (1280, 720))
STANCES = ("stand", "sit", "walk")
# Height of the picture as a share of the body height: head and shoulders, chest, waist, knees, whole body.
FRAMINGS = (0.36, 0.47, 0.64, 0.88, 1.2)
_FRAMING_SHARES = (0.14, 0.26, 0.3, 0.18, 0.12)
HEAD_TO_FOOT = np.eye(len(FRAMINGS))[-1]
N_ACTORS = 5
SIT_HIP_HEIGHT = 0.3
# How much actors and scenes differ, as a share of ANGLES[...].style_sd.
_SHOW_STYLE, _ACTOR_STYLE, _SCENE_STYLE = 0.8, 0.7, 0.35

_STYLE_SD = np.array([angle.style_sd for angle in ANGLES.values()])
_REST = np.array([angle.rest for angle in ANGLES.values()])
_SIT = {"hip_flexion": 80, "knee_flexion": 85, "hip_abduction": 8}


@dataclass(frozen=True)
class Show:
    """What all clips of one show share."""

    fps: float
    width: int
    height: int
    field_of_view: float  # vertical, radians
    framing_shares: np.ndarray  # one a framing
    elevation: float  # of the camera, radians; above 0 it looks down
    handheld: float  # radians
    pan: float  # radians a second
    tempo: float
    gesture: float
    noise: float
    quality: float
    stance_shares: np.ndarray
    posture: np.ndarray  # (A,) degrees


@dataclass(frozen=True)
class Actor:
    """One body and its bearing."""

    height: float  # metres
    lengths: np.ndarray  # (len(BONES),) metres
    tempo: float
    gesture: float
    posture: np.ndarray  # (A,) degrees


@dataclass(frozen=True)
class Scene:
    """A recording that clips are cut from; person 0 is the main one."""

    heights: np.ndarray  # (M,) metres
    lengths: np.ndarray  # (M, len(BONES)) metres
    tempo: np.ndarray  # (M,)
    gesture: np.ndarray  # (M,)
    pose: np.ndarray  # (M, A) degrees: how each person holds the body
    walking: bool
    place: np.ndarray  # (M, 3) metres: middle of the hips
    visible_height: float  # metres of the world that the picture's height shows
    shift: float  # of the picture's centre from the people, as a share of its width
    desk: bool  # something hides what is below the waist


def draw_show(rng: np.random.Generator) -> Show:
    """Draw a show."""
    width, height = PICTURES[rng.integers(len(PICTURES))]
    return Show(
        fps=FRAME_RATES[rng.integers(len(FRAME_RATES))],
        width=width,
        height=height,
        field_of_view=np.radians(rng.uniform(18, 42)),
        framing_shares=rng.dirichlet(6 * np.array(_FRAMING_SHARES)),
        elevation=np.radians(rng.normal(0, 6)),
        handheld=np.radians(rng.choice([0.0, 0.15, 0.5])),
        pan=np.radians(rng.choice([0.0, 0.4, 1.0])),
        tempo=rng.lognormal(0, 0.2),
        gesture=rng.lognormal(0, 0.45),
        noise=rng.lognormal(0, 0.35),
        quality=rng.uniform(0.75, 1.0),
        stance_shares=rng.dirichlet([6, 3, 1]),
        posture=_SHOW_STYLE * _STYLE_SD * rng.standard_normal(N_ANGLES),
    )


def draw_actor(rng: np.random.Generator) -> Actor:
    """Draw an actor; limb lengths differ from the average proportions by some per cent."""
    height = rng.normal(1.71, 0.09)
    shares = np.array(list(BONES.values())) * rng.normal(1, 0.03, len(BONES))
    shares[BONE["head"]] = 1
    return Actor(
        height=height,
        lengths=height * shares,
        tempo=rng.lognormal(0, 0.15),
        gesture=rng.lognormal(0, 0.35),
        posture=_ACTOR_STYLE * _STYLE_SD * rng.standard_normal(N_ANGLES),
    )


def draw_scene(rng: np.random.Generator, show: Show, actors: list[Actor], two_people: float) -> Scene:
    """Draw a scene with one or two of a show's actors; `two_people` is the chance of a second person."""
    n_people = 2 if rng.random() < two_people else 1
    cast = [actors[index] for index in rng.permutation(len(actors))[:2]][:n_people]
    stance = STANCES[rng.choice(len(STANCES), p=show.stance_shares)]
    framing = FRAMINGS[rng.choice(len(FRAMINGS), p=show.framing_shares)] * rng.uniform(0.9, 1.1)
    # A close-up of two is a medium shot.
    visible_height = cast[0].height * max(framing, 0.55 if n_people == 2 else 0)
    pose = np.array([_REST + show.posture + actor.posture for actor in cast])
    pose += _SCENE_STYLE * _STYLE_SD * rng.standard_normal((n_people, N_ANGLES))
    pose[:, ANGLE["facing"]] = _facing(rng, n_people)
    if stance == "sit":
        for name, degrees in _SIT.items():
            pose[:, [ANGLE[f"left_{name}"], ANGLE[f"right_{name}"]]] += degrees
    heights = np.array([actor.height for actor in cast])
    hip = heights * (SIT_HIP_HEIGHT if stance == "sit" else HIP_HEIGHT)
    return Scene(
        heights=heights,
        lengths=np.array([actor.lengths for actor in cast]),
        tempo=show.tempo * np.array([actor.tempo for actor in cast]),
        gesture=show.gesture * np.array([actor.gesture for actor in cast]) * rng.lognormal(0, 0.3),
        pose=pose,
        walking=stance == "walk",
        place=_places(rng, hip, visible_height * show.width / show.height),
        visible_height=visible_height,
        shift=rng.uniform(-0.12, 0.12) if n_people == 1 else rng.uniform(-0.03, 0.03),
        desk=bool(rng.random() < 0.25),
    )


def _facing(rng: np.random.Generator, n_people: int) -> np.ndarray:
    """Degrees from the camera: people alone mostly face it, a pair half turns to each other."""
    if n_people == 1:
        return rng.normal(0, 28, 1)
    toward = rng.choice([-1, 1])
    return toward * rng.uniform(5, 65, 2) * np.array([1, -1])


def _places(rng: np.random.Generator, hip: np.ndarray, visible_width: float) -> np.ndarray:
    out = np.zeros((len(hip), 3))
    out[:, 1] = hip
    if len(hip) == 2:
        apart = min(rng.uniform(0.36, 0.55) * visible_width, 1.4)
        out[:, 0] = rng.choice([-0.5, 0.5]) * apart * np.array([1, -1])
        out[1, 2] = rng.uniform(-0.5, 0.3)
    return out
