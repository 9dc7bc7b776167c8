"""The pack file: the part of an asset folder that is asked for, in small, as one zip that travels to a GPU machine.

It has the folder's own layout, so one reader serves both. Numbers are quantised (see `small`), pictures are JPEG or WebP at the size that is
used, lights are already taken apart. The same folder and the same libraries give the same bytes. No pickle.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Iterator

import numpy as np
from PIL import Image

from neural.contract.errors import OptionError

from .. import split
from .catalogue import irises, part_of_iris, worn_records
from .folder import Source
from .small import small
from .textures import levels
from .world import lights

VERSION = 1
_QUALITY = 82
_ITEM_ARRAYS = ("f", "vt", "ft", "ref", "w", "off", "scale", "delete")

def write(folder: str | Path, out: str | Path, part: str = "train", item_side: int = 512, skin_side: int = 1024) -> int:
    """Packs a part ("train", "held", "all") of a folder; returns the bytes written. OptionError when the folder is incomplete."""
    source = Source.open(folder)
    if source.packed:
        raise OptionError("option.pack", f"'{source.path.name}' is a pack file already.", "Give the folder that it was made of.")
    entries = dict(_entries(source, part, item_side, skin_side))
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".part")
    with zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith((".jpg", ".webp")) else zipfile.ZIP_LZMA
            archive.writestr(info, entries[name])
    partial.replace(out)
    return out.stat().st_size


def _entries(source: Source, part: str, item_side: int, skin_side: int) -> Iterator[tuple[str, bytes]]:
    keep = lambda of: split.wanted(part, of)
    index = []
    for r in worn_records(source, part):
        yield f"{r['dir']}/mesh.npz", npz({k: v for k, v in source.arrays(f"{r['dir']}/mesh.npz").items() if k in _ITEM_ARRAYS})
        r = {k: v for k, v in r.items() if k not in ("files", "textures", "source")}
        file = (source.record(r["name"], r["kind"]).get("textures") or {}).get("diffuse")
        if file:
            new, data = picture(source, f"{r['dir']}/{file}", item_side)
            r["textures"] = {"diffuse": new.rsplit("/", 1)[1]}
            yield new, data
        index.append(r)
    for r in source.of("skin"):
        if keep(split.part_of("skin", r["name"])):
            new, data = picture(source, f"{r.get('dir') or 'skins'}/{r['files'][0]}", skin_side)
            index.append({**_brief(r), "files": [new.rsplit("/", 1)[1]]})
            yield new, data
    for r in source.of("eye_textures"):
        files = []
        for name, path in irises(source):
            if keep(part_of_iris(name)) and path.startswith(r["dir"] + "/"):
                new, data = picture(source, path, 256)
                files.append(new.rsplit("/", 1)[1])
                yield new, data
        index.append({**_brief(r), "files": files})
    yield from _places(source, keep, index)
    yield from _people(source, keep, index, item_side)
    if source.has("poses/poses.npz"):
        data = source.arrays("poses/poses.npz")
        rows = [i for i, n in enumerate(data["names"]) if keep(split.part_of_pose(str(n)))]
        yield "poses/poses.npz", npz({k: data[k][rows] for k in ("quat_xyzw", "names", "standing", "licence")} | {"bones": data["bones"]})
    header = {"version": VERSION, "part": part, "split": split.digest(), "items": index}
    yield "index.json", json.dumps(header, indent=0, sort_keys=True).encode()


def _places(source: Source, keep, index: list) -> Iterator[tuple[str, bytes]]:
    names = [r["name"] for r in source.of("hdri") if keep(split.part_of_place(r["name"]))]
    index += [_brief(r) for r in source.of("hdri") if r["name"] in names]
    ambient, direction, key, angle = (np.asarray(x, np.float32) for x in lights(source, names))
    yield "hdri/lights.npz", npz({"names": np.array(names), "ambient": ambient, "direction": direction, "key": key, "angle": angle})
    for r in source.of("background"):
        files = [f for f in r["files"] if keep(split.part_of_place(f.rsplit(".", 1)[0]))]
        if files:
            index.append({**_brief(r), "files": files})
        for f in files:
            yield picture(source, f"backgrounds/{f}", 1024)


def _people(source: Source, keep, index: list, side: int) -> Iterator[tuple[str, bytes]]:
    kept = [r for r in source.of("avatar") if keep(split.part_of("avatar", r["name"]))]
    if kept:
        yield "avatars/bone_map.json", source.read("avatars/bone_map.json")
    for r in kept:
        yield f"{r['dir']}/mesh.npz", npz(source.arrays(f"{r['dir']}/mesh.npz"))
        textures = {}
        for n, file in sorted(r["textures"].items()):
            new, data = picture(source, f"{r['dir']}/{file}", side)
            textures[n] = new.rsplit("/", 1)[1]
            yield new, data
        index.append({**_brief(r), "textures": textures})


def _brief(record: dict) -> dict:
    return {k: v for k, v in record.items() if k in ("name", "kind", "slot", "dir", "sex", "age", "tone", "licence", "author", "alpha", "z_depth")}


def picture(source: Source, path: str, most: int) -> tuple[str, bytes]:
    """A picture as it is when it is a JPEG of the right size, else as WebP. -> path in the pack, bytes."""
    data, pixels = source.read(path), source.picture(path)
    if path.endswith(".jpg") and max(pixels.shape[:2]) <= most:
        return path, data
    first = levels(pixels, most)[0]
    see_through = bool((first[..., 3] < 255).any())
    buffer = io.BytesIO()
    Image.fromarray(first if see_through else np.ascontiguousarray(first[..., :3])).save(
        buffer, "WEBP", quality=_QUALITY, method=4, exact=True, alpha_quality=90)
    return path.rsplit(".", 1)[0] + ".webp", buffer.getvalue()


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """An uncompressed npz with fixed dates, every array made small."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            for key, value in small(name, arrays[name]).items():
                inner = io.BytesIO()
                np.lib.format.write_array(inner, np.asarray(value, order="C"), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0)), inner.getvalue())
    return buffer.getvalue()
