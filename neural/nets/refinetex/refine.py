"""RefineTex §3.1: Texformer, and the module that refines its prediction with deformable convolutions whose offsets come from its flow.

The paper's text leaves much open; this is the reading whose size is the published one (8.19 million parameters; Table 2: 8.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PAPER, PaperConfig
from .deform import DeformConv, flow_to_offsets, offset_conv
from .layers import single
from .texformer import PaperInputs, Prediction, Texformer

OUTPUTS = 6


@dataclass(frozen=True)
class PaperOutput:
    """early: the deep network's own prediction (it gets losses as well, less and less); last: the refined one, or the same."""

    early: Prediction
    last: Prediction


class Stage(nn.Module):
    """(Deformable) convolution, batch norm, ReLU, and the same again as a plain one."""

    def __init__(self, inputs: int, width: int, deform: bool, twice: bool):
        super().__init__()
        self.first = DeformConv(inputs, width) if deform else nn.Conv2d(inputs, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.second = single(width, width) if twice else nn.Identity()

    def forward(self, x: Tensor, *offsets: Tensor) -> Tensor:
        return self.second(self.norm(self.first(x, *offsets)).relu_())


class Refinement(nn.Module):
    def __init__(self, config: PaperConfig):
        super().__init__()
        self.config, width = config, config.width
        deform = config.refine == "deform"
        bent = deform and config.second == "deform"
        between = width + (OUTPUTS if config.skip else 0)
        self.stage1 = Stage(5 if config.fifth else 4, width, deform, config.twice)
        self.stage2 = Stage(between, width, bent, config.twice)
        self.offsets1 = offset_conv(2) if deform else None
        self.offsets2 = offset_conv(between) if bent else None
        self.head = nn.Sequential(single(width, width), nn.Conv2d(width, OUTPUTS, 3, padding=1))

    def offsets(self, flow: Tensor, height: int, width: int) -> Tensor:
        """(B, 18, T, T): every tap goes where the flow says, and the convolution moves each of them. A convolution of the flow in [-1, 1]
        is the same affine family as one of the pixel offsets, but has no border of zeros where offsets are -64, and starts at rest."""
        return flow_to_offsets(flow, height, width).repeat(1, 9, 1, 1) + self.offsets1(flow)

    def forward(self, inputs: PaperInputs, early: Prediction) -> Prediction:
        image = inputs.image
        part = inputs.labels[:, None].to(image.dtype) / (self.config.labels - 1) * 2 - 1
        seen = torch.cat([image, part, *([torch.ones_like(part)] if self.config.fifth else [])], 1)
        if self.offsets1 is not None:
            x = self.stage1(seen, self.offsets(early.flow, *image.shape[2:]))
        else:
            x = self.stage1(F.interpolate(seen, early.flow.shape[2:], mode="bilinear", align_corners=False))
        if self.config.skip:
            x = torch.cat([x, early.all()], 1)
        x = self.stage2(x, *([self.offsets2(x)] if self.offsets2 is not None else []))
        return Prediction.of(self.head(x))


class RefineTex(nn.Module):
    """The paper's network. `deep` takes an imported Texformer checkpoint."""

    def __init__(self, config: PaperConfig = PAPER):
        super().__init__()
        self.config = config
        self.deep = Texformer(config)
        self.refine = Refinement(config) if config.refine != "none" else None

    def forward(self, inputs: PaperInputs) -> PaperOutput:
        early = self.deep(inputs)
        return PaperOutput(early, early if self.refine is None else self.refine(inputs, early))
