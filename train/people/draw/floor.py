"""What people take from the floor's light: dark contact under the shoes and the shadow that the key light casts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..types import Cameras, People, Textures
from .light import Lights, irradiance
from .shade import eyes
from .shadow import crumbs, solid_faces

_GREY = (0.2126, 0.7152, 0.0722)
_CELLS, _SIDE = 192, 4.0
"""A square map of the floor, metres wide, the person's middle in its middle."""
_CONTACT = ((0.03, 0.55), (0.10, 0.45), (0.30, 0.35))
"""Reach in metres and strength of the darkness round sole, shoe and leg."""


def floor_light(people: People, cameras: Cameras, lights: Lights, textures: Textures | None = None) -> Tensor:
    """(P, S, S) float32 in [0, 1], S = cameras.size: how much of its light is left on the plane z = 0; 1 above the horizon and far off.

    Each person shades its own picture only. A background is multiplied by it.
    """
    left, middle = floor_maps(people, lights, textures)
    size, count = cameras.size, people.count
    at = torch.arange(size, device=left.device) + 0.5
    x = (at[None, None, :] - cameras.centre[:, 0, None, None]) / cameras.focal[:, None, None]
    y = (at[None, :, None] - cameras.centre[:, 1, None, None]) / cameras.focal[:, None, None]
    r, eye = cameras.rotation, eyes(cameras)
    ray = [r[:, 0, i, None, None] * x + r[:, 1, i, None, None] * y + r[:, 2, i, None, None] for i in range(3)]
    down = ray[2] < -1e-3
    reach = torch.where(down, -eye[:, 2, None, None] / torch.where(down, ray[2], -1), 0).clamp(min=0)
    u, v = (((eye[:, i, None, None] + reach * ray[i] - middle[:, i, None, None]) / _SIDE + 0.5) * _CELLS - 0.5 for i in (0, 1))
    x0, y0 = torch.floor(u), torch.floor(v)
    within = down & (x0 >= 0) & (y0 >= 0) & (x0 < _CELLS - 1) & (y0 < _CELLS - 1)
    flat = left.view(-1)
    cell = (torch.arange(count, device=left.device)[:, None, None] * _CELLS + y0.long()) * _CELLS + x0.long()
    cell = torch.where(within, cell, 0)
    fx, fy = u - x0, v - y0
    value = (flat[cell] * (1 - fx) + flat[cell + 1] * fx) * (1 - fy) + (flat[cell + _CELLS] * (1 - fx) + flat[cell + _CELLS + 1] * fx) * fy
    return torch.where(within, value, 1.0)


def floor_maps(people: People, lights: Lights, textures: Textures | None = None) -> tuple[Tensor, Tensor]:
    """Light left on the floor seen from above (P, 192, 192): rows along +y, columns along +x, 4 m wide; and its middle (P, 2) in the world."""
    points, owner = crumbs(people, solid_faces(people, textures))
    count, low = people.count, torch.full((people.count, 2), torch.inf, device=points.device)
    index = people.owner[:, None].expand(-1, 2)
    low.scatter_reduce_(0, index, people.vertices[:, :2].contiguous(), "amin")
    high = torch.full_like(low, -torch.inf).scatter_reduce_(0, index, people.vertices[:, :2].contiguous(), "amax")
    middle = (low + high) / 2
    height = points[:, 2].clamp(min=0)
    over = _nearest(points[:, :2] - middle[owner], height, owner, count)
    left = torch.ones_like(over)
    for reach, strength in _CONTACT:
        dark = _blurred(torch.exp(-over / reach), 0.6 * reach)
        left = left * (1 - strength * (1.6 * dark).clamp(max=1))
    toward = lights.key_direction
    slant = toward[owner, :2] / toward[owner, 2:].clamp(min=0.1)
    cast = _nearest(points[:, :2] - middle[owner] - slant * height[:, None], height, owner, count)
    dark = torch.where(torch.isinf(cast), 0.0, 1.0)
    near, far = _blurred(dark, 0.02), _blurred(dark, 0.06)             # the shadow of higher parts is softer
    shade = torch.where(torch.nan_to_num(cast, posinf=1.0) < 0.5, near, far)
    grey = left.new_tensor(_GREY)
    key = (lights.key_irradiance * grey).sum(1) * toward[:, 2].clamp(min=0)
    up = left.new_tensor([[0, 0, 1.0]]).expand(count, 3)
    share = 0.75 * key / (key + (irradiance(lights, up, torch.arange(count, device=left.device)) * grey).sum(1)).clamp(min=1e-9)
    share = share * ((toward[:, 2] - 0.08) / 0.12).clamp(0, 1)         # light that grazes the floor casts no shadow within reach
    left = left * (1 - share[:, None, None] * shade.clamp(0, 1))
    edge = (torch.arange(_CELLS, device=left.device) + 0.5).sub(_CELLS / 2).abs().mul(-2.0 / _CELLS).add(1).mul(5).clamp(max=1)
    return 1 - (1 - left) * edge[:, None] * edge, middle              # a long shadow fades out before the map ends


def _nearest(at: Tensor, height: Tensor, owner: Tensor, count: int) -> Tensor:
    """(P, cells, cells): the lowest height over each cell, small gaps between points closed; inf where nothing is."""
    cell = torch.floor((at / _SIDE + 0.5) * _CELLS).long()
    inside = torch.nonzero(((cell >= 0) & (cell < _CELLS)).all(1)).view(-1)
    index = (owner[inside] * _CELLS + cell[inside, 1]) * _CELLS + cell[inside, 0]
    flat = torch.full((count * _CELLS * _CELLS,), torch.inf, device=at.device).scatter_reduce_(0, index, height[inside], "amin")
    near = -torch.nn.functional.max_pool2d(-flat.view(count, 1, _CELLS, _CELLS), 3, 1, 1)
    return torch.nn.functional.max_pool2d(near, 3, 1, 1)[:, 0]


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """(P, cells, cells) blurred by about sigma metres: three box means."""
    half = max(1, round(sigma / _SIDE * _CELLS))
    out = image[:, None]
    for _ in range(3):
        out = avg_pool2d(out, (2 * half + 1, 1), 1, (half, 0), count_include_pad=False)
        out = avg_pool2d(out, (1, 2 * half + 1), 1, (0, half), count_include_pad=False)
    return out[:, 0]
