"""Ground truth of a picture, from the very geometry that was photographed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
from pathlib import Path

import numpy as np

from neural.contract.frames import Camera
from neural.geometry.raster import rasterize

from .scene import Scene, Shot


@dataclass(frozen=True)
class Truth:
    """P people, V vertices, F faces, a picture of H x W. Camera frame, metres; NaN / 0 where there is nobody.

    camera          the contract's Camera of the picture.
    vertices        (V, 3) float32; faces (F, 3) int32; person (V,) uint8: whose vertex it is.
    joints          (P, 24, 3) float32, SMPL's order (the avatars' own bone heads, see posing.Posed).
    height_m        (P,) float32 height at rest with shoes and hair.
    visible         (H, W) uint8: number + 1 of the person seen at the pixel's centre, 0 = nobody.
    mask            (P, H, W) bool: the person covers the pixel's centre, whoever stands in front.
    depth_front, depth_back      (P, H, W) float32: nearest and farthest surface of the person on the pixel's ray, z.
    normal_front, normal_back    (P, H, W, 3) float32 unit, smooth, outward: front faces the camera (z < 0 nearly
                                 everywhere), back faces away.
    """

    camera: Camera
    vertices: np.ndarray
    faces: np.ndarray
    person: np.ndarray
    joints: np.ndarray
    height_m: np.ndarray
    visible: np.ndarray
    mask: np.ndarray
    depth_front: np.ndarray
    depth_back: np.ndarray
    normal_front: np.ndarray
    normal_back: np.ndarray


def truth_of(scene: Scene) -> Truth:
    """Draw the truth of a scene at the picture's own size."""
    camera = scene.camera
    normals = scene.normals @ scene.camera_from_world[:3, :3].T
    maps: dict[str, list] = {k: [] for k in ("mask", "depth_front", "depth_back", "normal_front", "normal_back")}
    for k in range(len(scene.joints)):
        faces = scene.faces_of(k)
        for side, farthest in (("front", False), ("back", True)):
            fragments = rasterize(scene.vertices, faces, camera, farthest)
            n = fragments.interpolate(normals, faces)
            n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-9)
            maps[f"depth_{side}"].append(fragments.depth)
            maps[f"normal_{side}"].append(n.astype(np.float32))
        maps["mask"].append(fragments.hit)
    stack = {k: np.stack(v) for k, v in maps.items()}
    nearest = np.where(stack["mask"], stack["depth_front"], np.inf)
    visible = np.where(stack["mask"].any(0), nearest.argmin(0) + 1, 0).astype(np.uint8)
    return Truth(camera, scene.vertices.astype(np.float32), scene.faces, scene.person, scene.joints.astype(np.float32),
                 scene.height_m.astype(np.float32), visible, **stack)


def save_truth(path: Path, truth: Truth, shot: Shot) -> None:
    """One .npz: the fields of Truth, `camera` and `shot` as JSON text."""
    arrays = {k: v for k, v in vars(truth).items() if k != "camera"}
    np.savez_compressed(path, camera=json.dumps(truth.camera.to_json()), shot=json.dumps(asdict(shot)), **arrays)


def load_truth(path: Path) -> tuple[Truth, dict]:
    """The truth and the shot (as a dict) of a file that `save_truth` wrote."""
    with np.load(path) as z:
        data = {k: z[k] for k in z.files}
    shot = json.loads(str(data.pop("shot")))
    camera = Camera.from_json(json.loads(str(data.pop("camera"))))
    return Truth(camera=camera, **data), shot
