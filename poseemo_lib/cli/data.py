"""Commands that make and look at datasets."""

from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.cli.shared import DatasetArgument, Out, list_items, read_pairs, say
from poseemo_lib.data.formats import READERS, WRITERS
from poseemo_lib.errors import PoseemoError

app = typer.Typer()


@app.command()
def synth(
    out: Out,
    clips: Annotated[int, typer.Option(help="Number of clips.")] = 1000,
    signal: Annotated[float, typer.Option(help="How much the emotion shows; 0: the label tells nothing.")] = 1.0,
    groups: Annotated[int | None, typer.Option(help="Number of shows; default: by the number of clips.")] = None,
    cues: Annotated[
        str,
        typer.Option(
            help="whole_body: many cues of the upper body, as a task like real ones. local: one limb or the head for "
            "a shorter time, to test whether an attribution finds it."
        ),
    ] = "whole_body",
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
) -> None:
    """Write a SYNTHETIC dataset: drawn bodies, no real people.

    Example: poseemo synth data/mine --clips 500 --signal 0.5
    """
    from poseemo_lib.data.synthetic import write_synthetic_dataset

    info = write_synthetic_dataset(out, clips, seed=seed, signal=signal, n_groups=groups, cues=cues)
    say(f"{out}: {info.n_clips} synthetic clips, content hash {info.content_hash[:12]}")


@app.command("import")
def import_(
    format: Annotated[str, typer.Argument(help=f"One of {', '.join(READERS)}.")],
    src: Annotated[str, typer.Argument(help="File or folder with the keypoints.")],
    out: Out,
    label_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression over a file's path (in a file of many recordings: path/name) with the group "
            "(?P<label>...), and where the path has them (?P<group>...), (?P<source>...), (?P<split>...); without it, "
            "the labels and splits that the files carry (pyskl, npz, movement, coco of poseemo)."
        ),
    ] = None,
    label_map: Annotated[
        list[str] | None, typer.Option(help="WORD=CLASS, e.g. normal=neutral; give it once a word.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of all clips whose path and file tell none.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the dataset; default: the folder's.")] = None,
    source: Annotated[str, typer.Option(help="Where the recordings come from.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence.")] = "",
    option: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, an option of the format; `--set help` lists them.")
    ] = None,
    views: Annotated[int | None, typer.Option(help="bvh: virtual cameras round each recording.")] = None,
) -> None:
    """Turn keypoint files into a dataset. docs/data_format.md shows every format.

    Example: poseemo import bvh recordings data/mine --views 8 --label-map normal=neutral
    --label-pattern 'dataset-1_(?P<group>[^_]+)_(?P<label>[^_]+)_'
    """
    from poseemo_lib.data.formats import reader_options
    from poseemo_lib.data.importing import import_dataset

    if option == ["help"]:
        _say_options(reader_options(format))
        return
    options = read_pairs(option or [], "--set", parse=True)
    if views is not None:
        options["views"] = views
    report = import_dataset(
        format, src, out, name=name or Path(out).name, label_pattern=label_pattern,
        label_map=read_pairs(label_map or [], "--label-map"), split=split, options=options,
        source=source, licence=licence,
    )  # fmt: skip
    list_items("did not match --label-pattern" if label_pattern else "carry no label", report.unmatched)
    list_items("failed", report.faults)
    for label, count in report.clips.items():
        say(f"{label:>9}: {report.recordings[label]} recordings, {count} clips")
    say(f"{out}: {report.info.n_clips} clips")
    if report.faults:
        raise PoseemoError(f"{len(report.faults)} recordings or clips failed; the others are in {out}")


