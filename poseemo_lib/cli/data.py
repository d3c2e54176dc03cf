"""Commands that make datasets and look into them."""

from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli import shared
from poseemo_lib.cli.shared import list_items, list_options, read_pairs, say
from poseemo_lib.data.formats import READERS, WRITERS
from poseemo_lib.errors import PoseemoError

app = typer.Typer()


@app.command()
def synth(
    out: shared.Out,
    clips: Annotated[int, typer.Option(help="Number of clips.")] = 1000,
    signal: Annotated[float, typer.Option(help="How strongly the body shows the emotion; 0: not at all.")] = 1.0,
    groups: Annotated[int | None, typer.Option(help="Number of groups; default: grows with the clips.")] = None,
    cues: Annotated[str, typer.Option(help="Where the emotion shows: whole_body or local, see above.")] = "whole_body",
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same dataset.")] = 0,
) -> None:
    """Write a SYNTHETIC dataset: moving bodies made by a program, not recordings of people.

    With --cues whole_body the emotion shows in the posture and movement of the whole upper body, as in real recordings;
    with --cues local in one limb or the head, for part of the clip, which tests whether an attribution method finds it.

    Example: poseemo synth data/mine --clips 500 --signal 0.5
    """
    from poseemo_lib.data.synthetic import write_synthetic_dataset

    info = write_synthetic_dataset(out, clips, seed=seed, signal=signal, n_groups=groups, cues=cues)
    say(f"{out}: {info.n_clips} synthetic clips, content hash {info.content_hash[:12]}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Dataset: hanyang, bandai-namco or emokine.")],
    data_dir: Annotated[
        str | None, typer.Option(help="Folder for the files and the dataset; default: the project's data/.")
    ] = None,
) -> None:
    """Download an open dataset of people's movement, check it, and make it a dataset here. docs/datasets.md lists them.

    The licence and what to cite are shown first. A download that broke off goes on where it stopped.

    Example: poseemo fetch hanyang
    """
    from poseemo_lib.data.recipes import fetch_dataset

    dataset = fetch_dataset(name, say, data_dir)
    say(f"{dataset.root}: {dataset.info.n_clips} clips")


@app.command("import")
def import_(
    format: Annotated[str, typer.Argument(help=f"Format of the files: {', '.join(READERS)}.")],
    src: Annotated[str, typer.Argument(help="Keypoint file, or folder that is searched to any depth.")],
    out: shared.Out,
    label_pattern: shared.LabelPattern = None,
    label_map: shared.LabelMap = None,
    split: shared.Split = None,
    name: shared.Name = None,
    source: shared.Source = "",
    licence: shared.Licence = "",
    option: shared.FormatOptions = None,
    views: Annotated[int | None, typer.Option(help="bvh, joints3d: number of virtual cameras.")] = None,
    up: Annotated[
        str | None, typer.Option(help="bvh, joints3d: axis that points up, e.g. y; default: guessed.")
    ] = None,
) -> None:
    """Turn keypoint files of other tools into a dataset. docs/data_format.md describes every format.

    In a file with many recordings, --label-pattern is searched in path/name. Without it, the labels in the files are
    used (pyskl, npz, and coco and movement written by poseemo).

    Example: poseemo import bvh recordings data/mine --views 8 --label-map normal=neutral
    --label-pattern 'dataset-1_(?P<group>[^_]+)_(?P<label>[^_]+)_'
    """
    from poseemo_lib.data.formats import reader_options
    from poseemo_lib.data.importing import import_dataset

    if option == ["help"]:
        list_options(reader_options(format))
        return
    told = {"views": views, "up": up}
    options = read_pairs(option, "--set") | {key: value for key, value in told.items() if value is not None}
    report = import_dataset(
        format, src, out, name=name or Path(out).name, label_pattern=label_pattern,
        label_map=read_pairs(label_map, "--label-map", parse=False), split=split, options=options,
        source=source, licence=licence,
    )  # fmt: skip
    list_items("do not match --label-pattern" if label_pattern else "have no label", report.unmatched)
    list_items("failed", report.faults)
    for note, count in report.notes.items():
        say(f"{count} recordings: {note}")
    for label, count in report.clips.items():
        say(f"{label:>9}: {report.recordings[label]} recordings, {count} clips")
    say(f"{out}: {report.info.n_clips} clips")
    if report.faults:
        raise PoseemoError(f"{len(report.faults)} recordings or clips failed; the others are in {out}")


