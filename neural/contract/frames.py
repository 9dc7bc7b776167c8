"""Frames and the one camera type.

photo    pixels of the upright photo, x right, y down. Pixel (column i, row j) covers [i, i+1) x [j, j+1):
         its centre is at (i + 0.5, j + 0.5). The same holds for every canvas and map.
crop     pixels of the square canvas around the chosen person.
camera   metres, x right, y down, z forward; depth is z.
body     metres, the body at rest: SMPL's T-pose, Y up, facing +Z, pelvis near the origin.
blender  metres, +Z up, the person faces -Y, feet at z = 0.

A transform is named `crop_from_photo`: it takes photo coordinates to crop coordinates. 2D transforms are (3, 3),
3D ones (4, 4), float64, acting on column vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

DEFAULT_FOV_DEG = 50.0  # 2K2K §3.1: its renders use a field of view of 50 degrees; taken over the longer side

BLENDER_FROM_CAMERA = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
"""Rotation (3, 3): camera (x right, y down, z forward) to Blender axes (z up, looking along +y)."""

BLENDER_FROM_BODY = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""Rotation (3, 3): body rest axes (y up, facing +z) to Blender axes (z up, facing -y)."""


LEVEL_UP = np.array([0.0, -1.0, 0.0])
"""What is up in the frame of a camera that is held level."""


def blender_from_camera(up: np.ndarray = LEVEL_UP) -> np.ndarray:
    """Rotation (3, 3): camera axes to Blender axes when `up` (3,), unit, camera frame, is the world's up.

    The smallest turn that makes up +Z, after BLENDER_FROM_CAMERA: a camera held level gives that itself.
    """
    z = BLENDER_FROM_CAMERA @ (np.asarray(up, np.float64) / np.linalg.norm(up))
    axis, cosine = np.cross(z, [0.0, 0.0, 1.0]), z[2]
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    if cosine < -0.999:
        raise ValueError("up points down")
    return (np.eye(3) + cross + cross @ cross / (1.0 + cosine)) @ BLENDER_FROM_CAMERA


@dataclass(frozen=True)
class Camera:
    """Pinhole camera without distortion. All lengths in pixels of its own canvas."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @staticmethod
    def from_fov(width: int, height: int, fov_deg: float = DEFAULT_FOV_DEG) -> "Camera":
        """Camera whose field of view (degrees) spans the longer side; principal point in the middle."""
        f = 0.5 * max(width, height) / np.tan(np.radians(fov_deg) / 2)
        return Camera(width, height, float(f), float(f), width / 2, height / 2)

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) float64 intrinsics."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) camera metres, z > 0 -> (..., 2) pixels."""
        z = points[..., 2:3]
        return points[..., :2] / z * np.array([self.fx, self.fy]) + np.array([self.cx, self.cy])

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """(..., 2) pixels -> (..., 3) directions with z = 1 (multiply by depth to get the point)."""
        xy = (pixels - np.array([self.cx, self.cy])) / np.array([self.fx, self.fy])
        return np.concatenate([xy, np.ones_like(xy[..., :1])], -1)

    def pixel_rays(self) -> np.ndarray:
        """(height, width, 3) float32 rays (z = 1) through all pixel centres."""
        x = (np.arange(self.width, dtype=np.float32) + 0.5 - self.cx) / self.fx
        y = (np.arange(self.height, dtype=np.float32) + 0.5 - self.cy) / self.fy
        out = np.ones((self.height, self.width, 3), np.float32)
        out[..., 0], out[..., 1] = x[None, :], y[:, None]
        return out

    def backproject(self, depth: np.ndarray) -> np.ndarray:
        """(height, width) depth map, metres -> (height, width, 3) points; NaN stays NaN."""
        return self.pixel_rays() * depth[..., None]

    def resized(self, width: int, height: int) -> "Camera":
        """The same view on a canvas of another size."""
        sx, sy = width / self.width, height / self.height
        return Camera(width, height, self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy)

    def cropped(self, crop_from_photo: np.ndarray, width: int, height: int) -> "Camera":
        """The same camera seen through a crop (axis-aligned scale and shift, (3, 3)) of size width x height."""
        sx, sy = crop_from_photo[0, 0], crop_from_photo[1, 1]
        tx, ty = crop_from_photo[0, 2], crop_from_photo[1, 2]
        return Camera(width, height, float(self.fx * sx), float(self.fy * sy),
                      float(self.cx * sx + tx), float(self.cy * sy + ty))

    def to_json(self) -> dict:
        return {k: getattr(self, k) for k in ("width", "height", "fx", "fy", "cx", "cy")}

    @staticmethod
    def from_json(data: dict) -> "Camera":
        return replace(Camera(1, 1, 1.0, 1.0, 0.0, 0.0), **data)


def apply_2d(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3, 3) affine on (..., 2) points."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def apply_3d(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(4, 4) affine on (..., 3) points."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
