"""Only what is seen from outside counts: eyeballs, mouth cavities, lining and skin under cloth are left out.

A mesh is drawn from many directions without perspective. A face is outside when it is the first thing met in some
pixel; a point, when nothing lies in front of it in some direction. The same pictures carve a volume out of space: what
some direction sees through or in front of the surface is air, all the rest is the person. This is defined for meshes that
are not watertight; holes narrower than a pixel do not matter, and both meshes are treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neural.geometry.normals import face_areas
from neural.geometry.raster import rasterize_screen

from .align import Similarity

_FAR = 1000.0   # metres added to z, so that the rasteriser's perspective vanishes (below 0.01 mm)


@dataclass(frozen=True)
class Outside:
    """Views (D, 3, 3) rotations, rows right, down, forward; depth (D, S, S) along forward, inf = nothing, from `centre`;

    pixel metres; shift (D, 2) pixels by which each view is moved (so that small faces miss other pixel centres every
    time); seen (F,) bool; front_facing share of seen pixels whose face looks at the viewer.
    """

    vertices: np.ndarray
    faces: np.ndarray
    views: np.ndarray
    depth: np.ndarray
    centre: np.ndarray
    pixel: float
    shift: np.ndarray
    seen: np.ndarray
    front_facing: float

    def visible(self, points: np.ndarray, normals: np.ndarray, tolerance_m: float = 0.0015) -> tuple[np.ndarray, np.ndarray]:
        """points, normals (N, 3) -> (N,) bool visible, (N,) bool: seen from the side that the normal points to."""
        size = self.depth.shape[1]
        from_front, from_back = np.zeros(len(points)), np.zeros(len(points))
        for turn, depth, shift in zip(self.views, self.depth, self.shift):
            cos = normals @ turn[2]
            q = (points - self.centre) @ turn.T
            xy = np.clip(np.floor(q[:, :2] / self.pixel + size / 2 + shift).astype(int), 0, size - 1)
            slope = np.sqrt(np.maximum(1 - cos ** 2, 0)) / np.maximum(np.abs(cos), 1e-3)
            gap = q[:, 2] - depth[xy[:, 1], xy[:, 0]]
            good = (np.abs(cos) > 0.3) & (gap < tolerance_m + 0.75 * self.pixel * slope)
            from_front += good & (cos < 0)
            from_back += good & (cos > 0)
        return (from_front + from_back) > 0, from_front >= from_back

    def sample(self, count: int, seed: int = 0) -> "Samples":
        """About `count` points, even by area over the outside surface, with outward normals."""
        rng = np.random.default_rng(seed)
        rows = np.nonzero(self.seen)[0]
        area = face_areas(self.vertices, self.faces[rows])
        if not len(rows) or not area.sum() > 0:
            return Samples(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, np.int64))
        cumulative = np.cumsum(area) / area.sum()
        total = int(count * 1.3)
        row = rows[np.minimum(np.searchsorted(cumulative, (np.arange(total) + rng.random(total)) / total), len(rows) - 1)]
        u = np.sqrt(rng.random(total))
        v = rng.random(total)
        bary = np.stack([1 - u, u * (1 - v), u * v], 1)
        corner = self.vertices[self.faces[row]]
        point = np.einsum("nk,nkc->nc", bary, corner)
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
        keep, front = self.visible(point, normal)
        normal[~front] *= -1
        pick = np.nonzero(keep)[0]
        if len(pick) > count:
            pick = np.sort(rng.choice(pick, count, replace=False))
        return Samples(point[pick], normal[pick], row[pick])

    def moved(self, move: Similarity) -> "Outside":
        """Under a similarity; nothing is drawn again."""
        return replace(self, vertices=move(self.vertices), views=self.views @ move.rotation.T,
                       depth=self.depth * np.float32(move.scale), centre=move(self.centre), pixel=self.pixel * move.scale)

    def occupied(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) -> (N,) bool: no direction sees this place as air."""
        size = self.depth.shape[1]
        inside = np.ones(len(points), bool)
        for turn, depth, shift in zip(self.views, self.depth, self.shift):
            rows = np.nonzero(inside)[0]
            q = (points[rows] - self.centre) @ turn.T
            xy = np.floor(q[:, :2] / self.pixel + size / 2 + shift).astype(int)
            within = ((xy >= 0) & (xy < size)).all(1)
            xy = np.clip(xy, 0, size - 1)
            inside[rows[~within | (q[:, 2] < depth[xy[:, 1], xy[:, 0]])]] = False
        return inside


