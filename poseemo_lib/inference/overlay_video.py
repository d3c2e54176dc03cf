"""A video again, with skeletons, predictions and a strip of probabilities drawn into it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from poseemo_lib.features.windows import Window
from poseemo_lib.inference.inputs import InputRecording
from poseemo_lib.inference.predictor_info import PredictorInfo
from poseemo_lib.skeleton import N_KEYPOINTS
from poseemo_lib.text import track
from poseemo_lib.training.evaluation import probability_columns
from poseemo_lib.video.drawing import draw_overlay, draw_strip
from poseemo_lib.video.frames import prefetch, read_frames
from poseemo_lib.video.writing import video_writer

# Width and height of the strip, before it is stretched over the picture.
_STRIP = (960, 64)


def window_of_frames(windows: Sequence[Window], n_frames: int) -> np.ndarray:
    """Choose for every frame, among the windows that hold it, the one whose middle is nearest.

    Returns the window's number, int array (n_frames,); -1 if no window holds the frame.
    """
    chosen, distance = np.full(n_frames, -1), np.full(n_frames, np.inf)
    for number, window in enumerate(windows):
        frames = np.arange(window.start, min(window.stop, n_frames))
        away = np.abs(frames - (window.start + window.stop - 1) / 2)
        nearer = away < distance[frames]
        chosen[frames[nearer]], distance[frames[nearer]] = number, away[nearer]
    return chosen


def write_overlay(
    video: str | Path,
    out: str | Path,
    one: InputRecording,
    windows: Sequence[Window],
    table: pd.DataFrame,
    info: PredictorInfo,
) -> None:
    """Write a video with the predictions drawn into it.

    A frame shows the prediction of the window whose middle is nearest, and that window's people.

    Parameters
    ----------
    video, out : str or Path
        What was predicted, and the new video, which is written whole or not at all.
    one : InputRecording
        What was read of the video.
    windows : sequence of Window
    table : DataFrame
        The predictions of the windows, see :func:`poseemo_lib.inference.predictor.predict_windows`.
    info : PredictorInfo

    Raises
    ------
    UsageError
        OpenCV or PyAV is missing.
    PoseemoError
        It cannot be written.
    """
    recording, n_frames, classes = one.recording, len(one.recording.keypoints), info.classes
    chosen = window_of_frames(windows, n_frames)
    # Number -1, no window, takes the last row.
    values = np.concatenate([table[probability_columns(classes)].to_numpy(), np.full((1, len(classes)), np.nan)])
    names = [*table["prediction"], ""]
    columns = min(n_frames, _STRIP[0])
    strip = draw_strip(values[chosen[np.arange(columns) * n_frames // columns]], classes, *_STRIP)
    frames = prefetch(read_frames(video, fps=recording.fps))
    with video_writer(out, recording.fps, recording.width, recording.height) as writer:
        for frame in track(frames, "overlay", n_frames):
            number = chosen[frame.index]
            window = windows[number] if number >= 0 else None
            people = window.keypoints[frame.index - window.start] if window else np.zeros((0, N_KEYPOINTS, 3))
            probabilities = values[number] if window else None
            lines = [f"{frame.seconds:.1f} s", *filter(None, [info.note])]
            now = frame.index / max(1, n_frames - 1)
            picture = draw_overlay(
                frame.rgb, people, names[number], probabilities, classes, extra_lines=lines, strip=strip, now=now
            )
            writer.write(picture)
