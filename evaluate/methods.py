"""What is measured: the whole pipeline, the bare fitted body, and an oracle that knows the true depth and normals."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from neural.cache import StageCache
from neural.contract.job import JobOptions
from neural.contract.result import Report
from neural.pipeline import Pipeline, StageRunner
from neural.stages import s01_photo, s02_person, s03_body, s07_points, s09_surface, s10_texture
from neural.stages.s05_parts import Normals
from neural.stages.s06_depth import Depths

from .labels import limbs
from .readers.mesh import Material, Mesh, simple_mesh, smooth_normals
from .render.picture import Shot, true_maps
from .truth import Truth


@dataclass(frozen=True)
class Row:
    """What differs from what ships: JobOptions.depth and texture ("": as asked for), and the last of 2K2K's networks that runs."""

    depth: str = ""
    upto: str = "depth"
    texture: str = ""


PIPELINES = {"pipeline": Row(), "parts": Row(upto="parts"), "coarse": Row(upto="coarse"), "body-prior": Row(depth="body-prior"),
             "mirror": Row(texture="mirror")}
"""Rows that run all stages: as shipped; 2K2K without its high-resolution depth network; without the parts' too; without networks for the shape;
without RefineTex."""

ORACLES = {"oracle": Row(), "oracle-mirror": Row(texture="mirror")}
"""Rows that know the true maps: texture as shipped, and without RefineTex."""

USUAL = ("pipeline", "body", "oracle")
METHODS = (*PIPELINES, "body", *ORACLES)   # the pipeline first: its seconds must not profit from the cache


@dataclass(frozen=True)
class Reconstruction:
    """What a method made of a picture. Camera frame, metres (its own guess of the scale).

    pelvis  (3,) its pelvis, or None.  joints (24, 3) or None.  maps: measures of its intermediate maps, {} if none.
    """

    method: str
    mesh: Mesh
    pelvis: np.ndarray | None
    joints: np.ndarray | None
    seconds: float
    maps: dict = field(default_factory=dict)
    report: dict = field(default_factory=dict)


class Runner:
    """Runs methods on one picture after the other; models stay loaded. Results of shared stages come from a cache."""

    def __init__(self, preset: str, device: str, work: Path, seed: int = 0, depth: str = "auto"):
        self.pipeline = Pipeline(device)
        self.options = JobOptions(preset=preset, device=device, seed=seed, face=False, depth=depth).checked()
        self.work = work

    def run(self, method: str, photo: Path, truth: Truth) -> Reconstruction:
        """One method on one picture file of `truth`. Raises LikenessError like the pipeline itself."""
        began = time.perf_counter()
        if method in PIPELINES:
            return replace(self._pipeline(photo, truth, began, PIPELINES[method]), method=method)
        job, read, person, body = self.fitted(photo, ORACLES.get(method, Row()))
        if method == "body":
            return Reconstruction("body", simple_mesh(body.vertices, body.faces), body.joints[0], body.joints,
                                  time.perf_counter() - began)
        return replace(self._oracle(job, read, person, body, truth, began), method=method)

    def _pipeline(self, photo: Path, truth: Truth, began: float, row: Row) -> Reconstruction:
        models, out = self.pipeline.models, self.work / f"{photo.stem}-{row.depth}-{row.upto}-{row.texture}"
        if models.upto != row.upto:
            models.release()
            models.upto = row.upto
        # what another row has cached was worked out by other networks
        report = self.pipeline.run(photo, out, self._asked(row), cache=self.work / f"cache-{row.upto}")
        return from_folder(out, truth.shot, report, time.perf_counter() - began)

    def _asked(self, row: Row) -> JobOptions:
        return replace(self.options, depth=row.depth or self.options.depth, texture=row.texture or self.options.texture)

    def job(self, photo: Path, row: Row = Row()) -> StageRunner:
        """What runs stages on one picture file; results that are known already come from the cache."""
        options = self._asked(row)
        return StageRunner(options, self.pipeline.device, Report(photo.name, options, self.pipeline.device),
                           lambda *_: None, lambda: False, 2048, StageCache(self.work / "cache-depth"))

    def fitted(self, photo: Path, row: Row = Row()) -> tuple[StageRunner, s01_photo.Photo, s02_person.Person, s03_body.Body]:
        """`job`, and what the stages up to the fitted body make of a picture file."""
        job, nets = self.job(photo, row), self.pipeline.models
        read = job.stage(s01_photo, s01_photo.read_photo, photo, source=photo)
        person = job.stage(s02_person, s02_person.find_person, read, nets.landmarks)
        return job, read, person, job.stage(s03_body, s03_body.fit_body, person, nets.body(self.options.body))

    def _oracle(self, job, read, person, body, truth: Truth, began: float) -> Reconstruction:
        """True maps of the picture through our points, surface and texture."""
        given = true_inputs(truth, person, body, self.pipeline.device)
        points = s07_points.oriented_points(given.person, body, given.normals, given.depths, job.context)
        surface = s09_surface.solve_surface(given.person, body, given.depths, points, job.context)
        texture = s10_texture.paint_texture(read, given.person, body, given.normals, given.depths, surface,
                                            self.pipeline.models, job.context)
        mesh = textured(surface.vertices, surface.faces, texture.uv[texture.uv_faces], texture.albedo)
        return Reconstruction("oracle", mesh, truth.pelvis / given.factor, None, time.perf_counter() - began,
                              report={"warnings": job.report.warnings, "limbs": given.limbs, "surface": surface.method})


