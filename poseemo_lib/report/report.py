"""The report: figures, cards and the executed notebook as one HTML file that opens offline."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from poseemo_lib.errors import PoseemoError, UsageError
from poseemo_lib.report.data import ReportData, load_report_data
from poseemo_lib.studies.notebook import NotebookError, execute_notebook

NOTEBOOK = "07_report.ipynb"


class Figures:
    """Draw the figures of a report in a notebook, each with a text for those who cannot see it, and keep them.

    In `folder`, unless it is empty, every figure is kept as PNG (300 dpi), SVG and the drawn tables as CSV.
    """

    def __init__(self, data: ReportData, folder: str | Path = ""):
        self.data = data
        self.folder = Path(folder) if folder else None

    def __call__(self, name: str) -> None:
        """Draw, keep and show the figure with this name in :data:`poseemo_lib.report.figures.CATALOGUE`."""
        from poseemo_lib.report.figures import CATALOGUE

        kinds = {one: (kind, draw) for kind, figures in CATALOGUE.items() for one, draw in figures.items()}
        if name not in kinds:
            raise UsageError(f"figure: wanted one of {', '.join(kinds)}, got {name!r}")
        kind, draw = kinds[name]
        figure, text, tables = draw(self.data)
        self.show(figure, name, text, tables, kind)

    def show(self, figure, name: str, text: str, tables: dict | None = None, kind: str = "report_figures") -> None:
        """Keep and show a figure that is drawn already; it is closed, so that the notebook does not show it again."""
        import matplotlib.pyplot as plt
        from IPython.display import display

        if self.folder:
            save_figure(figure, self.folder / kind / name, text, tables or {})
        display(figure, metadata={"image/png": {"alt": text}})
        plt.close(figure)


def save_figure(figure, path: Path, text: str, tables: dict) -> None:
    """Save a figure as PNG (300 dpi) and SVG, and its tables as `<name>-<table>.csv`; `path` has no suffix.

    The layout is computed once, for the PNG. Both pictures contain the text.
    """
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{path.name}-*.csv"):
        old.unlink()
    figure.savefig(path.with_suffix(".png"), dpi=300, bbox_inches="tight", metadata={"Description": text})
    figure.set_layout_engine("none")
    with plt.rc_context({"svg.hashsalt": "poseemo"}):  # the same figure twice is the same file
        figure.savefig(path.with_suffix(".svg"), bbox_inches="tight", metadata={"Description": text, "Date": None})
    for name, table in tables.items():
        table.to_csv(path.with_name(f"{path.name}-{name}.csv"), index=False)


def write_cards(data: ReportData, folder: str | Path) -> None:
    """Write `model_card.md` and `dataset_card.md`, unless the folder's name is empty."""
    from poseemo_lib.report.cards import dataset_card, model_card

    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, card in (("model_card", model_card), ("dataset_card", dataset_card)):
            (Path(folder) / f"{name}.md").write_text(card(data), encoding="utf-8")


def make_report(
    runs: str | Path | Sequence[str | Path],
    out: str | Path,
    base: str = "",
    *,
    figures: str | Path = "",
    pdf: bool = False,
) -> Path:
    """Execute the report notebook on studies' runs and export it.

    Parameters
    ----------
    runs : str, Path or sequence of them
        Folders of runs. The report is about the first; the others may add an ablation, regimes against uneven
        classes, or a leak.
    out : str or Path
        Folder for `report.html`, `report.ipynb` as executed, `model_card.md` and `dataset_card.md`.
    base : str
        Name of a config: every other one, and the ensemble of the best three networks, is compared with it. Empty: the
        comparisons that the study's parameters call for.
    figures : str or Path
        Folder for the figures; empty: `figures/` in `out`.
    pdf : bool
        Also print the page to `report.pdf`.

    Returns
    -------
    Path
        `report.html`.

    Raises
    ------
    UsageError
        There are no runs, or no config is called `base`.
    PoseemoError
        No run is complete, the notebook failed, or there is no browser to print with.
    """
    from poseemo_lib.report.page import to_html, to_pdf, wanted_browser

    data = load_report_data(runs, base)  # a clear error before a kernel starts
    if pdf:
        wanted_browser()
    out = Path(out).resolve()
    figures = Path(figures).resolve() if figures else out / "figures"
    making = _new_folder(out, figures)
    try:
        notebook = making / "report.ipynb"
        studies = [str(study.root.resolve()) for study in data.studies]
        parameters = {"runs": studies, "base": data.base, "figures": str(making / "figures"), "cards": str(making)}
        execute_notebook(NOTEBOOK, notebook, parameters, save_each=False)
        (making / "report.html").write_text(to_html(notebook), encoding="utf-8")
        if pdf:
            to_pdf(making / "report.html", making / "report.pdf")
        _put_in_place(making, out, figures)
    except NotebookError as error:  # the notebook is kept, beside the report of before
        kept = error.notebook and Path(shutil.move(error.notebook, out / "report-failed.ipynb"))
        raise NotebookError(error.reason, kept, error.exit_code) from None
    except OSError as error:
        raise PoseemoError(f"{error.filename or out}: {error.strerror or error}; the report was not made") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return out / "report.html"


def _new_folder(out: Path, figures: Path) -> Path:
    """Make a folder to make the report in, so that a report that fails leaves the previous one unchanged."""
    try:
        figures.mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=figures):
            return Path(tempfile.mkdtemp(prefix=".making-", dir=out))
    except OSError as error:
        wanted = f"{error.filename or out}: wanted a folder to write the report to"
        raise UsageError(f"{wanted}, got {error.strerror}; choose another") from None


def _put_in_place(making: Path, out: Path, figures: Path) -> None:
    """Move the files of a report to their places, over those of the previous report."""
    for kind in sorted((making / "figures").iterdir()):
        shutil.rmtree(figures / kind.name, ignore_errors=True)
        shutil.move(kind, figures / kind.name)
    (out / "report.pdf").unlink(missing_ok=True)
    for file in sorted(path for path in making.iterdir() if path.is_file()):
        os.replace(file, out / file.name)
