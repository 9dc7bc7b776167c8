"""What building needs to know of a pack's items beyond their tables; made once per item, when it is first worn.

Everything is measured on the mean body at rest, so that it is a function of the pack alone.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from neural.geometry.closest import closest_points

from ..types import Item, Pack
from . import limbs, readout
from .skin import normals

COVER_M = 0.045
"""Cloth this close to the skin hides it."""
RIM_M = 0.02
"""… but not this close to the cloth's edge."""
HOLD_M = 0.10
"""Cloth gets loose over this distance from the edge that holds it (waistband, collar)."""
TURN_M = 0.02
"""Skin that looks the other way counts as so much further away, times the difference of the unit normals."""
NEIGHBOURS = 6
CROTCH_M = 0.10
"""The crotch lies this far below the hip joints."""
_KEPT = 4


@dataclass(frozen=True)
class Table:
    """Per vertex of Items (V rows). normal (V, 3) at rest on the mean body; weld (V,) row that stands for the place; near (V, 6) rows of
    neighbours (itself where fewer); anchor (V, 3) vertices of the body item nearest in place and facing, anchor_weight (V, 3);
    hold (V,) 0 at the edge that holds the cloth … 1 where it is free; swing (V,) 0 … 1: part of a skirt, held by no limb."""

    normal: Tensor
    weld: Tensor
    near: Tensor
    anchor: Tensor
    anchor_weight: Tensor
    hold: Tensor
    swing: Tensor


