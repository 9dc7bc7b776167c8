"""All numbers of one reconstruction against the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from neural.contract.frames import Camera
from neural.geometry.raster import rasterize
from neural.geometry.srgb import srgb

from .methods import Reconstruction
from .metrics.align import Similarity, icp
from .metrics.closest import Surface
from .metrics.distance import joint_errors, summary, surface_distances
from .metrics.identity import same_person
from .metrics.image import edge_distance, psnr, ssim
from .metrics.maps import icon_l2, map_error, mask_iou, normal_error
from .metrics.outside import volume_iou
from .render.picture import Shot, lit, novel_view, true_maps
from .truth import MeasureConfig, Shape, Truth

NOVEL_DEG = (45.0, 90.0, 180.0, 270.0)


@dataclass(frozen=True)
class Measured:
    """numbers (flat, JSON-ready) and the shapes that the pictures are drawn from (normalised frame)."""

    numbers: dict
    as_is: Shape
    aligned: Shape
    similarity: Similarity


def measure(truth: Truth, ours: Reconstruction, config: MeasureConfig = MeasureConfig(),
            device: str = "cpu") -> Measured:
    """Protocol of docs/evaluation.md. Keys end in their unit; `as_is_` and `aligned_` say the alignment."""
    mesh = ours.mesh
    used = mesh.vertices[np.unique(mesh.faces)]
    normalised = truth.normalise(used, ours.pelvis)
    normals = (mesh.normals @ normalised.rotation.T).astype(np.float32)
    first = Shape.of(normalised(mesh.vertices), mesh.faces, normals, config, device)
    pick = lambda shape: shape.samples.xyz[:: max(1, len(shape.samples.xyz) // config.icp_samples)]  # noqa: E731
    move = icp(pick(first), first.surface, pick(truth.shape), truth.shape.surface)
    total, second = move.after(normalised), first.moved(move)
    numbers: dict = {"silhouette_iou": silhouette(truth.shot, mesh, device), "icp_scale": move.scale,
                     "icp_turn_deg": move.angle_deg, "icp_shift_cm": 100 * float(np.linalg.norm(move.shift))}
    for name, shape in (("as_is", first), ("aligned", second)):
        numbers |= {f"{name}_{k}": v for k, v in _shape_measures(truth, shape, config, device).items()}
    numbers |= _face_measures(truth, second, device)
    if ours.joints is not None and truth.known[0]:
        numbers |= joint_errors(normalised(ours.joints), truth.normalised(truth.joints), truth.known)
    if mesh.textured and truth.shot.mesh.textured:
        numbers |= _texture_measures(truth, mesh, total, config, device)
    return Measured({**numbers, **ours.maps}, first, second, total)


def _shape_measures(truth: Truth, shape: Shape, config: MeasureConfig, device: str) -> dict:
    true = truth.shape
    ours, theirs = surface_distances(shape.samples.xyz, shape.surface, true.samples.xyz, true.surface)
    out = summary(ours, theirs)
    views = shape.views(truth.extent_m, config, device)
    out["normal_front_deg"] = normal_error(views["front"], truth.views["front"])
    out["normal_back_deg"] = normal_error(views["back"], truth.views["back"])
    out["normal_icon_l2"] = icon_l2(list(views.values()), list(truth.views.values()))
    out["volume_iou"] = volume_iou(shape.outside, true.outside, config.voxel_m)
    head, true_head = truth.head(shape.samples.xyz), truth.head(true.samples.xyz)
    if head.sum() > 20 and true_head.sum() > 20:
        out |= {f"head_{k}": v for k, v in summary(ours[head], theirs[true_head]).items()}
    return out


def _face_measures(truth: Truth, shape: Shape, device: str) -> dict:
    """JIFF §5.1: L2 distance in the face between the points that the same pixel shows; here also after the head alone was
    laid on the true head (rigid ICP), so that the neck's error does not hide the face's."""
    ours, theirs = truth.head(shape.samples.xyz), truth.head(truth.shape.samples.xyz)
    if ours.sum() < 200 or theirs.sum() < 200:
        return {}
    a, b = shape.samples.xyz[ours], truth.shape.samples.xyz[theirs]
    local = icp(a, shape.surface, b, truth.shape.surface, with_scale=False)
    moved = local(shape.vertices)
    out = {"head_only_p2s_cm": 100 * float(truth.shape.surface.closest(local(a))[0].mean()),
           "head_only_s2p_cm": 100 * float(Surface(moved, shape.faces[shape.outside.seen]).closest(b)[0].mean())}
    own = shape.faces[truth.head(shape.vertices)[shape.faces].all(1)]    # the turn of the head must not swing an arm before it
    for name, vertices, faces in (("face_l2_cm", shape.vertices, shape.faces), ("face_only_l2_cm", moved, own)):
        out[name] = _face_l2(truth, vertices, faces, device) if len(faces) else float("nan")
    return out


def _face_l2(truth: Truth, vertices: np.ndarray, faces: np.ndarray, device: str) -> float:
    """cm: ours (normalised frame) and the true person drawn by the photograph's camera; distance within 11 cm of the nose."""
    camera = truth.shot.camera.resized(truth.shot.camera.width // 2, truth.shot.camera.height // 2)
    true_mesh = truth.shot.mesh
    depth = [rasterize(v, f, camera, device=device).depth for v, f in (
        (true_mesh.vertices, true_mesh.faces), (truth.normalised.inverse(vertices), faces))]
    both = np.isfinite(depth[0]) & np.isfinite(depth[1])
    q, p = (truth.normalised(camera.backproject(d)[both]) for d in depth)
    head = truth.head(q) if len(q) else np.zeros(0, bool)
    if head.sum() < 20:
        return float("nan")
    tip = q[head][np.argmin(q[head][:, 2])]
    face = head & (np.linalg.norm(q - tip, axis=1) < 0.11)
    return 100 * float(np.linalg.norm(p[face] - q[face], axis=1).mean())


def silhouette(shot: Shot, mesh, device: str = "cpu") -> float:
    """IoU in the photograph's own camera; nothing aligned (the outline does not depend on the scale)."""
    camera = shot.camera.resized(shot.camera.width // 2, shot.camera.height // 2)
    mine = rasterize(mesh.vertices, mesh.faces, camera, device=device).hit
    return mask_iou(mine, rasterize(shot.mesh.vertices, shot.mesh.faces, camera, device=device).hit)


def _texture_measures(truth: Truth, mesh, total: Similarity, config: MeasureConfig, device: str) -> dict:
    """Our colours unlit against the true person under the photograph's light, where both show a surface."""
    shot = truth.shot
    factor = config.picture / max(shot.camera.width, shot.camera.height)
    camera = shot.camera.resized(round(shot.camera.width * factor), round(shot.camera.height * factor))
    grey = np.float32(0.2)

    def compare(a, alpha_a, b, alpha_b) -> tuple[float, float, float, float]:
        mask = (alpha_a > 0.99) & (alpha_b > 0.99)
        return psnr(a, b, mask), ssim(a, b, mask), edge_distance(a, b, mask), same_person(a, b, (alpha_a > 0.5) | (alpha_b > 0.5))

    mine, alpha = lit(mesh, camera, None, 2, device)
    true, true_alpha = lit(shot.mesh, camera, shot.light, 2, device)
    on_grey = lambda colour, cover: srgb(colour + (1 - cover)[..., None] * grey)  # noqa: E731
    seen = compare(on_grey(mine, alpha), alpha, on_grey(true, true_alpha), true_alpha)
    turn = truth.normalised.rotation
    moved = mesh.moved(truth.normalised.inverse.after(total).matrix)
    novel = [compare(*novel_view(moved, camera, d, truth.pelvis, turn, None, 1, device),
                     *novel_view(shot.mesh, camera, d, truth.pelvis, turn, shot.light, 1, device)) for d in NOVEL_DEG]
    names = ("psnr_db", "ssim", "edge_distance", "identity")
    return {**{f"seen_{n}": v for n, v in zip(names, seen)},
            **{f"novel_{n}": float(np.nanmean([row[i] for row in novel])) for i, n in enumerate(names)}}


def map_measures(out: Path, shot: Shot) -> dict:
    """Errors of the maps in the folder `out` of `dev.py run`, on their own canvas: mask, normals, depth up to one factor."""
    data = json.loads((out / "stages/landmarks.json").read_text("utf-8"))
    camera = Camera.from_json(data["camera"])
    true = true_maps(shot.mesh, camera)
    mask = cv2.imread(str(out / "stages/mask.png"), cv2.IMREAD_GRAYSCALE) > 127
    result = {"map_mask_iou": mask_iou(mask, true.mask)}
    for side, reference in (("front", true.normal_front), ("back", true.normal_back)):
        picture = cv2.imread(str(out / f"stages/normal_{side}.png"), cv2.IMREAD_COLOR)[..., ::-1]
        n = (picture / 127.5 - 1) * np.array([1, -1, -1])
        n = np.where(picture.any(-1, keepdims=True), n / np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-9), 0)
        result[f"map_normal_{side}_deg"] = map_error(n, reference)
    with np.load(out / "stages/depth.npz", allow_pickle=False) as z:
        for side, reference in (("front", true.depth_front), ("back", true.depth_back)):
            if side == "front":
                factor = float(np.nanmedian(reference / z["front"]))
            result[f"map_depth_{side}_cm"] = 100 * float(np.nanmean(np.abs(z[side] * factor - reference)))
    return result
