"""How wrong s02's landmarks are: measured on pictures whose truth is known, and made again for people who were never photographed.

    python -m train.lifter.errors --pictures FOLDER --out train/lifter/errors.npz          avatars (train.lifter.pictures)
    python -m train.lifter.errors --pairs FOLDER --out train/lifter/errors_people.npz      the generator's people (train.lifter.photos)

Measured in the frame `virtual` (neural/nets/lifter/features.py), bone by bone in units of the body's size, so that the error of a knee is not
counted again at the ankle. Every bone's seen vector is first explained from the true one, the direction the person faces and a constant (depth
compression, forward bias, lean: linear), for each of four views; what is left is kept as it is, all bones and 2D points of a picture together,
and drawn again for bodies that look alike to the camera (bones' directions in camera axes): so limbs stay correlated, and hidden limbs err as hidden limbs do.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from neural.body.model import BodyModel
from neural.body.rotations import axis_angle_from_matrix
from neural.contract.joints import LANDMARK, LANDMARKS, SMPL_PARENTS, mirrored
from neural.nets.lifter.features import CHAIN, view_direction, virtual_from_camera

from .pictures import FROM_BODY, load_picture
from .poses import MIRROR, world_of

_L = LANDMARK
_UP = {"shoulder": None, "hip": None, "elbow": "shoulder", "wrist": "elbow", "pinky": "wrist", "index": "wrist", "thumb": "wrist",
       "knee": "hip", "ankle": "knee", "heel": "ankle", "foot_index": "ankle"}
FACE = tuple(range(1, 11))
PARENT = np.array([-2 if n == "nose" else 0 if i in FACE else -1 if _UP[n.split("_", 1)[1]] is None
                   else _L[n.split("_")[0] + "_" + _UP[n.split("_", 1)[1]]] for i, n in enumerate(LANDMARKS)])
"""Parent of every landmark's bone: -1 = middle of the hips, -2 = middle of the shoulders."""
ORDER = [_L[f"{s}_{n}"] for n in ("hip", "shoulder", "knee", "elbow", "ankle", "wrist", "heel", "foot_index", "pinky", "index", "thumb")
         for s in ("left", "right")] + [0, *FACE]
SWAP = np.array(mirrored(LANDMARKS))
FIT_JOINTS = [1, 2, 4, 5, 7, 8, 12, 15, 16, 17, 18, 19, 20, 21]


def unit_of(points: torch.Tensor) -> torch.Tensor:
    """(B, 33, 3) -> (B,) a quarter of the added length of the bones of CHAIN."""
    a, b = ([pair[k] for pair in CHAIN] for k in (0, 1))
    return (points[:, a] - points[:, b]).norm(dim=-1).sum(1) / 4


def bones_of(points: torch.Tensor) -> torch.Tensor:
    """(B, 33, 3) points -> vectors from each point's parent."""
    hips = points[:, [_L["left_hip"], _L["right_hip"]]].mean(1)
    shoulders = points[:, [_L["left_shoulder"], _L["right_shoulder"]]].mean(1)
    start = torch.stack([hips if p == -1 else shoulders if p == -2 else points[:, p] for p in PARENT], 1)
    return points - start


def points_of(bones: torch.Tensor) -> torch.Tensor:
    """The inverse of bones_of, with the middle of the hips at the origin."""
    out: dict[int, torch.Tensor] = {}
    for i in ORDER:
        p = PARENT[i]
        start = 0 if p == -1 else 0.5 * (out[_L["left_shoulder"]] + out[_L["right_shoulder"]]) if p == -2 else out[p]
        out[i] = start + bones[:, i]
    points = torch.stack([out[i] for i in range(33)], 1)
    return points - points[:, [_L["left_hip"], _L["right_hip"]]].mean(1, keepdim=True)


def facing_of(points: torch.Tensor) -> torch.Tensor:
    """(B, 33, 3) true points -> (B, 3) unit vector out of the chest."""
    across = points[:, _L["left_shoulder"]] - points[:, _L["right_shoulder"]] + points[:, _L["left_hip"]] - points[:, _L["right_hip"]]
    down = points[:, [_L["left_hip"], _L["right_hip"]]].mean(1) - points[:, [_L["left_shoulder"], _L["right_shoulder"]]].mean(1)
    return torch.nn.functional.normalize(torch.linalg.cross(down, across), dim=-1)


def _explain(bones: torch.Tensor, facing: torch.Tensor) -> torch.Tensor:
    """(B, 33, 7): what a seen bone is explained from."""
    return torch.cat([bones, facing[:, None].expand(-1, 33, -1) * 0.2, torch.full_like(bones[..., :1], 0.2)], -1)


