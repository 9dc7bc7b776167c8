"""A network and its weights in safetensors files: written in float16, in several files where one would be too large, read strictly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Callable

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from ...contract.errors import WeightsError

REMEDY = "Install the extension again, or import the checkpoint again."

MOST_HEADER = 2000
"""Characters of one entry of a file's header, when it is read: ours have a quarter of that; a longer config would ask for endless layers."""

LIMIT = 15_000_000
"""Bytes of tensors in one file: a file of the repository may have 16 MB."""


def part(path: Path, number: int) -> Path:
    """File `number` (1, 2, …) of the set whose first file is `path`: two_k.safetensors, two_k_2.safetensors, …"""
    return path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def save(net: nn.Module, path: Path, half: bool = True, limit: int = LIMIT, **header: str) -> list[Path]:
    """Weights in float16 (or as they are), with the network's config (a dataclass in net.config) and `header` in the file's header.

    More than `limit` bytes go into several files, whole tensors each (a tensor that is larger has its own file); then the first file's
    header holds the sha256 of the others. Returns the files; files of an older, longer set of this name are deleted.
    """
    tensors = {k: (v.half() if half and v.is_floating_point() else v).contiguous() for k, v in net.state_dict().items()}
    groups = _groups(tensors, limit)
    files = [part(path, n) for n in range(1, len(groups) + 1)]
    for file, group in zip(files[1:], groups[1:]):
        save_file(group, str(file))
    others = {"parts": json.dumps([digest(f) for f in files[1:]])} if len(files) > 1 else {}
    save_file(groups[0], str(path), {**header, **others, "config": json.dumps(asdict(net.config))})
    number = len(files) + 1
    while (old := part(path, number)).is_file():
        old.unlink()
        number += 1
    return files


def _groups(tensors: dict[str, torch.Tensor], limit: int) -> list[dict[str, torch.Tensor]]:
    groups: list[dict[str, torch.Tensor]] = [{}]
    used = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if groups[-1] and used + size > limit:
            groups.append({})
            used = 0
        groups[-1][name] = tensor
        used += size
    return groups


def load(path: Path, make: Callable[[dict[str, str]], Callable[[], nn.Module]]) -> nn.Module:
    """The network of a file or set of files, float32, for inference; every name and shape must fit.

    make(header) reads the file's header and returns what builds the network; ValueError, KeyError or TypeError from it count as damage.
    Raises WeightsError weights.missing, weights.unreadable, weights.wrong-net.
    """
    _there(path)
    try:
        with safe_open(str(path), "pt") as f:
            header = f.metadata() or {}
        if max(map(len, header.values()), default=0) > MOST_HEADER:
            raise ValueError("an entry of the header is too long")
        tensors = load_file(str(path))
        for number, wanted in enumerate(json.loads(header.get("parts", "[]")), 2):
            tensors |= _other(part(path, number), wanted)
        build = make(header)
        with torch.device("meta"):                             # no memory, whatever sizes the header asks for
            net = build()
    except WeightsError:
        raise
    except Exception as exc:                                   # a config that no network has may fail anywhere in its construction
        raise WeightsError("weights.unreadable", f"The weights '{path.name}' are damaged.", REMEDY, f"{type(exc).__name__}: {exc}") from exc
    want = {k: v.shape for k, v in net.state_dict().items()}
    if {k: v.shape for k, v in tensors.items()} != want:
        wrong = sorted(k for k in want.keys() | tensors.keys() if k not in want or k not in tensors or tensors[k].shape != want[k])
        raise WeightsError("weights.wrong-net", f"The weights '{path.name}' belong to another network.", REMEDY, f"{len(wrong)} differ: {wrong[:5]}")
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, strict=True, assign=True)
    return net.eval().requires_grad_(False)


def _there(path: Path) -> None:
    if not path.is_file():
        raise WeightsError("weights.missing", f"The weights '{path.name}' are not there.", REMEDY)


def _other(path: Path, wanted: str) -> dict[str, torch.Tensor]:
    """Tensors of a further file of a set, which must be the very file that the first one names."""
    _there(path)
    if digest(path) != wanted:
        raise WeightsError("weights.unreadable", f"The weights '{path.name}' are damaged, or belong to other weights.", REMEDY)
    return load_file(str(path))
