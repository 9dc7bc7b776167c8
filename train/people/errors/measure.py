"""What s02 and s03 get wrong on the pictures of `collect`, as statistics.npz; and how near the imitation comes to it.

    python -m train.people.errors.measure --pictures FOLDER [--out FILE.npz]     measure (default: what ships)
    python -m train.people.errors.measure --pictures FOLDER --compare            the measured beside the imitated, a table
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from ..types import Cameras
from .body import fitted, limbs
from .bones import bone_vectors, frames, log, mirror_turns, standing_height, to_ray, view_of
from .border import GROUPS, Border, border_of, summary
from .collect import Case
from .definition import definition, redefined
from .mask import damaged
from .statistics import FILE, VIEWS, Statistics

RANK = 14
"""Factors kept of the body's errors."""
POOLED = 40
"""Pictures' worth of weight that all views together have in the covariance of each."""


def true_pixels(case: Case) -> np.ndarray:
    """(24, 2) the true joints on the canvas."""
    return case.true_joints[:, :2] / case.true_joints[:, 2:] * case.true_focal + case.centre


def borders(cases: list[Case], masks: list[np.ndarray] | None = None) -> list[Border]:
    """Of s02's masks, or of other ones (S, S) in [0, 1]."""
    masks = masks or [c.mask / 255.0 for c in cases]
    return [border_of(m, c.true_mask / 255.0, c.crop, c.inside, true_pixels(c)) for m, c in zip(masks, cases)]


def stacked(cases: list[Case], seen: bool) -> dict[str, torch.Tensor]:
    """rotations, betas, scale, joints, focal of all cases: s03's or the true ones."""
    get = lambda n: torch.tensor(np.stack([getattr(c, n if seen else f"true_{n}") for c in cases])).float()
    out = {n: get(n) for n in ("rotations", "betas", "scale", "joints", "focal")}
    return out | {"betas": out["betas"][:, :10], "centre": torch.tensor(np.stack([c.centre for c in cases])).float()}


