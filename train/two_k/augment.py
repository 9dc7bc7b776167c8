"""Pictures that look different while the person stays as it is: prints on cloth, light and colour, blur, noise, things in front.

Prints are there so that the network does not take a change of colour for a change of shape. Random numbers come from a numpy generator on
the CPU (noise from a torch generator that it seeds), so a step's pictures are the same on every machine up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class AugmentConfig:
    """Shares of the samples that get each change, and how strong it is."""

    mirror: float = 0.5
    prints: float = 0.3
    print_strength: float = 1.1
    tone: float = 0.9
    blur: float = 0.25
    noise: float = 0.4
    noise_most: float = 0.05
    cut: float = 0.2
    cut_side: tuple[float, float] = (0.05, 0.25)


def augment(sample: dict[str, Tensor], rng: np.random.Generator, config: AugmentConfig = AugmentConfig()) -> dict[str, Tensor]:
    """New image, visible and mask_seen of a sample (data.FIELDS); all else as it was. Tensors of one device, sRGB in [0, 1]."""
    image, count = sample["image"], len(sample["image"])
    row = lambda values: torch.as_tensor(np.asarray(values, np.float32), device=image.device)
    chance = lambda share: row(rng.random(count) < share).view(-1, 1, 1, 1)
    person = (sample["depth_front"] > 0)[:, None] * sample["visible"][:, None].to(image.dtype)

    on = chance(config.prints) * person
    colour = row(rng.normal(0, config.print_strength / 2, (count, 3)) + rng.normal(0, config.print_strength / 2, (count, 1))).view(-1, 3, 1, 1)
    image = image * torch.exp(on * colour * pattern(rng, count, image) / 2.2)         # / 2.2: a factor of light, applied to sRGB

    image = torch.lerp(image, _toned(image.clamp(0, 1), rng, row), chance(config.tone))
    soft = F.avg_pool2d(F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 3, 1), 3, 1)
    image = torch.lerp(image, soft, chance(config.blur) * row(rng.random(count)).view(-1, 1, 1, 1))
    image = image + chance(config.noise) * row(rng.uniform(0, config.noise_most, count)).view(-1, 1, 1, 1) * _normal(image, rng)
    image, hole = _cut(image.clamp(0, 1), chance(config.cut), rng, row, config)
    keep = 1 - hole[:, 0]
    return {**sample, "image": image, "visible": sample["visible"] * keep, "mask_seen": sample["mask_seen"] * keep}


def pattern(rng: np.random.Generator, count: int, like: Tensor) -> Tensor:
    """(B, 1, S, S) in [-1, 1]: bent stripes, spots or soft clouds, each picture its own."""
    side = like.shape[-1]
    row = lambda values: torch.as_tensor(np.asarray(values, np.float32), device=like.device).view(-1, 1, 1, 1)
    at = (torch.arange(side, device=like.device) + 0.5) / side
    angle, waves = rng.uniform(0, np.pi, count), np.exp(rng.uniform(np.log(4), np.log(60), count))
    x, y = at.view(1, 1, 1, -1), at.view(1, 1, -1, 1)
    u, v = row(np.cos(angle)) * x + row(np.sin(angle)) * y, row(-np.sin(angle)) * x + row(np.cos(angle)) * y
    cells = int(rng.choice([4, 8, 16, 32]))
    clouds = torch.as_tensor(rng.normal(size=(count, 1, cells, cells)).astype(np.float32), device=like.device)
    clouds = F.interpolate(clouds, (side, side), mode="bilinear", align_corners=False)
    turn = 2 * np.pi * row(waves)
    stripes = torch.sin(turn * u + 3 * clouds)
    spots = stripes * torch.sin(turn * v + 3 * clouds.flip(-1))
    kind = row(rng.integers(0, 3, count))
    mixed = torch.where(kind == 0, stripes, torch.where(kind == 1, 2 * spots, clouds))
    return torch.tanh(mixed * row(np.exp(rng.uniform(0, np.log(12), count))))


def _toned(image: Tensor, rng: np.random.Generator, row) -> Tensor:
    count, shape = len(image), (-1, 1, 1, 1)
    gamma = row(np.exp(rng.normal(0, 0.15, count))).view(shape)
    gain = row(np.exp(rng.normal(0, 0.15, (count, 1)) + rng.normal(0, 0.05, (count, 3)))).view(-1, 3, 1, 1)
    contrast = row(np.exp(rng.normal(0, 0.15, count))).view(shape)
    colour = row(rng.uniform(0.2, 1.3, count)).view(shape)
    out = image.clamp(min=1e-4) ** gamma * gain
    middle = out.mean((1, 2, 3), keepdim=True)
    out = (out - middle) * contrast + middle
    grey = out.mean(1, keepdim=True)
    return (grey + (out - grey) * colour).clamp(0, 1)


def _normal(like: Tensor, rng: np.random.Generator) -> Tensor:
    chance = torch.Generator(like.device).manual_seed(int(rng.integers(2**31)))
    return torch.randn(like.shape, generator=chance, device=like.device, dtype=like.dtype)


def _cut(image: Tensor, on: Tensor, rng: np.random.Generator, row, config: AugmentConfig) -> tuple[Tensor, Tensor]:
    """A box or an ellipse of another picture of the batch, or of one colour, lies in front. Returns the picture and (B, 1, S, S) where."""
    count, side = len(image), image.shape[-1]
    at = (torch.arange(side, device=image.device) + 0.5) / side
    half = row(rng.uniform(*config.cut_side, (count, 2)) / 2)
    middle = row(rng.uniform(0.1, 0.9, (count, 2)))
    x, y = ((at - middle[:, k:k + 1]) / half[:, k:k + 1] for k in (0, 1))
    x, y = x[:, None, None, :], y[:, None, :, None]
    round_ = row(rng.random(count) < 0.5).view(-1, 1, 1, 1)
    hole = on * torch.where(round_ > 0, (x * x + y * y < 1).float(), ((x.abs() < 1) & (y.abs() < 1)).float())
    plain = row(rng.random((count, 3))).view(-1, 3, 1, 1)
    other = torch.where(row(rng.random(count) < 0.5).view(-1, 1, 1, 1) > 0, image.roll(1, 0).flip(-2), plain)
    return torch.lerp(image, other, hole), hole
