"""A small strict reader of Wavefront .obj with its .mtl: n-gons, several materials, negative indices, vertex colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import SuiteError
from .mesh import Material, Mesh, smooth_normals


def read_obj(file: Path) -> Mesh:
    """The whole file as one Mesh, in the file's own axes and units. Raises SuiteError."""
    values: dict[str, list] = {"v": [], "vt": [], "vn": []}
    polygons: list[list[tuple[int, int, int]]] = []
    of: list[str] = []
    current, library = "", []
    with open(file, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            word, *rest = line.split() or ("#",)
            try:
                if word in values:
                    values[word].append([float(x) for x in rest[:6 if word == "v" else 3]])
                elif word == "f":
                    polygons.append([_corner(c, values) for c in rest])
                    of.append(current)
                elif word == "usemtl":
                    current = " ".join(rest)
                elif word == "mtllib":
                    library.append(line.split(None, 1)[1].strip())
            except (ValueError, IndexError) as exc:
                raise SuiteError("suite.mesh-damaged", f"The mesh '{file.name}' cannot be read at line {number}.",
                                 "Export it again.", str(exc)) from exc
    if not polygons or not values["v"]:
        raise SuiteError("suite.mesh-empty", f"The mesh '{file.name}' holds no faces.", "Export it again.")
    return _assemble(file, values, polygons, of, library)


def _corner(text: str, values: dict) -> tuple[int, int, int]:
    """"7/2/5", "7//5", "-1/-1" -> zero-based indices; -1 = none."""
    parts = (text.split("/") + ["", ""])[:3]
    out = []
    for part, key in zip(parts, ("v", "vt", "vn")):
        i, n = (int(part), len(values[key])) if part else (0, 0)
        i = i - 1 if i > 0 else n + i if i < 0 else -1
        if part and not 0 <= i < n:
            raise ValueError(f"index {part} of {n}")
        out.append(i)
    if out[0] < 0:
        raise ValueError("a corner without a vertex")
    return tuple(out)


def _assemble(file, values, polygons, of, library) -> Mesh:
    notes = []
    vertex = np.array([v[:3] for v in values["v"]], float)
    colors = None
    if all(len(v) == 6 for v in values["v"]):
        colors = np.array([v[3:] for v in values["v"]], np.float32)
        colors = (colors ** 2.2).astype(np.float32)               # written as sRGB by scanners and modellers
    corners, owner, large = [], [], 0
    for polygon, name in zip(polygons, of):
        if len(polygon) < 3:
            continue
        large += len(polygon) > 4
        for triple in triangulate(vertex[[c[0] for c in polygon]]):
            corners.append([polygon[i] for i in triple])
            owner.append(name)
    if large:
        notes.append(f"n-gons: {large} faces with more than four corners were cut into triangles")
    corner = np.array(corners, np.int64)                           # (F, 3, 3): vertex, uv, normal
    faces = corner[..., 0]
    uv = np.zeros((len(faces), 3, 2), np.float32)
    has_uv = (corner[..., 1] >= 0).all(1)
    if has_uv.any():
        uv[has_uv] = np.array([t[:2] for t in values["vt"]], np.float32)[corner[has_uv][..., 1]]
    materials, names = _materials(file, library, notes)
    index = {name: i for i, name in enumerate(names)}
    missing = sorted({n for n in owner if n and n not in index})
    if missing:
        notes.append(f"materials: {', '.join(missing[:4])} not found, shown in white")
    material = np.array([index.get(n, len(materials)) for n in owner], np.int32)
    materials = (*materials, Material())
    bare = sum(m.image is not None and bool((~has_uv & (material == i)).any()) for i, m in enumerate(materials))
    if bare:
        notes.append("no UVs: a textured part has no texture coordinates and is shown in its plain colour")
        material = material.copy()
        for i, m in enumerate(materials):
            rows = ~has_uv & (material == i)
            if m.image is not None and rows.any():
                materials = (*materials, Material(m.name, m.colour))
                material[rows] = len(materials) - 1
    normals = smooth_normals(vertex, faces)
    if (corner[..., 2] >= 0).all():
        given = np.array(values["vn"])[corner[..., 2]]
        normals = (given / np.maximum(np.linalg.norm(given, axis=2, keepdims=True), 1e-20)).astype(np.float32)
    return Mesh(vertex, faces.astype(np.int32), normals, uv, material, materials, colors, None, tuple(notes))


def _materials(file: Path, library: list[str], notes: list[str]) -> tuple[tuple[Material, ...], list[str]]:
    """Materials of the .mtl files: Kd, d and map_Kd."""
    found: list[dict] = []
    for name in library:
        path = file.parent / name
        if not path.is_file():
            notes.append(f"materials: the library '{name}' is missing")
            continue
        for line in path.read_text("utf-8", errors="replace").splitlines():
            word, *rest = line.split() or ("#",)
            if word == "newmtl":
                found.append({"name": " ".join(rest), "kd": (1.0, 1.0, 1.0), "image": None})
            elif found and word == "Kd":
                found[-1]["kd"] = tuple(float(x) for x in rest[:3])
            elif found and word == "map_Kd":
                found[-1]["image"] = _image(path.parent, line.split(None, 1)[1].strip(), notes)
    materials = []
    for entry in found:
        kd = (1.0, 1.0, 1.0) if entry["image"] is not None else entry["kd"]
        cut = entry["image"] is not None and entry["image"].shape[2] == 4
        materials.append(Material(entry["name"], (*kd, 1.0), entry["image"], cut))
    return tuple(materials), [entry["name"] for entry in found]


def _image(folder: Path, text: str, notes: list[str]) -> np.ndarray | None:
    path = folder / text.replace("\\", "/")
    if not path.is_file():                                         # options such as "-s 1 1 1" come before the name
        path = folder / text.split()[-1].replace("\\", "/")
    if not path.is_file():
        notes.append(f"texture: the image '{path.name}' is missing")
        return None
    try:
        picture = Image.open(path)
        return np.asarray(picture.convert("RGBA" if "A" in picture.getbands() else "RGB"))
    except (OSError, ValueError) as exc:
        raise SuiteError("suite.mesh-texture", f"The texture '{path.name}' cannot be decoded.",
                         "Save it as PNG or JPEG.", str(exc)) from exc


def triangulate(polygon: np.ndarray) -> list[tuple[int, int, int]]:
    """(N, 3) corners of a simple polygon -> N - 2 index triples, same orientation; ears are cut where it is not convex."""
    n = len(polygon)
    if n == 3:
        return [(0, 1, 2)]
    after = np.roll(polygon, -1, 0)
    normal = np.cross(polygon, after).sum(0)                       # Newell
    axis = int(np.argmax(np.abs(normal)))
    flat = np.delete(polygon, axis, 1) * ((1, 1) if (normal[axis] > 0) == (axis != 1) else (1, -1))
    turn = _cross(np.roll(flat, 1, 0), flat, np.roll(flat, -1, 0))
    if (turn >= 0).all():
        return [(0, i, i + 1) for i in range(1, n - 1)]
    left, out = list(range(n)), []
    while len(left) > 3:
        for k in range(len(left)):
            i, j, m = left[k - 1], left[k], left[(k + 1) % len(left)]
            if _cross(flat[i], flat[j], flat[m]) <= 0:
                continue
            rest = [r for r in left if r not in (i, j, m)]
            inside = [(_cross(flat[a], flat[b], flat[rest]) >= 0) for a, b in ((i, j), (j, m), (m, i))]
            if not np.logical_and.reduce(inside).any():
                out.append((i, j, m))
                left.pop(k)
                break
        else:                                                      # crosses itself: any cut is as good as another
            out.append((left[-1], left[0], left[1]))
            left.pop(0)
    return [*out, tuple(left)]


def _cross(a, b, c):
    return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
