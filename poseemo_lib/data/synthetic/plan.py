"""The synthetic generator's plan: its settings, and to which show, scene and label each clip belongs."""

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from numbers import Integral, Real

import numpy as np

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.data.synthetic.emotion import CUE_SETS
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


@dataclass(frozen=True)
class SyntheticSettings:
    """What a synthetic dataset is made from; a setting out of range raises a UsageError."""

    n_clips: int
    seed: int = 0
    signal: float = 1.0  # multiplies the emotions' effect: 0 is none, 1 the default difficulty, more is easier
    n_groups: int | None = None  # shows; by default one for 25 clips, 10 to 400, and not more than clips
    two_people: float = 0.5  # share of the scenes with two people
    # How an emotion shows: by many cues of most of the upper body or, "local", to test attribution methods, by one cue
    # of a single limb or the head for a shorter time.
    cues: str = "whole_body"

    def __post_init__(self):
        faults = [
            _fault("n_clips", self.n_clips, Integral, 1, math.inf),
            _fault("seed", self.seed, Integral, 0, math.inf),
            _fault("signal", self.signal, Real, 0, 100),
            _fault("two_people", self.two_people, Real, 0, 1),
            "" if self.cues in tuple(CUE_SETS) else f"cues: wanted {' or '.join(CUE_SETS)}, got {self.cues!r}",
        ]
        if not any(faults) and self.n_groups is not None:
            faults = [_fault("n_groups", self.n_groups, Integral, 1, self.n_clips)]
        if any(faults):
            raise UsageError("; ".join(fault for fault in faults if fault))
        # Plain numbers, so that equal settings give equal clips and a recipe that JSON can hold.
        plain = {"n_clips": int, "seed": int, "signal": float, "two_people": float}
        for name, kind in plain.items():
            object.__setattr__(self, name, kind(getattr(self, name)))
        default = min(max(round(self.n_clips / _CLIPS_A_GROUP), _LEAST_GROUPS), _MOST_GROUPS, self.n_clips)
        object.__setattr__(self, "n_groups", default if self.n_groups is None else int(self.n_groups))

    def recipe(self) -> dict:
        """Return what a dataset's record says of them; `cues` only where not at its default, which older ones lack."""
        recipe = asdict(self)
        if self.cues == type(self).cues:
            del recipe["cues"]
        return recipe


def _fault(name: str, value, kind: type, low: float, high: float) -> str:
    if isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high:
        return ""
    what = "a whole number" if kind is Integral else "a number"
    between = f"of {low} or more" if high == math.inf else f"from {low} to {high}"
    return f"{name}: wanted {what} {between}, got {value!r}"


def stream(settings: SyntheticSettings, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator of one of the `_STREAMS`, for a clip, show or scene of these indices."""
    return np.random.default_rng([settings.seed, _STREAMS.index(purpose), *indices])


@dataclass(frozen=True)
class Place:
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
