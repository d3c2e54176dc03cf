"""Commands that recognise: videos, keypoint files and datasets; and one that looks whether they can be."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.shared import list_items, read_pairs, say, stoppable
from poseemo_lib.errors import PoseemoError, UsageError

app = typer.Typer()

RunArgument = Annotated[str, typer.Argument(help="Folder of one run, such as runs/demo/bilstm/seed-0, or NAME.onnx.")]
InputArgument = Annotated[
    str, typer.Argument(help="A video, a keypoint file, a folder of them, a dataset or one clips-*.parquet of it.")
]
Format = Annotated[
    str | None,
    typer.Option(help="What INPUT is: video, dataset, or a keypoint format; default: by its name and content."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE, an option of the keypoint format, e.g. fps=30; `--set help` lists them."),
]
Model = Annotated[Path | None, typer.Option(help="Videos: the estimator's model file; default: fetched once.")]
EstimatorName = Annotated[str, typer.Option("--estimator", help="Videos: mediapipe, rtmo or rtmpose.")]
MinConfidence = Annotated[float, typer.Option(min=0, max=1, help="Videos: of a person, for the estimator.")]


@app.command()
def predict(
    run: RunArgument,
    input: InputArgument,
    out: Annotated[Path | None, typer.Option(help="Write FILE.json, .csv or .parquet.", metavar="FILE")] = None,
    stride: Annotated[float, typer.Option(help="Seconds from one answer to the next.")] = 0.4,
    clips: Annotated[bool, typer.Option("--clips", help="Of a dataset: one answer a clip, as when scored.")] = False,
    overlay: Annotated[
        Path | None, typer.Option(help="Of a video: write it with skeletons and answers drawn in.", metavar="OUT.mp4")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE and OUT.mp4.")] = False,
    model: Model = None,
    estimator: EstimatorName = "mediapipe",
    min_confidence: MinConfidence = 0.5,
    format: Format = None,
    option: Options = None,
) -> None:
    """Recognise emotions: calibrated probabilities for every window of about 2.5 s, or "not sure".

    One or two people are followed; scene cuts end a window. `poseemo doctor` says whether INPUT looks like what the
    run was trained on.

    Example: poseemo predict runs/demo/bilstm/seed-0 dance.mp4 --overlay dance-overlay.mp4

    Keypoints: poseemo predict runs/demo/bilstm/seed-0 openpose_output --set fps=24 --out answers.csv

    A dataset: poseemo predict runs/demo/bilstm/seed-0 data/demo --clips --out answers.parquet
    """
    from poseemo_lib.inference.inputs import VIDEO, input_kind

    if option == ["help"]:
        _list_options(input, format)
        return
    from poseemo_lib.inference import output as output

    if out:
        output.check_out(out, overwrite=overwrite, input=input)
    if overlay:
        from poseemo_lib.video.writing import WRITTEN_SUFFIXES

        output.check_out(overlay, WRITTEN_SUFFIXES, overwrite=overwrite, input=input)
        if input_kind(input, format) != VIDEO or not Path(input).is_file():
            raise UsageError(f"--overlay: wants a video file, got {input}, which is none")
    with stoppable("no half-written file is left"):
        _predict(run, input, out, stride, clips, overlay, _opener(estimator, model, min_confidence), format, option)


def _predict(run, input, out, stride, clips, overlay, opener, format, option) -> None:
    from poseemo_lib.inference import output as output
    from poseemo_lib.inference.inputs import input_kind
    from poseemo_lib.inference.predict import predict_input
    from poseemo_lib.inference.predictor import load_predictor

    predictor = load_predictor(run)
    input_kind(input, format)  # a wrong name is said alone
    say(output.describe_predictor(predictor.info) + "\n")
    kept = []
    found = predict_input(
        predictor, input, format=format, options=read_pairs(option or [], "--set", parse=True), stride=stride,
        clips=clips, estimator=opener, progress=True, each=lambda *one: kept.append(one) if overlay else None,
    )  # fmt: skip
    say(output.prediction_text(found))
    say("\n" + output.summary_text(found))
    if out:
        output.write_prediction(found, out)
        say(f"{out}: {output.count(len(found.table), 'row')}")
    if overlay:
        _draw(input, overlay, kept[0], predictor.info)
    _end(found.faults, input)


def _draw(input: str, overlay: Path, kept: tuple, info) -> None:
    from poseemo_lib.inference.overlay_video import write_overlay

    note = "trained on synthetic data" if info.synthetic else ""
    write_overlay(input, overlay, *kept, info.classes, note=note, progress=True)
    say(f"{overlay}: open it in a player")


def _end(faults: list[str], input: str) -> None:
    list_items("could not be used, or not all of it", faults)
    if faults:
        raise PoseemoError(f"{input}: not all of it could be used (see above); the answers for the rest are complete")


@app.command()
def doctor(
    run: RunArgument,
    input: InputArgument,
    model: Model = None,
    estimator: EstimatorName = "mediapipe",
    min_confidence: MinConfidence = 0.5,
    format: Format = None,
    option: Options = None,
) -> None:
    """Say whether INPUT looks like what RUN was trained on, and what to do where it does not.

    Compared are frame rate, length, people, missing joints, size, confidence and speed. Warnings are no failure: exit
    code 0; 1 means that INPUT cannot be used at all.

    Example: poseemo doctor runs/demo/bilstm/seed-0 dance.mp4
    """
    from poseemo_lib.inference.doctor import diagnose, diagnosis_text
    from poseemo_lib.inference.inputs import input_kind, read_sources
    from poseemo_lib.inference.predictor import load_predictor

    if option == ["help"]:
        _list_options(input, format)
        return
    with stoppable("no half-written file is left"):
        predictor = load_predictor(run)
        kind, faults = input_kind(input, format), []
        options = read_pairs(option or [], "--set", parse=True)
        opener = _opener(estimator, model, min_confidence)
        sources = read_sources(input, kind, faults, options=options, estimator=opener, progress=True)
        say(f"{input}: read as {kind}; beside {predictor.info.name}")
        say(diagnosis_text(diagnose(predictor, sources, faults)))


def _opener(estimator: str, model: Path | None, min_confidence: float):
    return partial(open_and_tell, estimator, model=model, min_confidence=min_confidence)


def open_and_tell(name: str, **options):
    """Open a pose estimator, and say what really runs it."""
    from poseemo_lib.video.estimators.opening import open_estimator

    opened = open_estimator(name, **options)
    typer.echo(opened.info.running(), err=True)
    return opened


def _list_options(input: str, format: str | None) -> None:
    from poseemo_lib.data.formats import READERS, reader_options
    from poseemo_lib.inference.inputs import input_kind

    kind = input_kind(input, format)
    options = reader_options(kind) if kind in READERS else {}
    say("\n".join(f"{key} = {value!r}" for key, value in options.items()) or f"{kind}: no options")
