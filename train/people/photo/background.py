"""What is seen behind the person: a view with its horizon in place, or colours; linear light."""

from __future__ import annotations

from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.contract.errors import OptionError

from ..recipe import BackgroundRecipe
from ..types import Cameras, Surroundings
from . import chance, filters


def backgrounds(recipes: Sequence[BackgroundRecipe], surroundings: Surroundings, cameras: Cameras) -> Tensor:
    """(P, 3, S, S) float32 linear, before exposure. OptionError for a view that does not exist."""
    out = _colours(recipes, cameras)
    which = [i for i, r in enumerate(recipes) if r.view]
    if which:
        names = {n: i for i, n in enumerate(surroundings.background_names)}
        unknown = [recipes[i].view for i in which if recipes[i].view not in names]
        if unknown:
            raise OptionError("option.background", f"There is no background called '{unknown[0]}'.",
                              f"Choose one of the {len(names)} names in the pack.")
        rows = torch.tensor([names[recipes[i].view] for i in which], device=out.device)
        seeds = torch.tensor([recipes[i].seed for i in which], dtype=torch.int64, device=out.device)
        some = torch.tensor(which, device=out.device)
        out = out.index_copy(0, some, _views(surroundings.backgrounds[rows], seeds, _pick(cameras, some)))
    sigma = torch.tensor([r.blur_px * cameras.size / 512 for r in recipes], dtype=torch.float32, device=out.device)
    for low in (0.2, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0):             # by octaves, so that a picture does not hang on others' blur
        high = 1.5 if low == 0.2 else 2 * low
        which = [i for i, r in enumerate(recipes) if low < r.blur_px * cameras.size / 512 <= high]
        if which:
            some = torch.tensor(which, device=out.device)
            blur = filters.gaussian if low < 3 else filters.wide_gaussian
            out = out.index_copy(0, some, blur(out[some], sigma[some], high))
    return out


def horizon(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Where the horizon runs: the point (P, 2) of the canvas, in pixels, that the level direction straight ahead (+y) is seen at, and the
    unit direction (P, 2) in which the picture's world rises."""
    ahead, up = cameras.rotation[:, :, 1], cameras.rotation[:, :, 2]
    at = ahead[:, :2] / ahead[:, 2:].clamp(min=0.2) * cameras.focal[:, None] + cameras.centre
    return at, F.normalize(up[:, :2], dim=1)


def _views(views: Tensor, seeds: Tensor, cameras: Cameras) -> Tensor:
    """views (P, h, w, 3) uint8, level: their horizon is the middle row. Shifted, turned by the roll, mirrored or enlarged by seed."""
    p, h, w, _ = views.shape
    size, device = cameras.size, views.device
    u = chance.draws(seeds, 5, 21)
    point, rise = horizon(cameras)
    middle = torch.full_like(point, size / 2)
    level = ((middle - point) * rise).sum(1)                       # how far the canvas's middle lies above the horizon
    level = level.clamp(-0.35 * size, 0.35 * size)
    zoom = torch.maximum((size / 2 + level.abs()) / (h / 2), torch.full_like(level, size / w)) * (1 + 0.8 * u[:, 0].square())
    roll = torch.atan2(rise[:, 0], -rise[:, 1])
    zoom = zoom * (torch.cos(roll).abs() + torch.sin(roll).abs())  # a turned view must still cover the corners
    spare = (w * zoom - size).clamp(min=0) / 2
    aside = spare * (2 * u[:, 1] - 1)
    flip = torch.where(u[:, 2] < 0.5, -1.0, 1.0)
    at = torch.arange(size, device=device, dtype=torch.float32) + 0.5 - size / 2
    x, y = at[None, None, :], at[None, :, None]
    right = torch.stack([-rise[:, 1], rise[:, 0]], 1)
    one = lambda t: t[:, None, None]
    across = x * one(right[:, 0]) + y * one(right[:, 1]) + one(aside)
    above = x * one(rise[:, 0]) + y * one(rise[:, 1]) + one(level)
    grid = torch.stack([across * one(flip / zoom) / (w / 2), -above / one(zoom) / (h / 2)], -1)
    source = filters.linear_from_srgb(views.permute(0, 3, 1, 2).float() / 255)
    if size < 0.6 * h:                                             # small canvases: no aliasing
        source = F.avg_pool2d(source, 2)
    out = F.grid_sample(source, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return out * torch.exp(0.5 * (u[:, 3] - 0.5))[:, None, None, None]


def _colours(recipes: Sequence[BackgroundRecipe], cameras: Cameras) -> Tensor:
    """Two colours: along a line, from the middle outwards, wall and floor, or as clouds."""
    size, device = cameras.size, cameras.focal.device
    seeds = torch.tensor([r.seed for r in recipes], dtype=torch.int64, device=device)
    colours = torch.tensor([r.colours[:2] for r in recipes], dtype=torch.float32, device=device)
    u = chance.draws(seeds, 6, 22)
    at = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size - 0.5
    x, y = at[None, None, :], at[None, :, None]
    one = lambda t: t[:, None, None]
    angle = u[:, 0] * 6.2832
    line = (x * one(torch.cos(angle)) + y * one(torch.sin(angle))) + 0.5
    away = ((x - one(u[:, 1] - 0.5) * 0.5).square() + (y - one(u[:, 2] - 0.5) * 0.5).square()).sqrt() * 1.3
    point, rise = horizon(cameras)
    drop = one(0.05 + 0.5 * u[:, 3])                               # the wall meets the floor some way below the horizon
    below = -((x + 0.5 - one(point[:, 0] / size)) * one(rise[:, 0]) + (y + 0.5 - one(point[:, 1] / size)) * one(rise[:, 1])) - drop
    floor = (below / one(0.002 + 0.08 * u[:, 4].square()) + 0.5)
    cloud = 0.5 + 0.35 * chance.smooth_noise(seeds, size * (0.03 + 0.2 * u[:, 4]), size, 23)
    kind = (chance.draws(seeds, 1, 24)[:, 0] * 4).long()[:, None, None]
    t = torch.where(kind == 0, line, torch.where(kind == 1, away, torch.where(kind == 2, floor, cloud))).clamp(0, 1)
    shade = 1 + 0.25 * one(u[:, 5]) * (line - 0.5) - 0.15 * away.square()
    return torch.lerp(colours[:, 0, :, None, None], colours[:, 1, :, None, None], t[:, None]) * shade[:, None].clamp(min=0.2)


def _pick(cameras: Cameras, rows: Tensor) -> Cameras:
    return Cameras(cameras.rotation[rows], cameras.shift[rows], cameras.focal[rows], cameras.centre[rows], cameras.size)
