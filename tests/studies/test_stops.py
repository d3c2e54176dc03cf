"""A study that two processes share: one is killed, the other one stopped by Ctrl-C, and the same command ends it.

One config waits and one fails; their notebook is light (`made_light`), all else is what `poseemo study` does.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import made_light
import pytest
import yaml
from conftest import SMALL
from made_commands import poseemo
from made_light import litter, printed_states
from made_processes import all_gone, children_of, poseemo_command, wait_until

from poseemo_lib.studies import study
from poseemo_lib.studies.plan import load_study, plan_runs

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def write_study(path, tiny, configs, **more):
    study = {"name": "s", "dataset": str(tiny), "seeds": [0], "configs": configs} | more
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


def start(*arguments):
    """Start `poseemo` in a process group of its own, as a terminal does."""
    command = [sys.executable, "-c", "import made_light; made_light.main()", *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}, **options)


def stop(process, number):
    """Send a signal to a group; return the exit code and what was said once all of it has gone."""
    below = children_of(process)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=60)
    assert len(below) >= 2 and all_gone(below)  # a worker and its kernel
    return process.returncode, *said


def states(path, out):
    return printed_states(plan_runs(load_study(path), path, out))


@pytest.fixture(scope="module")
def history(tiny, tmp_path_factory):
    room = tmp_path_factory.mktemp("study")
    path, out, light = room / "s.yaml", room / "out", room / "light"
    write_study(path, tiny, {name: {"architecture": "majority"} for name in ("slow", "bad")})
    light.mkdir()
    made_light.write_training_notebook(light, made_light.RUN)
    command = ("study", path, "--out", out, "--jobs", 1)
    seen = {"path": path, "out": out, "command": command}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(made_light.FOLDER, str(light))
        patch.setattr(study, "NOTEBOOK", str(light / "03_train.ipynb"))
        patch.setattr(study, "PRELOAD", made_light.PRELOAD)
        seen["before"] = poseemo(*command, "--status").stdout
        assert not out.exists()

        both = [start(*command) for _ in range(2)]
        kernel = out / "slow" / "seed-0" / "kernel"
        first = wait_until(lambda: kernel.exists() and kernel.read_text(), both[0])
        wait_until(lambda: (out / "bad" / "seed-0" / "notebook.ipynb").exists(), both[0])
        seen["meanwhile"] = states(path, out)
        both.sort(key=lambda one: int(first) not in [child.pid for child in children_of(one)])
        seen["killed"] = stop(both[0], signal.SIGKILL)
        wait_until(lambda: kernel.read_text() not in ("", first), both[1])
        seen["litter"] = litter(out)
        seen["interrupted"] = stop(both[1], signal.SIGINT)
        assert not litter(out)

        (light / "go").touch()
        seen["end"] = poseemo(*command)
        yield seen


def test_a_look_at_a_study_makes_nothing(history):
    assert re.search(r"^all +0 +0 +0 +0 +0 +2$", history["before"], re.M)


def test_two_processes_share_a_study(history):
    """One made `slow`, the other one `bad` and then waited; it took `slow` over from the one that was killed."""
    assert history["meanwhile"]["slow"] == ["0", "1", "0", "0", "0", "0"]
    assert history["meanwhile"]["bad"] == ["0", "0", "0", "0", "1", "0"]
    assert history["killed"][0] == -signal.SIGKILL and "bad seed 0" not in history["killed"][1]
    assert "bad seed 0: FAILED: " in history["interrupted"][1]


def test_ctrl_c_stops_at_once_and_leaves_nothing_half_written(history):
    code, _, error = history["interrupted"]
    assert history["litter"]  # which was there in the middle
    assert (code, error) == (130, "poseemo: stopped; finished work is kept, and the same command continues\n")


def test_the_same_command_ends_it_and_a_failing_config_keeps_its_notebook(history):
    end, notebook = history["end"], history["out"] / "bad" / "seed-0" / "notebook.ipynb"
    assert "s: 2 runs, 0 complete, 2 to make" in end.stdout and "slow seed 0: done in" in end.stdout
    assert re.search(
        rf"^  bad seed 0: AssertionError: the loss is not finite\n    notebook: {notebook}$", end.stdout, re.M
    )
    assert end.returncode == 1 and end.stderr.startswith("poseemo: 1 of 2 runs failed (see above); the others are in ")
    assert "the loss is not finite" in notebook.read_text() and not litter(history["out"])
    assert states(history["path"], history["out"])["all"] == ["1", "0", "0", "0", "1", "0"]


def test_what_is_complete_is_not_made_again(history):
    notes = [history["out"] / "study.json", history["out"] / "slow" / "seed-0" / "run.json"]
    before = [note.stat().st_mtime_ns for note in notes]
    again = poseemo(*history["command"], "--only", "slow")
    assert again.returncode == 0 and "s: 1 runs, 1 complete, 0 to make" in again.stdout
    assert [note.stat().st_mtime_ns for note in notes] == before


@pytest.mark.slow
def test_a_full_disk_costs_no_run_that_was_there(tiny, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("wants the right to mount a small disk")
    try:
        configs = {"small": {"architecture": "majority", "model": {}}}
        configs["big"] = {"architecture": "deep_residual", "model": {"hidden": 128, "blocks": 2}}
        path = write_study(tmp_path / "s.yaml", tiny, configs, base=SMALL)
        command = poseemo_command("study", path, "--out", disk / "out", "--jobs", 1)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        where = re.escape(str(disk / "out" / "big"))
        assert re.search(rf"^  big seed 0: .*No space left on device \(working in {where}\)", done.stdout, re.M)
        assert "small seed 0: done in" in done.stdout and not litter(disk)
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and "2 runs, 1 complete, 1 to make" in done.stdout
    finally:
        subprocess.run(["umount", disk], check=True)
