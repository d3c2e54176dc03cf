"""The command that turns videos into a dataset."""

from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from poseemo_lib.cli import shared
from poseemo_lib.cli.shared import CONTINUES, list_items, read_pairs, read_resources, say, short_path, stoppable
from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.text import count

app = typer.Typer()


@app.command()
def extract(
    videos: Annotated[Path, typer.Argument(help="A folder of videos, one video, or a list (.csv, .txt).")],
    out: Annotated[Path, typer.Argument(help="New folder of the dataset.")],
    estimator: shared.EstimatorName = "mediapipe",
    model: shared.Model = None,
    people: shared.People = 4,
    min_confidence: shared.MinConfidence = 0.5,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or mps; mediapipe runs on the CPU.")] = "cpu",
    fps: Annotated[float | None, typer.Option(help="Use at most so many frames a second; default: all.")] = None,
    no_cuts: Annotated[bool, typer.Option("--no-cuts", help="Do not look for scene cuts.")] = False,
    label: Annotated[str | None, typer.Option(help="Label of all videos.")] = None,
    label_pattern: shared.LabelPattern = None,
    label_map: shared.LabelMap = None,
    split: shared.Split = None,
    name: shared.Name = None,
    source: shared.Source = "",
    licence: shared.Licence = "",
    jobs: Annotated[int | None, typer.Option(min=1, help="Number of videos at the same time; default: 1.")] = None,
    cluster: shared.Cluster = None,
    resource: shared.Resource = None,
    min_detected: Annotated[
        float, typer.Option(min=0, max=1, help="Report, but keep, videos with people in a smaller share of the frames.")
    ] = 0.1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be extracted and exit.")] = False,
) -> None:
    r"""Turn videos into a dataset: one clip per video, with its one or two main people.

    Finished videos are kept: after Ctrl-C, a crash or a power cut the same command continues. A video that is broken or
    shows nobody is reported at the end, and the others are written. OUT/quality.csv lists how well people were detected
    in each video.

    Example: poseemo extract CAER data/caer --jobs 4

    This reads CAER's layout (train|validation|test/Class/*.avi), or any layout with one folder per class.

    Class in the file's name: poseemo extract clips data/mine --label-pattern '(?P<group>\w+)_(?P<label>\w+)\.mp4'

    A list with the lines path,label[,group[,source[,split]]]: poseemo extract clips.csv data/mine

    One video: poseemo extract dance.mp4 data/dance --label happy --model pose_landmarker_full.task

    On a Dask cluster: poseemo extract CAER data/caer --cluster tcp://10.0.0.1:8786
    """
    from poseemo_lib.studies.extraction import complete_already, extract_dataset

    labels = {"label": label, "label_pattern": label_pattern, "split": split}
    labels["label_map"] = read_pairs(label_map, "--label-map", parse=False)
    resources = read_resources(resource, cluster, "--jobs")
    if cluster and jobs:
        raise UsageError("--cluster: its workers say how many videos they take; leave --jobs out")
    with stoppable(CONTINUES):
        if dry_run:
            _preview(videos, out, labels)
            return
        if done := complete_already(videos, out):
            say(f"{out}: complete already, {count(done.n_clips, 'clip')}; remove it to extract with other settings")
            return
        report = extract_dataset(
            videos, out, name=name or out.absolute().name, **labels,
            estimator={"name": estimator, "model": model, "people": people, "min_confidence": min_confidence,
                       "device": device},
            fps=fps, cuts=not no_cuts, jobs=jobs or 1, cluster=cluster, resources=resources,
            source=source, licence=licence, progress=True,
        )  # fmt: skip
    _summarise(report, min_detected)


def _preview(videos: Path, out: Path, labels: dict) -> None:
    """Say what would be extracted."""
    import pandas as pd

    from poseemo_lib.data.extraction.sources import find_entries
    from poseemo_lib.studies.extraction import check_out

    entries, unmatched = find_entries(videos, **labels)
    check_out(out)
    list_items("without a label", unmatched)
    table = pd.DataFrame([(one.label, one.split or "no split") for one in entries], columns=["label", "split"])
    say(pd.crosstab(table["label"], table["split"], margins=True, margins_name="all").to_string())
    what = f"{count(len(entries), 'video')} in {count(len({one.group_id for one in entries}), 'group')}"
    say(f"{what} would be extracted to {short_path(out.absolute())}, such as:")
    for one in entries[:3]:
        say(f"  {one.path} -> clip {one.name}, {one.label}, {one.split or 'no split'}, group {one.group_id}")


def _summarise(report, min_detected: float) -> None:
    """Print what an extraction did."""
    list_items("without a label", report.unmatched)
    damaged = [one for one in report.used if one.quality.damage]
    list_items("damaged; what could be read is kept", [f"{o.entry.path}: {o.quality.damage}" for o in damaged])
    low = [one for one in report.used if one.quality.detected < min_detected]
    list_items(
        f"kept, but with people in less than {100 * min_detected:g} % of the frames",
        [f"{one.entry.path}: {100 * one.quality.detected:.1f} %" for one in low],
    )
    list_items("failed", report.faults)
    _summarise_quality([one.quality for one in report.used])
    out = short_path(report.out)
    for label in report.info.classes:
        there = [one for one in report.videos if one.entry.label == label]
        say(f"{label:>9}: {count(len(there), 'video')}, {count(sum(not one.fault for one in there), 'clip')}")
    clips = count(report.info.n_clips, "clip")
    say(f"{out}: {clips}, content hash {report.info.content_hash[:12]}; see {out}/quality.csv")
    if report.faults:
        raise PoseemoError(
            f"{len(report.faults)} of {len(report.videos)} videos failed (see above); the others are in {out}"
        )


def _summarise_quality(videos: list) -> None:
    """Print the medians over the videos."""

    def percent(values) -> str:
        return f"{100 * median(values):.0f} %"

    missing = ", ".join(f"{part} {percent(one.missing[part] for one in videos)}" for part in videos[0].missing)
    say(
        f"median of the clips: people in {percent(one.detected for one in videos)} of the frames, "
        f"{median(one.people for one in videos):.1f} at a time, two main people in "
        f"{percent(one.two_people for one in videos)}; joints missing or uncertain: {missing}; "
        f"{sum(len(one.cuts) for one in videos)} scene cuts in all"
    )
