"""What camera and file make of light: exposure, tone, white balance, lens and motion blur, noise, sharpening, few pixels, JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch
from torch import Tensor

from ..recipe import SensorRecipe
from . import chance, filters, jpeg

_STANDARD = 512
"""Lengths in recipes are pixels of a canvas of this side."""


@dataclass(frozen=True)
class SensorConfig:
    """knee: brightness above which highlights are bent towards 1; grain: part of the noise that is spread over neighbouring pixels (as
    reading colours from a mosaic does); colour: part of the noise that differs between the channels; read: noise of black, relative to the
    brightness at which it equals the noise of light; halved: share of files with colour at half resolution; lanczos: share of small pictures
    that were enlarged with a filter of three lobes; soft_small: share that were shrunk without ringing; halo_px: width of sharpening at 512."""

    knee: float = 0.75
    grain: float = 0.5
    colour: float = 0.6
    read: float = 0.004
    halved: float = 0.85
    lanczos: float = 0.35
    soft_small: float = 0.6
    halo_px: float = 1.3


def develop(linear: Tensor, recipes: Sequence[SensorRecipe], exposure_ev: Tensor | None = None, config: SensorConfig = SensorConfig()) -> Tensor:
    """linear (P, 3, S, S) float32 radiance (1 = white), one recipe a picture -> (P, 3, S, S) float32 sRGB in [0, 1], whole 255ths.

    exposure_ev (P,): stops to add, where the light's recipe has not been applied already. S must be a multiple of 16. The same bits of noise
    on every device. Order as in a camera: light, lens, fewer pixels, noise, tone, sharpening, file; then the canvas that s02 cuts.
    """
    if len(recipes) != len(linear):
        raise ValueError(f"{len(linear)} pictures, {len(recipes)} sensors")
    size, device = linear.shape[-1], linear.device
    row = lambda name: torch.tensor([float(getattr(r, name)) for r in recipes], device=device)
    seeds = torch.tensor([r.seed for r in recipes], dtype=torch.int64, device=device)
    chances = chance.draws(seeds, 8, 11)
    per_pixel = size / _STANDARD

    gain = torch.tensor([r.white for r in recipes], dtype=torch.float32, device=device)
    if exposure_ev is not None:
        gain = gain * torch.exp2(exposure_ev)[:, None]
    x = linear.clamp(min=0) * gain[:, :, None, None]
    x = _some(x, [i for i, r in enumerate(recipes) if r.blur_px * per_pixel > 0.15], _blur(row("blur_px") * per_pixel))
    x = _some(x, [i for i, r in enumerate(recipes) if r.motion_px * per_pixel > 0.3], _smear(row("motion_px") * per_pixel, row("motion_angle")))

    pixels = [_pixels(r.rescale, size) for r in recipes]
    small = [i for i, n in enumerate(pixels) if n < size]
    real = torch.tensor(pixels, device=device)
    full = torch.full_like(real, size)
    x = _some(x, small, _shrink(real, full, chances[:, 0] < config.soft_small))
    x = _noisy(x, row("noise"), seeds, chances[:, 1], config)
    x = _toned(x, row("gamma"), config.knee)
    x = _some(x, [i for i, r in enumerate(recipes) if r.sharpen > 0], _sharpen(row("sharpen"), config.halo_px * per_pixel))
    x = x.clamp(0, 1)
    for halved in (True, False):
        chosen = ((chances[:, 2] < config.halved) == halved).tolist()
        x = _some(x, [i for i, r in enumerate(recipes) if r.jpeg and chosen[i]], _file(row("jpeg"), chances[:, 3:5], halved))
    three = chances[:, 5] < config.lanczos
    x = _some(x, small, _enlarge(real, full, three)).clamp(0, 1)
    return (x * 255 + 0.5).floor() / 255


def replicated(pictures: Tensor, border: Tensor) -> Tensor:
    """pictures (P, C, S, S), border (P, 4) x0 y0 x1 y1 pixels of the photo (Placed.border): beyond the photo its last pixel repeats, as s02
    fills the canvas."""
    size = pictures.shape[-1]
    at = torch.arange(size, device=pictures.device)
    low = torch.ceil(border[:, :2] - 0.5).long().clamp(0, size - 1)
    high = torch.ceil(border[:, 2:] - 0.5).long().sub(1).clamp(0, size - 1)
    need = ((low > 0) | (high < size - 1)).any(1).nonzero()[:, 0]
    if not len(need):
        return pictures
    low, high = low[need], high[need]
    x = at[None].clamp(low[:, :1], high[:, :1])[:, None, None].expand(-1, pictures.shape[1], size, -1)
    y = at[None].clamp(low[:, 1:], high[:, 1:])[:, None, :, None].expand(-1, pictures.shape[1], -1, size)
    out = pictures.clone()
    out[need] = pictures[need].gather(3, x).gather(2, y)
    return out


def _some(x: Tensor, which: list[int], change) -> Tensor:
    """`change(pictures, rows)` of some pictures only."""
    if not which:
        return x
    if len(which) == len(x):
        return change(x, torch.arange(len(x), device=x.device))
    rows = torch.tensor(which, device=x.device)
    return x.index_copy(0, rows, change(x[rows], rows))


def _blur(sigma: Tensor):
    return lambda x, rows: filters.gaussian(x, sigma[rows], float(sigma[rows].max()))


def _smear(length: Tensor, angle: Tensor):
    return lambda x, rows: filters.motion(x, length[rows], angle[rows], float(length[rows].max()))


def _pixels(rescale: float, size: int) -> int:
    """Real pixels of a side: whole, at least 32; all of them when nothing would be lost."""
    return size if rescale > 0.97 else max(int(round(rescale * size)), min(32, size))


def _shrink(real: Tensor, full: Tensor, soft: Tensor):
    def change(x, rows):
        s = x.shape[-1]
        tent = lambda d: (1 - d.abs()).clamp(min=0)
        a = filters.resampling(full[rows], real[rows], s, tent, widen=True)
        b = filters.resampling(full[rows], real[rows], s, filters.lanczos, widen=True)
        return filters.resample(x, torch.where(soft[rows, None, None], a, b)).clamp(min=0)
    return change


def _enlarge(real: Tensor, full: Tensor, three: Tensor):
    def change(x, rows):
        s = x.shape[-1]
        a = filters.resampling(real[rows], full[rows], s, filters.lanczos, widen=False)
        b = filters.resampling(real[rows], full[rows], s, filters.cubic, widen=False)
        return filters.resample(x, torch.where(three[rows, None, None], a, b))
    return change


def _noisy(x: Tensor, level: Tensor, seeds: Tensor, chances: Tensor, config: SensorConfig) -> Tensor:
    """Noise of light (grows with the root of brightness) and of reading; `level` is its spread in sRGB at middle grey."""
    p, _, s, _ = x.shape
    n = chance.noise(seeds, 4, s, s)
    n = (1 - config.colour) ** 0.5 * n[:, 3:] + config.colour ** 0.5 * n[:, :3]
    grain = (config.grain * chances)[:, None, None, None]
    spread = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(n, (1, 0, 1, 0), mode="replicate"), 2, 1) * 2
    n = (n * (1 - grain) + spread * grain) / ((1 - grain).square() + grain.square() + grain * (1 - grain)).sqrt()
    middle, slope = 0.2140, 1.0353                              # linear value of sRGB 0.5, and d sRGB / d linear there
    one = level[:, None, None, None] / slope / (middle + config.read) ** 0.5
    return x + n * one * (x.clamp(max=1.5) + config.read).sqrt()


def _toned(x: Tensor, gamma: Tensor, knee: float) -> Tensor:
    """Soft shoulder, sRGB curve, gamma of the picture's own."""
    over = (x - knee).clamp(min=0)
    x = x.clamp(max=knee) + (1 - knee) * (1 - torch.exp(-over / (1 - knee)))
    return filters.srgb_from_linear(x.clamp(0, 1)).clamp(0, 1) ** gamma[:, None, None, None]


def _sharpen(strength: Tensor, sigma: float):
    def change(x, rows):
        s = torch.full((len(rows),), max(sigma, 0.6), device=x.device)
        return x + strength[rows, None, None, None] * (x - filters.gaussian(x, s, max(sigma, 0.6)))
    return change


def _file(quality: Tensor, phase: Tensor, halved: bool):
    """The blocks of the file start anywhere: the crop knows nothing of them."""
    def change(x, rows):
        size = x.shape[-1]
        start = (phase[rows] * 16).long()
        at = torch.arange(size + 16, device=x.device)
        pick = (at[None] - start[:, :, None].transpose(0, 1)).clamp(0, size - 1)      # (2, N, size + 16)
        n, c = x.shape[:2]
        wide = x.gather(3, pick[0][:, None, None].expand(-1, c, size, -1)).gather(2, pick[1][:, None, :, None].expand(-1, c, -1, size + 16))
        done = jpeg.compressed(wide, quality[rows], halved)
        back = torch.arange(size, device=x.device)[None] + start.T[:, :, None]
        return done.gather(3, back[0][:, None, None].expand(-1, c, size + 16, -1)).gather(2, back[1][:, None, :, None].expand(-1, c, -1, size))
    return change
