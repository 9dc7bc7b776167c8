"""What light reaches a person past its own body and clothes: depth maps seen from directions of light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..light import sphere
from ..types import People, Textures
from .light import Lights, radiance
from .raster import ALPHA, depth_maps
from .textures import opacity

_GREY = (0.2126, 0.7152, 0.0722)
_DIRECTIONS = 12
_TAPS = 12
_FADE = 3.0
"""Texels of depth over which a blocker of ambient light takes effect: coarse maps have no exact edge."""


@dataclass(frozen=True)
class View:
    """People seen from one direction each, from far away. axes (P, 3, 3): rows right, up, away from the light; low (P, 2) metres, scale (P,)
    pixels per metre; depth (P, S, S) metres along the third axis, inf = nothing."""

    axes: Tensor
    low: Tensor
    scale: Tensor
    depth: Tensor

    def place(self, points: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """World points (N, 3) -> pixels (N, 2) and depth (N,) in the map of each."""
        local = rotated(self.axes[picture], points)
        return (local[:, :2] - self.low[picture]) * self.scale[picture, None] + 1, local[:, 2]


def view(people: People, toward: Tensor, size: int, solid: Tensor) -> View:
    """Depth maps of all people; toward (P, 3) unit, to the light; solid (N,) faces that stop light (`solid_faces`)."""
    axes = frame(toward)
    local = rotated(axes[people.owner], people.vertices)
    low, high = _bounds(local, people)
    scale = (size - 2) / ((high - low)[:, :2].amax(1) + 1e-6)
    pixels = (local[:, :2] - low[people.owner, :2]) * scale[people.owner, None] + 1
    return View(axes, low[:, :2], scale, depth_maps(pixels, local[:, 2], people.faces[solid], people.face_owner[solid], people.count, size))


def solid_faces(people: People, textures: Textures | None) -> Tensor:
    """Faces (N,) that stop light: all but those whose texture is cut out at their middle. Cards of hair are small next to a shadow's texels."""
    row = people.materials.texture[people.material]
    there = torch.ones_like(row, dtype=torch.bool)
    at = torch.nonzero(people.materials.alpha[people.material] & (row >= 0)).view(-1)
    if len(at) and textures is not None:
        uv = people.uv[people.faces[at]]
        middle = (uv[:, 0] + uv[:, 1] + uv[:, 2]) / 3
        level = min(2, textures.width.shape[1] - 1)
        sizes = (t[row[at], level] for t in (textures.width, textures.height, textures.offset))
        there[at] = opacity(textures, *sizes, middle[:, 0], middle[:, 1]) >= ALPHA
    return torch.nonzero(there).view(-1)


def ambient_reach(people: People, lights: Lights, solid: Tensor, size: int = 96) -> Tensor:
    """(V,) float32 in [0, 1]: part of the ambient light that reaches each vertex, from a few directions weighted by their radiance.

    The depth maps are coarse (about 2 cm), so instead of drawing triangles, vertices and faces' middles are dropped into them.
    """
    points, owner = crumbs(people, solid)
    directions = torch.as_tensor(sphere(_DIRECTIONS), dtype=torch.float32, device=points.device)
    axes = frame(directions)
    got, whole = torch.zeros_like(people.vertices[:, 0]), torch.full_like(people.vertices[:, 0], 1e-6)
    low, high = _bounds(people.vertices, people)
    middle, span = (low + high) / 2, (high - low).norm(dim=1)          # the same scale from every side
    scale = (size - 2) / (span + 1e-6)
    texel = (1 / scale)[people.owner]
    local, at = points - middle[owner], people.vertices - middle[people.owner] + texel[:, None] * 1.2 * people.normals
    local, at = local * scale[owner, None], at * scale[people.owner, None]          # texels from here on
    bright = radiance(lights, directions.repeat(people.count, 1), torch.arange(people.count, device=low.device).repeat_interleave(_DIRECTIONS))
    bright = ((bright * low.new_tensor(_GREY)).sum(1) + 1e-4).view(people.count, -1)[people.owner]
    for k, (d, axis) in enumerate(zip(directions, axes)):
        x, y, z = (_along(local, a) for a in axis)
        cell = (owner * size + torch.floor(y + size / 2).long()) * size + torch.floor(x + size / 2).long()
        depth = torch.full((people.count * size * size,), torch.inf, device=points.device).scatter_reduce_(0, cell, z, "amin")
        depth = _closed(depth.view(people.count, 1, size, size)).view(-1)
        weight = (_along(people.normals, d) + 0.15).clamp(min=0) * bright[:, k]
        whole += weight
        got += weight * _smooth_lit(depth, size, _along(at, axis[0]) + size / 2, _along(at, axis[1]) + size / 2, _along(at, axis[2]), people.owner)
    return got / whole