@dataclass(frozen=True)
class Samples:
    """xyz (N, 3), normals (N, 3) outward, face (N,)."""

    xyz: np.ndarray
    normals: np.ndarray
    face: np.ndarray

    def moved(self, move: Similarity) -> "Samples":
        return Samples(move(self.xyz), self.normals @ move.rotation.T, self.face)


def look_from_outside(vertices: np.ndarray, faces: np.ndarray, directions: int = 48, size: int = 320,
                      device: str = "cpu") -> Outside:
    """Draw a mesh (V, 3) metres, (F, 3) from evenly spread directions on size x size pixels each."""
    v = np.asarray(vertices, np.float64)
    used = np.unique(faces)
    low, high = v[used].min(0), v[used].max(0)
    centre = (low + high) / 2
    pixel = 1.02 * float(np.linalg.norm(v[used] - centre, axis=1).max()) * 2 / size
    seen = np.zeros(len(faces), bool)
    views = views_around(directions)
    depths, front, hits = [], 0, 0
    corner = v[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    shifts = np.random.default_rng(0).uniform(-0.5, 0.5, (directions, 2))
    for turn, shift in zip(views, shifts):
        q = (v - centre) @ turn.T
        drawn = rasterize_screen(q[:, :2] / pixel + size / 2 + shift, q[:, 2] + _FAR, faces, size, size, device=device)
        face = drawn.face[drawn.hit]
        seen[face] = True
        front, hits = front + int((normal[face] @ turn[2] < 0).sum()), hits + len(face)
        depths.append(np.where(drawn.hit, drawn.depth - np.float32(_FAR), np.inf).astype(np.float32))
    return Outside(v, np.asarray(faces), views, np.stack(depths), centre, pixel, shifts, seen, front / max(hits, 1))


def views_around(count: int) -> np.ndarray:
    """(count, 3, 3) rotations whose third rows (viewing directions) are spread evenly (Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    y = 1 - 2 * k / count
    a = np.pi * (1 + 5 ** 0.5) * k
    r = np.sqrt(1 - y * y)
    forward = np.stack([r * np.cos(a), y, r * np.sin(a)], -1)
    helper = np.where(np.abs(forward[:, 1:2]) < 0.9, [[0, 1.0, 0]], [[1.0, 0, 0]])
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], 1)


def volume_iou(a: Outside, b: Outside, voxel_m: float = 0.01) -> float:
    """Intersection over union of the carved volumes on a common grid."""
    points = [o.vertices[np.unique(o.faces)] for o in (a, b)]
    low = np.minimum(points[0].min(0), points[1].min(0)) - voxel_m
    high = np.maximum(points[0].max(0), points[1].max(0)) + voxel_m
    grids = [np.arange(lo, hi + voxel_m, voxel_m) for lo, hi in zip(low, high)]
    both = either = 0
    layer = np.stack(np.meshgrid(grids[0], grids[2], indexing="ij"), -1).reshape(-1, 2)
    for y in np.array_split(grids[1], max(1, len(grids[1]) * len(layer) // 400_000)):   # slabs: bounded memory
        flat = np.tile(layer, (len(y), 1))
        cells = np.stack([flat[:, 0], np.repeat(y, len(layer)), flat[:, 1]], 1)
        in_a, in_b = a.occupied(cells), b.occupied(cells)
        both += int((in_a & in_b).sum())
        either += int((in_a | in_b).sum())
    return both / max(either, 1)
