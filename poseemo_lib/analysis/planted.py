"""Where the emotion lies in windows of synthetic clips, and how often it lies there in others."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PlantedWindows:
    """Where the emotion lies in those windows that have one.

    Parameters
    ----------
    rows : int array (R,)
        Their positions among the windows.
    joints, seen : bool array (R, M, K)
        Joints that were planted, and seen while they were; all that were seen in the window.
    frames, real : bool array (R, T)
        Frames of the planted span; all that are no padding.
    person : int array (R,)
        Slot of the person who shows it.
    usual_joints, usual_frames, usual_person : array (R, K), (R, T), (R, M)
        How often each is planted in the windows of other groups, a share of those in which it could be; NaN where there
        is no other group.
    """

    rows: np.ndarray
    joints: np.ndarray
    seen: np.ndarray
    frames: np.ndarray
    real: np.ndarray
    person: np.ndarray
    usual_joints: np.ndarray
    usual_frames: np.ndarray
    usual_person: np.ndarray

    def at_most(self, n: int) -> "PlantedWindows":
        """Return n of them, evenly spaced, so that they are of all groups; all where there are no more."""
        kept = evenly(len(self.rows), n)
        return PlantedWindows(**{name: value[kept] for name, value in vars(self).items()})


def evenly(n: int, most: int) -> np.ndarray:
    """Choose at most so many of n positions, evenly spaced."""
    return np.arange(n) if n <= most else np.arange(most) * n // most


def of_person(person: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Mark the slot of each window's person.

    Parameters
    ----------
    person : int array (R,)
    present : bool array (R, M)
        Who was seen.

    Returns
    -------
    bool array (R, M)
        False throughout where that person was not seen.
    """
    return np.eye(present.shape[1], dtype=bool)[person] & present


def usual_shares(wanted: np.ndarray, candidates: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Tell how often each thing is wanted in windows of other groups.

    Parameters
    ----------
    wanted, candidates : bool array (R, N)
    groups : array (R,)

    Returns
    -------
    array (R, N)
        Share of the other groups' candidates that are wanted; NaN where there is no other group.
    """
    out = np.full(wanted.shape, np.nan)
    for group in np.unique(groups):
        others = groups != group
        if others.any():
            hits, n = (wanted & candidates)[others].sum(0), candidates[others].sum(0)
            out[~others] = hits / np.maximum(n, 1)
    return out
