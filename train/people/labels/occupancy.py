"""Inside or outside, for layered, open, crossing cloth: inside is what nobody can see from outside.

A person is looked at from fixed directions without perspective; a point that lies before the first or behind the last surface of one
view is outside. So thin layers, gaps between them, hair cards and faces turned the wrong way do no harm. Two rules for cloth:

* Hems: nothing is looked at from steeply below, so a skirt or an open sleeve that hangs down is closed at its hem.
* Sheets: cloth has no thickness of its own; where a view sees the inner side of a sheet, SHEET_M behind it still counts as inside.

Chosen by measurement (tests/neural/test_people_labels_space.py): on a ball, a ring and a thick cup no sign is wrong farther than 4 mm
from the surface at 256 pixels, as with the generalized winding number; that one also needs every face to look outwards (with every second
one turned over it fails on the cup), gives 0.5 on both sides of a lone sheet, and costs a solid angle for each face and point.
What is truly seen from outside stays outside: the inside of a wide sleeve that a view looks into, beneath an open coat.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch import Tensor

from ..draw.raster import rasterize_flat
from ..types import People

SHEET_M = 0.004
"""Thickness of cloth that is a single sheet."""

STEEP = 0.1
"""Cosine between view and surface below which a sheet's thickness along the view grows no more."""

CAP_M = 0.1
"""Margins are cut off here."""

HEM = math.sin(math.radians(16.0))
"""Views whose direction rises more steeply than this (they look up from below) see nothing."""

RINGS = ((0.0, 6, 180.0), (15.0, 6, 360.0), (45.0, 5, 360.0), (90.0, 1, 360.0))
"""Elevation of the eye in degrees, number of views, degrees that they are spread over (180: the far side serves as the opposite view).

Measured against other rings: steeper low views look far up under a skirt, flatter ones leave the hollow underside of a lying ring (0.6 %
wrong signs); this set has none wrong beyond 4 mm on the three solids, and fills a skirt but for the 15 cm above its hem on the far side."""


@dataclass(frozen=True)
class Views:
    """What D directions show of P people. axes (D, 3, 3): rows right, down, forward; centre (P, 3), half (P,) world metres: the canvas
    spans centre +- half. near, far (P, D, R, R) metres along forward from the centre, +inf / -inf where nothing is; near_inner,
    far_inner (P, D, R, R) bool: that surface shows its inner side. both (D,) bool: the far side counts as a view too."""

    axes: Tensor
    centre: Tensor
    half: Tensor
    near: Tensor
    far: Tensor
    near_sheet: Tensor
    far_sheet: Tensor
    both: Tensor


def directions(device: str | torch.device = "cpu") -> Tensor:
    """(D, 3, 3) float32 rotations: rows right, down, forward of each view, world axes (z up)."""
    rows = []
    for k, (elevation, count, spread) in enumerate(RINGS):
        for i in range(count):
            turn = math.radians(spread * (i + 0.5 * (k % 2)) / count + 7.0)      # askew: no view lies in the plane of a box's side
            rise = math.radians(elevation)
            forward = (-math.cos(rise) * math.cos(turn), -math.cos(rise) * math.sin(turn), -math.sin(rise))
            right = (math.sin(turn), -math.cos(turn), 0.0)
            down = (forward[1] * right[2] - forward[2] * right[1], forward[2] * right[0] - forward[0] * right[2],
                    forward[0] * right[1] - forward[1] * right[0])
            rows.append((right, down, forward))
    return torch.tensor(rows, dtype=torch.float32, device=device)


def bounds(people: People) -> tuple[Tensor, Tensor]:
    """Each person's bounding box: low, high (P, 3) world metres."""
    row = people.owner[:, None].expand(-1, 3)
    empty = people.vertices.new_full((people.count, 3), torch.inf)
    return empty.scatter_reduce(0, row, people.vertices, "amin"), (-empty).scatter_reduce(0, row, people.vertices, "amax")


