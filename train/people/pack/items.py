"""Garments, hair, eyes, shoes … of the assets as one flat table: fitted to the base mesh, subdivided, split at seams, anchored to our body."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Callable

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from neural.body.model import BodyModel
from neural.geometry.normals import vertex_normals

from .. import base as base_mesh
from ..assets import welded
from ..types import Base, Item, Items
from .anchors import Anchors, RestBody, distinct, joints_of_bones, limb_matrix, on_one_side, stood
from .folder import Source, _mesh
from .subdivide import Fine, subdivide, triangles, unchanged

CLOTH = ("full", "top", "bottom", "dress", "coat", "socks", "hat")
"""Slots whose items may be displaced and re-coloured."""

SUBDIVIDED = ("full", "top", "bottom", "dress", "coat", "socks")
SUBDIVIDE_BELOW = 5000
"""Coarse vertices from which on a garment is fine enough."""

INFLUENCES = 6
NEEDED = ("f", "ref", "w", "off", "scale")


@dataclass(frozen=True)
class Piece:
    """One item before the tables are joined; fields as in Items, indices local."""

    item: Item
    ref: np.ndarray
    mix: np.ndarray
    offset: np.ndarray
    scale_pair: np.ndarray
    scale_length: np.ndarray
    fine_index: np.ndarray
    fine_weight: np.ndarray
    skin_bone: np.ndarray
    skin_weight: np.ndarray
    uv: np.ndarray
    weld: np.ndarray
    faces: np.ndarray
    neutral: np.ndarray
    anchors: Anchors


@dataclass(frozen=True)
class Tailor:
    """What every item needs: the base mesh, its dense weights (N, B), the limbs of its bones (B, 5) and our body as it rests."""

    base: Base
    weights: np.ndarray
    limbs: np.ndarray
    body: RestBody

    @staticmethod
    @lru_cache(maxsize=1)
    def make() -> "Tailor":
        base, model = base_mesh.load(), BodyModel.load()
        world = np.swapaxes(base.tpose.numpy().astype(np.float64), 1, 2)
        vertices, joints = stood(model, world, base.betas_mean.numpy())
        vertices = vertices + base.heads[base.smpl_bone[0]].numpy() - joints[0]
        return Tailor(base, base_mesh.dense_weights(base), limb_matrix()[joints_of_bones(base.bones)], RestBody(model, vertices))


def build(source: Source, records: list[dict], texture_row: Callable[[str], int], part_of: Callable[[dict], str],
          warn: Callable[[str], None] = print) -> Items:
    """The body and all items of the records (in their order)."""
    tailor = Tailor.make()
    pieces = [body(tailor)]
    for record in records:
        pieces.append(piece(tailor, source, record, texture_row(record["name"]), part_of(record), warn))
    return join(pieces)


def body(tailor: Tailor) -> Piece:
    """The skin itself as item 0."""
    skin = base_mesh.skin()
    used, faces = np.unique(skin.faces, return_inverse=True)
    item = Item("body", "body", "any", "shared", 0, (0, 0), (0, 0), (0, 0), -1, False, False, torch.zeros(0, dtype=torch.int64), "CC0-1.0",
                "MakeHuman team")
    n = len(used)
    flat = _finish(tailor, item, np.repeat(used[:, None], 3, 1), np.tile([1.0, 0, 0], (n, 1)), np.zeros((n, 3)), np.full((3, 2), -1), np.ones(3),
                   unchanged(n, faces.reshape(-1, 4), skin.uv, skin.uv_faces), split=False)
    limbs = (flat.skin_weight[..., None] * tailor.limbs[flat.skin_bone]).sum(1)
    normals = vertex_normals(flat.neutral.astype(np.float32), flat.weld[flat.faces])[flat.weld]
    own = tailor.body.find(flat.neutral, limbs, normals, flat.uv)            # the same layout: a place is found by its texture coordinate
    return replace(flat, anchors=replace(own, uv=flat.uv, height=np.zeros(len(flat.uv), np.float32)))


def piece(tailor: Tailor, source: Source, record: dict, texture: int, part: str, warn: Callable[[str], None] = print) -> Piece:
    """One item of the assets. OptionError "option.mesh" when its file is broken; without texture coordinates it loses its texture, said."""
    name = f"{record['dir']}/mesh.npz"
    mesh = source.arrays(name, NEEDED)
    faces, count = mesh["f"].astype(np.int64), len(mesh["ref"])
    if faces.ndim != 2 or faces.shape[1] not in (3, 4) or not len(faces) or faces.max() >= count or faces[:, :3].min() < 0:
        raise _mesh(name, "has faces that do not fit its vertices")
    if mesh["ref"].max() >= len(tailor.base.mean) or mesh["ref"].min() < 0 or not np.isfinite(mesh["off"]).all():
        raise _mesh(name, "does not belong to the base mesh hm08")
    uv, uv_faces = mesh.get("vt", np.zeros((0, 2))), mesh.get("ft", np.zeros((0, 4))).astype(np.int64)
    if faces.shape[1] == 3:
        faces = np.c_[faces, np.full(len(faces), -1)]
    if uv_faces.shape[1] == 3:
        uv_faces = np.c_[uv_faces, np.full(len(uv_faces), -1)]
    if not len(uv) or uv_faces.shape != faces.shape or (uv_faces < 0)[faces >= 0].any() or uv_faces.max() >= len(uv):
        warn(f"{record['name']}: no usable texture coordinates; it is drawn without its texture")
        uv, uv_faces, texture = np.zeros((count, 2), np.float32), faces, -1
    slot = record.get("slot", record["kind"])
    fine = subdivide if slot in SUBDIVIDED and count < SUBDIVIDE_BELOW else unchanged
    hides = torch.as_tensor(mesh.get("delete", np.zeros(0)).astype(np.int64))
    item = Item(record["name"], slot, record.get("sex") or "any", part, int(record.get("z_depth") or 50), (0, 0), (0, 0), (0, 0), texture,
                bool(record.get("alpha")) and texture >= 0, slot in CLOTH, hides, record["licence"], record.get("author", ""))
    off = mesh["off"].astype(np.float64)
    offset = np.stack([off[:, 0], -off[:, 2], off[:, 1]], 1) / 10           # decimetres, y up -> metres, z up
    scale = mesh["scale"][[0, 2, 1]]
    return _finish(tailor, item, mesh["ref"].astype(np.int64), mesh["w"].astype(np.float64), offset, scale[:, :2].astype(np.int64),
                   np.where(scale[:, 0] < 0, 1.0, scale[:, 2] / 10), fine(count, faces, uv.astype(np.float32), uv_faces), split=True)


def fitted(rest: np.ndarray, ref, mix, offset, pair, length) -> np.ndarray:
    """(C, 3) coarse vertices on a body at rest (N, 3); the formula of Items."""
    s = np.ones(3)
    for axis in range(3):
        if pair[axis, 0] >= 0:
            s[axis] = abs(rest[pair[axis, 0], axis] - rest[pair[axis, 1], axis]) / length[axis]
    return np.einsum("ij,ijd->id", mix, rest[ref]) + offset * s


def _finish(tailor: Tailor, item: Item, ref, mix, offset, pair, length, fine: Fine, split: bool) -> Piece:
    rest = tailor.base.mean.numpy().astype(np.float64)
    coarse = fitted(rest, ref, mix, offset, pair, length)
    rows = sparse.csr_matrix((fine.weight.ravel(), fine.index.ravel(), np.arange(0, fine.index.size + 1, fine.index.shape[1])),
                             (len(fine.index), len(coarse)))
    place = rows @ coarse
    weights = rows @ _skin_weights(tailor, ref, mix)
    cut = triangles(fine.place, place)
    faces, corner_uv = fine.place[cut[:, :1], cut[:, 1:]], fine.uv_index[cut[:, :1], cut[:, 1:]]
    weld = _weld(place, fine.border)
    normals = vertex_normals(place.astype(np.float32), weld[faces])[weld].astype(np.float64)
    anchors = tailor.body.find(place, weights @ tailor.limbs, normals)
    turned = _inside_out(place, faces, weld, anchors, tailor.body, -0.35 if item.cloth else 0.0) if split else np.zeros(len(faces), bool)
    if turned.any():
        faces[turned], corner_uv[turned] = faces[turned][:, ::-1], corner_uv[turned][:, ::-1]
        normals = vertex_normals(place.astype(np.float32), weld[faces])[weld].astype(np.float64)
        anchors = tailor.body.find(place, weights @ tailor.limbs, normals)
    side, anchors = on_one_side(tailor.body, faces, place, weights @ tailor.limbs, normals, anchors) if split else (faces, anchors)
    first, local = distinct(faces.ravel(), corner_uv.ravel(), side.ravel())
    at, tex, anchor = faces.ravel()[first], corner_uv.ravel()[first], side.ravel()[first]
    bone, strength = _strongest(weights)
    pick = lambda f: f[anchor]
    return Piece(item, ref, mix, offset, pair, length, fine.index[at], fine.weight[at], bone[at], strength[at], fine.uv[tex], weld[at],
                 local.reshape(-1, 3), place[at], Anchors(*map(pick, (anchors.uv, anchors.place, anchors.part, anchors.height, anchors.face))))


def _skin_weights(tailor: Tailor, ref: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """(C, B): as the base vertices that a vertex hangs on; negative parts cut."""
    w = np.maximum(np.einsum("ij,ijb->ib", mix, tailor.weights[ref]), 0)
    return w / w.sum(1, keepdims=True)


def _strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, B) -> the largest few of each row as bones and weights (P, 6), rows sum to 1; of equal ones the first bone."""
    left, row, bones, strength = weights.copy(), np.arange(len(weights)), [], []
    for _ in range(INFLUENCES):
        bones.append(left.argmax(1))
        strength.append(left[row, bones[-1]].copy())
        left[row, bones[-1]] = -1
    out = np.maximum(np.stack(strength, 1), 0)
    return np.stack(bones, 1), out / out.sum(1, keepdims=True)


