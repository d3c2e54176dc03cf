"""Ctrl-C in a command: one line, an exit code, and nothing half made."""

import os
import signal
import subprocess
import sys
import time

import made_studies
import psutil
import pytest

BEFORE = {"report.html": "the report before", "model_card.md": "its card", "figures/01.svg": "its figure"}


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def has_kernel(process):
    return any("ipykernel" in " ".join(one.cmdline()) for one in psutil.Process(process.pid).children(recursive=True))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_report_that_is_stopped_says_so_in_a_line_and_leaves_the_one_before(number, code, tmp_path):
    runs = made_studies.made_study(tmp_path / "runs", {"floor": {"architecture": "majority"}, "net": {}}, seeds=[0])
    for name, text in BEFORE.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-m", "poseemo_lib.cli", "report", str(runs), "--out", str(tmp_path / "out")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    deadline = time.monotonic() + 60
    while not has_kernel(process):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    below = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (code, "", "poseemo: stopped; the previous report is untouched\n")
    assert files_below(tmp_path / "out") == BEFORE
    assert not psutil.wait_procs(below, timeout=5)[1]