@app.command()
def convert(
    format: Annotated[str, typer.Argument(metavar="FROM", help=f"Format of the input: dataset, {', '.join(READERS)}.")],
    src: Annotated[str, typer.Argument(help="Keypoint file, folder that is searched to any depth, or dataset.")],
    to: Annotated[str, typer.Argument(metavar="TO", help=f"Format of the output: {', '.join(WRITERS)}.")],
    out: Annotated[str, typer.Argument(help="Folder for the new files, or one file with the suffix of TO.")],
    option: shared.FormatOptions = None,
    to_option: Annotated[
        list[str] | None, typer.Option("--to-set", help="KEY=VALUE: as --set, for the output format.")
    ] = None,
) -> None:
    """Convert keypoint files, or the clips of a dataset, to another format, and say what is lost.

    New files are named after the input files. Existing files are never overwritten.

    Example: poseemo convert openpose recordings pyskl data/mine.pkl --set fps=30 --set width=1280 --set height=720
    """
    from poseemo_lib.data.converting import DATASET, convert_files
    from poseemo_lib.data.formats import load_writer, options_of, reader_options

    if "help" in ((option or [""])[0], (to_option or [""])[0]):
        list_options({} if format == DATASET else reader_options(format), f"--set, {format}:")
        list_options(options_of(load_writer(to).write), f"--to-set, {to}:")
        return
    report = convert_files(
        format, src, to, out, options=read_pairs(option, "--set"),
        to_options=read_pairs(to_option, "--to-set"),
    )  # fmt: skip
    list_items("failed", report.faults)
    if report.lost and report.written:
        say(f"lost, since {to} cannot hold it: {report.lost}")
    place = report.written[0] if len(report.written) == 1 else out
    say(f"{place}: {report.recordings} recordings; files or folders written: {len(report.written)}")
    if report.faults:
        kept = f"the others are in {out}" if report.written else "nothing was written"
        raise PoseemoError(f"{len(report.faults)} files or recordings failed; {kept}")


@app.command()
def inspect(
    dataset: shared.DatasetArgument,
    split: Annotated[
        str | None, typer.Option(help="Split to check: official, grouped, leave_one_group_out, neighbours or random.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the split.")] = 0,
    fold: Annotated[str | None, typer.Option(help="Group to test on, with --split leave_one_group_out.")] = None,
) -> None:
    """Count a dataset's clips and missing keypoints, and check a split for leaks. Exits with 1 if it finds a problem.

    Without --split, the dataset's official split is checked, or a grouped one if it has none.

    Example: poseemo inspect data/mine --split random
    """
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.inspecting import inspect_dataset
    from poseemo_lib.data.recipes import ensure_dataset

    opened = Dataset(ensure_dataset(dataset), allow_incomplete=True)
    text, sound = inspect_dataset(opened, split, seed=seed, fold=fold)
    say(text)
    if not sound:
        raise PoseemoError(f"{dataset}: has faults or leaks, see above")


@app.command()
def enhance(
    dataset: shared.DatasetArgument,
    out: shared.Out,
    split: Annotated[str | None, typer.Option(help="Split that is enhanced: official, grouped or neighbours.")] = None,
    target: Annotated[float, typer.Option(help="Wanted size of every class, as a share of the largest, 0 to 1.")] = 1.0,
    most: Annotated[int, typer.Option(help="Largest number of copies of one clip.")] = 10,
    kinds: Annotated[str | None, typer.Option(help="Changes to use, separated by commas; default: all.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the split and of the copies.")] = 0,
    name: shared.Name = None,
) -> None:
    """Balance the classes: write a new dataset with changed copies of training clips of the smaller classes.

    Without --split, the training clips are those of the official split, or of a grouped one if the dataset has none.
    The changes (--kinds) are mirror, time_warp, joint_noise, rotation and interpolation.

    Example: poseemo enhance demo data/more --target 0.5 --kinds mirror,time_warp
    """
    from poseemo_lib.data.copies import KINDS
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.enhance import enhance_dataset
    from poseemo_lib.data.recipes import ensure_dataset

    report = enhance_dataset(
        Dataset(ensure_dataset(dataset)), out, name=name or Path(out).name, split=split, seed=seed, target=target,
        most=most, kinds=tuple(kind.strip() for kind in kinds.split(",")) if kinds else KINDS,
    )  # fmt: skip
    say(f"training clips by class, split {report.split}, seed {seed}")
    say(report.counts.to_string())
    for label, row in report.counts.query("after < wanted").iterrows():
        limit = f"at most {most} copies of one clip (--most), each with nearly all the joints of its source"
        say(f"{label}: {row['after']} of {row['wanted']} clips; {limit}")
    say(f"{out}: {report.info.n_clips} clips, content hash {report.info.content_hash[:12]}")
