"""Sequences measured on films of evaluate/film: the motion fitted over all frames against every frame fitted alone; texture by number of views.

    python -m evaluate.sequence FILM... [--views] [--out FILE.json]

acceleration error (Kanazawa et al. 2019, m/s2), MPJPE (pelvis on pelvis) and PA-MPJPE (mm), how far feet slide from frame to frame against the
truth (mm), root error (mm, against the mean offset: one camera does not show distance), all at the true height; with --views also the share of the surface that is textured from pictures, by number of views.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from neural.body.fit import fit
from neural.context import Context
from neural.contract.errors import LikenessError
from neural.contract.job import JobOptions
from neural.contract.joints import JOINT
from neural.models import Models
from neural.pipeline import Pipeline
from neural.sequence.fit import fit_sequence
from neural.sequence.frames import open_frames
from neural.sequence.observe import voted
from neural.sequence.run import whole_evidence
from neural.sequence.watch import watch

from .metrics.align import procrustes


FEET = [JOINT[f"{side}_{name}"] for side in ("left", "right") for name in ("ankle", "foot")]


def joints_of(model, poses, betas, translations, height_m: float) -> np.ndarray:
    """(N, 24, 3) camera metres of bodies scaled to the true height. betas (N, B)."""
    out = []
    for pose, beta, move in zip(poses, betas, translations):
        k = height_m / model.standing_height(beta)
        out.append(model.posed(pose, beta, k, k * move)[1])
    return np.stack(out)


def errors(joints: np.ndarray, truth: np.ndarray, fps: float) -> dict[str, float]:
    """The numbers of one row."""
    second = lambda x: (x[2:] - 2 * x[1:-1] + x[:-2]) * fps ** 2                   # noqa: E731
    own = lambda x: x - x[:, :1]                                                   # noqa: E731
    root = joints[:, 0] - truth[:, 0]
    aligned = [np.linalg.norm(procrustes(a, b)(a) - b, axis=1).mean() for a, b in zip(joints, truth)]
    return {"acceleration_m_s2": float(np.linalg.norm(second(joints) - second(truth), axis=2).mean()),
            "mpjpe_mm": 1000 * float(np.linalg.norm(own(joints) - own(truth), axis=2).mean()),
            "pa_mpjpe_mm": 1000 * float(np.mean(aligned)),
            "slide_mm": 1000 * float(np.linalg.norm(np.diff(joints[:, FEET] - truth[:, FEET], axis=0), axis=2).mean()),
            "root_mm": 1000 * float(np.linalg.norm(root - root.mean(0), axis=1).mean())}


def motion(film: Path) -> dict:
    """Rows "single" (s03 on each frame) and "sequence" of one film."""
    with np.load(film / "truth.npz") as truth:
        joints, height, fps = truth["joints"], float(truth["height_m"]), float(truth["fps"])
    nets, frames = Models("cpu"), open_frames(film, fps=fps)
    model, context = nets.body(None), Context(JobOptions(preset="draft", sequence="animated", fps=fps))
    watched = watch(frames, nets.landmarks, model, context, lambda share: None)
    if any(o is None for o in watched.seen):
        raise LikenessError("evaluate.film", "The person was not found in every frame of this film.", "Take another seed.")
    bare = voted([o.bare for o in watched.seen])
    found = fit_sequence(model, [lambda o=o, v=v: whole_evidence(o, v) for o, v in zip(watched.seen, bare)], frames.times, watched.score)
    alone = [fit(model, o.evidence()) for o in watched.seen]
    single = joints_of(model, [f.pose for f in alone], [f.betas for f in alone], [f.translation for f in alone], height)
    whole = joints_of(model, found.poses, [found.betas] * len(frames), found.translations, height)
    betas = np.stack([f.betas for f in alone])
    return {"film": film.name, "frames": len(frames), "fps": fps, "used": int(found.used.sum()), "single": errors(single, joints, fps),
            "sequence": errors(whole, joints, fps), "betas_spread_single": float(betas.std(0).mean())}


def views(film: Path) -> dict:
    """Share of the surface that is textured from pictures after 0, 1, 2 … other frames."""
    with tempfile.TemporaryDirectory() as folder:
        report = Pipeline("cpu").run(film, Path(folder), JobOptions(preset="draft", device="cpu", sequence="animated"))
    return report["sequence"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="evaluate.sequence", description=__doc__.split("\n\n")[0])
    parser.add_argument("films", nargs="+", type=Path, metavar="FILM")
    parser.add_argument("--views", action="store_true", help="also run the whole sequence and show the texture's coverage")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    args = parser.parse_args(argv)
    rows = []
    for film in args.films:
        try:
            row = motion(film)
            if args.views:
                row["views"] = views(film)
        except LikenessError as error:
            print(f"{film}: {error.message} {error.remedy}", file=sys.stderr)
            return 2
        rows.append(row)
        print(f"{film.name}: {row['frames']} frames at {row['fps']:g} a second", flush=True)
        for name in ("single", "sequence"):
            print(f"  {name:9} " + "  ".join(f"{k} {v:.2f}" for k, v in row[name].items()), flush=True)
        if args.views:
            print(f"  seen by pictures {row['views']['seen_by_views']}, best frame {row['views']['best']}, views {row['views']['views']}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
