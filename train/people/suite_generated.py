"""The suite `held-assets`: people of our own generator in garments, hair and skins that no network was trained with.

    python -m train.people.suite_generated --out DIR --count N [--seed N] [--part held|train] [--assets FOLDER]

Each person becomes a textured .glb: surfaces that show a picture keep their own texture coordinates and get the tinted picture;
dyed ones (stripes, denim, prints …: functions of the place on the body) are baked into an atlas with a cell for each pair of
triangles. Cut-out hair and lashes keep their alpha (glTF's MASK), which the reader of evaluate/ cuts into geometry. The fine wrinkles
that only tilt normals are not in the files: what is measured is geometry.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from neural.contract.errors import LikenessError, OptionError
from neural.contract.joints import SMPL_JOINTS

from . import pack
from .assets import assets_root
from .build import build
from .build.stance import PHOTO_POSES
from .casting import CastConfig, random_person
from .choices import Choices
from .draw.fabric import BRIGHTEST, dyed
from .glb import Look, write_glb
from .recipe import FABRICS, PersonRecipe, Recipe
from .suite import GLTF_FROM_WORLD, empty_folder, write_index
from .types import People, Textures

_ABOUT = ("People of our own generator (train/people), in garments, hair, skins and poses of the part '{part}' of the split (train/people/split.toml)"
          "{held}. Albedo only, no light. Metres, y up; a person of yaw 0 faces +z. joints: SMPL's, of the body under the clothes.")


@dataclass(frozen=True)
class BakeConfig:
    """texel_m: size of a texel of a dyed surface; cell: least and most texels of a cell's side; side: longest side of an atlas."""

    texel_m: float = 0.0025
    cell: tuple[int, int] = (6, 20)
    side: int = 4096


def write_generated(out: Path, count: int, seed: int, source: Path, part: str = "held", bake: BakeConfig = BakeConfig()) -> list[dict]:
    """Write `count` people and index.json into an empty (or new) folder; returns the index's items."""
    empty_folder(out, count)
    ingredients = pack.load(source, part, people=False)
    known = pack.catalogue(source, part)
    choices = Choices.of(ingredients, known, part, tuple(PHOTO_POSES))
    out.mkdir(parents=True, exist_ok=True)
    items = []
    for number in range(count):
        recipe = dressed_person(seed, number, choices, known)
        people = build([replace(recipe, yaw_deg=0.0)], ingredients)
        name = f"{number:03d}"
        licences = sorted({e.licence for w in (*recipe.worn, recipe.skin) if (e := known.find(w if isinstance(w, str) else w.item)) and e.licence})
        extras = {"licence": licences, "recipe": Recipe(seed, recipe).to_json()["person"]}
        write_person(out / f"{name}.glb", name, people, 0, ingredients.textures, extras, bake)
        joints = people.joints[0].double().numpy() @ GLTF_FROM_WORLD.T
        items.append({"name": name, "file": f"{name}.glb", "height_m": round(float(people.stature[0]), 4),
                      "licence": " and ".join(licences) or "CC0-1.0",
                      "kind": "generated", "yaw_deg": recipe.yaw_deg, "part": part, "worn": [w.item for w in recipe.worn], "pose": _pose(recipe),
                      "credits": _credits(recipe, known), "joints": dict(zip(SMPL_JOINTS, np.round(joints, 5).tolist()))})
    held = ", which no network was trained with" if part == "held" else ""
    write_index(out, _ABOUT.format(part=part, held=held), seed, items)
    return items


def dressed_person(seed: int, number: int, choices: Choices, known: pack.Catalogue) -> PersonRecipe:
    """The first person drawn whose clothes cover trunk and legs: a part of the split may have no shirts for some people."""
    for attempt in range(200):
        recipe = random_person(np.random.default_rng([seed, number, attempt]), choices, CastConfig(whole=0.0))
        slots = {e.slot for w in recipe.worn if (e := known.find(w.item)) is not None}
        if slots & {"full", "dress"} or {"top", "bottom"} <= slots:
            return recipe
    raise OptionError("option.suite", "The ingredients of this part hold no clothes that cover a whole person.",
                      "Add garments, or choose another --part.")


