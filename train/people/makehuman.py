"""MakeHuman's published assets (.mhclo, .obj, .mhmat, pictures) -> the asset folder that docs/people.md describes.

    python -m train.people.makehuman --in FOLDER --out FOLDER

Finds every .mhclo below FOLDER (clothes, hair, eyebrows, eyelashes, eyes, teeth, tongue: by the folder's name) and every skin (an .mhmat below a
folder `skins`). What is broken is named and left out; the rest is converted. An index.json that is there already is added to.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from neural.contract.errors import OptionError

from . import base as base_mesh
from .pack import obj

KINDS = ("clothes", "hair", "eyebrows", "eyelashes", "eyes", "teeth", "tongue")

_WORDS = {
    "shoes": ("shoe", "boot", "sandal", "sneaker", "slipper", "heels"), "hat": ("hat", "fedora", "cap", "helmet", "beanie"),
    "glasses": ("glasses", "spectacles"), "socks": ("sock", "stocking"), "dress": ("dress", "gown"), "coat": ("coat", "jacket", "parka"),
    "bag": ("bag", "backpack"), "bottom": ("skirt", "jeans", "pants", "trouser", "shorts", "leggings"),
    "top": ("shirt", "tee", "top", "blouse", "sweater", "tunic", "hoodie"), "full": ("suit", "overall", "uniform"),
}

NUMBERED = {"x_scale": 0, "y_scale": 1, "z_scale": 2}


def read_mhclo(path: Path) -> dict:
    """A .mhclo as {"obj_file", "material", "name", "licence", "author", "z_depth", "tags", ref, w, off, scale, delete}.

    OptionError "option.mhclo" with the line when it is broken or made for another base mesh.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise _broken(path, f"cannot be read ({error.strerror})") from None
    out = {"obj_file": "", "material": "", "name": path.stem, "licence": "not stated", "author": "", "z_depth": 50, "tags": []}
    scale, delete, rows, part = np.tile([-1.0, -1, 1], (3, 1)), [], [], ""
    for number, line in enumerate(lines, 1):
        words = line.split("#", 1)[0].split()
        if line.startswith("#") and len(line.split()) > 2 and line.split()[1].rstrip(":") in ("license", "author"):
            words = [line.split()[1].rstrip(":"), *line.split()[2:]]        # older files keep them in comments
        try:
            if not words:
                continue
            if words[0] == "verts":
                part = "verts"
            elif words[0] == "delete_verts":
                part = "delete"
            elif words[0][0].isalpha():
                part = ""
                _keyword(out, scale, words)
            elif part == "verts":
                rows.append(_vertex([float(w) for w in words]))
            elif part == "delete":
                delete += words
        except (ValueError, IndexError):
            raise _broken(path, f"is broken in line {number}: '{line.strip()[:60]}'") from None
    if out.pop("basemesh", "hm08") not in ("hm08", "alpha_7", "alpha_8"):
        raise _broken(path, "was made for another base mesh than hm08")
    if not rows or not out["obj_file"]:
        raise _broken(path, "has no 'verts' or no 'obj_file'")
    table, count = np.array(rows), len(base_mesh.arrays()["mean"])
    ref = table[:, :3].astype(np.int64)
    if ref.min() < 0 or ref.max() >= count or (scale[:, :2] >= count).any():
        raise _broken(path, f"names vertices that the base mesh (hm08, {count} vertices) does not have")
    return out | {"ref": ref.astype(np.int32), "w": table[:, 3:6].astype(np.float32), "off": table[:, 6:].astype(np.float32), "scale": scale,
                  "delete": _ranges(path, delete, count)}


def _keyword(out: dict, scale: np.ndarray, words: list[str]) -> None:
    name, rest = words[0], " ".join(words[1:])
    if name in NUMBERED:
        scale[NUMBERED[name]] = [int(words[1]), int(words[2]), float(words[3])]
        if scale[NUMBERED[name], 2] <= 0:
            raise ValueError
    elif name == "z_depth":
        out["z_depth"] = int(float(words[1]))
    elif name == "tag":
        out["tags"].append(rest.lower())
    elif name in ("obj_file", "material", "name", "author", "basemesh"):
        out[name] = rest
    elif name in ("license", "licence"):
        out["licence"] = rest


