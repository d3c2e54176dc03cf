"""The report: how long it takes, and which of its cells."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import Options, Row, seconds_of, shares_of

SUBJECT = "report_time"
CONFIGS = {"bilstm": {"architecture": "bilstm"}, "deep_residual": {}, "majority": {"architecture": "majority"}}
# Cells of the notebook that are named; the others together are one part.
N_SLOWEST = 12


def measure(options: Options) -> Iterator[Row]:
    """Make a small study and its report; `A / B` is a part's share of the whole report."""
    from poseemo_lib.report.report import make_report

    with tempfile.TemporaryDirectory(prefix="poseemo-benchmark-") as name:
        folder = Path(name)
        runs = make_runs(folder, options)
        values: dict[str, list[float]] = {}
        for _ in range(1 if options.quick else options.turns(3)):
            found = {"whole report": seconds_of(lambda: make_report(runs, folder / "report"))}
            found |= notebook_parts(folder / "report" / "report.ipynb")
            for part, seconds in found.items():
                values.setdefault(part, []).append(seconds)
        parts = sorted(set(values) - {"whole report"}, key=lambda part: -values[part][0])
        shown = {part: values[part] for part in ("whole report", *parts[:N_SLOWEST])}
        yield from shares_of(SUBJECT, f"{len(list(runs.glob('*/seed-*')))} runs", "s", shown)


def make_runs(folder: Path, options: Options) -> Path:
    """Make the runs of a small study in this process."""
    from poseemo_lib.data.synthetic import write_synthetic_dataset
    from poseemo_lib.training.inputs import load_inputs
    from poseemo_lib.training.parameters import check_parameters
    from poseemo_lib.training.run import train_run

    data = folder / "data"
    write_synthetic_dataset(data, options.size(1000, 200), n_groups=options.size(100, 20))
    short = {"dataset": str(data), "epochs": options.size(4, 1), "choose_after": 0, "device": "cpu", "threads": 1}
    # A baseline alone has no network to explain, which takes longest.
    configs = {"majority": CONFIGS["majority"]} if options.quick else CONFIGS
    for config, values in configs.items():
        for seed in range(options.size(3, 1)):
            parameters = check_parameters(short | values | {"seed": seed})
            train_run(
                parameters, folder / "runs" / config / f"seed-{seed}", config=config, inputs=load_inputs(parameters)
            )
    return folder / "runs"


def notebook_parts(notebook: Path) -> dict[str, float]:
    """Read the seconds of the cells of an executed notebook; a cell's name is its first line."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    found, about = {}, content["metadata"]["papermill"]
    for cell in content["cells"]:
        seconds = cell["metadata"].get("papermill", {}).get("duration")
        if cell["cell_type"] != "code" or seconds is None:
            continue
        lines = [line for line in "".join(cell["source"]).splitlines() if line and not line.startswith("#")]
        name = f"cell `{lines[0].strip()[:60] if lines else ''}`"
        found[name] = found.get(name, 0.0) + seconds
    found["kernel start and end, between cells"] = about["duration"] - sum(found.values())
    return found
