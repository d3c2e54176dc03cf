"""Videos -> dataset: every video once, several at a time, resumable; then the dataset in one go, in a fixed order."""

import atexit
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from poseemo_lib.clips import EMOTIONS, check_clip
from poseemo_lib.data.dataset import INFO_FILE, Dataset, DatasetInfo, DatasetWriter
from poseemo_lib.data.extraction import results
from poseemo_lib.data.extraction.clip import extract_video
from poseemo_lib.data.extraction.results import ExtractionReport, VideoReport, code_hash
from poseemo_lib.data.extraction.sources import find_entries
from poseemo_lib.data.labelling import clip_of
from poseemo_lib.errors import ClipError, FormatError, PoseemoError, UsageError
from poseemo_lib.studies.engine import Engine, WorkerError
from poseemo_lib.studies.status import Display
from poseemo_lib.text import count
from poseemo_lib.video.estimators import find_model, open_estimator

# Arguments of `open_estimator` where nothing else is said.
ESTIMATOR = {"name": "mediapipe", "model": None, "people": 4, "min_confidence": 0.5, "device": "cpu"}
# Distributions whose versions must agree on a cluster.
PACKAGES = {
    "mediapipe": ("mediapipe", "numpy", "av", "scenedetect"),
    **dict.fromkeys(("rtmo", "rtmpose"), ("rtmlib", "onnxruntime", "numpy", "av", "scenedetect")),
}
NOBODY = "wanted somebody in the pictures, found nobody in any of {frames}; a clip without people is none"


@dataclass(frozen=True)
class VideoOrder:
    """A video to extract."""

    name: str  # the clip's id
    path: str
    result: str  # file for the result
    videos: str  # the folder or list that it was found in
    estimator: dict  # arguments of `open_estimator`
    sha256: str  # of the model's file on the client
    code: str  # hash of the client's code
    fps: float | None = None
    cuts: bool = True


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
    progress: bool = False,
) -> ExtractionReport:
    """Turn videos into a dataset, one clip a video.

    A video that is broken, or that shows nobody, is reported and left out; the others are written. Each finished video
    is kept at once, and an extraction that was stopped continues with the same call. Results are removed when no video
    is left to try again.

    Parameters
    ----------
    videos, label, label_pattern, label_map, split
        See :func:`poseemo_lib.data.extraction.sources.find_entries`.
    out : str or Path
        The dataset's folder, on a local or shared file system. `quality.csv` is written beside the clips.
    estimator : mapping, optional
        Arguments of :func:`poseemo_lib.video.estimators.open_estimator`.
    fps : float, optional
        Frames per second, where a video has more.
    cuts : bool
        Look for scene cuts.
    jobs, cluster, resources
        See :class:`poseemo_lib.studies.engine.Engine`.

    Raises
    ------
    UsageError
        Nothing was started: an argument, label or model file is wrong, there are no videos, or `out` holds a dataset.
    FormatError
        No video could be used.
    PoseemoError
        `out` cannot be written, another process extracts into it, or the cluster cannot do it.
    """
    if "://" in str(out):
        raise UsageError(f"{out}: wanted a folder on a file system, got a URL; copy the dataset there when it is done")
    src, out = Path(videos), Path(out).absolute()
    labels = {"label": label, "label_pattern": label_pattern, "label_map": dict(label_map or {}), "split": split}
    entries, unmatched = find_entries(src, **labels)
    check_out(out)
    arguments = ESTIMATOR | dict(estimator or {})
    arguments["model"] = find_model(arguments["name"], arguments["model"])
    with open_estimator(**arguments) as opened:
        about = opened.info
    settings = {"estimator": about.text()} | {key: arguments[key] for key in ("people", "min_confidence", "device")}
    settings |= {"fps": fps, "cuts": cuts, "code": code_hash()}
    recipe = {"command": "extract", "videos": str(src)} | labels | settings
    classes = tuple(emotion for emotion in EMOTIONS if emotion in {entry.label for entry in entries})
    info = DatasetInfo(
        name=name, classes=classes, source=source, licence=licence, estimator=asdict(about), recipe=recipe
    )
    report = ExtractionReport(out, videos=[VideoReport(entry) for entry in entries], unmatched=unmatched)
    with results.results_folder(out) as folder:
        paths = _result_paths(report, folder, settings)
        todo = [one for one in report.videos if not one.fault and results.read_quality(paths[one.entry.name]) is None]
        report.done_before = len(paths) - len(todo)
        if todo:
            shared = {"videos": str(src.absolute()), "estimator": arguments, "sha256": about.sha256}
            shared |= {"code": settings["code"], "fps": fps, "cuts": cuts}
            entries = [one.entry for one in todo]
            orders = [VideoOrder(one.name, str(one.path.absolute()), str(paths[one.name]), **shared) for one in entries]
            packages = PACKAGES[arguments["name"]]
            with Engine(jobs, cluster=cluster, resources=dict(resources or {}), packages=packages) as engine:
                _extract(report, orders, engine, f"{about.name}: {about.model} on {about.provider}", progress)
        _finish(report, paths, info)
    return report


