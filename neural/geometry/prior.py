"""The body prior: every piece of the fitted body, inflated to the mask on its own, then put together again.

No network. The pieces of `layers` get the part of the mask that is nearest to them; the squared half thickness of each
is solved for (`inflate`) with the body's own relief inside and 0 at the silhouette; the middle surface is the body's,
carried outwards. The nearest front and the farthest back of all pieces are the two depth maps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import label as connected_components

from ..contract.frames import Camera
from ..contract.joints import JOINT
from .inflate import (
    STEPS, blurred, boundary_weights, laplacian_of, shifted, signed_distance, solve, spread, walking_distance)
from .layers import CHAIN_OF_PIECE, PIECES, Layer, body_layers, linked
from .nudge import nudged

HANDS = tuple(JOINT[n] + 1 for n in ("left_hand", "right_hand", "left_wrist", "right_wrist"))
SHOES = tuple(JOINT[n] + 1 for n in ("left_ankle", "right_ankle", "left_foot", "right_foot"))

RELIEF = {"torso": (4.0, 0.2), "head": (1.0, 0.9), "arm": (1.0, 0.5), "forearm": (0.6, 0.7), "thigh": (1.5, 0.4),
          "shin": (1.0, 0.5)}
"""Per piece: how far clothes smooth it (in `PriorConfig.cloth`), and how much of the rest shows through."""


@dataclass(frozen=True)
class PriorConfig:
    """No paper: chosen by looking at figures from all sides. Lengths in body heights unless said."""

    canvas: int = 512              # largest side of the working canvas, pixels
    reach: float = 3.0             # a piece may take mask up to this times as far as the nearest piece
    groove: tuple[float, float] = (0.008, 0.024)  # gaps in the mask narrower / wider: pieces end round / run together
    cloth: float = 0.008           # blur of the body under clothes (1.4 cm), times the piece's factor
    hold: float = 0.10             # length over which thickness is held at the body's own
    hand_half: float = 0.0095      # half thickness at which hands are limited (1.6 cm)
    cut: float = 0.012             # nearer than this to its cut a piece's surface is not used
    blend: float = 0.05            # length from there over which it gains its full say against its neighbour
    hand_deep: float = 0.014       # a hand whose own half depth exceeds this points at the camera: kept as it is
    rounds: tuple[float, float] = (-3.6, -0.7)     # laplacian of s outside the body, limits (-2 = round limb)


@dataclass(frozen=True)
class Piece:
    """One inflated piece on the working canvas: bounding box `box` (rows, columns), fields inside it.

    half2   (h, w) squared half thickness, m^2, divided by the capped distance to the silhouette (see `Prior.cap`).
    middle  (h, w) z of the middle surface, metres.        domain  (h, w) float32, 1 inside, for resampling.
    weight  (h, w) in [0, 1]: say in the blend with linked pieces; towards the piece's cuts it falls to 0.
    relief  (2, h, w) metres: the body's own detail, to be added to the front and to the back depth.
    """

    index: int
    box: tuple[slice, slice]
    half2: np.ndarray
    middle: np.ndarray
    domain: np.ndarray
    weight: np.ndarray
    relief: np.ndarray


@dataclass(frozen=True)
class Prior:
    """All pieces. camera: that of the working canvas. cap: pixels of it. trust (M, M): 1 on the body, less away."""

    camera: Camera
    pieces: tuple[Piece, ...]
    cap: float
    trust: np.ndarray
    layers: tuple[Layer | None, ...] = field(repr=False)


def build(person, body, config: PriorConfig = PriorConfig(), device: str = "cpu") -> Prior:
    """Inflate the fitted body to the person's mask.

    person  stages.s02_person.Person (camera, mask, inside), body  stages.s03_body.Body.
    """
    side = min(config.canvas, person.camera.width // 2)
    camera = person.camera.resized(side, side)
    inside = cv2.resize(person.inside.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.5
    full = signed_distance(np.where(person.inside, person.mask, 0.0), person.inside)
    distance = cv2.resize(full, (side, side), interpolation=cv2.INTER_AREA) * (side / person.camera.width)
    distance = np.where(inside, distance, -1.0)
    mask = distance > 0
    body = nudged(person, body)
    layers = body_layers(body, camera, device)
    height = max(body.height_m, 0.3)
    away = _distances(layers, mask)
    nearest, owner = away.min(0), away.argmin(0)
    to_zero = boundary_weights(distance, inside)
    metre = float(np.median(body.vertices[:, 2])) / camera.fx              # metres per working pixel
    domains = _domains(layers, away, nearest, mask, config, height)
    pieces = []
    for k, layer in enumerate(layers):
        if domains[k].sum() >= 12:
            pieces.append(_inflate(k, layer, domains[k], mask, distance, to_zero, nearest, owner, metre, height, config))
    trust = np.where(mask, np.exp(-(nearest * metre / (0.03 * height)) ** 2), 0.0).astype(np.float32)
    return Prior(camera, tuple(pieces), CAP, trust, tuple(layers))


WALK = 90  # working pixels after which a piece's distance is no longer walked
CAP = 6.0  # working pixels within which s is taken as proportional to the distance from the silhouette


def _distances(layers, mask) -> np.ndarray:
    """(10, H, W) pixels from every piece to every mask pixel: walked within the mask where it can be reached so."""
    far = np.full(mask.shape, 1e6, np.float32)
    away = np.stack([walking_distance(layer.hit, mask, WALK) if layer is not None else far for layer in layers])
    lost = mask & ~np.isfinite(away).any(0)
    if lost.any():                                          # islands of the mask, and what is far from any piece
        for k, layer in enumerate(layers):
            if layer is not None and layer.hit.any():
                away[k] = np.where(lost, distance_transform_edt(~layer.hit), away[k])
    return np.minimum(away, 1e6)


def _whole(domain: np.ndarray) -> np.ndarray:
    """Without the crumbs: components smaller than a fifth of the largest."""
    label, count = connected_components(domain)
    if count < 2:
        return domain
    area = np.bincount(label.ravel())
    area[0] = 0
    return (area >= 0.2 * area.max())[label] & domain


def _domains(layers, away, nearest, mask, config, height) -> list[np.ndarray]:
    """The part of the mask that each piece inflates to: what is near to it, less the surroundings of its cut where
    another piece stands in."""
    first, firm = [], []
    chain = CHAIN_OF_PIECE[1:]
    for k, layer in enumerate(layers):
        domain = mask & (away[k] <= config.reach * nearest + 1.0) if layer is not None else np.zeros(mask.shape, bool)
        domain &= away[k] <= away[chain != chain[k]].min(0) + 1.0          # an arm's outline is not the trunk's
        cut = spread(layer.to_cut, layer.hit) < config.cut * height if domain.any() else domain
        first.append(domain)
        firm.append(domain & ~cut)
    firm = [_whole(f) for f in firm]
    count = sum(f.astype(np.int8) for f in firm)
    return [f | (d & (count == 0)) for d, f in zip(first, firm)]


def _inflate(k, layer, domain, mask, distance, to_zero, nearest, owner, metre, height, config) -> Piece:
    rows, columns = np.nonzero(domain)
    box = (slice(max(rows.min() - 3, 0), rows.max() + 4), slice(max(columns.min() - 3, 0), columns.max() + 4))
    domain, mask, distance = domain[box], mask[box], distance[box]
    hit = layer.hit[box]
    on = hit & domain
    half = np.where(hit, (layer.back[box] - layer.front[box]) / 2, 0.0).astype(np.float64)
    centre = np.where(hit, (layer.back[box] + layer.front[box]) / 2, 0.0).astype(np.float64)
    part = layer.part[box]

    pull = np.zeros(domain.shape)
    to_cut = spread(layer.to_cut[box], layer.hit[box])
    near_cut = to_cut < (config.cut + 0.02) * height
    hit = hit & (to_cut >= config.cut * height)
    on = hit & domain
    soft = config.cloth * RELIEF[PIECES[k].split("_")[-1]][0] * height / metre
    hands = np.isin(part, HANDS) & (blurred(half, hit, 2.0) < config.hand_deep * height)
    bend = _bend(half ** 2, hit, hands, metre, height, soft, config)
    by_cut = to_cut < 0.10 * height
    low, high = config.groove
    kin = np.array([linked(k, j) for j in range(len(PIECES))])[owner[box]]
    free = np.clip((nearest[box] * metre / height - low) / (high - low), 0, 1)
    for i, step in enumerate(STEPS):
        pull += to_zero[i][box]
        other_mask, other_domain = shifted(mask, step, False), shifted(domain, step, True)
        seam = domain & other_mask & ~other_domain
        ends = 1.0 - shifted(free, step, 0.0)
        ends = np.where(near_cut | (by_cut & shifted(kin, step, False)), 0.0, ends)
        pull += np.where(seam, 2.0 * ends, 0.0)
        # a natural end: the body's own slope goes on there, so the link that is missing takes its share of the bend away
        behind = (-step[0], -step[1])
        slope = np.clip(half ** 2 - shifted(half ** 2, behind, 0.0), -half * metre, half * metre)
        bend -= np.where(seam & hit & shifted(hit, behind, False), (1.0 - ends) * slope, 0.0)
    own = np.where(hit, half ** 2, 0.0)
    thickest = own.max(initial=(0.03 * height) ** 2)
    hold = np.where(on & ~hands, (metre / (config.hold * height)) ** 2, (metre / (0.5 * height)) ** 2)
    # a free end has little to hold it: near its cut a piece stays with the body (its say in the blend is small there)
    loose = np.clip(1 - (to_cut / height - config.cut) / config.blend, 0, 1) * on
    hold = hold + loose * (metre / (0.02 * height)) ** 2
    half2 = np.minimum(solve(domain, bend, pull, hold, spread(own, hit)), 2.5 * thickest)
    floor = (0.4 * np.minimum(np.maximum(distance, 0.3) * metre, 0.008 * height)) ** 2
    half2 = np.maximum(half2, np.where(domain, floor, 0.0))
    half2 = _thin_hands(half2, spread(hands, hit) & domain, config.hand_half * height)

    firm = np.where(on, np.where(hands, 0.05, 2.0), 1e-5)   # off the body: almost free, but never without a depth
    calm = blurred(centre, hit, soft)
    middle = solve(domain, np.zeros(domain.shape), np.zeros(domain.shape), firm, spread(calm, hit))
    ratio = half2 / capped(distance, CAP)
    by_edge = domain & (distance < CAP)
    ratio = np.where(by_edge, blurred(ratio, domain, 1.2), ratio)
    closing = mask & ~domain & ~near_cut
    ratio = np.where(closing, 0.0, spread(ratio, domain))
    relief = _relief(layer, box, hit & domain, part, soft, PIECES[k])
    t = np.clip((to_cut / height - config.cut) / config.blend, 0, 1)
    return Piece(k, box, ratio.astype(np.float32), spread(middle, domain).astype(np.float32),
                 domain.astype(np.float32), (t * t * (3 - 2 * t)).astype(np.float32), relief)


def _bend(half2, hit, hands, metre, height, soft, config) -> np.ndarray:
    """Target laplacian of s: the body's own where it is well defined, its blurred and limited continuation elsewhere."""
    unit = metre ** 2
    raw, full = laplacian_of(half2, hit)
    full &= distance_transform_edt(hit) > 2.0
    body = blurred(raw, full, max(soft, 0.7))
    wide = max(0.02 * height / metre, 3.0)
    calm = np.clip(blurred(raw, full, wide), config.rounds[0] * unit, config.rounds[1] * unit)
    calm = np.where(full.any(), spread(calm, blurred(full, np.ones_like(full), wide) > 0.02), -2.0 * unit)
    out = np.where(full, body, calm)
    return np.where(hands, -2.0 * unit, out)


