"""3D joints by name, from tables and arrays, seen by the cameras that BVH files get."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_motion import EBM, body, table

from poseemo_lib.data.audit import audit
from poseemo_lib.data.dataset import Dataset
from poseemo_lib.data.formats import bvh, find_files, joints3d
from poseemo_lib.data.formats.guess import guess
from poseemo_lib.data.importing import import_dataset
from poseemo_lib.errors import FormatError
from poseemo_lib.skeleton import JOINT

BANDAI = Path(__file__).parents[3] / "shared" / "data" / "bandai-namco"
needs_bandai = pytest.mark.skipif(not BANDAI.is_dir(), reason=f"needs the motion capture in {BANDAI}")
# The same joints in the Bandai-Namco files.
_THEIRS = (
    "Hips Spine Chest Neck Head Shoulder_L UpperArm_L LowerArm_L Hand_L Shoulder_R UpperArm_R LowerArm_R Hand_R "
    "UpperLeg_R LowerLeg_R Foot_R UpperLeg_L LowerLeg_L Foot_L"
)
THEIRS = _THEIRS.split()
EMOTIONS = {"1": "happy", "2": "sad", "3": "surprise", "4": "angry", "5": "disgust", "6": "fear", "7": "neutral"}


def same(ones, others, atol=0.01):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, rtol=0, atol=atol)


@needs_bandai
def test_forty_tables_of_ebms_shape_give_the_clips_of_the_same_bvh_files(tmp_path):
    sources = find_files("bvh", BANDAI)
    contents = sorted({path.stem.split("_")[1] for path in sources})
    style = {"happy": 1, "sad": 2, "angry": 4, "normal": 7}
    (tmp_path / "csv").mkdir()
    (tmp_path / "bvh").mkdir()
    for i in range(40):
        path = sources[i % len(sources)]
        _, content, emotion, _ = path.stem.split("_")
        motion = bvh.parse_bvh(path)
        places = bvh.joint_positions(motion)[:, [motion.names.index(name) for name in THEIRS]]
        name = f"{1 + contents.index(content)}_{1 + i // 20}_{1 + i % 20}_{style[emotion]}"
        # Metres instead of centimetres; x to the person's right: left-handed, as EBM's axes are said to be.
        table(tmp_path / "csv" / f"{name}.csv", places / 100 * (-1, 1, 1))
        shutil.copy(path, tmp_path / "bvh" / f"{name}.bvh")
    settings = {"name": "x", "progress": False, "label_map": EMOTIONS}
    settings["label_pattern"] = r"^(?P<group>\d+)_\d_\d+_(?P<label>\d)\."
    reports = {
        kind: import_dataset(kind, tmp_path / folder, tmp_path / f"{kind}-set", options={"views": 1} | more, **settings)
        for kind, folder, more in (("bvh", "bvh", {}), ("joints3d", "csv", {"fps": 30}))
    }
    assert not reports["joints3d"].faults and not reports["bvh"].faults
    assert reports["joints3d"].notes == {"unit guessed from limb lengths: metres; left-handed axes": 40}
    assert reports["bvh"].notes == {"unit guessed from limb lengths: centimetres; right-handed axes": 40}
    ours, theirs = (sorted(Dataset(tmp_path / f"{kind}-set").clips(), key=lambda c: c.clip_id) for kind in reports)
    assert len(ours) == len(theirs) == 40
    same(ours, theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.clip_id == other.clip_id and one.label == other.label and one.fps == other.fps == 30
        assert one.group_id == other.group_id == one.clip_id.split("_")[0]  # the person


@needs_bandai
def test_the_audit_finds_the_same_motion_under_another_name(tmp_path):
    (tmp_path / "src").mkdir()
    for path in find_files("bvh", BANDAI)[::4]:
        shutil.copy(path, tmp_path / "src")
    shutil.copy(BANDAI / "dataset-1_bow_angry_001.bvh", tmp_path / "src" / "copy_of_x.bvh")
    settings = {
        "label_pattern": r"(?P<label>angry|happy|normal|sad|copy)",
        "label_map": {"normal": "neutral", "copy": "sad"},
    }
    import_dataset(
        "bvh", tmp_path / "src", tmp_path / "set", name="x", options={"views": 3}, progress=False, **settings
    )
    dataset = Dataset(tmp_path / "set")
    names = dataset.table().clip_id
    split = pd.Series(np.where(names.str.startswith("copy"), "test", "train"), index=names)
    found = audit(dataset, split)
    assert found.counts["exact"] == 3 and "copy_of_x" in found.examples["exact"][0]
    # From other cameras it is found too, and no other motion is.
    assert found.counts["near"] and all("bow_angry_001" in one and "copy_of_x" in one for one in found.examples["near"])
    assert not any(count for kind, count in found.counts.items() if kind not in ("exact", "near"))


@pytest.mark.parametrize(
    "change",
    [
        lambda places: places * 100,  # centimetres
        lambda places: places * (-1, 1, 1),  # left-handed
        lambda places: np.roll(places, 1, -1),  # z up
        lambda places: np.round(places, 5),
        lambda places: places.astype(np.float32),
        lambda places: places + (3, 0, -2),
    ],
)
def test_unit_axes_and_rounding_do_not_change_the_pictures(tmp_path, change):
    first = joints3d.read(table(tmp_path / "a.csv", body()))
    np.savez(tmp_path / "b.npz", joints=change(body()), names=EBM)
    same(first, joints3d.read(tmp_path / "b.npz"))
    other = joints3d.read(table(tmp_path / "c.csv", body(seed=1)))
    assert np.abs(first[0].keypoints - other[0].keypoints)[:, :, 5:].max() > 5  # another motion, other cameras


def test_people_are_not_mirrored(tmp_path):
    path = table(tmp_path / "a.csv", body() * (-1, 1, 1))
    seen, told, mirrored = (joints3d.read(path, handed=handed, fps=30)[0] for handed in ("auto", "left", "right"))
    same([seen], [told], 0)
    assert seen.note == told.note == "unit guessed from limb lengths: metres; left-handed axes"
    assert "knees or elbows bend the wrong way" in mirrored.note
    straight = body()
    straight[..., 2] = straight[..., [0], 2]  # limbs that do not bend say nothing
    assert "right-handed" in joints3d.read(table(tmp_path / "b.csv", straight))[0].note


# Sides; head; what lies between it and the arm; shoulder, elbow, wrist, hip, knee and ankle.
RIGS = """
Left Right; Head; {}Shoulder; {}Arm, {}ForeArm, {}Hand, {}UpLeg, {}Leg, {}Foot
LEFT RIGHT; mixamorig:Head; mixamorig:{}Shoulder; mixamorig1:{} Arm, {} FORE ARM, mixamorig_{}_Hand, \
Actor:mixamorig:{}upLeg, {}Leg, {}Foot
Left Right; Character1_Head; Character1_{}Shoulder; Character1_{}Arm, {}ForeArm, {}Hand, {}UpLeg, {}Leg, {}Foot
L R; spine.006; shoulder.{}; upper_arm.{}, forearm.{}, hand.{}, thigh.{}, shin.{}, foot.{}
L R; DEF-head; DEF-shoulder.{}; DEF-upper_arm.{}, DEF-forearm.{}, DEF-hand.{}, DEF-thigh.{}, DEF-shin.{}, DEF-foot.{}
L R; Bip01 Head; Bip01 {} Clavicle; Bip01 {} UpperArm, Bip01 {} Forearm, Bip01 {} Hand, Bip01 {} Thigh, Bip01 {} Calf, \
Bip01 {} Foot
L R; Bip001 Head; Bip001 {} Clavicle; Bip001_{}_UpperArm, Bip001_{}_Forearm, Bip001_{}_Hand, Bip001_{}_Thigh, \
Bip001_{}_Calf, Bip001_{}_Foot
L R; J_Bip_C_Head; J_Bip_{}_Shoulder; J_Bip_{}_UpperArm, J_Bip_{}_LowerArm, J_Bip_{}_Hand, J_Bip_{}_UpperLeg, \
J_Bip_{}_LowerLeg, J_Bip_{}_Foot
left right; head; {}Shoulder; {}UpperArm, {}LowerArm, {}Hand, {}UpperLeg, {}LowerLeg, {}Foot
l r; head; clavicle_{}; upperarm_{}, lowerarm_{}, hand_{}, thigh_{}, calf_{}, foot_{}
L R; Head; Shoulder_{}; UpperArm_{}, LowerArm_{}, Hand_{}, UpperLeg_{}, LowerLeg_{}, Foot_{}
Left Right; Head; {} Shoulder; {} Upper Arm, {} Forearm, {} Hand, {} Upper Leg, {} Lower Leg, {} Foot
l r; head; {}Collar; {}Shldr, {}ForeArm, {}Hand, {}Thigh, {}Shin, {}Foot
l r; head; {}clavicle; {}humerus, {}radius, {}wrist, {}femur, {}tibia, {}foot
Left Right; Head; {}Collar; {}Shoulder, {}Elbow, {}Wrist, {}Hip, {}Knee, {}Ankle
left right; head; neck; {}_shoulder, {}_elbow, {}_hand, {}_hip, {}_knee, {}_foot
"""
PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


@pytest.mark.parametrize("rig", RIGS.strip().split("\n"))
def test_usual_names_are_found(rig):
    sides, head, collar, limbs = (text.split(", ") for text in rig.split("; "))
    wanted = {"nose": head[0]}
    for side, spelt in zip(("left", "right"), sides[0].split(), strict=True):
        wanted |= {f"{side}_{part}": name.format(spelt) for part, name in zip(PARTS, limbs, strict=True)}
    names = ["Hips", "Neck", *(collar[0].format(side) for side in sides[0].split()), *wanted.values()]
    assert {key: names[i] for key, i in joints3d.map_joints(names).items()} == wanted


def test_zeros_are_joints_that_were_not_seen(tmp_path):
    places = body()
    whole = joints3d.read(table(tmp_path / "a.csv", places))
    places[3, EBM.index("LeftHand")] = 0
    places[5] = 0
    places[7, EBM.index("Head"), 1] = np.nan  # an empty cell
    for seen, full in zip(joints3d.read(table(tmp_path / "b.csv", places)), whole, strict=True):
        lost = np.argwhere((seen.keypoints[:, 0, :, 2] == 0) & (full.keypoints[:, 0, :, 2] > 0)).tolist()
        hidden = [[5, k] for k in (JOINT["nose"], *range(5, 17))]
        assert lost == [[3, JOINT["left_wrist"]], *hidden, [7, JOINT["nose"]]]
        assert np.nanmax(np.abs(seen.keypoints[..., :2])) <= 1280


def test_arrays_with_names(tmp_path):
    first = joints3d.read(table(tmp_path / "a.csv", body()), fps=50)
    np.savez(tmp_path / "a.npz", motion=body(), names=EBM, fps=50.0)
    np.save(tmp_path / "a.npy", body().reshape(30, -1))
    same(first, joints3d.read(tmp_path / "a.npz"))
    same(first, joints3d.read(tmp_path / "a.npy", joints=EBM))
    assert joints3d.read(tmp_path / "a.npz")[0].fps == 50 and joints3d.read(tmp_path / "a.npy", joints=EBM)[0].fps == 30
    assert guess(tmp_path / "a.npz") == guess(tmp_path / "a.csv") == "joints3d"


def test_emotion_gaits_arrays(tmp_path):
    h5py = pytest.importorskip("h5py")
    picked = [0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 16, 17, 18, 13, 14, 15]  # of EBM's
    with h5py.File(tmp_path / "gaits.h5", "w") as file:
        for seed, name in enumerate(("sad_1", "sad_2", "happy_1")):
            file[name] = body(seed=seed)[:, picked].reshape(30, 48)
        file["empty_1"] = np.zeros((30, 48))
        file["about"] = "text"
    settings = {"label_pattern": r"(?P<label>sad|happy|empty)_(?P<group>\d)", "label_map": {"empty": "sad"}}
    options = {"joints": "emotion_gait", "views": 2}
    report = import_dataset(
        "joints3d", tmp_path, tmp_path / "set", name="x", options=options, progress=False, **settings
    )
    assert report.clips == {"sad": 4, "happy": 2} and report.recordings == {"sad": 2, "happy": 1}
    assert len(report.faults) == 1 and "gaits.h5: empty_1: wanted a body" in report.faults[0]
    clips = {clip.clip_id: clip for clip in Dataset(tmp_path / "set").clips()}
    same([clips["gaits/sad_2@view1"]], [joints3d.read(table(tmp_path / "a.csv", body(seed=1)), views=2)[1]])
    with pytest.raises(FormatError, match=r"gaits.h5: holds no names of joints: give --set joints=.*emotion_gait"):
        joints3d.read(tmp_path / "gaits.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "wanted rows of columns such as Head.x, Head.y, Head.z, got 1 of a, b"),
        ("Head.x,Head.y,Head.z\n", "got 0 of Head.x"),
        ("Head.x,Head.y\n1,2\n", "wanted x, y and z of Head, got x, y"),
        ("Head.x,Head.y,Head.z\n1,2,three\n", "column Head.z: wanted numbers, got "),
        ("Frame,Head.x,Head.y,Head.z\n1,1,2,3\n3,1,2,3\n", "column Frame: wanted numbers that count up by one"),
        ("Head.x,Head.y,Head.z\n1,2,1e300\n", "wanted positions, got numbers above 1e9"),
        ("Head.x,Head.y,Head.z\n1,2,3\n", "no joint for left_shoulder .*nearest preset ebm, 1 of 13"),
        ("A.x,A.y,A.z\n1,2,3\n", r"0 of 13; give --set 'joint_map=\{\"nose\": \"\?\", .*joints are A$"),
        ("", "not a sound CSV file: No columns"),
        (b"Head.x,H\x82\xffead", "wanted a text in UTF-8, Shift-JIS or Latin-1"),
    ],
)
def test_faulty_tables_are_named(tmp_path, content, message):
    path = tmp_path / "walk.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FormatError, match=f"walk.csv: .*{message}"):
        joints3d.read(path)


def test_faulty_arrays_are_named(tmp_path):
    np.save(tmp_path / "a.npy", body())
    for options, message in (
        ({}, "holds no names"),
        ({"joints": "coco17"}, "wanted x, y and z of 17 joints .* got 57"),
    ):
        with pytest.raises(FormatError, match=f"a.npy: {message}"):
            joints3d.read(tmp_path / "a.npy", **options)
    np.savez(tmp_path / "a.npz", one=body(), two=body(), names=EBM)
    with pytest.raises(FormatError, match=r"wanted one array \(frames, joints, 3\), got 2 such"):
        joints3d.read(tmp_path / "a.npz")
    (tmp_path / "a.h5").write_bytes(b"no")
    with pytest.raises(FormatError, match="not a sound HDF5 file"):
        joints3d.read(tmp_path / "a.h5", joints=EBM)


@pytest.mark.parametrize(
    ("encoding", "hand"), [("shift-jis", "左手首"), ("latin-1", "Poignée_gauche"), ("utf-8", "左手首")]
)
def test_names_in_other_encodings_are_read(tmp_path, encoding, hand):
    names = [hand if name == "LeftHand" else name for name in EBM]
    path = table(tmp_path / "a.csv", body(), names)
    path.write_bytes(path.read_text(encoding="utf-8-sig").encode(encoding))
    with pytest.raises(FormatError, match=f"no joint for left_wrist .*{hand}"):
        joints3d.read(path)
    seen = joints3d.read(path, joint_map={"nose": "Head", "left_wrist": hand}, views=1)[0]
    assert (seen.keypoints[:, 0, JOINT["left_wrist"], 2] > 0).all()
