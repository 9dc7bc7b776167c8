"""Numbers that say whether the labels of a sample belong together. Nothing here uses the rasteriser that made them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.spatial import cKDTree
from torch import Tensor

from neural.body.maps import SIDES
from neural.body.model import BodyModel
from neural.contract.joints import JOINT, SMPL_JOINTS

from ..types import Cameras, People
from . import camera


def check(people: People, cameras: Cameras, labels: dict[str, Tensor], person: int = 0, reach: int = 2000) -> dict[str, float]:
    """labels of `maps.maps` -> named numbers of one person of the batch:

        surface_mm        mean distance of points put back from the depth maps (`reach` of each side) to the person's nearest triangle corner or
                          middle, less what the triangles' size explains (0 = on the surface); surface_worst_mm: the 99th percentile.
        normal_deg        median angle between the normal labels and the slope of the depth maps, away from edges; normal_worst_deg: 90th.
        crossed           part of the pixels whose back lies before their front.      facing: part of the normals that look the wrong way.
        unit              largest deviation of a normal's length from 1.
        joints_off_px     mean distance of the joints' pixels from the mask, those on the canvas (0 = all within).
        uv_sides          part of the pixels of left and right limbs whose UV belongs to the other side's limb.
        holes             part of the mask without front or back depth.
    """
    get = lambda name: labels[name][person].detach().cpu().numpy()
    mask = get("mask")
    one = Cameras(cameras.rotation[person:person + 1], cameras.shift[person:person + 1], cameras.focal[person:person + 1],
                  cameras.centre[person:person + 1], cameras.size)
    out = {"holes": 0.0, "crossed": float((get("depth_back") < get("depth_front") - 1e-5)[mask].mean()) if mask.any() else 0.0}
    own = people.faces[people.face_owner == person]
    corner = people.vertices[own].cpu().numpy()
    places = np.concatenate([corner.reshape(-1, 3), corner.mean(1)])
    span = np.linalg.norm(corner - corner.mean(1, keepdims=True), axis=2).max(1)
    size = np.concatenate([span.repeat(3), span])
    tree = cKDTree(places)
    far, angles, wrong, unit = [], [], [], 0.0
    for side, sign in zip(SIDES, (-1.0, 1.0)):
        depth, normal = get(f"depth_{side}"), get(f"normal_{side}")
        out["holes"] += float((depth[mask] <= 0).mean()) if mask.any() else 1.0
        points = camera.world_points(one, labels[f"depth_{side}"][person:person + 1])[0].permute(1, 2, 0).cpu().numpy()
        rows = np.flatnonzero(mask)
        rows = rows[:: max(len(rows) // reach, 1)]
        distance, who = tree.query(points.reshape(-1, 3)[rows])
        far.append(np.maximum(distance - size[who], 0))
        angles.append(_slope_angles(one, labels[f"depth_{side}"][person], normal, mask, sign))
        wrong.append((normal[2][mask] * sign < -1e-6).mean())
        unit = max(unit, float(np.abs(np.linalg.norm(normal[:, mask], axis=0) - 1).max(initial=0)))
    far, angles = np.concatenate(far) * 1000, np.concatenate(angles)
    out |= {"surface_mm": float(far.mean()), "surface_worst_mm": float(np.percentile(far, 99)), "facing": float(np.mean(wrong)), "unit": unit,
            "normal_deg": float(np.median(angles)), "normal_worst_deg": float(np.percentile(angles, 90)),
            "joints_off_px": _off(get("joints_px"), mask), "uv_sides": _uv_sides(labels, person)}
    return out


def _slope_angles(one: Cameras, depth: Tensor, normal: np.ndarray, mask: np.ndarray, sign: float) -> np.ndarray:
    """Degrees between normals and central differences of the depth, within smooth patches that face the camera."""
    points = (camera.rays(one) * depth)[0].permute(1, 2, 0).double().cpu().numpy()
    z = points[..., 2]
    dx, dy = np.zeros_like(points), np.zeros_like(points)
    dx[:, 1:-1], dy[1:-1] = points[:, 2:] - points[:, :-2], points[2:] - points[:-2]
    n = np.cross(dy, dx) * (1 if sign < 0 else -1)                   # x right, y down: dy x dx looks at the camera
    n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-20)
    pixel = z / float(one.focal[0])
    curl = lambda a, axis: np.abs(np.roll(a, 1, axis) + np.roll(a, -1, axis) - 2 * a)
    smooth = (curl(z, 0) < 0.5 * pixel) & (curl(z, 1) < 0.5 * pixel) & (np.abs(n[..., 2]) > 0.35) & binary_erosion(mask, iterations=3)
    cosine = np.clip((n * normal.transpose(1, 2, 0)).sum(-1), -1, 1)
    found = np.degrees(np.arccos(cosine[smooth]))
    return found if len(found) else np.array([180.0])


def _off(px: np.ndarray, mask: np.ndarray) -> float:
    on = ((px >= 0) & (px < mask.shape[0])).all(1)
    rows = np.argwhere(binary_dilation(mask))
    if not on.any() or not len(rows):
        return 0.0
    away = cKDTree(rows[:, ::-1] + 0.5).query(px[on])[0]
    return float(np.maximum(away - 0.75, 0).mean())


def _uv_sides(labels: dict[str, Tensor], person: int) -> float:
    """Limb pixels whose UV belongs to the other side's limb on the body's own layout."""
    tree, side_of = _layout_sides()
    wrong = total = 0
    for side in SIDES:
        part = labels[f"part_{side}"][person].cpu().numpy()
        sign = _LIMB[part]
        uv = labels[f"uv_{side}"][person].cpu().numpy()[:, sign != 0].T
        if len(uv):
            found = side_of[tree.query(uv)[1]]
            total += len(uv)
            wrong += int((found * sign[sign != 0] < 0).sum())
    return wrong / max(total, 1)


_LIMB = np.zeros(256, np.int8)
for _name in SMPL_JOINTS:
    if _name.startswith(("left", "right")) and not _name.endswith(("collar", "hip")):
        _LIMB[JOINT[_name]] = 1 if _name.startswith("left") else -1


@lru_cache(maxsize=1)
def _layout_sides() -> tuple[cKDTree, np.ndarray]:
    """The body's UV points, and for each whose limb it lies on: 1 left, -1 right, 0 neither."""
    model = BodyModel.load()
    side = np.zeros(len(model.uv), np.int8)
    side[model.uv_faces.ravel()] = _LIMB[model.part[model.faces.ravel()]]
    return cKDTree(model.uv), side
