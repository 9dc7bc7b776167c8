"""Reads a suite's mesh and brings it into one frame: metres, y up, facing +z, feet at y = 0, faces outward."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import SuiteError
from ..metrics.outside import look_from_outside
from .glb import read_glb
from .mesh import Mesh
from .obj import read_obj

UNITS = {"m": 1.0, "metres": 1.0, "meters": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
_AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
_EXTENT_M = (0.4, 3.2)      # longest side of a person with arms or props; outside: wrong units


def read_mesh(file: Path, up: str = "+y", front: str = "+z", units: str | float = "m") -> Mesh:
    """Read .glb or .obj; `up`, `front` such as "+y", "-z"; `units` a name or metres per unit.

    Handled and said in `notes`: n-gons, missing UVs or textures, several materials, other units, faces without area, inverted
    faces. Raises SuiteError: missing, unreadable or empty file, coordinates that are no numbers, impossible axes, a size that no
    person has.
    """
    file = Path(file)
    if not file.is_file():
        raise SuiteError("suite.mesh-missing", f"The suite names the mesh '{file.name}', which is not there.",
                         "Put the file beside index.json or take the item out.")
    kind = file.suffix.lower()
    if kind not in (".glb", ".obj"):
        raise SuiteError("suite.mesh-kind", f"The mesh '{file.name}' is neither .glb nor .obj.",
                         "Convert it to .glb (one file, textures embedded).")
    mesh = read_glb(file) if kind == ".glb" else read_obj(file)
    mesh = _sound(mesh, file)
    matrix = np.eye(4)
    matrix[:3, :3] = axes(up, front) * scale_of(units)
    mesh = mesh.moved(matrix)
    used = np.unique(mesh.faces)
    size = float(np.ptp(mesh.vertices[used], axis=0).max())
    if not _EXTENT_M[0] <= size <= _EXTENT_M[1]:
        raise SuiteError("suite.mesh-scale", f"The person in '{file.name}' would be {size:.3g} m large.", _unit_hint(size, units))
    low, high = mesh.vertices[used].min(0), mesh.vertices[used].max(0)
    matrix = np.eye(4)
    matrix[:3, 3] = -np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    mesh = mesh.moved(matrix)
    if not mesh.textured:
        mesh = mesh.noted("no texture: colours are not measured")
    shown = len(np.unique(mesh.material))
    if shown > 1:
        mesh = mesh.noted(f"several materials: {shown}, each face is drawn with its own")
    if scale_of(units) != 1.0:
        mesh = mesh.noted(f"scale: the file's unit is {scale_of(units):g} m")
    return outward(mesh)


def _sound(mesh: Mesh, file: Path) -> Mesh:
    """Without faces that have no area; vertices that are no numbers are an error."""
    if not np.isfinite(mesh.vertices[np.unique(mesh.faces)]).all():
        raise SuiteError("suite.mesh-damaged", f"The mesh '{file.name}' has coordinates that are no numbers.", "Export it again.")
    corner = mesh.vertices[mesh.faces]
    size = max(float(np.ptp(corner.reshape(-1, 3), axis=0).max()), 1e-300)
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]) / size ** 2, axis=1)
    flat = ~(area > 1e-12)
    if flat.all():
        raise SuiteError("suite.mesh-empty", f"The mesh '{file.name}' has no face with any area.", "Export it again.")
    mesh = replace(mesh, normals=np.nan_to_num(mesh.normals), uv=np.nan_to_num(mesh.uv))
    return mesh.kept(~flat).noted(f"degenerate faces: {int(flat.sum())} without area were left out") if flat.any() else mesh


def _unit_hint(size_m: float, units: str | float) -> str:
    """What to write into index.json so that the person gets a person's size."""
    raw = size_m / scale_of(units)
    fits = [name for name in ("m", "cm", "mm", "dm", "in", "ft") if 1.0 <= raw * UNITS[name] <= 2.3]
    return f'Give the file\'s unit in index.json, for example "units": "{fits[0] if fits else "cm"}".'


def outward(mesh: Mesh) -> Mesh:
    """The mesh with its faces turned outward where most of what is seen from outside shows its back."""
    seen = look_from_outside(mesh.vertices, mesh.faces, directions=12, size=160)
    share = seen.front_facing
    if share >= 0.5:
        return mesh if share > 0.95 else mesh.noted(f"mixed faces: {1 - share:.0%} of what is seen shows its back")
    return mesh.turned_over().noted("inverted normals: the faces looked inward and were turned over")


def axes(up: str, front: str) -> np.ndarray:
    """(3, 3) rotation from the file's axes to y up, facing +z."""
    u, f = _axis(up), _axis(front)
    if abs(u @ f) > 0.5:
        raise SuiteError("suite.axes", f"A person cannot have up '{up}' and front '{front}' at once.",
                         'Give two different axes, for example "up": "+z", "front": "-y".')
    return np.stack([np.cross(u, f), u, f])


def _axis(text: str) -> np.ndarray:
    name = str(text).strip().lower()
    sign = -1.0 if name.startswith("-") else 1.0
    if name.lstrip("+-") not in _AXES:
        raise SuiteError("suite.axes", f"'{text}' is not an axis.", 'Use "+x", "-x", "+y", "-y", "+z" or "-z".')
    return sign * np.array(_AXES[name.lstrip("+-")], float)


def scale_of(units: str | float) -> float:
    """Metres per unit."""
    value = UNITS.get(units.lower()) if isinstance(units, str) else units
    if not isinstance(value, (int, float)) or not value > 0:
        raise SuiteError("suite.units", f"'{units}' is not a unit of length.",
                         f"Use one of {', '.join(UNITS)}, or the number of metres in one unit.")
    return float(value)
