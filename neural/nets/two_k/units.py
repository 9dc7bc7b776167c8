"""2K2K's own units, as released, and the way from them to metres in the camera frame.

The paper's camera has a field of view of 50 degrees both ways and stands 1 unit in front of the subject's centroid. Depth is the
length t of the ray, not z: D = (t - 1) f + S / 2 pixels, and the network's value is d = 4 D / S (D / 512 at S = 2048). Background: 6 in
front, 0 at the back; 0 in what the release writes to files.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FOV = np.radians(50.0)
SCALE = 1.0367394
"""The release divides its final points by this; nothing in its camera explains it."""

FLAT = 1 / 255
"""Third component of the released pseudo-normals before normalisation. One depth unit per pixel would be 4 / S: they are about
twice too flat at 2048, and four times too steep on coarse maps of 256."""


def focal(side: int) -> float:
    """Pixels."""
    return side / 2 / np.tan(FOV / 2)


def pseudo_normals(depth: Tensor) -> Tensor:
    """(B, 1, H, W) network units -> (B, 3, H, W) in [0, 1]: the release's normals from depth, which are also its training targets.

    Forward difference in x, backward in y, 0 at the last column and the first row; 0 where the depth is below 0.2 (no person).
    """
    dx = F.pad(depth[..., 1:] - depth[..., :-1], (0, 1))
    dy = F.pad(depth[..., 1:, :] - depth[..., :-1, :], (0, 0, 1, 0))
    normals = F.normalize(torch.cat([-dx, -dy, torch.full_like(depth, FLAT)], 1), dim=1)
    return torch.where(depth < 0.2, 0.0, (normals + 1) / 2)


def true_normals(pseudo: Tensor, side: int, canvas: int, back: bool) -> Tensor:
    """Pseudo-normals (B, 3, side, side) -> unit outward normals, camera axes (x right, y down, z forward).

    side: pixels of these maps, canvas: of the depth's unit. Perspective is left out: it tilts them by up to 25 degrees at the border.
    """
    n = 2 * pseudo - 1
    per_pixel = 4 / canvas * canvas / side                   # a slope of one pixel per pixel, in network units
    n = torch.cat([n[:, :2] * FLAT / per_pixel, n[:, 2:].clamp(min=1e-3)], 1)
    return F.normalize(n if back else -n, dim=1)


def ray_length(depth, side: int):
    """Network units -> units of the camera's distance to the centroid (an array or a tensor); side: canvas of the depth's unit."""
    return (depth * side / 4 - side / 2) / focal(side) + 1


def unit_rays(side: int) -> np.ndarray:
    """(S, S, 3) float64 unit vectors through the pixels' centres of the paper's camera."""
    at = (np.arange(side) + 0.5 - side / 2) / focal(side)
    x, y = np.meshgrid(at, at)
    rays = np.stack([x, y, np.ones_like(x)], -1)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def points(depth_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S, S) float64 D in pixels, 0 = nothing -> (N, 3) camera frame (centroid at z = 1), row by row, and which pixels they are (S, S)."""
    side = len(depth_px)
    xyz = unit_rays(side) * (((depth_px - side / 2) / focal(side)) + 1)[..., None]
    kept = (depth_px > 0) & (xyz[..., 2] > 0.3)
    return xyz[kept], kept


def released_frame(xyz: np.ndarray) -> np.ndarray:
    """(N, 3) camera frame -> the release's: x right, y up, z towards the camera, centroid at the origin."""
    return np.stack([xyz[:, 0], -xyz[:, 1], 1 - xyz[:, 2]], 1) / SCALE


def cleaned(front: np.ndarray, back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depths (S, S) in network units -> as the release writes them: uint16 of D * 32, 0 = nothing.

    Where the front is behind the back there is nobody; the back keeps three pixels from the front's edge.
    """
    import cv2
    nobody = front > back
    files = [(np.where(nobody, 0, d) * np.float32(512 * 32)).astype(np.uint16) for d in (front, back)]
    inner = cv2.erode(files[0], np.ones((3, 3), np.uint8), iterations=3) > 0
    return files[0], np.where(inner, files[1], 0).astype(np.uint16)
