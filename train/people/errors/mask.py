"""Masks as s02 would make them: the border wanders (more where colours are alike), hands and feet get lost, floor and gaps get added."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..photo import chance, filters
from .border import CONTRASTS, GROUPS
from .statistics import Statistics, measured


@dataclass(frozen=True)
class MaskConfig:
    """strength: factor of all errors (0 = none); vary: spread of its logarithm between pictures, beyond what was measured on the clean
    silhouettes of avatars (hair and loose cloth are harder). slots: pieces of each sort that a picture can have."""

    strength: float = 1.0
    vary: float = 0.0
    slots: int = 3


def damaged(mask: Tensor, picture: Tensor, seeds: Tensor, joints: Tensor | None = None, config: MaskConfig = MaskConfig(),
            statistics: Statistics | None = None) -> Tensor:
    """mask (P, S, S) float32 true visible coverage; picture (P, 3, S, S) sRGB in [0, 1], what s02 sees; seeds (P,) int64;
    joints (P, 24, 2) pixels of the canvas, SMPL's order (None: pieces get lost anywhere at the border) -> (P, S, S) float32 in [0, 1]."""
    if config.strength <= 0:
        return mask.clone()
    known = statistics or measured()
    size = mask.shape[-1]
    u = chance.draws(seeds, 3, 41)
    strength = config.strength * torch.exp(config.vary * chance.bell(u[:, 0]))
    away = distance(mask)
    gain = _gain(mask, picture, known)
    offset = float(known.bias) + SHARE * float(known.bias_spread) * chance.bell(u[:, 1])
    scale = SHARE * float(known.spread) * torch.exp(0.7 * float(known.log_spread) * chance.bell(u[:, 2]))
    wander = _wander(seeds, size, known) * scale[:, None, None] * gain ** 1.7      # what else moves it knows no colours
    away = away + size * strength[:, None, None] * (offset[:, None, None] + wander)
    away = _pieces(away, gain, seeds, joints, strength, known, config)
    width = max(float(known.soft) * size, 0.25)
    return torch.sigmoid(away / width)


def distance(mask: Tensor) -> Tensor:
    """Soft masks (P, S, S) -> signed pixels to the border, positive inside; true to a few per cent near the border, too small from 0.05 S on.

    Not an exact distance: from how full the neighbourhood is, at two scales. So thin parts go first, as they do in a network of 256 pixels.
    """
    size = mask.shape[-1]
    out = None
    for sigma in (0.022 * size, 0.007 * size, max(0.0025 * size, 0.7)):
        level = torch.full((len(mask),), sigma, device=mask.device)
        blur = filters.wide_gaussian if sigma > 3 else filters.gaussian
        full = blur(mask[:, None], level, sigma)[:, 0]
        here = sigma * torch.special.ndtri(full.clamp(0.002, 0.998))
        trust = ((full - 0.02) / 0.05).clamp(0, 1) * ((0.98 - full) / 0.05).clamp(0, 1)
        out = here if out is None else torch.lerp(torch.where(mask > 0.5, out.clamp(min=0), out.clamp(max=0)), here, trust)
    return out


