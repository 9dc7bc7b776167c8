"""Body files become arrays: every name, shape and convention is checked before anything uses them."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

from ..contract.errors import BodyError
from ..contract.joints import JOINT, LANDMARKS, SMPL_PARENTS
from . import guess
from .unpickle import load_arrays

_NEEDED = ("v_template", "shapedirs", "J_regressor", "weights", "f", "kintree_table")
_LIMIT = 1 << 30                                               # bytes unpacked: a body is far smaller
_CHOOSE = "Choose an SMPL model file (.npz or .pkl) with 24 joints."


def _npz(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LIMIT:
            raise BodyError("body.too-large", f"The body file '{path.name}' unpacks to more than 1 GB.", _CHOOSE)
    with np.load(path, allow_pickle=False) as file:
        return {name: _entry(file, name) for name in file.files}


def _entry(file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """One array, when its entry is as long as its header says: else memory would be taken for nothing. ValueError."""
    info = next(i for i in file.zip.infolist() if i.filename in (name, f"{name}.npy"))
    with file.zip.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(stream)
        if math.prod(shape) * kind.itemsize != info.file_size - stream.tell():
            raise ValueError(f"'{name}' is not as long as it says")
    return file[name]


def _raw(path: Path) -> dict[str, object]:
    """The file's arrays, whatever its kind."""
    if not path.is_file():
        raise BodyError("body.missing", f"There is no body file '{path.name}'.", "Check the path of the body file.")
    if path.stat().st_size > _LIMIT:
        raise BodyError("body.too-large", f"The body file '{path.name}' is larger than 1 GB.", _CHOOSE)
    if path.suffix.lower() in (".pkl", ".pickle"):
        return load_arrays(path)
    if path.suffix.lower() != ".npz":
        raise BodyError("body.unknown-kind", f"'{path.name}' is not a body file that Likeness knows.", _CHOOSE)
    try:
        return _npz(path)
    except BodyError:
        raise
    except Exception as exc:                                   # zip, header and object-array errors alike
        raise BodyError("body.unreadable", f"The body file '{path.name}' cannot be read.",
                        "Choose an .npz that holds plain arrays only.", f"{type(exc).__name__}: {exc}") from exc


