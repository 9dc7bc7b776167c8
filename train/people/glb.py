"""A small writer of binary glTF 2.0: one mesh, one primitive and material per texture, JPEG textures embedded."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

_FLOAT, _UINT32 = 5126, 5125


def write_glb(path: Path, name: str, vertices: np.ndarray, normals: np.ndarray, uv: np.ndarray, faces: list[np.ndarray],
              jpegs: list[bytes], extras: dict) -> None:
    """Write one textured mesh.

    vertices (V, 3) metres, y up, facing +z; normals (V, 3) unit; uv (V, 2), v up (glTF's v is turned here);
    faces: one (F, 3) array per texture; jpegs: the files' bytes; extras: kept in the asset's `extras` (licence, author).
    """
    blob, views, accessors = bytearray(), [], []

    def view(data: bytes, target: int | None = None) -> int:
        blob.extend(b"\0" * (-len(blob) % 4))
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data)} | ({"target": target} if target else {}))
        blob.extend(data)
        return len(views) - 1

    def accessor(array: np.ndarray, kind: str, component: int, target: int, **bounds) -> int:
        accessors.append({"bufferView": view(np.ascontiguousarray(array).tobytes(), target), "componentType": component,
                          "count": len(array), "type": kind} | bounds)
        return len(accessors) - 1

    v = vertices.astype("<f4")
    shared = {
        "POSITION": accessor(v, "VEC3", _FLOAT, 34962, min=v.min(0).tolist(), max=v.max(0).tolist()),
        "NORMAL": accessor(_unit(normals), "VEC3", _FLOAT, 34962),
        "TEXCOORD_0": accessor((uv * [1, -1] + [0, 1]).astype("<f4"), "VEC2", _FLOAT, 34962),
    }
    primitives = [{"attributes": shared, "indices": accessor(f.astype("<u4").ravel(), "SCALAR", _UINT32, 34963),
                   "material": k} for k, f in enumerate(faces)]
    images = [{"bufferView": view(j), "mimeType": "image/jpeg"} for j in jpegs]
    count = range(len(jpegs))
    document = {
        "asset": {"version": "2.0", "generator": "Likeness, train/people", "extras": extras},
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "name": name}],
        "meshes": [{"name": name, "primitives": primitives}],
        "materials": [{"name": f"{name}_{k}", "doubleSided": True, "pbrMetallicRoughness": {
            "baseColorTexture": {"index": k}, "metallicFactor": 0, "roughnessFactor": 0.8}} for k in count],
        "textures": [{"source": k, "sampler": 0} for k in count], "images": images,
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 10497, "wrapT": 10497}],
        "accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": len(blob) + -len(blob) % 4}],
    }
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
