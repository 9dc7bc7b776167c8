"""Who wears what, as flat index tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch
from torch import Tensor

from neural.contract.errors import OptionError

from ..recipe import PersonRecipe, Worn
from ..types import Item, Items

ORDER = ("body", "eyes", "teeth", "tongue", "eyelashes", "eyebrows", "socks", "shoes", "bottom", "top", "dress", "full", "beard", "hair", "coat",
         "scarf", "hood", "glasses", "bag", "hat")
"""From the skin outwards, for items of the same layer."""


@dataclass(frozen=True)
class Rows:
    """Pieces: W (person, item) pairs, person by person; the first of each person is the body.

    person, item, rank (W,) int64: rank 0 is the body, a larger one lies outside. worn: W recipes, None for the body.
    vertex, piece (V,): row of Items and piece of every vertex; coarse, coarse_piece (C,); face, face_piece (F,).
    first, first_coarse (W,): where a piece's vertices start here.
    """

    person: Tensor
    item: Tensor
    rank: Tensor
    worn: tuple[Worn | None, ...]
    vertex: Tensor
    piece: Tensor
    coarse: Tensor
    coarse_piece: Tensor
    face: Tensor
    face_piece: Tensor
    first: Tensor
    first_coarse: Tensor


def ranges(start: Tensor, stop: Tensor) -> tuple[Tensor, Tensor]:
    """All numbers of the ranges [start, stop) one after the other, and the range of each."""
    count = stop - start
    which = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    before = torch.cumsum(count, 0) - count
    return torch.arange(len(which), device=count.device) - before[which] + start[which], which


def lay_out(recipes: Sequence[PersonRecipe], items: Items) -> Rows:
    """Index tables of all pieces of people without an avatar. OptionError for an item that the pack has not."""
    number = {item.name: k for k, item in enumerate(items.items)}
    person, item, rank, worn = [], [], [], []
    for p, recipe in enumerate(recipes):
        pieces = [(0, None)] + [(_find(number, w.item), w) for w in dict((w.item, w) for w in recipe.worn).values()]
        pieces += [(k, Worn(items.items[k].name)) for k in _needed(recipe, items, [items.items[k].slot for k, _ in pieces])]
        key = [(_outward(items.items[k]), items.items[k].layer, n) if n else (-1, 0, 0) for n, (k, _) in enumerate(pieces)]
        for r, n in enumerate(sorted(range(len(pieces)), key=key.__getitem__)):
            person.append(p), item.append(pieces[n][0]), rank.append(r), worn.append(pieces[n][1])
    device = items.ref.device
    tensor = lambda x: torch.tensor(x, dtype=torch.int64).to(device)
    spans = tensor([items.items[k].fine + items.items[k].coarse + items.items[k].faces for k in item]).view(-1, 6)
    vertex, piece = ranges(spans[:, 0], spans[:, 1])
    coarse, coarse_piece = ranges(spans[:, 2], spans[:, 3])
    face, face_piece = ranges(spans[:, 4], spans[:, 5])
    count = spans[:, 1::2] - spans[:, 0::2]
    first = torch.cumsum(count, 0) - count
    return Rows(tensor(person), tensor(item), tensor(rank), tuple(worn), vertex, piece, coarse, coarse_piece, face, face_piece,
                first[:, 0], first[:, 1])


def _outward(item: Item) -> int:
    """Boots (shoes of a high layer) go over trousers, other shoes under them."""
    if item.slot == "shoes" and item.layer >= 40:
        return 2 * ORDER.index("full") + 1
    return 2 * ORDER.index(item.slot) if item.slot in ORDER else 2 * len(ORDER)


def _needed(recipe: PersonRecipe, items: Items, slots: list[str]) -> list[int]:
    """Eyes always; teeth and tongue only behind a face that moves."""
    wanted = [s for s in (("eyes", "teeth", "tongue") if recipe.expression else ("eyes",)) if s not in slots]
    return [next(k for k, item in enumerate(items.items) if item.slot == s) for s in wanted if any(item.slot == s for item in items.items)]


def _find(number: dict[str, int], name: str) -> int:
    if name not in number:
        raise OptionError("option.item", f"There is nothing to wear called '{name}' in this pack.",
                          "Take a name from the pack's items, or make the pack again from assets that hold it.")
    return number[name]
