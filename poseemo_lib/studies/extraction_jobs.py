"""Videos -> dataset: every video once, several at a time, resumable; then the dataset in one go, in a fixed order."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from poseemo_lib.clips import EMOTIONS, check_clip
from poseemo_lib.data.dataset import INFO_FILE, Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.extraction.quality import ExtractionReport, VideoReport, write_quality
from poseemo_lib.data.extraction.sources import find_entries
from poseemo_lib.data.extraction.store import FOLDER, Store, code_hash, load_result, read_quality
from poseemo_lib.data.labelling import clip_of
from poseemo_lib.errors import ClipError, FormatError, PoseemoError, UsageError
from poseemo_lib.studies.extraction_process import VideoOrder
from poseemo_lib.studies.extraction_slots import ClusterExtraction, LocalExtraction, make_all
from poseemo_lib.video.estimators import find_model, open_estimator

# Arguments of `open_estimator` where nothing else is said.
ESTIMATOR = {"name": "mediapipe", "model": None, "people": 4, "min_confidence": 0.5, "device": "cpu"}
NOBODY = "wanted somebody in the pictures, found nobody in any of {frames}; a clip without people is none"


def extract_dataset(
    videos,
    out,
    *,
    name: str,
    estimator: Mapping | None = None,
    fps: float | None = None,
    cuts: bool = True,
    label: str | None = None,
    label_pattern: str | None = None,
    label_map: Mapping[str, str] | None = None,
    split: str | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    resources: Mapping[str, float] | None = None,
    source: str = "",
    licence: str = "",
    display=None,
) -> ExtractionReport:
    """Turn videos into a dataset, one clip a video.

    A video that is broken, or that shows nobody, is reported and left out; the others are written. Each finished video
    is kept at once, and an extraction that was stopped, however, goes on with the same call. Results are removed when
    no video is left to try again.

    Parameters
    ----------
    videos, label, label_pattern, label_map, split
        See :func:`poseemo_lib.data.extraction.sources.find_entries`.
    out : str or Path
        The dataset's folder, on a local or shared file system. `quality.csv` is written beside the clips.
    name : str
        The dataset's name.
    estimator : mapping, optional
        Arguments of :func:`poseemo_lib.video.estimators.open_estimator`.
    fps : float, optional
        Frames per second, where a video has more.
    cuts : bool
        Look for scene cuts.
    jobs : int
        Videos at a time on this machine.
    cluster : str, optional
        Address of a Dask scheduler whose workers extract.
    resources : mapping, optional
        What a video takes of its worker's resources.
    source, licence : str
        Where the videos come from, and their licence.
    display : Display, optional
        See :class:`poseemo_lib.studies.extraction_progress.Display`.

    Returns
    -------
    ExtractionReport

    Raises
    ------
    UsageError
        Nothing was started: an argument, label or model file is wrong, there are no videos, or `out` holds a dataset,
        or unfinished work of other settings.
    FormatError
        No video could be used.
    PoseemoError
        `out` cannot be written, another process extracts into it, or the cluster cannot do it.
    """
    src, out = Path(videos), _local(out)
    entries, unmatched = find_entries(
        src, label=label, label_pattern=label_pattern, label_map=label_map, split=split
    )  # fmt: skip
    check_out(out)
    arguments = ESTIMATOR | dict(estimator or {})
    arguments["model"] = find_model(arguments["name"], arguments["model"])
    with open_estimator(**arguments) as opened:
        about = opened.info
    recipe = {"command": "extract", "videos": str(src), "label": label, "label_pattern": label_pattern}
    recipe |= {"label_map": dict(label_map or {}), "split": split}
    settings = _settings(about, arguments, fps, cuts)
    classes = tuple(emotion for emotion in EMOTIONS if emotion in {entry.label for entry in entries})
    info = DatasetInfo(
        name=name, classes=classes, source=source, licence=licence, estimator=asdict(about), recipe=recipe | settings
    )
    store, report = Store(out, {"videos": str(src.resolve())} | settings), ExtractionReport(out, unmatched=unmatched)
    with store.locked():
        report.videos = [VideoReport(entry) for entry in entries]
        orders = _orders(report, store, arguments, about.sha256, fps, cuts)
        todo = [order for order in orders.values() if read_quality(Path(order.result)) is None]
        report.done_before = len(orders) - len(todo)
        if todo:
            where = _slots(jobs, cluster, out, src, arguments, resources, display)
            _extract(report, todo, where, display, about.running())
        _finish(report, orders, store, info)
    return report


def check_out(out: Path) -> None:
    """Refuse a place for a dataset where another one is, or something that is no folder.

    Raises
    ------
    UsageError
        There is something at `out` that an extraction must not touch.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: wanted a new folder, got a file")
    if (out / INFO_FILE).exists() and not (out / FOLDER).exists():
        raise UsageError(f"{out}: wanted an empty folder, got a dataset; remove it or write somewhere else")


