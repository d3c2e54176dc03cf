"""How fast networks predict on this machine."""

from collections.abc import Sequence

import pandas as pd

from poseemo_lib.analysis.configs import ConfigRuns


def measure_speed(configs: Sequence[ConfigRuns]) -> pd.DataFrame:
    """Measure the time that each network takes for one window, on one thread of this machine's CPU.

    Untrained weights take as long as trained ones. Networks of one architecture and size are measured once. One row a
    config: config, ms_alone (median, milliseconds a window), n_frames.
    """
    from poseemo_lib.models.cost import measure_latency

    known: dict[str, float] = {}
    rows = []
    for config in configs:
        n_frames = config.parameters["n_frames"]
        size = repr((config.architecture, config.parameters["model"], len(config.classes), n_frames))
        if size not in known:
            known[size] = 1e3 * measure_latency(config.untrained(), n_frames=n_frames)
        rows.append({"config": config.name, "ms_alone": known[size], "n_frames": n_frames})
    return pd.DataFrame(rows, columns=["config", "ms_alone", "n_frames"])


def machine() -> str:
    """Name what :func:`measure_speed` measures on."""
    from poseemo_lib.models.cost import describe_cpu

    return f"{describe_cpu()}, 1 thread"
