"""`python -m evaluate.losses --suite DIR [--preset P] [--limit N] [--out FILE.json]`: what the stages after the depth lose.

The oracle's run again, looked at after every step: the points of s07, the surface of Poisson, its repair, its decimation, the cut
between limbs, the way back from the opened pose. Each is measured where it lies (no alignment, true scale): mean distance to the
true surface seen from outside (P2S), back (S2P), and the mean angle of the normals in the front and the back view.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from neural.contract.errors import LikenessError
from neural.contract.job import PRESETS
from neural.geometry.sampling import thin_out
from neural.stages import s01_photo, s02_person, s03_body, s07_points, s09_surface

from .methods import Runner, true_inputs
from .metrics.closest import Surface
from .metrics.maps import normal_error
from .readers.mesh import smooth_normals
from .render.camera import ShotConfig
from .render.picture import photograph
from .run import LONG_SIDE
from .suite import Item, read_suite
from .truth import MeasureConfig, Shape, Truth, prepare

STEPS = {"screened_poisson_apart": "Poisson", "closed_manifold": "repair", "decimate": "decimation", "separate_parts": "limb cut",
         "carry_back": "arms brought back"}
"""Functions of stages.s09_surface and what their results are called here."""


@contextmanager
def watched(seen: list):
    """While it lasts, the steps of s09 leave (name, vertices, faces) in `seen`; and the way back from the opened pose (or None)."""
    real = {name: getattr(s09_surface, name) for name in (*STEPS, "shares", "open_pose")}

    def note(name):
        def call(*args, **kwargs):
            result = real[name](*args, **kwargs)
            vertices, faces = (result, args[3]) if name == "carry_back" else result[:2]
            seen.append((STEPS[name], np.array(vertices), np.array(faces)))
            return result
        return call

    def keep(name):
        def call(*args, **kwargs):
            result = real[name](*args, **kwargs)
            seen.append((name, result, None))
            return result
        return call

    try:
        for name in STEPS:
            setattr(s09_surface, name, note(name))
        for name in ("shares", "open_pose"):
            setattr(s09_surface, name, keep(name))
        yield
    finally:
        for name, function in real.items():
            setattr(s09_surface, name, function)


def losses(item: Item, number: int, runner: Runner, preset: str, config: MeasureConfig, folder: Path) -> list[dict]:
    """One person: a row {"step", "p2s_cm", "s2p_cm", "normal_front_deg", "normal_back_deg", …} a step."""
    shot = photograph(item.mesh(), replace(ShotConfig(long_side=LONG_SIDE[preset]), yaw_deg=item.yaw_deg), seed=number)
    truth = prepare(shot, item.height_m, *item.joint_array(), config)
    photo = folder / f"{number}.png"
    cv2.imwrite(str(photo), shot.rgb[..., ::-1])
    job = runner.job(photo)
    read = job.stage(s01_photo, s01_photo.read_photo, photo, source=photo)
    person = job.stage(s02_person, s02_person.find_person, read, runner.pipeline.models.landmarks)
    body = job.stage(s03_body, s03_body.fit_body, person, runner.pipeline.models.body(runner.options.body))
    given = true_inputs(truth, person, body)
    points = s07_points.oriented_points(given.person, body, given.normals, given.depths, job.context)
    rows = [_cloud(points, truth, given.factor, kinds, name) for name, kinds in (
        ("points of the maps", (s07_points.FRONT, s07_points.BACK)), ("points of the rim", (s07_points.RIM,)),
        ("points of hidden sides", (s07_points.BODY,)), ("all points", (0, 1, 2, 3)))]
    seen: list = []
    with watched(seen):
        surface = s09_surface.solve_surface(given.person, body, given.depths, points, job.context)
    opening = next((v for name, v, _ in seen if name == "open_pose"), None)
    way = next((v[2] for name, v, _ in seen if name == "shares"), None)
    back = s09_surface.carry_back
    cell = float(np.ptp(points.xyz, axis=0).max()) * 1.1 / 2 ** runner.options.sizes.poisson_depth
    for name, vertices, faces in seen:
        if faces is None or name == STEPS["carry_back"]:
            continue
        if opening is not None:
            vertices = back(opening, way, vertices, faces, 2 * cell)
        rows.append({"step": name, **_surface(vertices, faces, truth, given.factor, config)})
    rows.append({"step": "result", **_surface(surface.vertices, surface.faces, truth, given.factor, config)})
    return [{"item": item.name, "limbs": given.limbs, "opened": list(points.opened), **row} for row in rows]


def _cloud(points, truth: Truth, factor: float, kinds: tuple[int, ...], name: str) -> dict:
    rows = np.isin(points.kind, kinds)
    xyz = truth.normalised(points.xyz[rows] * factor)
    if len(xyz) < 10:
        return {"step": name, "p2s_cm": float("nan"), "s2p_cm": float("nan"), "count": int(rows.sum())}
    xyz = xyz[thin_out(xyz, points.normals[rows], 0.006)]
    from scipy.spatial import cKDTree
    back = cKDTree(xyz).query(truth.shape.samples.xyz)[0]
    return {"step": name, "p2s_cm": 100 * float(truth.shape.surface.closest(xyz)[0].mean()), "s2p_cm": 100 * float(back.mean()),
            "count": int(rows.sum())}


def _surface(vertices, faces, truth: Truth, factor: float, config: MeasureConfig) -> dict:
    """Where it lies: only the factor of the oracle's distance is taken back."""
    own = truth.normalised(np.asarray(vertices, np.float64) * factor)
    shape = Shape.of(own, faces, smooth_normals(own, faces), config)
    views = shape.views(truth.extent_m, config)
    there = truth.shape.surface.closest(shape.samples.xyz)[0]
    back = Surface(own, faces[shape.outside.seen]).closest(truth.shape.samples.xyz)[0]
    return {"p2s_cm": 100 * float(there.mean()), "s2p_cm": 100 * float(back.mean()), "faces": len(faces),
            "s2p_over_1cm": float((back > 0.01).mean()), "p2s_over_1cm": float((there > 0.01).mean()),
            **{f"normal_{v}_deg": normal_error(views[v], truth.views[v]) for v in ("front", "back")}}