def body_errors(true: dict, seen: dict) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Errors (N, 85) as `Statistics` defines them but for the betas (plain differences), view (N,), left (N,), reprojection (N, 24, 2)."""
    at = true["joints"][:, 0, :2] / true["joints"][:, 0, 2:]
    rays = [to_ray(torch.cat([at * (true["focal"] / k["focal"])[:, None], torch.ones(len(at), 1)], 1)) for k in (true, seen)]
    straight, other = (r[:, None] @ k["rotations"] for r, k in zip(rays, (true, seen)))
    turns = torch.einsum("pjab,pja->pjb", frames(straight), log(other @ straight.mT))
    person = standing_height(true["betas"]) * true["scale"] * true["focal"] / true["joints"][:, 0, 2]
    flat = [k["joints"][..., :2] / k["joints"][..., 2:] * k["focal"][:, None, None] for k in (true, seen)]
    miss = (flat[1] - flat[0]) / person[:, None, None]
    lengths = [limbs(bone_vectors(k["rotations"], k["betas"], k["scale"])) for k in (true, seen)]
    depth = torch.log(seen["joints"][:, 0, 2] / true["joints"][:, 0, 2] * true["focal"] / seen["focal"] * lengths[0] / lengths[1])
    view, left = view_of(straight[:, 0])
    rows = torch.cat([turns.flatten(1), seen["betas"] - true["betas"], miss[:, 0], depth[:, None]], 1)
    return rows, view, left, miss


def measure(cases: list[Case]) -> Statistics:
    """All numbers."""
    found = borders(cases)
    s = summary(found)
    clear = s["mean |offset| clear"]
    gain = [max(s[f"mean |offset| {n}"] / clear, 1.0) for n in ("alike", "unclear", "clear")]
    rate = lambda n: np.array([s[f"{n} at {g}"] for g in GROUPS])
    size = lambda n: np.log(np.concatenate([getattr(b, n) for b in found])[:, 0])
    true, seen = stacked(cases, False), stacked(cases, True)
    rows, view, left, miss = body_errors(true, seen)
    keep = ((true["betas"] - true["betas"].mean(0)) * (seen["betas"] - seen["betas"].mean(0))).sum(0)
    keep = (keep / (true["betas"] - true["betas"].mean(0)).square().sum(0)).clamp(0, 1)
    rows[:, 72:82] = seen["betas"] - keep * true["betas"]
    back = rows.clone()
    back[:, :72] = mirror_turns(rows[:, :72].view(-1, 24, 3)).flatten(1)
    back[:, 82] *= -1
    mean, spread, factors, rest = _covariance(rows, back, view, left)
    place = torch.tensor(np.stack([true_pixels(c) for c in cases]))
    shown = ((place > 0) & (place < len(cases[0].mask))).all(-1)
    even = rows[:, :72] / torch.as_tensor(spread)[view][:, :72]
    tails = _tails(even)
    flat = torch.stack([miss[:, j][shown[:, j]].clamp(-0.06, 0.06).square().mean().sqrt() for j in range(24)])
    offsets = [s[k] for k in ("bias", "bias spread", "offset spread clear", "spread of log spread", "kurtosis")]
    return Statistics(*offsets, np.array(gain), s["soft width"],
                      rate("lost"), rate("added"), *(np.array([size(n).mean(), size(n).std()]) for n in ("lost", "added")),
                      mean, spread, factors, rest, keep.numpy(), flat.numpy(), tails, np.array([len(found), len(rows)]))


def _tails(even: torch.Tensor) -> np.ndarray:
    """Standardised errors (N, 72) -> spread of the log of a factor by picture, and by joint: what the kurtosis asks for beyond that."""
    picture = float(even.square().mean(1).sqrt().log().std())
    kurtosis = float((even ** 4).mean() / even.square().mean() ** 2)
    return np.array([picture, np.sqrt(max(np.log(kurtosis / 3) / 4 - picture ** 2, 0.0))])


def _covariance(rows: torch.Tensor, back: torch.Tensor, view: torch.Tensor, left: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Mean, spread (3, 85), factors (3, 85, RANK), rest (3, 85); front and back views count mirrored as well, side views all face right."""
    sets = []
    for v in range(3):
        both = torch.where(left[:, None], back, rows)[view == v]
        sets.append(both if v == 1 else torch.cat([both, back[view == v]]))
    pooled = torch.cat([s - s.mean(0) for s in sets])
    mean, spread, factors, rest = [], [], [], []
    for v, s in enumerate(sets):
        count = len(s) / (1 if v == 1 else 2)
        trust = count / (count + POOLED)
        middle = s - s.mean(0)
        cover = trust * middle.T @ middle / max(len(s) - 1, 1) + (1 - trust) * pooled.T @ pooled / len(pooled)
        std = cover.diagonal().sqrt().clamp(min=1e-5)
        value, vector = torch.linalg.eigh(cover / std[:, None] / std)
        top = vector[:, -RANK:] * value[-RANK:].clamp(min=0).sqrt()
        mean.append(s.mean(0)), spread.append(std), factors.append(top), rest.append((1 - top.square().sum(1)).clamp(min=0).sqrt())
    return tuple(torch.stack(k).numpy() for k in (mean, spread, factors, rest))