def _weld(place: np.ndarray, border: np.ndarray) -> np.ndarray:
    """(P,) the same number for border places that coincide (pieces sewn together); all others on their own."""
    out = np.arange(len(place))
    rows = np.nonzero(border)[0]
    if len(rows):
        same = welded(place[rows])
        first = np.full(same.max() + 1, -1)
        first[same[::-1]] = rows[::-1]
        out[rows] = first[same]
    return out


def _inside_out(place, faces, weld, anchors: Anchors, body: RestBody, level: float) -> np.ndarray:
    """(T,) faces of connected pieces that look inward: closed ones by their volume, open ones when their area, each part weighted by how much it
    looks away from the skin (1) or at it (-1), comes to less than `level`: below 0 for cloth, whose linings rightly look at the skin."""
    tri = weld[faces]
    graph = sparse.coo_matrix((np.ones(2 * len(tri)), (tri[:, [0, 1]].ravel(), tri[:, [1, 2]].ravel())), (len(place),) * 2)
    label = connected_components(graph, directed=False)[1][tri[:, 0]]
    p = place[tri]
    area = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) / 2
    m = body.model
    skin = body.vertices[m.faces[anchors.face]].mean(1)                     # coarse, enough for a sign
    away = (place - skin)[tri].mean(1)
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    look = np.bincount(label, (area * away).sum(1)) / np.maximum(np.bincount(label, np.linalg.norm(area, axis=1)), 1e-12)
    middle = np.stack([np.bincount(label, p.mean(1)[:, k]) / np.maximum(np.bincount(label), 1) for k in range(3)], 1)
    volume = np.bincount(label, (area * (p.mean(1) - middle[label])).sum(1))
    edges = np.sort(tri[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, which, times = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    open_ = np.bincount(label, (times[which].reshape(-1, 3) != 2).any(1)) > 0
    return np.where(open_, look < level, volume < 0)[label]


def join(pieces: list[Piece]) -> Items:
    """All tables one after the other; a row's number in its item becomes one in the table."""
    items, coarse, fine, face, weld = [], 0, 0, 0, 0
    index, welds, faces = [], [], []
    for p in pieces:
        span = lambda start, rows: (start, start + len(rows))
        items.append(replace(p.item, coarse=span(coarse, p.ref), fine=span(fine, p.uv), faces=span(face, p.faces)))
        index.append(p.fine_index + coarse)
        welds.append(p.weld + weld)
        faces.append(p.faces + fine)
        coarse, fine, face, weld = coarse + len(p.ref), fine + len(p.uv), face + len(p.faces), weld + int(p.weld.max()) + 1
    cat = lambda rows, kind: torch.as_tensor(np.concatenate([np.asarray(r, kind) for r in rows]))
    return Items(
        items=tuple(items), ref=cat([p.ref for p in pieces], np.int64), mix=cat([p.mix for p in pieces], np.float32),
        offset=cat([p.offset for p in pieces], np.float32), scale_pair=torch.as_tensor(np.stack([p.scale_pair for p in pieces]).astype(np.int64)),
        scale_length=torch.as_tensor(np.stack([p.scale_length for p in pieces]).astype(np.float32)),
        fine_index=cat(index, np.int64), fine_weight=cat([p.fine_weight for p in pieces], np.float32),
        skin_bone=cat([p.skin_bone for p in pieces], np.int64), skin_weight=cat([p.skin_weight for p in pieces], np.float32),
        uv=cat([p.uv for p in pieces], np.float32), weld=cat(welds, np.int64), faces=cat(faces, np.int64),
        neutral=cat([p.neutral for p in pieces], np.float32), body_uv=cat([p.anchors.uv for p in pieces], np.float32),
        body_place=cat([p.anchors.place for p in pieces], np.float32), part=cat([p.anchors.part for p in pieces], np.uint8),
        height=cat([p.anchors.height for p in pieces], np.float32))