def check_out(out: Path) -> None:
    """Refuse a place for a dataset where another one is, or a file."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: wanted a new folder, got a file")
    if (out / INFO_FILE).exists() and not (out / results.FOLDER).exists():
        raise UsageError(f"{out}: wanted an empty folder, got a dataset; remove it or write somewhere else")


def complete_already(videos: str | Path, out: str | Path) -> DatasetInfo | None:
    """Return what is known of a complete dataset at `out` that was extracted from these videos; else None."""
    out = Path(out)
    if not (out / INFO_FILE).exists() or (out / results.FOLDER).exists():
        return None
    info = Dataset(out, allow_incomplete=True).info
    same = info.recipe.get("command") == "extract" and info.recipe.get("videos") == str(videos)
    return info if same and info.complete else None


# Thread of a worker -> arguments and estimator, which is kept from video to video.
_opened: dict[int, tuple] = {}


@atexit.register
def _close() -> None:
    for _, estimator in _opened.values():
        estimator.close()


def extract_one(order: VideoOrder, abandoned: Callable[[], bool] = bool) -> str:
    """Extract a video into its file; `abandoned` is asked after each picture whether it is no longer wanted.

    Raises
    ------
    WorkerError
        No video can be extracted here.
    PoseemoError
        This video cannot be extracted.
    """
    if order.code != code_hash():
        raise WorkerError("the code for extraction differs from the client's; wanted the same")
    for what, path in (("videos", order.videos), ("folder", str(Path(order.result).parent))):
        if not Path(path).exists():
            raise WorkerError(f"does not see the {what} {path}; wanted a folder that client and workers share")
    thread = threading.get_ident()
    if thread not in _opened or _opened[thread][0] != order.estimator:
        _opened[thread] = order.estimator, open_estimator(**order.estimator)
    estimator = _opened[thread][1]
    if (there := estimator.info.sha256) != order.sha256:
        raise WorkerError(f"the model file differs: wanted sha256 {order.sha256[:12]}, got {there[:12]}")

    def look(*_) -> None:
        if abandoned():
            raise PoseemoError("stopped")

    found = extract_video(order.path, estimator, fps=order.fps, cuts=order.cuts, progress=look)
    try:
        results.save_result(Path(order.result), *found)
    except OSError as error:  # a full disk is so for all videos
        raise WorkerError(f"{Path(order.result).parent}: cannot write: {error.strerror or error}") from None
    return "done"


def _result_paths(report: ExtractionReport, folder: Path, settings: dict) -> dict[str, Path]:
    """Name the result of each video that is there; the others are faults."""
    paths = {}
    for one in report.videos:
        try:
            paths[one.entry.name] = results.result_path(folder, one.entry.name, one.entry.path, settings)
        except OSError as error:
            one.fault = f"{one.entry.path}: cannot be read: {error.strerror}"
    return paths


def _extract(report: ExtractionReport, orders: list[VideoOrder], engine: Engine, running: str, progress: bool) -> None:
    by_name = {one.entry.name: one for one in report.videos}
    sizes = {order.name: max(1, Path(order.path).stat().st_size) for order in orders}
    with Display(list(sizes.values()), "videos", pause=5.0, quiet=not progress) as display:
        counts = f"{count(len(by_name), 'video')}, {report.done_before} done before, {len(orders)} to extract"
        display.say(f"{counts}; {engine.describe()}; {running}")
        for order, result in engine.run(extract_one, orders, lambda order: order.name):
            if result.state == "failed":
                one = by_name[order.name]
                named = result.error.startswith(str(one.entry.path))
                one.fault = result.error if named else f"{one.entry.path}: {result.error}"
            display.ended(order.name, result, sizes[order.name])


def _finish(report: ExtractionReport, paths: dict[str, Path], info: DatasetInfo) -> None:
    """Put the dataset together from the results, and remove these where nothing is left to try again."""
    for one in report.videos:
        if not one.fault:
            one.quality = results.read_quality(paths[one.entry.name])
            if one.quality and not one.quality.detected:
                one.fault = f"{one.entry.path}: {NOBODY.format(frames=one.quality.frames)}"
    staged = report.out / results.FOLDER / "dataset"
    shutil.rmtree(staged, ignore_errors=True)
    try:
        report.info = _write(report, paths, staged, info)
        results.write_quality(report)
        if report.info is not None:
            _put_in_place(staged, report.out)
    except OSError as error:
        raise PoseemoError(f"{report.out}: cannot write: {error.strerror or error}; the results are kept") from None
    if report.info is None:
        raise FormatError(f"no video out of {len(report.videos)} could be used; the first: {report.faults[0]}")
    if not any(one.fault and one.quality is None for one in report.videos):
        shutil.rmtree(report.out / results.FOLDER, ignore_errors=True)


def _write(report: ExtractionReport, paths: dict[str, Path], staged: Path, info: DatasetInfo) -> DatasetInfo | None:
    """Write the clips; None where there is none."""
    if not report.used:
        return None
    with DatasetWriter(staged, info) as writer:
        for one in report.used:
            where = str(one.entry.path)
            try:
                recording, _ = results.load_result(paths[one.entry.name])
                writer.write(check_clip(clip_of(one.entry, recording), info.classes, where), where)
            except ClipError as error:
                one.fault = str(error)
            except FormatError as error:
                one.fault, one.quality = f"{where}: its result is lost; the same command makes it again: {error}", None
    return writer.info if report.used else None


def _put_in_place(staged: Path, out: Path) -> None:
    """Move a dataset into a folder; a reader sees none, or all of the new one."""
    (out / INFO_FILE).unlink(missing_ok=True)
    for old in out.glob("clips-*.parquet"):
        old.unlink()
    for path in sorted(staged.iterdir(), key=lambda path: path.name == INFO_FILE):
        os.replace(path, out / path.name)
    staged.rmdir()
