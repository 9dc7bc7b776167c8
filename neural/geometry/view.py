"""Pictures of textured meshes: bilinear atlas look-up and soft light. For previews, tests and documents."""

from __future__ import annotations

import numpy as np

from ..contract.frames import Camera
from .normals import vertex_normals
from .plate import sample
from .raster import rasterize


def atlas_at(albedo: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(T, T, 3) uint8 atlas, row 0 = v 1; (N, 2) uv -> (N, 3) float32 in [0, 255], bilinear."""
    size = np.array([albedo.shape[1], albedo.shape[0]], np.float64)
    return sample(albedo.astype(np.float32), np.stack([uv[:, 0], 1.0 - uv[:, 1]], 1) * size)


def render_view(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray, albedo: np.ndarray,
                camera: Camera, light: bool = True, background=(236, 236, 240), samples: int = 1) -> np.ndarray:
    """Draw a textured mesh given in the camera's frame -> (H, W, 3) uint8 sRGB.

    light: a soft light from the camera's upper left over even fill; False = the plain atlas colours. samples: pixels are
    drawn samples x samples times finer and averaged.
    """
    big = camera.resized(camera.width * samples, camera.height * samples)
    drawn = rasterize(vertices, faces, big)
    hit = drawn.hit
    image = np.empty((big.height, big.width, 3), np.float32)
    image[:] = background
    if hit.any():
        colour = atlas_at(albedo, drawn.interpolate(np.asarray(uv, np.float32), uv_faces)[hit])
        if light:
            normal = drawn.interpolate(vertex_normals(vertices, faces), faces)[hit]
            normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
            key = normal @ (np.array([-0.45, -0.55, -0.70]) / np.linalg.norm([0.45, 0.55, 0.70]))
            colour = colour * (0.72 + 0.30 * np.clip(0.5 + 0.5 * key, 0, 1) ** 1.5)[:, None]
        image[hit] = colour
    if samples > 1:
        image = image.reshape(camera.height, samples, camera.width, samples, 3).mean((1, 3))
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def orbit(vertices: np.ndarray, yaw_deg: float, pitch_deg: float = 0.0, up: tuple = (0, -1, 0),
          width: int = 480, height: int = 640, fov_deg: float = 24.0, fit: np.ndarray | None = None
          ) -> tuple[np.ndarray, Camera]:
    """Place a mesh before a camera that walks round it.

    vertices (V, 3): in a frame that is the camera's (up = -y, looking along +z) or SMPL's body frame (up = (0, 1, 0),
    facing +z). yaw 0 shows the front, 90 the subject's left side, 180 the back; pitch > 0 looks from above. `fit`: vertices that set
    middle and distance instead (so that several poses are drawn alike). -> (V, 3) float64 camera frame, Camera.
    """
    turn = np.eye(3) if up[1] < 0 else np.diag([1.0, -1.0, -1.0])
    v, reference = np.asarray(vertices, np.float64) @ turn.T, np.asarray(vertices if fit is None else fit, np.float64) @ turn.T
    middle = 0.5 * (reference.min(0) + reference.max(0))
    a, b = np.radians(yaw_deg), np.radians(pitch_deg)
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    rotation = about_x @ about_y
    camera = Camera.from_fov(width, height, fov_deg)
    span = reference.max(0) - reference.min(0)
    reach = max(span[1] / height, np.hypot(span[0], span[2]) / width) * camera.fx * 1.06
    return (v - middle) @ rotation.T + np.array([0, 0, reach + 0.25 * np.hypot(span[0], span[2])]), camera
