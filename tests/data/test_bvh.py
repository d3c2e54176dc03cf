import re
from pathlib import Path

import numpy as np
import pytest

from poseemo_lib.cli.shared import read_pairs
from poseemo_lib.data.formats import bvh, find_files
from poseemo_lib.errors import FormatError, UsageError

SHARED = Path(__file__).parents[3] / "shared"
BANDAI = SHARED / "data" / "bandai-namco"

CHAIN = """HIERARCHY
ROOT hip
{{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition {root}
  JOINT knee
  {{
    OFFSET 2 0 0
    CHANNELS {knee}
    End Site
    {{
      OFFSET 0 3 0
    }}
  }}
}}
MOTION
Frames: {frames}
Frame Time: 0.0333333
{values}
"""


def chain(path, values, root="Zrotation Xrotation Yrotation", knee="3 Zrotation Xrotation Yrotation", frames=None):
    text = CHAIN.format(root=root, knee=knee, frames=frames or values.count("\n") + 1, values=values)
    path.write_text(text)
    return path


def positions(path, **options):
    return bvh.joint_positions(bvh.parse_bvh(path), **options)


def bandai():
    if not BANDAI.is_dir():
        pytest.skip("needs the Bandai-Namco recordings in ../shared/data/bandai-namco")
    return find_files("bvh", BANDAI)


def figure(path, skip=()):
    """Two frames of an upright body with Mixamo's names that faces +z (y up): left is +x."""

    def bone(name, x, y, *children):
        if name in skip:
            return ""
        inner = "".join(children) or "End Site\n{\nOFFSET 0 0 0\n}\n"
        return f"JOINT {name}\n{{\nOFFSET {x} {y} 0\nCHANNELS 0\n{inner}}}\n"

    body = bone("Head", 0, 60)
    for side, sign in (("Left", 1), ("Right", -1)):
        arm = bone(f"{side}ForeArm", 0, -25, bone(f"{side}Hand", 0, -25))
        leg = bone(f"{side}Leg", 0, -40, bone(f"{side}Foot", 0, -40))
        body += bone(f"{side}Arm", 20 * sign, 50, arm) + bone(f"{side}UpLeg", 10 * sign, 0, leg)
    root = "ROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zposition\n"
    path.write_text(f"HIERARCHY\n{root}{body}}}\nMOTION\nFrames: 2\nFrame Time: 0.04\n0 0 0\n0 0 0\n")
    return path


def test_against_plain_matrices(tmp_path):
    def turn(axis, degrees):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        i, j = [(1, 2), (2, 0), (0, 1)]["XYZ".index(axis)]
        matrix = np.eye(3)
        matrix[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
        return matrix

    values = np.random.default_rng(0).uniform(-180, 180, (5, 8))
    text = "\n".join(" ".join(map(str, row)) for row in values)
    path = chain(tmp_path / "a.bvh", text, root="Yrotation Zrotation Xrotation", knee="2 Xrotation Zrotation")
    found = positions(path)
    for row, where in zip(values, found, strict=True):
        root = turn("Y", row[3]) @ turn("Z", row[4]) @ turn("X", row[5])
        knee = root @ turn("X", row[6]) @ turn("Z", row[7])
        at = row[:3] + root @ (2, 0, 0)
        np.testing.assert_allclose(where, [row[:3], at, at + knee @ (0, 3, 0)], atol=1e-9)


def test_position_channels_of_a_joint_replace_its_offset_or_add_to_it(tmp_path):
    path = chain(tmp_path / "a.bvh", "0 0 0 90 0 0 7 5", knee="2 Yposition Xposition")
    np.testing.assert_allclose(positions(path)[0, 1], [-7, 5, 0], atol=1e-12)  # (5, 7, 0) turned by 90 about z
    np.testing.assert_allclose(positions(path, positions="add")[0, 1], [-7, 7, 0], atol=1e-12)


def test_spacing_case_and_wrapped_frames_do_not_matter(tmp_path):
    values = "1 2 3 10 20 30 40 50 60\n1 2 3 11 21 31 41 51 61"
    plain = chain(tmp_path / "a.bvh", values)
    text = plain.read_text().replace("\n{", " {").replace("  OFFSET 2 0 0", "\toffset  2\n0\t0")
    text = (
        text.replace("Frames: 2\n", "  Frames :\t2\n\n")
        .replace("20 30", "20\n\n30")
        .replace("}\nMOTION", "} MOTION")
        .replace("\n", " \r\n")
    )
    odd = tmp_path / "b.bvh"
    odd.write_bytes(b"\xef\xbb\xbf" + text.encode())
    np.testing.assert_array_equal(positions(odd), positions(plain))
    assert bvh.parse_bvh(odd).names == ("hip", "knee", "knee_end")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Frames: 2", "Frames: 0"), "one frame or more"),
        (("Frames: 2", "Frames: 3"), "truncated or damaged motion: wanted 3 frames of 9 numbers.*got 18 numbers"),
        (("0.0333333", "-1"), "frame time above 0"),
        (("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 4 Zrotation Xrotation Yrotation"), "knee: wanted 4"),
        (("CHANNELS 3 Zrotation Xrotation", "CHANNELS 2 Zrotation"), "wanted 2 frames of 8 numbers.*got 18"),
        ((" 6 7 8 9", " 6 x 8 9"), "motion: wanted numbers.*'x'"),
        ((" 6 7 8 9", " 6 1e300 8 9"), "above 1e9"),
        (("OFFSET 0 3 0", "OFFSET 0 far 0"), "OFFSET of knee_end: wanted numbers, got .*'far'"),
        (("    OFFSET 2 0 0\n", ""), "knee has no OFFSET"),
        (("}\nMOTION", "MOTION"), "1 joints are not closed"),
        (("JOINT knee", "BONE knee"), "'BONE knee"),
    ],
)
def test_faulty_files_are_named(tmp_path, change, message):
    path = chain(tmp_path / "walk.bvh", "1 2 3 4 5 6 7 8 9\n1 2 3 4 5 0 0 0 0")
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(FormatError, match=f"walk.bvh: .*({message})"):
        bvh.parse_bvh(path)
    for content, message in ((b"\x82\xff", "a text in UTF-8, Shift-JIS or Latin-1"), (b"\xff", "HIERARCHY first")):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=f"walk.bvh: .*{message}"):
            bvh.parse_bvh(path)


