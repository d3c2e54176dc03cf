"""The command that recognises while it looks: a camera, or a file as if it were one."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.predict import EstimatorName, Format, MinConfidence, Model, RunArgument, open_and_tell
from poseemo_lib.cli.shared import read_pairs, say
from poseemo_lib.errors import PoseemoError, UsageError

app = typer.Typer()
# Seconds in which another Ctrl-C does not cut off what writes the files.
_PATIENT = 3.0


@app.command()
def live(
    run: RunArgument,
    source: Annotated[
        str | None,
        typer.Option(help="A video, keypoint file or dataset in place of the camera.", metavar="FILE"),
    ] = None,
    clip: Annotated[str | None, typer.Option(help="Of a source with several recordings: the name of one.")] = None,
    camera: Annotated[int, typer.Option(min=0, help="Number of the camera.")] = 0,
    headless: Annotated[bool, typer.Option("--headless", help="No window; a source is used as fast as it can be.")] = (
        False
    ),
    out: Annotated[Path | None, typer.Option(help="Write what is drawn as a video.", metavar="OVERLAY.mp4")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the windows as .json, .csv or .parquet.", metavar="WINDOWS.csv")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace these files.")] = False,
    realtime: Annotated[
        bool,
        typer.Option("--realtime", help="With --headless: play the source at its own speed, drop what is late."),
    ] = False,
    stride: Annotated[float, typer.Option(help="Seconds from one answer to the next.")] = 0.4,
    smoothing: Annotated[float, typer.Option(min=0, help="Seconds over which shown answers are smoothed; 0: none.")] = (
        0.8
    ),
    mirror: Annotated[bool, typer.Option("--mirror", help="Show it mirrored.")] = False,
    skeleton_only: Annotated[bool, typer.Option("--skeleton-only", help="Hide the picture.")] = False,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    model: Model = None,
    estimator: EstimatorName = "mediapipe",
    people: Annotated[int, typer.Option(min=1, max=20, help="People that the estimator looks for, at most.")] = 4,
    min_confidence: MinConfidence = 0.5,
    format: Format = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, an option of the keypoint format, e.g. fps=30.")
    ] = None,
) -> None:
    """Recognise emotions while looking: a webcam, or a file, in a window or without one.

    Keys: q or Esc quits, m mirrors, h hides the picture (skeletons only). Ctrl-C ends it too. Nothing is stored unless
    --out or --save says so; the windows that are saved are those of `poseemo predict`, not smoothed.

    Example: poseemo live runs/demo/bilstm/seed-0

    A file: poseemo live runs/demo/bilstm/seed-0 --source dance.mp4 --headless --out overlay.mp4 --save windows.csv

    A clip: poseemo live runs/demo/bilstm/seed-0 --source data/demo --clip synthetic-0/clip-000004
    """
    from poseemo_lib.inference import output as output
    from poseemo_lib.inference.live import run_live
    from poseemo_lib.inference.live_session import LiveSession
    from poseemo_lib.inference.live_sources import CameraSource, open_file
    from poseemo_lib.inference.live_view import Screen, View
    from poseemo_lib.inference.predictor import load_predictor

    _check(source, clip, headless, out, save, overwrite, stride, seconds)
    options = read_pairs(option or [], "--set", parse=True)
    predictor = load_predictor(run)
    with ExitStack() as stack:
        looks = partial(open_and_tell, estimator, model=model, people=people, min_confidence=min_confidence)

        def opened():
            return stack.enter_context(looks())

        if source:
            paced = realtime or not headless
            input = open_file(source, opened, clip=clip, format=format, options=options, live=paced)
        else:
            input = CameraSource.open(camera, opened)
        say(output.describe_predictor(predictor.info) + "\n")
        how = {"stride": stride, "smoothing": smoothing, "keep": bool(save)}
        session = LiveSession.for_source(predictor, input, **how)
        screen = None if headless else stack.enter_context(Screen(f"poseemo: {input.name}", input.size))
        stop = stack.enter_context(_signals())
        note = "trained on synthetic data" if predictor.info.synthetic else ""
        shown = {"screen": screen, "view": View(mirror, skeleton_only), "note": note}
        try:
            say(run_live(session, input, out=out, **shown, seconds=seconds, stop=stop).summary())
        finally:
            _tell(session, input, source, out, save)
    if source and not stop() and not seconds and not session.n_windows:
        raise PoseemoError(f"{source}: too few frames with somebody in them, so that there is no answer")
    if input.damage:
        raise PoseemoError(f"{source}: {'; '.join(input.damage)}; the answers for the rest are complete")


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and SIGTERM ask to stop; again, when that takes longer, they end the process as ever."""
    asked, before = [], {}

    def ask(number, frame) -> None:
        asked.append(time.monotonic())
        # Some senders send twice at once.
        if asked[-1] - asked[0] > _PATIENT:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(session, input, source: str | None, out: Path | None, save: Path | None) -> None:
    """Write the windows, and say what was written."""
    from poseemo_lib.inference import output as output
    from poseemo_lib.inference.predict import Prediction

    if save:
        table = session.table()
        table.insert(0, "recording", input.name)
        if input.label is not None:
            table.insert(1, "label", input.label)
        seconds = {input.name: session.seconds}
        facts = {"stride": session.stride, "table": table, "faults": list(input.damage), "recordings": seconds}
        found = Prediction(session.predictor.info, source or input.name, input.kind, **facts)
        output.write_prediction(found, save)
        say(f"{save}: {output.count(len(table), 'window')}")
    if out and out.exists():
        say(f"{out}: open it in a player")


def _check(source, clip, headless, out, save, overwrite, stride, seconds) -> None:
    """Refuse a wrong call before anything is opened."""
    from poseemo_lib.inference import output as output
    from poseemo_lib.inference.live_view import check_screen
    from poseemo_lib.video.writing import WRITTEN_SUFFIXES

    for name, value in (("--stride", stride), ("--seconds", seconds)):
        if value is not None and not value > 0:
            raise UsageError(f"{name}: wanted seconds above 0, got {value}")
    if clip and not source:
        raise UsageError("--clip: wants --source, the dataset or file that the clip is in")
    if out:
        output.check_out(out, WRITTEN_SUFFIXES, overwrite=overwrite, input=source)
    if save:
        output.check_out(save, overwrite=overwrite, input=source)
    if not headless:
        check_screen(dict(os.environ))
