"""The motion of a rigged person: joint transforms of every frame, and the hand-over to Blender."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..body.fit import Fit
from ..body.hands import HANDS
from ..body.skinning import joint_transforms
from ..stages.s03_body import Body
from ..stages.s11_rig import Rig
from .fit import SequenceFit

FILE = "motion.npz"


@dataclass(frozen=True)
class Motion:
    """numbers (N,) int64 of the source's frames; fps; used (N,) bool: seen, not bridged; camera_from_rest (N, J, 4, 4) float64 metres."""

    numbers: np.ndarray
    fps: float
    used: np.ndarray
    camera_from_rest: np.ndarray

    def save(self, folder: Path, mode: str, best: int) -> None:
        """motion.npz (addon/sequence.py reads it). mode: sequences.MODES; best: the number of the frame that the mesh is from."""
        np.savez(folder / FILE, mode=np.array(mode), numbers=self.numbers, fps=np.array(float(self.fps)), used=self.used,
                 camera_from_rest=self.camera_from_rest, best=np.array(int(best)))


def motion_of(found: SequenceFit, numbers: np.ndarray, fps: float, body: Body, rig: Rig, best: int) -> Motion:
    """Every frame's transforms for the rig of frame `best` (a row). Wrists and fingers keep what the best frame found of them: the hand turns
    with the forearm as the motion says, fingers stay as they are.
    """
    rest = np.asarray(rig.rest_joints[:24], np.float64)
    base = np.asarray(rig.camera_from_rest, np.float64)
    out = np.empty((len(numbers), *base.shape))
    for k, pose in enumerate(found.poses):
        t = joint_transforms(pose, rest)
        t[:, :3, 3] += body.scale * found.translations[k]
        out[k, :24] = t
        for j in range(24, len(base)):                         # fingers hang on the hands as in the best frame
            hand = HANDS[(j - 24) // 15]
            out[k, j] = t[hand] @ np.linalg.inv(base[hand]) @ base[j]
    return Motion(np.asarray(numbers, np.int64), float(fps), found.used.copy(), out)


def fit_of_frame(found: SequenceFit, k: int, size_px: float) -> Fit:
    """Frame k as body/fit would give it. size_px: of the person on the canvas (Evidence.size_px)."""
    error = float(found.errors[k]) * size_px if np.isfinite(found.errors[k]) else 0.0
    return Fit(found.poses[k].copy(), found.betas.copy(), found.translations[k].copy(), error, float(found.tilts[k]), {})
