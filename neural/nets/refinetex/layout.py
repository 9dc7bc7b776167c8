"""The body's texture layout: which point of the body every texel is, what is constant about it, and where it lies in a photo.

T x T texels, row 0 at v = 1, texel centres at + 0.5. Charts do not overlap; what lies hidden inside the head has no texels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ...body.model import BodyModel
from ...geometry.normals import vertex_normals
from ...geometry.raster import rasterize_screen


@dataclass(frozen=True)
class Layout:
    """N texels of T x T lie on a chart, in row-major order.

    size      T.                                texel   (N,) int64: row * T + column.
    corner    (N, 3) int64 vertices of the body, bary (N, 3) float32: the texel's point, normals likewise.
    charts    (1, T, T) float32: 1 on a chart.  part    (T, T) int64: SMPL joint + 1, 0 = off the charts.
    place     (3, T, T) float32: the point on the mean body's T-pose, metres, frame `body`, 0 off the charts; normal (3, T, T) unit.
    twin      (V,) int64: the vertex at the same place of the other side of the body.
    """

    size: int
    texel: Tensor
    corner: Tensor
    bary: Tensor
    charts: Tensor
    part: Tensor
    place: Tensor
    normal: Tensor
    twin: Tensor

    def to(self, device: str | torch.device) -> "Layout":
        return Layout(self.size, **{f.name: getattr(self, f.name).to(device) for f in fields(self)[1:]})

    def drawn(self, values: Tensor) -> Tensor:
        """(B, V, C) values at the vertices -> (B, C, T, T), 0 off the charts. ValueError for another body."""
        if values.shape[1] != len(self.twin):
            raise ValueError(f"the layout is of a body of {len(self.twin)} vertices, not {values.shape[1]}")
        found = (values[:, self.corner] * self.bary[..., None]).sum(2)
        out = values.new_zeros(len(values), values.shape[2], self.size * self.size)
        out[:, :, self.texel] = found.transpose(1, 2)
        return out.unflatten(2, (self.size, self.size))

    def encoding(self) -> Tensor:
        """(3, T, T) in [-1, 1]: the colour code of the layout that the paper's query is (places of the mean body, each axis stretched to its
        own range, 0 off the charts)."""
        flat = self.place.flatten(1)[:, self.texel]
        low, high = flat.amin(1)[:, None, None], flat.amax(1)[:, None, None]
        return (2 * (self.place - low) / (high - low) - 1) * self.charts

    def padded(self, texture: Tensor, reach: int = 4) -> Tensor:
        """(B, C, T, T) -> the same, with up to `reach` texels beside the charts filled from them, so that bilinear samples at a seam meet no
        foreign colour; 0 farther away."""
        known = self.charts.expand(len(texture), -1, -1, -1).to(texture.dtype)
        out = texture * known
        mean = lambda x: torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        for _ in range(reach):
            near = mean(known)
            out = torch.where((known == 0) & (near > 0), mean(out) / near.clamp(min=1e-6), out)
            known = (near > 0).to(texture.dtype)
        return out


def make(model: BodyModel, size: int) -> Layout:
    """The layout of a body whose two sides are alike (ours is). ValueError when they are not."""
    drawn = ~model.inner[model.faces].all(1)
    faces, uv_faces = model.faces[drawn], model.uv_faces[drawn]
    seen = rasterize_screen(_texels(model.uv, size), np.ones(len(model.uv)), uv_faces, size, size)
    hit = seen.hit
    face, bary = seen.face[hit], seen.bary[hit]
    corner = faces[face]
    mix = lambda values: np.einsum("nk,nkc->nc", bary, np.asarray(values, np.float64)[corner])

    def image(values: np.ndarray, dtype=np.float32) -> np.ndarray:
        out = np.zeros((size, size, *values.shape[1:]), dtype)
        out[hit] = values
        return out

    normal = mix(vertex_normals(model.template, model.faces))
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    nearest = corner[np.arange(len(corner)), bary.argmax(1)]
    distance, twin = cKDTree(model.template).query(model.template * (-1, 1, 1))
    if distance.max() > 1e-3:
        raise ValueError("the body's two sides differ")
    whole = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.int64))
    single = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32))
    return Layout(size, whole(np.nonzero(hit.ravel())[0]), whole(corner), single(bary), single(hit[None]), whole(image(model.part[nearest] + 1)),
                  single(image(mix(model.template)).transpose(2, 0, 1)), single(image(normal).transpose(2, 0, 1)), whole(twin))


@lru_cache(maxsize=6)
def layout(size: int, device: str = "cpu") -> Layout:
    """The layout of the body that ships."""
    return make(BodyModel.load(), size).to(device)


def _texels(uv: np.ndarray, size: int) -> np.ndarray:
    return np.stack([uv[:, 0], 1 - uv[:, 1]], 1) * size


def uv_grid(uv: Tensor) -> Tensor:
    """UVs (B, 2, H, W), v up, of a rendered body -> (B, H, W, 2) as grid_sample takes it."""
    return torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)
