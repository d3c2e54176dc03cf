"""The synthetic generator's plan: its settings, and to which show, scene and label each clip belongs."""

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.errors import UsageError

# Clips of each class in the published study's training and test sets together, in the order of EMOTIONS.
CLASS_COUNTS = (912, 750, 513, 1500, 2578, 873, 871)
_CLIPS_A_GROUP = 25
_LEAST_GROUPS, _MOST_GROUPS = 10, 400
# A block is a run of clips of one show, cut into scenes.
_BLOCK_CLIPS = 10
_MOST_CLIPS_A_SCENE = 4
# Dirichlet concentration of a show's labels, and the chance that a clip has its scene's main label.
_MIXTURE_CONCENTRATION = 6.0
_SCENE_LABEL_SHARE = 0.5
# One stream of random numbers for each purpose, so that a change in one does not affect the others.
_STREAMS = ("mixture", "cut", "label", "show", "actor", "scene", "clip", "expression", "estimator")


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class SyntheticSettings:
    """What a synthetic dataset is made from; see :func:`check_settings`."""

    n_clips: int = Field(ge=1)
    seed: int = Field(0, ge=0)
    signal: float = Field(1.0, ge=0, le=100)  # multiplies the emotions' effect: 0 is none, more is easier
    n_groups: int | None = Field(None, ge=1)  # shows; by default one for 25 clips, 10 to 400, and not more than clips
    two_people: float = Field(0.5, ge=0, le=1)  # share of the scenes with two people
    # How an emotion shows: by many cues of most of the upper body or, "local", to test attribution methods, by one cue
    # of a single limb or the head for a shorter time.
    cues: Literal["whole_body", "local"] = "whole_body"

    def __post_init__(self):
        default = min(max(round(self.n_clips / _CLIPS_A_GROUP), _LEAST_GROUPS), _MOST_GROUPS, self.n_clips)
        object.__setattr__(self, "n_groups", self.n_groups or default)
        if self.n_groups > self.n_clips:
            raise UsageError(f"n_groups: wanted at most one a clip, {self.n_clips}, got {self.n_groups}")


def check_settings(n_clips: int, **settings) -> SyntheticSettings:
    """Make the settings; a UsageError names all that are out of range."""
    try:
        return SyntheticSettings(n_clips=n_clips, **settings)
    except ValidationError as error:
        faults = [(one["loc"][0], one["msg"].removeprefix("Input "), one["input"]) for one in error.errors()]
        raise UsageError("; ".join(f"{name}: {what}, got {value!r}" for name, what, value in faults)) from None


def stream(settings: SyntheticSettings, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator of one of the `_STREAMS`, for a clip, show or scene of these indices."""
    return np.random.default_rng([settings.seed, _STREAMS.index(purpose), *indices])


class Place(NamedTuple):
    """Where a clip belongs."""

    group: int
    visit: int  # how many blocks of this show came before
    scene: int  # within the block


def place_of(settings: SyntheticSettings, index: int) -> Place:
    """Find the show and scene of a clip, 0..n_clips - 1."""
    # Shows take turns, so that each has clips and all have nearly as many.
    size = min(_BLOCK_CLIPS, settings.n_clips // settings.n_groups)
    block, position = divmod(index, size)
    visit, group = divmod(block, settings.n_groups)
    lengths = stream(settings, "cut", group, visit).integers(1, _MOST_CLIPS_A_SCENE + 1, size)
    return Place(group, visit, int(np.searchsorted(np.cumsum(lengths), position, side="right")))


@lru_cache(maxsize=8)
def _label_plan(settings: SyntheticSettings) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative share of each label in each show (G, 7), drawn without regard to style, and two random starts."""
    wanted = np.array(CLASS_COUNTS) / sum(CLASS_COUNTS)
    rng = stream(settings, "mixture")
    shares = rng.dirichlet(_MIXTURE_CONCENTRATION * wanted, settings.n_groups) + 1e-3
    # Iterative proportional fitting: the mean over shows becomes the wanted shares, each show's sum 1.
    for _ in range(100):
        shares *= wanted / shares.mean(0)
        shares /= shares.sum(1, keepdims=True)
    return np.cumsum(shares, axis=1), rng.random(2)


def label_of(settings: SyntheticSettings, place: Place, index: int) -> str:
    """Draw the label of a clip from its show's mixture, for the whole scene or for this clip alone.

    The draws are irrational steps through 0..1 from a random start, which keeps the realised proportions near.
    """
    cumulative, start = _label_plan(settings)
    if stream(settings, "label", index).random() < _SCENE_LABEL_SHARE:
        block = place.visit * settings.n_groups + place.group
        at = (start[0] + block * math.sqrt(2) + place.scene * math.sqrt(3)) % 1
    else:
        at = (start[1] + index * (math.sqrt(5) - 1) / 2) % 1
    return EMOTIONS[min(int(np.searchsorted(cumulative[place.group], at, side="right")), len(EMOTIONS) - 1)]