class Prepared:
    """Tables that fill as items are worn. cover[k]: vertices of the body item that item k hides by lying over them."""

    def __init__(self, pack: Pack):
        items, device = pack.items, pack.base.mean.device
        v = len(items.neutral)
        self.pack, self.device = pack, device
        zero, self_ = torch.zeros(v, 3, device=device), torch.arange(v, device=device)
        self.table = Table(zero, self_, self_[:, None].repeat(1, NEIGHBOURS), zero.long(), zero.clone(),
                           torch.ones(v, device=device), zero[:, 0].clone())
        self.cover: dict[int, Tensor] = {}
        self.hidden: dict[int, Tensor] = {}
        self.reach: dict[int, tuple[float, float]] = {}
        self.limbs = limbs.Limbs.of(pack.base)
        self.fine_start = torch.tensor([i.fine[0] for i in items.items], device=device)
        self._where = self.limbs.coordinates(items.neutral)
        self._body: _Mesh | None = None

    def coordinates(self, rows: Tensor) -> "limbs.Coordinates":
        """Limb coordinates of rows of Items."""
        return self._where.rows(rows)

    @cached_property
    def leg(self) -> Tensor:
        """(V,) bool: vertices of the body item on hips, legs and feet."""
        base, rows = self.pack.base, slice(*self.pack.items.items[0].fine)
        names = [k for k, b in enumerate(base.bones) if b.startswith(("upperleg", "lowerleg", "foot", "toe", "pelvis")) or b in ("root", "spine05")]
        bone = self.pack.items.skin_bone[rows].gather(1, self.pack.items.skin_weight[rows].argmax(1, keepdim=True))[:, 0]
        out = torch.zeros(len(self.pack.items.neutral), dtype=torch.bool, device=self.device)
        out[rows] = torch.isin(bone, torch.tensor(names, device=self.device))
        return out

    @cached_property
    def landmark_rows(self) -> tuple[Tensor, Tensor]:
        """Landmarks as mixtures of the body item's vertices (readout.landmark_rows)."""
        rows = slice(*self.pack.items.items[0].fine)
        return readout.landmark_rows(self.pack.items.body_uv[rows], self.pack.items.body_place[rows])

    @cached_property
    def skin_of_base(self) -> Tensor:
        """(N,) for every base vertex its vertex in the body item, -1 for helpers."""
        items, body = self.pack.items, self.pack.items.items[0]
        strongest = items.fine_index[slice(*body.fine)].gather(1, items.fine_weight[slice(*body.fine)].argmax(1, keepdim=True))[:, 0]
        owner = items.ref[strongest].gather(1, items.mix[strongest].argmax(1, keepdim=True))[:, 0]
        weight = items.fine_weight[slice(*body.fine)].amax(1)
        out = torch.full((len(self.pack.base.mean),), -1, dtype=torch.int64)
        order = torch.argsort(weight.cpu(), stable=True)               # the vertex that is most its own comes last and stays
        out[owner.cpu()[order]] = order
        return out.to(self.device)

    @cached_property
    def _inner(self) -> np.ndarray:
        """(V0,) bool: vertices of the body item in the mouth and the eye sockets."""
        rows = slice(*self.pack.items.items[0].fine)
        model = readout.model()
        return model.inner[cKDTree(model.template).query(self.pack.items.body_place[rows].cpu().numpy())[1]]

    def ensure(self, numbers) -> None:
        """Fill the rows of these items."""
        for k in sorted(set(numbers) - set(self.hidden)):
            self._fill(k, self.pack.items.items[k])

    def _fill(self, k: int, item: Item) -> None:
        items, rows = self.pack.items, slice(*item.fine)
        mesh = _Mesh.of(items, item)
        put = lambda table, value: table[rows].copy_(torch.as_tensor(value).to(table.dtype))
        put(self.table.normal, mesh.normal)
        put(self.table.weld, mesh.weld + item.fine[0])
        self.cover[k] = torch.zeros(0, dtype=torch.int64, device=self.device)
        self.reach[k] = self._reach(rows)
        if k == 0:
            self._body, self.hidden[k] = mesh, torch.zeros(0, dtype=torch.int64, device=self.device)
            put(self.table.near, mesh.near() + item.fine[0])
            put(self.table.anchor, np.arange(len(mesh.place))[:, None].repeat(3, 1))
            put(self.table.anchor_weight, np.array([1.0, 0, 0])[None].repeat(len(mesh.place), 0))
            return
        self.ensure([0])
        body = self._body
        wide = np.zeros(len(body.place), bool)
        wide[mesh.covers(body, 0.07, 0.0, -0.03)] = True                # what the author hides, where the cloth really lies over it
        listed = self._skin(item.hides)
        self.hidden[k] = listed[torch.from_numpy(wide).to(self.device)[listed]]
        outer = body.faces[~self._inner[body.faces].any(1)]
        found = closest_points(mesh.place, body.place, outer, mesh.normal, TURN_M)
        put(self.table.anchor, outer[found.face])
        put(self.table.anchor_weight, found.bary)
        if item.cloth or item.slot in ("hair", "shoes", "hat", "hood"):
            put(self.table.near, mesh.near() + item.fine[0])
        if item.cloth:
            put(self.table.hold, mesh.hold())
            put(self.table.swing, mesh.swing(self._where.rows(torch.arange(*item.fine, device=self.device)), item.slot))
        if (item.cloth and not item.alpha) or item.slot in ("shoes", "hat", "hood"):
            self.cover[k] = torch.as_tensor(mesh.covers(body)).to(self.device)

    def _skin(self, vertices: Tensor) -> Tensor:
        rows = self.skin_of_base[vertices]
        return rows[rows >= 0]

    def _reach(self, rows: slice) -> tuple[float, float]:
        """How far down the arm and the leg an item reaches, metres (limbs.py)."""
        c = self._where.rows(torch.arange(rows.start, rows.stop, device=self.device))
        arm = float(torch.where(c.arm > 0.5, c.down_arm, torch.zeros_like(c.arm)).amax())
        leg = float(torch.where(c.arm < 0.5, c.down_leg, torch.zeros_like(c.arm)).amax())
        return arm, leg


