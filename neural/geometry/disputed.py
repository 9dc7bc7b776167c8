"""Where the predicted surface and the fitted body disagree about what a pixel shows, arm or trunk, both follow the body.

An arm before the trunk is seldom where the fitted arm is to the pixel. In between, a hand's relief would stay on the belly as a ridge when
the arm is swung away, and half a sleeve would hang on the chest. There depth, normals and limb are those of the inflated body (prior.py),
moved to the predicted distance of the limb around. What is hidden behind is the body's anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..contract.frames import Camera
from .layers import CHAIN_OF_PIECE, CHAINS, PIECES

FOREARMS = tuple(PIECES.index(f"{side}_forearm") + 1 for side in ("left", "right"))
"""With their hands. Beside an upper arm the prediction keeps its say: it is right more often than the body."""

SLIVER = 0.001    # body heights (2 mm): what is narrower than twice this is a border drawn a little differently, no dispute
SHOULDER = 0.08   # body heights (14 cm) around a shoulder arm and trunk are one: where one ends is a matter of words
BORDER = 0.006    # body heights (1 cm) around disputed pixels that follow the body too
FEATHER = 0.004   # body heights: standard deviation of the way back to the prediction
REACH = 0.03      # body heights (5 cm): the distance of a limb is its mean within about this
MOST = 0.3        # metres: a difference beyond this counts as this


PROFILE = 0.08    # body heights between the shoulders in the picture (14 cm; 38 from the front): with less it is a side view


def in_profile(shoulders: np.ndarray, pixels: float) -> bool:
    """Seen from the side the near arm lies before the whole trunk and the far one behind it, and s03 knows least where: then the prediction
    is right more often. shoulders (2, 2) pixels; pixels: of the body's height."""
    return bool(abs(shoulders[0, 0] - shoulders[1, 0]) < PROFILE * pixels)


@dataclass(frozen=True)
class Settled:
    """depth (S, S) float32 metres, NaN outside; piece (S, S) uint8, index into layers.PIECES + 1; share (S, S) float32 in [0, 1]: how far depth
    and normals are the body's; normals (S, S, 3) float32 unit where share > 0, 0 elsewhere."""

    depth: np.ndarray
    piece: np.ndarray
    share: np.ndarray
    normals: np.ndarray


def settled(depth: np.ndarray, normals: np.ndarray, piece: np.ndarray, body_depth: np.ndarray, body_normals: np.ndarray,
            body_owner: np.ndarray, camera: Camera, height: float, shoulders: np.ndarray | None = None) -> Settled:
    """One side. shoulders (K, 2) pixels: the shoulders' joints. depth, body_depth (S, S) metres, NaN outside; normals, body_normals (S, S, 3) unit; piece (S, S) uint8 as in Settled,
    body_owner (S, S) index into layers.PIECES, -1 = none; height: of the body, metres."""
    both = np.isfinite(depth) & np.isfinite(body_depth) & (piece > 0) & (body_owner >= 0)
    ours = np.where(both, CHAIN_OF_PIECE[piece], -1)
    theirs = np.where(both, CHAIN_OF_PIECE[np.where(both, body_owner + 1, 0)], -1)
    pixels = height * camera.fy / float(np.median(depth[both])) if both.any() else 1.0
    lower = np.isin(piece, FOREARMS) | np.isin(np.where(both, body_owner + 1, 0), FOREARMS)
    disputed = _broad(both & lower & (ours != theirs), SLIVER * pixels)
    for x, y in () if shoulders is None else shoulders:
        cv2.circle(disputed, (int(x), int(y)), int(SHOULDER * pixels), 0, -1)
    disputed = disputed > 0
    nothing = Settled(depth.astype(np.float32), piece, np.zeros(depth.shape, np.float32), np.zeros((*depth.shape, 3), np.float32))
    if not disputed.any():
        return nothing
    soft = max(FEATHER * pixels, 0.8)
    band = _grown(disputed, BORDER * pixels) & both
    share = np.maximum(cv2.GaussianBlur(_grown(band, 2 * soft).astype(np.float32), (0, 0), soft), band) * both
    target = np.where(both, body_depth, 0).astype(np.float32)
    for chain in range(len(CHAINS)):
        mine = both & (theirs == chain)
        if mine.any():
            target += mine * _distance(np.where(both, depth - body_depth, 0), (mine & ~band).astype(np.float32), REACH * pixels)
    out = np.where(both, (1 - share) * np.nan_to_num(depth) + share * target, depth).astype(np.float32)
    mixed = (1 - share[..., None]) * normals + share[..., None] * body_normals
    mixed = np.where(share[..., None] > 0, mixed / np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 1e-6), 0).astype(np.float32)
    return Settled(out, np.where(band, body_owner + 1, piece).astype(np.uint8), share, mixed)


def _broad(area: np.ndarray, pixels: float) -> np.ndarray:
    """uint8 0 or 1: the area less what no disc of this radius fits into."""
    radius = int(round(pixels))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return cv2.morphologyEx(area.astype(np.uint8), cv2.MORPH_OPEN, disc) if radius else area.astype(np.uint8)


def _grown(area: np.ndarray, pixels: float) -> np.ndarray:
    """bool, larger by so many pixels all round, at least one."""
    radius = max(int(round(pixels)), 1)
    return cv2.dilate(area.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)) > 0


def _distance(miss: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """(S, S) mean of miss (metres) over the known pixels around; farther away that of wider and wider surroundings."""
    miss = np.clip(miss, -MOST, MOST).astype(np.float32) * known
    out = np.full(miss.shape, float(miss.sum() / max(known.sum(), 1.0)), np.float32)
    side = miss.shape[0]
    for wide in (4 * sigma, sigma):
        step = max(int(wide / 4), 1)
        small = lambda a: cv2.resize(a, (max(side // step, 1),) * 2, interpolation=cv2.INTER_AREA)
        blur = lambda a: cv2.resize(cv2.GaussianBlur(small(a), (0, 0), wide / step), (side, side), interpolation=cv2.INTER_LINEAR)
        weight = blur(known)
        trust = np.clip(weight / 0.1, 0, 1)
        out = trust * blur(miss) / np.maximum(weight, 1e-6) + (1 - trust) * out
    return out