def _relief(layer, box, known, part, soft, name) -> np.ndarray:
    """(2, h, w) what the softened front and back lack of the body's own; as much of it as clothes let through."""
    gain = np.full(known.shape, RELIEF[name.split("_")[-1]][1])
    gain[np.isin(part, SHOES)] = 0.25
    gain[np.isin(part, HANDS)] = 0.0
    inner = np.clip((distance_transform_edt(known) - 1.5) / max(2.0 * soft, 3.0), 0, 1)
    gain = gain * inner * inner
    front, back = (gain * (np.where(known, z[box], 0.0) - blurred(z[box], known, soft)) for z in (layer.front, layer.back))
    if name == "head":
        back = 0.3 * back
    return np.where(known, np.stack([front, back]), 0.0).astype(np.float32)


def _thin_hands(half2, hands, limit) -> np.ndarray:
    """A palm is flat: half thickness bent over to `limit` on hands; fingers stay round."""
    share = cv2.GaussianBlur(hands.astype(np.float32), (0, 0), 2.0)
    half = np.sqrt(np.maximum(half2, 0.0))
    thin = limit * np.tanh(half / limit)
    return (half + share * (thin - half)) ** 2


def capped(distance: np.ndarray, cap: float) -> np.ndarray:
    """Distance that levels off at `cap` smoothly; never below 0.02."""
    return cap * np.tanh(np.maximum(distance, 0.02) / cap)

