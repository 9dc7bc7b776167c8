"""The landmark net's face mesh (468 points with relative depth) laid over the head's front depth.

Nose, eye sockets, lips and chin then sit where they are in the photo, and are this person's, not the body model's.

The mesh is a weak-perspective guess: it shows heads too deep, and level whatever the camera's pitch. Against true surfaces
of eight made-up people its z wants a factor of 0.84 (0.74 to 1.0) and a plane of up to 0.3; the plane is taken from the head under it,
which the body fit has set upright in the camera.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import Delaunay

from ..contract.frames import Camera
from .compose import normals_from_slopes
from .inflate import blurred, solve
from .raster import rasterize_screen

WIDEST_TURN = 0.5      # least |n_z| of the face's plane: beyond 60 degrees of turn half of the mesh is a guess
LEFT, RIGHT, TOP, CHIN = 454, 234, 10, 152     # indices of the mesh's outermost points (subject's left is 454)
CANVAS = 192           # working size of the blend across the face, pixels
DEPTH_SCALE = 0.84     # true depth over the mesh's
STEEPEST_PLANE = (0.12, 0.40)   # limits of the plane between mesh and head, metres per metre: aside, up and down
NOSE_TIP, NOSE_BASE, CHEEKS = 4, 2, (50, 280)  # tip, where the nose meets the lip, beside the nostrils
NOSE_REACH = 0.20      # most that the tip stands before the cheeks, in widths of the face (adults: 0.13 to 0.19)


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
    metres = DEPTH_SCALE * _shorter_nose(points, x_axis, y_axis, normal)[:, 2] * distance / camera.fx
    drawn = rasterize_screen(points[:, :2], metres - metres.min() + 1.0, triangles, camera.width, camera.height)
    depth = drawn.interpolate(metres[:, None].astype(np.float32), triangles)[..., 0]
    return np.where(drawn.hit, depth, np.nan).astype(np.float32), normal


def _shorter_nose(points: np.ndarray, x_axis: np.ndarray, y_axis: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The mesh with the part of the nose that stands out farther than noses do pushed back along the face's normal."""
    width = abs((points[LEFT] - points[RIGHT]) @ x_axis)
    outward = normal if normal[2] < 0 else -normal
    cheek = points[list(CHEEKS)].mean(0)
    reach = DEPTH_SCALE * float((points[NOSE_TIP] - cheek) @ outward) / max(width, 1e-6)
    if reach <= NOSE_REACH:
        return points
    height = np.maximum((points - cheek) @ outward, 0)
    aside = np.stack([(points - points[NOSE_TIP]) @ x_axis, (points - points[NOSE_TIP]) @ y_axis], 1) / width
    near = np.exp(-((aside[:, 0] / 0.16) ** 2 + (aside[:, 1] / 0.30) ** 2))     # the nose, fading out beyond it
    return points - (near * height * (1 - NOSE_REACH / reach))[:, None] * outward


def _settled(relief: np.ndarray, front: np.ndarray, region: np.ndarray, metre: float) -> np.ndarray:
    """relief turned and moved onto the head's front: a robust plane (Huber's weights at 6 mm), slopes within limits."""
    rows, columns = np.nonzero(region)
    step = max(1, len(rows) // 4000)
    rows, columns = rows[::step], columns[::step]
    middle = np.array([columns.mean(), rows.mean()])
    xy = (np.stack([columns, rows], 1) - middle) * metre
    gap = (front - relief)[rows, columns]
    weight = np.ones(len(gap))
    plane = np.zeros(3)
    for _ in range(8):
        a = np.column_stack([xy, np.ones(len(gap))])
        plane = np.linalg.solve((a * weight[:, None]).T @ a + 1e-9 * np.eye(3), a.T @ (weight * gap))
        weight = 1 / np.maximum(np.abs(gap - a @ plane) / 0.006, 1)
    plane[:2] = np.clip(plane[:2], -np.array(STEEPEST_PLANE), STEEPEST_PLANE)
    plane[2] = np.average(gap - xy @ plane[:2], weights=weight)
    y, x = np.indices(relief.shape)
    return relief + (x - middle[0]) * metre * plane[0] + (y - middle[1]) * metre * plane[1] + plane[2]


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
    relief = np.where(region, _settled(relief, front[box], region, distance / camera.fx), 0)
    difference = np.where(region, front[box] - relief, 0)
    smooth = _carried(difference, region)
    fade = np.clip(distance_transform_edt(region) / (0.14 * size), 0, 1)
    fade = (fade * fade * (3 - 2 * fade)).astype(np.float32)
    out, weight = front.copy(), np.zeros(front.shape, np.float32)
    out[box] = np.where(region, (1 - fade) * front[box] + fade * (relief + smooth), front[box])
    out = np.where(visible, np.minimum(out, back), front)
    weight[box] = fade
    return out.astype(np.float32), weight


def with_face(normals: np.ndarray, front: np.ndarray, weight: np.ndarray, head: np.ndarray, camera: Camera) -> np.ndarray:
    """Front normals (S, S, 3) with those of apply_face's surface; weight: its blend; head (S, S) bool: what it was laid on, whose
    edge is left alone."""
    smooth = cv2.GaussianBlur(np.nan_to_num(front).astype(np.float32), (0, 0), 0.8)
    dv, du = np.gradient(smooth)
    relief = normals_from_slopes(np.nan_to_num(front, nan=1.0), du, dv, camera, (slice(None), slice(None)), -1)
    inner = (weight * (cv2.erode(head.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0))[..., None]
    mixed = (1 - inner) * normals + inner * relief
    return (mixed / np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 1e-9)).astype(np.float32)


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
