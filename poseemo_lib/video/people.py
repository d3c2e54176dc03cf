"""Pictures -> everybody in them, one after another: the one way in which extraction, prediction and live use look."""

from collections.abc import Iterable, Iterator

import numpy as np

from poseemo_lib.video.frames import Frame


def with_cuts(frames: Iterable[Frame], fps: float, *, cuts: bool = True) -> Iterator[tuple[Frame, bool]]:
    """Tell of each frame whether a scene begins with it.

    Parameters
    ----------
    frames : iterable of Frame
    fps : float
        Their rate.
    cuts : bool
        Look for cuts; else there are none.

    Yields
    ------
    (Frame, bool)
    """
    from poseemo_lib.video.scene_cuts import CutDetector

    detector = CutDetector(fps) if cuts else None
    for frame in frames:
        yield frame, detector is not None and not frame.repeated and bool(detector.is_cut(frame.rgb))


def look(frames: Iterable[tuple[Frame, bool]], estimator) -> Iterator[tuple[Frame, np.ndarray, bool]]:
    """Find everybody in each frame.

    The estimator is reset at the start and at each cut, since it follows people from picture to picture; a picture that
    is shown again is not looked at again.

    Parameters
    ----------
    frames : iterable of (Frame, bool)
        From :func:`with_cuts`; some may be left out.
    estimator : Estimator
        See :func:`poseemo_lib.video.estimators.opening.open_estimator`.

    Yields
    ------
    (Frame, array (P, 17, 3), bool)
        Pixels and confidence of the P people found, in any order; and whether a scene begins with it.
    """
    estimator.reset()
    shown = poses = None
    for frame, is_cut in frames:
        if is_cut:
            estimator.reset()
        if frame.rgb is not shown:  # where frames are left out, `repeated` may be of one of them
            poses, shown = estimator.estimate(frame.rgb, frame.seconds), frame.rgb
        yield frame, poses, is_cut
