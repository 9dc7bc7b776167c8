"""UV unwrapping: what a camera sees becomes charts in the camera's own projection, only the rest is cut by xatlas.

A texel of a projected chart is a (scaled) photo pixel, so the front is sampled without stretch and without a seam
across face or chest; and the slow general method (8 s for 60 k faces) runs on a fifth of the faces only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xatlas
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..contract.frames import Camera
from .pack import pack
from .raster import rasterize

FRONT, BACK, REST = 0, 1, 2


@dataclass(frozen=True)
class UnwrapConfig:
    """Angles as cosines between face normal and line of sight; lengths in texels."""

    front_cos: float = 0.20     # flatter faces than this would be stretched more than 5 times: left to xatlas
    back_cos: float = 0.30
    layers: int = 2             # projected layers on each side (an arm in front of the chest needs two)
    small: int = 40             # projected charts with fewer faces are left to xatlas
    back_density: float = 0.8   # texels a metre relative to the front
    rest_density: float = 1.0


@dataclass(frozen=True)
class Unwrap:
    """uv (U, 2) float32 in [0, 1], v up; faces (F, 3) int32 into uv; kind (F,) uint8 FRONT/BACK/REST;

    chart (F,) int32 number of the chart; vertex (U,) int32: the mesh vertex of each uv point.
    """

    uv: np.ndarray
    faces: np.ndarray
    kind: np.ndarray
    chart: np.ndarray
    vertex: np.ndarray


def unwrap(vertices: np.ndarray, faces: np.ndarray, camera: Camera, atlas: int, device: str = "cpu",
           config: UnwrapConfig = UnwrapConfig()) -> Unwrap:
    """Unwrap a mesh (V, 3) metres, camera frame, (F, 3) outward, for a square atlas of `atlas` texels.

    No two charts overlap, no face has zero area, all uv lie within [0, 1]. Deterministic.
    """
    v = np.asarray(vertices, np.float64)
    f = np.asarray(faces, np.int64)
    kind, layer = _classify(v, f, camera, config, device)
    chart = _components(f, kind.astype(np.int64) * 8 + layer)
    size = np.bincount(chart)
    kind[(size[chart] < config.small) & (kind != REST)] = REST
    flat = _project(v, camera)
    points, corner, owner, label = [], np.zeros((len(f), 3), np.int64), [], np.zeros(len(f), np.int64)
    total = charts = 0
    for which, density in ((FRONT, 1.0), (BACK, config.back_density)):
        rows = np.nonzero(kind == which)[0]
        if not len(rows):
            continue
        ids = np.unique(chart[rows], return_inverse=True)[1]
        key, index = np.unique(f[rows] * (ids.max() + 1) + ids[:, None], return_inverse=True)
        who = key // (ids.max() + 1)
        points.append(flat[who] * (density if which == FRONT else -density, -density)), owner.append(who)
        corner[rows], label[rows] = index.reshape(-1, 3) + total, ids + charts
        total, charts = total + len(who), charts + int(ids.max()) + 1
    rows = np.nonzero(kind == REST)[0]
    if len(rows):
        xy, index, who = _cut(v, f[rows])
        points.append(xy * config.rest_density), owner.append(who)
        corner[rows], label[rows] = index + total, _components(index, np.zeros(len(rows), np.int64)) + charts
    uv, corner, who = _repair(v, f, np.concatenate(points), corner, np.concatenate(owner), label)
    label = np.unique(label, return_inverse=True)[1]
    upright = np.zeros(label.max() + 1, bool)
    upright[label[kind == FRONT]] = True
    uv = pack(uv, corner, label, upright, atlas)
    return Unwrap(uv.astype(np.float32), corner.astype(np.int32), kind, label.astype(np.int32), who.astype(np.int32))


def face_neighbours(faces: np.ndarray) -> np.ndarray:
    """(F, 3) -> (E, 2) int64 pairs of faces that share an edge (each pair once; edges with two faces only)."""
    e = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1).astype(np.int64)
    who = np.tile(np.arange(len(faces)), 3)
    key = e[:, 0] * (int(faces.max()) + 1) + e[:, 1]
    order = np.argsort(key, kind="stable")
    key, who = key[order], who[order]
    same = np.nonzero(key[1:] == key[:-1])[0]
    return np.stack([who[same], who[same + 1]], 1)


def _components(faces, label):
    """(F,) number of the edge-connected component of equal label."""
    pair = face_neighbours(faces)
    pair = pair[label[pair[:, 0]] == label[pair[:, 1]]]
    n = len(faces)
    return connected_components(coo_matrix((np.ones(len(pair)), pair.T), shape=(n, n)), directed=False)[1]


def _classify(v, f, camera, config, device):
    """kind (F,) and layer (F,): which faces the camera's projection flattens well and without overlap."""
    a, b, c = v[f[:, 0]], v[f[:, 1]], v[f[:, 2]]
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
    centre = (a + b + c) / 3
    cos = -(normal * centre).sum(1) / np.linalg.norm(centre, axis=1)
    kind, layer = np.full(len(f), REST, np.uint8), np.zeros(len(f), np.int64)
    pair = face_neighbours(f)
    view = _canvas(v, camera, int(np.clip(5 * np.sqrt(len(f)), 300, 2000)))
    for which, good in ((FRONT, cos > config.front_cos), (BACK, cos < -config.back_cos)):
        good = _smooth(good, (cos if which == FRONT else -cos) > 0.1, pair)
        for number in range(config.layers):
            rows = np.nonzero(good & (kind == REST))[0]
            if len(rows) < config.small:
                break
            rows = rows[_uncovered(v, f[rows], centre[rows], view, which == BACK, device)]
            kind[rows], layer[rows] = which, number
    return kind, layer


