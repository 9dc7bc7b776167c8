"""Pieces of cloth on the mean body: cut by planes, lengthened, smoothed, lifted off the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neural.geometry.closest import closest_points
from neural.geometry.normals import vertex_normals


@dataclass(frozen=True)
class Sheet:
    """C vertices that hang on base vertices: ref (C, 3) int64, mix (C, 3) rows sum to 1; place (C, 3) metres where they shall lie on the mean body
    at rest; faces (F, 4) outward, -1 in the fourth column of a triangle."""

    ref: np.ndarray
    mix: np.ndarray
    place: np.ndarray
    faces: np.ndarray

    def triangles(self) -> np.ndarray:
        quad = self.faces[:, 3] >= 0
        return np.concatenate([self.faces[:, :3], self.faces[quad][:, [0, 2, 3]]])

    def normals(self) -> np.ndarray:
        return vertex_normals(self.place.astype(np.float32), self.triangles()).astype(np.float64)

    def compact(self) -> "Sheet":
        """Without vertices that no face uses."""
        used = np.unique(self.faces[self.faces >= 0])
        new = np.full(len(self.place), -1)
        new[used] = np.arange(len(used))
        return Sheet(self.ref[used], self.mix[used], self.place[used], np.where(self.faces >= 0, new[self.faces], -1))

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Directed edges (E, 2) as the faces go round, and (E,) bool whether no other face has the edge."""
        out = []
        for k in range(4):
            a, b = self.faces[:, k], self.faces[:, (k + 1) % 4]
            third = self.faces[:, 3] < 0
            b = np.where((k == 2) & third, self.faces[:, 0], b)
            keep = (a >= 0) & ~((k == 3) & third)
            out.append(np.stack([a[keep], b[keep]], 1))
        e = np.concatenate(out)
        _, inverse, count = np.unique(np.sort(e, 1), axis=0, return_inverse=True, return_counts=True)
        return e, count[inverse.reshape(-1)] == 1


def clip(sheet: Sheet, value: np.ndarray) -> Sheet:
    """The part where value (C,) >= 0, with new vertices exactly on the cut."""
    sign = value >= 0
    inside = np.where(sheet.faces >= 0, sign[sheet.faces], True).all(1)
    some = np.where(sheet.faces >= 0, sign[sheet.faces], False).any(1)
    faces = [tuple(f) for f in sheet.faces[inside]]
    ref, mix, place, made = list(sheet.ref), list(sheet.mix), list(sheet.place), {}

    def cut(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in made:
            a, b = key
            t = value[a] / (value[a] - value[b])
            made[key] = len(ref)
            place.append((1 - t) * sheet.place[a] + t * sheet.place[b])
            r, m = _strongest(np.concatenate([sheet.ref[a], sheet.ref[b]]), np.concatenate([(1 - t) * sheet.mix[a], t * sheet.mix[b]]))
            ref.append(r), mix.append(m)
        return made[key]

    for face in sheet.faces[some & ~inside]:
        corner = [int(c) for c in face if c >= 0]
        out: list[int] = []
        for a, b in zip(corner, corner[1:] + corner[:1]):
            if sign[a]:
                out.append(a)
            if sign[a] != sign[b]:
                out.append(cut(a, b))
        if len(out) == 3:
            faces.append((*out, -1))
        elif len(out) >= 4:
            faces.append(tuple(out[:4]))
            if len(out) == 5:
                faces.append((out[0], out[3], out[4], -1))
    return Sheet(np.array(ref), np.array(mix), np.array(place), np.array(faces, np.int64).reshape(-1, 4)).compact()


def _strongest(ref: np.ndarray, mix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most three different base vertices of a mixture."""
    unique, inverse = np.unique(ref, return_inverse=True)
    total = np.bincount(inverse, mix)
    order = np.argsort(-total)[:3]
    order = np.resize(order, 3) if len(order) < 3 else order
    weight = np.where(np.arange(3) < len(unique), total[order], 0.0)
    return unique[order], weight / weight.sum()


def lengthen(sheet: Sheet, at: np.ndarray, rows: int, place) -> Sheet:
    """New rows of faces hung on the open edges whose vertices are in `at` (C,) bool. place(origin (N, 3), part
    0 … 1) -> (N, 3) says where they go."""
    e, open_ = sheet.edges()
    rim = e[open_ & at[e].all(1)]
    ids, inverse = np.unique(rim, return_inverse=True)
    inverse = inverse.reshape(-1, 2)
    ref, mix, where, faces, count = [sheet.ref], [sheet.mix], [sheet.place], [sheet.faces], len(sheet.place)
    last = ids
    for r in range(1, rows + 1):
        now = count + np.arange(len(ids))
        ref.append(sheet.ref[ids]), mix.append(sheet.mix[ids]), where.append(place(sheet.place[ids], r / rows))
        a, b = inverse.T
        faces.append(np.stack([last[b], last[a], now[a], now[b]], 1))
        last, count = now, count + len(ids)
    return Sheet(*map(np.concatenate, (ref, mix, where, faces)))


def smooth(sheet: Sheet, rounds: int, fixed: np.ndarray | None = None) -> Sheet:
    """Places averaged with their neighbours'; open edges only along themselves; fixed (C,) bool stay."""
    e, open_ = sheet.edges()
    both = np.concatenate([e, e[:, ::-1]])
    rim = np.zeros(len(sheet.place), bool)
    rim[e[open_]] = True
    keep = ~rim[both[:, 0]] | np.concatenate([open_, open_])
    both = both[keep]
    count = np.maximum(np.bincount(both[:, 0], minlength=len(sheet.place)), 1)[:, None]
    place = sheet.place
    for _ in range(rounds):
        mean = np.zeros_like(place)
        np.add.at(mean, both[:, 0], place[both[:, 1]])
        new = 0.5 * place + 0.5 * mean / count
        place = new if fixed is None else np.where(fixed[:, None], place, new)
    return replace(sheet, place=place)


def lift(sheet: Sheet, distance: np.ndarray, skin: np.ndarray, triangles: np.ndarray) -> Sheet:
    """Moved along its normals by `distance` (C,), and at least so far (at most 15 mm) from the skin (N, 3), triangles (T, 3)."""
    place = sheet.place + sheet.normals() * distance[:, None]
    used = np.unique(triangles)
    normal = np.zeros((len(skin), 3))
    normal[used] = vertex_normals(skin.astype(np.float32), triangles)[used]
    for _ in range(2):
        found = closest_points(place, skin, triangles, sheet.normals(), 0.03)
        out = found.interpolate(normal, triangles)
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
        short = np.minimum(distance, 0.015) - ((place - found.point) * out).sum(1)
        place = place + np.maximum(short, 0)[:, None] * out
    return replace(sheet, place=place)


def attached(place: np.ndarray, faces: np.ndarray, skin: np.ndarray, triangles: np.ndarray) -> Sheet:
    """Any mesh, hung on the nearest skin."""
    found = closest_points(place, skin, triangles)
    return Sheet(triangles[found.face], found.bary, place, faces)


def grid(rows: int, columns: int, closed: bool = False) -> np.ndarray:
    """Quads of rows x columns vertices (numbered row by row); closed: the last column meets the first."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    at = lambda i, j: (i * columns + j % columns).ravel()
    return np.stack([at(r, c), at(r + 1, c), at(r + 1, c + 1), at(r, c + 1)], 1)