def imitate(cases: list[Case], statistics: Statistics, seed: int = 0) -> tuple[list[np.ndarray], dict]:
    """Masks and bodies that the imitation makes of the same truth, in the form of `borders` and `stacked`."""
    masks = []
    for i, c in enumerate(cases):
        one = lambda a: torch.tensor(np.asarray(a), dtype=torch.float32)[None]
        picture, seeds = one(c.crop / 255.0).permute(0, 3, 1, 2), torch.tensor([seed + i])
        m = damaged(one(c.true_mask / 255.0), picture, seeds, one(true_pixels(c)), statistics=statistics)
        masks.append((m[0].numpy() * c.inside).astype(np.float32))
    t, n = stacked(cases, False), len(cases)
    view = Cameras(torch.eye(3).expand(n, 3, 3), torch.zeros(n, 3), t["focal"], t["centre"], len(cases[0].mask))
    f = fitted(t["rotations"], t["betas"], t["scale"], t["joints"], view, torch.arange(n) + seed + 1000, stacked(cases, True)["focal"],
               statistics=statistics)
    return masks, {"rotations": f.rotations, "betas": f.betas, "scale": f.scale, "joints": f.joints, "focal": f.view.focal}


def body_summary(true: dict, seen: dict) -> dict[str, float]:
    """Degrees, per cent, millimetres: what bodies are compared by."""
    rows, view, _, miss = body_errors(true, seen)
    turns = torch.rad2deg(rows[:, :72].view(-1, 24, 3))
    out = {}
    groups = {"pelvis": [0], "spine3": [9], "hips": [1, 2], "knees": [4, 5], "ankles": [7, 8], "shoulders": [16, 17], "elbows": [18, 19],
              "wrists": [20, 21], "head": [15]}
    for name, js in groups.items():
        for k, axis in enumerate(("along", "depth", "picture")):
            out[f"{name} {axis} rms deg"] = float(turns[:, js, k].square().mean().sqrt())
    for v, name in enumerate(VIEWS):
        out[f"thigh and shin depth {name} rms deg"] = float(turns[view == v][:, [1, 2, 4, 5], 1].square().mean().sqrt())
    out["knee depth follows hip"] = _follows(turns[:, [1, 2], 1], turns[:, [4, 5], 1])
    out["elbow depth follows shoulder"] = _follows(turns[:, [16, 17], 1], turns[:, [18, 19], 1])
    out["betas rms"] = float((seen["betas"] - true["betas"]).square().mean().sqrt())
    out["2D miss median % of height"] = 100 * float(miss.norm(dim=-1).median())
    out["2D miss 90 % quantile"] = 100 * float(miss.norm(dim=-1).quantile(0.9))
    out["log depth rms"] = float(rows[:, 84].square().mean().sqrt())
    a, b = ([k["joints"] - k["joints"][:, :1] for k in (true, seen)])
    long = [limbs(bone_vectors(k["rotations"], k["betas"], k["scale"]))[:, None, None] for k in (true, seen)]
    a, b, whole = a / long[0], b / long[1], float(long[0].mean())
    out["MPJPE mm (same size, pelvis on pelvis)"] = 1000 * whole * float((a - b).norm(dim=-1).mean())
    out["of it in depth"] = 1000 * whole * float((a - b)[..., 2].abs().mean())
    return out


def _follows(parent: torch.Tensor, child: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([parent.flatten(), child.flatten()]))[0, 1])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.errors.measure", description=__doc__.split("\n\n")[0])
    parser.add_argument("--pictures", type=Path, required=True, help="folder of train.people.errors.collect")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--compare", action="store_true")
    args = parser.parse_args(argv)
    cases = [Case.load(p) for p in sorted(args.pictures.glob("*.npz"))]
    if not cases:
        print(f"There are no pictures in {args.pictures}. Make some with train.people.errors.collect.", file=sys.stderr)
        return 2
    cases = redefined(cases, definition(cases))
    if not args.compare:
        measure(cases).save(args.out)
        print(f"{len(cases)} pictures, {args.out.stat().st_size} bytes")
        return 0
    masks, bodies = imitate(cases, Statistics.read(args.out))
    true = stacked(cases, False)
    for title, a, b in (("mask", summary(borders(cases)), summary(borders(cases, masks))),
                        ("body", body_summary(true, stacked(cases, True)), body_summary(true, bodies))):
        print(f"{title:42s} measured  imitated")
        for k in a:
            print(f"{k:42s} {a[k]:8.4f}  {b[k]:8.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
