"""What light reaches a person past its own body and clothes: depth maps seen from directions of light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..light import sphere
from ..types import People, Textures
from .light import Lights, radiance
from .raster import cutout, depth_maps

_GREY = (0.2126, 0.7152, 0.0722)
_DIRECTIONS = 10
_TAPS = 12


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


def view(people: People, toward: Tensor, size: int, textures: Textures | None) -> View:
    """Depth maps of all people; toward (P, 3) unit, to the light."""
    axes = frame(toward)
    local = rotated(axes[people.owner], people.vertices)
    low, high = (torch.full((people.count, 2), s * torch.inf, device=local.device).scatter_reduce_(
        0, people.owner[:, None].expand(-1, 2), local[:, :2].contiguous(), how) for s, how in ((1, "amin"), (-1, "amax")))
    scale = (size - 2) / ((high - low).amax(1) + 1e-6)
    pixels = (local[:, :2] - low[people.owner]) * scale[people.owner, None] + 1
    cut, keep = (None, None) if textures is None else cutout(people, textures, pixels, torch.ones_like(pixels[:, 0], dtype=torch.float64))
    return View(axes, low, scale, depth_maps(pixels, local[:, 2], people.faces, people.face_owner, people.count, size, cut, keep))


def ambient_reach(people: People, lights: Lights, textures: Textures | None, size: int = 96) -> Tensor:
    """(V,) float32 in [0, 1]: part of the ambient light that reaches each vertex, from a few directions weighted by their radiance."""
    got, whole = torch.zeros_like(people.vertices[:, 0]), torch.full_like(people.vertices[:, 0], 1e-6)
    pictures = torch.arange(people.count, device=got.device)
    for d in torch.as_tensor(sphere(_DIRECTIONS), dtype=torch.float32, device=got.device):
        toward = d.expand(people.count, 3)
        seen = view(people, toward, size, textures)
        texel = 1 / seen.scale[people.owner]
        pixels, depth = seen.place(people.vertices + texel[:, None] * 0.7 * people.normals, people.owner)
        cosine = (people.normals[:, 0] * d[0] + people.normals[:, 1] * d[1] + people.normals[:, 2] * d[2] + 0.15).clamp(min=0)
        bright = (radiance(lights, toward, pictures) * got.new_tensor(_GREY)).sum(1) + 1e-4
        weight = cosine * bright[people.owner]
        whole += weight
        got += weight * _smooth_lit(seen, pixels, depth - 0.3 * texel, people.owner, 1.5 * texel)
    return got / whole


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
        r, a = ((k + 0.5) / _TAPS) ** 0.5, torch.tensor(2.3999632 * k)
        x = torch.floor(pixels[:, 0] + radius * (r * torch.cos(a))).long().clamp(0, size - 1)
        y = torch.floor(pixels[:, 1] + radius * (r * torch.sin(a))).long().clamp(0, size - 1)
        lit += flat[base + y * size + x] >= depth
    return lit / _TAPS


def _smooth_lit(seen: View, pixels: Tensor, depth: Tensor, picture: Tensor, soft: Tensor) -> Tensor:
    """(N,) in [0, 1]: bilinear over four texels, each fading over `soft` metres."""
    size = seen.depth.shape[-1]
    at = pixels - 0.5
    left = torch.floor(at)
    f, cell = at - left, left.long()
    base, flat = picture * size * size, seen.depth.view(-1)
    lit = torch.zeros_like(depth)
    for dy in (0, 1):
        row = base + (cell[:, 1] + dy).clamp(0, size - 1) * size
        for dx in (0, 1):
            nearest = flat[row + (cell[:, 0] + dx).clamp(0, size - 1)]
            weight = (f[:, 0] if dx else 1 - f[:, 0]) * (f[:, 1] if dy else 1 - f[:, 1])
            lit += weight * (1 - (depth - nearest) / soft).clamp(0, 1)
    return lit


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
