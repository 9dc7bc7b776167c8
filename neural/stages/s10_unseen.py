"""s10, part: which colours the unseen side takes without a network ("projection+mirror+diffusion").

Five sources, blended in the gradient domain on the mesh so that no light jump is left at their borders:
garment    on trunk, arms and legs: the middle colour of the garment at that height (no prints, no zips), with the folds
           and the weave of the front surface on the same ray;
mirror     on hands and feet: the front surface's colour on the same ray;
hair       on the back of the head: the hair's colour, decided by the colours of crown and face, in strands; never the face;
symmetry   the colour of the same place on the other side of the body (an arm hidden behind the back);
diffusion  the smooth continuation over the mesh, with grain like the photo's so that it does not look like plastic.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ..contract.joints import JOINT, LANDMARK
from ..geometry.bake import Sight, cosines
from ..geometry.calm import calm_colours
from ..geometry.closest import Closest
from ..geometry.fill import guided_fill, mesh_edges, smooth
from ..geometry.plate import Plate, sample
from .s02_person import Person
from .s03_body import Body
from .s09_surface import Surface

TORSO, HEAD, NECK, LEFT_ARM, RIGHT_ARM = range(5)
_GROUP = np.full(24, TORSO)
_GROUP[JOINT["head"]], _GROUP[JOINT["neck"]] = HEAD, NECK
for _side, _group in (("left", LEFT_ARM), ("right", RIGHT_ARM)):
    _GROUP[[JOINT[f"{_side}_{j}"] for j in ("shoulder", "elbow", "wrist", "hand")]] = _group
_ALIKE = np.eye(5, dtype=bool)                 # which groups may show each other's colour on a ray
_ALIKE[NECK, [HEAD, TORSO]] = _ALIKE[[HEAD, TORSO], NECK] = True


@dataclass(frozen=True)
class UnseenConfig:
    """Our choices; no paper behind them."""

    mirror_trust: float = 0.02    # pull towards the mirrored colour itself (its differences are followed anyway)
    symmetry_trust: float = 0.10
    hair_trust: float = 5.0
    nape_trust: float = 0.15
    cloth_trust: float = 0.008    # the garment's colour is met this far from the seen border: 1 / sqrt = 11 edges
    symmetry_reach_m: float = 0.05
    reach_px: float = 10.0        # mirrored colours are used up to here outside the matte, pixels of a 1024 crop
    beside_px: float = 6.0        # this near another limb's pixels a garment's colour is not taken: matte, fit and blur mix them
    grain: float = 1.0            # grain of diffused areas relative to the photo's own


@dataclass(frozen=True)
class Unseen:
    """Per vertex: seen (V,) [0, 1]; guide (V,) [0, 1], how far the mirrored photo is used; colour (V, 3) sRGB 0..255;

    shift (V, 3): what is added to the mirrored photo; hair, cloth (V,) [0, 1], where strands and where the cloth's own
    detail are added; grain, hair_grain: standard deviation of the noise, 0..255; crown (3,) top of the head, camera frame.
    """

    seen: np.ndarray
    guide: np.ndarray
    colour: np.ndarray
    shift: np.ndarray
    hair: np.ndarray
    cloth: np.ndarray
    grain: float
    hair_grain: float
    crown: np.ndarray
    face_hidden: bool


def seen_weight(points: np.ndarray, cosine: np.ndarray, sight: Sight, plate: Plate, pixels: np.ndarray) -> np.ndarray:
    """(N,) [0, 1]: how far the photo itself is the colour of these points of the surface (pixels: on the plate)."""
    t = np.clip((cosine - 0.15) / 0.20, 0, 1)                       # below 80 degrees: nothing; above 70: all
    weight = t * t * (3 - 2 * t) * sight.visible(points, cosine) * plate.within(pixels)
    return np.clip(weight * sample(plate.solid, pixels), 0, 1).astype(np.float32)


def plan_unseen(person: Person, body: Body, surface: Surface, near: Closest, sight: Sight, plate: Plate,
                config: UnseenConfig = UnseenConfig()) -> Unseen:
    """Decide and solve the colours at the vertices. near: closest points of the surface's vertices on the body."""
    v, n, f = surface.vertices.astype(np.float64), surface.normals.astype(np.float64), surface.faces
    crop = person.camera.project(v)
    pixels = plate.at(crop)
    cosine = cosines(v, n)
    seen = seen_weight(v, cosine, sight, plate, pixels)
    low = sample(plate.low, pixels).astype(np.float64)
    group = _GROUP[body.part[body.faces[near.face, 0]].astype(int)]
    shown = sight.face_at(v)
    alike = (shown < 0) | _ALIKE[group, group[f[np.maximum(shown, 0), 0]]]
    unit = person.camera.width / 1024
    guide = alike & plate.within(pixels) & (sample(plate.outside, pixels) < config.reach_px * unit)
    target, trust = low.copy(), np.where(guide, config.mirror_trust, 0.0)
    hidden = (seen < 0.05) & ~guide
    _symmetry(target, trust, hidden, seen, near, body, low, config)
    rest = near.interpolate(body.rest_vertices, body.faces)
    clear = seen * ~_beside_others(group, sight, v, f, config.beside_px * unit)
    garment, known = calm_colours(rest, near.interpolate(body.weights, body.faces), low, clear)
    cloth = known & (seen < 0.10) & (cosine < 0.06)
    detail = cloth & guide
    target[cloth], trust[cloth], guide[cloth] = garment[cloth], config.cloth_trust, False
    hair = np.zeros(len(v), bool)
    face_hidden = person.facing == "back"
    if person.facing == "front":
        hair = _head(target, trust, guide, seen, v, cosine, crop, low, group, person, body, config)
    edges = mesh_edges(f)
    soft = _feathered(guide, edges)
    firm = (seen > 0.02) & ~cloth & ~hair
    trust = np.where(firm, 1000.0 * seen, trust)
    target = np.where(firm[:, None], low, target)
    follow = np.where(firm, np.maximum(soft, seen) * ~_beside(cloth, edges), np.where(cloth, 1.0, soft))
    colour = np.clip(guided_fill(target, trust, follow, edges), 0, 255)
    soft = np.maximum(soft, np.where(cloth | hair, 0.0, seen))
    inner = plate.solid > 0.9
    fine = (plate.rgb - plate.low).mean(2)[inner]
    grain = float(np.clip(config.grain * 1.48 * np.median(np.abs(fine)) if len(fine) else 0.0, 1.0, 9.0))
    strand = _feathered(hair, edges)
    fibre = np.abs(sample(plate.rgb, pixels) - sample(plate.soft, pixels)).mean(1)[(group == HEAD) & (seen > 0.8) & (crop[:, 1] < _face_area(person)[1])]
    hair_grain = float(np.clip(0.8 * np.median(fibre), 2.5, 11.0)) if len(fibre) > 15 else 5.0
    head = v[group == HEAD]
    crown = head[np.argmin(head[:, 1])] if len(head) else v.mean(0)
    return Unseen(seen, soft.astype(np.float32), colour.astype(np.float32), (colour - low).astype(np.float32),
                  strand.astype(np.float32), _feathered(detail, edges).astype(np.float32), grain, hair_grain, crown, face_hidden)


