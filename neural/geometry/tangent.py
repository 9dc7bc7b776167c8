"""Tangent frames of a UV-mapped mesh and tangent-space normal maps (OpenGL convention: green points up, +v)."""

from __future__ import annotations

import numpy as np


def uv_tangents(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray,
                normals: np.ndarray) -> np.ndarray:
    """(U, 4) float32: at each uv point the unit tangent (direction of growing u) and its handedness (+1 / -1).

    As in MikkTSpace: face tangents weighted by the corner's angle, made perpendicular to the vertex normal; charts do
    not share uv points, so a chart is a smoothing group of its own.
    """
    v, t = np.asarray(vertices, np.float64)[faces], np.asarray(uv, np.float64)[uv_faces]
    e1, e2 = v[:, 1] - v[:, 0], v[:, 2] - v[:, 0]
    d1, d2 = t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]
    det = d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]
    tangent = (e1 * d2[:, 1:] - e2 * d1[:, 1:]) * np.sign(det)[:, None]
    out = np.zeros((len(uv), 4))
    for k in range(3):
        n = np.asarray(normals, np.float64)[faces[:, k]]
        a, b = v[:, (k + 1) % 3] - v[:, k], v[:, (k + 2) % 3] - v[:, k]
        angle = np.arccos(np.clip((a * b).sum(1) / np.maximum(
            np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-20), -1, 1))
        flat = tangent - (tangent * n).sum(1, keepdims=True) * n
        flat *= (angle / np.maximum(np.linalg.norm(flat, axis=1), 1e-20))[:, None]
        for c in range(3):
            out[:, c] += np.bincount(uv_faces[:, k], flat[:, c], len(uv))
        out[:, 3] += np.bincount(uv_faces[:, k], angle * np.sign(det), len(uv))
    out[:, :3] /= np.maximum(np.linalg.norm(out[:, :3], axis=1, keepdims=True), 1e-20)
    out[:, 3] = np.where(out[:, 3] < 0, -1.0, 1.0)
    return out.astype(np.float32)


def to_tangent(world: np.ndarray, normal: np.ndarray, tangent: np.ndarray) -> np.ndarray:
    """(N, 3) unit normals of the detailed surface, (N, 3) interpolated mesh normals and (N, 4) tangents of the texels
    -> (N, 3) float32 unit tangent-space normals with z > 0."""
    n = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    t = tangent[:, :3] - (tangent[:, :3] * n).sum(1, keepdims=True) * n
    t /= np.maximum(np.linalg.norm(t, axis=1, keepdims=True), 1e-12)
    b = np.cross(n, t) * np.sign(tangent[:, 3:])
    out = np.stack([(world * t).sum(1), (world * b).sum(1), np.maximum((world * n).sum(1), 0.05)], 1)
    return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)


def encode(normals: np.ndarray) -> np.ndarray:
    """Unit normals in [-1, 1] -> uint8 colours; (0, 0, 1) becomes (128, 128, 255)."""
    return np.clip(np.round(normals * 127.5 + 127.5 + 1e-4), 0, 255).astype(np.uint8)
