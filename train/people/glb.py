"""A small writer of binary glTF 2.0: one mesh, a primitive and a material per surface, pictures embedded."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FLOAT, _UINT32 = 5126, 5125
_MIME = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png"}


@dataclass(frozen=True)
class Look:
    """One material. image: bytes of a JPEG or PNG file, or None for a plain colour (linear RGB); cut: alpha below 0.5 is a hole
    (glTF's MASK); name of the material."""

    image: bytes | None = None
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    cut: bool = False
    name: str = "surface"


def write_glb(path: Path, name: str, vertices: np.ndarray, normals: np.ndarray, uv: np.ndarray, faces: list[np.ndarray],
              looks: list[Look], extras: dict, part: np.ndarray | None = None) -> None:
    """Write one mesh.

    vertices (V, 3) metres, y up, facing +z; normals (V, 3) unit; uv (V, 2), v up (glTF's v is turned here);
    faces: one (F, 3) array per look; extras: kept in the asset's `extras` (licence, author); part (V,): SMPL joint whose body
    part a vertex belongs to, -1 unknown (attribute `_PART`, which evaluate/ reads). A vertex is stored once per look that uses it.
    """
    blob, views, accessors, primitives = bytearray(), [], [], []

    def view(data: bytes, target: int | None = None) -> int:
        blob.extend(b"\0" * (-len(blob) % 4))
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data)} | ({"target": target} if target else {}))
        blob.extend(data)
        return len(views) - 1

    def accessor(array: np.ndarray, kind: str, component: int, target: int, **bounds) -> int:
        accessors.append({"bufferView": view(np.ascontiguousarray(array).tobytes(), target), "componentType": component,
                          "count": len(array), "type": kind} | bounds)
        return len(accessors) - 1

    unit = _unit(normals)
    for number, corners in enumerate(faces):
        used, order = np.unique(corners, return_inverse=True)
        v = vertices[used].astype("<f4")
        attributes = {
            "POSITION": accessor(v, "VEC3", _FLOAT, 34962, min=v.min(0).tolist(), max=v.max(0).tolist()),
            "NORMAL": accessor(unit[used], "VEC3", _FLOAT, 34962),
            "TEXCOORD_0": accessor((uv[used] * [1, -1] + [0, 1]).astype("<f4"), "VEC2", _FLOAT, 34962),
        }
        if part is not None:
            attributes["_PART"] = accessor(part[used].astype("<f4"), "SCALAR", _FLOAT, 34962)
        primitives.append({"attributes": attributes, "material": number,
                           "indices": accessor(order.astype("<u4").ravel(), "SCALAR", _UINT32, 34963)})
    materials, textures, images = [], [], []
    for look in looks:
        metal = {"metallicFactor": 0, "roughnessFactor": 0.8, "baseColorFactor": [*map(float, look.colour), 1.0]}
        if look.image is not None:
            metal["baseColorTexture"] = {"index": len(textures)}
            textures.append({"source": len(images), "sampler": 0})
            images.append({"bufferView": view(look.image), "mimeType": _MIME[look.image[:2]]})
        cut = {"alphaMode": "MASK", "alphaCutoff": 0.5} if look.cut else {}
        materials.append({"name": look.name, "doubleSided": True, "pbrMetallicRoughness": metal} | cut)
    document = {
        "asset": {"version": "2.0", "generator": "Likeness, train/people", "extras": extras},
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "name": name}],
        "meshes": [{"name": name, "primitives": primitives}], "materials": materials,
        "accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": len(blob) + -len(blob) % 4}],
    }
    if images:
        document |= {"textures": textures, "images": images,
                     "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 10497, "wrapT": 10497}]}
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    blob.extend(b"\0" * (-len(blob) % 4))
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(blob)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(blob), b"BIN\0") + bytes(blob))


def _unit(normals: np.ndarray) -> np.ndarray:
    """float32 unit vectors; a vertex without faces gets (0, 1, 0), since glTF allows no zero normal."""
    n = normals.astype(np.float64)
    length = np.linalg.norm(n, axis=1, keepdims=True)
    return np.where(length > 1e-6, n / np.maximum(length, 1e-12), [0, 1.0, 0]).astype("<f4")
