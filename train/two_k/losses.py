"""What COMPACT's answers cost, and how good they are in degrees and millimetres.

Depths are judged in hundredths of the canvas's side (1: about 2 cm of a whole person), slopes in pixels per pixel, normals by the length of
their error (about radians). Uncertainties learn the size of the errors (Laplace likelihood) but do not excuse them: errors enter
the likelihood as plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.nets.two_k.door import PERCENT
from neural.nets.two_k.ours import Base, slopes

from ..losses.two_k import laplace
from .data import Targets, plane


@dataclass(frozen=True)
class Weights:
    """back: of the far side's normals and depths beside the near one's. detail: of the normals' changes from pixel to pixel, in patches. steep: slopes beyond this (pixels per pixel) are steps from one limb to
    the next, not surface."""

    normal: float = 1.0
    depth: float = 0.25
    slope: float = 0.25
    mask: float = 0.5
    doubt: float = 0.1
    back: float = 0.6
    detail: float = 1.0
    steep: float = 4.0


WEIGHTS = Weights()


def mean(value: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean; 0 where nothing weighs."""
    weight = weight.expand_as(value)
    return (value * weight).sum() / weight.sum().clamp(min=1e-6)


def sided(value: Tensor, weight: Tensor, back: float) -> Tensor:
    """(B, 2, H, W) front and back, weight (B, 1, H, W) or (B, 2, H, W) -> mean."""
    weight = weight.expand_as(value)
    return (mean(value[:, :1], weight[:, :1]) + back * mean(value[:, 1:], weight[:, 1:])) / (1 + back)


def chord(a: Tensor, b: Tensor) -> Tensor:
    """(B, 6, H, W) unit normals -> (B, 2, H, W) lengths of the differences."""
    return ((a - b).unflatten(1, (2, 3)).square().sum(2) + 1e-8).sqrt()


def degrees(length: Tensor) -> Tensor:
    return torch.rad2deg(2 * torch.asin((length / 2).clamp(max=1)))


def normal_loss(out: Tensor, normals: Tensor, weight: Tensor, w: Weights = WEIGHTS) -> tuple[Tensor, dict[str, Tensor]]:
    """out (B, 8, H, W): unit normals and log uncertainties; normals (B, 6, H, W); weight (B, 1, H, W)."""
    out = out.float()
    miss = chord(out[:, :6], normals)
    loss = w.normal * sided(miss, weight, w.back) + w.doubt * sided(laplace(miss.detach(), out[:, 6:]), weight, w.back)
    angle = degrees(miss.detach())
    return loss, {"front_deg": mean(angle[:, :1], weight), "back_deg": mean(angle[:, 1:], weight)}


REACHES = (1, 4)
"""Pixels between the two normals of which `detail_loss` compares the difference."""


def detail_loss(out: Tensor, normals: Tensor, weight: Tensor, w: Weights = WEIGHTS) -> Tensor:
    """How wrongly normals change over some pixels: what a patch is there for. What the coarse normals have wrong as a whole, a patch can
    hardly know, and it would drown the folds. Arguments as normal_loss."""
    error = (out[:, :6].float() - normals).unflatten(1, (2, 3))
    total = 0.0
    for reach in REACHES:
        for axis in (-1, -2):
            n = error.shape[axis] - reach
            change = error.narrow(axis, reach, n) - error.narrow(axis, 0, n)
            shown = torch.minimum(weight.narrow(axis, reach, n), weight.narrow(axis, 0, n))
            total = total + sided((change.square().sum(2) + 1e-6).sqrt(), shown, w.back) / (2 * len(REACHES))
    return w.detail * total