def _feathered(flag: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(V,) bool -> [0, 1]: 0 where it does not hold, rising to 1 over a few edges inside."""
    return np.clip(2 * smooth(flag.astype(np.float64), edges, 4) - 1, 0, 1) * flag


def _beside_others(group: np.ndarray, sight: Sight, vertices: np.ndarray, faces: np.ndarray, reach: float) -> np.ndarray:
    """(V,) bool: within `reach` pixels of the vertex the camera sees another limb, such as a forearm before the trunk."""
    shown = np.where(sight.face >= 0, group[faces[np.maximum(sight.face, 0), 0]], -1)
    x, y = sight.pixels(vertices)
    out = np.zeros(len(group), bool)
    for own in np.unique(group):
        other = (shown >= 0) & ~_ALIKE[own][np.maximum(shown, 0)]
        if other.any():
            out |= (group == own) & (cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, 5)[y, x] <= reach)
    return out


def _beside(flag: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(V,) bool: some neighbour has the flag."""
    return np.bincount(edges.ravel(), flag[edges[:, ::-1]].ravel(), len(flag)) > 0


def _symmetry(target, trust, hidden, seen, near, body, low, config):
    """Hidden vertices take the colour of the seen ones at the mirrored place of the body at rest."""
    rest = near.interpolate(body.rest_vertices, body.faces)
    source, rows = np.nonzero(seen > 0.6)[0], np.nonzero(hidden)[0]
    if len(source) < 20 or not len(rows):
        return
    distance, pick = cKDTree(rest[source]).query(rest[rows] * (-1, 1, 1), k=6)
    good = distance[:, -1] < config.symmetry_reach_m
    target[rows[good]] = low[source[pick[good]]].mean(1)
    trust[rows[good]] = config.symmetry_trust


def _head(target, trust, guide, seen, v, cosine, crop, low, group, person, body, config):
    """No face on the back of the head: hair instead, of a colour decided by statistics of crown and face.

    Modifies target, trust and guide; -> hair (V,) bool.
    """
    hair = np.zeros(len(v), bool)
    canvas, brow, chin, middle, half = _face_area(person)
    x, y = np.clip(np.floor(crop).astype(int), 0, canvas.shape[0] - 1).T
    on_face, unseen, long = canvas[y, x] > 0, seen < 0.10, chin - brow
    top, sight_seen = np.isin(group, (HEAD, NECK)), seen > 0.5
    guide[unseen & on_face & ~np.isin(group, (LEFT_ARM, RIGHT_ARM))] = False
    crown = (group == HEAD) & ~on_face & sight_seen & (crop[:, 1] < brow)
    if crown.sum() < 15:                                            # cut off, or a hood over the brow
        crown = (group == HEAD) & sight_seen & (crop[:, 1] < brow + 0.3 * long)
    if crown.sum() < 5:
        return hair
    lab = _lab(low)
    inner = (group == HEAD) & on_face & (seen > 0.8)
    skin = np.median(lab[inner], 0) if inner.sum() > 20 else np.full(3, 1e3)
    hue = np.median(lab[crown], 0)
    to_hair, to_skin = np.linalg.norm(lab - hue, axis=1), np.linalg.norm(lab - skin, axis=1)
    bald = np.linalg.norm(hue - skin) < 9
    hair_like = ~on_face & (to_hair < to_skin) & (to_hair < 40)
    aside = np.abs(crop[:, 0] - middle) > 0.85 * half
    seeds = (crown & (bald | hair_like)) | (top & hair_like & sight_seen & ((crop[:, 1] < chin) | aside))
    source = np.nonzero(seeds)[0]
    if len(source) < 5:
        return hair
    hanging = seeds & (crop[:, 1] > chin)
    bottom = chin - 0.30 * long                                     # the nape's hair line of short hair
    by_jaw = seeds & (crop[:, 1] > chin - 0.35 * long) & (crop[:, 1] <= chin)
    if hanging.sum() > 25 and by_jaw.sum() > 25:                    # else it is a collar of the hair's colour
        bottom = float(np.quantile(crop[hanging, 1], 0.9))
    distance, near = cKDTree(v[source]).query(v, k=min(24, len(source)))
    behind = _behind_ears(v, body)
    around = cKDTree(v[sight_seen]).query(v, k=9)[1]
    rim_hair = hair_like[np.nonzero(sight_seen)[0][around]].mean(1) > 0.5
    place = top & unseen & (cosine < 0.2) & (crop[:, 1] < bottom)
    rows = np.nonzero(place & (behind | rim_hair | (crop[:, 1] < brow)))[0]
    bare = top & unseen & (cosine < 0.2)               # ears, cheeks, jaw: what is seen next to them goes on
    guide[bare], trust[bare] = False, 0.0
    nape = bare & behind & ~rim_hair & (crop[:, 1] >= bottom) & (crop[:, 1] < chin + 0.12 * long)
    if inner.sum() > 20:                                            # in the shade of the hair, above any collar
        target[nape], trust[nape] = 0.85 * np.median(low[inner], 0), config.nape_trust
    if not len(rows):
        return hair
    own = np.nonzero(seeds & crown)[0] if (seeds & crown).sum() > 50 else source
    light, dark = np.quantile(lab[own, 0], (0.65, 0.1))             # the back has fewer highlights than the brow
    mean = np.median(low[own if bald else own[(lab[own, 0] <= light) & (lab[own, 0] >= dark)]], 0)
    share = 0.8 * np.exp(-(distance[rows].mean(1, keepdims=True) / 0.04) ** 2)
    ramp = np.clip((bottom - crop[rows, 1]) / max(0.12 * long, 1.0), 0, 1)
    guide[rows] = False
    target[rows] = share * low[source[near[rows]]].mean(1) + (1 - share) * mean
    trust[rows] = config.hair_trust * ramp * np.where(cosine[rows] < 0.1, 1.0, 0.05)
    hair[rows[ramp > 0.5]] = not bald
    return hair


def _behind_ears(v: np.ndarray, body: Body) -> np.ndarray:
    """(V,) bool: behind the plane through the ears of the fitted head."""
    own = np.asarray(body.vertices, np.float64)[body.part == JOINT["head"]]
    if len(own) < 10:
        return np.ones(len(v), bool)
    forward = np.asarray(body.camera_from_rest)[JOINT["head"], :3, 2]
    along = own @ forward
    return v @ forward < along.min() + 0.46 * np.ptp(along)


def _face_area(person):
    """(S, S) uint8 mask of the face, slightly enlarged; rows of brow and chin, middle column and half width: crop pixels."""
    size = person.mask.shape[0]
    canvas = np.zeros((size, size), np.uint8)
    if person.face is not None:
        points = person.face[:, :2].astype(np.float64)
        hull = cv2.convexHull(points.astype(np.float32))[:, 0]
        middle, grow = hull.mean(0), 1.10
        brow, chin = np.quantile(points[:, 1], 0.15), points[:, 1].max()
        cv2.fillConvexPoly(canvas, np.round(middle + (hull - middle) * grow).astype(np.int32), 1)
        return canvas, float(brow), float(chin), float(middle[0]), float(0.5 * np.ptp(points[:, 0]))
    mark = person.landmarks.astype(np.float64)
    eyes = 0.5 * (mark[LANDMARK["left_eye"]] + mark[LANDMARK["right_eye"]])
    mouth = 0.5 * (mark[LANDMARK["mouth_left"]] + mark[LANDMARK["mouth_right"]])
    ears = np.linalg.norm(mark[LANDMARK["left_ear"]] - mark[LANDMARK["right_ear"]])
    long = max(np.linalg.norm(mouth - eyes), 0.3 * ears, 2.0)
    middle = 0.5 * (eyes + mouth)
    half = max(0.55 * ears, 0.9 * long)
    cv2.ellipse(canvas, tuple(int(c) for c in np.round(middle)), (int(half), int(1.7 * long)), 0, 0, 360, 1, -1)
    return canvas, float(eyes[1] - 0.4 * long), float(mouth[1] + 0.7 * long), float(middle[0]), float(half)


def _lab(rgb):
    """(N, 3) sRGB 0..255 -> CIE Lab."""
    return cv2.cvtColor((np.clip(rgb, 0, 255) / 255).astype(np.float32).reshape(-1, 1, 3), cv2.COLOR_RGB2LAB)[:, 0]
