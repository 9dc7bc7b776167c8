"""Parts of the body that touch in the photo are glued together in a surface made from it; here they are cut apart.

Faces that would be torn when the surface is brought to the rest pose (they bridge from an arm to the waist) are removed, and
the slits are closed on either side by the triangulation of least area *in the rest pose* (after Barequet and Sharir
1995, and Liepa 2003, §3), so that each part gets a wall of its own. No vertex is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .closest import closest_points
from .fill import mesh_edges
from .normals import vertex_normals
from .repair import boundary_loops
from .topology import compact, face_components, is_watertight, split_pinches
from .transfer import PART_OF_JOINT, bridges, transfer_weights

_LONGEST = 220   # loops with more vertices are halved first: the exact search takes the cube of their length
_FORBIDDEN = 1e3


@dataclass(frozen=True)
class CutConfig:
    torn: float = 4.0     # an edge this many times longer at rest than in the photo is torn
    least_m: float = 0.03  # ... and at least this long at rest
    again: int = 3        # rounds of binding and cutting: a cut changes the weights near it
    rounds: int = 4
    most: float = 0.10    # share of torn faces from which on the fit is not believed
    lose: float = 0.003   # share of faces: a larger piece (a foot, a hand) is never cut off


def separate_parts(vertices: np.ndarray, faces: np.ndarray, body_vertices: np.ndarray, body_faces: np.ndarray,
                   body_weights: np.ndarray, body_rest: np.ndarray, camera_from_rest: np.ndarray,
                   config: CutConfig = CutConfig()) -> tuple[np.ndarray, np.ndarray, int]:
    """Cut a closed mesh (V, 3), (F, 3) where it glues parts of the fitted body together (fields of `Body`).

    -> vertices, faces, number of faces cut; closed and in one piece, or as it was. One to two seconds a round at 60 k faces.
    """
    cut = 0
    for _ in range(config.again):
        near = closest_points(vertices, body_vertices, body_faces, vertex_normals(vertices, faces))
        apart = bridges(vertices, mesh_edges(faces), near, body_faces, body_rest)
        weights = transfer_weights(faces, near, body_faces, body_weights, PART_OF_JOINT, apart=apart).weights
        blend = np.einsum("vj,jab->vab", weights, camera_from_rest)
        ill = np.abs(np.linalg.det(blend[:, :3, :3])) < 0.05       # cannot be unposed: say nothing about it
        blend[ill] = camera_from_rest[np.argmax(weights[ill], 1)]
        rest = np.linalg.solve(blend[:, :3, :3], (vertices - blend[:, :3, 3])[..., None])[..., 0]
        vertices, faces, number = cut_parts(vertices, faces, rest, config)
        cut += number
        if not number:
            break
    return vertices, faces, cut


def torn_faces(vertices: np.ndarray, rest: np.ndarray, faces: np.ndarray, ratio: float = 4.0, least_m: float = 0.0) -> np.ndarray:
    """(F,) bool: faces with an edge `ratio` times longer in `rest` (V, 3) than in `vertices` (V, 3), and over least_m metres."""
    length = lambda p: np.linalg.norm(p[faces] - p[np.roll(faces, -1, 1)], axis=2)
    before, after = length(np.asarray(vertices, np.float64)), length(np.asarray(rest, np.float64))
    return ((after > ratio * np.maximum(before, 0.25 * before.mean())) & (after > least_m)).any(1)


def cut_parts(vertices: np.ndarray, faces: np.ndarray, rest: np.ndarray, config: CutConfig = CutConfig()
              ) -> tuple[np.ndarray, np.ndarray, int]:
    """A closed mesh (V, 3), (F, 3) and its vertices at rest (V, 3) -> vertices, faces, number of faces cut.

    The result is closed and in one piece, or the mesh comes back as it was (0 cut).
    """
    v, r = np.asarray(vertices, np.float64), np.asarray(rest, np.float64)
    best, total = np.asarray(faces, np.int64), 0
    for number in range(config.rounds):
        torn = torn_faces(v, r, best, config.torn, config.least_m)
        if not 0 < torn.sum() <= config.most * len(faces):
            break
        if number:                                                 # what is left hangs on single vertices: cut wider
            touched = np.zeros(len(v), bool)
            touched[best[torn]] = True
            wide = touched[best].any(1)
        else:
            wide = torn
        closed = _reclosed(np.concatenate([v, r], 1), best[~wide | _holds_on(best, wide, len(v), config.lose * len(faces))])
        if closed is None or len(closed[1]) < (1 - config.most - config.lose) * len(faces):
            break
        both, new = closed
        if torn_faces(both[:, :3], both[:, 3:], new, config.torn, config.least_m).sum() >= torn.sum():
            break
        v, r, best, total = both[:, :3], both[:, 3:], new, total + int(torn.sum())
    if not total:
        return vertices, faces, 0
    out, best = compact(v, best)
    return out.astype(np.asarray(vertices).dtype), best.astype(np.asarray(faces).dtype), total


def _holds_on(faces, cut, count, least) -> np.ndarray:
    """(F,) bool: faces that would be cut, but by which a piece of more than `least` faces (a foot, a hand) hangs on the rest.

    The faces beside the piece, if that is enough; else the whole patch of cut faces that it touches: where all of a forearm is
    torn, one ring of it holds nothing."""
    held = np.zeros(len(faces), bool)
    for whole in (False, True):
        left = ~cut | held
        label = np.full(len(faces), -1)
        label[left] = face_components(faces[left], count)[1]
        size = np.bincount(label[left])
        lost = np.flatnonzero(size > least)
        lost = lost[lost != np.argmax(size)]
        if not len(lost):
            break
        touched = np.zeros(count, bool)
        touched[faces[np.isin(label, lost)]] = True
        near = cut & touched[faces].any(1)
        if whole:
            patch = np.full(len(faces), -1)
            patch[cut] = face_components(faces[cut], count)[1]
            near = cut & np.isin(patch, patch[near])
        held |= near
    return held


def _reclosed(both, left):
    """The largest piece of an open mesh with its holes filled. both (V, 6): vertices and their rest places.

    -> both, faces; or None when the outcome is not closed."""
    both, left = _largest(both, left)
    new = [left]
    for loop in boundary_loops(left, len(both)):
        if len(loop) >= 3:
            new.append(least_area_fill(both[:, 3:], loop, np.concatenate(new)))
    out = np.concatenate(new)
    if not is_watertight(out):
        return None
    both, out = _largest(*split_pinches(both, out))                # cones that only touched in a vertex come apart
    return (both, out) if is_watertight(out) else None


def _largest(both, faces):
    label = face_components(faces, len(both))[1]
    return compact(both, faces[label == np.argmax(np.bincount(label))])


def least_area_fill(points: np.ndarray, loop: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Triangles (n - 2, 3) over the vertices of a loop (n,), wound along it, with the least total area (and length) in `points`;

    without a chord that is already an edge of `faces` (F, 3): an edge must not have more than two faces."""
    if len(loop) > _LONGEST:                                       # halve it at its narrowest place
        n = len(loop)
        p, i = points[loop], np.arange(n)
        apart = (i[None] - i[:, None]) % n
        gap = np.linalg.norm(p[:, None] - p[None], axis=2) + _FORBIDDEN * _edges_between(loop, faces)
        gap[(apart < n // 4) | (apart > n - n // 4)] = np.inf
        a, b = sorted(divmod(int(np.argmin(gap)), n))
        return np.concatenate([least_area_fill(points, loop[a:b + 1], faces),
                               least_area_fill(points, np.concatenate([loop[b:], loop[:a + 1]]), faces)])
    p, n = points[loop], len(loop)
    cost, via = _FORBIDDEN * _edges_between(loop, faces), np.zeros((n, n), np.int64)
    cost[np.arange(n - 1), np.arange(1, n)] = cost[0, n - 1] = 0   # the loop's own edges are there, of course
    for span in range(2, n):
        i = np.arange(n - span)[:, None]
        m, j = i + np.arange(1, span)[None], i + span
        area = np.linalg.norm(np.cross(p[m] - p[i], p[j] - p[i]), axis=2)
        far = np.maximum(np.linalg.norm(p[m] - p[i], axis=2), np.linalg.norm(p[j] - p[m], axis=2))
        total = cost[i, m] + cost[m, j] + area + 0.2 * far ** 2      # slivers across a gap have no area, but length
        best = np.argmin(total, 1)
        cost[i[:, 0], j[:, 0]] += total[i[:, 0], best]
        via[i[:, 0], j[:, 0]] = m[i[:, 0], best]
    triangles, todo = [], [(0, n - 1)]
    while todo:
        i, j = todo.pop()
        if j - i < 2:
            continue
        m = int(via[i, j])
        triangles.append((loop[i], loop[m], loop[j]))
        todo += [(i, m), (m, j)]
    return np.array(triangles, np.int64).reshape(-1, 3)


def _edges_between(loop: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(n, n) float: 1 where two vertices of the loop are joined by an edge of the faces."""
    n = len(loop)
    number = np.full(int(max(faces.max(), loop.max())) + 1, -1)
    number[loop] = np.arange(n)
    out = np.zeros((n, n))
    for k in range(3):
        a, b = number[faces[:, k]], number[faces[:, (k + 1) % 3]]
        both = (a >= 0) & (b >= 0)
        out[a[both], b[both]] = out[b[both], a[both]] = 1.0
    return out
