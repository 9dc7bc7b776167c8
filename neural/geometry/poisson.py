"""Screened Poisson surface reconstruction (Kazhdan and Hoppe 2013), through pymeshlab."""

from __future__ import annotations

import numpy as np

from ..contract.errors import EngineError

THREADS = 1  # measured: the same input gives the same mesh with one thread, not with two


def load_pymeshlab():
    """The module, or EngineError with a remedy when it or a system library that it needs is missing."""
    try:
        import pymeshlab
        pymeshlab.MeshSet
    except (ImportError, OSError, AttributeError) as exc:
        raise EngineError(
            "engine.pymeshlab", "The surface library (pymeshlab) cannot be loaded in the engine's environment.",
            "Run Set Up Engine again; on Linux also install the system package libgl1 (libGL.so.1). "
            "Or choose the stitched surface, which does not need it.", str(exc)) from exc
    return pymeshlab


def screened_poisson(xyz: np.ndarray, normals: np.ndarray, depth: int, point_weight: float = 4.0,
                     samples_per_node: float = 1.5, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) oriented points, metres -> vertices (V, 3) float64, faces (F, 3) int64 (possibly several pieces).

    depth         octree depth: the longest side of the cloud is cut into about 2 ** depth / 1.1 cells.
    point_weight  4 = the authors' choice; how strongly the surface is drawn to the points.
    weight        (N,) in (0, 1]: how far each point is believed; None = all alike.
    """
    ml = load_pymeshlab()
    meshes = ml.MeshSet(verbose=False)
    quality = {} if weight is None else {"v_scalar_array": np.ascontiguousarray(weight, np.float64)}
    meshes.add_mesh(ml.Mesh(vertex_matrix=np.ascontiguousarray(xyz, np.float64),
                            v_normals_matrix=np.ascontiguousarray(normals, np.float64), **quality))
    try:
        meshes.generate_surface_reconstruction_screened_poisson(
            depth=depth, fulldepth=5, cgdepth=0, scale=1.1, samplespernode=samples_per_node, pointweight=point_weight,
            iters=8, confidence=weight is not None, preclean=False, threads=THREADS)
    except ml.PyMeshLabException as exc:
        if "memory" in str(exc).lower() or "bad_alloc" in str(exc):
            raise MemoryError(str(exc)) from exc
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    mesh = meshes.current_mesh()
    vertices, faces = mesh.vertex_matrix(), mesh.face_matrix().astype(np.int64)
    finite = np.isfinite(vertices).all(1)
    if not finite.all():
        faces = faces[finite[faces].all(1)]
    return vertices, faces
