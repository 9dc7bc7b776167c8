"""Depth and normals of one side made into one surface: depth gives the low frequencies, normals the high ones.

Minimised over w = log z, with n the normal, r the pixel's ray (z = 1) and links between neighbours as in bilateral normal integration
(Cao et al. 2022, Eq. 12; there is no noise-free tie to be found here, as a rough depth says where the surface jumps):

    sum over links (n.r dw + n_xy / f)^2  +  (2 pi / wavelength)^2 sum over pixels (n.r)^2 (w - w_depth)^2

Where depth and normals disagree by a jump, networks make a ramp of some pixels. It is cut half way up, and what is left of it follows the
normals of its own side instead of the depth. Solved by conjugate gradients with a multigrid V-cycle, in torch on any device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..contract.frames import Camera


@dataclass(frozen=True)
class IntegrateConfig:
    """wavelength   metres: longer waves are the depth's, shorter ones the normals'.
    jump, tilt      a jump is where depth and normals part by more than `jump` metres plus `tilt` times the way, within `window` pixels.
    rounds, exact   of conjugate gradients: at most so many, or until the residual has fallen to this share.
    """

    wavelength: float = 0.15
    jump: float = 0.012
    tilt: float = 0.35
    window: int = 9
    rounds: int = 12
    exact: float = 1e-3


LEVELS = 6
UNIT = 2 ** (LEVELS - 1)
LEAST = 1e-3     # a data weight never falls below this share of its usual one: no pixel is without a depth
FLAT = 0.02      # added to (n.r)^2 of the data: at the silhouette normals say nothing of depth


def integrated(depth: np.ndarray, normals: np.ndarray, mask: np.ndarray, camera: Camera, config: IntegrateConfig = IntegrateConfig(),
               device: str = "cpu") -> np.ndarray:
    """depth (H, W) metres, normals (H, W, 3) unit, camera frame, either side; mask (H, W) bool -> (H, W) float32 metres, NaN outside it.

    Pixels of the mask whose depth is not finite and positive are left out (NaN).
    """
    mask = mask & np.isfinite(depth) & (depth > 0)
    out = np.full(depth.shape, np.nan, np.float32)
    if not mask.any():
        return out
    rows, columns = (np.nonzero(mask.any(axis))[0] for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    put = lambda a: torch.as_tensor(np.ascontiguousarray(a[box]), dtype=torch.float32, device=device)
    on, z = put(mask), put(np.where(mask, depth, 1.0))
    n = torch.where(on[..., None] > 0, put(normals), 0.0)
    system, z0 = _system(z, n, on, camera, box, config)
    w = torch.log(z0) + _solved(system, config)
    height, width = on.shape
    out[box] = np.where(mask[box], torch.exp(w[:height, :width]).cpu().numpy(), np.nan)
    return out


@dataclass(frozen=True)
class Level:
    """One grid: weights of links to the right (H, W - 1) and below (H - 1, W), of the pixels' data (H, W), and 1 / diagonal."""

    right: Tensor
    below: Tensor
    data: Tensor
    inverse: Tensor

    def times(self, x: Tensor) -> Tensor:
        out = self.data * x
        for k, a in ((1, self.right), (0, self.below)):
            flow = torch.diff(x, dim=k).mul_(a)
            _second(out, k).add_(flow)
            _first(out, k).sub_(flow)
        return out


def _first(x: Tensor, k: int) -> Tensor:
    return x.narrow(k, 0, x.shape[k] - 1)


def _second(x: Tensor, k: int) -> Tensor:
    return x.narrow(k, 1, x.shape[k] - 1)


def _level(right: Tensor, below: Tensor, data: Tensor) -> Level:
    diagonal = data.clone()
    for k, a in ((1, right), (0, below)):
        _first(diagonal, k).add_(a)
        _second(diagonal, k).add_(a)
    return Level(right, below, data, torch.where(diagonal > 0, 1 / diagonal.clamp(min=1e-30), 0))


