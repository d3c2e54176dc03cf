import numpy as np
import pandas as pd
import pytest
import torch

from poseemo_lib.analysis import recovery
from poseemo_lib.analysis.recovery import evenly, usual_shares
from poseemo_lib.skeleton import JOINT
from poseemo_lib.training.trained import ClipWindows

N_FRAMES = 10


def windows_of(n: int, start: int = 0, groups=None) -> ClipWindows:
    """Windows of n clips of one frame rate, two people, every joint seen in every frame."""
    return ClipWindows(
        features=torch.zeros(n, N_FRAMES, 1),
        mask=torch.ones(n, N_FRAMES, dtype=torch.bool),
        keypoints=torch.ones(n, N_FRAMES, 2, 17, 3),
        clip_ids=np.array([f"clip-{i}" for i in range(n)]),
        group_ids=np.array(groups if groups is not None else [f"show-{i}" for i in range(n)]),
        source_ids=np.array([f"scene-{i}" for i in range(n)]),
        labels=torch.zeros(n, dtype=torch.long),
        start=np.full(n, start),
        fps=25.0,
        original_fps=np.full(n, 25.0),
    )


def planted_rows(*rows) -> pd.DataFrame:
    """Make a planted table of (person, joints, start, stop), the clips in order."""
    table = pd.DataFrame(rows, columns=["person", "joints", "start", "stop"])
    return table.assign(clip_id=[f"clip-{i}" for i in range(len(rows))])


class TestPlantedWindows:
    def test_a_window_beside_the_planted_span_has_nothing_to_find(self):
        planted = planted_rows((0, ["nose"], 0, 20), (0, ["nose"], 0, 40), (1, ["nose"], 30, 40))
        where = recovery.true_locations(planted, windows_of(3, start=25))
        assert list(where.rows) == [1, 2] and list(where.person) == [0, 1]
        assert where.frames.sum(1).tolist() == [10, 5]
        assert recovery.true_locations(planted[:1], windows_of(3, start=25)) is None

    def test_a_joint_that_was_not_seen_while_planted_is_not_looked_for(self):
        windows = windows_of(2)
        windows.keypoints[0, 2:5, 0, JOINT["left_wrist"], 2] = 0
        windows.keypoints[1, :, 0, JOINT["left_wrist"], 2] = 0
        planted = planted_rows(*[(0, ["left_elbow", "left_wrist"], 2, 5)] * 2)
        where = recovery.true_locations(planted, windows)
        assert where.joints[:, 0, JOINT["left_elbow"]].all() and where.joints.sum() == 2
        assert where.seen[:, 0, JOINT["left_wrist"]].tolist() == [True, False]

    def test_some_are_taken_from_all_over(self):
        assert evenly(3, 5).tolist() == [0, 1, 2] and evenly(10, 4).tolist() == [0, 2, 5, 7]
        where = recovery.true_locations(planted_rows(*[(0, ["nose"], 0, 5)] * 9), windows_of(9))
        assert where.at_most(3).rows.tolist() == [0, 3, 6] and len(where.at_most(20).rows) == 9
        assert where.at_most(3).usual_frames.shape == (3, N_FRAMES)


class TestFixedOrder:
    def test_shares_are_those_of_the_other_groups(self):
        wanted = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool)
        candidates = np.array([[1, 1], [1, 1], [1, 1], [0, 1]], bool)
        shares = usual_shares(wanted, candidates, np.array(["a", "a", "b", "c"]))
        np.testing.assert_allclose(shares, [[0, 1], [0, 1], [1, 1 / 3], [2 / 3, 1 / 3]])
        assert np.isnan(usual_shares(wanted, candidates, np.array(["a"] * 4))).all()

    def test_an_attribution_of_the_clip_is_above_it_and_one_of_the_average_is_not(self):
        rng = np.random.default_rng(0)
        names = np.array(["left_wrist", "right_wrist", "left_knee", "right_knee"])[rng.integers(4, size=200)]
        planted = planted_rows(*[(int(rng.integers(2)), [name], 0, 5) for name in names])
        where = recovery.true_locations(planted, windows_of(200))
        true = (where.joints[:, None] & where.frames[..., None, None])[..., None] * np.ones(7)
        average = np.broadcast_to(true.mean(0), true.shape)
        joints = {}
        for name, contributions in {"trained": true, "randomised": average}.items():
            rows = recovery.gradient_recovery(contributions, where)
            rows = rows.assign(model=name, clip_id=rows["row"], group_id=rows["row"])
            joints[name] = recovery.recovery_table(rows).set_index("target").loc["joints"]
            assert name == "randomised" or (rows["precision"] == 1).all()
        assert joints["trained"]["precision"] == 1 and joints["trained"]["over_fixed_low"] > 0.6
        assert joints["randomised"]["difference_low"] > 0.1  # above chance, by what is common alone
        assert joints["randomised"]["over_fixed"] < 0.15

    def test_without_other_groups_there_is_none(self):
        planted = planted_rows(*[(0, ["nose"], 0, 5)] * 3)
        where = recovery.true_locations(planted, windows_of(3, groups=["a"] * 3))
        rows = recovery.gradient_recovery(np.zeros((3, N_FRAMES, 2, 17, 7)), where)
        assert rows["fixed"].isna().all() and rows["precision"].notna().all()
        rows = pd.concat([rows.assign(model=model) for model in ("trained", "randomised")])
        table = recovery.recovery_table(rows.assign(clip_id=rows["row"], group_id="a"))
        shown = recovery.format_recovery(table)
        assert (shown[["fixed order", "trained, above fixed order"]] == "").all(axis=None)
        assert shown["clips"].tolist() == [3, 3, 3]

    def test_a_share_of_attention_is_no_order(self):
        planted = planted_rows(*[(0, ["nose"], 0, 5)] * 4)
        where = recovery.true_locations(planted, windows_of(4))
        rows = recovery.attention_recovery(np.full((4, N_FRAMES), 1 / N_FRAMES), where).set_index("method")
        assert rows.loc["attention", "fixed"].eq(1).all() and rows.loc["attention, share inside", "fixed"].isna().all()
        assert rows.loc["attention, share inside", "precision"].tolist() == pytest.approx([0.5] * 4)


class TestReversed:
    def test_size_alone_is_above_chance_and_as_much_in_reversed_order(self):
        planted = planted_rows(*[(0, ["left_wrist"], 0, 5)] * 100)
        where = recovery.true_locations(planted, windows_of(100))
        contributions = np.random.default_rng(0).normal(size=(100, N_FRAMES, 2, 17, 7))
        contributions[where.joints.nonzero()[0], :, 0, JOINT["left_wrist"]] *= 10
        rows = recovery.gradient_recovery(contributions, where)
        rows = rows.assign(model="randomised", clip_id=rows["row"], group_id=rows["row"])
        joints = recovery.recovery_table(rows).set_index("target").loc["joints"]
        assert joints["chance"] == pytest.approx(1 / 17) and joints["difference_low"] > 0.2
        assert joints["over_reversed_low"] < 0 < joints["over_reversed_high"]
        assert joints["over_reversed"] == pytest.approx(joints["precision"] - joints["reversed"])
