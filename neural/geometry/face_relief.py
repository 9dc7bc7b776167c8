"""The landmark net's face mesh (468 points with relative depth) laid over the head's front depth.

Nose, eye sockets, lips and chin then sit where they are in the photo, and are this person's, not the body model's.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import Delaunay

from ..contract.frames import Camera
from .inflate import blurred, solve
from .raster import rasterize_screen

WIDEST_TURN = 0.5      # least |n_z| of the face's plane: beyond 60 degrees of turn half of the mesh is a guess
LEFT, RIGHT, TOP, CHIN = 454, 234, 10, 152     # indices of the mesh's outermost points (subject's left is 454)
CANVAS = 192           # working size of the blend across the face, pixels


def face_depth(face: np.ndarray, camera: Camera, distance: float) -> tuple[np.ndarray, np.ndarray] | None:
    """The mesh as a depth map relative to its own plane.

    face (468, 3) crop pixels (z likewise, smaller is nearer); distance: z of the head in metres.
    Returns (depth (H, W) float32 metres relative, NaN outside the mesh; normal of the face's plane (3,)), or None when
    the face looks too far aside.
    """
    points = np.asarray(face, np.float64)
    x_axis = points[LEFT] - points[RIGHT]
    y_axis = points[CHIN] - points[TOP]
    x_axis /= max(np.linalg.norm(x_axis), 1e-6)
    y_axis -= (y_axis @ x_axis) * x_axis
    y_axis /= max(np.linalg.norm(y_axis), 1e-6)
    normal = np.cross(x_axis, y_axis)
    if abs(normal[2]) < WIDEST_TURN:
        return None
    flat = np.stack([points @ x_axis, points @ y_axis], 1)              # the face turned to the front: no folds
    triangles = Delaunay(flat).simplices
    longest = np.max([np.linalg.norm(flat[triangles[:, i]] - flat[triangles[:, (i + 1) % 3]], axis=1)
                      for i in range(3)], axis=0)
    triangles = triangles[longest < 0.22 * max(np.ptp(flat[:, 1]), 1e-6)]
    metres = points[:, 2] * distance / camera.fx
    drawn = rasterize_screen(points[:, :2], metres - metres.min() + 1.0, triangles, camera.width, camera.height)
    depth = drawn.interpolate(metres[:, None].astype(np.float32), triangles)[..., 0]
    return np.where(drawn.hit, depth, np.nan).astype(np.float32), normal


def apply_face(front: np.ndarray, back: np.ndarray, mask: np.ndarray, face: np.ndarray,
               camera: Camera) -> tuple[np.ndarray, np.ndarray] | None:
    """front (S, S) metres with the face's own relief; also the blend weight (S, S). None: face not usable.

    The face mesh keeps its shape; what differs from the head at the face's border is spread over the face by Laplace's
    equation, so that there is no seam (Perez et al. 2003, "Poisson image editing", here on depth).
    """
    visible = np.isfinite(front) & mask
    box = _box(face, front.shape)
    if box is None or not visible[box].any():
        return None
    distance = float(np.nanmedian(np.where(visible[box], front[box], np.nan)))
    found = face_depth(face, camera, distance)
    if found is None:
        return None
    relief = found[0][box]
    region = np.isfinite(relief) & visible[box]
    if region.sum() < 60:
        return None
    # half a dozen pixels at the border are the mesh's worst: they fade out
    size = float(np.sqrt(region.sum()))
    soft = cv2.GaussianBlur(np.where(region, relief, 0).astype(np.float32), (0, 0), max(size * 0.012, 0.6))
    share = cv2.GaussianBlur(region.astype(np.float32), (0, 0), max(size * 0.012, 0.6))
    relief = np.where(region, soft / np.maximum(share, 1e-3), 0)
    difference = np.where(region, front[box] - relief, 0)
    smooth = _carried(difference, region)
    fade = np.clip(distance_transform_edt(region) / (0.06 * size), 0, 1)
    fade = (fade * fade * (3 - 2 * fade)).astype(np.float32)
    out, weight = front.copy(), np.zeros(front.shape, np.float32)
    out[box] = np.where(region, (1 - fade) * front[box] + fade * (relief + smooth), front[box])
    out = np.where(visible, np.minimum(out, back), front)
    weight[box] = fade
    return out.astype(np.float32), weight


def _carried(difference: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The difference on a ring inside the region's border, continued smoothly over the inside."""
    height, width = region.shape
    scale = min(1.0, CANVAS / max(height, width))
    small = (max(int(width * scale), 8), max(int(height * scale), 8))
    share = cv2.resize(region.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    value = cv2.resize(difference.astype(np.float32), small, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-3)
    inner = share > 0.5
    depth_in = distance_transform_edt(inner)
    ring = inner & (depth_in > 0.08 * np.sqrt(inner.sum())) & (depth_in < 0.16 * np.sqrt(inner.sum()))
    calm = blurred(value, ring, 3.0)
    zero = np.zeros(inner.shape)
    carried = solve(inner, zero, zero, np.where(ring, 0.5, 0.0), np.where(ring, calm, 0.0))
    carried = blurred(carried, inner, 1.5)
    return cv2.resize(carried.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)


def _box(face: np.ndarray, shape) -> tuple[slice, slice] | None:
    low, high = np.floor(face[:, :2].min(0)).astype(int) - 4, np.ceil(face[:, :2].max(0)).astype(int) + 5
    low, high = np.maximum(low, 0), np.minimum(high, [shape[1], shape[0]])
    return None if (high - low < 12).any() else (slice(low[1], high[1]), slice(low[0], high[0]))
