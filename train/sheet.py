"""Pictures of what networks make of samples, in rows and named columns."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

HEAD = 18
"""Pixels of the line with the names."""


def tile_of(picture: Tensor, side: int) -> np.ndarray:
    """(1, 1 or 3, S, S) in [0, 1] -> (side, side, 3) uint8."""
    picture = F.interpolate(picture.float(), (side, side), mode="area").clamp(0, 1).expand(-1, 3, -1, -1)[0]
    return (picture.permute(1, 2, 0) * 255 + 0.5).byte().numpy()


def framed(rows: list[list[np.ndarray]], names: tuple[str, ...]) -> Image.Image:
    """Rows of square tiles (side, side, 3) uint8, one a name."""
    side = len(rows[0][0])
    out = Image.new("RGB", (side * len(names), side * len(rows) + HEAD), "white")
    pen = ImageDraw.Draw(out)
    for c, name in enumerate(names):
        pen.text((c * side + 4, 3), name, fill="black")
        for r, row in enumerate(rows):
            out.paste(Image.fromarray(row[c]), (c * side, HEAD + r * side))
    return out
