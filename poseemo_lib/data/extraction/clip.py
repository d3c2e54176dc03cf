"""From a video to the keypoints of its one or two main people, with a report on how well they were seen.

A thread decodes pictures and searches them for scene cuts, a few ahead of the estimator, so that memory holds only a
few pictures, however long the video is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from poseemo_lib.data.formats import Recording
from poseemo_lib.skeleton import PARTS
from poseemo_lib.video.people import people_of_video
from poseemo_lib.video.tracking import MAX_ABSENCE, main_people

# A joint of which the estimator is less sure than this counts as missing in the report, as it does in training.
UNSURE = 0.1


@dataclass(frozen=True)
class Quality:
    """How well the people of a video were seen."""

    fps: float  # of the keypoints
    width: int  # of the picture as shown, pixels
    height: int
    frames: int
    seconds: float
    detected: float  # share of the frames with somebody in them
    people: float  # mean number of people in those frames, all that the estimator found
    two_people: float  # share of the frames in which both main people were seen
    # Part of the body -> share of its joints not seen, or with a confidence below UNSURE, in a main person's frames.
    missing: dict[str, float]
    cuts: tuple[int, ...]  # first frames of new scenes
    repeated: float  # share of the frames that repeat the picture before
    damage: str = ""  # what the decoder reported if the video ends early or is broken


def extract_video(
    path, estimator, *, fps: float | None = None, cuts: bool = True, progress: Callable | None = None
) -> tuple[Recording, Quality]:
    """Estimate every person in every picture of a video, and follow the main one or two.

    Parameters
    ----------
    path : str or Path
    estimator : Estimator
        It is reset first, and at each cut.
    fps : float, optional
        Frames per second, where the video has more.
    cuts : bool
        Look for scene cuts; nobody is followed over one.
    progress : callable, optional
        Called after each frame with the number of frames done, and about how many there are, or None.

    Returns
    -------
    recording : Recording
        Keypoints (T, M, 17, 3) in pixels, M = 1 or 2, tracked; (T, 1, 17, 3), all missing, where nobody was seen.
    quality : Quality

    Raises
    ------
    FormatError
        No picture can be decoded.
    UsageError
        `fps` is out of its range.
    """
    found = people_of_video(path, estimator, fps=fps, cuts=cuts, progress=progress)
    keypoints = main_people(found.keypoints, cuts=found.cuts, max_absence=MAX_ABSENCE, fps=found.fps)
    people = (found.keypoints[..., 2] > 0).any(-1).sum(1)  # (T,)
    there = (keypoints[..., 2] > 0).any(-1)  # (T, M)
    sure = keypoints[there][..., 2] >= UNSURE  # (N, 17), of N times that a main person was there
    n_frames = len(people)
    quality = Quality(
        fps=found.fps,
        width=found.width,
        height=found.height,
        frames=n_frames,
        seconds=n_frames / found.fps,
        detected=float((people > 0).mean()),
        people=float(people[people > 0].mean()) if people.any() else 0.0,
        two_people=float((there.sum(1) == 2).mean()),
        missing={part: 1 - float(sure[:, where].mean()) if len(sure) else 1.0 for part, where in PARTS.items()},
        cuts=found.cuts,
        repeated=found.repeated / n_frames,
        damage=found.damage,
    )
    return Recording(keypoints, found.fps, found.width, found.height), quality
