"""How near a texture is to the true one, within any part of the layout; and the fills without a network that it must beat."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.nets.blocks.fill import filled
from neural.nets.blocks.warp import gaussian
from neural.nets.refinetex.compact import copies
from neural.nets.refinetex.door import copied_from
from neural.nets.refinetex.layout import Layout
from neural.nets.refinetex.view import View, texels_of

GREY = (0.299, 0.587, 0.114)


def psnr(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """(B,) dB of textures (B, 3, T, T) in [0, 1] over where (B, 1, T, T) 0 or 1; at most 99; NaN where there is nothing to compare."""
    count = where.flatten(1).sum(1)
    error = ((a - b).square().mean(1, keepdim=True) * where).flatten(1).sum(1) / count.clamp(min=1)
    return torch.where(count > 0, (-10 * error.clamp(min=1e-12).log10()).clamp(max=99), torch.nan)


def ssim(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """(B,) mean structural similarity of luma (Wang et al. 2004: window 11, sigma 1.5) over `where`; windows hold only what lies in it, so that
    no border of a chart counts. NaN where there is nothing."""
    taps = gaussian(11, 1.5, a)
    luma = lambda x: (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    blur = lambda x: F.conv2d(F.conv2d(x, taps.view(1, 1, -1, 1), padding=(5, 0)), taps.view(1, 1, 1, -1), padding=(0, 5))
    weight = blur(where).clamp(min=1e-6)
    mean = lambda x: blur(x * where) / weight
    x, y = luma(a), luma(b)
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    value = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))
    count = where.flatten(1).sum(1)
    return torch.where(count > 0, (value * where).flatten(1).sum(1) / count.clamp(min=1), torch.nan)


def scores(texture: Tensor, wanted: Tensor, known: Tensor, shown: Tensor) -> dict[str, Tensor]:
    """(B,) each; textures (B, 3, T, T) in [-1, 1]. hidden_*: where the photo shows nothing; hidden_error: mean difference, 0 to 255."""
    a, b = (texture.float().clamp(-1, 1) + 1) / 2, (wanted + 1) / 2
    hidden = known * (1 - shown)
    count = hidden.flatten(1).sum(1)
    away = ((a - b).abs().mean(1, keepdim=True) * hidden).flatten(1).sum(1) * 255
    return {"hidden_error": torch.where(count > 0, away / count.clamp(min=1), torch.nan), "hidden_psnr": psnr(a, b, hidden),
            "hidden_ssim": ssim(a, b, hidden), "psnr": psnr(a, b, known), "ssim": ssim(a, b, known)}


def fills(view: View, shape: Layout) -> dict[str, Tensor]:
    """(B, 3, T, T) in [-1, 1] each, without a network. diffusion: what is seen spread over the layout; mirror: every texel has the photo's colour
    on its ray, seen or not (the back has the front's), diffusion beyond the photo."""
    texels = texels_of(view, shape)
    photo = copied_from((2 * view.image - 1) * view.inside, view.matte * view.inside)[:, :3]
    found = copies(torch.cat([photo, view.inside], 1), texels.flow[:, :1])[:, 0] * shape.charts
    mirror, there, seen = found[:, :3], (found[:, 3:] > 0.99).to(found.dtype), texels.seen[:, :1]
    diffusion = filled(mirror * seen, seen) * shape.charts
    return {"mirror": there * mirror + (1 - there) * diffusion, "diffusion": diffusion}
