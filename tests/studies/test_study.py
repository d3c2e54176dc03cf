import fcntl
import io
import json
import os
import re
import signal
import subprocess
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from conftest import SMALL
from made_processes import all_gone, children_of, kernels_below, poseemo_command, wait_until
from rich.console import Console

from poseemo_lib.analysis.results import format_scores, load_results
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.studies.engine import Result, WorkerError
from poseemo_lib.studies.notebook import NotebookError
from poseemo_lib.studies.plan import PlannedRun, load_study, look_at_runs, plan_runs
from poseemo_lib.studies.status import Display, status_table
from poseemo_lib.studies.study import Order, check_gpus, code_of, gpu_names, make_run, run_study
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run_folder import STUDY_FILE, BusyError, is_busy, locked, read_record

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
        ({"configs": {"a": {"seeds": 3}}}, "configs.a.seeds: input should be a valid list, got 3"),
        ({"seeds": [0, 0]}, "seeds: wanted every seed once, got [0, 0]"),
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
    command = poseemo_command("study", path, "--out", out, "--jobs", 1, *more)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes)


def stop_group(process, number):
    """Send a signal to a study's process group, as a terminal does; return what it said when all of it had gone."""
    below = children_of(process)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=30)
    assert all_gone(below)
    return said


def states(runs):
    """Print the table of states and read it again: config -> numbers as text."""
    out = io.StringIO()
    Console(file=out, width=100).print(status_table(runs))
    return {row.split()[0]: row.split()[1:] for row in out.getvalue().splitlines()}


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
    seen = {"path": path, "out": out, "before": states(look_at_runs(load_study(path), path, out)[0])}
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
    with locked(runs[0].folder):  # a third process, which dies over it
        with locked(runs[1].folder):  # nor is the other made before both processes are there
            together = [start(path, out) for _ in range(2)]
            heads = ["".join(one.stdout.readline() for _ in range(2)) for one in together]
        wait_until(lambda: (out / "bad" / "seed-0" / "notebook.ipynb").exists(), together[0])
        seen["meanwhile"] = states(runs)
    said = [one.communicate(timeout=200) for one in together]
    ends = zip(heads, said, together, strict=True)
    seen["together"] = [(head + text, error, one.returncode) for head, (text, error), one in ends]
    return seen


@pytest.mark.slow
def test_a_look_at_a_study_makes_nothing(history):
    assert history["before"]["all"] == ["0", "0", "0", "0", "0", "2"]


@pytest.mark.slow
def test_ctrl_c_stops_at_once_and_leaves_nothing_half_written(history):
    code, said, left = history["interrupted"]
    assert code == 130 and not left
    assert said.strip().splitlines()[-1] == "poseemo: stopped; finished work is kept, and the same command continues"
    assert "Traceback" not in said


@pytest.mark.slow
def test_after_ctrl_c_and_kill_9_the_numbers_are_those_of_a_run_that_was_left_alone(history, tmp_path):
    from poseemo_lib.training.run import execute_run

    run = plan(history["path"], history["out"])[0]
    assert run.name == "net seed 0"
    alone = execute_run(run.parameters, tmp_path / "alone")
    for name in ("predictions.parquet", "weights.safetensors", "metrics.json"):
        assert (alone / name).read_bytes() == (run.folder / name).read_bytes()


@pytest.mark.slow
def test_two_processes_share_a_study(history):
    said = [out for out, _, _ in history["together"]]
    assert sum(len(re.findall(r"\] net seed 0: done in", text)) for text in said) == 1
    assert sum(len(re.findall(r"\] net seed 0: made by another", text)) for text in said) == 1
    # It was another's: both waited, and one of them took it over when that had died.
    assert history["meanwhile"]["net"] == ["0", "1", "0", "0", "0", "0"]
    assert not litter(history["out"])


@pytest.mark.slow
def test_a_failing_config_keeps_its_notebook_and_the_rest_goes_on(history):
    notebook = history["out"] / "bad" / "seed-0" / "notebook.ipynb"
    for out, error, code in history["together"]:
        assert code == 1 and "Traceback" not in error
        assert "bad seed 0: FAILED: " in out
        assert re.search(rf"^  bad seed 0: .*loss.*\n    notebook: {notebook}$", out, re.M)
        assert error.startswith("poseemo: 1 of 2 runs failed (see above); the others are in ")
    # It fails in one of them, and is not tried again by the other.
    assert sum("bad seed 0: FAILED: " in out for out, _, _ in history["together"]) == 2
    assert sum(bool(re.search(r"FAILED: .*\(in another process\)", out)) for out, _, _ in history["together"]) == 1
    assert notebook.exists() and (history["out"] / "net" / "seed-0" / "notebook.ipynb").exists()