def table(rows: list[dict]) -> str:
    """Mean over persons of each step, as Markdown."""
    lines = ["| step | n | P2S cm | S2P cm | of S2P over 1 cm | N front ° | N back ° | triangles |", "| --- |" + " --- |" * 7]
    for step in dict.fromkeys(r["step"] for r in rows):
        mine = [r for r in rows if r["step"] == step]
        def cell(key, form):
            values = [r[key] for r in mine if np.isfinite(r.get(key, np.nan))]
            return form.format(np.mean(values)) if values else "–"
        lines.append(f"| {step} | {len(mine)} | {cell('p2s_cm', '{:.3f}')} | {cell('s2p_cm', '{:.3f}')} | {cell('s2p_over_1cm', '{:.1%}')} | "
                     f"{cell('normal_front_deg', '{:.1f}')} | {cell('normal_back_deg', '{:.1f}')} | {cell('faces', '{:.0f}')} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m evaluate.losses", description=__doc__.split("\n\n")[0])
    p.add_argument("--suite", type=Path, required=True)
    p.add_argument("--preset", choices=PRESETS, default="standard")
    p.add_argument("--limit", type=int)
    p.add_argument("--out", type=Path, metavar="FILE.json")
    args = p.parse_args(argv)
    rows: list[dict] = []
    try:
        suite = read_suite(args.suite)
        with tempfile.TemporaryDirectory(prefix="likeness-losses-") as folder:
            runner = Runner(args.preset, "cpu", Path(folder))
            for number, item in enumerate(suite.items[:args.limit]):
                mine = losses(item, number, runner, args.preset, MeasureConfig(), Path(folder))
                print(f"\n{item.name} (limbs: {mine[0]['limbs']}, opened: {', '.join(mine[0]['opened']) or 'none'})\n{table(mine)}",
                      file=sys.stderr, flush=True)
                rows += mine
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1), "utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
