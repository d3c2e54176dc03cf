"""A hash of the source that decides a run's numbers, so that a run counts as done only for the code it was made by.

It covers the path on the device, training, scoring and the architecture's own file with all that they import from this
library. Comments, docstrings and layout do not count; nor does the code of datasets, studies, figures and reports.
"""

from functools import cache

from poseemo_lib.files import PACKAGE, collect_files, hash_code, module_file

ALONE = (
    "training/run.py",
    "training/inputs.py",
)  # what puts a run together; what they import for reading does not count
ROOTS = ("training/batching.py", "training/fit.py")


@cache
def code_hash(architecture: str) -> str:
    """Hash the code that a run of this architecture executes.

    Parameters
    ----------
    architecture : str
        A model or a baseline.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    from poseemo_lib.models import MODELS

    if architecture in MODELS:
        around = (PACKAGE / "models" / name for name in ("standardised.py", "dropout.py"))
        own = (module_file(MODELS[architecture].__module__), *around)
    else:
        own = (PACKAGE / "training/baselines.py",)
    files = {PACKAGE / name for name in ALONE}
    for root in (*own, *(PACKAGE / name for name in ROOTS)):
        collect_files(root, files)
    return hash_code(files)
