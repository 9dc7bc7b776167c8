"""The official networks that can be imported: which key of the file, which names and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from ..contract import checkpoints
from ..contract.errors import OptionError, WeightsError
from .unpickle import Checkpoint, Lying


@dataclass(frozen=True)
class Official:
    """key: where the tensors lie in the file's dictionary, unless they are the dictionary. tensors() -> name -> shape."""

    title: str
    key: str
    tensors: Callable[[], dict[str, tuple[int, ...]]]


def _two_k() -> dict[str, tuple[int, ...]]:
    import torch

    from ..nets.two_k.config import PAPER
    from ..nets.two_k.net import TwoK
    with torch.device("meta"):                                 # names and shapes, no memory
        return {k: tuple(v.shape) for k, v in TwoK(PAPER).state_dict().items()}


def _texformer() -> dict[str, tuple[int, ...]]:
    import torch

    from ..nets.refinetex.texformer import Texformer
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in Texformer().state_dict().items()}


NETS = {"2k2k": Official(checkpoints.NETS["2k2k"], "model_state_dict", _two_k),
        "texformer": Official(checkpoints.NETS["texformer"], "state_dict", _texformer)}


def official(name: str) -> Official:
    if name not in NETS:
        raise OptionError("option.net", f"There is no official network called '{name}'.", f"Choose one of: {', '.join(NETS)}.")
    return NETS[name]


def tensors_of(file: Path, net: str) -> dict[str, np.ndarray]:
    """All tensors of a checkpoint under the network's own names, float32 (counters int64); every name and shape checked.

    Raises WeightsError: weights.unsafe-pickle, weights.unreadable, weights.wrong-net, weights.first-phase, weights.wrong-shape,
    weights.not-finite.
    """
    what = official(net)
    checkpoint = Checkpoint(file)
    try:
        return _checked(checkpoint, what)
    finally:
        checkpoint.close()


def _checked(checkpoint: Checkpoint, what: Official) -> dict[str, np.ndarray]:
    data = checkpoint.data
    found = data.get(what.key, data) if isinstance(data, dict) else None
    if not isinstance(found, dict):
        raise WeightsError("weights.wrong-net", "The file is a PyTorch file, but holds no network.", f"Choose a checkpoint of {what.title}.")
    found = {str(k).replace("module.", ""): v for k, v in found.items() if isinstance(v, Lying)}
    want = what.tensors()
    missing, extra = sorted(want.keys() - found.keys()), sorted(found.keys() - want.keys())
    if missing and not extra and all(name.startswith("refine.") for name in missing):
        raise WeightsError("weights.first-phase", "The checkpoint is of the first phase of training: the high-resolution depth network is not in it.",
                           "Choose the checkpoint of the second phase.")
    if missing or extra:
        raise WeightsError("weights.wrong-net", f"The checkpoint is not of {what.title}: {len(missing)} of {len(want)} tensors are missing, "
                           f"{len(extra)} are unknown.", "Choose the checkpoint that belongs to this network.",
                           f"missing: {missing[:5]}; unknown: {[e[:80] for e in extra[:5]]}")
    out = {}
    for name, shape in want.items():
        lying = found[name]
        if lying.shape != shape:
            raise WeightsError("weights.wrong-shape", f"The tensor '{name}' has the shape {lying.shape} instead of {shape}.",
                               "Choose an unmodified checkpoint.")
        value = checkpoint.array(lying)
        counter = name.endswith("num_batches_tracked")
        if counter != (value.dtype.kind == "i") or value.dtype.kind not in "fi":
            raise WeightsError("weights.wrong-shape", f"The tensor '{name}' holds {value.dtype} numbers.", "Choose an unmodified checkpoint.")
        with np.errstate(over="ignore"):
            out[name] = value.astype(np.int64 if counter else np.float32)
        if not np.isfinite(out[name]).all() or (name.endswith("running_var") and (out[name] < 0).any()):
            raise WeightsError("weights.not-finite", f"The tensor '{name}' holds numbers that no trained network has.",
                               "Download the checkpoint again.")
    return out
