"""Joint errors of s03 on pictures whose truth is known: with and without the lifter.

    python -m train.lifter.score --pictures FOLDER --part test [--lifter FILE|none]

MPJPE: 14 joints, same centre and size as the truth. PA: turned onto it as well. Avatars' own bone heads lie up to 3 cm from where our body has
its joints; both numbers are also given with that difference of definition taken out ("defined": a fixed offset for each joint in its bone's frame,
measured on train avatars with exact rotations and best shape). 2D: mean distance of the visible landmarks, per cent of the person's size.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from neural.body.fit import fit
from neural.body.model import BodyModel
from neural.body.rotations import matrix_from_axis_angle
from neural.contract.joints import SMPL_PARENTS
from neural.nets.lifter.net import WEIGHTS, load
from neural.stages.s03_body import evidence_of

from .errors import FIT_JOINTS, shape_of
from .pictures import FROM_BODY, load_picture
from .poses import world_of


def misses(joints: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(J, 3) twice, metres -> MPJPE and PA-MPJPE in millimetres."""
    a, b = joints - joints.mean(0), truth - truth.mean(0)
    u, _, vt = np.linalg.svd(b.T @ a)
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    out = []
    for c in (a, a @ turn.T):
        c = c * (c * b).sum() / (c * c).sum()
        out.append(1000 * float(np.linalg.norm(c - b, axis=1).mean()))
    return out[0], out[1]


def true_rotations(data: dict) -> np.ndarray:
    """(24, 3, 3) world rotations of our body in camera axes."""
    yaw = np.radians(data["shot"].subjects[0].yaw_deg)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
    return data["camera_from_world"][:3, :3] @ turn @ FROM_BODY @ world_of(data["local"])


def definition(model: BodyModel, files: list[Path]) -> np.ndarray:
    """(24, 3) offset of the avatars' joints from ours, in the frame of each joint's parent bone, parts of 1.7 m."""
    found = []
    for file in files:
        data = load_picture(file)
        world = true_rotations(data)
        betas, scale, shift = shape_of(model, world, data["joints"])
        ours = scale * _chain(model, world, betas) + shift
        size = model.standing_height(betas) * scale
        found.append([world[max(p, 0)].T @ (data["joints"][j] - ours[j]) / size for j, p in enumerate(SMPL_PARENTS)])
    return np.mean(found, 0)


def _chain(model: BodyModel, world: np.ndarray, betas: np.ndarray) -> np.ndarray:
    rest = model.shaped(betas)[1]
    out = np.zeros((24, 3))
    for j, p in enumerate(SMPL_PARENTS):
        if p >= 0:
            out[j] = out[p] + world[p] @ (rest[j] - rest[p])
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.lifter.score", description=__doc__.split("\n\n")[0])
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--part", choices=("val", "test"), default="val")
    parser.add_argument("--lifter", default="", help="weights; none = without; default: what ships")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args(argv)
    model = BodyModel.load()
    offset = definition(model, sorted(args.pictures.glob("train_0*.npz"))[:60])
    net = None if args.lifter == "none" else load(Path(args.lifter) if args.lifter else WEIGHTS)
    rows, kinds = [], []
    for file in sorted(args.pictures.glob(f"{args.part}_*.npz")):
        data = load_picture(file)
        start = time.process_time()
        evidence = evidence_of(data["person"], model, net)
        r = fit(model, evidence)
        seconds = time.process_time() - start
        joints = model.posed(r.pose, r.betas, 1.0, r.translation)[1]
        world = world_of(matrix_from_axis_angle(r.pose))
        size = model.standing_height(r.betas)
        defined = joints + size * np.stack([world[max(p, 0)] @ offset[j] for j, p in enumerate(SMPL_PARENTS)])
        truth = data["joints"]
        angle = np.degrees(np.arccos(np.clip((np.trace(world[0].T @ true_rotations(data)[0]) - 1) / 2, -1, 1)))
        rows.append((*misses(joints[FIT_JOINTS], truth[FIT_JOINTS]), *misses(defined[FIT_JOINTS], truth[FIT_JOINTS]),
                     100 * r.error_px / evidence.size_px, angle, seconds))
        pose = data["shot"].subjects[0].pose
        kinds.append("standing" if _stands(data) else "other")
        if not args.quiet:
            print(f"{file.stem} {pose:30s} yaw {data['shot'].subjects[0].yaw_deg:5.0f} {kinds[-1]:8s} mpjpe {rows[-1][0]:4.0f} pa {rows[-1][1]:4.0f} "
                  f"defined {rows[-1][2]:4.0f} {rows[-1][3]:4.0f} 2d {rows[-1][4]:.2f} root {rows[-1][5]:3.0f}° {seconds:.1f} s", flush=True)
    table, kind = np.array(rows), np.array(kinds)
    for name in ("standing", "other", "all"):
        some = table[(kind == name) | (name == "all")]
        if len(some):
            m = some.mean(0)
            print(f"{name:8s} {len(some):3d}  MPJPE {m[0]:5.1f}  PA {m[1]:5.1f}  defined: MPJPE {m[2]:5.1f}  PA {m[3]:5.1f}  median {np.median(some[:, 2]):5.1f}"
                  f"  2D {m[4]:.2f} %  root {m[5]:.0f}° (median {np.median(some[:, 5]):.0f}°)  {m[6]:.1f} CPU s")
    return 0


def _stands(data: dict) -> bool:
    """Both legs nearly straight and below the body, the trunk upright: by the truth."""
    j = data["joints"]
    up = data["camera_from_world"][:3, 2]
    unit = lambda v: v / np.linalg.norm(v)
    legs = all(unit(j[k] - j[h]) @ -up > 0.9 and unit(j[a] - j[k]) @ unit(j[k] - j[h]) > 0.9 for h, k, a in ((1, 4, 7), (2, 5, 8)))
    return bool(legs and unit(j[12] - j[0]) @ up > 0.94)


if __name__ == "__main__":
    sys.exit(main())
