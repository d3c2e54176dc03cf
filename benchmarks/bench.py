"""Measure where the time goes: a table of things measured in turns, and the same as JSON.

    make bench                                             # everything, most of an hour
    python benchmarks/bench.py --only input_path --quick   # does it work

Compare ratios, not times: what else the machine does hits both sides of a row alike.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from common import HERE, Options, Row, describe_machine, markdown

from poseemo_lib.files import write_text

INTERRUPTED = 130  # what a shell says after Ctrl-C
SUBJECTS = {
    "input_path": "cropping, augmentation and features against a plain DataLoader; bytes moved",
    "training_speed": "training against a fixed batch, Lightning, skorch; length of a window",
    "networks": "the training step of every network, in float32 and bf16, against its arithmetic",
    "run_overhead": "the parts of a run that are not training",
    "dataset_scale": "writing, reading, checking and auditing a dataset",
    "predict_live": "prediction and live use by stage",
    "report_time": "the report by part",
    "study_time": "a whole study, by runs at a time and precision",
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    names = "\n".join(f"  {name:16} {text}" for name, text in SUBJECTS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"subjects:\n{names}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, metavar="NAME", default=list(SUBJECTS), help="subjects")
    parser.add_argument("--quick", action="store_true", help="small sizes: tells whether it works, not how fast it is")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=positive, default=0, help="turns; default: what each subject thinks right")
    parser.add_argument("--threads", type=positive, nargs="+", default=[], help="default: 1, and all cores")
    parser.add_argument("--large", action="store_true", help="a study of CAER's size; wants a GPU")
    parser.add_argument("--packages", default="", help="folder with lightning and skorch, where they are not installed")
    parser.add_argument(
        "--out",
        type=Path,
        help="the JSON; the table goes beside it; default: benchmarks/results/<device>.json for everything, "
        "<device>-part.json with --only or --quick",
    )
    given = parser.parse_args()
    if given.device == "cuda" and not cuda_works():
        parser.error("--device cuda: wanted a GPU and a torch for it, found none")
    if given.packages and not Path(given.packages).is_dir():
        parser.error(f"--packages: wanted a folder, got {given.packages}")
    whole = set(given.only) == set(SUBJECTS) and not given.quick
    given.out = given.out or HERE / "results" / f"{given.device}{'' if whole else '-part'}.json"
    try:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=given.out.parent).close()
    except OSError as error:
        parser.error(f"--out: cannot write {given.out}: {error.strerror or error}")
    return given


def positive(text: str) -> int:
    """Read a whole number of 1 or more."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"wanted 1 or more, got {number}")
    return number


def cuda_works() -> bool:
    """Tell whether torch has a GPU."""
    import torch

    return torch.cuda.is_available()


def measure(name: str, options: Options, rows: list[Row]) -> None:
    """Measure one subject and add its rows; what cannot be measured becomes a row that says why."""
    start = time.perf_counter()
    try:
        for row in importlib.import_module(name).measure(options):
            rows.append(row)
            sys.stderr.write(" | ".join(text for text in row.cells() if text) + "\n")
    except KeyboardInterrupt:
        rows.append(Row(name, "stopped", note="interrupted"))
        raise
    except Exception as error:  # the other subjects go on
        rows.append(Row(name, "stopped", note=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"))
    sys.stderr.write(f"{name}: {time.perf_counter() - start:.0f} s\n")


def table(facts: dict, rows: list[Row]) -> str:
    """Write where and when, and the rows as a table."""
    machine = ", ".join(f"{name} {value}" for name, value in facts["machine"].items())
    loads = f"load before {facts['load_before'][0]:.2f}, after {facts['load_after'][0]:.2f}"
    return f"{facts['date']}; {machine}; {loads}\n\n{markdown(rows)}\n"


def main() -> int:
    """Measure, write the table and the JSON after each subject, and print the table; also where it is interrupted."""
    given = arguments()
    if given.packages:
        sys.path.append(given.packages)
    options = Options(given.quick, given.device, given.rounds, given.large, given.packages, tuple(given.threads))
    facts = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "quick": given.quick, "device": given.device}
    facts |= {"machine": describe_machine(given.device), "load_before": os.getloadavg()}
    rows: list[Row] = []
    code = 0
    for name in given.only:
        try:
            measure(name, options, rows)
        except KeyboardInterrupt:
            code = INTERRUPTED
        facts |= {"load_after": os.getloadavg(), "rows": [asdict(row) for row in rows]}
        write_text(given.out, json.dumps(facts, indent=1) + "\n")
        write_text(given.out.with_suffix(".md"), table(facts, rows))
        if code:
            break
    sys.stdout.write(table(facts, rows))
    sys.stderr.write(f"written: {given.out}\n")
    return code or int(any(row.what == "stopped" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
