"""How often a report claims skill where there is none: networks and baselines are trained on shuffled labels.

    python benchmarks/skill_claims.py [--studies 20]

The labels of a synthetic dataset are shuffled within groups, each time anew; 17 groups are for test, and each model is
trained with two seeds. The claims are read from the texts that a report makes: page, poster, figures and model card.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from poseemo_lib.data.dataset import Dataset, DatasetWriter
from poseemo_lib.data.synthetic import write_synthetic_dataset
from poseemo_lib.report import findings
from poseemo_lib.report.cards import model_card
from poseemo_lib.report.data import ReportData, load_report_data
from poseemo_lib.report.figures import architecture_comparison, summary
from poseemo_lib.training.parameters import check_parameters
from poseemo_lib.training.run import train_run

TEST, VALIDATION, TRAIN, CLIPS = 17, 8, 15, 15  # groups, and clips a group
SMALL = {"epochs": 4, "n_frames": 32, "eval_crops": 1, "warmup_epochs": 0, "threads": 1, "split": "official"}
CONFIGS = {
    "net": {"model": {"hidden": 32, "blocks": 1}},
    "mean": {"model": {"hidden": 32, "blocks": 1, "pooling": "mean"}},
    "trees": {"architecture": "extra_trees"},
    "majority": {"architecture": "majority"},
}
CLAIMS = {
    "is better than guessing": r"\bis better than guessing",
    "accuracy is significantly above": r"Its accuracy is significantly above",
    "n score significantly above": r"\b\d+ scores? significantly above",
    "significantly higher than a baseline": r"significantly higher [\w-]+ than \*\*trees",
    "is better than the baseline": r"\bis better than the baselines? ",
}


def texts(data: ReportData) -> dict[str, str]:
    """Return the texts of a report that may claim skill."""
    return {
        "page": f"{findings.opening(data)}\n{findings.findings(data)}",
        "card": model_card(data),
        "poster": summary.draw(data).text,
        "differences": architecture_comparison.draw_differences(data).text,
    }


def claims(said: dict[str, str]) -> set[tuple[str, str]]:
    """Find the claims in :func:`texts`: pairs of a text and what it claims."""
    return {(where, what) for where, text in said.items() for what, form in CLAIMS.items() if re.search(form, text)}


def shuffled(source: Dataset, folder: Path, rng: np.random.Generator) -> Path:
    """Write a dataset again with the labels of each group shuffled, and its groups dealt to the splits."""
    clips = list(source.clips())
    groups = sorted({clip.group_id for clip in clips})
    parts = dict(zip(rng.permutation(groups), ["test"] * TEST + ["val"] * VALIDATION + ["train"] * TRAIN, strict=True))
    labels = {}
    for group in groups:
        own = [clip for clip in clips if clip.group_id == group]
        labels |= dict(zip((clip.clip_id for clip in own), rng.permutation([clip.label for clip in own]), strict=True))
    with DatasetWriter(folder, source.info.model_copy(update={"recipe": {}})) as writer:
        for clip in clips:
            writer.write(clip.with_(label=str(labels[clip.clip_id]), split=parts[clip.group_id]))
    return folder


def study(source: Dataset, place: Path, number: int) -> set[tuple[str, str]]:
    """Train all configs on labels that are shuffled for this study, and return what its report claims."""
    dataset, runs = shuffled(source, place / f"data-{number}", np.random.default_rng(number)), place / f"runs-{number}"
    for name, values in CONFIGS.items():
        for seed in (0, 1):
            parameters = check_parameters({**SMALL, **values, "dataset": str(dataset), "seed": seed})
            train_run(parameters, runs / name / f"seed-{seed}", config=name)
    return claims(texts(load_report_data(runs)))


def make_source(folder: Path) -> Dataset:
    """Write the dataset whose labels are shuffled."""
    n_groups = TEST + VALIDATION + TRAIN
    write_synthetic_dataset(folder, n_groups * CLIPS, seed=5, n_groups=n_groups)
    return Dataset(folder)


def main() -> None:
    """Print how many studies make each claim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=20)
    given, found = parser.parse_args(), Counter()
    with tempfile.TemporaryDirectory() as place:
        source = make_source(Path(place) / "data")
        for number in range(given.studies):
            made = study(source, Path(place), number)
            found.update(made)
            sys.stdout.write(f"study {number}: {sorted(made) or 'no claim'}\n")
            sys.stdout.flush()
    for (where, what), n in sorted(found.items()):
        sys.stdout.write(f"{where}, {what}: {n} of {given.studies}\n")
    sys.stdout.write(f"No other claim, of {', '.join(CLAIMS)}, on page, card, poster or figure of differences.\n")


if __name__ == "__main__":
    main()