def look(people: People, size: int = 256, chunk: int | None = None) -> Views:
    """Draw everybody from all directions, `chunk` of them at a time (None: what suits the device's memory; the result is the same)."""
    device, count = people.vertices.device, people.count
    axes = directions(device)
    chunk = chunk or max(1, (256 if device.type == "cuda" else 6) // max(count, 1))
    low, high = bounds(people)
    centre = (low + high) / 2
    local = people.vertices - centre[people.owner]
    half = local.new_zeros(count).scatter_reduce_(0, people.owner, torch.linalg.vector_norm(local, dim=1), "amax")
    half = half * (size / (size - 4.0))
    scale = size / (2 * half[people.owner])
    corner = local[people.faces]
    flat = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    flat = torch.nn.functional.normalize(flat, dim=1, eps=1e-20)
    parts: list[list[Tensor]] = [[], [], [], []]
    for some in axes.split(chunk):
        n = len(some)
        seen = torch.einsum("dij,vj->dvi", some, local)
        pixels = (seen[..., :2] * scale[:, None] + size / 2).flatten(0, 1)
        step = torch.arange(n, device=device)[:, None]
        faces = (people.faces[None] + step[..., None] * len(local)).flatten(0, 1)
        picture = (people.face_owner[None] + step * count).flatten()
        drawn = rasterize_flat(pixels, seen[..., 2].flatten(), faces, picture, n * count, size)
        for k, (side, away) in enumerate(zip(drawn, (1.0, -1.0))):
            direction = some[torch.div(side.picture, count, rounding_mode="floor"), 2]
            slope = (flat[side.face % len(flat)] * direction).sum(1) * away                     # > 0: seen from its inner side
            sheet = torch.where(slope > 0, SHEET_M / slope.clamp(min=STEEP), 0.0)
            image = side.image(side.depth, away * torch.inf), side.image(sheet)
            for j, value in enumerate(image):
                parts[2 * k + j].append(value.view(n, count, size, size).transpose(0, 1))
    near, near_sheet, far, far_sheet = (torch.cat(p, 1) for p in parts)
    return Views(axes, centre, half, near, far, near_sheet, far_sheet, axes[:, 2, 2].abs() < HEM)


def occupancy(views: Views, queries: Tensor, chunk: int = 200_000) -> tuple[Tensor, Tensor]:
    """queries (P, Q, 3) world metres -> inside (P, Q) bool, margin (P, Q) float32 metres: positive inside, how far behind the nearest
    surface seen along a view (an upper bound of the distance); negative outside, how far before one; cut off at CAP_M."""
    parts = [_occupancy(views, q) for q in queries.split(max(chunk // max(len(views.axes) * len(queries), 1), 1), 1)]
    margin = torch.cat(parts, 1) if parts else queries.new_zeros(queries.shape[:2])
    return margin > 0, margin


def _occupancy(views: Views, queries: Tensor) -> Tensor:
    size = views.near.shape[-1]
    local = torch.einsum("dij,pqj->pdqi", views.axes, queries - views.centre[:, None])
    scale = (size / (2 * views.half))[:, None, None]
    z = local[..., 2]
    x, y = local[..., 0] * scale + (size / 2 - 0.5), local[..., 1] * scale + (size / 2 - 0.5)
    on = (x >= 0) & (y >= 0) & (x <= size - 1) & (y <= size - 1)
    left, top = x.floor().clamp(0, size - 2), y.floor().clamp(0, size - 2)
    fx, fy = (x - left).clamp(0, 1), (y - top).clamp(0, 1)
    first = top.long() * size + left.long()
    rows = torch.stack([first, first + 1, first + size, first + size + 1], -1)                  # (P, D, Q, 4)
    weight = torch.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], -1)
    step = (3.0 / scale)[..., None]                                                             # of a surface, not a jump
    pick = lambda image: image.flatten(2).gather(2, rows.flatten(2)).view(rows.shape)
    before = _gap(z, pick(views.near), pick(views.near_sheet), weight, step[..., 0])
    behind = _gap(-z, -pick(views.far), pick(views.far_sheet), weight, step[..., 0])
    behind = torch.where(views.both[:, None], behind, torch.where(torch.isinf(behind), -torch.inf, torch.inf))
    gap = torch.stack([before, behind])
    gap = torch.where(on, gap, -torch.inf)
    inside = gap.amin((0, 2))
    outside = torch.where(gap < 0, gap, -torch.inf).amax((0, 2))
    return torch.where(inside > 0, inside, outside).clamp(-CAP_M, CAP_M)


def _gap(z: Tensor, depth: Tensor, sheet: Tensor, weight: Tensor, step: Tensor) -> Tensor:
    """How far a point at z lies behind the first surface, from the four pixels round it (..., 4); -inf where they show nothing.

    One surface: bilinear. A rim or a jump: the nearer surface, so that no point is called outside for want of pixels.
    """
    nearest = depth.amin(-1)
    smooth = depth.amax(-1) - nearest < step
    mixed = torch.where(smooth, (torch.where(smooth[..., None], depth, 0.0) * weight).sum(-1), nearest)
    return torch.where(torch.isinf(nearest), -torch.inf, z - mixed + sheet.amax(-1))