@pytest.mark.slow
def test_status_after_all(history):
    rows = states(plan(history["path"], history["out"]))
    assert rows["bad"] == ["0", "0", "0", "0", "1", "0"] and rows["net"][0] == "1"


@pytest.mark.slow
def test_what_is_complete_is_not_made_again(history):
    runs, out = plan(history["path"], history["out"]), history["out"]
    before = (out / "study.json").stat().st_mtime_ns
    outcome = run_study(runs, out, None, only={"net"})
    assert (out / "study.json").stat().st_mtime_ns == before
    assert len(outcome.skipped) == 1 and not outcome.done and not outcome.failed


@pytest.mark.slow
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
        assert re.search(rf"^  big seed 0: .*No space left on device \(working in {where}\)", said, re.M)
        assert "small seed 0: done in" in said and not litter(disk)
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        process = start(path, disk / "out")
        said, _ = process.communicate(timeout=200)
        assert process.returncode == 0 and "2 runs, 1 complete, 1 to make" in said
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def order(tiny, tmp_path):
    parameters = check_parameters(SMALL | {"dataset": str(tiny), "architecture": "majority", "model": {}})
    run = PlannedRun("c", parameters, tmp_path / "c" / "seed-0", "the identity", str(tiny))
    (tmp_path / STUDY_FILE).touch()
    return Order(run, parameters.model_dump(), str(tmp_path), code_of(parameters))


def write_record(folder, notebook=False, **record):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"config": "c", "parameters": {}} | record))
    if notebook:
        (folder / "notebook.ipynb").touch()


def test_a_run_folder_is_locked_once_and_free_after(tmp_path):
    folder = tmp_path / "c" / "seed-0"
    assert not is_busy(folder) and not folder.parent.exists()  # looking makes nothing
    with locked(folder):
        with pytest.raises(BusyError, match="another process is working on this run"), locked(folder):
            pass
        with locked(tmp_path / "c" / "seed-00"):
            assert is_busy(folder)
    assert not is_busy(folder)
    with open(folder.parent / ".lock-seed-0") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_busy(folder)
    (tmp_path / "file").touch()
    with pytest.raises(PoseemoError, match="file: .*; wanted a folder to write"), locked(tmp_path / "file" / "s"):
        pass


def test_a_run_that_another_process_makes_made_or_failed_is_left_to_it(order):
    folder = order.run.folder
    with locked(folder):
        assert make_run(order) == "busy"
    write_record(folder, status="failed", identity="the identity", error="no space", finished="later")
    with pytest.raises(NotebookError, match=r"no space \(in another process\)"):
        make_run(order)
    write_record(folder, notebook=True, status="complete", identity="the identity")
    assert make_run(order) == "elsewhere"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": ["another", {}]}, "has other code or versions"),
        ({"out": "/no/where"}, r"does not see /no/where; wanted a folder that client and workers share \(--out\)"),
        ({"parameters": {"dataset": "/no/where"}}, "does not see the dataset /no/where"),
    ],
)
def test_a_worker_that_cannot_make_the_runs_says_why(order, changes, said):
    values = {"run": order.run, "parameters": order.parameters, "out": order.out, "code": order.code} | changes
    with pytest.raises(WorkerError, match=said):
        make_run(Order(**values))
    assert not order.run.folder.parent.exists()


def test_a_run_without_threads_of_its_own_gets_those_of_its_worker(order, monkeypatch):
    given = []
    monkeypatch.setattr("poseemo_lib.studies.study._execute", lambda run, *_, **__: given.append(run["threads"]))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with pytest.raises(PoseemoError, match="changed meanwhile"):  # nothing was made
        make_run(Order(order.run, order.parameters | {"threads": 0}, order.out, order.code))
    assert given == [3]