def steps(depth: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the next pixel in x and y, per pixel, of depths in sides of the canvas."""
    side = depth.shape[-1]
    return (depth[..., 1:] - depth[..., :-1]) * side, (depth[..., 1:, :] - depth[..., :-1, :]) * side


def both(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The weight of two neighbours: the smaller."""
    return torch.minimum(weight[..., 1:], weight[..., :-1]), torch.minimum(weight[..., 1:, :], weight[..., :-1, :])


def slopes_of(normals: Tensor, depth: Tensor, rays: Tensor, focal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True normals (B, 6, H, W), depths (B, 2, H, W), rays (B, 2, H, W), focal (B,) in sides -> slopes in x and y (B, 2, H, W), pixels per
    pixel, and where they are meant (B, 2, H, W): a surface seen edge-on has none."""
    n = slopes(normals, rays).unflatten(1, (2, 3))
    along = n[:, :, 2] * n.new_tensor([-1.0, 1.0]).view(1, 2, 1, 1)       # front normals look to the camera
    flat = (along > 0.25) & (normals.unflatten(1, (2, 3))[:, :, 2].abs() > 0.05)   # those laid onto the horizon are not exact
    k = (1 + depth / focal.view(-1, 1, 1, 1)) / torch.where(flat, n[:, :, 2], 1)
    return -n[:, :, 0] * k, -n[:, :, 1] * k, flat.float()


def depth_loss(raw: Tensor, t: Targets, w: Weights = WEIGHTS, rays: Tensor | None = None,
               focal: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """raw (B, 5, H, W); t of the same size. With rays and focal the slopes are those of the true normals, which have finer folds than
    the depths; without, those of the true depths."""
    raw = raw.float()
    miss = (raw[:, :2] - t.depth).abs() / PERCENT
    got, want, weight = steps(raw[:, :2]), steps(t.depth), both(t.inner.expand(-1, 2, -1, -1))
    if rays is not None:
        x, y, flat = slopes_of(t.normals, t.depth + plane(t.lean, t.depth.shape[-1]), rays, focal)
        x, y = (a - t.lean[:, k].view(-1, 1, 1, 1) for k, a in enumerate((x, y)))
        want = tuple(torch.where(a.abs() < w.steep, b, a) for a, b in zip(want, (_halfway(x)[0], _halfway(y)[1])))
        weight = tuple(a * b for a, b in zip(weight, both(flat)))
    bend = sum(sided((g - v).abs().clamp(max=2 * w.steep), a * (v.abs() < w.steep), w.back) for g, v, a in zip(got, want, weight)) / 2
    cover = mean(F.binary_cross_entropy_with_logits(raw[:, 2:3], t.mask, reduction="none"), t.outer)
    loss = (w.depth * sided(miss, t.inner, w.back) + w.slope * bend + w.mask * cover
            + w.doubt * sided(laplace(miss.detach(), raw[:, 3:]), t.inner, w.back))
    return loss, {"depth_pc": sided(miss.detach(), t.inner, w.back), "slope": bend.detach(), "mask_bce": cover.detach()}


def _halfway(value: Tensor) -> tuple[Tensor, Tensor]:
    return (value[..., 1:] + value[..., :-1]) / 2, (value[..., 1:, :] + value[..., :-1, :]) / 2


@torch.no_grad()
def scores(normals: Tensor, depth: Tensor, mask: Tensor, t: Targets, unit: Tensor, inside: Tensor) -> dict[str, Tensor]:
    """normals (B, 6, S, S) unit, depth (B, 2, S, S) sides, mask (B, 1, S, S) bool, unit (B,) metres a side -> named numbers (B,): degrees and
    millimetres where the photo shows the person, intersection over union within the photo. depth_mm: less the mean error of both sides."""
    count = t.seen.sum((1, 2, 3)).clamp(min=1)
    angle = degrees(chord(normals, t.normals)) * t.seen
    miss = (depth - t.depth) * 1000 * unit.view(-1, 1, 1, 1) * t.seen
    offset = miss.sum((1, 2, 3)) / (2 * count)
    away = (miss - offset.view(-1, 1, 1, 1) * t.seen).abs().sum((1, 2, 3)) / (2 * count)
    a, b = mask & (inside > 0), (t.mask > 0) & (inside > 0)
    iou = (a & b).sum((1, 2, 3)) / (a | b).sum((1, 2, 3)).clamp(min=1)
    return {"front_deg": angle[:, 0].sum((1, 2)) / count, "back_deg": angle[:, 1].sum((1, 2)) / count, "depth_mm": away,
            "depth_abs_mm": miss.abs().sum((1, 2, 3)) / (2 * count), "mask_iou": iou}


def body_scores(base: Base, t: Targets, unit: Tensor, inside: Tensor) -> dict[str, Tensor]:
    """The same of the fitted body, carried on beyond its edge as the network gets it."""
    return {f"body_{k}": v for k, v in scores(base.normals, base.depth, base.hit > 0.5, t, unit, inside).items()}
