"""The synthetic generator's natural motion: sway, breath, talk, gestures and gait, without any emotion."""

import numpy as np

from poseemo_lib.data.synthetic.body import ANGLE, ANGLES, N_ANGLES
from poseemo_lib.data.synthetic.style import Scene

_SWAY = np.array([angle.sway for angle in ANGLES.values()])
_BEAT = np.array([angle.beat for angle in ANGLES.values()])
# Which of three activities makes an angle move: talk (head, trunk), left gestures, right gestures.
_ACTIVITY = np.array([1 if name.startswith("left") else 2 if name.startswith("right") else 0 for name in ANGLES])
_BANDS_HZ = ((0.08, 0.4), (0.5, 1.3), (1.2, 2.6))
# Amplitude in degrees and phase against the left leg, after the usual course of the angles in gait (Winter 2009).
_GAIT = {
    "left_hip_flexion": (24, 0),
    "right_hip_flexion": (24, np.pi),
    "left_knee_flexion": (28, np.pi / 2),
    "right_knee_flexion": (28, -np.pi / 2),
    "left_shoulder_flexion": (16, np.pi),
    "right_shoulder_flexion": (16, 0),
    "trunk_turn": (4, np.pi),
}
_GAIT_ANGLES = [ANGLE[name] for name in _GAIT]
_GAIT_AMPLITUDES, _GAIT_PHASES = np.array(list(_GAIT.values())).T
_BREATHING = ("trunk_flexion", "left_shoulder_elevation", "right_shoulder_elevation")
_BREATH_ANGLES = [ANGLE[name] for name in _BREATHING]
_BREATH_DEGREES = np.array([-0.6, 1.2, 1.2])


def natural_motion(rng: np.random.Generator, seconds: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Draw how the people of a scene move without any emotion, at the times `seconds` (T,).

    Returns the joint angles (T, M, A), in degrees about each person's own bearing (`scene.pose`), and the middle of the
    hips (T, M, 3), in metres.
    """
    n_people = len(scene.heights)
    time = seconds[:, None] * scene.tempo  # (T, M)
    motion = _waves(rng, time, scene)
    breath = np.sin(2 * np.pi * rng.uniform(0.2, 0.35, n_people) * time + rng.uniform(0, 2 * np.pi, n_people))
    motion[..., _BREATH_ANGLES] += breath[..., None] * _BREATH_DEGREES
    gait = 2 * np.pi * rng.uniform(0.8, 1.05, n_people) * time + rng.uniform(0, 2 * np.pi, n_people)
    drift = rng.uniform(-0.12, 0.12, n_people)
    root = scene.place + np.zeros((len(seconds), n_people, 3))
    root[..., 0] += 0.012 * np.sin(gait / 3)
    if scene.walking:
        motion[..., _GAIT_ANGLES] += _GAIT_AMPLITUDES * np.sin(gait[..., None] + _GAIT_PHASES)
        # The camera follows; what is left is a slow drift and the body's rise at every step.
        root[..., 0] += 0.02 * np.sin(gait) + drift * (seconds - seconds.mean())[:, None]
        root[..., 1] += 0.02 * np.cos(2 * gait)
    return motion, root


def _waves(rng: np.random.Generator, time: np.ndarray, scene: Scene) -> np.ndarray:
    """Slow sway, and beats that come and go, each a sine of its own frequency: (T, M, A) degrees."""
    n_people = time.shape[1]
    hz = np.stack([rng.uniform(low, high, (n_people, N_ANGLES)) for low, high in _BANDS_HZ])
    phase = rng.uniform(0, 2 * np.pi, hz.shape)
    size = rng.uniform(0.5, 1.5, hz.shape)
    sway, slow, quick = size[:, None] * np.sin(2 * np.pi * hz[:, None] * time[..., None] + phase[:, None])
    gesture = scene.gesture[:, None]
    activity_hz, activity_phase = rng.uniform(0.15, 0.5, (n_people, 3)), rng.uniform(0, 2 * np.pi, (n_people, 3))
    level = rng.uniform(-0.5, 0.7, (n_people, 3))
    activity = np.maximum(level + np.sin(2 * np.pi * activity_hz * time[..., None] + activity_phase), 0)  # (T, M, 3)
    return _SWAY * sway + _BEAT * gesture * activity[..., _ACTIVITY] * (0.7 * slow + 0.4 * quick)