def _canvas(v, camera, side):
    """A camera of the same projection that shows all of the mesh on `side` pixels (a face covers about ten)."""
    pixels = camera.project(v)
    low, high = pixels.min(0), pixels.max(0)
    scale = side / (high - low).max()
    size = np.ceil((high - low) * scale).astype(int) + 2
    return Camera(int(size[0]), int(size[1]), camera.fx * scale, camera.fy * scale,
                  (camera.cx - low[0]) * scale + 1, (camera.cy - low[1]) * scale + 1)


def _smooth(good, allowed, pair):
    """Majority vote among the neighbours, so that charts have even borders."""
    for _ in range(4):
        votes = np.bincount(pair[:, 0], good[pair[:, 1]], len(good)) + np.bincount(pair[:, 1], good[pair[:, 0]], len(good))
        good = np.where(votes >= 2, True, np.where(votes == 0, False, good)) & allowed
    return good


def _uncovered(v, f, centre, view, back, device):
    """(len(f),) bool: a set of faces of which no two overlap in the picture; the nearest (back: farthest) are kept."""
    alive = np.ones(len(f), bool)
    rows = np.arange(len(f))                              # the faces that may still overlap with another
    pixels = view.project(v)
    for number in range(8):
        top = rasterize(v, f[rows], view, farthest=back, device=device)
        low = rasterize(v, f[rows], view, farthest=not back, device=device)
        over = (top.face != low.face) & top.hit & (np.abs(top.depth - low.depth) > 1e-6)
        dead = np.unique(low.face[over])
        if not len(dead):
            break
        if number == 0:                                   # slivers between pixel centres: judged by their middle
            x, y = np.floor(view.project(centre[rows])).astype(int).T
            hidden = (top.depth[y, x] - centre[rows, 2]) * (-1 if not back else 1) > 0.004
            dead = np.union1d(dead, np.nonzero(hidden)[0])
        alive[rows[dead]] = False
        rows = np.nonzero(alive)[0]
        rows = rows[_touches(pixels[f[rows]], over)]      # elsewhere nothing overlapped, and nothing was added
    return alive


def _touches(corners, marked):
    """(N,) bool: the bounding box of the triangle (N, 3, 2 pixels) holds a marked pixel."""
    total = np.zeros((marked.shape[0] + 1, marked.shape[1] + 1), np.int64)
    total[1:, 1:] = marked.cumsum(0).cumsum(1)
    limit = np.array(marked.shape[::-1])
    x0, y0 = np.clip(np.floor(corners.min(1)).astype(int), 0, limit).T
    x1, y1 = np.clip(np.ceil(corners.max(1)).astype(int) + 1, 0, limit).T
    return total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0] > 0


def _project(v, camera):
    """(V, 2) positions in the picture, in metres at the mesh's mean depth, y down."""
    scale = np.median(v[:, 2]) / np.array([camera.fx, camera.fy])
    return (camera.project(v) - (camera.cx, camera.cy)) * scale


def _cut(v, f):
    """xatlas charts of some faces -> (uv metres (U, 2), faces (F, 3) into uv, mesh vertex (U,))."""
    used, index = np.unique(f, return_inverse=True)
    work = xatlas.Atlas()
    work.add_mesh(v[used].astype(np.float32), index.reshape(-1, 3).astype(np.uint32))
    pack = xatlas.PackOptions()
    pack.texels_per_unit, pack.padding, pack.rotate_charts = 1000.0, 2, False
    chart = xatlas.ChartOptions()
    chart.max_cost = 4.0                              # fewer, larger charts than the default 2
    work.generate(chart, pack)
    mapping, corner, uv = work.get_mesh(0)
    return uv.astype(np.float64) * (work.width / 1000, work.height / 1000), corner.astype(np.int64), used[mapping]


def _repair(v, f, uv, corner, owner, label):
    """Faces that came out without area (slivers) or turned over get a triangle of their own: in their true shape, slivers a small one;
    modifies `label`."""
    p, q, r = uv[corner[:, 0]], uv[corner[:, 1]], uv[corner[:, 2]]
    area = 0.5 * ((q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0])
    bad = np.nonzero(area < 1e-10)[0]                 # 1e-10 m2: a hundredth of a millimetre squared
    if not len(bad):
        return uv, corner, owner
    ab, ac = v[f[bad, 1]] - v[f[bad, 0]], v[f[bad, 2]] - v[f[bad, 0]]
    long = np.maximum(np.linalg.norm(ab, axis=1), 1e-12)
    along, high = (ab * ac).sum(1) / long, np.linalg.norm(np.cross(ab, ac), axis=1) / long
    shape = np.zeros((len(bad), 3, 2))
    shape[:, 1, 0], shape[:, 2, 0], shape[:, 2, 1] = long, along, high
    shape[np.minimum(long, high) < 2e-3] = [[0, 0], [2e-3, 0], [0, 2e-3]]
    corner = corner.copy()
    corner[bad] = len(uv) + np.arange(3 * len(bad)).reshape(-1, 3)
    label[bad] = label.max() + 1 + np.arange(len(bad))
    return np.concatenate([uv, shape.reshape(-1, 2)]), corner, np.concatenate([owner, f[bad].ravel()])
