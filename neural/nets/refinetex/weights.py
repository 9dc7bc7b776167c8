"""Networks with their weights: ours, which ship, and Texformer's checkpoint that a person imported (neural/checkpoint)."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from ..blocks import file
from ..blocks.conv import Style
from .compact import Compact
from .config import CompactConfig, PaperConfig
from .identity import Identity, IdentityConfig
from .refine import RefineTex
from .texformer import Texformer

KINDS = {"compact": (Compact, CompactConfig), "paper": (RefineTex, PaperConfig), "texformer": (Texformer, PaperConfig),
         "identity": (Identity, IdentityConfig)}


def save(net: nn.Module, path: Path, half: bool = True) -> list[Path]:
    """Weights in float16 (or as they are), with kind and config of the network in the file's header; the files (blocks.file.save)."""
    return file.save(net, path, half, kind=next(k for k, (cls, _) in KINDS.items() if isinstance(net, cls)))


def load(path: Path) -> nn.Module:
    """The network of a file, float32, for inference; every name and shape must fit. A file without header is an imported Texformer.

    Raises WeightsError weights.missing, weights.unreadable, weights.wrong-net.
    """
    def make(header: dict[str, str]):
        cls, config = KINDS[header.get("kind", "texformer")]
        chosen = _config(config, json.loads(header["config"])) if "config" in header else config()
        return lambda: cls(chosen)

    return file.load(path, make)


def _config(kind: type, data: dict):
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    if "style" in values:
        values["style"] = Style(**values["style"])
    return kind(**values)
