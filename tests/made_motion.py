"""A moving body as 3D joints, and tables of it in the shape of EBM's files."""

import numpy as np
import pandas as pd

_EBM = (
    "Hips Spine Spine1 Neck Head LeftShoulder LeftArm LeftForeArm LeftHand RightShoulder RightArm RightForeArm "
    "RightHand RightUpLeg RightLeg RightFoot LeftUpLeg LeftLeg LeftFoot"
)
EBM = _EBM.split()


def body(n_frames=30, seed=0):
    """EBM's joints (T, 19, 3), in metres: 1.7 high, facing +z with left at +x, knees and elbows bent, moving."""
    side = {"Shoulder": 0.1, "Arm": 0.2, "ForeArm": 0.25, "Hand": 0.2, "UpLeg": 0.1, "Leg": 0.1, "Foot": 0.1}
    level = {"Hips": 0.95, "Spine": 1.1, "Spine1": 1.3, "Neck": 1.5, "Head": 1.7, "Shoulder": 1.4, "Arm": 1.4}
    level |= {"ForeArm": 1.15, "Hand": 0.9, "UpLeg": 0.9, "Leg": 0.5, "Foot": 0.1}
    front = {"ForeArm": -0.03, "Hand": 0.02, "Leg": 0.04}
    places = []
    for name in EBM:
        part, sign = name.removeprefix("Left").removeprefix("Right"), -1 if name.startswith("Right") else 1
        places.append((sign * side.get(part, 0), level[part], front.get(part, 0)))
    paths = np.cumsum(np.random.default_rng(seed).normal(0, 0.004, (n_frames, len(EBM), 3)), 0)
    return np.array(places) + paths + np.linspace(0, 1, n_frames)[:, None, None] * (0, 0, 1)


def table_bytes(places, names=EBM, between=".", digits=6):
    """A file of EBM's exact shape."""
    columns = [f"{name}{between}{axis}" for name in names for axis in "xyz"]
    frame = pd.DataFrame(places.reshape(len(places), -1), columns=columns)
    frame.insert(0, "Frame", np.arange(1, len(frame) + 1))
    return frame.to_csv(index=False, float_format=f"%.{digits}f").encode("utf-8-sig")


def table(path, *args, **options):
    path.write_bytes(table_bytes(*args, **options))
    return path
