"""Where the head looks, from the face mesh: its 3D points against the same points of the body model."""

from __future__ import annotations

import numpy as np

from ..contract.frames import Camera
from .model import BodyModel
from .rotations import matrix_from_axis_angle

MESH_OF = {
    "nose": 4, "left_eye_inner": 362, "left_eye_outer": 263, "right_eye_inner": 133, "right_eye_outer": 33,
    "mouth_left": 291, "mouth_right": 61, "lip_top": 13, "lip_bottom": 14, "chin": 152, "nose_bridge": 6,
    "left_lid_top": 386, "left_lid_bottom": 374, "right_lid_top": 159, "right_lid_bottom": 145,
}
"""Landmark of the body model: point of MediaPipe's 468-point face mesh."""


PITCH_TRUST = 0.7
"""Nodding is what the mesh shows worst (7 degrees spread on level heads), so it is drawn to level."""


def head_rotation(mesh: np.ndarray, camera: Camera, model: BodyModel) -> np.ndarray | None:
    """Rotation (3, 3) that takes the head at rest (frame `body`) to camera axes.

    mesh (468, 3) pixels of `camera`'s canvas, z in the same scale. Kabsch on 15 points, then sideways from the viewing ray of the face
    to camera axes (the mesh is a weak-perspective picture of what lies straight ahead). The ray's height is left out: over 12 photos that
    gives level heads (median 2 degrees), with it they nod by 14, since few photos are whole pictures of a level camera. None when the model lacks the points.
    """
    names = [n for n in MESH_OF if n in model.landmark_names]
    if len(names) < 10:
        return None
    rest = model.landmarks(model.template)[[model.landmark(n) for n in names]]
    seen = mesh[[MESH_OF[n] for n in names]]
    a, b = rest - rest.mean(0), seen - seen.mean(0)
    u, _, vt = np.linalg.svd(b.T @ a)
    fix = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ fix @ vt
    rotation = _less_nod(rotation)
    turn = np.arctan(camera.rays(mesh[:, :2].mean(0))[0])
    return matrix_from_axis_angle(np.array([0.0, turn, 0.0])) @ rotation


def _less_nod(rotation: np.ndarray) -> np.ndarray:
    """The same look with its nod out of the level reduced to PITCH_TRUST of itself."""
    front = rotation[:, 2]                                     # where the face looks; camera y is down
    nod = np.arcsin(np.clip(front[1], -1, 1))                  # > 0: looks down
    axis = rotation[:, 0] - rotation[:, 0] @ np.array([0, 1.0, 0]) * np.array([0, 1.0, 0])
    axis = axis / max(float(np.linalg.norm(axis)), 1e-6)
    back = matrix_from_axis_angle(axis * nod * (1 - PITCH_TRUST))
    other = back.T
    return min((back @ rotation, other @ rotation), key=lambda r: abs(r[1, 2]))
