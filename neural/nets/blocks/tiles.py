"""Computing a picture tile by tile."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor


def tiled(step: Callable[[Tensor, Tensor], Tensor], coarse: Tensor, fine: Tensor, tile: int | None, halo: int) -> Tensor:
    """step(coarse (B, C, h, w), fine (B, D, 2h, 2w)) -> (B, E, 2h, 2w), computed on tiles of `tile` fine pixels and `halo` more on each side.

    The same result as all at once when the step sees at most `halo` fine pixels far. tile and halo even. tile None: all at once.
    """
    height, width = fine.shape[-2:]
    if tile is None or max(height, width) <= tile:
        return step(coarse, fine)
    if tile % 2 or halo % 2:
        raise ValueError("tile and halo must be even")
    out = None
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            y0, y1 = max(top - halo, 0), min(top + tile + halo, height)
            x0, x1 = max(left - halo, 0), min(left + tile + halo, width)
            bottom, right = min(top + tile, height), min(left + tile, width)
            piece = step(coarse[:, :, y0 // 2:y1 // 2, x0 // 2:x1 // 2].contiguous(memory_format=torch.channels_last),
                         fine[:, :, y0:y1, x0:x1].contiguous(memory_format=torch.channels_last))
            if out is None:
                out = torch.empty(len(piece), piece.shape[1], height, width, dtype=piece.dtype, device=piece.device,
                                  memory_format=torch.channels_last)
            out[:, :, top:bottom, left:right] = piece[:, :, top - y0:bottom - y0, left - x0:right - x0]
    return out
