"""A small strict reader of binary glTF 2.0: meshes, materials with embedded textures, node transforms, skins.

Skinned meshes are posed by their nodes, as a viewer shows them. Animations, morph targets and cameras are left out
(said in the notes). Compressed geometry (Draco, meshopt) is an error. The attribute _PART of our own suites is the number
of the SMPL joint whose body part a vertex belongs to.
"""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from neural.contract.joints import SMPL_JOINTS

from ..errors import SuiteError
from .mesh import Material, Mesh, smooth_normals

_TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_READ = {"KHR_materials_unlit", "KHR_texture_transform", "KHR_materials_specular", "KHR_materials_ior",
         "KHR_materials_emissive_strength", "KHR_mesh_quantization", "KHR_materials_pbrSpecularGlossiness"}


def read_glb(file: Path) -> Mesh:
    """The scene of a .glb as one Mesh, in the file's own axes. Raises SuiteError."""
    glb = _Glb(file)
    try:
        return glb.mesh()
    except (LookupError, TypeError, ValueError, struct.error, np.linalg.LinAlgError) as exc:
        raise glb.error("damaged", "has parts that do not fit together", "Export it again as glTF 2.0.", repr(exc)) from exc


class _Glb:
    """One file while it is read."""

    def __init__(self, file: Path):
        self.file, self.notes = file, []
        data = file.read_bytes()
        if len(data) < 20 or data[:4] != b"glTF":
            raise self.error("not-glb", "is not a binary glTF file", "Export it again as .glb (glTF 2.0, binary).")
        version, length = struct.unpack_from("<II", data, 4)
        if version != 2 or length > len(data):
            raise self.error("damaged", "is cut short or of another glTF version", "Export it again as glTF 2.0.")
        chunks, at = {}, 12
        while at + 8 <= length:
            size, kind = struct.unpack_from("<I4s", data, at)
            chunks.setdefault(kind, data[at + 8:at + 8 + size])
            at += 8 + size
        try:
            self.json = json.loads(chunks[b"JSON"])
        except (KeyError, ValueError) as exc:
            raise self.error("damaged", "holds no readable scene", "Export it again.") from exc
        self.bin = chunks.get(b"BIN\0", b"")
        unknown = set(self.json.get("extensionsRequired", ())) - _READ
        if unknown:
            raise self.error("extension", f"needs the extension(s) {', '.join(sorted(unknown))}",
                             "Export it without compression and without special extensions.")

    def error(self, code: str, what: str, remedy: str, trace: str = "") -> SuiteError:
        return SuiteError(f"suite.mesh-{code}", f"The mesh '{self.file.name}' {what}.", remedy, trace)

    # -- arrays -----------------------------------------------------------------------------------------------------
    def view(self, index: int) -> tuple[bytes, int]:
        view = self.json["bufferViews"][index]
        if self.json["buffers"][view["buffer"]].get("uri"):
            raise self.error("external", "keeps its data in another file", "Export it as one .glb file.")
        start = view.get("byteOffset", 0)
        data = self.bin[start:start + view["byteLength"]]
        if len(data) < view["byteLength"]:
            raise self.error("damaged", "is cut short", "Export it again.")
        return data, view.get("byteStride", 0)

    def array(self, index: int) -> np.ndarray:
        """An accessor as (N, width) array; normalised integers become float32."""
        a = self.json["accessors"][index]
        if "sparse" in a:
            raise self.error("sparse", "uses sparse accessors", "Export it without sparse data.")
        kind, width, count = np.dtype(_TYPES[a["componentType"]]), _WIDTH[a["type"]], a["count"]
        if "bufferView" not in a:
            return np.zeros((count, width), np.float32)
        data, stride = self.view(a["bufferView"])
        start, item = a.get("byteOffset", 0), kind.itemsize * width
        stride = stride or item
        if start + (count - 1) * stride + item > len(data):
            raise self.error("damaged", "has an accessor beyond its data", "Export it again.")
        raw = np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))
        if a.get("normalized"):
            return np.maximum(raw / np.float32(np.iinfo(kind).max), -1).astype(np.float32)
        return raw.copy()

    # -- nodes ------------------------------------------------------------------------------------------------------
    def world(self) -> dict[int, np.ndarray]:
        """node -> (4, 4) of the default scene (all root nodes when there is none)."""
        nodes = self.json.get("nodes", [])
        children = {c for n in nodes for c in n.get("children", ())}
        scenes = self.json.get("scenes")
        roots = scenes[self.json.get("scene", 0)].get("nodes", []) if scenes else [
            i for i in range(len(nodes)) if i not in children]
        out: dict[int, np.ndarray] = {}
        stack = [(r, np.eye(4)) for r in roots]
        while stack:
            index, parent = stack.pop()
            out[index] = parent @ _local(nodes[index])
            stack += [(c, out[index]) for c in nodes[index].get("children", ())]
        return out

    def mesh(self) -> Mesh:
        world = self.world()
        parts = []
        for index, matrix in sorted(world.items()):
            node = self.json["nodes"][index]
            if "mesh" in node:
                for primitive in self.json["meshes"][node["mesh"]]["primitives"]:
                    part = self.primitive(primitive, node, matrix, world)
                    if part is not None:
                        parts.append(part)
        if not parts:
            raise self.error("empty", "holds no triangles", "Check that the person is part of the exported scene.")
        if self.json.get("animations"):
            self.notes.append("animation: ignored, the nodes' own pose is used")
        start = np.cumsum([0, *(len(p["v"]) for p in parts)])
        materials = tuple(self.material(m) for m in self.json.get("materials", ())) + (Material(),)
        colors = None
        if any(p["c"] is not None for p in parts):
            colors = np.concatenate([np.ones((len(p["v"]), 3), np.float32) if p["c"] is None else p["c"] for p in parts])
        join = lambda key: np.concatenate([p[key] for p in parts])  # noqa: E731
        return Mesh(join("v"), np.concatenate([p["f"] + s for p, s in zip(parts, start)]).astype(np.int32), join("n"),
                    join("uv"), join("m"), materials, colors, _parts(parts), tuple(dict.fromkeys(self.notes)))

    def primitive(self, primitive: dict, node: dict, matrix: np.ndarray, world: dict) -> dict | None:
        """One primitive in scene coordinates."""
        attributes = primitive["attributes"]
        if "POSITION" not in attributes:
            return None
        v = self.array(attributes["POSITION"]).astype(np.float64)
        order = self.array(primitive["indices"])[:, 0].astype(np.int64) if "indices" in primitive else np.arange(len(v))
        f = _triangles(order, primitive.get("mode", 4))
        if f is None or not len(f):
            self.notes.append("lines or points: left out")
            return None
        if f.min() < 0 or f.max() >= len(v) or not np.isfinite(v).all():
            raise self.error("damaged", "has indices or coordinates that make no sense", "Export it again.")
        if primitive.get("targets"):
            self.notes.append("morph targets: ignored")
        n = self.array(attributes["NORMAL"]).astype(np.float64) if "NORMAL" in attributes else None
        move = np.broadcast_to(matrix, (len(v), 4, 4))
        if "skin" in node and "JOINTS_0" in attributes:
            move = self.skinned(node["skin"], attributes, world)
        v = np.einsum("nij,nj->ni", move[:, :3, :3], v) + move[:, :3, 3]
        if n is not None:
            n = np.einsum("nij,nj->ni", np.linalg.inv(move[:, :3, :3]).transpose(0, 2, 1), n)
            corner = n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-20)
            corner = corner[f].astype(np.float32)
        if np.linalg.det(move[0, :3, :3]) < 0:
            f = f[:, ::-1]
            corner = corner[:, ::-1] if n is not None else None
        if n is None:
            corner = smooth_normals(v, f)
        material = primitive.get("material", len(self.json.get("materials", ())))
        uv = self.texcoords(attributes, primitive, len(v))[f]
        c = self.array(attributes["COLOR_0"])[:, :3].astype(np.float32) if "COLOR_0" in attributes else None
        part = np.rint(self.array(attributes["_PART"])[:, 0]).astype(np.int16) if "_PART" in attributes else None
        if part is not None and (len(part) != len(v) or not ((part >= -1) & (part < len(SMPL_JOINTS))).all()):
            raise self.error("damaged", "numbers body parts (_PART) that do not exist", "Use SMPL's joints, 0 to 23, or -1.")
        return {"v": v, "f": f, "n": corner, "uv": uv, "m": np.full(len(f), material, np.int32), "c": c, "part": part}

    def skinned(self, skin: int, attributes: dict, world: dict) -> np.ndarray:
        """(V, 4, 4) blended joint matrices; the mesh node's own transform does not count (glTF 2.0 §3.7.3.3)."""
        skin = self.json["skins"][skin]
        pose = np.stack([world.get(j, np.eye(4)) for j in skin["joints"]])
        if "inverseBindMatrices" in skin:
            pose = pose @ self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64)
        total = 0.0
        weight_sum = 0.0
        for k in range(4):
            if f"JOINTS_{k}" not in attributes:
                break
            j = self.array(attributes[f"JOINTS_{k}"]).astype(np.int64)
            w = self.array(attributes[f"WEIGHTS_{k}"]).astype(np.float64)
            total = total + np.einsum("nk,nkij->nij", w, pose[j])
            weight_sum = weight_sum + w.sum(1)
        return total / np.maximum(weight_sum, 1e-9)[:, None, None]

    def texcoords(self, attributes: dict, primitive: dict, count: int) -> np.ndarray:
        """(V, 2) float32, v up, of the base colour's texture."""
        info = _base(self.json["materials"][primitive["material"]])[1] if "material" in primitive else None
        info = info or {}
        change = info.get("extensions", {}).get("KHR_texture_transform", {})
        name = f"TEXCOORD_{change.get('texCoord', info.get('texCoord', 0))}"
        if name not in attributes:
            if info:
                self.notes.append("no UVs: a textured part has no texture coordinates and is shown in its plain colour")
            return np.zeros((count, 2), np.float32)
        uv = self.array(attributes[name]).astype(np.float32)
        if change:
            c, s = np.cos(change.get("rotation", 0.0)), np.sin(change.get("rotation", 0.0))
            uv = (uv * np.float32(change.get("scale", (1, 1)))) @ np.float32([[c, -s], [s, c]]) \
                + np.float32(change.get("offset", (0, 0)))
        return np.stack([uv[:, 0], 1 - uv[:, 1]], 1)

    def material(self, data: dict) -> Material:
        colour, info = _base(data)
        image = self.image(self.json["textures"][info["index"]].get("source")) if info else None
        cut = data.get("alphaMode", "OPAQUE") != "OPAQUE"
        return Material(data.get("name", "unnamed"), tuple(map(float, colour)), image, cut)

    def image(self, index: int | None) -> np.ndarray | None:
        """Decoded (H, W, 3 or 4) uint8; None for kinds that we cannot read (said)."""
        if index is None:
            self.notes.append("texture: kept in a format of an extension (KTX2, WebP …), shown in plain colour")
            return None
        entry = self.json["images"][index]
        if "bufferView" in entry:
            data = self.view(entry["bufferView"])[0]
        elif entry.get("uri", "").startswith("data:"):
            data = base64.b64decode(entry["uri"].split(",", 1)[1])
        else:
            raise self.error("external", f"keeps the texture '{entry.get('uri', '?')}' in another file",
                             "Export it as one .glb file with embedded textures.")
        try:
            picture = Image.open(io.BytesIO(data))
            clear = "A" in picture.getbands() or "transparency" in picture.info
            return np.asarray(picture.convert("RGBA" if clear else "RGB"))
        except (OSError, ValueError) as exc:
            raise self.error("texture", "holds a texture that cannot be decoded",
                             "Save its textures as PNG or JPEG.") from exc


