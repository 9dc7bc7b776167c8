"""From any triangle soup that is nearly a surface to a closed two-manifold: cut what is wrong, then fill the holes."""

from __future__ import annotations

import numpy as np

from .topology import compact, directed_edges, is_watertight, largest_component, split_pinches

ROUNDS = 6  # every round cuts a little and fills; in practice one or two are enough


def closed_manifold(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Largest piece, faulty faces cut away, holes filled, pinched vertices split.

    vertices (V, 3) float, faces (F, 3) int -> the same kinds and whether the result is watertight and manifold.
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    good = False
    for _ in range(ROUNDS):
        faces = _without_faults(faces, len(vertices))
        if not len(faces):
            return vertices[:0], faces.astype(np.int32), False
        vertices, faces = largest_component(vertices, faces)
        if is_watertight(faces):
            vertices, faces = split_pinches(vertices, faces)
            vertices, faces = largest_component(vertices, faces)
            good = is_watertight(faces)
            if good:
                break
        vertices, faces = fill_holes(vertices, faces.astype(np.int64))
    return vertices, faces.astype(np.int32), good


def _without_faults(faces: np.ndarray, count: int) -> np.ndarray:
    """Without degenerate and double faces, and without the faces at edges that have too many or wrongly turned faces."""
    f = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    _, first = np.unique(np.sort(f, 1), axis=0, return_index=True)
    f = f[np.sort(first)]
    edges = directed_edges(f)
    key = edges[:, 0] * np.int64(count) + edges[:, 1]
    _, inverse, times = np.unique(key, return_inverse=True, return_counts=True)
    bad = (times[inverse] > 1).reshape(3, -1).any(0)        # the same direction twice: too many faces, or one flipped
    return f[~bad]


def boundary_loops(faces: np.ndarray, count: int) -> list[np.ndarray]:
    """Closed loops of boundary vertices, in the direction in which new faces must run through them."""
    edges = directed_edges(faces)
    key, twin = edges[:, 0] * np.int64(count) + edges[:, 1], edges[:, 1] * np.int64(count) + edges[:, 0]
    border = edges[~np.isin(key, twin)]
    follow: dict[int, list[int]] = {}
    for a, b in border:
        follow.setdefault(int(b), []).append(int(a))        # reversed: the twin that is missing
    loops = []
    while follow:
        start = next(iter(follow))
        path, at = [start], {start: 0}
        while True:
            here = path[-1]
            ahead = follow.get(here)
            if not ahead:
                break                                       # not closed: an inconsistent border; left for the next cut
            step = ahead.pop()
            if not ahead:
                del follow[here]
            if step in at:                                  # closed a (sub-)loop
                loops.append(np.array(path[at[step]:]))
                for k in path[at[step] + 1:]:
                    del at[k]
                path = path[: at[step] + 1]
                if len(path) == 1 and step not in follow:
                    break
            else:
                at[step] = len(path)
                path.append(step)
        follow.pop(start, None)
    return loops


def fill_holes(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Close every boundary loop: one triangle, or a fan round the loop's centre."""
    new_faces, new_vertices, count = [faces], [vertices], len(vertices)
    for loop in boundary_loops(faces, len(vertices)):
        if len(loop) < 3:
            continue
        if len(loop) == 3:
            new_faces.append(loop[None])
            continue
        new_vertices.append(vertices[loop].mean(0, keepdims=True))
        new_faces.append(np.stack([loop, np.roll(loop, -1), np.full(len(loop), count)], 1))
        count += 1
    return compact(np.concatenate(new_vertices), np.concatenate(new_faces))
