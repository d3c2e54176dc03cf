"""What the texts of a report claim where models have no skill, and where it cannot be tested."""

import re
import sys
from collections import Counter
from pathlib import Path

import made_studies
import numpy as np
import pandas as pd
import pytest

from poseemo_lib.analysis.statistics import UNKNOWN_GROUPS
from poseemo_lib.report import findings
from poseemo_lib.report.data import load_report_data

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from skill_claims import claims, texts

CONFIGS = {
    "net": {"architecture": "gru"},
    "conv": {"architecture": "conv1d"},
    "trees": {"architecture": "extra_trees"},
    "majority": {"architecture": "majority"},
}


def test_a_claim_is_found_where_there_is_skill(tmp_path):
    found = claims(texts(load_report_data(made_studies.made_study(tmp_path / "s", CONFIGS | {"net": {"skill": 0.9}}))))
    assert {where for where, _ in found} == {"page", "card", "poster", "differences"}
    assert len({what for _, what in found}) == 5


@pytest.mark.slow
def test_without_signal_no_text_claims_skill_in_more_than_one_of_twenty_studies(tmp_path, monkeypatch):
    """17 groups, 2 seeds, labels that are shuffled within groups, anew for each study."""
    found, clips = Counter(), made_studies._clips
    for number in range(20):

        def shuffled(*arguments, number=number):
            table, rng = clips(*arguments), np.random.default_rng(number)
            return table.assign(label=table.groupby("group_id")["label"].transform(lambda own: rng.permutation(own)))

        monkeypatch.setattr(made_studies, "_clips", shuffled)
        configs = {f"{name}{number}": CONFIGS[name] for name in ("net", "trees")}
        data = load_report_data(made_studies.made_study(tmp_path / str(number), configs, n_groups=17, skill=0.0))
        found.update(claims({"page": f"{findings.opening(data)} {findings.findings(data)}"}))
    assert all(n <= 1 for n in found.values()), found


@pytest.fixture
def untested(request, tmp_path):
    """A study of skilled networks with one thing amiss, and its limit."""
    limit, more = request.param
    configs = CONFIGS | {"net": {"architecture": "gru", "skill": 0.9}}
    root = made_studies.made_study(tmp_path / "study", configs, **more)
    if limit == UNKNOWN_GROUPS:
        for path in root.rglob("*.parquet"):
            table = pd.read_parquet(path)
            table.assign(group_id=table["clip_id"]).to_parquet(path)
    return limit, load_report_data(root)


LIMITED = [("fewer than 8 groups", {"n_groups": 7}), ("one seed", {"seeds": [0]}), (UNKNOWN_GROUPS, {})]


@pytest.mark.parametrize("untested", LIMITED, indirect=True)
def test_what_cannot_be_tested_is_called_so_in_every_text(untested):
    limit, data = untested
    said = texts(data)
    assert not claims(said)
    for where, text in said.items():
        assert f"not tested: {limit}" in text, where
        # Neither a claim nor its absence.
        assert not re.search(r"significant(?!s)|better|worse", text), (where, text)
    optimistic = "optimistic, as if clips were independent: p < 0.001"
    assert (optimistic in said["page"]) == (optimistic in said["card"]) == (limit == UNKNOWN_GROUPS)
    # What is not known is not counted.
    assert ("clips, groups unknown" in said["page"]) == (limit == UNKNOWN_GROUPS)
    said_why = "It cannot be claimed that a config has skill" in findings.caution(data)
    assert said_why == ("train with `split: neighbours`" in findings.caution(data)) == (limit == UNKNOWN_GROUPS)