def _system(z: Tensor, n: Tensor, on: Tensor, camera: Camera, box, config: IntegrateConfig) -> tuple[tuple[list[Level], Tensor], Tensor]:
    """((levels, right-hand side), depth): all padded to whole cells of the coarsest level."""
    pad = (0, -z.shape[1] % UNIT, 0, -z.shape[0] % UNIT)
    z, on = F.pad(z, pad, value=1.0), F.pad(on, pad)
    n = F.pad(n, (0, 0, *pad))
    at = lambda k, c, f: (torch.arange(z.shape[k], device=z.device, dtype=z.dtype) + (box[k].start + 0.5 - c)) / f
    along = n[..., 0] * at(1, camera.cx, camera.fx)[None] + n[..., 1] * at(0, camera.cy, camera.fy)[:, None] + n[..., 2]
    w = torch.log(z)
    metre = float(z[on > 0].median()) / camera.fx                            # metres per pixel
    apart = config.jump + config.tilt * config.window * metre
    weights, lacking, torn = [], [], torch.zeros_like(on)
    for k, f, xy in ((1, camera.fx, n[..., 0]), (0, camera.fy, n[..., 1])):
        there = _first(on, k) * _second(on, k)
        both = lambda x: _first(x, k) + _second(x, k)
        weight = both(along * along) * there
        lacks = (-both(along * xy) / f - weight * torch.diff(w, dim=k)) * there   # weight x (what normals ask for - what depth has)
        error = lacks * torch.rsqrt(weight.clamp(min=1e-4)) * (0.5 ** 0.5 * metre * f)
        ramp = _ramps(error, k, apart, config.window)
        _first(torn, k).add_(ramp)
        _second(torn, k).add_(ramp)
        weights.append(weight)
        lacking.append(lacks)
    far = _far_side(z, on, config.window)
    right = torch.zeros_like(w)
    for k, weight, lacks in zip((1, 0), weights, lacking):
        cut = (_first(far, k) != _second(far, k)) & (_first(torn, k) + _second(torn, k) > 0)
        weight.masked_fill_(cut, 0)
        lacks.masked_fill_(cut, 0)
        _second(right, k).add_(lacks)
        _first(right, k).sub_(lacks)
    data = on * (along * along + FLAT) * (2 * math.pi * metre / config.wavelength) ** 2 * torch.where(torn > 0, LEAST, 1.0)
    levels = [_level(*weights, data)]
    while len(levels) < LEVELS:
        levels.append(_coarser(levels[-1]))
    return (levels, right), z


def _ramps(error: Tensor, k: int, apart: float, window: int) -> Tensor:
    """error: metres by which each link is wrong -> 1.0 for the links that together make a jump along this axis."""
    shape = (1, window) if k == 1 else (window, 1)
    half = (shape[0] // 2, shape[1] // 2)
    total = F.avg_pool2d(error[None, None], shape, 1, half)[0, 0].abs() * window
    near = F.max_pool2d((total > apart).to(error)[None, None], shape, 1, half)[0, 0] > 0
    return (near & (error.abs() > 0.02 * apart)).to(error)


def _far_side(z: Tensor, on: Tensor, window: int) -> Tensor:
    """bool: farther than the middle between the nearest and the farthest surface around."""
    most = lambda x: F.max_pool2d(torch.where(on > 0, x, -torch.inf)[None, None], window, 1, window // 2)[0, 0]
    return 2 * z > most(z) - most(-z)


def _coarser(fine: Level) -> Level:
    """Four pixels become one. Links between cells are the sum of theirs, halved: a step of constant pieces is twice as steep as the slope
    that it stands for."""
    pair = lambda x, k: x.unflatten(k, (-1, 2)).sum(k + 1)
    right, below = 0.5 * pair(fine.right[:, 1::2], 0), 0.5 * pair(fine.below[1::2], 1)
    return _level(right, below, pair(pair(fine.data, 0), 1))


def _cycle(levels: list[Level], right: Tensor) -> Tensor:
    """An approximate solution: smoothed, corrected on the coarser grid, smoothed."""
    level, damp = levels[0], 0.7
    x = damp * level.inverse * right
    if len(levels) == 1:
        for _ in range(20):
            x += damp * level.inverse * (right - level.times(x))
        return x
    rest = right - level.times(x)
    small = rest.unflatten(1, (-1, 2)).sum(2).unflatten(0, (-1, 2)).sum(1)
    x += _cycle(levels[1:], small).repeat_interleave(2, 0).repeat_interleave(2, 1)
    x += damp * level.inverse * (right - level.times(x))
    return x


def _solved(system: tuple[list[Level], Tensor], config: IntegrateConfig) -> Tensor:
    levels, right = system
    x = torch.zeros_like(right)
    rest, start = right, float(right.norm())
    direction, before = None, None
    for _ in range(config.rounds if start > 0 else 0):
        better = _cycle(levels, rest)
        now = float((rest * better).sum())
        direction = better if direction is None else better + (now / before) * direction
        bent = levels[0].times(direction)
        step = now / max(float((direction * bent).sum()), 1e-30)
        x, rest, before = x + step * direction, rest - step * bent, now
        if float(rest.norm()) < config.exact * start:
            break
    return x
