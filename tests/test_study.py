import subprocess
import sys
import time

import psutil
import pytest
import yaml
from conftest import SMALL

from poseemo_lib.errors import PoseemoError
from poseemo_lib.paths import PARAMETERS
from poseemo_lib.results import format_scores, load_results
from poseemo_lib.runs import read_record
from poseemo_lib.study import run_study, status_lines
from poseemo_lib.study_plan import load_study, plan_runs

BASE = SMALL | {"epochs": 1}


def write_study(path, tiny, **changes):
    study = {
        "name": "s",
        "dataset": str(tiny),
        "seeds": [0, 1],
        "base": BASE,
        "cells": {
            "net": {"architecture": "deep_residual"},
            "majority": {"architecture": "majority", "seeds": [0], "model": {}},
        },
    }  # fmt: skip
    path.write_text(yaml.safe_dump(study | changes, sort_keys=False))
    return path


def plan(path, out):
    return plan_runs(load_study(path), path, out)


def test_cells_times_seeds_seeds_outermost(tiny, tmp_path):
    runs = plan(write_study(tmp_path / "s.yaml", tiny), tmp_path / "out")
    assert [run.name for run in runs] == ["net seed 0", "majority seed 0", "net seed 1"]
    assert runs[0].folder == tmp_path / "out" / "net" / "seed-0"
    assert runs[0].parameters.epochs == 1


def test_leave_one_group_out_has_a_run_for_every_group(tiny, tmp_path):
    base = BASE | {"split": "leave_one_group_out"}
    runs = plan(write_study(tmp_path / "s.yaml", tiny, base=base, seeds=[3]), tmp_path / "out")
    net = [run for run in runs if run.cell == "net"]
    assert len({run.parameters.fold for run in net}) == len(net) == 12
    assert net[0].folder.parent.name.startswith("fold-") and len({run.identity for run in net}) == 12


def test_a_cell_takes_its_file_then_its_own_values(tiny, tmp_path):
    (tmp_path / "mine.yaml").write_text("architecture: bilstm\nlr: 1e-3\nepochs: 7\n")
    cells = {"a": {"from": "mine.yaml", "epochs": 9}, "b": {"from": "architectures/bilstm"}}
    runs = plan(write_study(tmp_path / "s.yaml", tiny, cells=cells, base={}, seeds=[0]), tmp_path / "out")
    assert [(r.parameters.architecture, r.parameters.lr, r.parameters.epochs) for r in runs] == [
        ("bilstm", 1e-3, 9),
        ("bilstm", 5e-4, 60),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [1]}, "s.yaml: sedes: unknown key; did you mean seeds?"),
        ({"cells": {}}, "s.yaml: cells: dictionary should have at least 1 item"),
        ({"cells": {"../../out": {}}}, "cells.../../out: string should match pattern"),
        ({"cells": {".hidden": {}}}, "cells..hidden: string should match pattern"),
        ({"cells": {"a": {"seeds": 3}}}, "cells.a.seeds: input should be a valid list, got 3"),
        ({"seeds": [0, 0]}, "seeds: wanted every seed once, got [0, 0]"),
        ({"seeds": []}, "seeds: list should have at least 1 item"),
        ({"cells": {"a": {"dataset": "other"}}}, "cells.a: dataset: belongs to the study"),
        ({"cells": {"a": {"split": "official"}}}, "s.yaml: cells.a: official split"),
        ({"cells": {"a": {"epoch": 1}}}, "s.yaml: cells.a: epoch: unknown parameter; did you mean epochs?"),
        ({"cells": {"a": {"from": "no.yaml"}}}, "cells.a.from: wanted a parameter file, found none at no.yaml"),
        ({"dataset": "/no/where"}, "/no/where: wanted a dataset's folder or a recipe"),
    ],
)
def test_mistakes_in_a_study_are_named(tiny, tmp_path, changes, message):
    with pytest.raises(PoseemoError) as error:
        plan(write_study(tmp_path / "s.yaml", tiny, **changes), tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def killed_and_finished(tiny, tmp_path_factory):
    """A study with a cell that fails, killed in the middle and started again: its folder, and the second start."""
    room = tmp_path_factory.mktemp("study")
    bad = {"architecture": "deep_residual", "device": "cuda:77", "seeds": [0]}
    net = {"architecture": "deep_residual"}
    cells = {"bad": bad, "net": net, "majority": {"architecture": "majority", "seeds": [0], "model": {}}}
    base = SMALL | {"epochs": 25}  # long enough to be killed in the middle
    path, out = write_study(room / "s.yaml", tiny, cells=cells, base=base), room / "out"
    command = [sys.executable, "-m", "poseemo_lib.cli", "study", str(path), "--out", str(out), "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 100
    while not list(out.rglob("run.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    below = psutil.Process(process.pid).children(recursive=True)
    assert any("ipykernel" in " ".join(child.cmdline()) for child in below)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(below, timeout=3)
    assert not alive
    statuses = [read_record(path.parent)["status"] for path in out.rglob("run.json")]
    assert "running" in statuses
    return path, out, subprocess.run(command, capture_output=True, text=True)


def test_after_kill_9_no_kernel_is_left_and_the_same_command_goes_on(killed_and_finished):
    path, out, _ = killed_and_finished
    results = load_results(out)
    assert len(results.runs) == 3 and results.incomplete == ["bad/seed-0"]
    assert status_lines(plan(path, out)) == ["bad: 1 missing of 1", "net: 2 complete of 2", "majority: 1 complete of 1"]


def test_a_failing_cell_keeps_its_notebook_and_the_rest_goes_on(killed_and_finished):
    _, out, second = killed_and_finished
    assert second.returncode == 1
    assert "bad seed 0: FAILED: device: wanted auto" in second.stdout
    assert "1 of 4 runs failed: bad seed 0" in second.stderr and "Traceback" not in second.stderr
    assert (out / "bad" / "seed-0" / "notebook.ipynb").exists()
    assert (out / "majority" / "seed-0" / "notebook.ipynb").exists()


def test_what_is_complete_is_not_made_again(killed_and_finished):
    path, out, _ = killed_and_finished
    good = [run for run in plan(path, out) if run.cell != "bad"]
    outcome = run_study(good, out, jobs=2)
    assert len(outcome.skipped) == 3 and not outcome.done and not outcome.failed


def test_results_of_a_study(killed_and_finished):
    _, out, _ = killed_and_finished
    results = load_results(out)
    assert [cell.name for cell in results.cells] == ["majority", "net"]
    assert results.best().name == "net" and results["net"].seeds == [0, 1]
    assert results.synthetic and results.leaks == {}
    table = format_scores(results.score_table())
    assert list(table.index) == ["majority", "net"]
    there = results["majority"].predictions()[0]["label"].nunique()
    assert table.loc["majority", "balanced accuracy"].startswith(f"{100 / there:.1f} [")


@pytest.mark.parametrize("path", sorted(PARAMETERS.glob("studies/*.yaml")), ids=lambda p: p.stem)
def test_every_study_file_is_valid(path):
    study = load_study(path)
    assert study.name == path.stem
    assert (PARAMETERS / "datasets" / f"{study.dataset}.yaml").exists()
