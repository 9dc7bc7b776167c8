"""Arms and trunk as figures of their own: each has a front and a back, also where another hides them.

What is seen comes from the depth maps; what is hidden comes from the inflated body's piece, so that a sleeve or a coat
goes on behind the arm before it, moved smoothly onto the seen surface that it continues.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..contract.frames import Camera
from .compose import compose
from .inflate import spread
from .layers import CHAIN_OF_PIECE, PIECES

THIN = 0.001         # metres: least thickness between a limb's seen and hidden side
_FARTHEST = 0.06     # metres: the inflated body is moved at most this far to meet the seen surface
_WISP = 0.011        # body heights: half width (1.9 cm) below which a bit of trunk beside an arm is the arm's
_SMOOTH = 0.02       # body heights: how far that shift is averaged


@dataclass(frozen=True)
class Maps:
    """The canvas (H, W) on which limbs are separated. depth (2, H, W) metres, NaN outside; piece (2, H, W) uint8 as in
    stages.s06_depth.Depths; matte (H, W) in [0, 1], inside (H, W) bool. Index 0 = front, 1 = back."""

    camera: Camera
    depth: np.ndarray
    piece: np.ndarray
    matte: np.ndarray
    inside: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        return np.isfinite(self.depth).all(0)


@dataclass(frozen=True)
class Limb:
    """A figure made of some chains. depth (2, H, W) metres, NaN where it is not; normal (2, H, W, 3) unit; piece
    (2, H, W) uint8; seen (2, H, W) bool: this side is in the depth maps."""

    chains: frozenset[int]
    depth: np.ndarray
    normal: np.ndarray
    piece: np.ndarray
    seen: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        return np.isfinite(self.depth).all(0)

    def hidden_points(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """xyz (N, 3) float32, normals (N, 3) float32, piece (N,) uint8 of the sides that the depth maps do not show."""
        ray = camera.pixel_rays()
        chosen = [self.hit & ~self.seen[side] for side in (0, 1)]
        return (np.concatenate([ray[c] * self.depth[s][c][:, None] for s, c in enumerate(chosen)]).astype(np.float32),
                np.concatenate([self.normal[s][c] for s, c in enumerate(chosen)]).astype(np.float32),
                np.concatenate([self.piece[s][c] for s, c in enumerate(chosen)]))


def pieces_of(chains: frozenset[int]) -> frozenset[int]:
    """Indices into PIECES of the chains' pieces."""
    return frozenset(k for k in range(len(PIECES)) if CHAIN_OF_PIECE[k + 1] in chains)


def limb(maps: Maps, prior, chains: frozenset[int], margin: float, height: float) -> Limb:
    """One figure of some chains, completed from the inflated body (prior.Prior).

    margin   metres that hidden surfaces keep from what is seen of others.     height   of the body, metres.
    """
    drawn = compose(prior, maps.camera, maps.matte, maps.inside, pieces_of(chains))
    own = np.isin(CHAIN_OF_PIECE[maps.piece], list(chains)) & (maps.piece > 0)
    seen = own & maps.mask
    sigma = _SMOOTH * height * maps.camera.fy / max(float(np.nanmedian(maps.depth[0])), 0.1)
    normal = np.stack([drawn.normal_front, drawn.normal_back])
    owner = np.stack([drawn.owner_front, drawn.owner_back])
    depth = np.stack([drawn.front, drawn.back]).astype(np.float32)
    shift = [_shift(maps.depth[side] - depth[side], seen[side], sigma) for side in (0, 1)]
    for side in (0, 1):
        moved = shift[side] if shift[side] is not None else -shift[1 - side] if shift[1 - side] is not None else 0.0
        depth[side] = np.where(seen[side], maps.depth[side], depth[side] + moved)
    lowest = np.where(seen[0], depth[0] + THIN, maps.depth[0] + margin)
    highest = np.where(seen[1], depth[1] - THIN, maps.depth[1] - margin)
    for side in (0, 1):
        depth[side] = np.where(seen[side], depth[side], np.clip(depth[side], lowest, highest))
    there = maps.mask & np.isfinite(depth).all(0) & (seen[0] | seen[1] | (lowest < highest)) & (depth[1] >= depth[0])
    piece = np.where(seen, maps.piece, owner + 1)
    return Limb(chains, np.where(there, depth, np.nan), normal, np.where(there, piece, 0).astype(np.uint8), seen & there)


def tidied(pieces: list[np.ndarray], maps: Maps, height: float) -> list[np.ndarray]:
    """The full piece maps (S, S), front and back; 0 (nobody's) for wisps of trunk right behind or before an arm's edge: the
    fitted hand never lies quite on the seen one, and what sticks out is thinner than any trunk or leg. There the arm's own
    hidden side is the surface. maps: the same on the working canvas."""
    chain = CHAIN_OF_PIECE[maps.piece]
    trunk = ((chain == 0) & (maps.piece > 0)).any(0)
    arms = (chain > 0).any(0)
    if not arms.any() or not trunk.any():
        return pieces
    pixel = maps.camera.fy / max(float(np.nanmedian(maps.depth[0])), 0.1)
    radius = max(int(round(_WISP * height * pixel)), 1)
    disc = lambda r: cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1))
    solid = cv2.dilate(cv2.morphologyEx(trunk.astype(np.uint8), cv2.MORPH_OPEN, disc(radius)), disc(1)) > 0
    count, label = cv2.connectedComponents((trunk & ~solid).astype(np.uint8), connectivity=4)
    beside = np.zeros(count, bool)
    beside[np.unique(label[cv2.dilate(arms.astype(np.uint8), disc(1)) > 0])] = True
    beside[0] = False
    wisp = (beside[label] & arms).astype(np.uint8)
    wisp = cv2.resize(wisp, pieces[0].shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    wisp &= (CHAIN_OF_PIECE[pieces[0]] > 0) | (CHAIN_OF_PIECE[pieces[1]] > 0)
    return [np.where(wisp & (CHAIN_OF_PIECE[p] == 0), 0, p).astype(np.uint8) for p in pieces]


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)


def _shift(difference: np.ndarray, seen: np.ndarray, sigma: float) -> np.ndarray | None:
    """(H, W) smooth continuation of seen minus drawn over the canvas; None where nothing is seen."""
    known = seen & np.isfinite(difference)
    if not known.any():
        return None
    limited = np.clip(np.where(known, difference, 0.0), -_FARTHEST, _FARTHEST)
    weight = _blurred(known, sigma)
    return spread(_blurred(limited, sigma) / np.maximum(weight, 1e-3), weight > 0.05)
