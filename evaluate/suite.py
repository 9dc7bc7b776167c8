"""A suite: a folder with index.json and meshes. The format is described in docs/evaluation.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neural.contract.joints import JOINT

from .errors import SuiteError
from .readers import Mesh, read_mesh
from .readers.check import axes, scale_of
from .render.shade import holes_cut

REQUIRED = ("name", "file", "height_m", "licence", "kind")


@dataclass(frozen=True)
class Item:
    """One person of a suite.

    joints  SMPL joint name -> (x, y, z) in the file's own axes and units, or {} when unknown.
    yaw_deg the person is photographed turned by this.
    """

    name: str
    file: Path
    height_m: float
    licence: str
    kind: str
    up: str = "+y"
    front: str = "+z"
    units: str | float = "m"
    yaw_deg: float = 0.0
    joints: dict[str, list[float]] = field(default_factory=dict)

    def mesh(self) -> Mesh:
        """Read, brought into the suite frame, transparent parts cut. Raises SuiteError."""
        return holes_cut(read_mesh(self.file, self.up, self.front, self.units))

    def joint_array(self) -> tuple[np.ndarray, np.ndarray]:
        """(24, 3) float64 in the file's frame, (24,) bool known."""
        out, known = np.zeros((24, 3)), np.zeros(24, bool)
        for name, place in self.joints.items():
            if name in JOINT:
                out[JOINT[name]], known[JOINT[name]] = place, True
        return out, known


@dataclass(frozen=True)
class Suite:
    """name of the folder; about one sentence; items in the order of the index."""

    name: str
    about: str
    items: tuple[Item, ...]


def read_suite(folder: Path) -> Suite:
    """Read and check index.json. Raises SuiteError (missing, not JSON, missing fields, same name twice)."""
    index = Path(folder) / "index.json"
    if not index.is_file():
        raise SuiteError("suite.missing", f"The folder '{folder}' holds no index.json.",
                         "Give the folder of a suite; docs/evaluation.md says how to make one.")
    try:
        data = json.loads(index.read_text("utf-8"))
        rows = list(data["items"])
    except (ValueError, KeyError, TypeError) as exc:
        raise SuiteError("suite.index", f"The index of '{folder}' cannot be read.",
                         'It must be JSON of the form {"about": …, "items": […]}.', str(exc)) from exc
    if isinstance(data["items"], dict):
        raise SuiteError("suite.index", f"The items of '{folder}' are no list.", 'It must be JSON of the form {"about": …, "items": […]}.')
    items = tuple(_item(Path(folder), row, number) for number, row in enumerate(rows))
    if not items:
        raise SuiteError("suite.empty", f"The suite '{folder}' holds no items.", "Add a mesh to index.json.")
    names = [i.name for i in items]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SuiteError("suite.index", f"The suite has two items called '{twice[0]}'.", "Give every item its own name.")
    return Suite(Path(folder).resolve().name, str(data.get("about", "")), items)


def _item(folder: Path, row: dict, number: int) -> Item:
    missing = [k for k in REQUIRED if not isinstance(row, dict) or k not in row]
    if missing:
        raise SuiteError("suite.index", f"Item {number} of the suite lacks {', '.join(missing)}.",
                         f"Every item needs {', '.join(REQUIRED)}.")
    name = row["name"]
    for key in ("name", "file", "licence", "kind"):
        if not isinstance(row[key], str) or not row[key]:
            raise SuiteError("suite.index", f"The {key} of item {number} is {row[key]!r}.", "Give a text that is not empty.")
    height = _number(row["height_m"])
    if height is None or not 0.4 <= height <= 2.8:
        raise SuiteError("suite.index", f"The height of '{name}' is {row['height_m']!r}.",
                         "Give the person's standing height in metres, between 0.4 and 2.8.")
    file = folder / row["file"]
    if not file.resolve().is_relative_to(folder.resolve()):
        raise SuiteError("suite.index", f"The file of '{name}' lies outside the suite.", "Put the mesh into the suite's folder.")
    yaw = _number(row.get("yaw_deg", 0.0))
    if yaw is None:
        raise SuiteError("suite.index", f"The yaw_deg of '{name}' is {row['yaw_deg']!r}.", "Give an angle in degrees.")
    up, front, units = row.get("up", "+y"), row.get("front", "+z"), row.get("units", "m")
    axes(up, front)
    scale_of(units)
    joints = row.get("joints") or {}
    if isinstance(joints, str):
        joints = _joints_file(folder / joints)
    return Item(name, file, height, row["licence"], row["kind"], up, front, units, yaw, _joints(joints, name))


def _joints(joints: dict, name: str) -> dict[str, list[float]]:
    """Checked: a place of three numbers each; names that SMPL has not are kept but not used."""
    places = joints.items() if isinstance(joints, dict) else [("joints", None)]
    for joint, place in places:
        if not isinstance(place, (list, tuple)) or len(place) != 3 or any(_number(x) is None for x in place):
            raise SuiteError("suite.joints", f"The joint '{joint}' of '{name}' is {place!r}.", "Give three numbers in the file's axes and units.")
    return dict(joints)


def _number(value) -> float | None:
    """A finite number, or None."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if good else None


def _joints_file(path: Path) -> dict:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as exc:
        raise SuiteError("suite.joints", f"The joints '{path.name}' cannot be read.",
                         "Give a JSON object of SMPL joint names and positions.", str(exc)) from exc
