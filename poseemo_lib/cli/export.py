"""The command that exports a run's network."""

from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.shared import say

app = typer.Typer()


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of one run, e.g. runs/demo/bilstm/seed-0.")],
    out: Annotated[Path, typer.Argument(help="NAME.onnx; NAME.json is written beside it.")],
    inputs: Annotated[
        str,
        typer.Option(
            help="keypoints: the graph takes prepared keypoints and derives the features; features: the caller does."
        ),
    ] = "keypoints",
    check: Annotated[
        str | None,
        typer.Option(help="Dataset whose clips the export is compared on; default: the run's own test clips."),
    ] = None,
) -> None:
    """Write a run's network as ONNX, which predicts without torch.

    The export is compared with the network on clips, from raw keypoints to probabilities, and refused if a probability
    differs by more than 0.0001. NAME.json holds classes, preparation, temperature and threshold.

    Example: poseemo export runs/demo/bilstm/seed-0 bilstm.onnx && poseemo predict bilstm.onnx clip.mp4
    """
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.recipes import ensure_dataset
    from poseemo_lib.inference.export import export_run

    sidecar = export_run(run, out, inputs=inputs, check=Dataset(ensure_dataset(check)) if check else None)
    parity = sidecar.parity
    say(f"{out}: {sidecar.architecture}, {len(sidecar.classes)} classes, takes {inputs} and mask")
    say(
        f"compared on {parity['windows']} windows of {parity['clips']} clips ({parity['dataset']}, {parity['part']}): "
        f"probabilities differ by at most {parity['largest_difference']:.1e}"
    )
    say(f"{out.with_suffix('.json')}: classes, preparation, temperature, threshold")