@dataclass
class Errors:
    """coefficients (V, 33, 7, 3) of V views; left (N, 33, 3) what they leave; flat (N, 33, 2) of the 2D points; trust (N, 33); look (N, K) of the
    body it was measured on, see look_of; shift (V, 33, 2) mean of the 2D errors, already taken out of flat."""

    coefficients: torch.Tensor
    left: torch.Tensor
    flat: torch.Tensor
    trust: torch.Tensor
    look: torch.Tensor
    shift: torch.Tensor

    @staticmethod
    def load(path: Path) -> "Errors":
        with np.load(path) as z:
            return Errors(*(torch.as_tensor(z[k]).float() for k in ("coefficients", "left", "flat", "trust", "look", "shift")))

    def make(self, points: torch.Tensor, g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """True points (B, 33, 3), virtual axes, metres -> world (B, 33, 3), error of the 2D points in metres at the body (B, 33, 2), trust."""
        unit = unit_of(points)[:, None, None]
        bones, facing = bones_of(points) / unit, facing_of(points)
        near = -torch.cdist(look_of(bones, facing), self.look).square() / (2 * NEAR ** 2)
        row = torch.multinomial(torch.softmax(near, 1), MIXED, generator=g)
        share = torch.randn(len(points), MIXED, generator=g)
        share = LARGER * share / share.norm(dim=1, keepdim=True)   # never the same error twice: else a network learns the pictures by heart
        view = view_of(facing)
        seen = torch.einsum("bni,bnio->bno", _explain(bones, facing), self.coefficients[view])
        seen = seen + torch.einsum("bk,bknd->bnd", share, self.left[row]) + 0.01 * torch.randn(bones.shape, generator=g)
        flat = self.shift[view] + torch.einsum("bk,bknd->bnd", share, self.flat[row]) + 0.004 * torch.randn(bones.shape, generator=g)[..., :2]
        return points_of(seen), flat * unit, self.trust[row[:, 0]]


NEAR = 0.8
"""How far apart in look_of two bodies may be to err alike."""
MIXED, LARGER = 10, 1.15
"""Pictures whose errors are blended into a new one, and by how much the errors of pictures never seen exceed the measured ones."""
_LIMBS = [_L[f"{s}_{n}"] for s in ("left", "right") for n in ("knee", "ankle", "elbow", "wrist")]


def look_of(bones: torch.Tensor, facing: torch.Tensor) -> torch.Tensor:
    """(B, 27): directions of eight limb bones and twice the facing, camera axes."""
    limbs = torch.nn.functional.normalize(bones[:, _LIMBS], dim=-1)
    return torch.cat([limbs.flatten(1), 2 * facing], 1)


def view_of(facing: torch.Tensor) -> torch.Tensor:
    """(B, 3) -> 0 front, 1 person faces the picture's right, 2 its left, 3 back."""
    x, z = facing[:, 0], facing[:, 2]
    return torch.where(x.abs() > 2 * z.abs(), torch.where(x > 0, 1, 2), torch.where(z < 0, 0, 3))


def body_truth(data: dict, model: BodyModel) -> dict[str, np.ndarray]:
    """One picture -> our body as the avatar stood there, virtual axes: world rotations (24, 3, 3), betas (10,), points (33, 3) with the camera
    at the origin, and what s02 saw: flat (33, 2), world, trust, down."""
    yaw = np.radians(data["shot"].subjects[0].yaw_deg)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
    camera_from_body = data["camera_from_world"][:3, :3] @ turn @ FROM_BODY
    world = camera_from_body @ world_of(data["local"])
    betas, scale, shift = shape_of(model, world, data["joints"])
    pose = data["local"].copy()
    pose[0] = camera_from_body @ pose[0]
    vertices = model.posed(axis_angle_from_matrix(pose), betas)[0] - model.shaped(betas)[1][0]
    points = scale * model.landmarks(vertices)[:33] + shift
    person, trust = data["person"], data["trust"]
    pixels = person.landmarks.astype(np.float64)
    true = virtual_from_camera(view_direction(data["camera"].rays(pixels), trust))
    rays = person.camera.rays(pixels)
    direction = view_direction(rays, trust)
    seen = rays @ virtual_from_camera(direction).T
    exact = data["camera"].rays(pixels) @ true.T                       # with the true focal length, to measure pixels by
    exact = exact[:, :2] / exact[:, 2:]
    points = points @ true.T
    return {"rotations": true @ world, "betas": betas, "points": points, "flat": seen[:, :2] / np.maximum(seen[:, 2:], 0.2), "trust": trust,
            "world": person.landmarks_world.astype(np.float64), "down": direction[1],
            "miss": (exact - points[:, :2] / points[:, 2:]) * np.mean(points[:, 2])}


def shape_of(model: BodyModel, world: np.ndarray, joints: np.ndarray, ridge: float = 0.02) -> tuple[np.ndarray, float, np.ndarray]:
    """betas (10,), scale and place that bring our joints, with given world rotations (24, 3, 3), to an avatar's (24, 3): least squares."""
    def chain(rest):
        out = np.zeros_like(rest)
        for j, p in enumerate(SMPL_PARENTS):
            if p >= 0:
                out[j] = out[p] + np.einsum("ab,b...->a...", world[p], rest[j] - rest[p])
        return out[FIT_JOINTS].reshape(3 * len(FIT_JOINTS), -1)

    rows = np.concatenate([chain(model.joint_directions[..., :10]), chain(model.joint_mean), np.tile(np.eye(3), (len(FIT_JOINTS), 1))], 1)
    pull = np.zeros((10, rows.shape[1]))
    pull[:, :10] = ridge * np.eye(10)
    x = np.linalg.lstsq(np.concatenate([rows, pull]), np.concatenate([joints[FIT_JOINTS].ravel(), np.zeros(10)]), rcond=None)[0]
    return x[:10] / x[10], float(x[10]), x[11:]


def mirrored_truth(t: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same picture in a mirror."""
    flip3, flip2, m = np.array([-1.0, 1, 1]), np.array([-1.0, 1]), np.diag([-1.0, 1, 1])
    return {"rotations": m @ t["rotations"][MIRROR] @ m, "betas": t["betas"], "points": t["points"][SWAP] * flip3, "flat": t["flat"][SWAP] * flip2,
            "trust": t["trust"][SWAP], "world": t["world"][SWAP] * flip3, "down": t["down"], "miss": t["miss"][SWAP] * flip2}


def measure(truths: list[dict[str, np.ndarray]], ridge: float = 0.3) -> tuple[Errors, str]:
    """Errors of the pictures, and a report in plain words."""
    stack = lambda k: torch.as_tensor(np.stack([t[k] for t in truths])).float()
    points, seen, trust = stack("points"), stack("world"), stack("trust")
    unit = unit_of(points)[:, None, None]
    facing, bones = facing_of(points), bones_of(points) / unit
    got = bones_of(seen) / unit_of(seen)[:, None, None]
    x, view = _explain(bones, facing), view_of(facing)
    both = torch.zeros(4, 33, 7, 3)
    for n in range(33):
        w = (trust[:, n] > 0.3).float() + 0.1
        base = _ridge(x[:, n], got[:, n] - bones[:, n], w, ridge)
        for v in range(4):
            s = w * (view == v)
            more = _ridge(x[:, n], got[:, n] - bones[:, n] - x[:, n] @ base, s, 3 * ridge)
            both[v, n] = base + more
            both[v, n, :3] += torch.eye(3)
    left = got - torch.einsum("bni,bnio->bno", x, both[view])
    lines = []
    for name in ("left_knee", "left_ankle", "left_elbow", "left_wrist", "left_shoulder", "left_foot_index", "nose"):
        i = _L[name]
        ok = trust[:, i] > 0.3
        raw, rest = (got - bones)[ok, i] / bones[ok, i].norm(dim=-1, keepdim=True), left[ok, i] / bones[ok, i].norm(dim=-1, keepdim=True)
        lines.append(f"{name:16s} seen {ok.float().mean():.2f}  bone error / length: x {raw[:, 0].std():.2f} y {raw[:, 1].std():.2f} z {raw[:, 2].std():.2f}"
                     f" (mean {raw[:, 2].mean():+.2f}), unexplained z {rest[:, 2].std():.2f}, 2D {stack('miss')[ok, i].norm(dim=-1).median() * 1000:.0f} mm")
    flat = stack("miss") / unit
    shift = torch.stack([flat[view == v].mean(0) for v in range(4)])
    return Errors(both, left, flat - shift[view], trust, look_of(bones, facing), shift), "\n".join(lines)


def _ridge(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, ridge: float) -> torch.Tensor:
    return torch.linalg.solve(x.T @ (w[:, None] * x) + ridge * torch.eye(x.shape[1]), x.T @ (w[:, None] * y))


def _measure_pairs(folder: Path, out: Path) -> int:
    truths = []
    for file in sorted(folder.glob("train_*.npz")):
        with np.load(file) as z:
            columns = {k: z[k] for k in z.files}
        rows = [{k: v[i] for k, v in columns.items()} for i in range(len(columns["trust"]))]
        truths += [t for row in rows for t in (row, mirrored_truth(row))]
    errors, report = measure(truths)
    np.savez_compressed(out, **{k: v.numpy().astype(np.float16) for k, v in vars(errors).items()})
    print(f"{len(truths) // 2} pictures\n{report}")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.lifter.errors")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--pictures", type=Path)
    source.add_argument("--pairs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    if args.pairs:
        return _measure_pairs(args.pairs, args.out)
    model, truths, lost = BodyModel.load(), [], 0
    for file in sorted(args.pictures.glob("train_*.npz")):
        t = body_truth(load_picture(file), model)
        if np.median(np.linalg.norm(t["miss"], axis=1)) > 0.25:        # another thing than the person was found
            lost += 1
            continue
        truths += [t, mirrored_truth(t)]
    errors, report = measure(truths)
    pairs = {f"pair_{k}": np.stack([t[k] for t in truths[::2]]).astype(np.float16) for k in ("rotations", "betas", "flat", "world", "trust", "down")}
    fields = {k: v.numpy().astype(np.float16) for k, v in vars(errors).items()}
    np.savez_compressed(args.out, **fields, **pairs)
    print(f"{len(truths) // 2} pictures, {lost} left out\n{report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