def _gain(mask: Tensor, picture: Tensor, known: Statistics) -> Tensor:
    """(P, S, S) how much more the border errs here than where colours differ clearly."""
    size = mask.shape[-1]
    step = 4 if size % 16 == 0 else 1
    m = F.avg_pool2d(mask[:, None], step)
    rgb = F.avg_pool2d(picture, step)
    sigma = torch.full((len(mask),), max(0.012 * size / step, 0.6), device=mask.device)
    near = filters.gaussian(torch.cat([rgb * m, m, rgb * (1 - m), 1 - m], 1), sigma, float(sigma[0]))
    inner, outer = near[:, :3] / near[:, 3:4].clamp(min=0.02), near[:, 4:7] / near[:, 7:].clamp(min=0.02)
    contrast = (inner - outer).square().mean(1, keepdim=True).sqrt()
    low, high = (float(c) for c in CONTRASTS)
    alike, unclear, clear = (float(g) for g in known.contrast_gain)
    part = ((contrast - low) / (high - low)).clamp(0, 1)
    gain = torch.where(contrast < low, alike + (unclear - alike) * contrast / low, unclear + (clear - unclear) * part)
    return F.interpolate(gain, size=mask.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


SHARE, OFTEN = 0.6, 1.5
"""Of the measured spread that the wandering makes (pieces, soft edges and the rough distance make the rest), and how many bumps it takes for
one piece that counts: fitted by measure --compare."""
FINE, COARSE, FINE_SHARE = 0.007, 0.032, 0.45
"""Correlation lengths of the border's offset (parts of the canvas) and the finer one's share of the variance: fitted to the measured correlation."""


def _wander(seeds: Tensor, size: int, known: Statistics) -> Tensor:
    """(P, S, S) of unit variance with the measured kurtosis: normal noise whose spread varies from place to place."""
    cells = lambda part: torch.full((len(seeds),), max(part * size, 1.0), device=seeds.device)
    fine, coarse = chance.smooth_noise(seeds, cells(FINE), size, 42), chance.smooth_noise(seeds, cells(COARSE), size, 43)
    n = FINE_SHARE ** 0.5 * fine + (1 - FINE_SHARE) ** 0.5 * coarse
    s = 0.5 * math.sqrt(max(math.log(max(float(known.kurtosis), 3.0) / 3), 0.0))
    return n * torch.exp(s * chance.smooth_noise(seeds, cells(2 * COARSE), size, 44) - s * s)


def _pieces(away: Tensor, gain: Tensor, seeds: Tensor, joints: Tensor | None, strength: Tensor, known: Statistics,
            config: MaskConfig) -> Tensor:
    """Pieces lost and added: soft bumps of the distance at joints drawn with the measured rates."""
    p, size, _ = away.shape
    device = away.device
    at = torch.arange(size, device=device, dtype=torch.float32) + 0.5
    table = torch.tensor([[j for j in g] + [g[0]] * (8 - len(g)) for g in GROUPS.values()], device=device)
    lengths = torch.tensor([len(g) for g in GROUPS.values()], device=device)
    crumple = (1 + 0.35 * chance.smooth_noise(seeds, torch.full((p,), 0.025 * size, device=device), size, 45)).clamp(min=0.4)
    sorts = (known.lost_rate, known.lost_size, -1.0, 0.45), (known.added_rate, known.added_size, 1.0, 0.85)
    for k, (rates, sizes, sign, broad) in enumerate(sorts):
        rate = torch.as_tensor(rates, dtype=torch.float32, device=device)
        each = OFTEN * rate.cumsum(0) / config.slots
        for slot in range(config.slots):
            u = chance.draws(seeds, 6, 50 + 10 * k + slot)
            group = (u[:, :1] > strength[:, None] * each[None]).sum(1)     # beyond the last: nothing here
            on = (group < len(rate)).float()
            group = group.clamp(max=len(rate) - 1)
            radius = size * torch.exp(float(sizes[0]) + float(sizes[1]) * chance.bell(u[:, 1])) * broad
            if joints is None:
                place = _somewhere(away, u[:, 2])
            else:
                joint = table[group, (u[:, 2] * lengths[group]).long()]
                place = joints[torch.arange(p, device=device), joint]
            aim = place + radius[:, None] * 0.5 * chance.bell(u[:, 3:5])
            square = (at[None, None] - aim[:, 0, None, None]).square() + (at[None, :, None] - aim[:, 1, None, None]).square()
            bump = torch.exp(-0.5 * square / (radius * radius)[:, None, None] * crumple)
            away = away + sign * (on * radius * (0.7 + u[:, 5]))[:, None, None] * bump * (0.5 + 0.5 * gain)
    return away


def _somewhere(away: Tensor, u: Tensor) -> Tensor:
    """(P, 2) a point near the border of each mask."""
    p, size, _ = away.shape
    near = (away.abs() < 0.01 * size).view(p, -1).float().cumsum(1)
    at = torch.searchsorted(near, (u * near[:, -1])[:, None].contiguous()).clamp(max=size * size - 1)[:, 0]
    return torch.stack([at % size, at // size], 1).float() + 0.5
