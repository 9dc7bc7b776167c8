"""Maps that networks predict, made into what the later stages take: one outline, two surfaces that do not cross, limbs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .integrate import integrated
from .nudge import nudged
from .owners import owners

DOUBT, SURE = 0.2, 0.7   # the matte's pixels are left out below this probability of the network's, others are taken in above this
THIN = 0.0005            # metres: least thickness


def outline(person, probability: np.ndarray) -> np.ndarray:
    """(n, n) bool: the person by s02's matte, which the network may overrule where it is sure (what hides behind something; a halo).

    probability (n, n) in [0, 1] that a pixel is the person's. Pieces that hold nothing of the matte are left out.
    """
    n = probability.shape[0]
    small = lambda a: a if len(a) == n else cv2.resize(a.astype(np.float32), (n, n), interpolation=cv2.INTER_AREA)
    inside, matte = small(person.inside) > 0.5, small(person.mask) > 0.5
    mask = inside & np.where(matte, probability >= DOUBT, probability > SURE)
    count, label = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, bool)
    kept[np.unique(label[matte])] = True
    kept[0] = False
    return kept[label]


def enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    """(n, n) -> (side, side), smoothly."""
    return cv2.resize(picture.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True)
class Sides:
    """front, back (S, S) float32 metres, NaN outside the mask; back > front. piece_front, piece_back (S, S) uint8 as in stages.s06_depth.Depths."""

    front: np.ndarray
    back: np.ndarray
    piece_front: np.ndarray
    piece_back: np.ndarray


def sides(person, body, front: np.ndarray, back: np.ndarray, normal_front: np.ndarray, normal_back: np.ndarray, mask: np.ndarray,
          device: str = "cpu") -> Sides:
    """Predicted depths with the detail of the predicted normals; (S, S) and (S, S, 3), `Person.camera`."""
    camera = person.camera
    front, back = (integrated(z, n, mask, camera, device=device) for z, n in ((front, normal_front), (back, normal_back)))
    crossed = mask & (back - front < THIN)
    middle = (front + back) / 2
    front, back = np.where(crossed, middle - THIN / 2, front), np.where(crossed, middle + THIN / 2, back)
    posed, height = nudged(person, body), max(body.height_m, 0.3)
    pieces = (owners(z, n, mask, camera, posed, height) for z, n in ((front, normal_front), (back, normal_back)))
    return Sides(front.astype(np.float32), back.astype(np.float32), *pieces)
