"""What a reader gives: triangles with materials, in metres, y up, facing +z."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from neural.geometry.normals import vertex_normals


@dataclass(frozen=True)
class Material:
    """colour (4,) float32 linear RGBA factor; image (H, W, 3 or 4) uint8 sRGB or None; cut: alpha below 0.5 is a hole."""

    name: str = "none"
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    image: np.ndarray | None = None
    cut: bool = False


@dataclass(frozen=True)
class Mesh:
    """V vertices, F triangles, U texture coordinates.

    vertices  (V, 3) float64, metres, y up, facing +z, counter-clockwise faces look outward.
    faces     (F, 3) int32.
    normals   (F, 3, 3) float32 shading normal of each corner.
    uv        (F, 3, 2) float32 of each corner, v up; 0 where there is none.
    colors    (V, 3) float32 linear vertex colours, or None.
    part      (V,) int16 SMPL joint whose body part the vertex belongs to, -1 where the file does not say; or None.
    material  (F,) int32 row of `materials`.
    notes     what had to be done to the file, plain sentences (codes first: "n-gons: ...").
    from_file (4, 4) from the file's own axes and units to this mesh's frame (for joints that come with the file).
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: tuple[Material, ...]
    colors: np.ndarray | None = None
    part: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())
    from_file: np.ndarray = field(default_factory=lambda: np.eye(4))

    @property
    def textured(self) -> bool:
        """True when some face shows an image or vertex colours."""
        return self.colors is not None or any(m.image is not None for m in self.materials)

    def noted(self, *notes: str) -> "Mesh":
        return replace(self, notes=(*self.notes, *notes))

    def moved(self, matrix: np.ndarray) -> "Mesh":
        """Under a (4, 4) similarity or rotation; a mirroring one turns the faces over."""
        linear = matrix[:3, :3]
        scale = np.cbrt(abs(np.linalg.det(linear)))
        normals = (self.normals @ (linear / scale).T).astype(np.float32)
        mesh = replace(self, vertices=self.vertices @ linear.T + matrix[:3, 3], normals=normals,
                       from_file=matrix @ self.from_file)
        return mesh.turned_over(False) if np.linalg.det(linear) < 0 else mesh

    def turned_over(self, normals_too: bool = True) -> "Mesh":
        """Every face reversed."""
        return replace(self, faces=self.faces[:, ::-1].copy(), uv=self.uv[:, ::-1].copy(),
                       normals=self.normals[:, ::-1] * np.float32(-1 if normals_too else 1))

    def kept(self, rows: np.ndarray) -> "Mesh":
        """Only some faces ((F,) bool or indices); vertices stay."""
        return replace(self, faces=self.faces[rows], normals=self.normals[rows], uv=self.uv[rows],
                       material=self.material[rows])


def smooth_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3, 3) float32: area-weighted vertex normals; vertices at the same place count as one (UV seams)."""
    size = float(np.ptp(vertices, axis=0).max()) or 1.0
    key = np.round((vertices - vertices.min(0)) / size * 1e6).astype(np.int64)
    _, weld = np.unique(key, axis=0, return_inverse=True)
    weld = weld.reshape(-1)
    first = np.zeros((weld.max() + 1, 3))
    first[weld] = vertices
    return vertex_normals(first, weld[faces])[weld[faces]]


def simple_mesh(vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray | None = None) -> Mesh:
    """A mesh without texture, from plain arrays."""
    faces = np.asarray(faces, np.int32)
    vertices = np.asarray(vertices, np.float64)
    return Mesh(vertices, faces, smooth_normals(vertices, faces), np.zeros((len(faces), 3, 2), np.float32),
                np.zeros(len(faces), np.int32), (Material(),), colors)
