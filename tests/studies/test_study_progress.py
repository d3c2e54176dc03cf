import io
import json
from pathlib import Path

import pytest

from poseemo_lib.studies.claims import claimed
from poseemo_lib.studies.plan import PlannedRun
from poseemo_lib.studies.run_process import Result
from poseemo_lib.studies.status import OVERHEAD, Display, Pace, failure_table, status_table
from poseemo_lib.training.parameters import check_parameters


def planned(folder, config="a", seed=0, identity="i"):
    parameters = check_parameters({"architecture": "majority", "seed": seed})
    return PlannedRun(config, parameters, Path(folder) / config / f"seed-{seed}", identity, "data")


def write(run, notebook=False, **record):
    run.folder.mkdir(parents=True)
    (run.folder / "run.json").write_text(
        json.dumps({"identity": run.identity, "config": run.config, "parameters": {}} | record)
    )
    if notebook:
        (run.folder / "notebook.ipynb").touch()
    return run


def test_states(tmp_path):
    write(planned(tmp_path, seed=0), notebook=True, status="complete")
    write(planned(tmp_path, seed=1), notebook=True, status="complete", identity="old")
    write(planned(tmp_path, seed=2), status="running")
    write(planned(tmp_path, "b", seed=0), notebook=True, status="failed")
    write(planned(tmp_path, "b", seed=1), status="running")
    runs = [planned(tmp_path, config, seed) for config in "ab" for seed in range(4)]
    with claimed(runs[5].folder):
        lines = [line.split() for line in status_table(runs).splitlines()]
    assert lines == [
        ["config", "complete", "running", "started", "stale", "failed", "missing"],
        ["a", "1", "0", "1", "1", "0", "1"],
        ["b", "0", "1", "0", "0", "1", "2"],
        ["all", "1", "1", "1", "1", "1", "3"],
    ]


def test_what_failed_is_a_table_with_the_error_and_the_notebook(tmp_path):
    failed = [
        (planned(tmp_path), Result("failed", "no space", "/x/notebook.ipynb")),
        (planned(tmp_path, seed=10), Result("died", "it died")),
    ]
    assert failure_table(failed).splitlines() == [
        "config  fold  seed  error     notebook",
        "a       -        0  no space  /x/notebook.ipynb",
        "a       -       10  it died   -",
    ]


def test_the_time_left_is_by_config(tmp_path):
    cheap, dear = planned(tmp_path, "cheap"), planned(tmp_path, "dear")
    assert Pace([cheap, dear]).left([cheap], [], 1, 0.0) is None  # nothing is known yet
    pace = Pace([write(cheap, status="complete", seconds=10.0)])
    assert pace.expected(cheap) == 10 + OVERHEAD
    assert pace.expected(dear) == 10 + OVERHEAD  # the best guess until one has ended
    pace.add(dear, 100.0)
    assert pace.left([cheap, dear], [], 1, 0.0) == 110 + OVERHEAD
    assert pace.left([cheap, cheap], [(dear, 0.0)], 2, 40.0) == 60  # the long one decides
    assert pace.left([], [(dear, 0.0)], 2, 400.0) == 0  # late, but never less than nothing


def test_plain_lines_where_there_is_no_terminal(tmp_path):
    runs, out = [planned(tmp_path, seed=k) for k in range(3)], io.StringIO()
    display = Display(runs, 3, out)
    display.ended(runs[0], Result("done", seconds=20.0))
    display.look(runs[2:], [(runs[1], -1e9)], [], 1)
    display.ended(runs[1], Result("failed", "no space"))
    display.ended(runs[2], Result("elsewhere"))
    display.close()
    assert out.getvalue().splitlines() == [
        "[1/3] a seed 0: done in 20 s",
        "[2/3, about 20 s left] a seed 1: FAILED: no space",
        "[3/3] a seed 2: made by another process",
    ]


def test_a_live_bar_in_a_terminal(tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    runs, out = [planned(tmp_path, seed=k) for k in range(4)], Terminal()
    display = Display(runs, 4, out)
    display.ended(runs[0], Result("done", seconds=300.0))
    display.ended(runs[1], Result("failed", "x"))
    display.look([runs[2]], [], [runs[3]], 1)
    display.close()
    last = out.getvalue().rstrip().rsplit("\r", 1)[-1]
    assert "2/4 runs" in last and "0 running, 1 in another process, 1 failed, about 10 min left" in last


@pytest.mark.parametrize("seconds", [5.0, 89.0])
def test_short_times_in_seconds(tmp_path, seconds):
    runs, out = [planned(tmp_path, seed=k) for k in range(3)], io.StringIO()
    display = Display(runs, 3, out)
    display.pace.add(runs[0], seconds)
    display.look(runs[1:2], [], [], 1)
    display.ended(runs[0], Result("done", seconds=seconds))
    assert f"about {seconds:.0f} s left" in out.getvalue()
