"""Maps that networks predict, made into what the later stages take: one outline, two surfaces that do not cross, limbs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from ..contract.joints import JOINT
from .compose import Composed
from .disputed import in_profile, settled
from .face_relief import apply_face, with_face
from .integrate import integrated
from .nudge import nudged
from .owners import owners
from .turning import TURN, turned_in

DOUBT, SURE = 0.05, 0.9   # the matte's pixels are left out below this probability of the network's, others are taken in above this
THIN = 0.0005            # metres: least thickness
FAR = 1.0                # metres: no relief of a face reaches that far


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


HEAD = [0] + [1 + JOINT[name] for name in ("head", "neck")]
"""Parts of the posed body (joint + 1, 0 = none) that may lie under a face; a hand before it may not."""


def faced(person, body, depth: np.ndarray, normals: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Front normals (S, S, 3) with the relief of the photo's face mesh; None where there is none that can be used.

    depth (n, n) metres, NaN outside, any n: the front that the mesh is laid on.
    """
    if person.face is None or person.facing == "back":
        return None
    side, known = len(mask), np.isfinite(depth)
    if not known.any():
        return None
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    front = np.where(mask, enlarged(depth[tuple(nearest)], side), np.nan).astype(np.float32)
    part = cv2.resize(body.maps.part_front, (side, side), interpolation=cv2.INTER_NEAREST)
    head = mask & np.isin(part, HEAD)
    laid = apply_face(front, front + FAR, head, person.face, person.camera)
    return None if laid is None else with_face(normals, *laid, head, person.camera) * mask[..., None]


@dataclass(frozen=True)
class Sides:
    """front, back (S, S) float32 metres, NaN outside the mask; back > front. The rest as in stages.s06_depth.Depths."""

    front: np.ndarray
    back: np.ndarray
    piece_front: np.ndarray
    piece_back: np.ndarray
    settled_front: np.ndarray
    settled_back: np.ndarray


def sides(person, body, front: np.ndarray, back: np.ndarray, normal_front: np.ndarray, normal_back: np.ndarray, mask: np.ndarray,
          inflated: Composed, device: str = "cpu") -> Sides:
    """Predicted depths with the detail of the predicted normals; (S, S) and (S, S, 3), `Person.camera`. inflated: the body in the person's
    outline, which says how it is where both disagree about arms (disputed.py)."""
    camera = person.camera
    front, back = _apart(*(integrated(z, n, mask, camera, device=device) for z, n in ((front, normal_front), (back, normal_back))), mask)
    posed, height = nudged(person, body), max(body.height_m, 0.3)
    front, back = turned_in(front, back, person.inside, TURN * height, camera.fx)
    shoulders = camera.project(posed.joints[[JOINT["left_shoulder"], JOINT["right_shoulder"]]].astype(np.float64))
    pieces = [owners(z, n, mask, camera, posed, height) for z, n in ((front, normal_front), (back, normal_back))]
    if in_profile(shoulders, camera.fx * height / float(np.nanmedian(front[mask]))):
        nowhere = np.zeros((0, 0, 0), np.float32)
        return Sides(front, back, *pieces, nowhere, nowhere)
    near, far = (settled(z, n, piece, *there, camera, height, shoulders) for z, n, piece, there in
                 ((front, normal_front, pieces[0], (inflated.front, inflated.normal_front, inflated.owner_front)),
                  (back, normal_back, pieces[1], (inflated.back, inflated.normal_back, inflated.owner_back))))
    return Sides(*_apart(near.depth, far.depth, mask), near.piece, far.piece, near.normals, far.normals)


def _apart(front: np.ndarray, back: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Front and back (S, S) float32 of which none is behind the other."""
    crossed, middle = mask & (back - front < THIN), (front + back) / 2
    return np.where(crossed, middle - THIN / 2, front).astype(np.float32), np.where(crossed, middle + THIN / 2, back).astype(np.float32)
