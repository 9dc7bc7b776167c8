"""Eq. 8 of RefineTex put together, for any network that estimates a texture and any renderer that is differentiable in the texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import torch
from torch import Tensor

from .refinetex import PRINTED, LossConfig, cycle_loss, early_weight, face_loss, reid_loss, style_loss, uncertainty_loss


@dataclass(frozen=True)
class Shot:
    """A photo of B people, and how their fitted bodies stand in it. Pictures in [-1, 1], all of one size H x W.

    image       (B, 3, H, W) the photo.                    person (B, 1, H, W) in [0, 1]: where it shows the person.
    background  (B, 3, H, W) what renderings are laid on: the photo itself, or another picture (the release: random streets).
    body        (B, 1, H, W) 0 or 1: where the rendering draws the body.    labels (B, H, W) int64: the body's parts there, 0 = background.
    view        whatever the estimator and the renderer take of this photo besides the picture.
    """

    image: Tensor
    person: Tensor
    background: Tensor
    body: Tensor
    labels: Tensor
    view: Any


Estimate = Callable[[Tensor, Any], tuple[Tensor, Tensor | None]]
"""(picture (B, 3, H, W), Shot.view) -> texture (B, 3, T, T), and the deep network's own one, or None. For PAPER: door, network and Eq. 1."""

Render = Callable[[Tensor, Any, Tensor], Tensor]
"""(texture (B, 3, T, T), Shot.view, background (B, 3, H, W)) -> picture (B, 3, H, W); differentiable in texture and background. Fixed geometry
is enough: nets/refinetex/render.py."""


@dataclass(frozen=True)
class Helpers:
    """features: pictures -> the maps of the re-identification encoder (frozen: Identity.features); confidence: photo -> sigma (trained along);
    faces (N, 3, T, T): textures of other, made people; face (1, T, T): where the face (and hands) are on the layout; charts (1, T, T)."""

    features: Callable[[Tensor], list[Tensor]]
    confidence: Callable[[Tensor], Tensor]
    faces: Tensor
    face: Tensor
    charts: Tensor


def base(texture: Tensor, shots: tuple[Shot, ...], render: Render, helpers: Helpers, seen: list[list[Tensor]],
         config: LossConfig = PRINTED) -> tuple[Tensor, list[Tensor]]:
    """Eq. 5 of one texture in every shot, summed (same view, novel view), and its renderings. seen: the features of the shots' photos."""
    face, total, drawn = face_loss(texture, helpers.faces, helpers.face), texture.new_zeros(()), []
    for shot, features in zip(shots, seen):
        picture = render(texture, shot.view, shot.background)
        found = helpers.features(picture)
        style = style_loss(features[0], found[0], shot.labels, shot.labels, config)
        total = total + config.reid * reid_loss(features, found) + config.style * style + config.face * face
        drawn.append(picture)
    return total, drawn


def total(estimate: Estimate, render: Render, helpers: Helpers, first: Shot, second: Shot, part: float = 1.0,
          config: LossConfig = PRINTED) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 8 for a photo and another of the same people (other view, other pose). part: 0 to 1 of training. Terms of weight 0 are not computed.

    Returns the loss and its parts, each as it is added.
    """
    texture, early = estimate(first.image, first.view)
    shots = (first, second)
    with torch.no_grad():
        seen = [helpers.features(shot.image) for shot in shots]
    terms: dict[str, Tensor] = {}
    terms["base"], drawn = base(texture, shots, render, helpers, seen, config)
    if config.uncertainty:
        where = first.body * first.person
        terms["uncertainty"] = config.uncertainty * uncertainty_loss(first.image, drawn[0], helpers.confidence(first.image), where, config)
    if config.cycle:
        again, _ = estimate(drawn[1], second.view)
        terms["cycle"] = config.cycle * cycle_loss(texture, again, helpers.charts)
    weight = early_weight(part, config)
    if early is not None and weight > 0:
        terms["early"] = weight * base(early, shots, render, helpers, seen, config)[0]
    return sum(terms.values()), {k: v.detach() for k, v in terms.items()}
