"""s07: depth and normal maps become oriented points (2K2K "mesh generation"), the silhouette closed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..context import Context
from ..contract.errors import SurfaceError
from ..geometry.hidden import hidden_surface
from ..geometry.nudge import nudged
from ..geometry.rim import rim_points
from .s02_person import Person
from .s03_body import Body
from .s05_parts import Normals
from .s06_depth import Depths

NAME = "s07_points"

FRONT, BACK, RIM, BODY = 0, 1, 2, 3

GAP = 0.010      # body heights: limbs nearer to each other than this (1.7 cm) are left joined
MARGIN = 0.006   # body heights: hidden points keep this distance from the seen surface
HIDDEN_CANVAS = 512


@dataclass(frozen=True)
class Points:
    """xyz (N, 3) float32 camera metres; normals (N, 3) float32 unit outward; kind (N,) uint8 FRONT/BACK/RIM/BODY.

    BODY points are taken from the fitted body where the two depth maps cannot see (self-occlusion).
    """

    xyz: np.ndarray
    normals: np.ndarray
    kind: np.ndarray
    method: str = "depth-to-points"


def oriented_points(person: Person, body: Body, normals: Normals, depths: Depths, context: Context) -> Points:
    """Every mask pixel gives a front and a back point; edge and hidden surfaces are added.

    Raises SurfaceError when the depth maps are empty.
    """
    if not depths.mask.any():
        raise SurfaceError("surface.empty", "There is no depth to build a surface from.",
                           "Check the mask of the person, or try another photo.")
    context.step(0, 3)
    camera = person.camera
    rays = camera.pixel_rays()[depths.mask]
    sets = [(rays * depths.front[depths.mask][:, None], normals.front[depths.mask], FRONT),
            (rays * depths.back[depths.mask][:, None], normals.back[depths.mask], BACK)]
    context.step(1, 3)
    sets.append((*rim_points(depths.front, depths.back, depths.mask, person.inside, camera,
                             normals.front, normals.back), RIM))
    context.step(2, 3)
    sets.append((*_hidden(nudged(person, body), depths, camera, context), BODY))
    xyz = np.concatenate([s[0] for s in sets]).astype(np.float32)
    direction = np.concatenate([s[1] for s in sets]).astype(np.float32)
    kind = np.concatenate([np.full(len(s[0]), s[2], np.uint8) for s in sets])
    good = np.isfinite(xyz).all(1) & (np.linalg.norm(direction, axis=1) > 0.5)
    context.step(3, 3)
    return Points(xyz[good], direction[good], kind[good])


def _hidden(body: Body, depths: Depths, camera, context: Context):
    side = min(HIDDEN_CANVAS, camera.width)
    small = camera.resized(side, side)
    # near parts of the coarse pixel count as front, far ones as back, so that no hidden point pokes out
    mask = cv2.resize(depths.mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.99
    pick = (np.arange(side) * camera.width) // side + camera.width // side // 2
    front, back = depths.front[np.ix_(pick, pick)], depths.back[np.ix_(pick, pick)]
    front, back = np.where(mask, front, np.nan), np.where(mask, back, np.nan)
    height = max(body.height_m, 0.3)
    device = context.device if context.device == "cuda" else "cpu"
    return hidden_surface(body, small, front, back, GAP * height, MARGIN * height, device)
