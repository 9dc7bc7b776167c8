"""The body model: SMPL-style, 24 joints. Ours ships as body.npz; a person's own SMPL .npz or .pkl loads as well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

import numpy as np

from ..contract.joints import LANDMARKS, SMPL_PARENTS
from . import skinning
from .hands import HandModel
from .read import read_arrays

DEFAULT_PATH = Path(__file__).with_name("body.npz")


@dataclass(frozen=True)
class BodyModel:
    """V vertices, F triangles, B shape directions, L landmarks. Metres; frame `body` (T-pose, Y up, facing +Z).

    template        (V, 3) float64 mean body.           directions   (V, 3, B) float64, per standard deviation.
    joint_mean      (24, 3) float64.                    joint_directions (24, 3, B) float64.
    weights         (V, 24) float64, rows sum to 1.     faces        (F, 3) int32.
    uv              (U, 2) float32 in [0, 1].           uv_faces     (F, 3) int32 into `uv`.
    part            (V,) uint8: joint with the largest weight.
    inner           (V,) bool: hidden inside (mouth, eye sockets).
    landmark_names  L names, BlazePose's 33 first.
    landmark_index  (L, K) int32, landmark_weight (L, K) float64: point = sum_k w_k vertex_k, rows sum to 1.
    regressor       (24, V) float64: joints from vertices, for export.
    source          "default" or the file's name.
    warnings        (code, sentence) of everything that had to be guessed while reading the file.
    hands           finger joints, or None (a person's own body: its hands are stiff).
    """

    template: np.ndarray
    directions: np.ndarray
    joint_mean: np.ndarray
    joint_directions: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    part: np.ndarray
    inner: np.ndarray
    landmark_names: tuple[str, ...]
    landmark_index: np.ndarray
    landmark_weight: np.ndarray
    regressor: np.ndarray
    source: str = "default"
    warnings: tuple[tuple[str, str], ...] = ()
    hands: HandModel | None = None

    @staticmethod
    def load(path: str | Path | None = None, warn: Callable[[str, str], None] | None = None) -> "BodyModel":
        """The body that ships, or a person's own SMPL file. BodyError with a remedy when it cannot be used."""
        model = BodyModel(**read_arrays(Path(path) if path else DEFAULT_PATH, default=path is None))
        if path is None:
            model = replace(model, hands=HandModel.load(model.weights))
        for code, sentence in model.warnings if warn else ():
            warn(code, sentence)
        return model

    @property
    def betas_count(self) -> int:
        return self.directions.shape[2]

    def shaped(self, betas: np.ndarray | None = None, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Rest vertices (V, 3) and joints (24, 3) float64 of a shape; missing betas are 0."""
        if betas is None or not len(betas):
            return scale * self.template, scale * self.joint_mean
        b = np.asarray(betas, np.float64)
        return (scale * (self.template + self.directions[..., :len(b)] @ b),
                scale * (self.joint_mean + self.joint_directions[..., :len(b)] @ b))

    def posed(self, pose: np.ndarray, betas: np.ndarray | None = None, scale: float = 1.0,
              translation: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posed vertices (V, 3), joints (24, 3) and joint transforms (24, 4, 4), translation included. float64."""
        rest, joints = self.shaped(betas, scale)
        transforms = skinning.joint_transforms(pose, joints)
        if translation is not None:
            transforms[:, :3, 3] += np.asarray(translation, np.float64)
        placed = np.einsum("jab,jb->ja", transforms[:, :3, :3], joints) + transforms[:, :3, 3]
        return skinning.skin(rest, self.weights, transforms), placed, transforms

    def landmarks(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) -> (L, 3)."""
        return np.einsum("lk,lkd->ld", self.landmark_weight, vertices[self.landmark_index])

    def landmark(self, name: str) -> int:
        """Row of a landmark; ValueError when the model has no such point."""
        return self.landmark_names.index(name)

    def standing_height(self, betas: np.ndarray | None = None, scale: float = 1.0) -> float:
        """Height in metres from sole to crown of a shape standing upright (the T-pose stands flat)."""
        rest, _ = self.shaped(betas, scale)
        return float(np.ptp(rest[:, 1]))

    def smpl_arrays(self, betas: int | None = None) -> dict[str, np.ndarray]:
        """The arrays of an SMPL-format file, for programs that read that format (pose correctives are zero)."""
        n = self.betas_count if betas is None else betas
        dirs = np.zeros((len(self.template), 3, n))
        keep = min(n, self.betas_count)
        dirs[..., :keep] = self.directions[..., :keep]
        tree = np.array([SMPL_PARENTS, np.arange(24)], np.int64)
        tree[0, 0] = 2 ** 32 - 1
        return {"v_template": self.template, "shapedirs": dirs, "posedirs": np.zeros((len(self.template), 3, 207)),
                "J_regressor": self.regressor, "weights": self.weights, "f": self.faces.astype(np.uint32),
                "kintree_table": tree, "bs_style": np.array("lbs"), "bs_type": np.array("lrotmin")}


assert len(LANDMARKS) == 33
