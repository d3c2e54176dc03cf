"""Prediction and live use: what a window and a frame cost, stage by stage, in torch and as an exported network."""

import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path

import numpy as np
from common import Options, Row, in_turns, rows_of, seconds_of, shares_of, synthetic_clips, threads

from poseemo_lib.clips import PoseClip

SUBJECT = "predict_live"
MODELS = ("bilstm", "deep_residual")


def measure(options: Options) -> Iterator[Row]:
    """Measure every row of this subject, on one thread."""
    with threads(1), tempfile.TemporaryDirectory(prefix="poseemo-benchmark-") as folder:
        for name in MODELS[:1] if options.quick else MODELS:
            predictors = _predictors(Path(folder), name, options)
            yield from by_window(predictors, name, options)
            yield from by_frame(predictors, name, options)
        yield from video(options)


def _predictors(folder: Path, architecture: str, options: Options) -> dict:
    """Train a network shortly, and export it where that can be done."""
    from poseemo_lib.data.synthetic import write_synthetic_dataset
    from poseemo_lib.inference.predictor import load_predictor
    from poseemo_lib.training.parameters import check_parameters
    from poseemo_lib.training.run import train_run

    data = folder / "data"
    if not data.exists():
        write_synthetic_dataset(data, 120, n_groups=12)
    values = {"dataset": str(data), "architecture": architecture, "epochs": 1, "choose_after": 0, "threads": 1}
    run = train_run(check_parameters(values | {"device": "cpu"}), folder / "runs" / architecture / "seed-0")
    found = {"torch": load_predictor(run)}
    if not find_spec("onnxruntime") or not find_spec("onnxscript"):
        return found
    from poseemo_lib.inference.export import export_run

    for inputs in ("features",) if options.quick else ("features", "keypoints"):
        export_run(run, folder / f"{architecture}-{inputs}.onnx", inputs=inputs)
        found[f"ONNX, {inputs}"] = load_predictor(folder / f"{architecture}-{inputs}.onnx")
    return found