def _parts(pieces: list[dict]) -> np.ndarray | None:
    """(V,) int16, or None when no primitive has body parts."""
    if all(p["part"] is None for p in pieces):
        return None
    return np.concatenate([np.full(len(p["v"]), -1, np.int16) if p["part"] is None else p["part"] for p in pieces])


def _base(material: dict) -> tuple[tuple, dict | None]:
    """Base colour factor and texture info, metallic-roughness or the older specular-glossiness."""
    old = material.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness")
    if old and "pbrMetallicRoughness" not in material:
        return old.get("diffuseFactor", (1, 1, 1, 1)), old.get("diffuseTexture")
    new = material.get("pbrMetallicRoughness", {})
    return new.get("baseColorFactor", (1, 1, 1, 1)), new.get("baseColorTexture")


def _local(node: dict) -> np.ndarray:
    """(4, 4) of a node relative to its parent."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    out = np.eye(4)
    out[:3, :3] = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]) * np.array(node.get("scale", (1, 1, 1)))
    out[:3, 3] = node.get("translation", (0, 0, 0))
    return out


def _triangles(order: np.ndarray, mode: int) -> np.ndarray | None:
    """(F, 3) from an index list; None for lines and points."""
    if mode == 4:
        return order[:len(order) // 3 * 3].reshape(-1, 3)
    if mode == 5:                                                  # strip: every second triangle is turned
        f = np.stack([order[:-2], order[1:-1], order[2:]], 1)
        f[1::2] = f[1::2][:, [1, 0, 2]]
        return f
    if mode == 6:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], 1)
    return None