def _vertex(x: list[float]) -> list[float]:
    if len(x) == 1:
        return [x[0]] * 3 + [1, 0, 0, 0, 0, 0]
    if len(x) == 6:
        return x + [0, 0, 0]
    if len(x) != 9 or not np.isfinite(x).all():
        raise ValueError
    return x


def _ranges(path: Path, words: list[str], count: int) -> np.ndarray:
    """"3 7 - 9" -> 3, 7, 8, 9."""
    out, text = [], " ".join(words).replace("-", " - ").split()
    try:
        for i, w in enumerate(text):
            if w == "-":
                out += range(int(text[i - 1]) + 1, int(text[i + 1]))
            else:
                out.append(int(w))
    except (ValueError, IndexError):
        raise _broken(path, "has a broken 'delete_verts'") from None
    return np.unique([v for v in out if 0 <= v < count]).astype(np.int32)


def read_mhmat(path: Path) -> dict[str, str]:
    """Keyword -> the rest of its line."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {w[0]: " ".join(w[1:]) for w in (line.split() for line in lines) if len(w) > 1 and not w[0].startswith(("#", "//"))}


def convert_item(file: Path, out: Path, say=print) -> dict:
    """One .mhclo -> OUT/KIND/NAME/mesh.npz and diffuse.jpg or .png; returns its record of index.json."""
    data = read_mhclo(file)
    kind = next((p.name for p in file.parents if p.name in KINDS), "clothes")
    name = file.stem if file.stem != kind else file.parent.name
    mesh = obj.read(_beside(file, data["obj_file"]))
    if len(mesh.vertices) != len(data["ref"]):
        raise _broken(file, f"places {len(data['ref'])} vertices, but {data['obj_file']} has {len(mesh.vertices)}")
    if mesh.cut:
        say(f"{name}: {mesh.cut} faces of more than four corners were cut up")
    arrays = {"v": mesh.vertices.astype(np.float32), "f": mesh.faces.astype(np.int32)} | {k: data[k] for k in ("ref", "w", "off", "scale", "delete")}
    if len(mesh.uv) and (mesh.uv_faces >= 0)[mesh.faces >= 0].all():
        arrays |= {"vt": mesh.uv.astype(np.float32), "ft": mesh.uv_faces.astype(np.int32)}
    else:
        say(f"{name}: has no texture coordinates; it will be drawn plain")
    folder = out / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    record = {"name": name, "kind": kind, "slot": slot_of(kind, name, data), "sex": sex_of(name, data["tags"]), "dir": f"{kind}/{name}",
              "vertices": len(mesh.vertices), "faces": len(mesh.faces), "z_depth": data["z_depth"], "licence": data["licence"],
              "author": data["author"]}
    record |= _texture(file, data["material"], folder, name, say)
    np.savez_compressed(folder / "mesh.npz", **arrays)
    return record


def _texture(file: Path, material: str, folder: Path, name: str, say) -> dict:
    path = file.parent / material if material else None
    picture = read_mhmat(path).get("diffuseTexture") if path and path.is_file() else None
    source = next((p for p in ((path.parent / picture, path.parent / Path(picture).name) if picture else ()) if p.is_file()), None)
    if source is None:
        say(f"{name}: no diffuse texture was found ({picture or material or 'no material is named'}); it will be drawn plain")
        return {"alpha": False}
    image = open_picture(source)
    clear = image.getchannel("A").getextrema()[0] < 255
    target = "diffuse.png" if clear else "diffuse.jpg"
    image.save(folder / target) if clear else image.convert("RGB").save(folder / target, quality=92)
    return {"alpha": clear, "textures": {"diffuse": target}}


def convert_skin(file: Path, out: Path) -> dict:
    """An .mhmat of a skin -> OUT/skins/NAME.jpg; returns its record."""
    picture = read_mhmat(file).get("diffuseTexture")
    if not picture:
        raise OptionError("option.mhmat", f"The skin '{file.name}' names no diffuseTexture.", "Choose a complete copy of it.")
    (out / "skins").mkdir(parents=True, exist_ok=True)
    open_picture(_beside(file, picture)).convert("RGB").save(out / "skins" / f"{file.stem}.jpg", quality=92)
    words = file.stem.lower()
    age = next((a for a in ("young", "middle", "old") if a in words), "")
    return {"name": file.stem, "kind": "skin", "slot": "skin", "sex": sex_of(words, []), "dir": "skins", "files": [f"{file.stem}.jpg"],
            "age": "middleage" if age == "middle" else age, "tone": "dark" if "dark" in words or "african" in words else "light",
            "licence": "not stated", "author": ""}


def open_picture(path: Path) -> Image.Image:
    """RGBA; OptionError "option.picture" when it is broken."""
    try:
        return Image.open(path).convert("RGBA")
    except Exception as error:
        raise OptionError("option.picture", f"The picture '{path.name}' is broken ({error}).", "Replace the file.") from None


def slot_of(kind: str, name: str, data: dict) -> str:
    """By its name and tags; a garment that tells nothing by what it covers: above the waist, below it, or both."""
    words = " ".join([name.lower(), *data["tags"]])
    if kind != "clothes":
        return "beard" if any(w in words for w in ("beard", "moustache", "mustache")) else kind
    tokens = re.findall("[a-z]+", words)
    fits = lambda key: any(t in (key, key + "s") or (len(key) > 3 and t.removesuffix("s").endswith(key)) for t in tokens)
    found = next((slot for slot, keys in _WORDS.items() if any(map(fits, keys))), None)
    if found:
        return found
    height = base_mesh.arrays()["mean"][data["ref"]].mean(1)[:, 2]
    hips = base_mesh.arrays()["heads"][0, 2]
    return "full" if height.min() < hips - 0.3 and height.max() > hips + 0.3 else "top" if height.mean() > hips else "bottom"


def sex_of(name: str, tags: list[str]) -> str:
    words = " ".join([name.lower(), *tags])
    return "f" if "female" in words or "woman" in words else "m" if "male" in words else "any"


def _beside(file: Path, name: str) -> Path:
    found = next((p for p in (file.parent / name, file.parent / Path(name).name) if p.is_file()), None)
    if found is None:
        raise OptionError("option.missing", f"'{file.name}' needs '{name}', which is not there.", "Copy the asset's whole folder.")
    return found


def _broken(path: Path, what: str) -> OptionError:
    return OptionError("option.mhclo", f"The garment '{path.name}' {what}.", "Get a fresh copy of it, or leave it out.")


def convert(folder: Path, out: Path, say=print) -> tuple[int, list[OptionError]]:
    """Everything below a folder; how many were converted, and what was wrong with the others."""
    jobs = [(convert_item, f) for f in sorted(folder.rglob("*.mhclo"))]
    jobs += [(convert_skin, f) for f in sorted(folder.rglob("*.mhmat")) if "skins" in [p.name for p in f.parents]]
    if not jobs:
        raise OptionError("option.makehuman", f"There is no .mhclo and no skin below '{folder}'.",
                          "Give the folder that holds clothes, hair and skins.")
    index = out / "index.json"
    items = {(i["kind"], i["name"]): i for i in (json.loads(index.read_text(encoding="utf-8"))["items"] if index.is_file() else [])}
    wrong: list[OptionError] = []
    for job, file in jobs:
        try:
            record = job(file, out, say) if job is convert_item else job(file, out)
            items[record["kind"], record["name"]] = record
        except OptionError as error:
            wrong.append(error)
    out.mkdir(parents=True, exist_ok=True)
    index.write_text(json.dumps({"base_mesh": "hm08", "items": [items[k] for k in sorted(items)]}, indent=1) + "\n", encoding="utf-8")
    return len(jobs) - len(wrong), wrong


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.makehuman", description=__doc__.splitlines()[0])
    parser.add_argument("--in", dest="folder", type=Path, required=True, help="MakeHuman's assets (clothes, hair, skins, …)")
    parser.add_argument("--out", type=Path, required=True, help="the asset folder to write or to add to")
    args = parser.parse_args(argv)
    try:
        done, wrong = convert(args.folder, args.out)
    except OptionError as error:
        print(f"{error.code}: {error.message} {error.remedy}", file=sys.stderr)
        return 2
    for error in wrong:
        print(f"{error.code}: {error.message} {error.remedy}", file=sys.stderr)
    print(f"{done} assets converted, {len(wrong)} left out")
    return 3 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
