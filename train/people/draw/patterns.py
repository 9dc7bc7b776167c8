"""Patterns of fabrics, each a function (place, colours) -> linear RGB. All are averaged over the pixel, roughly, so that they do not flicker."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .motifs import glyph, motif
from .noise import noise, uniform


@dataclass(frozen=True)
class Place:
    """N places on cloth. a, b (N,): periods along and across the pattern (turned by its angle); x, y (N,) metres across and up the body;
    rest (N, 3); pixel (N,) periods a pixel spans; metres (N,) the same in metres; scale (N,) metres of a period; seed (N,); chance (N, 8) in
    [0, 1): numbers of the material."""

    a: Tensor
    b: Tensor
    x: Tensor
    y: Tensor
    rest: Tensor
    pixel: Tensor
    metres: Tensor
    scale: Tensor
    seed: Tensor
    chance: Tensor


def pulse(t: Tensor, duty: Tensor | float, width: Tensor) -> Tensor:
    """Average over [t - width / 2, t + width / 2] of what is 1 in the first `duty` of each period and 0 in the rest."""
    w = width.clamp(min=1e-3)
    area = lambda s: torch.floor(s) * duty + torch.minimum(s - torch.floor(s), torch.as_tensor(duty, dtype=s.dtype, device=s.device))
    return ((area(t + w / 2) - area(t - w / 2)) / w).clamp(0, 1)


def ramp(distance: Tensor, width: Tensor) -> Tensor:
    """1 inside (distance < 0), 0 outside, over one pixel."""
    return (0.5 - distance / width.clamp(min=1e-3)).clamp(0, 1)


def over(base: Tensor, colour: Tensor, cover: Tensor) -> Tensor:
    return base + (colour - base) * cover[:, None]


def cells(p: Place, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Whole cells (int32) and the place within, from -0.5 to 0.5."""
    a, b = p.a * scale, p.b * scale
    i, j = torch.floor(a), torch.floor(b)
    return i.to(torch.int32), j.to(torch.int32), a - i - 0.5, b - j - 0.5


def draw_of(p: Place, i: Tensor, j: Tensor, k: int) -> Tensor:
    """A number in [0, 1) for each cell."""
    return uniform(i, j, torch.full_like(i, k), p.seed.to(torch.int32))


def stripes(p: Place, c: Tensor) -> Tensor:
    out = over(c[:, 0], c[:, 1], pulse(p.b, 0.2 + 0.4 * p.chance[:, 0], p.pixel))
    thin = pulse(p.b + 0.15 - p.chance[:, 2] * 0.3, 0.06, p.pixel) * (p.chance[:, 1] > 0.6)
    return over(out, c[:, 2], thin)


def checks(p: Place, c: Tensor) -> Tensor:
    duty = 0.3 + 0.25 * p.chance[:, 0]
    u, v = pulse(p.a, duty, p.pixel), pulse(p.b, duty, p.pixel)
    woven = over(c[:, 0], c[:, 1], (u + v) / 2)                        # gingham: two threads of each colour mix
    board = over(c[:, 0], c[:, 1], u + v - 2 * u * v)
    out = torch.where((p.chance[:, 1] > 0.85)[:, None], board, woven)
    lines = 0.8 * torch.maximum(pulse(p.a - duty / 2, 0.05, p.pixel), pulse(p.b - duty / 2, 0.05, p.pixel))
    return over(out, c[:, 2], lines * (p.chance[:, 2] > 0.45))


def dots(p: Place, c: Tensor) -> Tensor:
    shifted = Place(p.a + 0.5 * (torch.floor(p.b) % 2), *(getattr(p, k) for k in tuple(Place.__dataclass_fields__)[1:]))
    i, j, u, v = cells(shifted)
    radius = 0.16 + 0.22 * p.chance[:, 0]
    dot = ramp((u * u + v * v).sqrt() - radius, p.pixel)
    blur = (p.pixel - 0.5).clamp(0, 1)
    cover = dot * (1 - blur) + 3.14159 * radius * radius * blur
    return over(c[:, 0], torch.where((draw_of(p, i, j, 1) < 0.5 * (p.chance[:, 1] > 0.6))[:, None], c[:, 2], c[:, 1]), cover)


