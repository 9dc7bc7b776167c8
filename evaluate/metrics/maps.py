"""Errors of rendered normals, depth and silhouettes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural.geometry.raster import Fragments, rasterize_screen

_FAR = 1000.0
VIEWS = ("front", "left", "back", "right")
_TURNS = {"front": 0.0, "left": 90.0, "back": 180.0, "right": 270.0}


@dataclass(frozen=True)
class NormalView:
    """normals (S, S, 3) float32 unit, view frame, towards the viewer (z < 0); hit (S, S) bool."""

    normals: np.ndarray
    hit: np.ndarray


def turn_about_y(degrees: float) -> np.ndarray:
    """(3, 3) about the y axis of the camera frame (x right, y down, z forward)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def facing(fragments: Fragments, corner_normals: np.ndarray, z_towards: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 3): per-corner normals (F, 3, 3) interpolated, unit, and turned to the viewer; 0 where nothing is.

    z_towards (H, W, 3): line of sight of each pixel; (0, 0, 1) everywhere when None.
    """
    out = np.zeros((*fragments.face.shape, 3), np.float32)
    hit = fragments.hit
    n = np.einsum("nk,nkc->nc", fragments.bary[hit], corner_normals[fragments.face[hit]])
    n /= np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-20)
    along = n[:, 2] if z_towards is None else (n * z_towards[hit]).sum(1)
    out[hit] = np.where(along[:, None] > 0, -n, n)
    return out


def normal_view(vertices: np.ndarray, faces: np.ndarray, corner_normals: np.ndarray, degrees: float,
                centre: np.ndarray, extent_m: float, size: int = 512, device: str = "cpu") -> NormalView:
    """A mesh (camera frame) seen without perspective after turning it about the vertical through `centre`."""
    turn = turn_about_y(degrees)
    q = (vertices - centre) @ turn.T
    drawn = rasterize_screen(q[:, :2] / extent_m * size + size / 2, q[:, 2] + _FAR, faces, size, size, device=device)
    return NormalView(facing(drawn, corner_normals @ turn.T.astype(np.float32)), drawn.hit)


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles (degrees) of unit vectors (..., 3)."""
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


def normal_error(ours: NormalView, true: NormalView) -> float:
    """Mean angle in degrees over the pixels that both show."""
    both = ours.hit & true.hit
    return float(angle_deg(ours.normals[both], true.normals[both]).mean()) if both.any() else float("nan")


def icon_l2(ours: list[NormalView], true: list[NormalView]) -> float:
    """After ICON (§4.1 "Normals"): root of the mean squared difference of the normal pictures over the pixels of four
    views, background 0. Depends on how large the person is in the picture: here the true person spans 90 % of the side."""
    squares = [((a.normals - b.normals) ** 2).sum(-1).mean() for a, b in zip(ours, true)]
    return float(np.sqrt(np.mean(squares)))


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else float("nan")


def map_error(ours: np.ndarray, true: np.ndarray) -> float:
    """Mean angle (degrees) of two normal maps (H, W, 3) where both are there (0 = nothing)."""
    both = np.any(ours, -1) & np.any(true, -1)
    return float(angle_deg(ours[both], true[both]).mean()) if both.any() else float("nan")
