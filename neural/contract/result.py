"""What a job gives back: the report (report.json) and the hand-over to Blender (result.npz)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from .errors import LikenessError
from .job import JobOptions

VERSION = "0.1.0"

HANDOVER = (
    "name", "vertices", "faces", "uv", "body_uv", "vertex_color", "seen", "weight_joints", "weight_values",
    "joint_names", "parents", "rest_joints", "pose_photo", "camera_from_rest", "pose_a", "surface_vertices",
    "up", "body_vertices", "body_faces", "body_weight_joints", "body_weight_values", "fitted_uv", "height_m", "report",
)
"""Keys of result.npz. Per-corner UVs are (F * 3, 2); rest positions are in frame `body`; `up` is the
world's up in the camera frame; `report` is JSON text."""


@dataclass
class StageReport:
    """One row of report.json's `stages`. `method` says what really ran."""

    name: str
    seconds: float
    peak_mb: float
    method: str
    weights: list[str] = field(default_factory=list)
    cached: bool = False

    def to_json(self) -> dict:
        return {"name": self.name, "seconds": round(self.seconds, 3), "peak_mb": round(self.peak_mb, 1),
                "method": self.method, "weights": self.weights, "cached": self.cached}


@dataclass
class Report:
    """Builder of report.json (design: interfaces that outside checks use)."""

    photo: str
    options: JobOptions
    device: str
    warnings: list[dict] = field(default_factory=list)
    stages: list[StageReport] = field(default_factory=list)
    mesh: dict | None = None
    rig: dict | None = None
    texture: dict | None = None
    error: LikenessError | None = None
    ok: bool = False
    seconds: float = 0.0
    sequence: dict | None = None

    def warn(self, code: str, message: str) -> None:
        """Add a warning once."""
        entry = {"code": code, "message": message}
        if entry not in self.warnings:
            self.warnings.append(entry)

    def to_json(self) -> dict:
        return {
            "version": VERSION, "photo": self.photo, "preset": self.options.preset, "device": self.device,
            "seed": self.options.seed, "ok": self.ok, "error": self.error.to_json() if self.error else None,
            "warnings": self.warnings, "stages": [s.to_json() for s in self.stages], "mesh": self.mesh,
            "rig": self.rig, "texture": self.texture, "seconds": round(self.seconds, 3),
            "options": self.options.to_json(), **({} if self.sequence is None else {"sequence": self.sequence}),
        }


def failed_report(photo: str, options: JobOptions, error: LikenessError, device: str = "none") -> dict:
    """The report of a photo that gave nothing."""
    return Report(photo=photo, options=options, device=device, error=error).to_json()


def whole_report(folder: Path, name: str = "") -> dict | None:
    """The report of a result folder (DIR/<name>/) that is good and of which nothing is missing, else None. name: where the folder has another yet.

    Its `job` is a dict: where the result comes from (journal.Row.stamp), empty in a result of unknown origin."""
    name = name or folder.name
    try:
        report = json.loads((folder / "report.json").read_text("utf-8"))
        if report["ok"] is not True:
            return None
        if any((folder / name).stat().st_size == 0 for name in ("mesh.ply", "albedo.png", f"{name}.blend", f"{name}.glb")):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    job = report.get("job")
    return report | {"job": job if isinstance(job, dict) else {}}
