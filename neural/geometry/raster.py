"""A depth-tested rasteriser of triangle meshes in plain torch: the same code on CPU and CUDA.

Every covered pixel centre gets the nearest (or farthest) triangle and its perspective-correct barycentrics. Pixels
whose centre lies on an edge shared by two triangles go to the one with the smaller index, so results are repeatable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..contract.frames import Camera

_CHUNK = 4_000_000  # candidate (triangle, pixel) pairs handled at once: about 300 MB of temporaries


@dataclass(frozen=True)
class Fragments:
    """face (H, W) int32, -1 = nothing; bary (H, W, 3) float32, perspective-correct; depth (H, W) float32 z, NaN."""

    face: np.ndarray
    bary: np.ndarray
    depth: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        return self.face >= 0

    def interpolate(self, values: np.ndarray, faces: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """(V, C) per-vertex values (or (U, C) with the matching corner indices `faces` (F, 3)) -> (H, W, C) float32."""
        out = np.full((*self.face.shape, values.shape[1]), fill, np.float32)
        hit = self.hit
        corner = values[faces[self.face[hit]]]                         # (N, 3, C)
        out[hit] = np.einsum("nk,nkc->nc", self.bary[hit], corner)
        return out


def rasterize(vertices: np.ndarray, faces: np.ndarray, camera: Camera, farthest: bool = False,
              device: str = "cpu") -> Fragments:
    """Draw a mesh given in the camera frame.

    vertices (V, 3) metres, camera frame; faces (F, 3) int; both sides of a triangle are drawn. Triangles with a
    vertex at z <= 1 mm are left out. farthest=True keeps the farthest surface on each ray instead of the nearest.
    """
    z = np.asarray(vertices)[:, 2]
    pixels = camera.project(np.where(z[:, None] > 1e-3, vertices, 1.0))
    return rasterize_screen(pixels, z, faces, camera.width, camera.height, farthest, device)


def rasterize_screen(pixels: np.ndarray, z: np.ndarray, faces: np.ndarray, width: int, height: int,
                     farthest: bool = False, device: str = "cpu") -> Fragments:
    """As `rasterize`, with vertices already in pixels (V, 2) and depth z (V,). For flat drawings (UV space) pass z = 1."""
    tri = torch.as_tensor(np.ascontiguousarray(faces), dtype=torch.int64, device=device)
    xy = torch.as_tensor(np.ascontiguousarray(pixels), dtype=torch.float64, device=device)
    zz = torch.as_tensor(np.ascontiguousarray(z), dtype=torch.float64, device=device)
    best, owner = _test_depth(xy, zz, tri, width, height, farthest)
    face = torch.where(owner < len(tri), owner, -1).view(height, width)
    bary, depth = _attributes(xy, zz, tri, face)
    return Fragments(face.to(torch.int32).cpu().numpy(), bary.cpu().numpy(), depth.cpu().numpy())


def _test_depth(xy, z, tri, width, height, farthest):
    """Nearest depth per pixel, then the smallest triangle index that reaches it."""
    device = xy.device
    corner, cz = xy[tri], z[tri]                                       # (F, 3, 2), (F, 3)
    low = torch.ceil(corner.amin(1) - 0.5).clamp(min=0)                # first pixel whose centre may be covered
    high = torch.floor(corner.amax(1) - 0.5)
    high = torch.minimum(high, torch.tensor([width - 1.0, height - 1.0], dtype=xy.dtype, device=device))
    span = (high - low + 1).clamp(min=0).to(torch.int64)
    area = _cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    count = torch.where((cz.amin(1) > 1e-3) & (area.abs() > 1e-12), span[:, 0] * span[:, 1], 0)
    sign = -1.0 if farthest else 1.0
    best = torch.full((width * height,), torch.inf, dtype=torch.float64, device=device)
    owner = torch.full((width * height,), len(tri), dtype=torch.int64, device=device)
    kept = []
    for faces in _chunks(count):
        pixel, depth, who = _candidates(corner, cz, area, low, span, count, faces, width)
        depth = sign * depth
        best.scatter_reduce_(0, pixel, depth, "amin")
        kept.append((pixel, depth, who))
        if len(kept) * _CHUNK > 40_000_000:                            # forget what cannot win any more
            kept = [_winners(best, *k) for k in kept]
    for pixel, depth, who in kept:
        win = depth <= best[pixel]
        owner.scatter_reduce_(0, pixel[win], who[win], "amin")
    return best, owner


def _winners(best, pixel, depth, who):
    win = depth <= best[pixel]
    return pixel[win], depth[win], who[win]


def _chunks(count):
    """Runs of face indices with about _CHUNK candidates each."""
    live = torch.nonzero(count).flatten()
    if not len(live):
        return
    total = torch.cumsum(count[live], 0)
    group = torch.div(total - 1, _CHUNK, rounding_mode="floor")
    for run in torch.split(live, torch.unique_consecutive(group, return_counts=True)[1].tolist()):
        yield run


def _candidates(corner, cz, area, low, span, count, faces, width):
    """All covered (pixel, depth, face) triples of the given faces."""
    n = count[faces]
    who = torch.repeat_interleave(faces, n)
    start = torch.cumsum(n, 0) - n
    k = torch.arange(len(who), device=who.device) - torch.repeat_interleave(start, n)
    w = span[who, 0]
    px, py = low[who, 0] + k % w, low[who, 1] + torch.div(k, w, rounding_mode="floor")
    p = torch.stack([px + 0.5, py + 0.5], 1)
    a, b, c = corner[who].unbind(1)
    w0 = _cross(b - p, c - p) / area[who]
    w1 = _cross(c - p, a - p) / area[who]
    w2 = 1.0 - w0 - w1
    eps = -1e-9
    inside = (w0 >= eps) & (w1 >= eps) & (w2 >= eps)
    w0, w1, w2, who, px, py = (t[inside] for t in (w0, w1, w2, who, px, py))
    inv = w0 / cz[who, 0] + w1 / cz[who, 1] + w2 / cz[who, 2]          # 1 / z is linear on the screen
    return (py * width + px).to(torch.int64), 1.0 / inv, who


def _attributes(xy, z, tri, face):
    """Perspective-correct barycentrics and depth of the winning triangles."""
    height, width = face.shape
    bary = torch.zeros((height, width, 3), dtype=torch.float32, device=xy.device)
    depth = torch.full((height, width), torch.nan, dtype=torch.float32, device=xy.device)
    hit = face >= 0
    y, x = torch.nonzero(hit, as_tuple=True)
    p = torch.stack([x + 0.5, y + 0.5], 1).to(xy.dtype)
    t = tri[face[hit]]
    a, b, c = xy[t].unbind(1)
    area = _cross(b - a, c - a)
    w = torch.stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)], 1) / area[:, None]
    w = (w / z[t]).clamp(min=0)
    total = w.sum(1)
    bary[hit] = (w / total[:, None]).to(torch.float32)
    depth[hit] = (1.0 / total).to(torch.float32)
    return bary, depth


def _cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
