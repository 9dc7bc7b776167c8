"""One photo in, one rigged and textured person out: reads top to bottom like the data flow."""

from __future__ import annotations

import time
import typing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

import torch

from .cache import StageCache, photo_key, stage_key
from .context import Context
from .contract.errors import OptionError
from .contract.job import JobOptions
from .contract.result import Report, StageReport
from .memory import peak_mb, reset_peak
from .models import Models
from .output import write_result
from .sequence.run import Sequence
from .stages import s01_photo, s02_person, s03_body, s04_coarse, s05_parts, s06_depth
from .stages import s07_points, s09_surface, s10_texture, s11_rig


@dataclass(frozen=True)
class Made:
    """What the stages after the body have made of a picture."""

    normals: s05_parts.Normals
    depths: s06_depth.Depths
    surface: s09_surface.Surface
    texture: s10_texture.Texture
    rig: s11_rig.Rig


class Pipeline:
    """Holds the loaded models between photos. One photo at a time."""

    def __init__(self, device: str = "auto"):
        self.device = resolve_device(device)
        self.models = Models(self.device)

    def run(self, photo: Path, out_dir: Path, options: JobOptions,
            progress: Callable[[str, float, float], None] = lambda *_: None,
            cancelled: Callable[[], bool] = lambda: False, tile: int = 2048, cache: Path | None = None,
            warnings: tuple[tuple[str, str], ...] = ()) -> dict:
        """Process one photo, or the frames of one person where the options say so; the files go into out_dir (made if missing). Returns the report as a dict.

        Raises LikenessError; then out_dir holds nothing that looks finished (report.json comes last).
        """
        wanted = resolve_device(options.device)
        if wanted != self.device:
            self.release()
            self.device, self.models = wanted, Models(wanted)
        if options.surface != "depth":
            raise OptionError("option.surface-unavailable",
                              f"The surface '{options.surface}' has no trained network in this version.",
                              "Use the surface 'depth'.")
        self.models.two_k_file(options.depth)        # says now, not after the body's fit, that weights are missing
        self.models.refinetex_file(options.texture)
        began = time.perf_counter()
        report = Report(photo.name, options, self.device)
        for code, message in warnings:               # what the worker had to do before this try
            report.warn(code, message)
        job = StageRunner(options, self.device, report, progress, cancelled, tile, StageCache(cache) if cache else None)
        nets = self.models
        if options.sequence is not None:
            return Sequence(self, job, photo, StageRunner).run(out_dir, began)

        photo_in = job.stage(s01_photo, s01_photo.read_photo, photo, source=photo)
        person = job.stage(s02_person, s02_person.find_person, photo_in, nets.landmarks)
        body = job.stage(s03_body, s03_body.fit_body, person, nets.body(options.body))
        made = self.person(job, photo_in, person, body)
        report.ok, report.seconds = True, time.perf_counter() - began
        progress("output", 0, 1)
        return write_result(out_dir, photo_in, person, body, made.normals, made.depths, made.surface, made.texture, made.rig, report, began)

    def person(self, job: "StageRunner", photo_in: s01_photo.Photo, person: s02_person.Person, body: s03_body.Body) -> "Made":
        """From the fitted body to the rigged person; what it is goes into the job's report."""
        nets, report = self.models, job.report
        coarse = job.stage(s04_coarse, s04_coarse.coarse_maps, person, body, nets)
        normals = job.stage(s05_parts, s05_parts.part_normals, person, body, coarse, nets)
        depths = job.stage(s06_depth, s06_depth.fine_depth, person, body, coarse, normals, nets)
        points = job.stage(s07_points, s07_points.oriented_points, person, body, normals, depths)
        report.stages.append(StageReport("s08_face", 0.0, 0.0, "none (no network in this version)"))
        surface = job.stage(s09_surface, s09_surface.solve_surface, person, body, depths, points)
        texture = job.stage(s10_texture, s10_texture.paint_texture,
                            photo_in, person, body, normals, depths, surface, nets)
        rig = job.stage(s11_rig, s11_rig.bind_rig, body, surface)

        report.mesh = {"vertices": len(surface.vertices), "faces": len(surface.faces),
                       "watertight": bool(surface.watertight), "height_m": round(float(body.height_m), 4)}
        report.rig = {"joints": len(rig.joint_names)}
        report.texture = {"size": int(texture.albedo.shape[0]), "seen_fraction": round(float(texture.seen_fraction), 4),
                          "psnr_db": round(float(texture.psnr_db), 2),
                          "shading_removed": None if texture.shading is None else round(texture.shading, 3)}
        return Made(normals, depths, surface, texture, rig)

    def release(self) -> None:
        """Drop all models from memory."""
        self.models.release()
        if self.device == "cuda":
            torch.cuda.empty_cache()


class StageRunner:
    """Runs stages: times them, keeps their results, passes the person's options on."""

    def __init__(self, options, device, report, progress, cancelled, tile, cache):
        self.report, self.progress, self.cache = report, progress, cache
        self.context = Context(options, device, warn=report.warn, cancelled=cancelled, tile=tile)
        self.keys: dict[int, str] = {}          # id of a result -> its key
        self.alive: list = []                   # keeps ids unique while the job runs

    def stage(self, module, function, *inputs, source: Path | None = None):
        name = module.NAME
        self.context.check()
        self.progress(name, 0, 1)
        reset_peak()
        began, warned = time.perf_counter(), len(self.report.warnings)
        key = self._key(name, inputs, source)
        found = self.cache.load(key, typing.get_type_hints(function)["return"]) if self.cache else None
        if found:
            result, warnings = found
            for warning in warnings:
                self.report.warn(**warning)
        else:
            context = replace(self.context, progress=lambda done, of: self.progress(name, done, of))
            result = function(*inputs, context)
            if self.cache:
                self.cache.save(key, result, self.report.warnings[warned:])
        self.keys[id(result)] = key
        self.alive.append(result)
        weights = getattr(result, "weights", ())          # names of weight files; a Body's are its skin weights
        self.report.stages.append(StageReport(name, time.perf_counter() - began, peak_mb(), result.method,
                                              list(weights) if isinstance(weights, tuple) else [], bool(found)))
        self.progress(name, 1, 1)
        return result

    def _key(self, name, inputs, source) -> str:
        if not self.cache:
            return ""
        options = self.context.options
        files = tuple(Path(p) for p in {"s02_person": (options.mask,), "s03_body": (options.body,)}.get(name, ()) if p)
        nets = next((i for i in inputs if isinstance(i, Models)), None)
        if nets is not None and name in ("s04_coarse", "s10_texture"):
            file = nets.two_k_file(options.depth) if name == "s04_coarse" else nets.refinetex_file(options.texture)
            files += (file,) if file else ()
        known = [photo_key(source)] if source else [self.keys[id(i)] for i in inputs if id(i) in self.keys]
        return stage_key(name, options, known, files)


def resolve_device(wanted: str) -> str:
    """"auto" -> the best device that is there; a wanted device that is not there is an error."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(d for d in ("cuda", "mps", "cpu") if there[d])
    if not there.get(wanted):
        raise OptionError("option.device-missing", f"This machine offers no device '{wanted}' to the engine.",
                          "Choose the device 'auto' or 'cpu'.")
    return wanted
