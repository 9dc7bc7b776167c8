"""The confidence U-Net of Eq. 6: how far the photo and the rendered picture may differ at every pixel. Used in training only."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Convs, single, unit

FLOOR = 1e-3
"""Smallest sigma: the likelihood has no bound where photo and picture agree."""


class ConfidenceNet(nn.Module):
    """Photo (B, 3, H, W) in [-1, 1], H and W multiples of 4 -> sigma (B, 1, H, W), at least FLOOR. 0.6 million parameters at width 128."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.conv1, self.conv4, self.conv5 = single(3, width), single(width, width), single(width, width)
        self.conv2, self.conv3 = Convs(*unit(width, width, 2)), Convs(*unit(width, width, 2))
        self.conv6 = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x1 = self.conv1(image)
        x2 = self.conv2(x1)
        x3 = self.conv3(x2)
        large = lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest")
        y5 = self.conv5(large(self.conv4(x3) + x3)) + x2
        return F.softplus(self.conv6(large(y5) + x1)).clamp(min=FLOOR)