@dataclass(frozen=True)
class TrueInputs:
    """What the stages after s06 take, from the true person. limbs: where the limbs' labels come from (labels.limbs).

    factor  the true depth divided by this is the maps' depth: the fitted body stays as it is, so the person is brought to its
            distance, by one factor about the camera, which no picture can tell.
    """

    person: s02_person.Person
    depths: Depths
    normals: Normals
    factor: float
    limbs: str


def true_inputs(truth: Truth, person, body, device: str = "cpu") -> TrueInputs:
    """True depth, normals and limbs on the canvas of `person` (stages.s02_person.Person), and its true mask."""
    mesh = truth.shot.mesh
    side = body.maps.depth_front.shape[0]
    ratio = true_maps(mesh, person.camera.resized(side, side), device).depth_front / body.maps.depth_front
    factor = float(np.nanmedian(ratio))
    limb, source = limbs(mesh, truth.joints, truth.known, replace(body, vertices=body.vertices * factor))
    true = true_maps(mesh, person.camera, device, limb)
    mask = true.mask & person.inside
    front, back = (np.where(mask, z / factor, np.nan).astype(np.float32) for z in (true.depth_front, true.depth_back))
    depths = Depths(front, back, mask, mask.astype(np.float32), "oracle", (), true.limb_front * mask, true.limb_back * mask)
    normals = Normals(true.normal_front * mask[..., None], true.normal_back * mask[..., None], "oracle")
    soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
    return TrueInputs(replace(person, mask=soft), depths, normals, factor, source)


def textured(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, image: np.ndarray) -> Mesh:
    """(V, 3), (F, 3), (F, 3, 2), (T, T, 3) uint8 -> Mesh."""
    faces = faces.astype(np.int32)
    return Mesh(vertices.astype(np.float64), faces, smooth_normals(vertices.astype(np.float64), faces),
                uv.astype(np.float32), np.zeros(len(faces), np.int32), (Material("albedo", image=image),))


def from_folder(out: Path, shot: Shot, report: dict, seconds: float) -> Reconstruction:
    """The pipeline's result as `dev.py run` leaves it, with the errors of its maps against the truth."""
    from .measure import map_measures
    with np.load(out / "result.npz", allow_pickle=False) as z:
        vertices, faces, uv = z["surface_vertices"], z["faces"], z["uv"]
    with np.load(out / "stages/body.npz", allow_pickle=False) as z:
        joints = z["joints"].astype(np.float64)
    image = cv2.imread(str(out / "albedo.png"), cv2.IMREAD_COLOR)[..., ::-1]
    mesh = textured(vertices, faces, uv.reshape(-1, 3, 2), image)
    return Reconstruction("pipeline", mesh, joints[0], joints, seconds, map_measures(out, shot), report)
