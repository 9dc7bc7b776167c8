"""The ingredients on disk: avatars, the pose library, environment lights and background views.

The folder is never named in code: it comes as an argument or from the environment variable LIKENESS_ASSETS. Its
layout is described in docs/people.md. All loaders are read-only and give arrays in the avatars' frame: metres, z up,
facing -y (frame `blender`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from neural.contract.errors import OptionError

VARIABLE = "LIKENESS_ASSETS"


@dataclass(frozen=True)
class Avatar:
    """A whole clothed person at rest. V vertices, F triangles, J bones.

    vertices (V, 3) float32 metres; faces (F, 3) int32, outward counter-clockwise; uv (V, 2) float32, v up.
    texture  (F,) int32 row of `textures` of each face; textures: tuple of (H, W, 3) uint8 sRGB.
    joints (V, 4) int32, weights (V, 4) float32 rows sum to 1; bones names, parents (J,) -1 = root, heads (J, 3).
    weld (V,) int32: the same number for vertices that differ only in uv. texture_files: the .jpg of each texture.
    """

    name: str
    sex: str
    licence: str
    author: str
    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    textures: tuple[np.ndarray, ...]
    joints: np.ndarray
    weights: np.ndarray
    bones: tuple[str, ...]
    parents: np.ndarray
    heads: np.ndarray
    weld: np.ndarray
    texture_files: tuple[Path, ...] = ()

    @property
    def height_m(self) -> float:
        """Height at rest, shoes and hair included."""
        return float(np.ptp(self.vertices[:, 2]))


@dataclass(frozen=True)
class PoseLibrary:
    """P poses of B bones: `rotations` (P, B, 3, 3) float64, world rotation of each bone relative to the rest pose."""

    names: tuple[str, ...]
    bones: tuple[str, ...]
    rotations: np.ndarray
    standing: np.ndarray
    licence: tuple[str, ...]
    rest: dict[str, np.ndarray]

    def pose(self, name: str) -> dict[str, np.ndarray]:
        """Bone name -> (3, 3)."""
        if name not in self.names:
            raise OptionError("option.pose", f"There is no pose called '{name}'.",
                              f"Choose one of the {len(self.names)} names in poses/poses.npz, such as {self.names[0]}.")
        return dict(zip(self.bones, self.rotations[self.names.index(name)]))


def assets_root(given: str | os.PathLike | None = None) -> Path:
    """The assets folder, or OptionError that says how to give it."""
    path = given or os.environ.get(VARIABLE)
    if not path:
        raise OptionError("option.assets", "The folder with the avatars, poses and lights was not given.",
                          f"Set the environment variable {VARIABLE} to it, or pass --assets FOLDER.")
    root = Path(path)
    missing = [p for p in ("index.json", "avatars/bone_map.json", "poses/poses.npz") if not (root / p).is_file()]
    if missing:
        raise OptionError("option.assets", f"The assets folder '{root}' has no {', '.join(missing)}.",
                          "Give the folder whose layout docs/people.md describes.")
    return root


@lru_cache(maxsize=4)
def index(root: Path) -> dict:
    """Avatar name -> its record in index.json (licence, author, sex, …)."""
    items = json.loads((root / "index.json").read_text(encoding="utf-8"))["items"]
    return {i["name"]: i for i in items if i["kind"] == "avatar"}


def avatar_names(root: Path) -> list[str]:
    return sorted(index(root))


@lru_cache(maxsize=8)
def load_avatar(root: Path, name: str) -> Avatar:
    """One avatar with its textures; OptionError when there is none of that name."""
    if name not in index(root):
        raise OptionError("option.avatar", f"There is no avatar called '{name}'.",
                          f"Choose one of: {', '.join(avatar_names(root))}.")
    record, folder = index(root)[name], root / "avatars" / name
    with np.load(folder / "mesh.npz") as z:
        data = {k: z[k] for k in z.files}
    numbers = sorted(set(data["part_tex"].tolist()))
    files = tuple(folder / f"tex{n}.jpg" for n in numbers)
    textures = tuple(np.asarray(Image.open(p).convert("RGB")) for p in files)
    row = np.array([numbers.index(n) for n in data["part_tex"]], np.int32)
    weights = data["weights"].astype(np.float32)
    return Avatar(
        name=name, sex=record.get("sex", ""), licence=record["licence"], author=record.get("author", ""),
        vertices=data["v"].astype(np.float32), faces=data["f"].astype(np.int32), uv=data["uv"].astype(np.float32),
        texture=row[data["part"]], textures=textures, joints=data["joints"].astype(np.int32),
        weights=weights / weights.sum(1, keepdims=True), bones=tuple(map(str, data["bones"])),
        parents=data["parents"].astype(np.int32), heads=data["heads"].astype(np.float64), weld=welded(data["v"]), texture_files=files)


@lru_cache(maxsize=2)
def load_poses(root: Path) -> PoseLibrary:
    with np.load(root / "poses" / "poses.npz") as z:
        data = {k: z[k] for k in z.files}
    rest = json.loads((Path(__file__).parent / "library_rest.json").read_text(encoding="utf-8"))["heads"]
    return PoseLibrary(tuple(map(str, data["names"])), tuple(map(str, data["bones"])),
                       matrices(data["quat_xyzw"].astype(np.float64)), data["standing"],
                       tuple(map(str, data["licence"])), {k: np.array(v) for k, v in rest.items()})


@lru_cache(maxsize=2)
def load_bone_map(root: Path) -> dict:
    return json.loads((root / "avatars" / "bone_map.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=8)
def load_light(root: Path, name: str) -> np.ndarray:
    """(128, 256, 3) float32 linear RGB radiance, equirectangular, top row = straight up."""
    path = root / "hdri" / f"{name}.hdr"
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if image is None:
        names = sorted(p.stem for p in (root / "hdri").glob("*.hdr"))
        raise OptionError("option.light", f"There is no light called '{name}'.", f"Choose one of: {', '.join(names)}.")
    return np.ascontiguousarray(image[..., ::-1]).astype(np.float32)


def load_background(root: Path, name: str) -> np.ndarray:
    """(H, W, 3) uint8 sRGB."""
    path = root / "backgrounds" / f"{name}.jpg"
    if not path.is_file():
        raise OptionError("option.background", f"There is no background called '{name}'.",
                          "Choose a file name (without .jpg) of the folder backgrounds, or a colour such as #a0b0c0.")
    return np.asarray(Image.open(path).convert("RGB"))


def welded(vertices: np.ndarray) -> np.ndarray:
    """(V, 3) -> (V,) int32 numbers of the distinct places, to 0.01 mm."""
    return np.unique(np.round(vertices.astype(np.float64), 5), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)


def matrices(quat: np.ndarray) -> np.ndarray:
    """(..., 4) x y z w -> (..., 3, 3) rotations."""
    q = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    x, y, z, w = np.moveaxis(q, -1, 0)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]
    return np.stack(rows, -1).reshape(*q.shape[:-1], 3, 3)
