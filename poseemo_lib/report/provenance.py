"""Where a report's numbers come from: code, versions, devices, time, data, and the commands that make them again."""

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from poseemo_lib.analysis.configs import ENSEMBLE, ConfigRuns
from poseemo_lib.analysis.factors import split_name
from poseemo_lib.analysis.results import Results
from poseemo_lib.errors import PoseemoError
from poseemo_lib.paths import PARAMETERS, PROJECT
from poseemo_lib.report.data import ReportData
from poseemo_lib.report.templates import render
from poseemo_lib.studies.plan import Study, config_values, load_study
from poseemo_lib.text import listed
from poseemo_lib.training.parameters import RunParameters

# Digits of a hash that are written, and values of one kind.
DIGITS, MOST = 12, 20
NOT_RECORDED = "not recorded"


def provenance(data: ReportData) -> dict[str, str]:
    """Collect what made the runs of all studies, and the commands that repeat them: name -> text, not escaped."""
    records = [run.record for study in data.studies for run in study.runs]
    seconds, starts, ends = ([record[name] for record in records if name in record]
                             for name in ("seconds", "started", "finished"))  # fmt: skip
    folders = [_short(study.root) for study in data.studies]
    info = data.dataset.info if data.dataset else None
    terms = {"licence of the dataset": info.licence, "to cite": info.citation} if info else {}
    return {
        "runs": "; ".join(_runs(study) for study in data.studies),
        "dataset": _values(one["dataset"]["name"] + " (synthetic)" * one["dataset"]["synthetic"] for one in records),
        **{name: text for name, text in terms.items() if text},
        "dataset hash": _values(record["dataset"]["content_hash"][:DIGITS] for record in records),
        "split": _values(split_name(config) for study in data.studies for config in study.configs),
        "split hash": _values(record.get("split_hash", "")[:DIGITS] for record in records),
        "poseemo": _values(record.get("poseemo_version", "") for record in records),
        "commit": _values(re.sub(rf"^(\w{{{DIGITS}}})\w+", r"\1", record.get("commit", "")) for record in records),
        "torch": _values(record.get("torch_version", "") for record in records),
        "device": _values(record.get("device", "") for record in records),
        "hours of all runs": f"{sum(seconds) / 3600:.2f}" if seconds else NOT_RECORDED,
        "first start, last end": f"{min(starts)} to {max(ends)}" if starts and ends else NOT_RECORDED,
        "to repeat the runs": "; ".join(_study_command(study) for study in data.studies),
        "to repeat the report": " ".join(["poseemo report", *folders, *(["--base", data.base] if data.base else [])]),
    }


def provenance_table(data: ReportData) -> str:
    """Lay :func:`provenance` out as a Markdown table."""
    return render("provenance", rows=provenance(data))


def _runs(study: Results) -> str:
    left = f", {len(study.incomplete)} not complete" if study.incomplete else ""
    return f"{study.root.name}: {len(study.runs)} complete{left}"


def _values(values: Iterable[str]) -> str:
    """Name every value once; the first few of many."""
    return listed(sorted({value for value in values if value}), MOST) or NOT_RECORDED


def _study_command(study: Results) -> str:
    """Name the command that makes a study's runs, if a study file has the same configs and seeds."""
    folder = _short(study.root)
    for path in sorted((PARAMETERS / "studies").glob("*.yaml")):
        if _is_of(study, path):
            own = "" if folder == f"runs/{load_study(path).name}" else f" --out {folder}"
            return f"poseemo study {_short(path)}{own}"
    return (
        f"no study file has the configs and seeds of {folder}; each run.json holds the parameters for "
        "poseemo train DATASET -f PARAMETERS"
    )


def _is_of(study: Results, path: Path) -> bool:
    """Whether a study file has the study's dataset, configs, seeds (some may be missing) and parameters."""
    try:
        plan = load_study(path)
        configs = {config.name: config for config in study.configs if config.architecture != ENSEMBLE}
        names_fit = {*configs, *study.not_run} == set(plan.configs)
        data = study.runs[0].record["dataset"]["name"]
        return names_fit and Path(plan.dataset).name == data and all(_fits(plan, config) for config in configs.values())
    except (PoseemoError, ValidationError):
        return False


def _fits(plan: Study, config: ConfigRuns) -> bool:
    """Whether a config's seeds and parameters are among those of the file; what it does not name counts as equal."""
    planned = plan.configs[config.name]
    named = config_values(plan, config.name, PARAMETERS)
    fold = {"fold": config.parameters["fold"]} if config.parameters["fold"] else {}
    wanted = RunParameters.model_validate(named | fold).model_dump()
    alike = all(config.parameters.get(name) == wanted[name] for name in named)
    return alike and {run.seed for run in config.runs} <= set(planned.seeds or plan.seeds)


def _short(path: Path) -> str:
    """Write a path relative to the project if it is below it."""
    path = Path(path).resolve()
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)
