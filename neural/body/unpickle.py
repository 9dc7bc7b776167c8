"""Reads a pickle of arrays without trusting it: only arrays, sparse matrices and plain values can come out.

SMPL's official files are pickles that hold chumpy objects. A pickle can run any program when it is opened the usual way; here
every name that the file asks for must be on a short list, and chumpy's classes become inert stubs.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from ..contract.errors import BodyError


class _Array:
    """Stands for a chumpy array: keeps the state that the pickle gives it, and nothing else."""

    def __init__(self, *args):
        self._state = {"x": args[0]} if args else {}

    def __setstate__(self, state):
        self._state = state if isinstance(state, dict) else {"x": state}

    def value(self) -> np.ndarray:
        for key in ("x", "a", "v", "_data"):
            if key in self._state:
                inner = self._state[key]
                if key == "a" and "idxs" in self._state:        # chumpy's Select: some entries of another array
                    flat = np.asarray(_plain(inner)).ravel()[np.asarray(self._state["idxs"]).ravel()]
                    return flat.reshape(self._state.get("preferred_shape", flat.shape))
                return np.asarray(_plain(inner))
        raise BodyError("body.unreadable", "The body file holds an array in a form that we do not know.",
                        "Save the model as .npz and choose that file.")


class _Sparse:
    """Stands for a scipy sparse matrix (any module path scipy ever gave it)."""

    def __init__(self, *args, **kwargs):
        self._state = {}

    def __setstate__(self, state):
        self._state = state

    def value(self) -> np.ndarray:
        s = self._state
        shape = tuple(int(n) for n in s.get("_shape", s.get("shape", ())))
        if len(shape) != 2 or min(shape) < 1 or max(shape) > 1_000_000 or shape[0] * shape[1] > 10_000_000:
            raise BodyError("body.wrong-shape", "The body file holds a sparse matrix of an impossible size.",
                            "Choose an unmodified SMPL file.")
        data, indices = np.asarray(s["data"]), np.asarray(s["indices"]).astype(np.int64)
        indptr = np.asarray(s["indptr"]).astype(np.int64)
        counts = np.diff(indptr)
        by_column = len(counts) == shape[1] and self._columns
        line = np.repeat(np.arange(len(counts)), np.maximum(counts, 0))
        rows, cols = (indices, line) if by_column else (line, indices)
        if not (len(rows) == len(cols) == len(data)) or len(counts) not in shape \
                or len(rows) and (min(rows.min(), cols.min()) < 0 or rows.max() >= shape[0] or cols.max() >= shape[1]):
            raise BodyError("body.wrong-shape", "The body file holds a broken sparse matrix.",
                            "Choose an unmodified SMPL file.")
        out = np.zeros(shape)
        np.add.at(out, (rows, cols), data)
        return out


class _Columns(_Sparse):
    _columns = True


class _Rows(_Sparse):
    _columns = False


class _ArrayClass:
    """What a pickle gets for numpy.ndarray: it can be named, and not be called."""


def _reconstruct(cls, shape, kind):
    """An empty array, to be filled by its state, which NumPy checks against its bytes: never memory that nothing fills."""
    if cls is not _ArrayClass or tuple(shape) != (0,):
        raise pickle.UnpicklingError("an array subclass, or one without its bytes")
    return np.ndarray.__new__(np.ndarray, (0,), kind)


def _scalar(kind, raw=b""):
    return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, kind)[0]


def _encode(text: str, codec: str = "latin1") -> bytes:
    """How Python 3 writes bytes into old pickles."""
    if codec not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("an unknown text encoding")
    return text.encode("latin1")


def _from_buffer(buffer, kind, shape, order):
    """How NumPy writes arrays into pickles of protocol 5."""
    return np.frombuffer(buffer, dtype=kind).reshape(shape, order=order)


_ALLOWED = {("numpy", "ndarray"): _ArrayClass, ("numpy", "dtype"): np.dtype, ("collections", "OrderedDict"): dict}
for _core in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_core, "_reconstruct"] = _reconstruct
    _ALLOWED[_core, "scalar"] = _scalar
_ALLOWED["_codecs", "encode"] = _encode
for _core in ("numpy.core.numeric", "numpy._core.numeric"):
    _ALLOWED[_core, "_frombuffer"] = _from_buffer
for _kind in ("csc", "csr"):
    for _module in (f"scipy.sparse.{_kind}", f"scipy.sparse._{_kind}"):
        for _shape in ("matrix", "array"):
            _ALLOWED[_module, f"{_kind}_{_shape}"] = _Columns if _kind == "csc" else _Rows
for _module, _name in (("chumpy.ch", "Ch"), ("chumpy", "Ch"), ("chumpy.reordering", "Select"), ("chumpy.ch", "Select"),
                       ("chumpy.reordering", "Reshape"), ("chumpy.reordering", "Ravel")):
    _ALLOWED[_module, _name] = _Array


class _Unpickler(pickle._Unpickler):
    """Python's own, not C's, which takes gigabytes for a memo that a few bytes ask for."""

    def find_class(self, module: str, name: str):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            pass
        if module in ("copy_reg", "copyreg") and name == "_reconstructor":
            return _object
        if module in ("__builtin__", "builtins") and name == "object":
            return object
        raise BodyError("body.unsafe-pickle", f"The body file asks to load '{module}.{name}', which a body model never needs, "
                        "so it was not opened.", "Use an original SMPL file, or save the model as .npz.")

    def persistent_load(self, pid):
        raise BodyError("body.unsafe-pickle", "The body file refers to objects outside itself.",
                        "Use an original SMPL file, or save the model as .npz.")


def _object(cls, base, state):
    """copyreg._reconstructor for our own stubs only."""
    if cls not in (_Array, _Columns, _Rows) or base is not object:
        raise pickle.UnpicklingError("an object that is not an array")
    return cls()


def _plain(value):
    return value.value() if isinstance(value, (_Array, _Sparse)) else value


def load_arrays(path: Path) -> dict[str, object]:
    """The dictionary of an SMPL pickle with chumpy and scipy objects turned into plain float64 arrays (V, ...).

    BodyError `body.unsafe-pickle` when the file asks for anything else, `body.unreadable` when it is broken.
    """
    try:
        with open(path, "rb") as file:
            data = _Unpickler(file, encoding="latin1").load()
        if not isinstance(data, dict):
            raise BodyError("body.unreadable", "The body file does not hold a dictionary of arrays.",
                            "Choose an SMPL model file (.npz or .pkl).")
        return {str(k): _plain(v) for k, v in data.items()}
    except BodyError:
        raise
    except Exception as exc:                                   # a damaged pickle may fail in any way
        raise BodyError("body.unreadable", f"The body file '{path.name}' cannot be read.",
                        "Choose an SMPL model file (.npz or .pkl) that is complete.", f"{type(exc).__name__}: {exc}") from exc