def test_a_notebook_without_its_parameters_cell_stops_the_study(order, tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.studies.notebook.NOTEBOOKS", tmp_path)
    (tmp_path / "03_train.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    with pytest.raises(UsageError, match="wanted a cell with the tag `parameters`, found none"):
        make_run(order)


def test_what_a_killed_process_left_goes_with_the_next_attempt_and_no_other_files(order, tmp_path, monkeypatch):
    monkeypatch.setattr("poseemo_lib.studies.study._execute", lambda *_, **__: None)
    folder = order.run.folder
    folder.mkdir(parents=True)
    beside = folder.parent
    litter = [folder / ".tmp-7-run.json", beside / ".notebook-seed-0.ipynb", beside / ".tmp-7-.notebook-seed-0.ipynb"]
    others = [folder / "run.json", beside / ".notebook-seed-00.ipynb", beside / ".tmp-7-.notebook-seed-01.ipynb"]
    for path in litter + others:
        path.touch()
    with pytest.raises(PoseemoError, match="the code or the dataset changed meanwhile"):
        make_run(order)
    assert not any(path.exists() for path in litter) and all(path.exists() for path in others)


def write_notebook(folder, order, *cells):
    """Put a light notebook in the place of the one that trains."""
    names = [*order.parameters, "out", "config"]
    cells = ["\n".join(f"{name} = None" for name in names), *cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "03_train.ipynb")


def test_the_notebook_of_an_attempt_that_failed_never_passes_for_the_run(order, tmp_path, monkeypatch):
    """It failed; the next attempts complete the record and then are abandoned, or fail in a later cell."""
    monkeypatch.setattr("poseemo_lib.studies.notebook.NOTEBOOKS", tmp_path)
    folder = order.run.folder
    kept, failed = folder / "notebook.ipynb", folder / "notebook-failed.ipynb"
    write_record(folder, status="failed", identity="the identity", error="no space", finished="1")
    kept.write_text("the old one")
    order = Order(order.run, order.parameters, order.out, [], seen="1")

    record = {"status": "complete", "identity": "the identity", "finished": "2", "config": "c", "parameters": {}}
    complete = f"open(out + '/run.json', 'w').write({json.dumps(record)!r})"
    write_notebook(tmp_path, order, complete, "while True: pass")
    with pytest.raises(NotebookError):
        make_run(order, abandoned=lambda: read_record(folder) == record)
    assert not order.run.complete and not kept.exists() and failed.read_text() == "the old one"
    assert not litter(tmp_path)

    write_notebook(tmp_path, order, "raise ValueError('no figure')")
    with pytest.raises(NotebookError, match="ValueError: no figure") as error:
        make_run(order)
    assert error.value.notebook == failed and "no figure" in failed.read_text() and not order.run.complete

    write_notebook(tmp_path, order, "1")
    assert make_run(order) == "done" and order.run.complete and not failed.exists()


def test_gpus_in_turn_and_by_the_names_that_this_process_sees(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_names([0, 3], 2) == ["0", "3", "0", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-ab")
    assert gpu_names([1, 0], 1) == ["GPU-ab", "4"]
    with pytest.raises(UsageError, match="--gpus: 63: not there; this machine has"):
        check_gpus([63], [])


def test_what_says_auto_gets_the_gpu_or_fails(order, tmp_path):
    """Without a GPU to see, a run that was given one must not fall back to the CPU in silence."""
    given = []
    engine = SimpleNamespace(address=None, threads=3, gpus=["63"], run=lambda _, orders, __: given.extend(orders) or [])
    run_study([order.run], tmp_path, engine)
    parameters = given[0].parameters
    assert (parameters["device"], parameters["threads"]) == ("cuda", 1)  # of the study


def test_states(tmp_path):
    def planned(config, seed):
        parameters = check_parameters({"architecture": "majority", "seed": seed})
        return PlannedRun(config, parameters, tmp_path / config / f"seed-{seed}", "i", "data")

    runs = [planned(config, seed) for config in "ab" for seed in range(4)]
    write_record(runs[0].folder, notebook=True, status="complete", identity="i")
    write_record(runs[1].folder, notebook=True, status="complete", identity="old")
    write_record(runs[2].folder, status="running", identity="i")
    write_record(runs[4].folder, notebook=True, status="failed", identity="i")
    write_record(runs[5].folder, status="running", identity="i")
    with locked(runs[5].folder):
        assert states(runs) == {
            "config": ["complete", "running", "started", "stale", "failed", "missing"],
            "a": ["1", "0", "1", "1", "0", "1"],
            "b": ["0", "1", "0", "0", "1", "2"],
            "all": ["1", "1", "1", "1", "1", "3"],
        }


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_where_there_is_no_terminal_and_a_bar_where_there_is_one(monkeypatch, terminal):
    times = iter([0.0, 20.0, 40.0, 60.0])
    monkeypatch.setattr("poseemo_lib.studies.status.time", SimpleNamespace(monotonic=lambda: next(times)))
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal() if terminal else io.StringIO()
    with Display([1.0, 1.0, 2.0], "runs", file=out) as display:
        display.ended("a seed 0", Result("done", seconds=20.0))
        display.ended("a seed 1", Result("failed", "no [space]"))
        display.ended("b seed 0", Result("elsewhere"), 2.0)
    lines = [
        "[1/3, about 60 s left] a seed 0: done in 20 s",
        "[2/3, about 40 s left] a seed 1: FAILED: no [space]",
        "[3/3] b seed 0: made by another process",
    ]
    if terminal:
        assert "3/3 runs, 1 failed" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    else:
        assert out.getvalue().splitlines() == lines
