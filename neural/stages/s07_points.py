"""s07: depth and normal maps become oriented points (2K2K "mesh generation"), the silhouette closed."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..context import Context
from ..contract.errors import SurfaceError
from ..contract.frames import Camera
from ..geometry import figure
from ..geometry.hidden import hidden_surface
from ..geometry.layers import CHAIN_OF_PIECE, CHAINS
from ..geometry.limbs import Limb, Maps, limb, pieces_of, tidied
from ..geometry.nudge import nudged
from ..geometry.opening import off_shoulder, on_own_side, touching_arms
from ..geometry.rim import inner_rim, rim_points
from .s02_person import Person
from .s03_body import Body
from .s05_parts import Normals
from .s06_depth import Depths

NAME = "s07_points"

FRONT, BACK, RIM, BODY = 0, 1, 2, 3

GAP = 0.010      # body heights: limbs nearer to each other than this (1.7 cm) are left joined
MARGIN = 0.006   # body heights: hidden points keep this distance from the seen surface
LEAST_WEIGHT, BODY_WEIGHT = 0.25, 0.5  # of points that the networks doubt, and of the body's where nothing is seen
RIM_REACH = 0.010  # body heights: rim points between two limbs farther than this from both are nobody's


@dataclass(frozen=True)
class Points:
    """xyz (N, 3) float32 camera metres; normals (N, 3) float32 unit outward; kind (N,) uint8 FRONT/BACK/RIM/BODY.

    BODY points are taken from the fitted body where the two depth maps cannot see (self-occlusion).
    piece   (N,) uint8: limb of each point, index into layers.PIECES + 1 (0 or no array: not known).
    weight  (N,) float32 in (0, 1]: how far a point is believed; no array: all alike.
    opened  arms ("left_arm", "right_arm") that touch or cover another limb: s09 swings them away. Their hidden sides and
            those of what they hide are among the points.
    """

    xyz: np.ndarray
    normals: np.ndarray
    kind: np.ndarray
    method: str = "depth-to-points"
    piece: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    weight: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    opened: tuple[str, ...] = ()


def oriented_points(person: Person, body: Body, normals: Normals, depths: Depths, context: Context) -> Points:
    """Every mask pixel gives a front and a back point; edge and hidden surfaces are added.

    Raises SurfaceError when the depth maps are empty.
    """
    if not depths.mask.any():
        raise SurfaceError("surface.empty", "There is no depth to build a surface from.",
                           "Check the mask of the person, or try another photo.")
    context.step(0, 4)
    camera, fitted, height = person.camera, nudged(person, body), max(body.height_m, 0.3)
    known = depths.piece_front.shape == depths.mask.shape
    pieces = [depths.piece_front, depths.piece_back] if known else [np.zeros(depths.mask.shape, np.uint8)] * 2
    prior = figure.prior_of(person, body, context)
    figure.forget("prior")
    small = _canvas(person, depths, pieces, prior.camera)
    clean = tidied(pieces, small, height)
    cleaned = _canvas(person, depths, clean, prior.camera)
    opened, figures = _apart(prior, fitted, cleaned, height) if known else ((), [])
    shown = [depths.mask, depths.mask]
    if figures:
        pieces, small, shown = clean, cleaned, [depths.mask & (p > 0) for p in clean]
    context.step(1, 4)
    rays = camera.pixel_rays()
    front, back = (np.where(own.any(-1, keepdims=True), own, n) if own.size else n for n, own in
                   ((normals.front, depths.settled_front), (normals.back, depths.settled_back)))
    sets = [(rays[m] * z[m][:, None], n[m], p[m], kind) for m, z, n, p, kind in
            zip(shown, (depths.front, depths.back), (front, back), pieces, (FRONT, BACK))]
    rim = rim_points(depths.front, depths.back, depths.mask, person.inside, camera, front, back)
    piece, keep = _rim_pieces(rim, pieces, figures, small, RIM_REACH * height)
    sets.append((rim.xyz[keep], rim.normals[keep], piece[keep], RIM))
    context.step(2, 4)
    for one in figures:
        hidden = one.hidden_points(small.camera)
        own = on_own_side(fitted, opened, hidden[0], hidden[2])
        sets.append((*(a[own] for a in hidden), BODY))
        sets.append((*_flanks(one, small, fitted, opened), BODY))
        sets.append((*hidden_surface(prior.layers, small.camera, *one.depth, GAP * height, MARGIN * height,
                                     pieces_of(one.chains)), BODY))
    if not figures:
        sets.append((*hidden_surface(prior.layers, small.camera, *small.depth, GAP * height, MARGIN * height), BODY))
    context.step(3, 4)
    xyz, direction = (np.concatenate([s[k] for s in sets]).astype(np.float32) for k in (0, 1))
    piece = np.concatenate([s[2] for s in sets]).astype(np.uint8)
    kind = np.concatenate([np.full(len(s[0]), s[3], np.uint8) for s in sets])
    weight = _weights(depths, shown, int(keep.sum()), len(xyz))
    good = np.isfinite(xyz).all(1) & (np.linalg.norm(direction, axis=1) > 0.5)
    context.step(4, 4)
    return Points(xyz[good], direction[good], kind[good], piece=piece[good], weight=weight[good] if len(weight) else weight, opened=opened)


def _weights(depths: Depths, shown, rims: int, count: int) -> np.ndarray:
    """(count,) by the networks' confidence: front, back; the rim, which the mask gives, is sure; the hidden rest is the body's. (0,) where no
    network ran."""
    if not depths.method.startswith("2k2k"):
        return np.zeros(0, np.float32)
    known = np.clip(np.concatenate([depths.confidence[m] for m in shown]), LEAST_WEIGHT, 1)
    return np.concatenate([known, np.ones(rims), np.full(count - len(known) - rims, BODY_WEIGHT)]).astype(np.float32)


def _canvas(person: Person, depths: Depths, pieces, small: Camera) -> Maps:
    """The maps on the smaller canvas on which the body's layers were drawn and hidden surfaces are looked for."""
    camera, side = person.camera, small.width
    # a coarse pixel counts where all of it is person, so that no hidden point pokes out
    mask = cv2.resize(depths.mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.99
    pick = np.ix_(*[(np.arange(side) * camera.width) // side + camera.width // side // 2] * 2)
    depth = np.stack([np.where(mask, z[pick], np.nan) for z in (depths.front, depths.back)])
    matte, inside = (cv2.resize(a.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
                     for a in (person.mask, person.inside))
    return Maps(small, depth, np.stack([np.where(mask, p[pick], 0) for p in pieces]), matte, inside > 0.5)


def _apart(prior, fitted: Body, small: Maps, height: float) -> tuple[tuple[str, ...], list[Limb]]:
    """The arms to be opened, and the figures that are then separate: each of them, and all the rest. () and [] for none."""
    make = lambda chains: limb(small, prior, frozenset(chains), MARGIN * height, height)
    single = [make({k}) for k in range(len(CHAINS))]
    arms = touching_arms(fitted, single, small.camera)
    moved = [CHAINS.index(a) for a in arms]
    if not moved:
        return (), []
    rest = set(range(len(CHAINS))) - set(moved)
    return arms, [single[k] for k in moved] + [single[0] if rest == {0} else make(rest)]


def _flanks(one: Limb, small: Maps, fitted: Body, opened: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """xyz, normals (N, 3), piece (N,): a figure's sides where it lies beside another one, which no depth map shows."""
    rim = inner_rim(*one.depth, small.mask, small.camera, *one.normal)
    row, column = rim.pixel.T
    piece = one.piece[(rim.depth_share > 0).astype(int), row, column]
    keep = off_shoulder(fitted, opened, rim.xyz, piece)
    return rim.xyz[keep], rim.normals[keep], piece[keep]


def _rim_pieces(rim, pieces, figures: list[Limb], small: Maps, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """(N,) piece of every rim point, and which are kept: where an edge pixel shows one limb in front of another, the column
    between them is no surface, and a point belongs to the figure at its depth."""
    row, column = rim.pixel.T
    front, back = (p[row, column] for p in pieces)
    piece, keep = np.where(rim.depth_share < 0, front, back), np.ones(len(row), bool)
    if not figures:
        return piece, keep
    owner = lambda p: np.select([np.isin(CHAIN_OF_PIECE[p], list(f.chains)) for f in figures], range(len(figures)), -1)
    mixed = np.nonzero(owner(front) != owner(back))[0]
    factor = small.camera.width / pieces[0].shape[0]
    r, c = (np.minimum((a[mixed] * factor).astype(int), small.camera.width - 1) for a in (row, column))
    z, sides = rim.xyz[mixed, 2], []
    for one in figures:
        near, far = one.depth[0][r, c], one.depth[1][r, c]
        away = np.maximum(np.maximum(near - z, z - far), 0)
        sides.append(np.where(np.isfinite(away), away, np.inf))
    best = np.argmin(sides, 0)
    keep[mixed] = np.min(sides, 0) < reach
    for k, one in enumerate(figures):
        mine = best == k
        side = (z > (one.depth[0][r, c] + one.depth[1][r, c]) / 2).astype(int)
        piece[mixed[mine]] = one.piece[side, r, c][mine]
    return piece, keep
