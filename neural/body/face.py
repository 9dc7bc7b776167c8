"""Where the head looks, from the face mesh: its 3D points against the same points of the body model."""

from __future__ import annotations

import numpy as np

from ..contract.frames import Camera
from .model import BodyModel

MESH_OF = {
    "nose": 4, "left_eye_inner": 362, "left_eye_outer": 263, "right_eye_inner": 133, "right_eye_outer": 33,
    "mouth_left": 291, "mouth_right": 61, "lip_top": 13, "lip_bottom": 14, "chin": 152, "nose_bridge": 6,
    "left_lid_top": 386, "left_lid_bottom": 374, "right_lid_top": 159, "right_lid_bottom": 145,
}
"""Landmark of the body model: point of MediaPipe's 468-point face mesh."""


def head_rotation(mesh: np.ndarray, camera: Camera, model: BodyModel) -> np.ndarray | None:
    """Rotation (3, 3) that takes the head at rest (frame `body`) to camera axes.

    mesh (468, 3) pixels of `camera`'s canvas, z in the same scale. Kabsch on 15 points, then from the viewing ray of the face to
    camera axes (the mesh is a weak-perspective picture of what lies straight ahead). None when the model lacks the points.
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
    ray = camera.rays(mesh[:, :2].mean(0))
    ray = ray / np.linalg.norm(ray)
    x = np.cross([0.0, 1.0, 0.0], ray)
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(ray, x), ray], 1) @ rotation
