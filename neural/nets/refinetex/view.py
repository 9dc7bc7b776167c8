"""A photo, its camera and the fitted body, and what both networks are told of them: maps of the photo, and texels of the body's layout.

Frames and units as in design.md: camera x right, y down, z forward, metres; pixel centres at + 0.5; canvases S x S. `B` people at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ...body.maps import BodyTables, tables, vertex_normals
from ...body.model import BodyModel
from .compact import Texels
from .layout import Layout


@dataclass(frozen=True)
class View:
    """What the network is told about B people.

    image    (B, 3, S, S) float in [0, 1], sRGB; S even, at best a power of two.      matte (B, 1, S, S) float in [0, 1].
    inside   (B, 1, S, S) float: 1 within the photo, 0 where the canvas reaches beyond it.
    focal    (B,), centre (B, 2): pinhole camera, pixels of the canvas.
    vertices (B, V, 3) metres, camera frame: the fitted body that ships, posed (Body.vertices of s03; neural/body/maps.py `pose`).
    body     maps of that body as neural/body/maps.py describes them (`from_stage` reads s03's), of the same camera, M x M (any M).
    normals  (B, 3, n, n) predicted front normals, unit, camera frame (any n), or None: not known.
    """

    image: Tensor
    matte: Tensor
    inside: Tensor
    focal: Tensor
    centre: Tensor
    vertices: Tensor
    body: dict[str, Tensor]
    normals: Tensor | None = None


def drawn_body(view: View, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The body's front as the encoder sees it: (B, 7, side, side) hit, UVs in [-1, 1], normals, depth from the body's middle in sides of the
    canvas there; hit again (B, 1, side, side); part (B, side, side) int64."""
    maps = view.body
    rows = (torch.arange(side, device=view.image.device) * 2 + 1) * maps["mask"].shape[-1] // (2 * side)      # nearest: UVs jump at seams
    pick = lambda x: x[..., rows, :][..., rows]
    hit = pick(maps["mask"])[:, None].to(view.image.dtype)
    middle = view.vertices[..., 2].mean(1).to(view.image)
    unit = middle * view.image.shape[-1] / view.focal
    depth = (pick(maps["depth_front"])[:, None] - middle[:, None, None, None]) / unit.to(hit)[:, None, None, None]
    on = torch.cat([hit, (2 * pick(maps["uv_front"]) - 1) * hit, pick(maps["normal_front"]) * hit, 4 * depth * hit], 1)
    return on, hit, pick(maps["part_front"]).to(torch.int64)


def places(like: Tensor) -> Tensor:
    """(B, 2, H, W): y and x of the pixels' centres, -1 and 1 the canvas's edges."""
    line = lambda n: (torch.arange(n, device=like.device, dtype=like.dtype) * 2 + 1) / n - 1
    return torch.stack(torch.meshgrid(line(like.shape[2]), line(like.shape[3]), indexing="ij")).expand(len(like), -1, -1, -1)


def resized(picture: Tensor, side: int) -> Tensor:
    size = picture.shape[-1]
    return picture if size == side else F.interpolate(picture, (side, side), mode="area" if size > side else "nearest")


@lru_cache(maxsize=2)
def _tables(device: str) -> BodyTables:
    return tables(BodyModel.load(), device)


def texels_of(view: View, shape: Layout) -> Texels:
    """Where every texel of the fitted body lies in the photo, and whether it is seen there; first itself, then its mirror image."""
    body = _tables(str(view.vertices.device))
    vertices = view.vertices.to(torch.float32)
    normals = vertex_normals(body, vertices)
    found = [_projected(view, shape, vertices[:, rows], normals[:, rows]) for rows in (slice(None), shape.twin)]
    return Texels(*(torch.stack(each, 1) for each in zip(*found)), shape)


def _projected(view: View, shape: Layout, vertices: Tensor, normals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """flow (B, 2, T, T), seen (B, T, T), facing (B, T, T) of one source."""
    side = view.image.shape[-1]
    values = shape.drawn(torch.cat([vertices, normals], 2))
    point, normal = values[:, :3], F.normalize(values[:, 3:], dim=1)
    z = point[:, 2].clamp(min=1e-3)
    focal = view.focal.to(z)[:, None, None]
    pixel = point[:, :2] / z[:, None] * focal[:, None] + view.centre.to(z)[:, :, None, None]
    flow = (2 * pixel / side - 1) * shape.charts
    facing = -(normal * F.normalize(point, dim=1)).sum(1) * shape.charts[0]
    grid = flow.permute(0, 2, 3, 1)
    fall = ((facing - 0.15) / 0.2).clamp(0, 1)
    near = _front(view.body["depth_front"], grid)
    pixel_m = z / focal * side / view.body["depth_front"].shape[-1]
    slack = 0.005 + pixel_m * (1 - facing.square()).clamp(min=0).sqrt() / facing.clamp(min=0.1)
    open_ = (1 - (z - near - slack) / 0.01).clamp(0, 1) * (near > 0)
    on = F.grid_sample((view.matte * view.inside).to(z), grid, align_corners=False)[:, 0]
    return flow, fall * fall * (3 - 2 * fall) * open_ * on * shape.charts[0], facing


def _front(depth: Tensor, grid: Tensor) -> Tensor:
    """The farthest of the four front depths (B, M, M) around each place of grid (B, T, T, 2); 0 where there is no body at all."""
    size = depth.shape[-1]
    low = ((grid + 1) * size / 2 - 0.5).floor().long()
    flat, out = depth.flatten(1), None
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = (low[..., 1] + dy).clamp(0, size - 1) * size + (low[..., 0] + dx).clamp(0, size - 1)
        one = flat.gather(1, at.flatten(1)).view(at.shape)
        out = one if out is None else torch.maximum(out, one)
    return out
