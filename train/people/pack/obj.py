"""Wavefront .obj as MakeHuman writes it: vertices, texture coordinates, polygons and named groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural.contract.errors import OptionError


@dataclass(frozen=True)
class Obj:
    """vertices (V, 3) and uv (U, 2) float64 as written; faces, uv_faces (F, 4) int64, fourth column -1 for a triangle, uv -1 where a
    corner has no texture coordinate; group (F,) int64 row of groups. cut: polygons of more than four corners that were cut up."""

    vertices: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    uv_faces: np.ndarray
    group: np.ndarray
    groups: tuple[str, ...]
    cut: int


def read(path: Path) -> Obj:
    """Reads a file; OptionError "option.obj" with the line when it is broken. Larger polygons are cut into a fan of quads and a triangle."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise _broken(path, f"could not be read ({error.strerror})") from None
    vertices, uv, faces, uv_faces, owner, groups, group, cut = [], [], [], [], [], {"": 0}, 0, 0
    for number, line in enumerate(lines, 1):
        words = line.split("#", 1)[0].split()
        try:
            if not words:
                continue
            if words[0] == "v":
                vertices.append([float(x) for x in words[1:4]])
            elif words[0] == "vt":
                uv.append([float(x) for x in words[1:3]])
            elif words[0] == "g":
                group = groups.setdefault(" ".join(words[1:]), len(groups))
            elif words[0] == "f":
                corners = [_corner(w, len(vertices), len(uv)) for w in words[1:]]
                pieces = _pieces(corners)
                cut += len(pieces) > 1
                for piece in pieces:
                    faces.append([c[0] for c in piece] + [-1] * (4 - len(piece)))
                    uv_faces.append([c[1] for c in piece] + [-1] * (4 - len(piece)))
                    owner.append(group)
        except (ValueError, IndexError):
            raise _broken(path, f"is broken in line {number}: '{line.strip()[:60]}'") from None
    if not vertices or not faces or any(len(v) != 3 for v in vertices) or any(len(t) != 2 for t in uv):
        raise _broken(path, "holds no faces or incomplete vertices")
    table = lambda rows, width, kind: np.array(rows, kind).reshape(-1, width)
    return Obj(table(vertices, 3, np.float64), table(uv, 2, np.float64), table(faces, 4, np.int64), table(uv_faces, 4, np.int64),
               np.array(owner, np.int64), tuple(groups), cut)


def _corner(word: str, vertices: int, uv: int) -> tuple[int, int]:
    parts = word.split("/")
    v = _index(int(parts[0]), vertices)
    return v, _index(int(parts[1]), uv) if len(parts) > 1 and parts[1] else -1


def _index(k: int, count: int) -> int:
    k = k - 1 if k > 0 else count + k
    if not 0 <= k < count:
        raise ValueError
    return k


def _pieces(corners: list) -> list[list]:
    if len(corners) < 3:
        raise ValueError
    out, at = [], 1
    while at < len(corners) - 1:
        out.append([corners[0], *corners[at:at + 3]])
        at += 2
    return out


def _broken(path: Path, what: str) -> OptionError:
    return OptionError("option.obj", f"The mesh '{Path(path).name}' {what}.",
                       "Export it again as a Wavefront .obj with faces and texture coordinates.")
