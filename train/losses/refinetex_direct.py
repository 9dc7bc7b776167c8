"""What COMPACT also learns from: our people's true textures, which the paper does not have."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from neural.nets.refinetex.compact import Guess, Output
from .two_k import laplace


@dataclass(frozen=True)
class DirectConfig:
    """likelihood, colour, edges: weights of the terms on every texture; early: weight of the texture before the refinement; scales: halvings
    of the layout that `colour` is summed over; hidden: weight of texels that the photo does not show."""

    likelihood: float = 0.2
    colour: float = 1.0
    edges: float = 0.5
    early: float = 0.3
    scales: int = 4
    hidden: float = 0.5


DIRECT = DirectConfig()


def colour_loss(texture: Tensor, target: Tensor, weight: Tensor, scales: int) -> Tensor:
    """Weighted mean of |texture - target| at full size and halved again and again (so that a flow that misses by pixels still has a gradient)."""
    error, total = (texture - target) * weight, texture.new_zeros(())
    for k in range(scales):
        if k:
            error, weight = F.avg_pool2d(error, 2), F.avg_pool2d(weight, 2)
        total = total + error.abs().sum() / (3 * weight.sum()).clamp(min=1e-3)
    return total / scales


def edge_loss(texture: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the difference of both gradients: keeps what is copied sharp. Neighbours with different weight 0 do not count."""
    total = texture.new_zeros(())
    for axis in (2, 3):
        near = weight.narrow(axis, 1, weight.shape[axis] - 1) * (weight.narrow(axis, 0, weight.shape[axis] - 1) > 0)
        total = total + ((texture.diff(dim=axis) - target.diff(dim=axis)).abs() * near).sum() / (3 * near.sum()).clamp(min=1e-3)
    return total / 2


def texture_loss(guess: Guess, target: Tensor, known: Tensor, shown: Tensor, config: DirectConfig = DIRECT) -> tuple[Tensor, dict[str, Tensor]]:
    """One texture against the truth: target (B, 3, T, T) in [-1, 1], known and shown (B, 1, T, T) 0 or 1 (train/refinetex/views.py, `target`)."""
    texture, weight = guess.texture, known * (config.hidden + (1 - config.hidden) * shown)
    error = (texture - target).abs().mean(1, keepdim=True)
    sure = (laplace(error.detach(), guess.log_scale) * weight).sum() / weight.sum().clamp(min=1e-3)      # teaches the scale, not the colour
    terms = {"colour": config.colour * colour_loss(texture, target, weight, config.scales),
             "edges": config.edges * edge_loss(texture, target, weight * shown), "likelihood": config.likelihood * sure}
    return sum(terms.values()), {k: v.detach() for k, v in terms.items()}


def direct_loss(out: Output, target: Tensor, known: Tensor, shown: Tensor, config: DirectConfig = DIRECT) -> tuple[Tensor, dict[str, Tensor]]:
    """All textures of COMPACT's output of the target's size; `fine` is trained where its own target is given to `texture_loss`."""
    loss, terms = texture_loss(out.last, target, known, shown, config)
    if out.early is not out.last:
        early, _ = texture_loss(out.early, target, known, shown, config)
        loss, terms = loss + config.early * early, {**terms, "early": (config.early * early).detach()}
    return loss, terms
