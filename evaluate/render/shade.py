"""Colours: materials looked up through the rasteriser, and one soft light, the same for every view of a person."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from neural.geometry.raster import Fragments

from ..readers.mesh import Mesh


@dataclass(frozen=True)
class Light:
    """First-order spherical harmonics plus one key light, all in the person's frame (camera axes, turning with it).

    ambient linear; up: how much more comes from above; key: direction to the light (x right, y down, z forward).
    """

    ambient: float = 0.62
    up: float = 0.10
    key: float = 0.38
    direction: tuple[float, float, float] = (-0.5, -0.6, -0.62)

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """(..., 3) unit normals, camera frame -> (...,) factor on the albedo."""
        d = np.array(self.direction) / np.linalg.norm(self.direction)
        return (self.ambient - self.up * normals[..., 1] + self.key * np.maximum(normals @ d, 0)).astype(np.float32)


def albedo(mesh: Mesh, fragments: Fragments) -> np.ndarray:
    """(H, W, 3) float32 linear colour of what is drawn; 0 elsewhere. Textures are sampled bilinearly."""
    out = np.zeros((*fragments.face.shape, 3), np.float32)
    hit = fragments.hit
    face, bary = fragments.face[hit], fragments.bary[hit]
    uv = np.einsum("nk,nkc->nc", bary, mesh.uv[face])
    value = np.ones((len(face), 3), np.float32)
    for row, material in enumerate(mesh.materials):
        at = mesh.material[face] == row
        if not at.any():
            continue
        value[at] = np.float32(material.colour[:3])
        if material.image is not None:
            value[at] *= linear(sample(material.image[..., :3], uv[at]) / 255)
    if mesh.colors is not None:
        value *= np.einsum("nk,nkc->nc", bary, mesh.colors[mesh.faces[face]])
    out[hit] = value
    return out


def sample(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8 at (N, 2) uv (v up, repeating) -> (N, C) float32, bilinear."""
    h, w = image.shape[:2]
    x, y = (uv[:, 0] % 1) * w - 0.5, (1 - uv[:, 1]) % 1 * h - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None].astype(np.float32), (y - y0)[:, None].astype(np.float32)
    at = lambda j, i: image[j % h, i % w].astype(np.float32)  # noqa: E731
    return ((at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx) * (1 - fy)
            + (at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx) * fy)


def linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] -> linear."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def shrink(image: np.ndarray, s: int) -> np.ndarray:
    """Box average over s x s pixels of (H, W, C) or (H, W)."""
    if s == 1:
        return image.astype(np.float32)
    h, w = image.shape[0] // s, image.shape[1] // s
    return cv2.resize(image.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)


def holes_cut(mesh: Mesh, edge_m: float = 0.006) -> Mesh:
    """Faces whose texture is transparent are taken away (hair cards, lashes), so that geometry is what is seen.

    Faces over which the texture's alpha passes 0.5 are divided until their edges are below `edge_m`; then each is kept or dropped
    by the alpha at its middle.
    """
    holed = np.array([m.cut and m.image is not None and m.image.shape[2] == 4 for m in mesh.materials])
    if not holed[mesh.material].any():
        return mesh
    rows = np.nonzero(holed[mesh.material])[0]
    share = _clear_share(mesh, rows)
    mixed = np.zeros(len(mesh.faces), bool)
    mixed[rows[(share > 0) & (share < 1)]] = True
    gone = np.zeros(len(mesh.faces), bool)
    gone[rows[share >= 1]] = True
    if not (mixed | gone).any():
        return mesh
    rest, part = mesh.kept(~mixed & ~gone), mesh.kept(mixed)
    for _ in range(5):
        corner = part.vertices[part.faces]
        longest = np.linalg.norm(corner - np.roll(corner, -1, 1), axis=2).max(1)
        if not (longest > edge_m).any():
            break
        part = _divided(part, longest > edge_m)
    alpha = np.zeros(len(part.faces), np.float32)
    for row, material in enumerate(part.materials):
        at = part.material == row
        if holed[row] and at.any():
            alpha[at] = sample(material.image[..., 3:], part.uv[at].mean(1))[:, 0] / 255 * material.colour[3]
    dropped = alpha < 0.5
    cut, part = part, part.kept(~dropped)
    merged = replace(
        part, faces=np.concatenate([rest.faces, part.faces]), normals=np.concatenate([rest.normals, part.normals]),
        uv=np.concatenate([rest.uv, part.uv]), material=np.concatenate([rest.material, part.material]))
    away = float(_areas(mesh)[gone].sum() + _areas(cut)[dropped].sum()) / max(float(_areas(mesh)[rows].sum()), 1e-12)
    return merged.noted(f"transparency: {away:.0%} of the transparent parts was cut away")