def write_person(path: Path, name: str, people: People, owner: int, textures: Textures, extras: dict, bake: BakeConfig = BakeConfig()) -> None:
    """One person of `people` as .glb (world metres, z up, facing -y -> y up, facing +z)."""
    mine = people.face_owner == owner
    faces, material = people.faces[mine].numpy(), people.material[mine].numpy()
    if not len(faces):
        raise OptionError("option.suite", f"The person '{name}' has no surface.", "Report this recipe; it is a fault of the generator.")
    vertices, normals = people.vertices.double().numpy(), people.normals.double().numpy()
    part, uv = people.part.numpy(), people.uv.double().numpy()
    corners, places, groups, looks = [], [], [], []
    start = 0
    for row in np.unique(material):
        own = faces[material == row]
        if FABRICS[int(people.materials.kind[row])] == "texture" and int(people.materials.texture[row]) >= 0:
            look, own_uv = pictured(people, int(row), textures), uv[own.ravel()]
        else:
            look, own_uv = baked(people, int(row), own, bake)
        corners.append(own.ravel())
        places.append(own_uv)
        groups.append(np.arange(own.size).reshape(-1, 3) + start)
        looks.append(look)
        start += own.size
    corner, place = np.concatenate(corners), np.concatenate(places)
    key = np.concatenate([corner[:, None], np.rint(place * 2 ** 20).astype(np.int64)], 1)     # a vertex once per texture coordinate
    _, first, number = np.unique(key, axis=0, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    write_glb(path, name, vertices[corner[first]] @ GLTF_FROM_WORLD.T, normals[corner[first]] @ GLTF_FROM_WORLD.T, place[first],
              [number[g] for g in groups], looks, extras, part[corner[first]])


def pictured(people: People, row: int, textures: Textures) -> Look:
    """The material's picture, tinted; with its alpha where it is cut out."""
    m = people.materials
    picture = int(m.texture[row])
    w, h, at = (int(t[picture, 0]) for t in (textures.width, textures.height, textures.offset))
    texels = textures.texels[at:at + w * h].reshape(h, w, 4).numpy()
    colour = np.clip(_linear(texels[..., :3]) * m.tint[row].numpy(), 0, BRIGHTEST)
    cut = bool(m.alpha[row]) and bool((texels[..., 3] < 128).any())
    return Look(_file(_srgb(colour), texels[..., 3] if cut else None), cut=cut, name=textures.names[picture])


def baked(people: People, row: int, faces: np.ndarray, config: BakeConfig) -> tuple[Look, np.ndarray]:
    """A dyed surface's atlas, and texture coordinates (3F, 2), v up, of its faces' corners."""
    v = people.vertices.double().numpy()[faces]
    edge = float(np.median(np.linalg.norm(v - np.roll(v, -1, 1), axis=2).max(1)))
    cells = (len(faces) + 1) // 2
    wide = int(np.ceil(np.sqrt(cells)))
    cell = int(np.clip(np.ceil(edge / config.texel_m) + 3, config.cell[0], max(min(config.cell[1], config.side // wide), 4)))
    side = wide * cell
    number = np.arange(len(faces))
    corner = np.array([[[1, 1], [cell - 2, 1], [1, cell - 2]], [[cell - 1, cell - 1], [2, cell - 1], [cell - 1, 2]]], float)[number % 2]
    origin = cell * np.stack([number // 2 % wide, number // 2 // wide], 1)
    y, x = np.mgrid[0:cell, 0:cell].astype(float) + 0.5
    image = np.zeros((side, side, 3), np.uint8)
    for half in (0, 1):                                              # all texels of the first triangles of all cells, then of the second
        rows = number[half::2]
        mine = ((x + y < cell) == (half == 0)).ravel()
        texel = np.stack([x.ravel()[mine], y.ravel()[mine]], 1)
        a, b, c = corner[half]
        share = np.linalg.solve(np.stack([b - a, c - a], 1), (texel - a).T).T
        bary = np.concatenate([1 - share.sum(1, keepdims=True), share], 1)                   # beyond the edges: the plane goes on
        rest = np.einsum("tk,fkc->ftc", bary, people.rest.double().numpy()[faces[rows]]).reshape(-1, 3)
        colour = torch.cat([_dyed(people, row, part, config.texel_m) for part in torch.from_numpy(rest.astype(np.float32)).split(1 << 18)])
        at = origin[rows][:, None] + np.floor(texel).astype(int)[None]
        image[at[..., 1].ravel(), at[..., 0].ravel()] = np.rint(_srgb(colour.numpy().astype(np.float64)) * 255)
    uv = (corner + origin[:, None]) / side
    name = FABRICS[int(people.materials.kind[row])]
    return Look(_file(image / 255.0, None), name=f"{name} {row}"), (uv * [1, -1] + [0, 1]).reshape(-1, 2)


def _dyed(people: People, row: int, rest: torch.Tensor, texel_m: float) -> torch.Tensor:
    material = torch.full((len(rest),), row, dtype=torch.int64)
    return dyed(people, material, rest, torch.full((len(rest),), texel_m)).clamp(0, BRIGHTEST)


def _file(srgb: np.ndarray, alpha: np.ndarray | None) -> bytes:
    """PNG of (H, W, 3) in [0, 1], alpha (H, W) uint8."""
    pixels = np.rint(np.clip(srgb, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], 2))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=6)
    return out.getvalue()


def _linear(x: np.ndarray) -> np.ndarray:
    x = x / 255.0
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _srgb(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * np.maximum(x, 0) ** (1 / 2.4) - 0.055)


def _pose(recipe: PersonRecipe) -> str:
    return recipe.pose.photo or recipe.pose.body


def _credits(recipe: PersonRecipe, known) -> list[str]:
    """Who made what is worn."""
    found = [known.find(n) for n in (*(w.item for w in recipe.worn), recipe.skin)]
    return sorted({f"{e.name}: {e.author} ({e.licence})" for e in found if e is not None and e.author})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.suite_generated", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("held", "train"), default="held", help="train: only to compare with what was learned from")
    parser.add_argument("--assets", help="folder of ingredients, or a pack file of that part; default: LIKENESS_ASSETS")
    args = parser.parse_args(argv)
    try:
        source = Path(args.assets) if args.assets else assets_root(None)
        items = write_generated(args.out, args.count, args.seed, source, args.part)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    print(f"{len(items)} people in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
