"""The hand-over from the worker to Blender: `result.npz`, read and checked. numpy only, no bpy."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..neural.contract.errors import InternalError

FILE = "result.npz"


@dataclass(frozen=True)
class PersonResult:
    """One reconstructed person. V vertices, F triangles, J joints, B body vertices, C body triangles. Metres, radians.

    vertices          (V, 3) float32 at rest, frame `body`.      faces  (F, 3) int32.
    uv, body_uv       (F*3, 2) float32, per loop corner: the atlas's and the body's UVs.
    vertex_color      (V, 3) uint8 sRGB.                         seen   (V,) float32 in [0, 1].
    weight_joints     (V, K) int32, weight_values (V, K) float32.
    joint_names       J names;  parents (J,);  rest_joints (J, 3) float64, frame `body`.
    pose_photo, pose_a  (J, 3) float64 axis-angle relative to the parent (SMPL's convention).
    camera_from_rest  (J, 4, 4) float64: sum_j w_j T_j rest = the surface in the camera frame.
    surface_vertices  (V, 3) float32, frame `camera`: the reconstructed surface itself.
    up                (3,) float64, frame `camera`: the world's up.
    body_vertices     (B, 3) float32 at rest; body_faces (C, 3); body_weight_* (B, K); fitted_uv (C*3, 2) float32.
    albedo, normal_map  image files, or None.    report  the job's report.json.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    body_uv: np.ndarray
    vertex_color: np.ndarray
    seen: np.ndarray
    weight_joints: np.ndarray
    weight_values: np.ndarray
    joint_names: tuple[str, ...]
    parents: np.ndarray
    rest_joints: np.ndarray
    pose_photo: np.ndarray
    pose_a: np.ndarray
    camera_from_rest: np.ndarray
    surface_vertices: np.ndarray
    up: np.ndarray
    body_vertices: np.ndarray
    body_faces: np.ndarray
    body_weight_joints: np.ndarray
    body_weight_values: np.ndarray
    fitted_uv: np.ndarray
    height_m: float
    albedo: Path | None
    normal_map: Path | None
    report: dict


def _broken(detail: str) -> InternalError:
    return InternalError("internal.result", f"The engine's result cannot be used ({detail}).",
                         "Please copy the report and send it to us.")


def load(folder: Path) -> PersonResult:
    """Reads `folder`/result.npz (and finds the textures beside it). InternalError when it is not what it should be."""
    path = Path(folder) / FILE
    try:
        with np.load(path, allow_pickle=False) as data:
            z = {k: data[k] for k in data.files}
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise _broken(f"{FILE}: {exc}") from exc

    def take(key: str, shape: tuple, dtype) -> np.ndarray:
        if key not in z:
            raise _broken(f"no '{key}'")
        a = np.asarray(z[key])
        if len(a.shape) != len(shape) or any(s is not None and s != t for s, t in zip(shape, a.shape)):
            raise _broken(f"'{key}' has shape {a.shape}, not {shape}")
        if np.issubdtype(a.dtype, np.floating) and not np.isfinite(a).all():
            raise _broken(f"'{key}' holds numbers that are not finite")
        return np.ascontiguousarray(a, dtype)

    vertices, faces = take("vertices", (None, 3), np.float32), take("faces", (None, 3), np.int32)
    body_vertices, body_faces = take("body_vertices", (None, 3), np.float32), take("body_faces", (None, 3), np.int32)
    v, f, b, c = len(vertices), len(faces), len(body_vertices), len(body_faces)
    names = tuple(str(n) for n in np.asarray(z.get("joint_names", [])).reshape(-1))
    j = len(names)
    for key, array, limit in (("faces", faces, v), ("body_faces", body_faces, b)):
        if array.size and (array.min() < 0 or array.max() >= limit):
            raise _broken(f"'{key}' points outside the vertices")
    if v == 0 or f == 0 or j == 0:
        raise _broken("it is empty")
    joints = {k: take(k, (n, None), np.int32) for k, n in (("weight_joints", v), ("body_weight_joints", b))}
    for key, array in joints.items():
        if array.size and (array.min() < 0 or array.max() >= j):
            raise _broken(f"'{key}' points outside the joints")
    parents = take("parents", (j,), np.int32)
    if any(not -1 <= p < i for i, p in enumerate(parents)):
        raise _broken("'parents' is not in tree order")

    def picture(file: str) -> Path | None:
        p = Path(folder) / file
        return p if p.is_file() else None

    return PersonResult(
        name=str(z["name"]) if "name" in z else "Person",
        vertices=vertices, faces=faces,
        uv=take("uv", (f * 3, 2), np.float32), body_uv=take("body_uv", (f * 3, 2), np.float32),
        vertex_color=take("vertex_color", (v, 3), np.uint8), seen=take("seen", (v,), np.float32),
        weight_joints=joints["weight_joints"],
        weight_values=take("weight_values", joints["weight_joints"].shape, np.float32),
        joint_names=names, parents=parents, rest_joints=take("rest_joints", (j, 3), np.float64),
        pose_photo=take("pose_photo", (j, 3), np.float64), pose_a=take("pose_a", (j, 3), np.float64),
        camera_from_rest=take("camera_from_rest", (j, 4, 4), np.float64),
        surface_vertices=take("surface_vertices", (v, 3), np.float32),
        up=take("up", (3,), np.float64),
        body_vertices=body_vertices, body_faces=body_faces,
        body_weight_joints=joints["body_weight_joints"],
        body_weight_values=take("body_weight_values", joints["body_weight_joints"].shape, np.float32),
        fitted_uv=take("fitted_uv", (c * 3, 2), np.float32),
        height_m=float(z["height_m"]) if "height_m" in z else 0.0,
        albedo=picture("albedo.png"), normal_map=picture("normal.png"),
        report=json.loads(str(z["report"])) if "report" in z else {},
    )
