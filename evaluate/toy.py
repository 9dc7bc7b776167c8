"""People made by code, for trying the evaluation without any data: the default body standing, in painted clothes."""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from neural.body.model import BodyModel
from neural.contract.joints import JOINT, SMPL_JOINTS
from neural.geometry.normals import vertex_normals
from neural.geometry.raster import rasterize_screen


def write_glb(file: Path, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray | None = None,
              uv: np.ndarray | None = None, image: np.ndarray | None = None) -> None:
    """A minimal .glb: (V, 3) metres y up, (F, 3), optional (V, 3) normals, (V, 2) uv with v up, (H, W, 3) uint8 texture."""
    views, accessors, data = [], [], b""

    def add(array: np.ndarray, kind: str, component: int) -> int:
        nonlocal data
        raw = np.ascontiguousarray(array).tobytes()
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(raw)})
        data += raw + b"\0" * (-len(raw) % 4)
        entry = {"bufferView": len(views) - 1, "componentType": component, "count": len(array), "type": kind}
        if kind == "VEC3":
            entry |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
        accessors.append(entry)
        return len(accessors) - 1

    attributes = {"POSITION": add(vertices.astype("<f4"), "VEC3", 5126)}
    if normals is not None:
        attributes["NORMAL"] = add(normals.astype("<f4"), "VEC3", 5126)
    if uv is not None:
        attributes["TEXCOORD_0"] = add(np.stack([uv[:, 0], 1 - uv[:, 1]], 1).astype("<f4"), "VEC2", 5126)
    primitive: dict = {"attributes": attributes, "indices": add(faces.reshape(-1, 1).astype("<u4"), "SCALAR", 5125)}
    scene: dict = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}]}
    if image is not None:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        raw = buffer.getvalue()
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(raw)})
        data += raw + b"\0" * (-len(raw) % 4)
        scene |= {"images": [{"bufferView": len(views) - 1, "mimeType": "image/png"}], "textures": [{"source": 0}],
                  "materials": [{"name": "skin", "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]}
        primitive["material"] = 0
    scene |= {"meshes": [{"primitives": [primitive]}], "accessors": accessors, "bufferViews": views,
              "buffers": [{"byteLength": len(data)}]}
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    file.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + len(data), len(text), b"JSON") + text
                     + struct.pack("<I4s", len(data), b"BIN\0") + data)


def toy_suite(folder: Path, count: int = 2, seed: int = 0) -> None:
    """Write `count` bodies of random shape with hanging arms and painted, slightly loose shirt and trousers."""
    model = BodyModel.load()
    items = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        betas = rng.normal(0, 0.7, 6)
        pose = np.zeros((24, 3))
        pose[JOINT["left_shoulder"], 2], pose[JOINT["right_shoulder"], 2] = -1.05, 1.05
        pose[JOINT["left_elbow"], 1], pose[JOINT["right_elbow"], 1] = -0.25, 0.25
        pose[JOINT["left_hip"], 2], pose[JOINT["right_hip"], 2] = 0.06, -0.06
        vertices, joints, _ = model.posed(pose, betas)
        normals = vertex_normals(vertices, model.faces)
        cloth = np.isin(model.part, [JOINT[n] for n in _CLOTHED])
        vertices = vertices + 0.012 * _smoothed(cloth.astype(float), model.faces)[:, None] * normals
        pairs, faces = np.unique(np.stack([model.faces.ravel(), model.uv_faces.ravel()], 1), axis=0, return_inverse=True)
        file = f"toy-{number:02d}.glb"
        write_glb(folder / file, vertices[pairs[:, 0]], faces.reshape(-1, 3), vertex_normals(vertices, model.faces)[pairs[:, 0]],
                  model.uv[pairs[:, 1]], _painted(model, rng))
        items.append({"name": f"toy-{number:02d}", "file": file, "height_m": model.standing_height(betas), "licence": "CC0-1.0",
                      "kind": "toy", "joints": dict(zip(SMPL_JOINTS, np.round(joints, 5).tolist()))})
    about = "Our own default body in painted clothes: made by code, to try the evaluation, not to judge by."
    (folder / "index.json").write_text(json.dumps({"about": about, "items": items}, indent=1), "utf-8")


_CLOTHED = ("pelvis", "left_hip", "right_hip", "spine1", "spine2", "spine3", "left_knee", "right_knee", "left_collar",
            "right_collar", "left_shoulder", "right_shoulder")
_TROUSERS = ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee")


def _smoothed(value: np.ndarray, faces: np.ndarray, rounds: int = 8) -> np.ndarray:
    """(V,) averaged with the neighbours some times."""
    count = np.bincount(faces.ravel(), minlength=len(value)) * 2.0
    for _ in range(rounds):
        total = value[faces].sum(1)[:, None] - value[faces]
        value = np.bincount(faces.ravel(), total.ravel(), len(value)) / np.maximum(count, 1)
    return value


def _painted(model: BodyModel, rng: np.random.Generator, size: int = 1024) -> np.ndarray:
    """(size, size, 3) uint8 texture: skin, striped shirt, plain trousers, dark shoes, some hair."""
    skin, shirt, stripe, trousers = rng.uniform(0.35, 0.8) * np.array([1, 0.78, 0.65]), *rng.uniform(0.1, 0.9, (3, 3))
    part_colour = np.tile(skin, (24, 1))
    part_colour[[JOINT[n] for n in _CLOTHED]] = shirt
    part_colour[[JOINT[n] for n in _TROUSERS]] = trousers
    part_colour[[JOINT[n] for n in ("left_ankle", "right_ankle", "left_foot", "right_foot")]] = 0.12
    flat = np.stack([model.uv[:, 0], 1 - model.uv[:, 1]], 1) * size
    drawn = rasterize_screen(flat, np.ones(len(flat)), model.uv_faces, size, size)
    out = np.tile(skin, (size, size, 1))
    face, bary = drawn.face[drawn.hit], drawn.bary[drawn.hit]
    corner = np.take_along_axis(model.faces[face], bary.argmax(1)[:, None], 1)[:, 0]
    place = np.einsum("nk,nkc->nc", bary, model.template[model.faces[face]])
    colour = part_colour[model.part[corner]]
    striped = (np.floor(place[:, 1] / 0.03).astype(int) % 2 == 0) & np.isin(
        model.part[corner], [JOINT[n] for n in _CLOTHED if n not in _TROUSERS])
    colour[striped] = stripe
    crown = model.template[:, 1].max()
    colour[(place[:, 1] > crown - 0.10) & ((place[:, 2] < 0.05) | (place[:, 1] > crown - 0.035))] = (0.16, 0.11, 0.08)
    out[drawn.hit] = colour
    return np.rint(np.clip(out + rng.normal(0, 0.015, out.shape), 0, 1) * 255).astype(np.uint8)


def main() -> int:
    p = argparse.ArgumentParser(prog="python -m evaluate.toy", description=__doc__)
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--count", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    toy_suite(args.out, args.count, args.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
