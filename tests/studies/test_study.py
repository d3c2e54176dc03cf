import os
import re
import signal
import subprocess
import sys

import psutil
import pytest
import yaml
from conftest import SMALL
from made_processes import kernels_below, wait_until

from poseemo_lib.analysis.results import format_scores, load_results
from poseemo_lib.errors import PoseemoError
from poseemo_lib.studies.claims import claimed
from poseemo_lib.studies.plan import load_study, look_at_runs, plan_runs
from poseemo_lib.studies.status import status_table
from poseemo_lib.studies.study import LocalSlots, run_study
from poseemo_lib.training.run_folder import read_record

BASE = SMALL | {"epochs": 1}


def write_study(path, tiny, **changes):
    study = {
        "name": "s",
        "dataset": str(tiny),
        "seeds": [0, 1],
        "base": BASE,
        "configs": {
            "net": {"architecture": "deep_residual"},
            "majority": {"architecture": "majority", "seeds": [0], "model": {}},
        },
    }  # fmt: skip
    path.write_text(yaml.safe_dump(study | changes, sort_keys=False))
    return path


def plan(path, out):
    return plan_runs(load_study(path), path, out)


def test_configs_times_seeds_seeds_outermost(tiny, tmp_path):
    runs = plan(write_study(tmp_path / "s.yaml", tiny), tmp_path / "out")
    assert [run.name for run in runs] == ["net seed 0", "majority seed 0", "net seed 1"]
    assert runs[0].folder == tmp_path / "out" / "net" / "seed-0"
    assert runs[0].parameters.epochs == 1


def test_leave_one_group_out_has_a_run_for_every_group(tiny, tmp_path):
    base = BASE | {"split": "leave_one_group_out"}
    runs = plan(write_study(tmp_path / "s.yaml", tiny, base=base, seeds=[3]), tmp_path / "out")
    net = [run for run in runs if run.config == "net"]
    assert len({run.parameters.fold for run in net}) == len(net) == 12
    assert net[0].folder.parent.name.startswith("fold-") and len({run.identity for run in net}) == 12


def test_a_config_takes_its_file_then_its_own_values(tiny, tmp_path):
    (tmp_path / "mine.yaml").write_text("architecture: bilstm\nlr: 1e-3\nepochs: 7\n")
    configs = {"a": {"from": "mine.yaml", "epochs": 9}, "b": {"from": "architectures/bilstm"}}
    runs = plan(write_study(tmp_path / "s.yaml", tiny, configs=configs, base={}, seeds=[0]), tmp_path / "out")
    assert [(r.parameters.architecture, r.parameters.lr, r.parameters.epochs) for r in runs] == [
        ("bilstm", 1e-3, 9),
        ("bilstm", 5e-4, 60),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [1]}, "s.yaml: sedes: unknown key; did you mean seeds?"),
        ({"configs": {}}, "s.yaml: configs: dictionary should have at least 1 item"),
        ({"configs": {"../../out": {}}}, "configs.../../out: string should match pattern"),
        ({"configs": {".hidden": {}}}, "configs..hidden: string should match pattern"),
        ({"configs": {"a": {"seeds": 3}}}, "configs.a.seeds: input should be a valid list, got 3"),
        ({"seeds": [0, 0]}, "seeds: wanted every seed once, got [0, 0]"),
        ({"seeds": []}, "seeds: list should have at least 1 item"),
        ({"configs": {"a": {"dataset": "other"}}}, "configs.a: dataset: belongs to the study"),
        ({"configs": {"a": {"split": "official"}}}, "s.yaml: configs.a: official split"),
        ({"configs": {"a": {"epoch": 1}}}, "s.yaml: configs.a: epoch: unknown parameter; did you mean epochs?"),
        ({"configs": {"a": {"from": "no.yaml"}}}, "configs.a.from: wanted a parameter file, found none at no.yaml"),
        ({"dataset": "/no/where"}, "/no/where: wanted a dataset's folder or a recipe"),
    ],
)
def test_mistakes_in_a_study_are_named(tiny, tmp_path, changes, message):
    with pytest.raises(PoseemoError) as error:
        plan(write_study(tmp_path / "s.yaml", tiny, **changes), tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def start(path, out, *more):
    command = [
        sys.executable,
        "-m",
        "poseemo_lib.cli.__main__",
        "study",
        str(path),
        "--out",
        str(out),
        "--jobs",
        "1",
        *more,
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes)


def stop_group(process, number):
    """Send a signal to a study's process group, as a terminal does; return what it said when all of it had gone."""
    below = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=20)
    assert not psutil.wait_procs(below, timeout=5)[1]
    return said


def litter(out):
    return [path for pattern in (".notebook-*", ".tmp-*") for path in out.rglob(pattern)]


@pytest.fixture(scope="module")
def history(tiny, tmp_path_factory):
    """A study with a config that fails: stopped by Ctrl-C, then by kill -9, then finished by two processes together."""
    room = tmp_path_factory.mktemp("study")
    net = {"architecture": "deep_residual"}
    configs = {"net": net, "bad": net | {"lr": 1e30}}
    base = SMALL | {"epochs": 20}  # long enough to be stopped in the middle
    path, out = write_study(room / "s.yaml", tiny, configs=configs, base=base, seeds=[0]), room / "out"
    seen = {"path": path, "out": out, "before": status_table(look_at_runs(load_study(path), path, out)[0])}
    assert not out.exists()

    process = start(path, out)
    wait_until(lambda: list(out.rglob("checkpoint.pt")), process)
    said = stop_group(process, signal.SIGINT)
    seen["interrupted"] = (process.returncode, said[1], litter(out))

    process = start(path, out)
    wait_until(lambda: litter(out) and kernels_below(process), process)
    stop_group(process, signal.SIGKILL)
    statuses = [read_record(path.parent)["status"] for path in out.rglob("run.json")]
    assert "running" in statuses and "complete" not in [read_record(out / "net" / "seed-0")["status"]]

    runs = plan(path, out)
    with claimed(runs[0].folder):  # a third process, which dies over it
        with claimed(runs[1].folder):  # nor is the other made before both processes are there
            together = [start(path, out) for _ in range(2)]
            heads = ["".join(one.stdout.readline() for _ in range(2)) for one in together]
        wait_until(lambda: (out / "bad" / "seed-0" / "notebook.ipynb").exists(), together[0])
        seen["meanwhile"] = status_table(runs)
    said = [one.communicate(timeout=200) for one in together]
    ends = zip(heads, said, together, strict=True)
    seen["together"] = [(head + text, error, one.returncode) for head, (text, error), one in ends]
    return seen


