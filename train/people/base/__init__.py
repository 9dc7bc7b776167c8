"""MakeHuman's base mesh in all shapes, as baked by bake.py: the body that everything is worn on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ..types import Base

PATH = Path(__file__).with_name("base.npz")


@dataclass(frozen=True)
class Skin:
    """The visible skin of the base mesh: faces, uv_faces (F, 4) int64 quads, outward; uv (U, 2) float32, MakeHuman's layout (v up)."""

    faces: np.ndarray
    uv_faces: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True)
class Bodies:
    """Real draws to take shapes from: k (S, K) float32 mode coefficients; sliders: names -> (S,) float32 in [0, 1] (gender 0 man, 1 woman; age
    -0.33 newborn, 0 baby, 0.33 child, 0.67 young, 1 old; muscle, weight, height, proportions, cupsize, firmness, african, asian, caucasian)."""

    k: np.ndarray
    sliders: dict[str, np.ndarray]


@lru_cache(maxsize=2)
def arrays(path: Path = PATH) -> dict[str, np.ndarray]:
    """The file as it is (train/people/base/README.md lists the arrays)."""
    with np.load(path) as z:
        return {k: z[k] for k in z.files}


@lru_cache(maxsize=1)
def load() -> Base:
    """The base mesh; the same object every time."""
    a, t = arrays(), torch.as_tensor
    step, n = a["step_m"].item(), len(a["mean"])
    modes = np.ascontiguousarray((a["modes"].astype(np.float32) * step).transpose(1, 2, 0))
    shapes = np.zeros((len(a["expressions"]), n, 3), np.float32)
    start = a["expression_start"]
    for e in range(len(shapes)):
        rows = slice(start[e], start[e + 1])
        shapes[e, a["expression_vertex"][rows]] = a["expression_offset"][rows].astype(np.float32) * step
    return Base(
        mean=t(a["mean"]), modes=t(modes), heads=t(a["heads"]), head_modes=t(a["head_modes"]), parents=t(a["parents"].astype(np.int64)),
        bones=tuple(map(str, a["bones"])), skin_bone=t(a["skin_bone"].astype(np.int64)), skin_weight=t(a["skin_weight"].astype(np.float32) / 255),
        betas=t(a["betas"]), betas_mean=t(a["betas_mean"]), smpl_bone=t(a["smpl_bone"].astype(np.int64)), tpose=t(a["tpose"]),
        expressions=tuple(map(str, a["expressions"])), expression=t(shapes), groups=_groups(a))


def skin() -> Skin:
    """Faces and texture coordinates of the body."""
    a = arrays()
    return Skin(a["faces"].astype(np.int64), a["uv_faces"].astype(np.int64), a["uv"].astype(np.float32) / 65535)


def bodies() -> Bodies:
    """The sampled bodies in terms of the modes (children, women, men of all builds and origins)."""
    a = arrays()
    return Bodies(a["bodies"].astype(np.float32), {str(s): a["body_sliders"][:, i].astype(np.float32) for i, s in enumerate(a["slider_names"])})


def dense_weights(base: Base) -> np.ndarray:
    """(N, B) float32 skin weights."""
    out = np.zeros((len(base.mean), len(base.bones)), np.float32)
    np.add.at(out, (np.arange(len(out))[:, None], base.skin_bone.numpy()), base.skin_weight.numpy())
    return out


def _groups(a: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """"skin faces" (F, 4) quads, "skin" its vertices; "tights", "skirt", "hair", "joints", "l-eye" …: helper vertices; "left hand", "right hand",
    "left foot", "right foot", "head": skin vertices that mostly follow those bones."""
    faces = a["faces"].astype(np.int64)
    own = np.unique(faces)
    out = {"skin faces": faces, "skin": own}
    out |= {k.removeprefix("group_").removeprefix("helper-"): v.astype(np.int64) for k, v in a.items() if k.startswith("group_")}
    bones = np.array([str(b) for b in a["bones"]])
    weight = np.zeros((len(a["mean"]), len(bones)), np.float32)
    np.add.at(weight, (np.arange(len(weight))[:, None], a["skin_bone"]), a["skin_weight"] / 255.0)
    for name, stems in (("hand", ("wrist", "finger", "metacarpal")), ("foot", ("foot", "toe"))):
        for side in ("left", "right"):
            of = [b.startswith(stems) and b.endswith(f".{side[0].upper()}") for b in bones]
            out[f"{side} {name}"] = own[weight[own][:, of].sum(1) > 0.5]
    inside, todo = {"head"}, True
    while todo:                                                            # the head and everything that hangs on it
        more = {b for b, p in zip(bones, a["parents"]) if p >= 0 and bones[p] in inside} - inside
        inside |= more
        todo = bool(more)
    out["head"] = own[weight[own][:, [b in inside for b in bones]].sum(1) > 0.5]
    return {k: torch.as_tensor(v) for k, v in out.items()}