@dataclass(frozen=True)
class _Mesh:
    """One item on the mean body, numpy: place, normal (V, 3), faces (F, 3) local, weld (V,) local row that stands for the place."""

    place: np.ndarray
    normal: np.ndarray
    faces: np.ndarray
    weld: np.ndarray

    @staticmethod
    def of(items, item: Item) -> "_Mesh":
        rows = slice(*item.fine)
        place, faces = items.neutral[rows].cpu(), items.faces[slice(*item.faces)].cpu() - item.fine[0]
        _, first, inverse = np.unique(items.weld[rows].cpu().numpy(), return_index=True, return_inverse=True)
        weld = first[inverse.reshape(-1)]
        n = normals(place, faces, torch.as_tensor(weld))
        return _Mesh(place.double().numpy(), n.double().numpy(), faces.numpy(), weld)

    def _edges(self) -> np.ndarray:
        f = self.weld[self.faces]
        e = np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])
        return e[e[:, 0] != e[:, 1]]

    def near(self) -> np.ndarray:
        """(V, 6) neighbours on the welded mesh, the vertex itself where it has fewer."""
        e = self._edges()
        e = np.unique(np.concatenate([e, e[:, ::-1]]), axis=0)
        start = np.searchsorted(e[:, 0], np.arange(len(self.place)))
        place = np.arange(len(e)) - start[e[:, 0]]
        out = np.arange(len(self.place))[:, None].repeat(NEIGHBOURS, 1)
        keep = place < NEIGHBOURS
        out[e[keep, 0], place[keep]] = e[keep, 1]
        return out[self.weld]

    def rims(self) -> list[np.ndarray]:
        """Vertices of each open edge loop."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        e = np.sort(self._edges(), axis=1)
        unique, count = np.unique(e, axis=0, return_counts=True)
        open_ = unique[count == 1]
        if not len(open_):
            return []
        n = len(self.place)
        _, label = connected_components(coo_matrix((np.ones(len(open_)), (open_[:, 0], open_[:, 1])), shape=(n, n)), directed=False)
        ids = np.unique(open_)
        return [ids[label[ids] == k] for k in np.unique(label[ids])]

    def hold(self) -> np.ndarray:
        """(V,) 0 on the topmost edge of cloth (collar, waistband, straps) … 1 from HOLD_M below it."""
        rims = self.rims()
        if not rims:
            return np.ones(len(self.place))
        top = self.place[:, 2].max()
        length = np.ptp(self.place[:, 2])
        height = np.array([self.place[r, 2].mean() for r in rims])
        held = np.concatenate([r for r, z in zip(rims, height) if z > top - 0.12 - 0.1 * length] or [rims[height.argmax()]])
        distance = cKDTree(self.place[held]).query(self.place)[0]
        t = np.clip(distance / HOLD_M, 0, 1)
        return t * t * (3 - 2 * t)

    def swing(self, where: "limbs.Coordinates", slot: str) -> np.ndarray:
        """(V,) 0 … 1: cloth below the hips that goes round both legs. It does when it crosses the middle well below the crotch."""
        depth = where.down_leg.cpu().numpy()
        middle = (np.abs(self.place[:, 0]) < 0.03) & (np.abs(self.normal[:, 1]) > 0.8)    # not the inside of a trouser leg
        lowest = depth[middle].max(initial=0.0)
        if slot in ("socks", "hat") or lowest < CROTCH_M + 0.05:
            return np.zeros(len(depth))
        t = np.clip((depth - 0.02) / 0.12, 0, 1) * (where.arm.cpu().numpy() < 0.5)
        return t * t * (3 - 2 * t)

    def covers(self, body: "_Mesh", far: float = COVER_M, cosine: float = 0.3, inside: float = -0.004) -> np.ndarray:
        """Vertices of the body under the cloth, away from its edges."""
        low, high = self.place.min(0) - far, self.place.max(0) + far
        near = np.nonzero(((body.place > low) & (body.place < high)).all(1))[0]
        found = closest_points(body.place[near], self.place, self.faces, body.normal[near])
        away = found.point - body.place[near]
        out = (away * body.normal[near]).sum(1)
        aside = np.linalg.norm(away - out[:, None] * body.normal[near], axis=1)
        ok = (aside < 0.01 + 0.5 * np.abs(out)) & (found.distance < far) & (found.cosine > cosine) & (out > inside)
        rims = self.rims()
        if rims:
            ok &= cKDTree(self.place[np.concatenate(rims)]).query(found.point)[0] > RIM_M
        return near[ok]


_CACHE: "OrderedDict[int, Prepared]" = OrderedDict()


def prepared(pack: Pack) -> Prepared:
    """The tables of a pack; kept for the packs used last."""
    found = _CACHE.get(id(pack))
    if found is None or found.pack is not pack:
        found = Prepared(pack)
        _CACHE[id(pack)] = found
    _CACHE.move_to_end(id(pack))
    while len(_CACHE) > _KEPT:
        _CACHE.popitem(last=False)
    return found
