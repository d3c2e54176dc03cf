"""Ctrl-C in a command: one line, an exit code, and nothing half made."""

import os
import signal
import subprocess

import made_studies
import pytest
from made_light import litter
from made_processes import all_gone, kernels_below, poseemo_command, wait_until

from poseemo_lib.cli.shared import CONTINUES

BEFORE = {"report.html": "the report before", "model_card.md": "its card", "figures/01.svg": "its figure"}


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_report_that_is_stopped_says_so_in_a_line_and_leaves_the_one_before(number, code, tmp_path):
    runs = made_studies.made_study(tmp_path / "runs", {"floor": {"architecture": "majority"}, "net": {}}, seeds=[0])
    for name, text in BEFORE.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = poseemo_command("report", runs, "--out", tmp_path / "out")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    below = wait_until(lambda: kernels_below(process), process)
    os.killpg(process.pid, number)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (code, "", "poseemo: stopped; the previous report is untouched\n")
    assert files_below(tmp_path / "out") == BEFORE
    assert all_gone(below, 5)


def test_a_training_that_is_stopped_says_so_and_leaves_nothing_half_written(tiny, tmp_path):
    command = poseemo_command("train", tiny, "-p", "epochs=500", "-p", "patience=0", "--out", tmp_path / "run")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    below = wait_until(lambda: kernels_below(process), process)
    os.killpg(process.pid, signal.SIGTERM)
    error = process.communicate(timeout=60)[1]
    assert (process.returncode, error) == (143, f"poseemo: stopped; {CONTINUES}\n")
    assert not litter(tmp_path) and all_gone(below, 5)
