"""RefineTex's losses: Eq. 2 to 8 of the paper with its weights, and what trains our stand-in for its re-identification network.

Pictures and textures are in [-1, 1]. Where the paper leaves something open, the reading is Texformer's release; the other one is a setting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.nets.blocks.warp import gaussian


@dataclass(frozen=True)
class LossConfig:
    """reid, style, face: lambda 1 to 3 of Eq. 5; cycle, uncertainty: lambda 4 and 5 of Eq. 8. parts: labels of the style loss, background
    left out; least: share of a picture below which a part is skipped. per_pixel: Eq. 6 as a mean over pixels instead of the paper's sum.
    off: where in training (0 to 1) the losses on the deep network's own prediction have fallen to nothing; the paper gives no schedule."""

    reid: float = 5000.0
    style: float = 0.4
    face: float = 0.01
    cycle: float = 0.1
    uncertainty: float = 1e-3
    parts: int = 7
    least: float = 0.004
    per_pixel: bool = False
    off: float = 0.5


PRINTED = LossConfig()


def reid_loss(seen: list[Tensor], drawn: list[Tensor]) -> Tensor:
    """Eq. 2 over the stages of the encoder. Each stage's features (B, C, h, w) of photo and rendered picture are flattened and made of length 1;
    mean of squared differences, summed over stages (as released: without the mean, 5000 would mean something else)."""
    unit = lambda x: F.normalize(x.flatten(1), dim=1)
    return sum((unit(a) - unit(b)).square().mean() for a, b in zip(seen, drawn))


def gram(features: Tensor, mask: Tensor) -> Tensor:
    """(B, C, h, w), (B, 1, h, w) -> (B, C, C): products of masked features, over the mask's area."""
    x = (features * mask).flatten(2)
    return x @ x.transpose(1, 2) / mask.flatten(1).sum(1).clamp(min=1e-6)[:, None, None]


def style_loss(seen: Tensor, drawn: Tensor, seen_labels: Tensor, drawn_labels: Tensor, config: LossConfig = PRINTED) -> Tensor:
    """Eq. 3, summed over parts. seen, drawn: the encoder's first features (B, C, h, w) of photo and rendered picture; their labels (B, H, W)
    int64, of the fitted body in place of human parsing. A part that is too small in either picture is skipped there."""
    total = seen.new_zeros(())
    for part in range(1, config.parts + 1):
        masks = [F.interpolate((labels == part).to(seen.dtype)[:, None], seen.shape[2:], mode="nearest") for labels in (seen_labels, drawn_labels)]
        there = torch.stack([m.flatten(1).mean(1) >= config.least for m in masks]).all(0).to(seen.dtype)
        apart = (gram(seen, masks[0]) - gram(drawn, masks[1])).square().mean((1, 2))
        total = total + (apart * there).mean()
    return total


def structure(a: Tensor, b: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """(B,): the contrast and structure term of SSIM, (2 cov + C2) / (var + var + C2), mean over channels and places. Brightness does not
    count, so a face keeps its colours. Only whole windows."""
    taps, channels = gaussian(window, sigma, a), a.shape[1]

    def mean(x: Tensor) -> Tensor:
        x = F.conv2d(x, taps.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
        return F.conv2d(x, taps.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    return ((2 * cov + 0.03**2) / (va + vb + 0.03**2)).flatten(1).mean(1)


def face_loss(texture: Tensor, others: Tensor, mask: Tensor) -> Tensor:
    """Eq. 4, plus 1 (so that 0 is best): texture (B, 3, T, T) against N textures of other, made people (N, 3, T, T), within the mask
    (1, T, T) of the face on the layout; mean over B and N. The paper's others are SURREAL's; ours are the generator's."""
    shown, made = texture * mask, others * mask
    return 1 - torch.stack([structure(shown, one.expand_as(shown)) for one in made]).mean()


def uncertainty_loss(image: Tensor, drawn: Tensor, sigma: Tensor, where: Tensor, config: LossConfig = PRINTED) -> Tensor:
    """Eq. 6: negative log likelihood of a Laplace density, ln(sqrt(2) sigma) + sqrt(2) |I - I^r| / sigma, summed over the pixels and averaged
    over the batch. |.| is the mean of the channels; sigma (B, 1, H, W) > 0; where (B, 1, H, W) in [0, 1]: only where the body is drawn
    and the photo shows the person, as backgrounds have nothing to do with the texture."""
    error = (image - drawn).abs().mean(1, keepdim=True)
    each = (math.log(math.sqrt(2)) + sigma.log() + math.sqrt(2) * error / sigma) * where
    total = each.flatten(1).sum(1)
    return (total / where.flatten(1).sum(1).clamp(min=1)).mean() if config.per_pixel else total.mean()


def cycle_loss(first: Tensor, again: Tensor, where: Tensor | None = None) -> Tensor:
    """Eq. 7: mean square between the texture and the one estimated from its own picture in another view, (B, 3, T, T) both; gradients go both
    ways. where (1 or B, 1, T, T): the layout's charts."""
    apart = (first - again).square()
    if where is None:
        return apart.mean()
    weight = where.expand_as(apart)
    return (apart * weight).sum() / weight.sum().clamp(min=1)


def early_weight(part: float, config: LossConfig = PRINTED) -> float:
    """Weight of the same losses on the deep network's own texture ("progressively turned off"): 1 at part 0, 0 from `off` on."""
    return max(0.0, 1.0 - part / config.off) if config.off > 0 else 0.0


def same_person(codes: Tensor, person: Tensor, heat: float = 0.1) -> Tensor:
    """Trains nets/refinetex/identity.py: codes (B, E) of length 1, person (B,) int64. Every picture should find the others of its person (other
    view, other pose) among all of the batch (Khosla et al. 2020, supervised contrastive). Pictures that are alone only repel."""
    self_ = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    score = (codes @ codes.T / heat).masked_fill(self_, -torch.inf)
    log = score - score.logsumexp(1, keepdim=True)
    same = (person[:, None] == person[None]) & ~self_
    count = same.sum(1)
    each = -torch.where(same, log, torch.zeros_like(log)).sum(1) / count.clamp(min=1)
    return each[count > 0].mean() if (count > 0).any() else codes.sum() * 0