def test_a_look_at_a_study_makes_nothing(history):
    assert history["before"].splitlines()[-1].split() == ["all", "0", "0", "0", "0", "0", "2"]


def test_ctrl_c_stops_at_once_and_leaves_nothing_half_written(history):
    code, said, left = history["interrupted"]
    assert code == 130 and not left
    assert said.strip().splitlines()[-1] == "poseemo: stopped; what was done is kept, the same command goes on"
    assert "Traceback" not in said


def test_after_ctrl_c_and_kill_9_the_numbers_are_those_of_a_run_that_was_left_alone(history, tmp_path):
    from poseemo_lib.training.run import execute_run

    run = plan(history["path"], history["out"])[0]
    assert run.name == "net seed 0"
    alone = execute_run(run.parameters, tmp_path / "alone")
    for name in ("predictions.parquet", "weights.safetensors", "metrics.json"):
        assert (alone / name).read_bytes() == (run.folder / name).read_bytes()


def test_two_processes_share_a_study(history):
    said = [out for out, _, _ in history["together"]]
    assert sum(len(re.findall(r"\] net seed 0: done in", text)) for text in said) == 1
    assert sum(len(re.findall(r"\] net seed 0: made by another", text)) for text in said) == 1
    # It was another's: both waited, and one of them took it over when that had died.
    row = dict(line.split(maxsplit=1) for line in history["meanwhile"].splitlines())["net"].split()
    assert row == ["0", "1", "0", "0", "0", "0"]
    assert not litter(history["out"])


def test_a_failing_config_keeps_its_notebook_and_the_rest_goes_on(history):
    notebook = history["out"] / "bad" / "seed-0" / "notebook.ipynb"
    for out, error, code in history["together"]:
        assert code == 1 and "Traceback" not in error
        assert "bad seed 0: FAILED: " in out
        assert re.search(rf"^bad +- +0 .*loss.* {notebook}$", out, re.M)
        assert error.startswith("poseemo: 1 of 2 runs failed (see above); the others are in ")
    # It fails in one of them, and is not tried again by the other.
    assert sum("bad seed 0: FAILED: " in out for out, _, _ in history["together"]) == 2
    assert sum(bool(re.search(r"FAILED: .*\(in another process\)", out)) for out, _, _ in history["together"]) == 1
    assert notebook.exists() and (history["out"] / "net" / "seed-0" / "notebook.ipynb").exists()


def test_status_after_all(history):
    table = status_table(plan(history["path"], history["out"]))
    rows = {row.split()[0]: row.split()[1:] for row in table.splitlines()}
    assert rows["bad"] == ["0", "0", "0", "0", "1", "0"] and rows["net"][0] == "1"


@pytest.mark.parametrize(("n_slots", "said"), [(2, "2 at a time, 2 threads each"), (4, "4 at a time, 1 thread each")])
def test_the_cores_are_shared_out_and_said(monkeypatch, n_slots, said):
    monkeypatch.setattr("poseemo_lib.studies.study.cores", lambda: 4)
    assert LocalSlots([{}] * n_slots).describe() == said


def test_what_is_complete_is_not_made_again(history):
    runs, out = plan(history["path"], history["out"]), history["out"]
    before = (out / "study.json").stat().st_mtime_ns
    outcome = run_study(runs, out, LocalSlots([{}]), only={"net"})
    assert (out / "study.json").stat().st_mtime_ns == before
    assert len(outcome.skipped) == 1 and not outcome.done and not outcome.failed


def test_results_of_a_study(history):
    results = load_results(history["out"])
    assert len(results.runs) == 1 and results.incomplete == ["bad/seed-0"]
    assert results.best().name == "net" and results["net"].seeds == [0]
    assert results.synthetic and results.leaks == {}
    assert list(format_scores(results.score_table()).index) == ["net"]


@pytest.mark.slow
def test_a_full_disk_costs_no_run_that_was_there(tiny, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("wants the right to mount a small disk")
    try:
        configs = {"small": {"architecture": "majority", "model": {}}}
        configs["big"] = {"architecture": "deep_residual", "model": {"hidden": 128, "blocks": 2}}
        path = write_study(tmp_path / "s.yaml", tiny, configs=configs, seeds=[0], base=SMALL)
        process = start(path, disk / "out")
        said, error = process.communicate(timeout=200)
        assert process.returncode == 1 and "Traceback" not in error
        where = re.escape(str(disk / "out" / "big"))
        assert re.search(rf"^big .*No space left on device \(working in {where}\)", said, re.M)
        assert "[1/2] small seed 0: done" in said and not litter(disk)
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        process = start(path, disk / "out")
        said, _ = process.communicate(timeout=200)
        assert process.returncode == 0 and "2 runs, 1 complete, 1 to make" in said
    finally:
        subprocess.run(["umount", disk], check=True)
