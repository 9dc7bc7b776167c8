"""What place of our body model (neural/body) a place on or above the mean person at rest belongs to.

The model is put into the base mesh's rest pose (the T-pose turned back), so cloth and skin meet there without being unposed. "Nearest" also counts
how much a place follows other limbs than the skin there, and where it looks to: so the inside of one thigh is not taken for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from neural.body.model import BodyModel
from neural.contract.joints import JOINT, SMPL_JOINTS, SMPL_PARENTS
from neural.geometry.normals import vertex_normals

from ...body.rig import BODY_FROM_ANNY, joint_of_bone

LIMBS = ("left_leg", "right_leg", "left_arm", "right_arm", "head")
_LIMB_M, _NORMAL_M = 0.2, 0.03
"""Metres that a wholly different limb, and a normal that differs by a right angle, count as."""

_UV_M = 3.0
"""Metres that the whole texture's width counts as when a side of a seam is kept."""

_LEG, _ARM = ("hip", "knee", "ankle", "foot"), ("shoulder", "elbow", "wrist", "hand")


def limb_matrix() -> np.ndarray:
    """(24, 5): which limb each SMPL joint belongs to."""
    out = np.zeros((24, len(LIMBS)))
    for j, name in enumerate(SMPL_JOINTS):
        side, _, part = name.partition("_")
        limb = f"{side}_leg" if part in _LEG else f"{side}_arm" if part in _ARM else "head" if name in ("head", "neck") else ""
        if limb:
            out[j, LIMBS.index(limb)] = 1
    return out


def joints_of_bones(bones: tuple[str, ...]) -> np.ndarray:
    """(B,) SMPL joint that each bone of MakeHuman's default rig moves with."""
    def one(bone: str) -> int:
        try:
            return joint_of_bone(bone)
        except (KeyError, StopIteration, ValueError):
            return JOINT["spine3"] if bone.startswith("breast") else JOINT["head"]
    return np.array([one(b) for b in bones])


@dataclass(frozen=True)
class Anchors:
    """N places: uv (N, 2), place (N, 3) on the mean body in its T-pose (frame `body`), part (N,) uint8, height (N,) metres outward,
    face (N,) int64 of the body model."""

    uv: np.ndarray
    place: np.ndarray
    part: np.ndarray
    height: np.ndarray
    face: np.ndarray


@dataclass(frozen=True)
class RestBody:
    """Our body model standing as the people at rest do. vertices (V, 3) float64, `blender` axes; the other arrays are the model's."""

    model: BodyModel
    vertices: np.ndarray

    @cached_property
    def _nodes(self):
        """One node a texture coordinate (so both sides of a seam are there): its vertex, embedding, and the triangles round it."""
        m, skin = self.model, ~self.model.inner
        faces = np.nonzero(skin[m.faces].any(1))[0]
        flat, of = m.uv_faces[faces].ravel(), np.repeat(faces, 3)
        order = np.argsort(flat, kind="stable")
        nodes, start, count = np.unique(flat[order], return_index=True, return_counts=True)
        vertex = np.zeros(len(m.uv), np.int64)
        vertex[m.uv_faces.ravel()] = m.faces.ravel()
        vertex = vertex[nodes]
        normals = vertex_normals(self.vertices.astype(np.float32), m.faces)[vertex].astype(np.float64)
        fan = np.full((len(nodes), count.max()), -1, np.int64)
        at = np.arange(len(flat)) - np.repeat(start, count)
        fan[np.repeat(np.arange(len(nodes)), count), at] = of[order]
        fan = np.where(fan < 0, fan[:, :1], fan)
        embedding = np.concatenate([self.vertices[vertex], _LIMB_M * m.weights[vertex] @ limb_matrix(), _NORMAL_M * normals], 1)
        return nodes, embedding, fan, cKDTree(embedding)

    def find(self, points: np.ndarray, limbs: np.ndarray, normals: np.ndarray, near_uv: np.ndarray | None = None) -> Anchors:
        """points (N, 3), limbs (N, 5) share of the weight on each limb, normals (N, 3) unit. near_uv (N, 2): the side of a seam to stay on."""
        _, _, fan, tree = self._nodes
        query = np.concatenate([points, _LIMB_M * limbs, _NORMAL_M * normals], 1)
        if near_uv is not None:
            tree, query = self._uv_tree, np.concatenate([query, _UV_M * near_uv], 1)
        _, node = tree.query(query)
        return self._closest(points, fan[node])

    @cached_property
    def _uv_tree(self) -> cKDTree:
        nodes, embedding, _, _ = self._nodes
        return cKDTree(np.concatenate([embedding, _UV_M * self.model.uv[nodes]], 1))

    def _closest(self, points: np.ndarray, fan: np.ndarray) -> Anchors:
        m = self.model
        face, bary, best = fan[:, 0].copy(), np.zeros((len(points), 3)), np.full(len(points), np.inf)
        for k in range(fan.shape[1]):
            corner = self.vertices[m.faces[fan[:, k]]]
            b = closest_bary(points, corner)
            d = ((np.einsum("nk,nkd->nd", b, corner) - points) ** 2).sum(1)
            win = d < best
            face[win], bary[win], best[win] = fan[win, k], b[win], d[win]
        mix = lambda values, rows: np.einsum("nk,nkd->nd", bary, values[rows[face]])
        a, b, c = self.vertices[m.faces[face]].transpose(1, 0, 2)
        out = np.einsum("nd,nd->n", np.cross(b - a, c - a), points - mix(self.vertices, m.faces))
        return Anchors(mix(m.uv.astype(np.float64), m.uv_faces).astype(np.float32), mix(m.template, m.faces).astype(np.float32),
                       mix(m.weights, m.faces).argmax(1).astype(np.uint8), (np.sqrt(best) * np.where(out < 0, -1, 1)).astype(np.float32), face)

    @cached_property
    def uv_density(self) -> np.ndarray:
        """(F,) texture coordinate units a metre."""
        m = self.model
        p, t = self.vertices[m.faces], m.uv[m.uv_faces].astype(np.float64)
        solid = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1)
        e, f = t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]
        return np.sqrt(np.abs(e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0]) / np.maximum(solid, 1e-12))


