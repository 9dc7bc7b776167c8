"""Reads torch's checkpoint files (zip form, torch 1.6 and newer) without torch and without trust.

A checkpoint is a zip of one pickle and the raw bytes of its tensors. The usual reader runs whatever the pickle asks for. Here every name
that it asks for must be on a short list, and what comes out are records of where a tensor's bytes lie; nothing is imported or called.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..contract.errors import WeightsError

STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
            "ShortStorage": "<i2", "CharStorage": "|i1", "ByteStorage": "|u1", "BoolStorage": "|b1"}

MOST_PICKLE, MOST_TENSOR = 64 << 20, 1 << 30
"""Bytes. The pickle holds names and shapes only."""

_REMEDY = "Choose the checkpoint as its authors published it."


def _unsafe(what: str) -> WeightsError:
    return WeightsError("weights.unsafe-pickle", f"The checkpoint asks to load {what}, which weights never need, so it was not opened.", _REMEDY)


def _broken(what: str, trace: str = "") -> WeightsError:
    return WeightsError("weights.unreadable", f"The checkpoint cannot be read: {what}.",
                        "Choose a complete checkpoint file of PyTorch 1.6 or newer, or download it again.", trace)


@dataclass(frozen=True)
class Lying:
    """A tensor that lies in the file: bytes of entry `key`, kind (NumPy), first element, shape and strides in elements."""

    key: str
    kind: str
    count: int
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Kind:
    """Stands for a storage class."""

    def __init__(self, kind: str):
        self.kind = kind


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str
    count: int


def _whole(values) -> tuple[int, ...]:
    values = tuple(values)
    if len(values) > 8 or not all(type(v) is int and 0 <= v < 1 << 40 for v in values):
        raise _broken("a tensor has an impossible shape")
    return values


class _Tensor:
    """What the pickle calls to make a tensor."""

    def __new__(cls, storage, first, shape, strides, *_):
        shape, strides, first = _whole(shape), _whole(strides), _whole((first,))[0]
        if not isinstance(storage, _Storage) or len(shape) != len(strides):
            raise _broken("a tensor has no bytes")
        last = first + sum((n - 1) * s for n, s in zip(shape, strides)) if all(shape) else first - 1
        if last >= storage.count:
            raise _broken("a tensor reaches beyond its bytes")
        return Lying(storage.key, storage.kind, storage.count, first, shape, strides)


def _parameter(data, *_):
    if not isinstance(data, Lying):
        raise _broken("a parameter is not a tensor")
    return data


def _size(values=()):
    return tuple(values)


class _Dict(dict):
    """OrderedDict and defaultdict, with whatever attributes the pickle sets (state_dict's `_metadata`) thrown away."""

    def __init__(self, *args):
        super().__init__(*[a for a in args if isinstance(a, (list, dict))])

    def __setstate__(self, state):
        return None


_ALLOWED = {("collections", "OrderedDict"): _Dict, ("collections", "defaultdict"): _Dict, ("torch", "Size"): _size,
            ("torch._utils", "_rebuild_tensor_v2"): _Tensor, ("torch._utils", "_rebuild_parameter"): _parameter,
            **{("torch", name): _Kind(kind) for name, kind in STORAGES.items()}}


class _Unpickler(pickle._Unpickler):
    """Python's own, not C's, which takes gigabytes for a memo that a few bytes ask for."""

    def find_class(self, module: str, name: str):
        found = _ALLOWED.get((module, name))
        if found is None:
            raise _unsafe(f"'{module}.{name}'"[:200])
        return found

    def persistent_load(self, pid):
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], _Kind)
                and isinstance(pid[2], str) and pid[2].isalnum()):
            raise _unsafe("objects outside itself")
        return _Storage(pid[2], pid[1].kind, _whole((pid[4],))[0])


class Checkpoint:
    """An open checkpoint. `data`: its dictionaries and plain values, with `Lying` in place of tensors; `array(lying)` reads one.

    Raises WeightsError `weights.unsafe-pickle`, `weights.unreadable`.
    """

    def __init__(self, path: Path):
        try:
            self.zip = zipfile.ZipFile(path)
        except Exception as exc:                               # a damaged list of entries may fail in any way
            raise _broken("it is no zip file", f"{type(exc).__name__}: {exc}") from exc
        inside = [i for i in self.zip.infolist() if i.filename.endswith("/data.pkl") and i.filename.count("/") == 1]
        if len(inside) != 1:
            raise _broken("it holds no single 'data.pkl'")
        self.root = inside[0].filename.removesuffix("data.pkl")
        order = self._entry(f"{self.root}byteorder", required=False)
        if order not in (None, b"little"):
            raise _broken("its numbers are stored in a foreign byte order")
        try:
            self.data = _Unpickler(io.BytesIO(self._entry(inside[0].filename, MOST_PICKLE))).load()
        except WeightsError:
            raise
        except Exception as exc:                               # a damaged pickle may fail in any way
            raise _broken("its pickle is damaged", f"{type(exc).__name__}: {exc}") from exc

    def _entry(self, name: str, most: int = 64, required: bool = True) -> bytes | None:
        """A stored (never compressed) entry, by its exact name; nothing is written to the disk."""
        try:
            info = self.zip.getinfo(name)
        except KeyError:
            if required:
                raise _broken(f"the entry '{name[:80]}' is missing") from None
            return None
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
            raise _broken(f"the entry '{name[:80]}' is compressed or too large")
        try:
            return self.zip.read(info)
        except Exception as exc:
            raise _broken(f"the entry '{name[:80]}' is damaged", f"{type(exc).__name__}: {exc}") from exc

    def array(self, tensor: Lying) -> np.ndarray:
        """The tensor's numbers, copied."""
        raw = self._entry(f"{self.root}data/{tensor.key}", MOST_TENSOR)
        kind = np.dtype(tensor.kind)
        if len(raw) != tensor.count * kind.itemsize:
            raise _broken("a tensor's bytes are cut off")
        flat = np.frombuffer(raw, kind)[tensor.first:]
        if not all(tensor.shape):
            return np.zeros(tensor.shape, kind)
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, [s * kind.itemsize for s in tensor.strides], writeable=False).copy()

    def close(self) -> None:
        self.zip.close()
