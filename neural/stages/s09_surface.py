"""s09: a watertight mesh from oriented points (screened Poisson), cleaned and decimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from ..contract.errors import SurfaceError
from ..geometry.decimate import decimate
from ..geometry.normals import vertex_normals
from ..geometry.part_cut import separate_parts
from ..geometry.poisson import screened_poisson
from ..geometry.repair import closed_manifold
from ..geometry.sampling import thin_out
from ..geometry.stitch import stitch
from ..geometry.topology import face_components, signed_volume
from .s02_person import Person
from .s03_body import Body
from .s06_depth import Depths
from .s07_points import FRONT, Points

NAME = "s09_surface"

FEWEST_POINTS = 200   # below this no octree of any depth gives a person
MOST_TRIANGLES = 8    # times the budget: what Poisson may make before decimation
SAMPLES_PER_CELL = 0.6  # side of the thinning voxel in octree cells: about three points a cell stay


@dataclass(frozen=True)
class Surface:
    """vertices (V, 3) float32 camera metres; faces (F, 3) int32, outward; normals (V, 3) float32 unit.

    watertight  every edge has exactly two faces; one component.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    watertight: bool
    method: str = "screened-poisson"


def solve_surface(person: Person, body: Body, depths: Depths, points: Points, context: Context) -> Surface:
    """One closed mesh within the preset's triangle budget (2K2K's "mesh generation": screened Poisson, largest piece).

    options.stitch takes the two depth maps as grids instead and sews them along the silhouette.
    Raises SurfaceError when there is too little to build from or nothing closed comes out; EngineError when
    pymeshlab cannot be loaded.
    """
    context.step(0, 4)
    if context.options.stitch:
        vertices, faces = _stitched(person, depths)
        method = "height-field-stitch"
    else:
        vertices, faces = _poisson(person, points, context)
        method = "screened-poisson"
    context.step(2, 4)
    if not len(faces):
        raise SurfaceError("surface.empty", "No surface could be built from this photo.",
                           "Check the mask of the person, or try another photo.")
    pieces = face_components(faces, len(vertices))[0]
    vertices, faces, good = closed_manifold(vertices, faces)
    if not len(faces):
        raise SurfaceError("surface.empty", "No closed surface could be built from this photo.",
                           "Check the mask of the person, or try another photo.")
    if pieces > 1:
        context.warn("surface.floaters", f"{pieces - 1} loose piece(s) of the surface were removed.")
    context.step(3, 4)
    vertices, faces, good = decimate(vertices, faces, context.sizes.faces)
    if signed_volume(vertices, faces) < 0:
        faces = faces[:, ::-1].copy()
    if good and body is not None:                     # an arm that touches the waist must come off it in other poses
        context.check()
        vertices, faces, cut = separate_parts(vertices, faces, body.vertices, body.faces, body.weights,
                                              body.rest_vertices, body.camera_from_rest)
        method += "+part-cut" if cut else ""
    if not good:
        context.warn("surface.open", "The surface could not be closed everywhere.")
    vertices = vertices.astype(np.float32)
    context.step(4, 4)
    return Surface(vertices, faces.astype(np.int32), vertex_normals(vertices, faces), good, method)


def _poisson(person: Person, points: Points, context: Context) -> tuple[np.ndarray, np.ndarray]:
    keep = np.isfinite(points.xyz).all(1) & np.isfinite(points.normals).all(1)
    xyz, normals = points.xyz[keep], points.normals[keep]
    if len(xyz) < FEWEST_POINTS:
        raise SurfaceError("surface.too-few-points", "Too little of the person is visible to build a surface.",
                           "Use a photo in which the person is larger, or correct the mask.")
    depth = _octree_depth(xyz, normals, points.kind[keep], person.camera, context)
    cell = float((xyz.max(0) - xyz.min(0)).max()) * 1.1 / 2 ** depth
    chosen = thin_out(xyz, normals, cell * SAMPLES_PER_CELL)
    context.step(1, 4)
    return screened_poisson(xyz[chosen], normals[chosen], depth)


def _octree_depth(xyz, normals, kind, camera, context: Context) -> int:
    """The preset's depth, less where it would make far more triangles than are kept (a half-length portrait fills
    the octree's cube; a standing figure does not)."""
    side = float((xyz.max(0) - xyz.min(0)).max())
    front = kind == FRONT                                    # a pixel's share of the surface is z^2 / (fx fy |n_z|)
    share = xyz[front, 2].astype(np.float64) ** 2 / np.maximum(np.abs(normals[front, 2]), 0.2)
    area = 2 * float(share.sum()) / (camera.fx * camera.fy)
    depth = context.sizes.poisson_depth
    while depth > 6 and 2 * area / (side * 1.1 / 2 ** depth) ** 2 > MOST_TRIANGLES * context.sizes.faces:
        depth -= 1
    return depth


def _stitched(person: Person, depths: Depths) -> tuple[np.ndarray, np.ndarray]:
    if int(depths.mask.sum()) < FEWEST_POINTS:
        raise SurfaceError("surface.too-few-points", "Too little of the person is visible to build a surface.",
                           "Use a photo in which the person is larger, or correct the mask.")
    return stitch(depths.front, depths.back, depths.mask, person.camera)