def complete_already(videos: str | Path, out: str | Path) -> DatasetInfo | None:
    """Return what is known of a complete dataset at `out` that was extracted from these videos; else nothing."""
    out = Path(out)
    if not (out / INFO_FILE).exists() or (out / FOLDER).exists():
        return None
    info = Dataset(out, allow_incomplete=True).info
    same = info.recipe.get("command") == "extract" and info.recipe.get("videos") == str(videos)
    return info if same and info.complete else None


def _local(out) -> Path:
    if "://" in str(out):
        raise UsageError(f"{out}: wanted a folder on a file system, got a URL; copy the dataset there when it is done")
    return Path(out).absolute()


def _settings(about, arguments: dict, fps: float | None, cuts: bool) -> dict:
    """Name all that decides the keypoints."""
    options = {name: arguments[name] for name in ("people", "min_confidence", "device")}
    return {"estimator": about.text()} | options | {"fps": fps, "cuts": cuts, "code": code_hash()}


def _orders(
    report: ExtractionReport, store: Store, arguments: dict, sha256: str, fps: float | None, cuts: bool
) -> dict[str, VideoOrder]:
    """Order each video that is there; the others are faults."""
    orders = {}
    for one in report.videos:
        entry = one.entry
        try:
            result = store.path(entry.name, entry.path)
        except OSError as error:
            one.fault = f"{entry.path}: cannot be read: {error.strerror}"
            continue
        path = str(entry.path.absolute())
        orders[entry.name] = VideoOrder(entry.name, path, str(result), arguments, sha256, fps, cuts)
    return orders


def _slots(jobs: int, cluster: str | None, out: Path, src: Path, arguments: dict, resources, display):
    if cluster:
        return ClusterExtraction(cluster, out, src.absolute(), arguments["model"], arguments["name"], resources)
    return LocalExtraction(jobs, display.tell if display else None)


def _extract(report: ExtractionReport, orders: list[VideoOrder], slots, display, running: str) -> None:
    by_name = {one.entry.name: one for one in report.videos}
    try:
        if display:
            display.begin(orders, len(by_name), f"{slots.describe()}; {running}")
        for order, result in make_all(orders, slots, display.look if display else None):
            if result.state != "done":
                one = by_name[order.name]
                one.fault = result.error if result.state == "failed" else f"{one.entry.path}: {result.error}"
            if display:
                display.ended(order, result)
    finally:
        slots.stop()
        if display:
            display.close()


def _finish(report: ExtractionReport, orders: dict[str, VideoOrder], store: Store, info: DatasetInfo) -> None:
    """Put the dataset together from the results, and remove these where nothing is left to try again."""
    for one in report.videos:
        if not one.fault:
            one.quality = read_quality(Path(orders[one.entry.name].result))
            if one.quality and not one.quality.detected:
                one.fault = f"{one.entry.path}: {NOBODY.format(frames=one.quality.frames)}"
    staged = store.folder / "dataset"
    shutil.rmtree(staged, ignore_errors=True)
    try:
        report.info = _write(report, orders, staged, info)
        write_quality(report)
        if report.info is not None:
            _put_in_place(staged, report.out)
    except OSError as error:
        raise PoseemoError(f"{report.out}: cannot write: {error.strerror or error}; the results are kept") from None
    if report.info is None:
        first = report.faults[0]
        raise FormatError(f"no video out of {len(report.videos)} could be used; the first: {first}")
    if any(one.fault and one.quality is None for one in report.videos):
        store.remove_others({Path(order.result) for order in orders.values()})
    else:
        store.remove()


def _write(
    report: ExtractionReport, orders: dict[str, VideoOrder], staged: Path, info: DatasetInfo
) -> DatasetInfo | None:
    """Write the clips; None where there is none."""
    if not report.used:
        return None
    with DatasetWriter(staged, info) as writer:
        for one in report.used:
            where = str(one.entry.path)
            try:
                recording, _ = load_result(Path(orders[one.entry.name].result))
                writer.write(check_clip(clip_of(one.entry, recording), info.classes, where), where)
            except ClipError as error:
                one.fault = str(error)
            except FormatError as error:
                one.fault, one.quality = f"{where}: its result is lost, the same command makes it again: {error}", None
    return writer.info if report.used else None


def _put_in_place(staged: Path, out: Path) -> None:
    """Move a dataset into a folder; a reader sees none, or all of the new one."""
    (out / INFO_FILE).unlink(missing_ok=True)
    for old in out.glob("clips-*.parquet"):
        old.unlink()
    for path in sorted(staged.iterdir(), key=lambda path: path.name == INFO_FILE):
        os.replace(path, out / path.name)
    staged.rmdir()
