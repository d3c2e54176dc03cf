"""The command that exports a run's network."""

from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.shared import say

app = typer.Typer()


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of one run, such as runs/demo/bilstm/seed-0.")],
    out: Annotated[Path, typer.Argument(help="New file NAME.onnx; NAME.json is written beside it.")],
    inputs: Annotated[
        str, typer.Option(help="What the network takes: prepared `keypoints`, or `features` that you derive.")
    ] = "keypoints",
    check: Annotated[
        str | None, typer.Option(help="Dataset to compare the export on; default: the run's own test clips.")
    ] = None,
) -> None:
    """Write a run's network as an ONNX file, which predicts without torch.

    Export and network are compared on clips, from raw keypoints to probabilities; if a probability differs by more
    than 0.0001, nothing is written. NAME.json holds classes, preparation, calibration and threshold.

    Example: poseemo export runs/demo/bilstm/seed-0 bilstm.onnx && poseemo predict bilstm.onnx clip.mp4
    """
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.recipes import ensure_dataset
    from poseemo_lib.inference.export import export_run

    sidecar = export_run(run, out, inputs=inputs, check=Dataset(ensure_dataset(check)) if check else None)
    parity = sidecar.parity
    say(f"wrote {out}: {sidecar.architecture}, {len(sidecar.classes)} classes; takes {inputs} and mask")
    say(f"wrote {out.with_suffix('.json')}: classes, preparation, calibration, threshold")
    say(
        f"compared on {parity['windows']} windows of {parity['clips']} clips ({parity['dataset']}, {parity['split']}): "
        f"probabilities differ by at most {parity['largest_difference']:.1e}"
    )
