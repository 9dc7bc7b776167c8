"""Photos that look different while the person stays as it is, and the wanted texture along with them where it must.

Light and colour change photo and wanted texture alike (point by point, the same for both photos of a pair); blur, noise and holes of the matte
change the photo alone. No mirroring: the layout's two sides are not mirror images of each other, and the generator has people from all sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ChangeConfig:
    """Shares of the samples that get each change, and how strong it is; normals: share of the steps that are told predicted normals."""

    tone: float = 0.8
    blur: float = 0.2
    noise: float = 0.4
    noise_most: float = 0.05
    cut: float = 0.2
    cut_side: tuple[float, float] = (0.05, 0.25)
    normals: float = 0.5


def changed(sample: dict[str, Tensor], rng: np.random.Generator, views: int, config: ChangeConfig = ChangeConfig(),
            alike: bool = True) -> dict[str, Tensor]:
    """New image, texture_wanted and mask_seen of a sample (views.FIELDS; what is missing stays so). alike: all photos of a person get the same
    tone."""
    image, count = sample["image"], len(sample["image"])
    row = lambda values: torch.as_tensor(np.asarray(values, np.float32), device=image.device)
    chance = lambda share: row(rng.random(count) < share).view(-1, 1, 1, 1)
    people = count // views if alike else count
    tone = random_tone(rng, people, rng.random(people) < config.tone).repeat_interleave(count // people, 0).to(image.device)
    out = {**sample}
    if "texture_wanted" in sample:
        out["texture_wanted"] = toned(sample["texture_wanted"], tone)
    image = toned(image, tone)
    soft = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    image = torch.lerp(image, soft, chance(config.blur) * row(rng.random(count)).view(-1, 1, 1, 1))
    noise = torch.Generator(image.device).manual_seed(int(rng.integers(2 ** 31)))
    grain = torch.randn(image.shape, generator=noise, device=image.device, dtype=image.dtype)
    out["image"] = (image + chance(config.noise) * row(rng.uniform(0, config.noise_most, count)).view(-1, 1, 1, 1) * grain).clamp(0, 1)
    if "mask_seen" in sample:
        out["mask_seen"] = sample["mask_seen"] * (1 - _boxes(rng, count, image, config))
    return out


def random_tone(rng: np.random.Generator, count: int, on: np.ndarray) -> Tensor:
    """(count, 6) float32: gamma, three gains, contrast, colour; all 1 where on (count,) is False."""
    values = np.concatenate([np.exp(rng.normal(0, 0.15, (count, 1))), np.exp(rng.normal(0, 0.12, (count, 1)) + rng.normal(0, 0.05, (count, 3))),
                             np.exp(rng.normal(0, 0.12, (count, 1))), rng.uniform(0.3, 1.25, (count, 1))], 1)
    return torch.as_tensor(np.where(on[:, None], values, 1.0).astype(np.float32))


def toned(picture: Tensor, tone: Tensor) -> Tensor:
    """Colours (B, 3, H, W) in [0, 1] by the curve of each row of tone (B, 6)."""
    gamma, gain, contrast, colour = (t[:, :, None, None] for t in tone.split([1, 3, 1, 1], 1))
    out = picture.clamp(min=1e-4) ** gamma * gain
    out = (out - 0.5) * contrast + 0.5
    grey = out.mean(1, keepdim=True)
    return (grey + (out - grey) * colour).clamp(0, 1)


def _boxes(rng: np.random.Generator, count: int, like: Tensor, config: ChangeConfig) -> Tensor:
    """(B, H, W) 0 or 1: a rectangle in some pictures."""
    on, low, size = rng.random(count) < config.cut, rng.random((count, 2)), rng.uniform(*config.cut_side, (count, 2))
    out = like.new_zeros(count, *like.shape[-2:])
    side = like.shape[-1]
    for k in np.nonzero(on)[0]:
        y, x = (low[k] * (1 - size[k]) * side).astype(int)
        h, w = np.maximum((size[k] * side).astype(int), 1)
        out[k, y:y + h, x:x + w] = 1
    return out


def guessed_normals(sample: dict[str, Tensor], rng: np.random.Generator) -> Tensor:
    """(B, 3, S, S) unit, 0 off the matte: normals as a network might predict them: the true ones, smooth, and off by about ten degrees."""
    true = sample["normal_front"]
    side = true.shape[-1]
    large = lambda x: F.interpolate(x, (side, side), mode="bilinear", align_corners=False)
    off = torch.as_tensor(rng.normal(0, 0.2, (len(true), 3, 16, 16)).astype(np.float32), device=true.device)
    smooth = large(F.avg_pool2d(true, 4)) + large(off)
    return F.normalize(smooth, dim=1, eps=1e-6) * (sample["mask_seen"] > 0.5)[:, None]
