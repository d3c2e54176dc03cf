"""The benchmarks run and write a table; how fast anything is, is not tested."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "benchmarks" / "bench.py"
COLUMNS = {"subject", "what", "first", "first_value", "second", "second_value", "unit", "ratio", "low", "high"}
COLUMNS |= {"rounds", "note"}


def run_bench(*arguments):
    command = [sys.executable, str(BENCH), "--quick", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("input_path", {"DataLoader, 0 workers", "DataLoader, 2 workers"}),
        ("training_speed", {"one fixed batch", "whole step"}),
        ("networks", {"bf16", "arithmetic at the peak"}),
        ("run_overhead", {"fresh process, no kernel", "whole run", "training"}),
        ("dataset_scale", {"100 clips"}),
        ("predict_live", {"whole frame", "windows and predictions"}),
        ("report_time", {"whole report"}),
        ("study_time", {"2 at a time, bf16"}),
    ],
)
def test_a_subject_gives_a_table_of_pairs_and_the_same_as_json(subject, wanted, tmp_path):
    out = tmp_path / "results" / "cpu.json"
    done = run_bench("--only", subject, "--out", out)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    content = json.loads(out.read_text())
    assert content.keys() == {"date", "quick", "device", "machine", "load_before", "load_after", "rows"}
    assert content["quick"] and len(content["load_before"]) == 3
    rows = content["rows"]
    assert all(set(row) == COLUMNS and row["subject"] == subject for row in rows)
    measured = [row for row in rows if row["first"]]
    for row in measured:
        assert row["unit"] and row["rounds"] >= 1 and row["low"] <= row["ratio"] <= row["high"]
    assert wanted <= {row["second"] for row in measured}
    assert out.with_suffix(".md").read_text() == done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1 and set(lines[1]) == {"|", "-"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "everything"], "choose from 'input_path'"),
        (["--rounds", "-1"], "--rounds: wanted 1 or more, got -1"),
        (["--threads", "1", "0"], "--threads: wanted 1 or more, got 0"),
        (["--packages", "/no/where"], "--packages: wanted a folder, got /no/where"),
        (["--out", f"{BENCH}/x.json"], f"--out: cannot write {BENCH}/x.json"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(arguments, said):
    done = run_bench(*arguments)
    assert done.returncode == 2 and said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and not done.stdout


@pytest.mark.slow
def test_what_was_measured_before_ctrl_c_is_kept(tmp_path):
    out = tmp_path / "cpu.json"
    command = [sys.executable, str(BENCH), "--quick", "--only", "input_path", "run_overhead", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("run_overhead"):
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in stderr
    *rows, last = json.loads(out.read_text())["rows"]
    assert (last["subject"], last["what"], last["note"]) == ("run_overhead", "stopped", "interrupted")
    assert {row["subject"] for row in rows} == {"input_path", "run_overhead"}
    assert out.with_suffix(".md").read_text() == stdout


@pytest.mark.slow
def test_a_plain_loader_that_computes_something_else_is_noticed(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH.parent))
    import input_path
    from common import prepared_clips

    from poseemo_lib.features.tensor_features import to_features

    data = prepared_clips(12)
    input_path.check_same(data)
    monkeypatch.setattr("plain_loader.to_features", lambda *given: 1.01 * to_features(*given))
    with pytest.raises(AssertionError):
        input_path.check_same(data)
