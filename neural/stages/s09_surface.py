"""s09: a watertight mesh from oriented points (screened Poisson), cleaned and decimated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..context import Context
from ..contract.errors import SurfaceError
from ..geometry.decimate import decimate
from ..geometry.layers import CHAIN_OF_PIECE, CHAINS
from ..geometry.normals import vertex_normals
from ..geometry.nudge import nudged
from ..geometry.opening import Opening, Shares, carry_back, open_pose, shares
from ..geometry.part_cut import separate_parts
from ..geometry.poisson_apart import screened_poisson_apart
from ..geometry.repair import closed_manifold
from ..geometry.sampling import thin_out
from ..geometry.stitch import stitch
from ..geometry.tie import tie_points
from ..geometry.topology import face_components, signed_volume
from .s02_person import Person
from .s03_body import Body
from .s06_depth import Depths
from .s07_points import FRONT, Points

NAME = "s09_surface"

FEWEST_POINTS = 200   # below this no octree of any depth gives a person
MOST_TRIANGLES = 8    # times the budget: what Poisson may make before decimation
LIMB_SHARE = 0.005    # loose pieces larger than this share of the surface are no crumbs: the person is told
SAMPLES_PER_CELL = 0.6  # side of the thinning voxel in octree cells: about three points a cell stay


@dataclass(frozen=True)
class Surface:
    """vertices (V, 3) float32 camera metres; faces (F, 3) int32, outward; normals (V, 3) float32 unit.

    watertight  every edge has exactly two faces; one component.
    bind_vertices   (V, 3) float32: the same surface with touching arms swung away, where it was solved and where skin
                    weights are to be looked up: there nothing touches that is not one. `vertices` when none were.
    bind_from_rest  (24, 4, 4) float64: the fitted body's joint transforms in that pose.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    watertight: bool
    method: str = "screened-poisson"
    bind_vertices: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    bind_from_rest: np.ndarray = field(default_factory=lambda: np.zeros((0, 4, 4)))


def solve_surface(person: Person, body: Body, depths: Depths, points: Points, context: Context) -> Surface:
    """One closed mesh within the preset's triangle budget (2K2K's "mesh generation": screened Poisson, largest piece).

    options.stitch takes the two depth maps as grids instead and sews them along the silhouette.
    Raises SurfaceError when there is too little to build from or nothing closed comes out; EngineError when
    pymeshlab cannot be loaded.
    """
    context.step(0, 4)
    opening = carried = None
    if context.options.stitch:
        vertices, faces = _stitched(person, depths)
        method = "height-field-stitch"
    else:
        opening = open_pose(body, points.opened)
        vertices, faces, carried = _poisson(person, body, points, opening, context)
        method = "screened-poisson" + (f"+opened({','.join(opening.arms)})" if opening else "") + ("+tied" if carried.tied else "")
    context.step(2, 4)
    if not len(faces):
        raise SurfaceError("surface.empty", "No surface could be built from this photo.",
                           "Check the mask of the person, or try another photo.")
    pieces, label = face_components(faces, len(vertices))
    lost = 1.0 - float(np.bincount(label).max()) / len(faces)
    vertices, faces, good = closed_manifold(vertices, faces)
    if not len(faces):
        raise SurfaceError("surface.empty", "No closed surface could be built from this photo.",
                           "Check the mask of the person, or try another photo.")
    if lost > LIMB_SHARE:
        context.warn("surface.limb-lost", f"A part that did not hang on the rest was removed ({100 * lost:.1f} % of the surface); "
                     "a hand or foot may be missing.")
    elif pieces > 1:
        context.warn("surface.floaters", f"{pieces - 1} loose piece(s) of the surface were removed.")
    context.step(3, 4)
    vertices, faces, good = decimate(vertices, faces, context.sizes.faces)
    if signed_volume(vertices, faces) < 0:
        faces = faces[:, ::-1].copy()
    if good and body is not None:                     # what touches must come off in other poses
        context.check()
        placed, posed = (opening.vertices, opening.bind_from_rest) if opening else (body.vertices, body.camera_from_rest)
        vertices, faces, cut = separate_parts(vertices, faces, placed, body.faces, body.weights, body.rest_vertices, posed)
        method += "+part-cut" if cut else ""
    bind = None
    if opening is not None:
        bind = vertices
        vertices = carry_back(opening, carried.shares, vertices, faces, 2 * carried.cell)
    if not good:
        context.warn("surface.open", "The surface could not be closed everywhere.")
    vertices = vertices.astype(np.float32)
    posed = opening.bind_from_rest if opening else np.zeros((0, 4, 4)) if body is None else body.camera_from_rest
    context.step(4, 4)
    return Surface(vertices, faces.astype(np.int32), vertex_normals(vertices, faces), good, method,
                   vertices if bind is None else bind.astype(np.float32), np.asarray(posed, np.float64))


class _Carried(NamedTuple):
    """shares: how the points came into the opened pose (None: they are where they were). cell: the octree's, metres. tied: a loose
    limb was bridged."""

    shares: Shares | None
    cell: float
    tied: bool


def _poisson(person: Person, body: Body, points: Points, opening: Opening | None, context: Context
             ) -> tuple[np.ndarray, np.ndarray, _Carried]:
    keep = np.isfinite(points.xyz).all(1) & np.isfinite(points.normals).all(1)
    xyz, normals = points.xyz[keep], points.normals[keep]
    if len(xyz) < FEWEST_POINTS:
        raise SurfaceError("surface.too-few-points", "Too little of the person is visible to build a surface.",
                           "Use a photo in which the person is larger, or correct the mask.")
    side = float((xyz.max(0) - xyz.min(0)).max())
    if opening is not None:                           # wider than the photo's pose
        moving = np.isin(CHAIN_OF_PIECE[points.piece[keep]], [CHAINS.index(a) for a in opening.arms])
        wide = np.concatenate([xyz[~moving], opening.arm_vertices(body)])
        side = float((wide.max(0) - wide.min(0)).max())
    depth = _octree_depth(xyz, normals, points.kind[keep], person.camera, side, context)
    cell = side * 1.1 / 2 ** depth
    chosen = thin_out(xyz, normals, cell * SAMPLES_PER_CELL)
    xyz, normals, moved = xyz[chosen], normals[chosen], None
    if opening is not None:
        xyz, normals, moved = shares(opening, nudged(person, body), xyz, normals, points.piece[keep][chosen])
    context.step(1, 4)
    weight = points.weight[keep][chosen] if len(points.weight) == len(points.xyz) else None
    vertices, faces = screened_poisson_apart(xyz, normals, depth, weight, context.check)
    piece = points.piece[keep][chosen] if len(points.piece) == len(points.xyz) else np.zeros(0, np.uint8)
    tied = tie_points(vertices, faces, xyz, normals, piece, body.height_m, cell) if len(faces) and body is not None else None
    if tied is not None:
        context.check()
        more, turned, stay = tied
        weight = None if weight is None else np.concatenate([weight[stay], np.ones(len(more))])
        vertices, faces = screened_poisson_apart(np.concatenate([xyz[stay], more]), np.concatenate([normals[stay], turned]), depth, weight,
                                                 context.check)
        context.warn("surface.limb-tied", "A part of a limb that nothing in the photo shows was bridged by a plain tube.")
    return vertices, faces, _Carried(moved, cell, tied is not None)


def _octree_depth(xyz, normals, kind, camera, side: float, context: Context) -> int:
    """The preset's depth, less where it would make far more triangles than are kept (a half-length portrait fills
    the octree's cube; a standing figure does not)."""
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
