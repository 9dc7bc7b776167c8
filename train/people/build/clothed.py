"""People made of the base body and what they wear: recipe -> tables of posed vertices."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from ..recipe import PersonRecipe, Worn
from ..types import Pack
from . import folds, hang, layers, readout
from .cuts import limits, trim
from .materials import materials
from .part import Part
from .pose import pose_people
from .prepare import Prepared, prepared
from .rows import Rows, lay_out
from .shape import fit, shape_people
from .skin import blend, move, normals, posed_heads, transforms, turn

LIFTING = ("socks", "shoes", "bottom", "top", "dress", "full", "coat", "scarf", "hood")
"""Slots over which outer ones must pass."""
LEGWEAR = ("bottom", "full", "shoes")
TIGHT, TIGHT_M = ("scarf", "hat", "socks", "hood"), 0.004
"""Slots that looseness would blow up."""
SKIRTS = ("dress", "bottom", "top", "full", "coat")


def clothed(recipes: Sequence[PersonRecipe], person: Tensor, pack: Pack) -> Part:
    """People without an avatar; person (P,) their places in the call."""
    base, items, device = pack.base, pack.items, pack.base.mean.device
    bone = {b: k for k, b in enumerate(base.bones)}
    ready, shapes, rows = prepared(pack), shape_people(recipes, base), lay_out(recipes, items)
    ready.ensure(rows.item.tolist())
    rotations = pose_people([r.pose for r in recipes], pack.poses, base, shapes.heads, shapes.vertices)
    heads = posed_heads(rotations, shapes.heads, base.parents)
    v, piece = rows.vertex, rows.piece
    who, shift = rows.person[piece], rows.first - ready.fine_start[rows.item]
    neutral, where = items.neutral[v], ready.coordinates(v)
    cut = limits(rows, ready)
    rest, gone = trim(fit(shapes, items, rows), where, cut[piece], neutral, ready.limbs)
    at = layers.anchors(rows, ready)
    over, listed = layers.covered_by(rows, ready, cut, len(v))
    place, facing = _posed(rest, rows, who, where, neutral, transforms(rotations, shapes.heads, heads), bone, ready)
    bend = folds.bends(heads, bone)
    stands = hang.stands(bend[:, 4:6].amax(1))[who]
    place = place + facing * _stand_off(neutral, facing, rows, who, where, over[at.strongest], bend, ready)[:, None]
    faces = items.faces[rows.face] + shift[rows.face_piece][:, None]
    weld = ready.table.weld[v] + shift[piece]
    skin_normals = normals(place, faces[rows.rank[rows.face_piece] == 0], weld)
    place = _skirts(place, rows, who, where, rotations[:, bone["root"]], stands, ready)
    pushed = _of_slots(rows, ready, layers.PUSHED)[piece] * (1 - stands * ready.table.swing[v])
    place, height = layers.push_out(place, skin_normals, facing, rows, at, ready, pushed, _of_slots(rows, ready, LIFTING), listed > 0)
    normal = normals(place, faces, weld)
    seen = layers.seen(rows, faces, at, over, listed, gone, torch.where(rows.rank[piece] == 0, 0.0, height), ready)
    faces, piece_of_face = faces[seen], rows.face_piece[seen]
    layer = torch.tensor([i.layer for i in items.items], device=device)
    body = rows.rank[piece] == 0
    return Part(
        person=person, vertices=place, normals=normal, owner=who, faces=faces, face_owner=rows.person[piece_of_face], material=piece_of_face,
        uv=items.uv[v], rest=neutral, rest_normals=ready.table.normal[v], body_uv=items.body_uv[v], body_place=items.body_place[v],
        part=items.part[v], height=torch.where(body | (height <= 0), items.height[v], height), layer=layer[rows.item][piece_of_face],
        joints=heads[:, base.smpl_bone], rotations=readout.model_rotations(rotations, base, bone), betas=shapes.betas,
        scale=torch.ones(len(recipes), device=device), landmarks=readout.landmarks(place, rows, ready), stature=_stature(rest, who, len(recipes)),
        materials=materials(recipes, rows, items, pack.textures))


def _posed(rest: Tensor, rows: Rows, who: Tensor, where, neutral: Tensor, moves: Tensor, bone: dict[str, int], ready: Prepared
           ) -> tuple[Tensor, Tensor]:
    """Skinned places and directions off the cloth (V, 3); skirts and long hair follow what they hang from."""
    items, count = ready.pack.items, moves.shape[1]
    table, v = moves.reshape(-1, 12), rows.vertex
    matrix = blend(table, items.skin_bone[v] + (who * count)[:, None], items.skin_weight[v])
    hung = _per_vertex(rows, [w.hang if w else 0.0 for w in rows.worn]) * ready.table.swing[v]
    at = torch.nonzero(hung > 0.01).flatten()
    if len(at):
        skirt = hang.skirt_transforms(neutral[at], who[at], table, count, bone).view(-1, 3, 4)
        matrix[at] += hung[at][:, None, None] * (skirt - matrix[at])
    hair = torch.nonzero(_of_slots(rows, ready, ("hair",))[rows.piece]).flatten()
    if len(hair):
        share = 0.85 * hang.long_hair(neutral[hair], ready.pack.base.heads, bone)
        trunk = table[who[hair] * count + bone["spine01"]].view(-1, 3, 4)
        matrix[hair] += share[:, None, None] * (trunk - matrix[hair])
    return move(matrix, rest), turn(matrix, ready.table.normal[v])


def _stand_off(neutral: Tensor, facing: Tensor, rows: Rows, who: Tensor, where, over: Tensor, bend: Tensor, ready: Prepared) -> Tensor:
    """(V,) metres that looseness and folds move the cloth outward; 0 for what is not cloth."""
    v, items = rows.vertex, ready.pack.items
    blank = Worn("")
    worn, slot = [w or blank for w in rows.worn], [items.items[k].slot for k in rows.item.tolist()]
    cloth = torch.tensor([items.items[k].cloth for k in rows.item.tolist()], device=v.device)
    thick = _per_vertex(rows, [w.loose_m + w.fold_m for w in worn])
    at = torch.nonzero(cloth[rows.piece] & (thick > 0)).flatten()
    out = torch.zeros_like(thick)
    if not len(at):
        return out
    pick = lambda values: _per_vertex(rows, values)[at]
    rest_normal = ready.table.normal[v[at]]
    given = folds.Cloth(
        loose=pick([min(w.loose_m, TIGHT_M) if s in TIGHT else w.loose_m for w, s in zip(worn, slot)]),
        fold=pick([w.fold_m for w in worn]), length=pick([max(w.fold_length_m, 0.02) for w in worn]),
        stretch=pick([max(w.fold_stretch, 1.0) for w in worn]), seed=pick([w.seed for w in worn]), hold=ready.table.hold[v[at]],
        under=(over[at] > rows.rank[rows.piece[at]]).to(out.dtype), hang=pick([w.hang for w in worn]) * ready.table.swing[v[at]])
    squeeze = folds.squeezed(neutral[at], rest_normal, ready.limbs, bend[who[at]])
    out[at] = folds.stand_off(neutral[at], facing[at], where.rows(at), squeeze, given)
    return out


def _skirts(place: Tensor, rows: Rows, who: Tensor, where, root: Tensor, stands: Tensor, ready: Prepared) -> Tensor:
    """Skirts kept outside the hull of the legs and of what is worn on them."""
    v, items = rows.vertex, ready.pack.items
    share = stands * ready.table.swing[v] * _of_slots(rows, ready, SKIRTS)[rows.piece]
    at = torch.nonzero(share > 0.01).flatten()
    if not len(at):
        return place
    worn = _of_slots(rows, ready, LEGWEAR)[rows.piece] & (ready.table.swing[v] == 0) & (where.down_leg > 0.05)
    skin = torch.nonzero(((rows.rank[rows.piece] == 0) & ready.leg[v]) | worn).flatten()
    out = hang.outward(items.neutral[v[at]], root[who[at]], ready.limbs.hip)
    moved = hang.outside_legs(place[at], out, who[at], share[at], place[skin], who[skin], int(who.max()) + 1)
    return place.index_copy(0, at, moved)


def _stature(rest: Tensor, who: Tensor, count: int) -> Tensor:
    low = rest.new_full((count,), torch.inf).scatter_reduce_(0, who, rest[:, 2], "amin")
    return rest.new_full((count,), -torch.inf).scatter_reduce_(0, who, rest[:, 2], "amax") - low


def _of_slots(rows: Rows, ready: Prepared, slots: tuple[str, ...]) -> Tensor:
    """(W,) bool: pieces of these slots."""
    items = ready.pack.items.items
    return torch.tensor([items[k].slot in slots for k in rows.item.tolist()], device=rows.vertex.device)


def _per_vertex(rows: Rows, values: list) -> Tensor:
    kind = torch.int64 if all(isinstance(x, int) for x in values) else torch.float32
    return torch.tensor(values, dtype=kind, device=rows.vertex.device)[rows.piece]