def on_one_side(body: RestBody, faces, place, limbs, normals, anchors: Anchors) -> tuple[np.ndarray, Anchors]:
    """Faces (T, 3) whose corners lie on both sides of a seam of the body's texture, or on two limbs, get anchors of their own on one side, so
    that no face spans the layout. -> rows of the anchors (T, 3), the anchors with the new ones behind."""
    uv = anchors.uv[faces].astype(np.float64)
    far = lambda x: np.stack([np.linalg.norm(x[:, i] - x[:, (i + 1) % 3], axis=1) for i in range(3)], 1).max(1)
    density = body.uv_density[anchors.face[faces]].min(1)
    torn = np.nonzero(far(uv) > 2.5 * density * (far(place[faces]) + 0.006))[0]
    if not len(torn):
        return faces, anchors
    mean = lambda x: x[faces[torn]].mean(1)                                 # the middle decides: a corner may lie on the seam itself
    keep = body.find(mean(place), mean(limbs), mean(normals)).uv
    at = faces[torn].ravel()
    own = body.find(place[at], limbs[at], normals[at], np.repeat(keep, 3, 0))
    grid = np.round(np.clip(own.uv, 0, 1) * 2.0 ** 18).astype(np.int64)
    first, back = distinct(at, grid[:, 0], grid[:, 1])
    row = faces.copy()
    row[torn] = len(place) + back.reshape(-1, 3)
    near = at[first]                                                        # how far off the skin, and which part, does not change with the side
    new = Anchors(own.uv[first], own.place[first], anchors.part[near], anchors.height[near], own.face[first])
    return row, Anchors(*(np.concatenate([getattr(anchors, k), getattr(new, k)]) for k in ("uv", "place", "part", "height", "face")))


def distinct(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (N,) of whole numbers >= 0 -> a row number of each distinct row, in their order; and which of them each row is (N,)."""
    key = np.zeros(len(columns[0]), np.int64)
    for c in columns:
        key = key * (int(c.max(initial=0)) + 1) + c
    _, first, back = np.unique(key, return_index=True, return_inverse=True)
    return first, back.reshape(-1)


def closest_bary(p: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """(N, 3) points, (N, 3, 3) triangles -> barycentrics (N, 3) of the nearest point of each triangle."""
    a, ab, ac = corner[:, 0], corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    dot = lambda x, y: np.einsum("nd,nd->n", x, y)
    ap = p - a
    aa, bb, cc, d1, d2 = dot(ab, ab), dot(ab, ac), dot(ac, ac), dot(ap, ab), dot(ap, ac)
    area = np.maximum(aa * cc - bb * bb, 1e-30)
    v, w = (cc * d1 - bb * d2) / area, (aa * d2 - bb * d1) / area
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    best, out = np.full(len(p), np.inf), np.stack([1 - v - w, v, w], 1)
    zero = np.zeros(len(p))
    s = np.clip(d1 / np.maximum(aa, 1e-30), 0, 1)
    t = np.clip(d2 / np.maximum(cc, 1e-30), 0, 1)
    bc = ac - ab
    u = np.clip(dot(ap - ab, bc) / np.maximum(dot(bc, bc), 1e-30), 0, 1)
    for b in (np.stack([1 - s, s, zero], 1), np.stack([1 - t, zero, t], 1), np.stack([zero, 1 - u, u], 1)):
        d = ((a + b[:, 1:2] * ab + b[:, 2:] * ac - p) ** 2).sum(1)
        win = ~inside & (d < best)
        out[win], best[win] = b[win], d[win]
    return out


def stood(model: BodyModel, world: np.ndarray, betas: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of the model with world rotations (24, 3, 3), `blender` axes, pelvis at the origin, shape betas (10,)."""
    rest, joints = (x @ BODY_FROM_ANNY for x in model.shaped(betas, scale))
    place = np.zeros_like(joints)
    for j, p in enumerate(SMPL_PARENTS):
        if p >= 0:
            place[j] = place[p] + world[p] @ (joints[j] - joints[p])
    moved = np.einsum("jab,vb->jva", world, rest) + (place - np.einsum("jab,jb->ja", world, joints))[:, None]
    return np.einsum("vj,jva->va", model.weights, moved), place
