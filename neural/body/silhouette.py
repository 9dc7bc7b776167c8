"""The person's outline as a term of the fit: the body stays within the mask, and is drawn softly out to it."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, zoom

_SIDE = 256                                                    # canvas of the distance map: 4 px at `standard`


class Silhouette:
    """Distance map and contour of a mask.

    mask (S, S) float32, inside (S, S) bool (where the photo is: beyond it nothing is known, so nothing is asked),
    skip (x0, y0, x1, y1) crop pixels of the head, where hair widens the mask.
    """

    def __init__(self, mask: np.ndarray, inside: np.ndarray, skip: tuple[float, float, float, float]):
        side = mask.shape[0]
        self.scale = side / _SIDE
        small = _shrink(mask) > 0.5
        free = small | (_shrink(inside.astype(np.float32)) < 0.5)
        far = distance_transform_edt(~free) if not free.all() else np.zeros(free.shape)
        self.outside = torch.as_tensor(far * self.scale)[None, None]
        edge = small & (distance_transform_edt(small) <= 1.0)
        y, x = np.nonzero(edge)
        points = np.stack([x + 0.5, y + 0.5], 1) * self.scale
        hair = (points[:, 0] > skip[0]) & (points[:, 0] < skip[2]) & (points[:, 1] > skip[1]) & (points[:, 1] < skip[3])
        rim = np.any((points < 2 * self.scale) | (points > side - 2 * self.scale), axis=1)
        points = points[~hair & ~rim]
        self.contour = torch.as_tensor(points[:: max(1, len(points) // 300)])
        self.nearest: torch.Tensor | None = None

    def match(self, pixels: torch.Tensor) -> None:
        """Fix, for every contour point, the body point nearest to it (as ICP does, once a round)."""
        if len(self.contour):
            self.nearest = torch.cdist(self.contour, pixels.detach()).argmin(1)

    def energy(self, pixels: torch.Tensor, size: float, spreads) -> torch.Tensor:
        """Mean-normalised energy of projected body points (N, 2)."""
        grid = (pixels / (self.scale * _SIDE) * 2 - 1)[None, :, None]
        out = torch.nn.functional.grid_sample(self.outside, grid, align_corners=False, padding_mode="border")[0, 0, :, 0]
        r = (out / (spreads.silhouette * size)) ** 2
        energy = 40.0 * (2 * (torch.sqrt(1 + r) - 1)).mean()
        if self.nearest is not None and len(self.contour):
            gap = ((pixels[self.nearest] - self.contour) ** 2).sum(1) / (spreads.contour * size) ** 2
            energy = energy + 40.0 * (4.0 * gap / (4.0 + gap)).mean()
        return energy


def _shrink(image: np.ndarray) -> np.ndarray:
    side = image.shape[0]
    if side % _SIDE == 0:
        k = side // _SIDE
        return image.reshape(_SIDE, k, _SIDE, k).mean((1, 3))
    return zoom(image, _SIDE / side, order=1)