def _areas(mesh: Mesh) -> np.ndarray:
    corner = mesh.vertices[mesh.faces]
    return np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)


def _clear_share(mesh: Mesh, rows: np.ndarray) -> np.ndarray:
    """(N,) share of see-through texels (alpha below 0.5) in the box round each face's texture coordinates, one texel wider."""
    out = np.zeros(len(rows))
    for number, material in enumerate(mesh.materials):
        mine = np.nonzero(mesh.material[rows] == number)[0]
        if material.image is None or not len(mine):
            continue
        clear = material.image[..., 3] * material.colour[3] < 127.5
        h, w = clear.shape
        table = np.zeros((h + 1, w + 1), np.int64)
        table[1:, 1:] = clear.cumsum(0).cumsum(1)
        uv = mesh.uv[rows[mine]].astype(np.float64)
        uv = uv - np.floor(uv.mean(1, keepdims=True))
        low, high = uv.min(1), uv.max(1)
        x0, x1 = np.floor(low[:, 0] * w).astype(int) - 1, np.ceil(high[:, 0] * w).astype(int) + 1
        y0, y1 = np.floor((1 - high[:, 1]) * h).astype(int) - 1, np.ceil((1 - low[:, 1]) * h).astype(int) + 1
        beyond = (low.min(1) < 0) | (high.max(1) > 1)                  # across the picture's border: decided after division
        x0, x1, y0, y1 = (np.clip(a, 0, n) for a, n in ((x0, w), (x1, w), (y0, h), (y1, h)))
        count = table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]
        share = count / np.maximum((x1 - x0) * (y1 - y0), 1)
        out[mine] = np.where(beyond, 0.5 * clear.any(), share)
    return out


def _divided(mesh: Mesh, rows: np.ndarray) -> Mesh:
    """Some faces divided into four."""
    keep, cut = mesh.kept(~rows), mesh.kept(rows)
    f, n = cut.faces, len(mesh.vertices)
    edges = np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])
    middle = mesh.vertices[edges].mean(1)
    k = len(f)
    m = np.arange(3 * k).reshape(3, k).T + n                            # (k, 3): middles of edges 01, 12, 20
    faces = np.concatenate([np.stack(t, 1) for t in (
        (f[:, 0], m[:, 0], m[:, 2]), (m[:, 0], f[:, 1], m[:, 1]), (m[:, 2], m[:, 1], f[:, 2]), (m[:, 0], m[:, 1], m[:, 2]))])

    def corners(a: np.ndarray) -> np.ndarray:
        h = (a + np.roll(a, -1, 1)) / 2
        return np.concatenate([np.stack(t, 1) for t in (
            (a[:, 0], h[:, 0], h[:, 2]), (h[:, 0], a[:, 1], h[:, 1]), (h[:, 2], h[:, 1], a[:, 2]), (h[:, 0], h[:, 1], h[:, 2]))])

    colors = None if mesh.colors is None else np.concatenate([mesh.colors, mesh.colors[edges].mean(1)])
    part = None if mesh.part is None else np.concatenate([mesh.part, mesh.part[edges[:, 0]]])
    return replace(
        mesh, vertices=np.concatenate([mesh.vertices, middle]), faces=np.concatenate([keep.faces, faces]).astype(np.int32),
        normals=np.concatenate([keep.normals, corners(cut.normals)]), uv=np.concatenate([keep.uv, corners(cut.uv)]),
        material=np.concatenate([keep.material, np.tile(cut.material, 4)]), colors=colors, part=part)
