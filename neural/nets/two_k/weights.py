"""Networks with their weights: ours, which ship, and an official checkpoint that a person imported (neural/checkpoint)."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ...contract.errors import WeightsError
from ..blocks.conv import Style
from .config import CONFIGS, TwoKConfig
from .net import TwoK


def save(net: TwoK, path: Path, half: bool = True) -> None:
    """Weights in float16 (or as they are) with the network's config in the file's header."""
    tensors = {k: (v.half() if half and v.is_floating_point() else v).contiguous() for k, v in net.state_dict().items()}
    save_file(tensors, str(path), {"config": json.dumps(asdict(net.config))})


def load(path: Path, config: TwoKConfig | str | None = None) -> TwoK:
    """The network of a file, float32, for inference; every name and shape must fit.

    config: a name of CONFIGS or a config; None = the one in the file's header, PAPER where there is none (imported checkpoints).
    Raises WeightsError weights.missing, weights.unreadable, weights.wrong-net.
    """
    remedy = "Install the extension again, or import the checkpoint again."
    if not path.is_file():
        raise WeightsError("weights.missing", f"The weights '{path.name}' are not there.", remedy)
    try:
        with safe_open(str(path), "pt") as f:
            header = (f.metadata() or {}).get("config")
        tensors = load_file(str(path))
        config = CONFIGS[config] if isinstance(config, str) else config or (_config(json.loads(header)) if header else CONFIGS["paper"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as exc:
        raise WeightsError("weights.unreadable", f"The weights '{path.name}' are damaged.", remedy, f"{type(exc).__name__}: {exc}") from exc
    with torch.device("meta"):
        net = TwoK(config)
    want = {k: v.shape for k, v in net.state_dict().items()}
    if {k: v.shape for k, v in tensors.items()} != want:
        wrong = sorted(k for k in want.keys() | tensors.keys() if k not in want or k not in tensors or tensors[k].shape != want[k])
        raise WeightsError("weights.wrong-net", f"The weights '{path.name}' belong to another network.", remedy, f"{len(wrong)} differ: {wrong[:5]}")
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    net.load_state_dict(tensors, strict=True, assign=True)
    return net.eval().requires_grad_(False)


def _config(data: dict) -> TwoKConfig:
    lists = {k: tuple(tuple(x) if isinstance(x, list) else x for x in v) for k, v in data.items() if isinstance(v, list)}
    return replace(CONFIGS["paper"], **{**data, **lists, "style": Style(**data["style"])})