@app.command()
def convert(
    format: Annotated[str, typer.Argument(metavar="FROM", help=f"dataset, or one of {', '.join(READERS)}.")],
    src: Annotated[str, typer.Argument(help="File or folder with the keypoints, or a dataset.")],
    to: Annotated[str, typer.Argument(metavar="TO", help=f"One of {', '.join(WRITERS)}.")],
    out: Annotated[
        str,
        typer.Argument(
            help="Folder for the new files, named as their sources; with the suffix of TO, the one file that "
            "everything goes to. Nothing is overwritten."
        ),
    ],
    option: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, an option of FROM; `--set help` lists them.")
    ] = None,
    to_option: Annotated[
        list[str] | None, typer.Option("--to-set", help="KEY=VALUE, an option of TO; `--to-set help` lists them.")
    ] = None,
) -> None:
    """Write keypoint files, or the clips of a dataset, in another format; says what that one cannot hold.

    Example: poseemo convert openpose recordings pyskl data/mine.pkl --set fps=30 --set width=1280 --set height=720
    """
    from poseemo_lib.data.converting import DATASET, convert_files
    from poseemo_lib.data.formats import reader_options, writer_options

    if "help" in ((option or [""])[0], (to_option or [""])[0]):
        _say_options({} if format == DATASET else reader_options(format), f"--set, {format}:")
        _say_options(writer_options(to), f"--to-set, {to}:")
        return
    report = convert_files(
        format, src, to, out, options=read_pairs(option or [], "--set", parse=True),
        to_options=read_pairs(to_option or [], "--to-set", parse=True),
    )  # fmt: skip
    list_items("failed", report.faults)
    if report.lost and report.written:
        say(f"{to} cannot hold {report.lost}")
    place = report.written[0] if len(report.written) == 1 else out
    say(f"{place}: {report.recordings} recordings; files or folders written: {len(report.written)}")
    if report.faults:
        kept = f"the others are in {out}" if report.written else "nothing was written"
        raise PoseemoError(f"{len(report.faults)} files or recordings failed; {kept}")


def _say_options(options: dict, title: str = "") -> None:
    lines = [f"{key} = {value!r}" for key, value in options.items()] or ["(no options)"]
    say("\n".join([title, *lines] if title else lines))


@app.command()
def inspect(
    dataset: DatasetArgument,
    split: Annotated[
        str | None,
        typer.Option(
            help="official, grouped, leave_one_group_out, neighbours or random; default: official where there is one, "
            "else grouped."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of a split that is drawn.")] = 0,
    fold: Annotated[str | None, typer.Option(help="The test group, for --split leave_one_group_out.")] = None,
) -> None:
    """Show what is in a dataset and audit its split; exits 1 on a fault or a leak.

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
    dataset: DatasetArgument,
    out: Out,
    split: Annotated[
        str | None,
        typer.Option(help="official, grouped or neighbours; default: official where there is one, else grouped."),
    ] = None,
    target: Annotated[float, typer.Option(help="Bring every class to this share of the largest one, 0 to 1.")] = 1.0,
    most: Annotated[int, typer.Option(help="Copies of one clip, at most.")] = 10,
    kinds: Annotated[
        str | None,
        typer.Option(help="Out of mirror,time_warp,joint_noise,rotation,interpolation; default: all of them."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the copies.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the dataset; default: the folder's.")] = None,
) -> None:
    """Write a dataset again with changed copies of rare classes, of clips in the training part only.

    Example: poseemo enhance demo data/more --target 0.5 --kinds mirror,time_warp
    """
    from poseemo_lib.data.copies import KINDS
    from poseemo_lib.data.dataset import Dataset
    from poseemo_lib.data.enhance import enhance_dataset
    from poseemo_lib.data.recipes import ensure_dataset

    chosen = tuple(kind.strip() for kind in kinds.split(",")) if kinds is not None else KINDS
    report = enhance_dataset(
        Dataset(ensure_dataset(dataset)), out, name=name or Path(out).name, split=split, seed=seed, target=target,
        most=most, kinds=chosen,
    )  # fmt: skip
    say(f"training clips by class, split {report.split}, seed {seed}")
    say(report.counts.to_string())
    for label, row in report.counts[report.counts["after"] < report.counts["wanted"]].iterrows():
        say(f"{label}: {row['after']} of {row['wanted']} wanted: --most {most} copies a clip, each passing the test")
    say(f"{out}: {report.info.n_clips} clips, content hash {report.info.content_hash[:12]}")
