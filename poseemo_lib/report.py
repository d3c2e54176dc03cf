"""The report: figures and the executed notebook as one HTML file that opens offline."""

import os
import uuid
from pathlib import Path

from poseemo_lib.execution import execute_notebook
from poseemo_lib.results import load_results

NOTEBOOK = "07_report.ipynb"
TEMPLATES = Path(__file__).parent / "templates"


class Figures:
    """Show figures in a notebook, each with a text for those who cannot see it, and keep them as files.

    Parameters
    ----------
    folder : str or Path
        Where `<name>.png` (300 dpi) goes; empty: nowhere. A name that comes again gets a number.
    """

    def __init__(self, folder: str | Path = ""):
        self.folder = Path(folder) if folder else None
        self.names: list[str] = []

    def __call__(self, fig, name: str, text: str) -> None:
        """Show a figure once and save it.

        Parameters
        ----------
        fig : matplotlib Figure
            Closed afterwards, so that the notebook does not show it again.
        name : str
        text : str
            What the figure shows, with its numbers.
        """
        import matplotlib.pyplot as plt
        from IPython.display import display

        self.names.append(name)
        if (times := self.names.count(name)) > 1:
            name = f"{name}_{times}"
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            fig.savefig(self.folder / f"{name}.png", dpi=300, bbox_inches="tight", metadata={"Description": text})
        display(fig, metadata={"image/png": {"alt": text}})
        plt.close(fig)


def make_report(runs: str | Path, out: str | Path, base: str = "") -> Path:
    """Execute the report notebook on a study's runs and export it.

    Parameters
    ----------
    runs : str or Path
        Folder of the runs.
    out : str or Path
        Folder of the report: `report.html`, the executed notebook and `figures/`.
    base : str
        Name of a cell: every other one, and the ensemble of the best three networks, is compared with it. Empty: the
        comparisons that the study's parameters call for.

    Returns
    -------
    Path
        `report.html`.

    Raises
    ------
    UsageError
        There are no runs, or no cell called `base`.
    PoseemoError
        None is complete, or the notebook failed.
    """
    results = load_results(runs)  # a clear error before a kernel starts
    if base:
        base = results[base].name
    out = Path(out).resolve()
    notebook = out / "report.ipynb"
    parameters = {"runs": str(Path(runs).resolve()), "figures": str(out / "figures"), "base": base}
    execute_notebook(NOTEBOOK, notebook, parameters)
    page = out / "report.html"
    temporary = out / f".{page.name}-{uuid.uuid4().hex[:8]}"
    temporary.write_text(to_html(notebook), encoding="utf-8")
    os.replace(temporary, page)
    return page


def to_html(notebook: Path) -> str:
    """Convert an executed notebook to one self-contained HTML page without code.

    Parameters
    ----------
    notebook : Path

    Returns
    -------
    str
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(extra_template_basedirs=[str(TEMPLATES)], template_name="poseemo", exclude_input=True)
    return exporter.from_filename(str(notebook))[0]
