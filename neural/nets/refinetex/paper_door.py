"""What PAPER takes, from the same View as COMPACT: a narrow picture, eight part labels, the layout's colour code."""

from __future__ import annotations

import torch
from torch import Tensor

from ...contract.joints import SMPL_JOINTS
from .config import PAPER, PaperConfig
from .layout import layout
from .texformer import PaperInputs
from .view import View, drawn_body, resized

_GROUPS = (("head", "neck"), ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"), ("shoulder",), ("elbow", "wrist", "hand"),
           ("hip",), ("knee",), ("ankle", "foot"))
"""Texformer's labels 1 to 7 in terms of our joints: two unpaired segments, then pairs of limbs."""


def paper_labels(part: Tensor) -> Tensor:
    """Parts (SMPL joint + 1, 0 = nothing) -> Texformer's labels 0 … 7, int64: part labels of the fitted body in place of human parsing."""
    table = torch.zeros(1 + len(SMPL_JOINTS), dtype=torch.int64, device=part.device)
    for joint, name in enumerate(SMPL_JOINTS):
        table[joint + 1] = next(k for k, names in enumerate(_GROUPS, 1) if name in names or name.split("_")[-1] in names)
    return table[part.long()]


def narrow(picture: Tensor) -> Tensor:
    """(..., S, S) -> (..., S, S / 2): the middle columns. The paper's pictures are twice as high as wide."""
    size = picture.shape[-1]
    return picture[..., size // 4:size // 4 + size // 2]


def paper_inputs(view: View, config: PaperConfig = PAPER, height: int = 128, size: int = 128) -> PaperInputs:
    """What PAPER takes: the middle of the canvas at height x height / 2, labels of the fitted body, and our body's layout of `size` texels as
    query. Its flow then means that narrow picture."""
    image = narrow(resized((2 * view.image - 1) * view.inside, height))
    labels = narrow(paper_labels(drawn_body(view, height)[2]))
    if config.labels != 1 + len(_GROUPS):
        raise ValueError(f"our body has {len(_GROUPS)} label groups, not {config.labels - 1}")
    return PaperInputs(image, labels, layout(size, str(image.device)).encoding()[None].to(image))
