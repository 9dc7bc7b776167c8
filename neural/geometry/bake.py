"""Baking: texels of an atlas as points of the surface, what a camera sees of them, and images back on the mesh."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..contract.frames import Camera
from .raster import Fragments, rasterize, rasterize_screen


@dataclass(frozen=True)
class Texels:
    """The n covered texels of a T x T atlas: row, column (n,) int32; face (n,) int32; bary (n, 3) float32."""

    size: int
    row: np.ndarray
    column: np.ndarray
    face: np.ndarray
    bary: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def interpolate(self, values: np.ndarray, faces: np.ndarray, part: slice = slice(None)) -> np.ndarray:
        """(V, C) float values at corners `faces` (F, 3) -> (n, C) float32 at the texels of `part`."""
        values = np.asarray(values, np.float32)
        corner = faces[self.face[part]]
        bary = self.bary[part]
        out = values[corner[:, 0]] * bary[:, 0:1]
        out += values[corner[:, 1]] * bary[:, 1:2]
        out += values[corner[:, 2]] * bary[:, 2:3]
        return out


def texels(uv: np.ndarray, uv_faces: np.ndarray, size: int, device: str = "cpu") -> Texels:
    """Rasterise an atlas: uv (U, 2) in [0, 1], v up; row 0 of the image is v = 1."""
    pixels = np.stack([uv[:, 0], 1.0 - uv[:, 1]], 1).astype(np.float64) * size
    drawn = rasterize_screen(pixels, np.ones(len(uv)), uv_faces, size, size, device=device)
    row, column = np.nonzero(drawn.hit)
    return Texels(size, row.astype(np.int32), column.astype(np.int32), drawn.face[row, column], drawn.bary[row, column])


@dataclass(frozen=True)
class Sight:
    """What a camera sees of a mesh. camera: that of the maps; depth (H, W) float32 z, inf = nothing; face (H, W)."""

    camera: Camera
    depth: np.ndarray
    face: np.ndarray
    occluded_edge: np.ndarray

    def visible(self, points: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        """(N, 3) camera-frame points of the mesh with cosine (N,) between normal and line of sight -> (N,) bool.

        A point passes when it is not behind the depth map by more than a pixel's worth of slope, and not within two
        pixels behind a nearer contour (where a photo mixes the colours of both).
        """
        x, y = self.pixels(points)
        slope = np.sqrt(np.maximum(1 - cosine ** 2, 0)) / np.maximum(cosine, 0.05)
        footprint = points[:, 2] / self.camera.fx
        slack = 0.0015 + 0.75 * footprint * (0.5 + slope)
        return (cosine > 0.05) & (points[:, 2] <= self.depth[y, x] + slack) & ~self.occluded_edge[y, x]

    def face_at(self, points: np.ndarray) -> np.ndarray:
        """(N,) int32 face that is seen where the points project; -1 = none."""
        x, y = self.pixels(points)
        return self.face[y, x]

    def pixels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column and row of the pixel where each point projects; the nearest one for points outside the picture."""
        p = np.floor(self.camera.project(points)).astype(np.int64)
        return np.clip(p[:, 0], 0, self.camera.width - 1), np.clip(p[:, 1], 0, self.camera.height - 1)


def sight(vertices: np.ndarray, faces: np.ndarray, camera: Camera, device: str = "cpu") -> Sight:
    """Depth-test a mesh (camera frame) once for many questions."""
    drawn: Fragments = rasterize(vertices, faces, camera, device=device)
    depth = np.where(drawn.hit, drawn.depth, np.inf).astype(np.float32)
    width = max(1, round(2 * camera.width / 1024))
    nearest = cv2.erode(np.where(drawn.hit, depth, np.float32(1e9)), np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    return Sight(camera, depth, drawn.face, drawn.hit & (nearest < depth - 0.04))


def cosines(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N,) cosine between outward normals and the directions from the points to the camera at the origin."""
    return -(points * normals).sum(1) / np.maximum(np.linalg.norm(points, axis=1) * np.linalg.norm(normals, axis=1), 1e-12)


def spread(image: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Fill all uncovered texels with the nearest covered one, so that neither filtering nor mip levels show borders."""
    if covered.all() or not covered.any():
        return image
    _, label = cv2.distanceTransformWithLabels((~covered).astype(np.uint8), cv2.DIST_L2, 5,
                                               labelType=cv2.DIST_LABEL_PIXEL)
    where = np.zeros(int(label.max()) + 1, np.int64)
    where[label[covered]] = np.flatnonzero(covered)
    return image.reshape(-1, *image.shape[2:])[where[label]]
