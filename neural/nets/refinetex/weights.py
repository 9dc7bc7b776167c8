"""Networks with their weights: ours, which ship, and Texformer's checkpoint that a person imported (neural/checkpoint)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from ...contract.errors import WeightsError
from ..blocks.conv import Style
from .compact import Compact
from .config import CompactConfig, PaperConfig
from .identity import Identity, IdentityConfig
from .refine import RefineTex
from .texformer import Texformer

KINDS = {"compact": (Compact, CompactConfig), "paper": (RefineTex, PaperConfig), "texformer": (Texformer, PaperConfig),
         "identity": (Identity, IdentityConfig)}


def save(net: nn.Module, path: Path, half: bool = True) -> None:
    """Weights in float16 (or as they are), with kind and config of the network in the file's header."""
    kind = next(k for k, (cls, _) in KINDS.items() if isinstance(net, cls))
    tensors = {k: (v.half() if half and v.is_floating_point() else v).contiguous() for k, v in net.state_dict().items()}
    save_file(tensors, str(path), {"kind": kind, "config": json.dumps(asdict(net.config))})


def load(path: Path) -> nn.Module:
    """The network of a file, float32, for inference; every name and shape must fit. A file without header is an imported Texformer.

    Raises WeightsError weights.missing, weights.unreadable, weights.wrong-net.
    """
    remedy = "Install the extension again, or import the checkpoint again."
    if not path.is_file():
        raise WeightsError("weights.missing", f"The weights '{path.name}' are not there.", remedy)
    try:
        with safe_open(str(path), "pt") as f:
            header = f.metadata() or {}
        tensors = load_file(str(path))
        cls, config = KINDS[header.get("kind", "texformer")]
        config = _config(config, json.loads(header["config"])) if "config" in header else config()
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as exc:
        raise WeightsError("weights.unreadable", f"The weights '{path.name}' are damaged.", remedy, f"{type(exc).__name__}: {exc}") from exc
    with torch.device("meta"):
        net = cls(config)
    want = {k: v.shape for k, v in net.state_dict().items()}
    if {k: v.shape for k, v in tensors.items()} != want:
        wrong = sorted(k for k in want.keys() | tensors.keys() if k not in want or k not in tensors or tensors[k].shape != want[k])
        raise WeightsError("weights.wrong-net", f"The weights '{path.name}' belong to another network.", remedy, f"{len(wrong)} differ: {wrong[:5]}")
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, strict=True, assign=True)
    return net.eval().requires_grad_(False)


def _config(kind: type, data: dict):
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    if "style" in values:
        values["style"] = Style(**values["style"])
    return kind(**values)