def recording(n_frames: int) -> PoseClip:
    """Repeat a synthetic clip of two people."""
    clip = next(clip for clip in synthetic_clips(200) if clip.n_people == 2)
    keypoints = np.nan_to_num(np.tile(clip.keypoints, (-(-n_frames // clip.n_frames), 1, 1, 1))[:n_frames])
    return PoseClip("", "", keypoints, clip.fps, clip.width, clip.height, "", "")


def by_window(predictors: dict, name: str, options: Options) -> Iterator[Row]:
    """Compare predictors, and the stages of each: milliseconds a window, one at a time and 128 together."""
    from poseemo_lib.data.formats import Recording
    from poseemo_lib.inference.predictor import predict_recording, windows_of

    clip = recording(options.size(2000, 300))
    whole = Recording(clip.keypoints, clip.fps, clip.width, clip.height)
    windows = windows_of(predictors["torch"].info, whole)
    size = (clip.fps, clip.width, clip.height)
    for together in (1, min(128, len(windows))):
        some = windows[:together]
        works = {kind: partial(one.probabilities, some, *size) for kind, one in predictors.items()}
        arms = {kind: _per_item(work, together, options) for kind, work in works.items()}
        values = in_turns(arms, options.turns(9))
        yield from rows_of(SUBJECT, f"{name}, {together} window(s) at a time", "ms/window", values)
    arms = {
        "windows and predictions": _per_item(
            lambda: predict_recording(predictors["torch"], whole), clip.n_frames, options, 1
        )
    }
    arms["cutting windows"] = _per_item(lambda: windows_of(predictors["torch"].info, whole), clip.n_frames, options, 1)
    values = in_turns(arms, options.turns(5))
    yield from shares_of(SUBJECT, f"{name}, a recording of two people", "ms/frame", values)
    yield from stages(predictors, windows[:1], size, name, options)


def _per_item(work, items: int, options: Options, repeats: int | None = None):
    repeats = repeats or options.size(10, 2)
    return lambda: 1e3 * seconds_of(lambda: [work() for _ in range(repeats)]) / repeats / items


def stages(predictors: dict, windows, size: tuple, name: str, options: Options) -> Iterator[Row]:
    """Split one window into preparation, features and network; `A / B` is the stage's share of the whole."""
    import torch

    from poseemo_lib.training.batching import evaluation_batch, prepare_clips

    network = predictors["torch"]
    info, model = network.info, network.model
    clips = [PoseClip("", "", window.keypoints, *size, "", "") for window in windows]
    how = info.preparation
    data = prepare_clips(clips, info.classes, how)
    clip = torch.arange(len(data))
    features, mask = evaluation_batch(data, clip, torch.zeros_like(clip), info.n_frames)

    def infer() -> None:
        with torch.inference_mode():
            model(features, mask)

    arms = {
        "torch": lambda: network.probabilities(windows, *size),
        "prepare": lambda: prepare_clips(clips, info.classes, how),
        "crop and features": lambda: evaluation_batch(data, clip, torch.zeros_like(clip), info.n_frames),
        "network": infer,
    }
    values = in_turns({stage: _per_item(work, 1, options) for stage, work in arms.items()}, options.turns(9))
    yield from shares_of(SUBJECT, f"{name}, stages of one window", "ms/window", values)


def by_frame(predictors: dict, name: str, options: Options) -> Iterator[Row]:
    """Split a live frame, a window predicted at each, into its stages; and compare predictors by frame."""
    from poseemo_lib.inference.live.session import LiveSession

    one, n_frames = recording(1000), options.size(100, 10)
    poses = [one.keypoints[frame] for frame in range(one.n_frames)]

    def session(predictor, stride: float):
        live, frames = LiveSession(predictor, one.fps, one.width, one.height, stride=stride), cycle(poses)
        for _ in range(120):  # until there is a window
            live.push(next(frames))
        return lambda: 1e3 * seconds_of(lambda: [live.push(next(frames)) for _ in range(n_frames)]) / n_frames

    arms = {kind: session(predictor, 1 / one.fps) for kind, predictor in predictors.items()}
    arms["torch, a window each 0.4 s"] = session(predictors["torch"], 0.4)
    values = in_turns(arms, options.turns(5))
    yield from rows_of(SUBJECT, f"{name}, live, a window at every frame", "ms/frame", values)
    yield from live_stages(predictors["torch"], one, session(predictors["torch"], 1 / one.fps), name, options)


def live_stages(predictor, one: PoseClip, whole, name: str, options: Options) -> Iterator[Row]:
    """Split a live frame into following people, cutting windows and predicting."""
    from poseemo_lib.features.windows import WindowCutter
    from poseemo_lib.video.tracking import Tracker

    info, n_frames = predictor.info, options.size(100, 10)
    tracker, ids = Tracker(fps=one.fps), np.arange(one.n_people)
    size = {"stride": 1 / one.fps, "people": info.preparation.people}
    cutter, frames = WindowCutter(one.fps, info.n_frames, info.fps, **size), cycle(list(one.keypoints))
    windows = [window for _ in range(200) for window in cutter.push(next(frames), ids=ids)][-1:]
    stage_works = {
        "following people": lambda: tracker.update(next(frames)),
        "cutting windows": lambda: cutter.push(next(frames), ids=ids),
        "predicting": lambda: predictor.probabilities(windows, one.fps, one.width, one.height),
    }
    arms = {"whole frame": whole}
    arms |= {stage: _per_item(work, 1, options, n_frames) for stage, work in stage_works.items()}
    yield from shares_of(SUBJECT, f"{name}, stages of a live frame", "ms/frame", in_turns(arms, options.turns(5)))


def video(options: Options) -> Iterator[Row]:
    """Compare finding people in a video with decoding it and with drawing; wants the pose model and a video."""
    path = next(iter(sorted(Path(__file__).resolve().parents[2].glob("shared/data/videos/two_people*.mp4"))), None)
    model = next(iter(sorted(Path(__file__).resolve().parents[2].glob("shared/models/*.task"))), None)
    if options.quick or not (path and model and find_spec("mediapipe") and find_spec("av")):
        yield Row(SUBJECT, "video, stages of a frame", note="left out: quick, or no video, pose model or package")
        return
    from poseemo_lib.video.drawing import draw_people
    from poseemo_lib.video.estimators import open_estimator
    from poseemo_lib.video.frames import read_frames

    frames = [frame for frame, _ in zip(read_frames(path), range(30), strict=False)]
    pictures = [frame.rgb for frame in frames]
    period = (frames[-1].seconds - frames[0].seconds) / (len(frames) - 1)
    with open_estimator("mediapipe", model=model) as estimator:
        clock = iter(np.arange(10**6) * period)
        found = [estimator.estimate(picture, next(clock)) for picture in pictures]
        works = {
            "decoding": lambda: [frame.rgb for frame, _ in zip(read_frames(path), range(30), strict=False)],
            "finding people": lambda: [estimator.estimate(picture, next(clock)) for picture in pictures],
            "drawing people": lambda: [
                draw_people(picture.copy(), people, 2.0) for picture, people in zip(pictures, found, strict=True)
            ],
        }
        arms = {stage: _per_item(work, len(frames), options, 1) for stage, work in works.items()}
        values = in_turns(arms, options.turns(3), warm=False)
    values = {"all of them": [sum(values) for values in zip(*values.values(), strict=True)]} | values
    height, width = pictures[0].shape[:2]
    yield from shares_of(SUBJECT, f"video of {width} x {height}, stages of a frame", "ms/frame", values)
