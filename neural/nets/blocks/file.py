"""A network and its weights in one safetensors file: written in float16, read strictly."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Callable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from ...contract.errors import WeightsError

REMEDY = "Install the extension again, or import the checkpoint again."


def save(net: nn.Module, path: Path, half: bool = True, **header: str) -> None:
    """Weights in float16 (or as they are), with the network's config (a dataclass in net.config) and `header` in the file's header."""
    tensors = {k: (v.half() if half and v.is_floating_point() else v).contiguous() for k, v in net.state_dict().items()}
    save_file(tensors, str(path), {**header, "config": json.dumps(asdict(net.config))})


def load(path: Path, make: Callable[[dict[str, str]], Callable[[], nn.Module]]) -> nn.Module:
    """The network of a file, float32, for inference; every name and shape must fit.

    make(header) reads the file's header and returns what builds the network; ValueError, KeyError or TypeError from it count as damage.
    Raises WeightsError weights.missing, weights.unreadable, weights.wrong-net.
    """
    if not path.is_file():
        raise WeightsError("weights.missing", f"The weights '{path.name}' are not there.", REMEDY)
    try:
        with safe_open(str(path), "pt") as f:
            header = f.metadata() or {}
        tensors = load_file(str(path))
        build = make(header)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as exc:
        raise WeightsError("weights.unreadable", f"The weights '{path.name}' are damaged.", REMEDY, f"{type(exc).__name__}: {exc}") from exc
    with torch.device("meta"):
        net = build()
    want = {k: v.shape for k, v in net.state_dict().items()}
    if {k: v.shape for k, v in tensors.items()} != want:
        wrong = sorted(k for k in want.keys() | tensors.keys() if k not in want or k not in tensors or tensors[k].shape != want[k])
        raise WeightsError("weights.wrong-net", f"The weights '{path.name}' belong to another network.", REMEDY, f"{len(wrong)} differ: {wrong[:5]}")
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, strict=True, assign=True)
    return net.eval().requires_grad_(False)