def _array(data: dict, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Float64 array of the shape (None = any length), or BodyError."""
    try:
        value = np.asarray(data[name], np.float64)
    except (TypeError, ValueError) as exc:
        raise BodyError("body.wrong-shape", f"'{name}' in the body file is not an array of numbers.", _CHOOSE, str(exc)) from exc
    if value.ndim != len(shape) or any(want is not None and got != want for got, want in zip(value.shape, shape)):
        raise BodyError("body.wrong-shape", f"'{name}' in the body file has the shape {value.shape}, which does not fit.", _CHOOSE)
    if not np.isfinite(value).all():
        raise BodyError("body.wrong-values", f"'{name}' in the body file holds values that are not numbers.", _CHOOSE)
    return value


def _indices(data: dict, name: str, columns: int, count: int) -> np.ndarray:
    value = _array(data, name, (None, columns))
    if not len(value) or value.min() < 0 or value.max() >= count or not np.array_equal(value, np.floor(value)):
        raise BodyError("body.wrong-values", f"'{name}' in the body file points at things that are not there.", _CHOOSE)
    return value.astype(np.int32)


def read_arrays(path: Path, default: bool = False) -> dict[str, object]:
    """The fields of BodyModel from a file, or BodyError: body.missing, .unreadable, .unsafe-pickle, .unknown-kind, .too-large,
    .missing-array, .wrong-joints, .wrong-shape, .wrong-values, .wrong-pose."""
    data = _raw(path)
    missing = [n for n in _NEEDED if n not in data]
    if missing:
        raise BodyError("body.missing-array", f"The body file '{path.name}' lacks {', '.join(missing)}.", _CHOOSE)
    tree = _array(data, "kintree_table", (2, None))
    if tree.shape[1] != 24 or not np.array_equal(tree[0, 1:], SMPL_PARENTS[1:]):
        raise BodyError("body.wrong-joints", f"The body file has {tree.shape[1]} joints in an order that is not SMPL's 24.",
                        "Choose an SMPL model; SMPL-H, SMPL-X and others are not supported.")
    template = _array(data, "v_template", (None, 3))
    v = len(template)
    weights = _array(data, "weights", (v, 24))
    if weights.min() < -1e-6 or np.abs(weights.sum(1) - 1).max() > 1e-2:
        raise BodyError("body.wrong-values", "The skin weights in the body file do not sum to one.", _CHOOSE)
    weights = weights / weights.sum(1, keepdims=True)
    shape = _array(data, "shapedirs", (v, 3, None))
    regressor = _array(data, "J_regressor", (24, v))
    if "J_mean" in data and "J_dirs" in data:                  # ours: exact joints
        joints, joint_dirs = _array(data, "J_mean", (24, 3)), _array(data, "J_dirs", (24, 3, shape.shape[2]))
    else:
        joints, joint_dirs = regressor @ template, np.einsum("jv,vdb->jdb", regressor, shape)
    _check_pose(template, joints)
    faces = _indices(data, "f", 3, v)
    part = weights.argmax(1).astype(np.uint8)
    warnings: list[tuple[str, str]] = []
    if "uv" in data and "uv_faces" in data:
        uv = _array(data, "uv", (None, 2)).astype(np.float32)
        uv_faces = _indices(data, "uv_faces", 3, len(uv))
        if len(uv_faces) != len(faces):
            raise BodyError("body.wrong-shape", "The UV triangles in the body file do not match its triangles.", _CHOOSE)
    else:
        uv, uv_faces = guess.planar_uv(template, faces)
        warnings.append(("body.no-uv", "The body file has no UVs, so a plain front-and-back layout is used for the body's UV layer."))
    names, index, weight = _landmarks(data, template, part, joints, v, warnings)
    if np.size(data.get("posedirs", 0)) > 1 and np.abs(_array(data, "posedirs", (v, 3, None))).max() > 0:
        warnings.append(("body.no-pose-correctives", "The pose-dependent corrections of the body file are not used."))
    return {
        "template": template, "directions": shape, "joint_mean": joints, "joint_directions": joint_dirs,
        "weights": weights, "faces": faces, "uv": uv, "uv_faces": uv_faces, "part": part,
        "inner": np.asarray(data["inner"], bool) if np.shape(data.get("inner")) == (v,) else np.zeros(v, bool),
        "landmark_names": names, "landmark_index": index, "landmark_weight": weight, "regressor": regressor,
        "source": "default" if default else path.name, "warnings": tuple(warnings),
    }


def _landmarks(data, template, part, joints, v, warnings):
    names = tuple(str(n) for n in np.asarray(data.get("landmark_names", ())).ravel())
    if names[:33] == LANDMARKS and "landmark_index" in data and "landmark_weight" in data:
        columns = np.shape(data["landmark_index"])[-1]
        index = _indices(data, "landmark_index", columns, v)
        weight = _array(data, "landmark_weight", (len(names), columns))
        if len(index) == len(names):
            return names, index, weight
    warnings.append(("body.landmarks-guessed", "The body file does not say where its landmarks are; they were found from its "
                     "shape, so the fit may be a little less exact."))
    try:
        return guess.landmarks(template, part, joints)
    except (ValueError, IndexError) as exc:
        raise BodyError("body.wrong-values", "The body in the file has no face, hands or feet where an SMPL body has them.", _CHOOSE, str(exc)) from exc


def _check_pose(template: np.ndarray, joints: np.ndarray) -> None:
    """T-pose, Y up, facing +Z, metres, left at +X."""
    at = lambda name: joints[JOINT[name]]
    height = float(np.ptp(template[:, 1]))
    if not 0.3 < height < 3.0:
        raise BodyError("body.wrong-pose", f"The body in the file is {height:g} units tall, which cannot be metres.",
                        "Scale the model to metres (Y up, facing +Z, arms along X).")
    arm = at("left_wrist") - at("left_shoulder")
    good = (at("head")[1] > at("pelvis")[1] > at("left_ankle")[1] and arm[0] > 0.8 * np.linalg.norm(arm)
            and at("right_wrist")[0] < at("right_shoulder")[0] and at("left_foot")[2] > at("left_ankle")[2])
    if not good:
        raise BodyError("body.wrong-pose", "The body in the file does not rest in SMPL's T-pose (Y up, facing +Z, left at +X).",
                        "Choose an unmodified SMPL file.")