def printed(p: Place, c: Tensor) -> Tensor:
    """A motif on the chest, sometimes on the back, or small ones all over."""
    chest = 0.30 + 0.06 * p.chance[:, 0]
    u, v = p.x / p.scale, (p.y - chest) / p.scale
    rear = torch.remainder(p.x / 0.14 + 6.2831853, 6.2831853) - 3.1415927
    u = torch.where((p.rest[:, 1] > 0.02) & (p.chance[:, 5] > 0.5), rear * 0.14 / p.scale, u)
    small = p.chance[:, 1] > 0.8
    i, j, su, sv = cells(p, 3.0)
    cover, inner = motif(torch.where(small, su * 1.3, u), torch.where(small, sv * 1.3, v), p.seed, torch.where(small, 4 * p.pixel, p.pixel))
    sleeve = p.rest[:, 0].abs() > 0.20
    cover = torch.where(sleeve & ~small, 0, cover)
    return over(over(c[:, 0], c[:, 1], cover), c[:, 2], inner * cover)


def denim(p: Place, c: Tensor) -> Tensor:
    yarn = pulse((p.x + p.y) / 0.0022, 0.5, p.metres / 0.0022)
    out = over(c[:, 0], c[:, 1], 0.6 * yarn)
    streak = noise(p.rest * p.rest.new_tensor([220.0, 220.0, 22.0]), p.seed) - 0.4
    thigh = torch.exp(-((p.y + 0.17) / 0.16) ** 2) * (p.rest[:, 1] < 0) * p.chance[:, 0]
    worn = (0.45 * streak.clamp(min=0) + 0.55 * thigh * noise(p.rest * 25, p.seed + 3)).clamp(0, 0.8)
    out = over(out, c[:, 2], worn)
    seam = (p.x.abs() - 0.22).abs()                                    # the side seam, two rows of stitches
    return over(out * (1 - 0.25 * ramp(seam - 0.004, p.metres))[:, None], c.new_tensor([0.35, 0.18, 0.06]).expand_as(out),
                0.7 * ramp((seam - 0.006).abs() - 0.0008, p.metres) * pulse(p.y / 0.005, 0.6, p.metres / 0.005))


def text(p: Place, c: Tensor) -> Tensor:
    """Rows of letters on the chest, or all over the cloth."""
    rows = 2 + torch.floor(3 * p.chance[:, 0])
    everywhere = p.chance[:, 1] > 0.75
    height = p.scale / 3.0                                             # of a row
    top = 0.42 - 0.05 * p.chance[:, 2]
    x, y = torch.where(everywhere, p.a * p.scale, p.x) / height, torch.where(everywhere, p.b * p.scale, top - p.y) / height
    row = torch.floor(y)
    line = uniform(row.to(torch.int32), torch.full_like(row, 5).to(torch.int32), p.seed.to(torch.int32))
    half = (0.13 + 0.05 * p.chance[:, 3]) * (0.5 + 0.5 * line) / height
    there = everywhere | ((y >= 0) & (row < rows) & (x.abs() < half) & (p.rest[:, 1] < 0.02) & (p.rest[:, 0].abs() < 0.2))
    cover = glyph(x / 0.72, y, p.seed, p.metres / height) * there
    return over(c[:, 0], torch.where((line > 0.7)[:, None], c[:, 2], c[:, 1]), cover)


def camouflage(p: Place, c: Tensor) -> Tensor:
    q = p.rest / p.scale[:, None] * 2.2
    field = lambda k: 0.65 * noise(q, p.seed + k) + 0.35 * noise(q * 2.3, p.seed + k + 1)
    soft = (p.pixel * 2).clamp(min=0.01)
    out = over(c[:, 0], c[:, 1], ramp(0.52 - field(0), soft * 0.5))
    out = over(out, c[:, 2], ramp(0.57 - field(11), soft * 0.5))
    return over(out, 0.3 * c.amin(1), ramp(0.66 - field(23), soft * 0.5))


