"""Computing a picture tile by tile."""

from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from torch import Tensor


def tiled(step: Callable[[Tensor, Tensor], Tensor], coarse: Tensor, fine: Tensor, tile: int | None, halo: int,
          live: np.ndarray | None = None) -> Tensor:
    """step(coarse (B, C, h, w), fine (B, D, 2h, 2w)) -> (B, E, 2h, 2w), computed on tiles of `tile` fine pixels and `halo` more on each side.

    The same result as all at once when the step sees at most `halo` fine pixels far. tile and halo even. tile None: all at once.
    live (rows, columns) bool, a coarser map of the whole: tiles without any are left 0.
    """
    height, width = fine.shape[-2:]
    if tile is None or max(height, width) <= tile:
        return step(coarse, fine)
    if tile % 2 or halo % 2:
        raise ValueError("tile and halo must be even")
    out = None
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            if live is not None and not _any(live, height, width, top, bottom, left, right):
                continue
            y0, y1 = max(top - halo, 0), min(bottom + halo, height)
            x0, x1 = max(left - halo, 0), min(right + halo, width)
            piece = step(coarse[:, :, y0 // 2:y1 // 2, x0 // 2:x1 // 2], fine[:, :, y0:y1, x0:x1])
            if out is None:
                layout = torch.channels_last if piece.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
                out = torch.empty(len(piece), piece.shape[1], height, width, dtype=piece.dtype, device=piece.device, memory_format=layout)
                if live is not None:
                    out.zero_()
            out[:, :, top:bottom, left:right] = piece[:, :, top - y0:bottom - y0, left - x0:right - x0]
    return step(coarse, fine) if out is None else out


def _any(live: np.ndarray, height: int, width: int, top: int, bottom: int, left: int, right: int) -> bool:
    rows, columns = live.shape
    return bool(live[top * rows // height:-(-bottom * rows // height), left * columns // width:-(-right * columns // width)].any())
