"""2K2K's losses (Eq. 8-10) as printed, the release's differences behind named options, and the likelihood that gives COMPACT its confidence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.nets.blocks.warp import gaussian


@dataclass(frozen=True)
class LossConfig:
    """alpha, beta, gamma: weights of Eq. 8-10. Of the release:

    normal_factor  all of Eq. 8 is multiplied by it.
    per_entry      L1, smooth L1 and BCE are summed over the batch's entries, each a mean: a group of four patches weighs four times.
    twice          the mask goes through the sigmoid again inside the cross-entropy, so that 0 and 1 cannot be reached.
    """

    alpha: float = 0.85
    beta: float = 0.15
    gamma: float = 0.15
    normal_factor: float = 1.0
    per_entry: bool = False
    twice: bool = False


PRINTED = LossConfig()
RELEASED = LossConfig(gamma=1.0, normal_factor=0.5, per_entry=True, twice=True)


def _reduced(each: Tensor, per_entry: bool) -> Tensor:
    return each.flatten(1).mean(1).sum() if per_entry else each.mean()


def l1(pred: Tensor, target: Tensor, per_entry: bool = False) -> Tensor:
    """Mean of |pred - target|."""
    return _reduced((pred - target).abs(), per_entry)


def smooth_l1(pred: Tensor, target: Tensor, per_entry: bool = False) -> Tensor:
    """Mean of d^2 / 2 below 1, |d| - 1/2 above."""
    return _reduced(F.smooth_l1_loss(pred, target, reduction="none"), per_entry)


def bce(mask: Tensor, target: Tensor, per_entry: bool = False) -> Tensor:
    """Binary cross-entropy of logits; `depth_loss` hands probabilities in where the release does."""
    return _reduced(F.binary_cross_entropy_with_logits(mask, target, reduction="none"), per_entry)


def ssim(a: Tensor, b: Tensor, window: int = 5, sigma: float = 1.5) -> Tensor:
    """Mean structural similarity (Wang et al. 2004) of (B, C, H, W) with a data range of 1; negative channels count as 0. Only whole windows."""
    taps = gaussian(window, sigma, a)
    channels = a.shape[1]

    def mean(x: Tensor) -> Tensor:
        x = F.conv2d(x, taps.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
        return F.conv2d(x, taps.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    value = (2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * (2 * cov + c2) / (va + vb + c2)
    return value.flatten(2).mean(2).relu().mean()


def normal_loss(pairs: list[tuple[Tensor, Tensor]], config: LossConfig = PRINTED) -> Tensor:
    """Eq. 8. pairs: (predicted, true) normals of the coarse maps and of every part group, each (N, 3 or 6, h, w), in [0, 1]."""
    total = sum(config.alpha * l1(p, t, config.per_entry) + config.beta * (1 - ssim(p, t)) for p, t in pairs)
    return config.normal_factor * total


def depth_loss(depth: tuple[Tensor, Tensor], normals: tuple[Tensor, Tensor], mask: tuple[Tensor, Tensor],
               config: LossConfig = PRINTED) -> Tensor:
    """Eq. 9 (coarse) and Eq. 10 (high resolution): (predicted, true) depths (B, 2, H, W), normals made from the depths (B, 6, H, W), and
    mask (B, 1, H, W), predicted as logits. The release takes only the pixels' normals that have a true depth: give zeros there."""
    shown = torch.sigmoid(mask[0]) if config.twice else mask[0]
    return (config.alpha * smooth_l1(*depth, config.per_entry) + config.beta * smooth_l1(*normals, config.per_entry)
            + config.gamma * bce(shown, mask[1], config.per_entry))


LOG_RANGE = (-6.0, 3.0)


def laplace(error: Tensor, log_scale: Tensor) -> Tensor:
    """Negative log likelihood, per pixel, of an error >= 0 under a Laplace density of scale exp(log_scale) (Kendall and Gal 2017, §3;
    COMPACT's confidence). The best log_scale is the log of the expected error."""
    log_scale = log_scale.clamp(*LOG_RANGE)
    return error * torch.exp(-log_scale) + log_scale
