"""Poses, lights and backgrounds of the assets as tables."""

from __future__ import annotations

from typing import Callable

import cv2
import numpy as np
import torch

from neural.contract.errors import OptionError

from .. import base as base_mesh
from ..assets import matrices
from ..light import from_map
from ..types import Poses, Surroundings
from .folder import Source

NEEDED = ("quat_xyzw", "bones", "names", "standing", "licence")


def clip_of(name: str) -> str:
    """Poses of one motion share it: cmu_02_01_240 -> cmu_02_01; any other pose is its own."""
    return "_".join(name.split("_")[:3]) if name.startswith("cmu_") else name


def poses(source: Source, part_of: Callable[[str], str], keep: Callable[[str], bool]) -> Poses:
    """The poses whose part is kept, in the order of the file, bones in the order of Base."""
    data = source.arrays("poses/poses.npz", NEEDED)
    bones, base = list(map(str, data["bones"])), base_mesh.load()
    missing = [b for b in base.bones if b not in bones]
    if missing:
        raise OptionError("option.poses", f"poses.npz lacks the bone '{missing[0]}' of MakeHuman's default rig.", "Use poses made for that rig.")
    names = list(map(str, data["names"]))
    rows = [i for i, n in enumerate(names) if keep(part_of(n))]
    quat = data["quat_xyzw"][rows][:, [bones.index(b) for b in base.bones]].astype(np.float64)
    rotation = matrices(quat).astype(np.float32) if rows else np.zeros((0, len(base.bones), 3, 3), np.float32)
    of = lambda values: tuple(str(values[i]) for i in rows)
    return Poses(torch.as_tensor(rotation), of(names), torch.as_tensor(data["standing"][rows].astype(bool)),
                 tuple(clip_of(names[i]) for i in rows), tuple(part_of(names[i]) for i in rows), of(data["licence"]))


def surroundings(source: Source, part_of: Callable[[str], str], keep: Callable[[str], bool]) -> Surroundings:
    """Lights and views of the kept parts. Views are brought to the commonest size."""
    names = [r["name"] for r in source.of("hdri") if keep(part_of(r["name"]))]
    ambient, direction, key, angle = lights(source, names)
    views = [f for r in source.of("background") for f in r["files"]]
    views = [(f.rsplit(".", 1)[0], f) for f in views if keep(part_of(f.rsplit(".", 1)[0]))]
    pictures = [source.picture(f"backgrounds/{f}")[..., :3] for _, f in views]
    sizes = [p.shape[:2] for p in pictures]
    size = max(sorted(set(sizes)), key=sizes.count) if sizes else (1, 1)
    fit = lambda p: p if p.shape[:2] == size else cv2.resize(p, size[::-1], interpolation=cv2.INTER_AREA)
    t = lambda x, shape: torch.as_tensor(np.asarray(x, np.float32).reshape(shape))
    n = len(names)
    return Surroundings(
        tuple(names), tuple(part_of(x) for x in names), t(ambient, (n, 9, 3)), t(direction, (n, 3)), t(key, (n, 3)), t(angle, (n,)),
        tuple(v for v, _ in views), tuple(part_of(v) for v, _ in views),
        torch.as_tensor(np.stack([fit(p) for p in pictures]) if pictures else np.zeros((0, *size, 3), np.uint8)))


def lights(source: Source, names: list[str]):
    """Each light as light.py sees it: from its map, or from the table that a pack file holds instead."""
    if source.has("hdri/lights.npz"):
        data = source.arrays("hdri/lights.npz", ("names", "ambient", "direction", "key", "angle"))
        rows = [list(map(str, data["names"])).index(n) for n in names]
        return tuple(data[k][rows] for k in ("ambient", "direction", "key", "angle"))
    found = [from_map(radiance(source, n)) for n in names]
    return ([x.ambient for x in found], [x.key_direction for x in found], [x.key_irradiance for x in found], [x.key_angle for x in found])


def radiance(source: Source, name: str) -> np.ndarray:
    """(H, W, 3) float32 of a .hdr; OptionError "option.picture" when it is broken."""
    image = cv2.imdecode(np.frombuffer(source.read(f"hdri/{name}.hdr"), np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3:
        raise OptionError("option.picture", f"The light 'hdri/{name}.hdr' is broken.", "Replace the file with an equirectangular .hdr picture.")
    return image[..., 2::-1].astype(np.float32)
