"""s01: an image file becomes an upright 8-bit sRGB photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..context import Context

NAME = "s01_photo"


@dataclass(frozen=True)
class Photo:
    """Frame `photo`.

    rgb       (H, W, 3) uint8, sRGB, upright, the embedded profile applied.
    alpha     (H, W) uint8 when the file has a matte that is not opaque everywhere, else None.
    focal_px  focal length in pixels of this photo from EXIF, or None.
    """

    name: str
    rgb: np.ndarray
    alpha: np.ndarray | None
    focal_px: float | None
    method: str = "pillow"
