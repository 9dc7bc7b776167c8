"""Goes through a suite: picture, methods, measures, pictures of errors."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from neural.contract.errors import CancelledError, LikenessError, internal
from neural.contract.result import VERSION

from .degrade import KINDS, shot_of
from .measure import measure
from .methods import METHODS, USUAL, Runner
from .pictures import sheet
from .render.camera import ShotConfig
from .suite import Item, Suite, read_suite
from .table import PROTOCOL, markdown, mean_rows, said, stage_table
from .truth import MeasureConfig, prepare

LONG_SIDE = {"draft": 768, "standard": 1280, "high": 2560}


@dataclass(frozen=True)
class Options:
    """What `dev.py evaluate` was asked for."""

    suite: Path
    preset: str = "standard"
    limit: int | None = None
    out: Path | None = None
    pictures: Path | None = None
    methods: tuple[str, ...] = USUAL
    quick: bool = False
    device: str = "auto"
    seed: int = 0
    degrade: str = "none"
    depth: str = "auto"


def evaluate(options: Options) -> dict:
    """Measure a suite; prints a table at the end, one line an item on stderr meanwhile. Returns what the JSON holds."""
    suite = read_suite(options.suite)
    items = suite.items[:options.limit]
    config = MeasureConfig.quick() if options.quick else MeasureConfig()
    shot_config = ShotConfig(long_side=LONG_SIDE[options.preset])
    clock = _Clock()
    results: list[dict] = []
    with tempfile.TemporaryDirectory(prefix="likeness-evaluate-") as folder:
        runner = Runner(options.preset, options.device, Path(folder), options.seed, options.depth)
        for number, item in enumerate(items):
            for kind in KINDS if options.degrade == "all" else (options.degrade,):
                results += _item(item, number, len(items), kind, options, shot_config, config, runner, Path(folder))
                _write(options, suite, results, config, shot_config, runner, clock)
    result = _write(options, suite, results, config, shot_config, runner, clock)
    print(result["markdown"], flush=True)
    return result


class _Clock:
    """Seconds since it was made: of the wall, and of all cores together."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def _item(item: Item, number: int, of: int, kind: str, options: Options, shot_config: ShotConfig, config: MeasureConfig,
          runner: Runner, folder: Path) -> list[dict]:
    """All methods on one person. A person that cannot be read or rebuilt is a row with its error."""
    tail = "" if kind == "none" else f", {kind}"
    base = {"item": item.name, "kind": item.kind, "licence": item.licence, "degrade": kind}
    device = runner.pipeline.device if runner.pipeline.device == "cuda" else "cpu"
    try:
        mesh = item.mesh()
        shot = shot_of(mesh, replace(shot_config, yaw_deg=item.yaw_deg), kind, number, device)
        truth = prepare(shot, item.height_m, *item.joint_array(), config, device)
    except Exception as exc:                                   # noqa: BLE001  the other persons are measured all the same
        return [{**base, "method": m + tail, "numbers": None, "error": _said(exc, item.name)} for m in options.methods]
    photo = folder / f"{number:03d}-{_safe(item.name)}-{kind}.png"
    cv2.imwrite(str(photo), shot.rgb[..., ::-1])
    rows = []
    for method in sorted(options.methods, key=METHODS.index):
        row = {**base, "method": method + tail, "numbers": None, "error": None, "notes": list(shot.mesh.notes)}
        try:
            ours = runner.run(method, photo, truth)
            measured = measure(truth, ours, config, device)
            row["numbers"] = dict(measured.numbers)
            row["stages"] = ours.report.get("stages", [])
            if row["stages"]:                                  # the others start from the pipeline's cached stages
                row["numbers"]["seconds"] = ours.seconds
            row["warnings"] = ours.report.get("warnings", [])
            row |= {k: ours.report[k] for k in ("limbs", "surface") if k in ours.report}
            numbers = row["numbers"]
            title = (f"{item.name} | {method}{tail} | {options.preset} | aligned P2S {numbers['aligned_p2s_cm']:.2f} S2P "
                     f"{numbers['aligned_s2p_cm']:.2f} cm, normals {numbers['aligned_normal_front_deg']:.1f} / "
                     f"{numbers['aligned_normal_back_deg']:.1f} deg, silhouette {numbers['silhouette_iou']:.3f}")
            print(f"[{number + 1}/{of}] {title}  ({ours.seconds:.0f} s)", file=sys.stderr, flush=True)
            if options.pictures:
                sheet(options.pictures / f"{_safe(item.name)}-{method}{_safe(tail)}.png", truth, ours, measured, title, device)
        except CancelledError:
            raise
        except Exception as exc:                               # noqa: BLE001
            row["error"] = _said(exc, item.name)
        rows.append(row)
    return rows


def _said(exc: Exception, name: str) -> dict:
    error = exc if isinstance(exc, LikenessError) else internal(exc, traceback.format_exc())
    trace = "" if exc is error else f"\n{error.trace}"
    print(f"{name}: {error.message} {error.remedy}{trace}", file=sys.stderr, flush=True)
    return {**error.to_json(), "trace": error.trace}


def _write(options: Options, suite: Suite, results: list[dict], config: MeasureConfig, shot: ShotConfig,
           runner: Runner, clock: _Clock) -> dict:
    """The JSON so far (kept after every person, so that a long run can be stopped)."""
    means = mean_rows(results)
    persons = len({r["item"] for r in results})
    wall, cpu = clock.read()
    head = (f"### {suite.name}: {persons} persons, preset {options.preset}, device {runner.pipeline.device}, "
            + f"version {VERSION}"
            + (f", pictures degraded: {options.degrade}" if options.degrade != "none" else "")
            + f"; {wall:.0f} s, {cpu:.0f} s of CPU"
            + ("\n\n*quick: fewer samples, smaller pictures; compare only with other quick runs*" if options.quick else "")
            + f"\n\n{suite.about}\n\n"
            + PROTOCOL.format(fov=shot.fov_deg, eye=shot.eye, fill=shot.fill, voxel=100 * config.voxel_m))
    worst = sorted((r for r in results if r["method"] == "pipeline" and r["numbers"]),
                   key=lambda r: -r["numbers"]["aligned_chamfer_cm"])
    data = {"version": VERSION, "suite": suite.name, "about": suite.about, "preset": options.preset,
            "device": runner.pipeline.device, "seed": options.seed, "quick": options.quick, "degrade": options.degrade,
            "seconds": wall, "cpu_seconds": cpu,
            "command": command(options), "head": head,
            "protocol": {"shot": vars(shot), "measure": vars(config)}, "means": means,
            "worst": [r["item"] for r in worst[:3]], "results": results,
            "markdown": markdown(means, head) + said(results) + stage_table(results)}
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(_plain(data), indent=1), "utf-8")
    return data


def command(options: Options) -> str:
    """What was asked for, as a line that can be given again (folders by their names)."""
    parts = ["python3 dev.py evaluate", f"--suite {Path(options.suite).resolve().name}", f"--preset {options.preset}"]
    parts += [f"--limit {options.limit}"] if options.limit else []
    parts += [f"--methods {','.join(options.methods)}"] if tuple(options.methods) != USUAL else []
    parts += ["--quick"] if options.quick else []
    parts += [f"--depth {options.depth}"] if options.depth != "auto" else []
    parts += [f"--degrade {options.degrade}"] if options.degrade != "none" else []
    parts += [f"--seed {options.seed}"] if options.seed else []
    return " ".join(parts)


def _plain(value):
    """NaN becomes null: the file is valid JSON for every reader."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
