"""The commands `predict`, and `doctor`, which says whether an input is fit for it."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli import shared
from poseemo_lib.cli.shared import check_out, list_items, print_table, read_pairs, say, stoppable
from poseemo_lib.errors import PoseemoError, UsageError

app = typer.Typer()
# Rows that are printed.
MOST_ROWS = 40


@app.command()
def predict(
    run: shared.RunArgument,
    input: shared.InputArgument,
    out: Annotated[Path | None, typer.Option(help="Also write the predictions to .json, .csv or .parquet.")] = None,
    stride: shared.Stride = 0.4,
    clips: Annotated[
        bool, typer.Option("--clips", help="For a dataset: one prediction per clip, as in the run's test.")
    ] = False,
    overlay: Annotated[
        Path | None, typer.Option(metavar="OUT.mp4", help="For a video: write a copy with the predictions drawn in.")
    ] = None,
    overwrite: shared.Overwrite = False,
    model: shared.Model = None,
    estimator: shared.EstimatorName = "mediapipe",
    min_confidence: shared.MinConfidence = 0.5,
    format: shared.Format = None,
    option: shared.FormatOptions = None,
) -> None:
    """Predict emotions in a video, keypoint file or dataset with a trained network.

    Each window of about 2.5 s gets a calibrated probability for each class; below the run's threshold the prediction
    is "not sure". One or two people are followed, and no window crosses a scene cut. `poseemo doctor` says whether
    INPUT resembles the data that the run was trained on.

    Example: poseemo predict runs/demo/bilstm/seed-0 dance.mp4 --overlay dance-overlay.mp4

    Keypoints: poseemo predict runs/demo/bilstm/seed-0 openpose_output --set fps=24 --out predictions.csv

    A dataset: poseemo predict runs/demo/bilstm/seed-0 data/demo --clips --out predictions.parquet
    """
    from poseemo_lib.inference import predictions
    from poseemo_lib.inference.inputs import VIDEO
    from poseemo_lib.inference.predictor import load_predictor
    from poseemo_lib.video.writing import WRITTEN_SUFFIXES

    kind = shared.find_kind(input, format, option)
    check_out(out, predictions.SUFFIXES, overwrite, input)
    check_out(overlay, WRITTEN_SUFFIXES, overwrite, input)
    if overlay and (kind != VIDEO or not Path(input).is_file()):
        raise UsageError(f"--overlay: wants a video file as INPUT, got {input}")
    with stoppable("no half-written file is left"):
        predictor = load_predictor(run)
        say(predictions.describe_predictor(predictor.info) + "\n")
        kept = []
        found = predictions.predict_input(
            predictor, input, format=format, options=read_pairs(option, "--set"), stride=stride, clips=clips,
            estimator=partial(shared.open_and_tell, estimator, model=model, min_confidence=min_confidence),
            each=lambda *one: kept.append(one) if overlay else None,
        )  # fmt: skip
        print_table(predictions.display_table(found, MOST_ROWS))
        if (rest := len(found.table) - MOST_ROWS) > 0:
            say(f"... and {rest} more; --out FILE.csv writes all")
        say("\n" + predictions.summarise_prediction(found))
        if out:
            predictions.write_prediction(found, out)
            say(f"wrote {out}")
        if overlay:
            from poseemo_lib.inference.overlay_video import write_overlay

            write_overlay(input, overlay, *kept[0], predictor.info)
            say(f"wrote {overlay}")
    list_items("could not be used, or only partly", found.faults)
    if found.faults:
        raise PoseemoError(f"{input}: parts of it could not be used (see above); the rest was predicted in full")


@app.command()
def doctor(
    run: shared.RunArgument,
    input: shared.InputArgument,
    model: shared.Model = None,
    estimator: shared.EstimatorName = "mediapipe",
    min_confidence: shared.MinConfidence = 0.5,
    format: shared.Format = None,
    option: shared.FormatOptions = None,
) -> None:
    """Compare an input with the data that a run was trained on, and advise where they differ.

    Compared are frame rate, length, people, missing joints, size, confidence and speed. The exit code is 0 even with
    warnings, and 1 if INPUT cannot be used at all.

    Example: poseemo doctor runs/demo/bilstm/seed-0 dance.mp4
    """
    from poseemo_lib.inference.doctor import diagnose
    from poseemo_lib.inference.inputs import read_recordings
    from poseemo_lib.inference.predictor import load_predictor

    kind, faults = shared.find_kind(input, format, option), []
    with stoppable("no half-written file is left"):
        predictor = load_predictor(run)
        recordings = read_recordings(
            input, kind, faults, options=read_pairs(option, "--set"),
            estimator=partial(shared.open_and_tell, estimator, model=model, min_confidence=min_confidence),
        )  # fmt: skip
        found = diagnose(predictor, recordings, faults)
    known = f"{found.n_clips} training clips" if found.n_clips else "unknown training clips"
    say(f"{input}, read as {kind}, compared with the data of {predictor.info.name}")
    say(f"{found.n_windows} windows of the input and {known}: median, and 5 to 95 %\n")
    print_table(found.table.drop(columns="advice"))
    say()
    if not found.n_clips:
        say("The run has no statistics of its training clips, and its dataset is not found.")
    for warning in found.warnings:
        say(f"- {warning}")
    if found.n_clips and not found.warnings:
        say("The input resembles the training clips. That does not mean that the predictions are right.")
