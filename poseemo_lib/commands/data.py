"""Commands that make and look at datasets."""

from pathlib import Path
from typing import Annotated

import typer

from poseemo_lib.commands.shared import DatasetArgument, Out, list_items, read_pairs, say
from poseemo_lib.errors import PoseemoError

app = typer.Typer()


@app.command()
def synth(
    out: Out,
    clips: Annotated[int, typer.Option(help="Number of clips.")] = 1000,
    signal: Annotated[float, typer.Option(help="How much the emotion shows; 0: the label tells nothing.")] = 1.0,
    groups: Annotated[int | None, typer.Option(help="Number of shows; default: by the number of clips.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
) -> None:
    """Write a SYNTHETIC dataset: drawn bodies, no real people.

    Example: poseemo synth data/mine --clips 500 --signal 0.5
    """
    from tqdm import tqdm

    from poseemo_lib.synthetic import write_synthetic_dataset

    with tqdm(total=clips, desc="synth", unit="clip", disable=None) as bar:
        info = write_synthetic_dataset(
            out, clips, seed=seed, signal=signal, n_groups=groups, progress=lambda done: bar.update(done - bar.n)
        )
    say(f"{out}: {info.n_clips} synthetic clips, content hash {info.content_hash[:12]}")


@app.command("import")
def import_(
    format: Annotated[str, typer.Argument(help="bvh or openpose.")],
    src: Annotated[str, typer.Argument(help="File or folder with the keypoints.")],
    out: Out,
    label_pattern: Annotated[
        str,
        typer.Option(
            help="Regular expression over a file's path with the group (?P<label>...), and where the path "
            "has them (?P<group>...), (?P<source>...), (?P<split>...)."
        ),
    ],
    label_map: Annotated[
        list[str] | None, typer.Option(help="WORD=CLASS, e.g. normal=neutral; give it once a word.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of all clips whose path tells none.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the dataset; default: the folder's.")] = None,
    source: Annotated[str, typer.Option(help="Where the recordings come from.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence.")] = "",
    option: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, an option of the format; `--set help` lists them.")
    ] = None,
    views: Annotated[int | None, typer.Option(help="bvh: virtual cameras round each recording.")] = None,
) -> None:
    """Turn keypoint files into a dataset.

    Example: poseemo import bvh recordings data/mine --views 8 --label-map normal=neutral
    --label-pattern 'dataset-1_(?P<group>[^_]+)_(?P<label>[^_]+)_'
    """
    from poseemo_lib.formats import reader_options
    from poseemo_lib.importing import import_dataset

    if option == ["help"]:
        say("\n".join(f"{key} = {value!r}" for key, value in reader_options(format).items()))
        return
    options = read_pairs(option or [], "--set", parse=True)
    if views is not None:
        options["views"] = views
    report = import_dataset(
        format, src, out, name=name or Path(out).name, label_pattern=label_pattern,
        label_map=read_pairs(label_map or [], "--label-map"), split=split, options=options,
        source=source, licence=licence,
    )  # fmt: skip
    list_items("did not match --label-pattern", report.unmatched)
    list_items("failed", report.faults)
    for label, count in report.clips.items():
        say(f"{label:>9}: {report.recordings[label]} recordings, {count} clips")
    say(f"{out}: {report.info.n_clips} clips")
    if report.faults:
        raise PoseemoError(f"{len(report.faults)} recordings or clips failed; the others are in {out}")


@app.command()
def inspect(
    dataset: DatasetArgument,
    split: Annotated[
        str | None,
        typer.Option(
            help="official, grouped, leave_one_group_out or random; default: official where there is one, else grouped."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of a split that is drawn.")] = 0,
    fold: Annotated[str | None, typer.Option(help="The test group, for --split leave_one_group_out.")] = None,
) -> None:
    """Show what is in a dataset and audit its split; exits 1 on a fault or a leak.

    Example: poseemo inspect data/mine --split random
    """
    from poseemo_lib.dataset import Dataset
    from poseemo_lib.inspecting import inspect_dataset
    from poseemo_lib.recipes import ensure_dataset

    opened = Dataset(ensure_dataset(dataset), allow_incomplete=True)
    text, sound = inspect_dataset(opened, split, seed=seed, fold=fold)
    say(text)
    if not sound:
        raise PoseemoError(f"{dataset}: has faults or leaks, see above")