def knit(p: Place, c: Tensor) -> Tensor:
    """Columns of stitches like V's; sometimes a band of another colour and thick cables."""
    fold = (p.a - torch.floor(p.a) - 0.5).abs()
    stitch = pulse(p.b + fold, 0.55, p.pixel)
    column = 1 - 0.5 * pulse(p.a + 0.06, 0.12, p.pixel)
    rib = 0.9 + 0.1 * torch.cos(6.2831853 * p.x / 0.03) * (p.chance[:, 0] > 0.5)
    band = pulse(p.y / 0.16 + p.chance[:, 1], 0.25, p.metres / 0.16) * (p.chance[:, 2] > 0.65)
    jag = pulse(p.a / 6, 0.5, p.pixel / 6) * pulse(p.b / 4, 0.5, p.pixel / 4)
    out = over(over(c[:, 0], c[:, 1], band), c[:, 2], band * jag)
    return out * ((0.62 + 0.38 * stitch) * column * rib)[:, None]


def flowers(p: Place, c: Tensor) -> Tensor:
    out = over(c[:, 0], 0.7 * c[:, 0], noise(p.rest / p.scale[:, None] * 3, p.seed))
    for k in (0, 1):
        i, j, u, v = cells(Place(p.a + 0.5 * k, p.b + 0.5 * k, *(getattr(p, n) for n in tuple(Place.__dataclass_fields__)[2:])))
        u, v = u - 0.3 * (draw_of(p, i, j, 2 + 10 * k) - 0.5), v - 0.3 * (draw_of(p, i, j, 3 + 10 * k) - 0.5)
        size = 0.16 + 0.18 * draw_of(p, i, j, 4 + 10 * k)
        petals = torch.floor(4 + 3 * draw_of(p, i, j, 5 + 10 * k))
        r, angle = (u * u + v * v).sqrt(), torch.atan2(v, u)
        edge = size * (0.68 + 0.32 * torch.cos(petals * angle + 6.28 * draw_of(p, i, j, 6 + 10 * k)))
        shade = (c[:, 1] if k == 0 else 0.5 * (c[:, 1] + c[:, 2])) * (0.75 + 0.5 * (r / size).clamp(0, 1))[:, None]
        there = (draw_of(p, i, j, 7 + 10 * k) < 0.85).float()
        out = over(out, shade, ramp(r - edge, p.pixel) * there)
        out = over(out, c[:, 2], ramp(r - 0.25 * size, p.pixel) * there)
    return out


def gradient(p: Place, c: Tensor) -> Tensor:
    t = ((0.45 - p.y) / p.scale + 0.3 * (p.chance[:, 0] - 0.5)).clamp(0, 1)
    t = torch.where(p.chance[:, 1] > 0.8, torch.floor(4 * t) / 4, t)
    return over(over(c[:, 0], c[:, 1], (2 * t).clamp(max=1)), c[:, 2], (2 * t - 1).clamp(min=0))


def blocks(p: Place, c: Tensor) -> Tensor:
    """Large fields of the three colours, seams between them."""
    i, j, u, v = cells(p)
    pick = draw_of(p, i * (p.chance[:, 0] > 0.5), j, 3)
    out = torch.where((pick < 0.4)[:, None], c[:, 0], torch.where((pick < 0.75)[:, None], c[:, 1], c[:, 2]))
    seam = 0.5 - torch.maximum(u.abs() * (p.chance[:, 0] > 0.5), v.abs())
    return out * (1 - 0.3 * ramp(seam - 0.002 / p.scale, p.pixel))[:, None]


PATTERNS = {"stripes": stripes, "checks": checks, "dots": dots, "print": printed, "denim": denim, "text": text, "camouflage": camouflage,
            "knit": knit, "flowers": flowers, "gradient": gradient, "blocks": blocks}
"""Every kind of recipe.FABRICS but "texture" (a picture) and "plain" (the first colour)."""