def test_joints_that_are_not_found_are_listed(tmp_path):
    path = figure(tmp_path / "a.bvh", skip=("LeftHand", "RightLeg"))
    with pytest.raises(FormatError) as error:
        bvh.read(path)
    text = str(error.value)
    assert "no joint for left_wrist (lefthand), right_knee (rightleg), right_ankle (rightfoot); " in text
    assert "nearest preset ebm, 10 of 13" in text and "Hips, Head, LeftArm" in text
    (given,) = re.findall(r"give --set '(joint_map=.*?)', ", text)
    found = bvh.read(path, **read_pairs([given], "--set"), views=1)[0].keypoints
    assert (found[..., 2] > 0).sum() == 2 * 10
    own = {"nose": "Head", "left_wrist": "LeftForeArm", "left_hip": ["Pelvis", "LeftUpLeg"]}
    keypoints = bvh.read(path, joint_map=own, views=1)[0].keypoints
    assert (keypoints[..., 2] > 0).sum() == 2 * len(own)


def test_eyes_and_ears_are_missing_not_invented(tmp_path):
    keypoints = bvh.read(figure(tmp_path / "a.bvh"), views=3)[0].keypoints
    assert keypoints.shape == (2, 1, 17, 3) and keypoints.dtype == np.float32
    assert np.isnan(keypoints[:, :, 1:5, :2]).all() and (keypoints[:, :, 1:5, 2] == 0).all()
    assert (keypoints[:, :, [0, *range(5, 17)], 2] == 1).all()


def test_views_are_seeded(tmp_path):
    path = figure(tmp_path / "a.bvh")
    same, again, other = (bvh.read(path, seed=seed) for seed in (3, 3, 4))
    assert [view.suffix for view in same] == [f"@view{i}" for i in range(8)]
    np.testing.assert_array_equal(same[2].keypoints, again[2].keypoints)
    assert not np.array_equal(same[2].keypoints, other[2].keypoints, equal_nan=True)
    assert same[0].fps == 25 and (same[0].width, same[0].height) == (1280, 720)


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("views", 0, "greater than or equal to 1"),
        ("fovs", [30, 200], "less than or equal to 150"),
        ("heights", [float("nan"), 1], "a finite number"),
        ("up", "w", "'auto', 'x', 'y'"),
        ("positions", "both", "'replace' or 'add'"),
        ("seed", "abc", "a valid integer"),
        ("follow", "maybe", "a valid boolean"),
        ("joint_map", "maya", "'auto', 'ebm'"),
        ("joint_map", {"tail": "Tail"}, "'nose', 'left_eye'"),
        ("joint_map", {}, "at least 1"),
    ],
)
def test_wrong_options_are_the_callers_error(tmp_path, option, value, wanted):
    with pytest.raises(UsageError) as error:
        bvh.read(figure(tmp_path / "a.bvh"), **{option: value})
    text = str(error.value)
    assert text.startswith(f"{option}: should be ") and wanted in text and text.endswith(f"got {value!r}")


def test_bandai_bodies_are_people():
    walked = {}
    for path in bandai():
        motion = bvh.parse_bvh(path)
        joint = dict(zip(motion.names, bvh.joint_positions(motion).swapaxes(0, 1), strict=True))
        head, hips, toes = (joint[name][:, 1] for name in ("Head", "Hips", "Toes_L"))
        assert np.median(head - hips) > 25 and (hips - toes > 40).all()
        assert -1 < min(joint[name][:, 1].min() for name in ("Toes_L", "Toes_R")) < 5  # on the floor, in centimetres
        # Toes point to where left x up does, so left and right are the right way round.
        forward = np.cross(joint["UpperLeg_L"] - joint["UpperLeg_R"], (0, 1, 0))
        feet = joint["Toes_L"] - joint["Foot_L"] + joint["Toes_R"] - joint["Foot_R"]
        assert np.median((forward * feet).sum(1)) > 0
        walked[path.stem] = (np.diff(joint["Hips"], axis=0) * forward[1:]).sum()
    assert walked["dataset-1_walk_normal_001"] > 0 > walked["dataset-1_walk-back_normal_001"]
