"""Everything about a true person that the measures need, made once and used for every method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural.contract.joints import JOINT

from .metrics.align import Similarity
from .metrics.closest import Surface
from .metrics.maps import VIEWS, NormalView, _TURNS, normal_view
from .metrics.outside import Outside, Samples, look_from_outside
from .readers.mesh import Mesh
from .render.picture import Shot

STANDARD_HEIGHT_M = 1.75


@dataclass(frozen=True)
class MeasureConfig:
    """Sizes of the measures; `quick` halves what costs most."""

    samples: int = 30_000
    icp_samples: int = 4_000
    directions: int = 48
    pixels: int = 384        # of each view from outside
    view: int = 512          # of normal views (ICON renders 512)
    picture: int = 768       # longer side of pictures whose colours are compared
    voxel_m: float = 0.01

    @staticmethod
    def quick() -> "MeasureConfig":
        return MeasureConfig(12_000, 1_000, 32, 256, 384, 512, 0.015)


@dataclass(frozen=True)
class Shape:
    """A surface ready to be measured, in the normalised frame (metres of a person of 1.75 m, pelvis at the origin)."""

    vertices: np.ndarray
    faces: np.ndarray
    corner_normals: np.ndarray
    outside: Outside
    samples: Samples
    surface: Surface

    @staticmethod
    def of(vertices: np.ndarray, faces: np.ndarray, corner_normals: np.ndarray, config: MeasureConfig,
           device: str = "cpu") -> "Shape":
        outside = look_from_outside(vertices, faces, config.directions, config.pixels, device)
        return Shape(vertices, faces, corner_normals, outside, outside.sample(config.samples),
                     Surface(vertices, faces[outside.seen]))

    def moved(self, move: Similarity) -> "Shape":
        """Under a similarity; what is outside stays so."""
        vertices = move(self.vertices)
        normals = (self.corner_normals @ move.rotation.T).astype(np.float32)
        return Shape(vertices, self.faces, normals, self.outside.moved(move), self.samples.moved(move),
                     Surface(vertices, self.faces[self.outside.seen]))

    def views(self, extent_m: float, config: MeasureConfig, device: str = "cpu") -> dict[str, NormalView]:
        """Normal pictures of the outside surface from four sides."""
        return {name: normal_view(self.vertices, self.faces, self.corner_normals, _TURNS[name], np.zeros(3), extent_m,
                                  config.view, device) for name in VIEWS}


@dataclass(frozen=True)
class Truth:
    """The true person: picture, joints (24, 3) camera frame and which are known, shape and views in the normalised frame.

    normalised  camera frame -> normalised frame: the camera's axes without its pitch (x right, y down, z away), pelvis at
                the origin, scaled to a person of 1.75 m.
    pelvis      (3,) camera frame; anchor says what it is.   extent_y vertical extent, metres.   extent_m of the views.
    """

    shot: Shot
    height_m: float
    joints: np.ndarray
    known: np.ndarray
    pelvis: np.ndarray
    anchor: str
    normalised: Similarity
    extent_y: float
    shape: Shape
    views: dict[str, NormalView]
    extent_m: float

    def normalise(self, points: np.ndarray, pelvis: np.ndarray | None) -> Similarity:
        """The same for a reconstruction, (N, 3) camera frame: same vertical extent, its pelvis at the origin.

        Without the true pelvis (or its own) the middles of the bounding boxes are laid together.
        """
        turn = self.normalised.rotation
        scale = self.normalised.scale * self.extent_y / extent(points @ turn.T)
        if pelvis is None or self.anchor != "pelvis":
            pelvis = middle(points @ turn.T) @ turn
        return Similarity(scale, turn, -scale * turn @ pelvis)

    def head(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) normalised -> (N,) bool: above the middle of the neck, within 30 cm of the head joint.

        Without joints: the top 13 % of the person's vertical extent.
        """
        if self.known[JOINT["neck"]] and self.known[JOINT["head"]]:
            neck, head = self.normalised(self.joints[[JOINT["neck"], JOINT["head"]]])
            up = (head - neck) / np.linalg.norm(head - neck)
            return (((points - neck) @ up) > 0.6 * np.linalg.norm(head - neck)) & (
                np.linalg.norm(points - head, axis=1) < 0.30)
        top = self.shape.samples.xyz[:, 1].min()
        return points[:, 1] < top + 0.13 * self.extent_y * self.normalised.scale


def extent(points: np.ndarray) -> float:
    return float(np.ptp(points[:, 1]))


def prepare(shot: Shot, height_m: float, joints_file: np.ndarray, known: np.ndarray, config: MeasureConfig,
            device: str = "cpu") -> Truth:
    """joints_file (24, 3) in the axes of the mesh's file."""
    mesh: Mesh = shot.mesh
    used = np.unique(mesh.faces)
    joints = joints_file @ mesh.from_file[:3, :3].T + mesh.from_file[:3, 3]
    has = bool(known[0])
    turn = upright(shot.camera_from_world)
    pelvis = joints[0] if has else middle(mesh.vertices[used] @ turn.T) @ turn
    scale = STANDARD_HEIGHT_M / height_m
    normalised = Similarity(scale, turn, -scale * turn @ pelvis)
    shape = Shape.of(normalised(mesh.vertices), mesh.faces, (mesh.normals @ turn.T).astype(np.float32), config, device)
    xyz = shape.samples.xyz
    size = float(2 * np.abs(xyz).max()) / 0.9
    outer = mesh.vertices[np.unique(mesh.faces[shape.outside.seen])]
    return Truth(shot, height_m, joints, known, pelvis, "pelvis" if has else "middle of the bounding box", normalised,
                 extent(outer @ turn.T), shape, shape.views(size, config, device), size)


def upright(camera_from_world: np.ndarray) -> np.ndarray:
    """(3, 3) that takes the camera's pitch (about its x axis) away."""
    up = camera_from_world[:3, 1]
    c, s = -up[1] / np.hypot(up[1], up[2]), -up[2] / np.hypot(up[1], up[2])
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]])


def middle(points: np.ndarray) -> np.ndarray:
    """(N, 3) -> (3,) middle of the bounding box."""
    return (points.min(0) + points.max(0)) / 2