def crumbs(people: People, solid: Tensor) -> tuple[Tensor, Tensor]:
    """Points that stand for the surface of the faces `solid`: their vertices and middles (N, 3); and whose they are (N,)."""
    faces = people.faces[solid]
    corner = people.vertices[faces]
    used = torch.zeros(len(people.vertices), dtype=torch.bool, device=corner.device)
    used[faces.view(-1)] = True                                        # vertices of no face are hidden: they shade nothing
    keep = torch.nonzero(used).view(-1)
    return torch.cat([people.vertices[keep], (corner[:, 0] + corner[:, 1] + corner[:, 2]) / 3]), \
        torch.cat([people.owner[keep], people.face_owner[solid]])


def key_reach(people: People, seen: View, points: Tensor, normals: Tensor, picture: Tensor, toward: Tensor, angle: Tensor) -> Tensor:
    """(N,) float32 in [0, 1]: part of the key light that reaches world points (N, 3); toward (P, 3), angle (P,) of the light."""
    texel = 1 / seen.scale
    spread = torch.maximum(0.25 * torch.tan(angle.clamp(max=0.2)), 1.3 * texel).clamp(max=0.05)
    cosine = (normals * toward[picture]).sum(1)
    slope = ((1 - cosine * cosine).clamp(min=0).sqrt() / cosine.clamp(min=0.25)).clamp(max=2)
    pixels, depth = seen.place(points + 0.003 * normals, picture)
    depth = depth - 0.003 - 0.6 * spread[picture] * slope
    size, base = seen.depth.shape[-1], picture * seen.depth.shape[-1] ** 2
    radius, flat = (spread * seen.scale)[picture], seen.depth.view(-1)
    lit = torch.zeros_like(depth)
    for k in range(_TAPS):                                             # a sunflower's pattern over the light's disc
        r, a = ((k + 0.5) / _TAPS) ** 0.5, 2.3999632 * k
        x = torch.floor(pixels[:, 0] + radius * (r * math.cos(a))).long().clamp(0, size - 1)
        y = torch.floor(pixels[:, 1] + radius * (r * math.sin(a))).long().clamp(0, size - 1)
        lit += flat[base + y * size + x] >= depth
    return lit / _TAPS


def _smooth_lit(depth: Tensor, size: int, x: Tensor, y: Tensor, z: Tensor, picture: Tensor) -> Tensor:
    """(N,) in [0, 1]: bilinear over four texels, each fading over a few texels of depth; all in texels."""
    left, top = torch.floor(x - 0.5), torch.floor(y - 0.5)
    fx, fy = x - 0.5 - left, y - 0.5 - top
    first = (picture * size + top.long()) * size + left.long()
    lit = torch.zeros_like(z)
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            nearest = depth[(first + (dy * size + dx)).clamp(0, len(depth) - 1)]
            lit += wx * wy * (1 - (z - 0.2 - nearest) / _FADE).clamp(0, 1)
    return lit


def _closed(depth: Tensor) -> Tensor:
    """Depth maps (P, 1, S, S) without the small holes between points: the nearest of 3 x 3, then the farthest of those."""
    near = -torch.nn.functional.max_pool2d(-depth, 3, 1, 1)
    return torch.nn.functional.max_pool2d(near, 3, 1, 1)


def _bounds(points: Tensor, people: People) -> tuple[Tensor, Tensor]:
    """Least and largest coordinates (P, 3) of each person's vertices, given as points (V, 3) of any frame."""
    index = people.owner[:, None].expand(-1, 3)
    low = torch.full((people.count, 3), torch.inf, device=points.device).scatter_reduce_(0, index, points, "amin")
    return low, torch.full_like(low, -torch.inf).scatter_reduce_(0, index, points, "amax")


def _along(points: Tensor, axis: Tensor) -> Tensor:
    return points[:, 0] * axis[0] + points[:, 1] * axis[1] + points[:, 2] * axis[2]


def frame(toward: Tensor) -> Tensor:
    """(P, 3) unit -> (P, 3, 3) rows: right, up, away."""
    steep = (toward[:, 2:].abs() > 0.9).float()
    up = toward.new_tensor([0, 0, 1.0]) * (1 - steep) + toward.new_tensor([0, 1.0, 0]) * steep
    right = torch.linalg.cross(up, toward)
    right = right / right.norm(dim=1, keepdim=True)
    return torch.stack([right, torch.linalg.cross(toward, right), -toward], 1)


def rotated(axes: Tensor, points: Tensor) -> Tensor:
    """(N, 3, 3) rows, (N, 3) -> (N, 3), in single products."""
    return axes[:, :, 0] * points[:, :1] + axes[:, :, 1] * points[:, 1:2] + axes[:, :, 2] * points[:, 2:]
