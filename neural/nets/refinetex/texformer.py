"""Texformer (Xu and Loy 2021), the deep network of RefineTex, as released: from photo and part labels to flow, colours and mask on the UV layout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PaperConfig
from .layers import AttentionUnit, Convs, double, down, single, unit, up


@dataclass(frozen=True)
class Prediction:
    """flow (B, 2, T, T) in [-1, 1]: where a texel lies in the photo, x then y, -1 and 1 its outer edges; rgb (B, 3, T, T) in [-1, 1];
    mask (B, 1, T, T) in [0, 1]: how far the texel is copied (the paper calls it binary; it is a sigmoid)."""

    flow: Tensor
    rgb: Tensor
    mask: Tensor

    @staticmethod
    def of(raw: Tensor) -> "Prediction":
        """From the head's (B, 6, T, T)."""
        return Prediction(torch.tanh(raw[:, :2]), torch.tanh(raw[:, 2:5]), torch.sigmoid(raw[:, 5:]))

    def sampled(self, image: Tensor) -> Tensor:
        """(B, 3, T, T): the photo (B, 3, H, W) at the flow, bilinear, 0 outside."""
        return F.grid_sample(image, self.flow.permute(0, 2, 3, 1), mode="bilinear", padding_mode="zeros", align_corners=False)

    def fused(self, image: Tensor) -> Tensor:
        """Eq. 1: (B, 3, T, T) in [-1, 1]."""
        return self.mask * self.sampled(image) + (1 - self.mask) * self.rgb

    def all(self) -> Tensor:
        """(B, 6, T, T) activated, in the head's order."""
        return torch.cat([self.flow, self.rgb, self.mask], 1)


@dataclass(frozen=True)
class PaperInputs:
    """image (B, 3, H, W) in [-1, 1]; labels (B, H, W) int64, 0 = background … config.labels - 1; query (1 or B, 3, T, T) in [-1, 1]: the
    body's own places drawn on the layout, the same for every photo. The paper: H 128, W 64, T 128; H, W, T are multiples of 4."""

    image: Tensor
    labels: Tensor
    query: Tensor


def coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """(2, H, W): y, then x, -1 and 1 at the centres of the outermost pixels (the release's convention; its flow has another)."""
    line = lambda n: torch.linspace(-1, 1, n, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(line(height), line(width), indexing="ij"))


class InputNet(nn.Module):
    """U-Net of one of query, key and value."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.conv_in = single(channels, width)
        self.conv1, self.conv2, self.conv3 = down(width), down(width), double(width)
        self.conv4, self.conv5, self.conv6 = up(width), up(width), double(width)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, C, H, W) -> six maps: stem, H/2, H/4, and of the way back H/4, H/2, H; the last three are attended to."""
        a = self.conv_in(x)
        b = self.conv1(a)
        c = self.conv2(b)
        d = self.conv3(c) + c
        e = self.conv4(d) + b
        return a, b, c, d, e, self.conv6(self.conv5(e) + a)


class Texformer(nn.Module):
    def __init__(self, config: PaperConfig = PaperConfig()):
        super().__init__()
        self.config, width = config, config.width
        self.unet_q, self.unet_k, self.unet_v = InputNet(3, width), InputNet(4, width), InputNet(5, width)
        self.trans_dec = nn.ModuleDict({str(k): AttentionUnit(width, config.heads, k == 3) for k in (3, 4, 5)})
        self.conv0, self.conv1, self.conv2, self.conv3 = double(width), down(width), down(width), double(width)
        self.conv4, self.conv5 = up(width), up(width)
        self.conv6 = nn.Sequential(Convs(*unit(width, width)), nn.Conv2d(width, 6, 3, padding=1))

    def forward(self, inputs: PaperInputs) -> Prediction:
        return Prediction.of(self.trunk(*self.attended(inputs)))

    def attended(self, inputs: PaperInputs) -> tuple[Tensor, Tensor, Tensor]:
        """(B, width, ., .) at T/4, T/2 and T: what every texel gathers from the photo."""
        image = inputs.image
        part = inputs.labels[:, None].to(image.dtype) / (self.config.labels - 1) * 2 - 1
        place = coordinates(*image.shape[2:], image).expand(len(image), -1, -1, -1)
        q = self.unet_q(inputs.query)
        q = [x.expand(len(image), -1, -1, -1) for x in q]
        k, v = self.unet_k(torch.cat([image, part], 1)), self.unet_v(torch.cat([place, image], 1))
        return tuple(self.trans_dec[str(s)](q[s], k[s], v[s]) for s in (3, 4, 5))

    def trunk(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Attention outputs at T/4, T/2, T -> (B, 6, T, T) before the activations."""
        f0 = self.conv0(c)
        f1 = self.conv1(f0) + b
        f2 = self.conv2(f1) + a
        f3 = self.conv3(f2) + a + f2
        f4 = self.conv4(f3) + b + f1
        return self.conv6(self.conv5(f4) + c + f0)
