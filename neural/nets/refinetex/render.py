"""Rendering a texture on a body whose geometry is fixed: UVs are drawn once, the texture is sampled there. Gradients reach the texture.

No differentiable rasteriser is needed, and detail between vertices is seen (Texformer's release samples the texture at vertices only).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import Layout, uv_grid
from .paper_door import narrow, paper_labels


@dataclass(frozen=True)
class BodyView:
    """The fitted body as a camera sees it. uv (B, 2, H, W) in [0, 1], v up; mask (B, 1, H, W) 0 or 1; labels (B, H, W) int64, Texformer's
    eight, 0 = background."""

    uv: Tensor
    mask: Tensor
    labels: Tensor

    @staticmethod
    def of(maps: dict[str, Tensor], side: int, thin: bool = False) -> "BodyView":
        """From the maps of neural/body/maps.py (M x M) at side x side, nearest pixels (UVs jump at seams); thin: the middle half."""
        rows = (torch.arange(side, device=maps["mask"].device) * 2 + 1) * maps["mask"].shape[-1] // (2 * side)
        pick = lambda x: narrow(x[..., rows, :][..., rows]) if thin else x[..., rows, :][..., rows]
        return BodyView(pick(maps["uv_front"]), pick(maps["mask"])[:, None].to(maps["uv_front"].dtype), paper_labels(pick(maps["part_front"])))


def render(texture: Tensor, view: BodyView, background: Tensor, layout: Layout | None = None) -> Tensor:
    """texture (B, 3, T, T), background (B, 3, H, W) -> (B, 3, H, W): the texture on the body, before the background. layout: fills a few
    texels beside the charts first, where bilinear samples reach."""
    texture = texture if layout is None else layout.padded(texture)
    seen = F.grid_sample(texture, uv_grid(view.uv).to(texture.dtype), mode="bilinear", padding_mode="border", align_corners=False)
    return torch.where(view.mask > 0, seen, background)
