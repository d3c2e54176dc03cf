"""The benchmarks run and write a table; how fast anything is, is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "benchmarks" / "bench.py"
COLUMNS = {"subject", "what", "first", "first_value", "second", "second_value", "unit", "ratio", "low", "high"}
COLUMNS |= {"rounds", "note"}

pytestmark = pytest.mark.slow


def run_bench(*arguments):
    command = [sys.executable, str(BENCH), "--quick", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("input_path", {"DataLoader, 0 workers", "DataLoader, 2 workers", "copy of the same bytes"}),
        ("training_speed", {"one fixed batch", "whole step", "matrix product of 512"}),
        ("networks", {"bf16", "arithmetic at the peak"}),
        ("processes", {"1 x 2 threads, float32"}),
        ("run_overhead", {"training alone", "whole run", "training"}),
        ("dataset_scale", {"100 clips"}),
        ("predict_live", {"whole frame", "windows and answers"}),
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


def test_the_machine_is_described_without_its_name_and_places(tmp_path):
    import platform

    out = tmp_path / "cpu.json"
    assert run_bench("--only", "input_path", "--out", out).returncode == 0
    text = out.read_text()
    assert platform.node() not in text and str(Path.home()) not in text and str(tmp_path) not in text


def test_an_unknown_subject_is_refused():
    done = run_bench("--only", "everything")
    assert done.returncode == 2 and "input_path" in done.stderr and "Traceback" not in done.stderr


def test_a_plain_loader_that_computes_something_else_is_noticed(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH.parent))
    import input_path
    from common import prepared_clips

    data = prepared_clips(12)
    input_path.check_same(data)
    monkeypatch.setattr("plain_loader.to_features", lambda *given: 1.01 * input_path_features(*given))
    with pytest.raises(AssertionError):
        input_path.check_same(data)


def input_path_features(*given):
    from poseemo_lib.numpy_path import to_features

    return to_features(*given)
