"""Pieces lie outside the body and outside each other; what is covered is left out.

Every vertex has an anchor on the skin. A height field over the skin says how far out the pieces below reach; a vertex that lies lower is
pushed out along the skin's normal, softly, so that no spikes appear.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .prepare import Prepared
from .rows import Rows
from .skin import mix
from .turn import unit

GAP_M = 0.0025
FAR_M = 0.05
"""A push is never larger; cloth further to the side of its anchor than this is not pushed at all."""
UNDER_M = 0.05
"""Only cloth closer to the skin than this can be under something."""
ROUNDS = 3
PUSHED = ("socks", "bottom", "top", "dress", "full", "coat", "scarf", "hood", "bag", "hair", "hat")
COVERING = ("hat", "hood")
"""Slots under which hair is left out."""


@dataclass(frozen=True)
class Anchors:
    """body (V, 3) rows of these tables' vertices (skin of the same person), weight (V, 3), strongest (V,) row of the nearest one."""

    body: Tensor
    weight: Tensor
    strongest: Tensor


def anchors(rows: Rows, ready: Prepared) -> Anchors:
    start = rows.first[(rows.rank == 0).nonzero().flatten()][rows.person[rows.piece]]
    body = ready.table.anchor[rows.vertex] + start[:, None]
    weight = ready.table.anchor_weight[rows.vertex]
    return Anchors(body, weight, body.gather(1, weight.argmax(1, keepdim=True))[:, 0])


def covered_by(rows: Rows, ready: Prepared, cut: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """Which rank of clothing hides each skin vertex: (total,) int64 by covering (counts for all pieces below) and by the items' own
    lists (counts for the skin). cut (W, 2): limits along arm and leg (metres)."""
    body = rows.first[rows.rank == 0]
    where = ready.coordinates(torch.arange(*ready.pack.items.items[0].fine, device=rows.vertex.device))
    out = []
    for lists in (ready.cover, ready.hidden):
        found = [lists[k] for k in rows.item.tolist()]
        v = torch.cat(found)
        w = torch.repeat_interleave(torch.arange(len(found), device=v.device), torch.tensor([len(f) for f in found], device=v.device))
        left = torch.where(where.arm[v] > 0.5, cut[w, 0] - where.down_arm[v], cut[w, 1] - where.down_leg[v])
        rank = torch.where(left > 0.02, rows.rank[w], torch.zeros_like(w))
        out.append(torch.zeros(total, dtype=torch.int64, device=v.device).scatter_reduce_(0, v + body[rows.person[w]], rank, "amax"))
    return out[0], torch.maximum(*out)


def push_out(place: Tensor, normal: Tensor, facing: Tensor, rows: Rows, at: Anchors, ready: Prepared, pushed: Tensor, lift: Tensor, hidden: Tensor
             ) -> tuple[Tensor, Tensor]:
    """place (V, 3) posed, normal (V, 3) of the skin (only its rows are read), facing (V, 3) off the cloth, pushed (V,) 0 … 1 how much each vertex
    may move, lift (W,) bool which pieces raise what lies over them, hidden (V,) bool: the skin there is not drawn, cloth may lie in it.
    -> places, heights (V,) metres off the skin."""
    items = ready.pack.items
    rank = rows.rank[rows.piece]
    place, height = place.clone(), torch.zeros_like(place[:, 0])
    field = torch.zeros_like(height)                                   # reached height at every skin vertex (other rows unused)
    skin = torch.nonzero(rank == 0).flatten()
    offset = rows.first[rows.piece] - torch.tensor([i.fine[0] for i in items.items], device=place.device)[rows.item][rows.piece]
    near_skin = ready.table.near[rows.vertex[skin]] + offset[skin][:, None]
    for r in range(1, int(rows.rank.max()) + 1):
        v = torch.nonzero(rank == r).flatten()
        if not len(v):
            continue
        foot, out = mix(place, at.body[v], at.weight[v]), unit(mix(normal, at.body[v], at.weight[v]))
        away = place[v] - foot
        high = (away * out).sum(1)
        aside = (away - high[:, None] * out).norm(dim=1)
        need = mix(field[:, None], at.body[v], at.weight[v])[:, 0]
        free = hidden[at.strongest[v]] & (need < 1e-4)
        outer = ((facing[v] * out).sum(1) > 0.1) & ~free               # linings and turned-in hems stay where they are
        short = (need + GAP_M - high).clamp(0, FAR_M) * ((2 * FAR_M - aside) / FAR_M).clamp(0, 1) * pushed[v] * outer
        soft = _softened(short, v, len(place), ready.table.near[rows.vertex[v]] + offset[v][:, None])
        place[v] = place[v] + soft[:, None] * out
        high = high + soft
        height[v] = high
        if r == int(rows.rank.max()):
            break
        raised = torch.where(lift[rows.piece[v]] & (aside < FAR_M), high.clamp(0, FAR_M), torch.zeros_like(high))
        reach = field.clone()
        for k in range(3):
            reach.scatter_reduce_(0, at.body[v, k], torch.where(at.weight[v, k] > 0.1, raised, torch.zeros_like(raised)), "amax")
        around = reach[near_skin]
        field[skin] = torch.maximum(reach[skin], around.mean(1))
    return place, height


def _softened(short: Tensor, v: Tensor, total: int, near: Tensor) -> Tensor:
    """Spread pushes to the neighbours, never below what each vertex needs."""
    flat = short.new_zeros(total)
    soft = short
    for _ in range(ROUNDS):
        flat[v] = soft
        soft = torch.maximum(short, 0.5 * soft + 0.5 * flat[near].mean(1))
    return soft


def seen(rows: Rows, faces: Tensor, at: Anchors, over: Tensor, listed: Tensor, gone: Tensor, height: Tensor, ready: Prepared) -> Tensor:
    """(F,) bool: faces that are neither cut off nor hidden under cloth. over, listed: covered_by's; gone (V,) bool beyond a cut; height (V,)
    metres off the skin: only what lies close to it can be under something."""
    items = ready.pack.items.items
    slot = [items[k].slot for k in rows.item.tolist()]
    tensor = lambda flags: torch.tensor(flags, device=faces.device)
    hides = tensor([s in ("body", "socks", "bottom", "top", "dress", "full", "coat", "scarf", "hair") for s in slot])
    rank = rows.rank[rows.piece]
    above = torch.where(rank == 0, listed[at.strongest], over[at.strongest])
    close = (height < UNDER_M) | tensor([s == "hair" for s in slot])[rows.piece]
    under = (above > rank) & hides[rows.piece] & close
    return ~(gone[faces].all(1) | under[faces].all(1))
