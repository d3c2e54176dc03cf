"""The command `live`: predictions while pictures come in, from a camera or a file."""

import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli import shared
from poseemo_lib.cli.shared import check_out, find_kind, on_signals, open_and_tell, read_pairs, say
from poseemo_lib.errors import PoseemoError, UsageError

app = typer.Typer()


@app.command()
def live(
    run: shared.RunArgument,
    source: Annotated[
        str | None, typer.Option(metavar="FILE", help="Play a video, keypoint file or dataset instead of the camera.")
    ] = None,
    clip: Annotated[str | None, typer.Option(help="Name of the recording, if the source holds several.")] = None,
    camera: Annotated[int, typer.Option(min=0, help="Number of the camera.")] = 0,
    headless: Annotated[bool, typer.Option("--headless", help="No window; FILE is read as fast as possible.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="OUT.mp4", help="Write the drawn pictures to a video.")] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="WINDOWS.csv", help="Write the predictions to .json, .csv or .parquet.")
    ] = None,
    overwrite: shared.Overwrite = False,
    realtime: Annotated[bool, typer.Option("--realtime", help="With --headless: play FILE at its own speed.")] = False,
    stride: shared.Stride = 0.4,
    smoothing: Annotated[
        float, typer.Option(min=0, help="Seconds over which the displayed probabilities are smoothed; 0: not at all.")
    ] = 0.8,
    mirror: Annotated[bool, typer.Option("--mirror", help="Show the pictures mirrored.")] = False,
    skeleton_only: Annotated[bool, typer.Option("--skeleton-only", help="Show skeletons on black.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0.01, help="Stop after this many seconds.")] = None,
    model: shared.Model = None,
    estimator: shared.EstimatorName = "mediapipe",
    people: shared.People = 4,
    min_confidence: shared.MinConfidence = 0.5,
    format: shared.Format = None,
    option: shared.FormatOptions = None,
) -> None:
    """Predict emotions while a webcam films, or while a file is played, with or without a window.

    Keys: q or Esc quits, m mirrors, h hides the picture and leaves the skeletons. Ctrl-C ends it too. Nothing is
    stored without --out or --save. Saved predictions are those of `poseemo predict`, not smoothed.

    Example: poseemo live runs/demo/bilstm/seed-0

    A file: poseemo live runs/demo/bilstm/seed-0 --source dance.mp4 --headless --out overlay.mp4 --save windows.csv

    A clip: poseemo live runs/demo/bilstm/seed-0 --source data/demo --clip synthetic-0/clip-000004
    """
    from poseemo_lib.inference.live.loop import run_live
    from poseemo_lib.inference.live.session import LiveSession
    from poseemo_lib.inference.live.sources import open_camera, open_file
    from poseemo_lib.inference.live.view import Screen, View, check_screen
    from poseemo_lib.inference.predictions import SUFFIXES, describe_predictor
    from poseemo_lib.inference.predictor import load_predictor
    from poseemo_lib.video.writing import WRITTEN_SUFFIXES

    if clip and not source:
        raise UsageError("--clip: wants --source, the dataset or file that holds the clip")
    if source:
        find_kind(source, format, option)
    check_out(out, WRITTEN_SUFFIXES, overwrite, source)
    check_out(save, SUFFIXES, overwrite, source)
    if not headless:
        check_screen()
    options = read_pairs(option, "--set")
    predictor = load_predictor(run)
    with ExitStack() as stack:

        def open_it():
            opened = open_and_tell(estimator, model=model, people=people, min_confidence=min_confidence)
            return stack.enter_context(opened)

        if source:
            paced = realtime or not headless
            input = open_file(source, open_it, clip=clip, format=format, options=options, live=paced)
        else:
            input = open_camera(camera, open_it)
        say(describe_predictor(predictor.info) + "\n")
        session = LiveSession.for_source(predictor, input, stride=stride, smoothing=smoothing, keep=bool(save))
        screen = None if headless else stack.enter_context(Screen(f"poseemo: {input.name}", input.size))
        stop = threading.Event()
        stack.enter_context(on_signals(lambda *_: stop.set(), signal.SIGINT, signal.SIGTERM))
        try:
            pace = run_live(
                session, input, out=out, screen=screen, view=View(mirror, skeleton_only), seconds=seconds, stop=stop
            )
            say(pace.summary())
        finally:
            if save:
                _save(session, input, source or input.name, save)
            if out and out.exists():
                say(f"wrote {out}")
    if source and not stop.is_set() and not seconds and not session.n_windows:
        raise PoseemoError(f"{source}: too few frames with somebody in them, so there is no prediction")
    if input.damage:
        raise PoseemoError(f"{source}: {'; '.join(input.damage)}; the rest was predicted in full")


def _save(session, input, name: str, path: Path) -> None:
    from poseemo_lib.inference.predictions import Prediction, write_prediction
    from poseemo_lib.text import count

    table = session.table()
    table.insert(0, "recording", input.name)
    if input.label is not None:
        table.insert(1, "label", input.label)
    seconds = {input.name: session.seconds}
    found = Prediction(session.predictor.info, name, input.kind, session.stride, table, list(input.damage), seconds)
    write_prediction(found, path)
    say(f"wrote {count(len(table), 'window')} to {path}")
