"""Networks with their weights (a file, or a set: blocks/file.py): ours, which ship, and an official checkpoint that a person imported (neural/checkpoint)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ..blocks import file
from ..blocks.conv import Style
from .config import CONFIGS, TwoKConfig
from .net import TwoK

save = file.save


def load(path: Path, config: TwoKConfig | str | None = None) -> TwoK:
    """The network of a file, float32, for inference; every name and shape must fit.

    config: a name of CONFIGS or a config; None = the one in the file's header, PAPER where there is none (imported checkpoints).
    Raises WeightsError weights.missing, weights.unreadable, weights.wrong-net.
    """
    def make(header: dict[str, str]):
        own = _config(json.loads(header["config"])) if "config" in header else CONFIGS["paper"]
        chosen = CONFIGS[config] if isinstance(config, str) else config or own
        return lambda: TwoK(chosen)

    return file.load(path, make)


def _config(data: dict) -> TwoKConfig:
    lists = {k: tuple(tuple(x) if isinstance(x, list) else x for x in v) for k, v in data.items() if isinstance(v, list)}
    return replace(CONFIGS["paper"], **{**data, **lists, "style": Style(**data["style"])})
