"""All models of the pipeline, loaded at first use and kept until released."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch

from .body.model import BodyModel
from .contract import checkpoints
from .contract.errors import OptionError, WeightsError
from .nets.blocks import file as weight_file
from .nets.landmarks import LandmarkNets
from .nets.two_k import weights as two_k_weights
from .nets.two_k.net import TwoK

SHIPPED = Path(__file__).parent / "weights"
"""Weights that ship; weights.toml there says what they are."""


def imported_folder() -> Path:
    """Where a person's imported official checkpoints lie (neural.checkpoint); LIKENESS_WEIGHTS overrides it."""
    return checkpoints.folder_of(SHIPPED.parents[1])


@dataclass(frozen=True)
class TwoKModel:
    """A 2K2K network ready to run, on `device`. file: name of its weights; kind: "compact" (ours) or "paper"; upto: see Models."""

    net: TwoK
    file: str
    kind: str
    device: str
    upto: str = "depth"


class Models:
    """Passed to stages as `nets`.

    landmarks       the LiteRT models of s02.
    body(path)      the body model that ships (None), or the person's own.
    two_k(depth)    the networks of s04 to s06 for JobOptions.depth; None = the body prior.
    upto            the last of 2K2K's networks that runs, of passes.UPTO; the evaluation's rows show what each is worth.
    """

    def __init__(self, device: str = "cpu", shipped: Path = SHIPPED, imported: Path | None = None):
        self.device, self.upto = device, "depth"
        self._shipped, self._imported = shipped, imported or imported_folder()
        self._landmarks: LandmarkNets | None = None
        self._bodies: dict[str | None, BodyModel] = {}
        self._two_k: dict[Path, tuple[int, TwoKModel]] = {}      # and the file's time: a checkpoint may be imported anew

    @property
    def landmarks(self) -> LandmarkNets:
        if self._landmarks is None:
            self._landmarks = LandmarkNets()
        return self._landmarks

    def body(self, path: str | Path | None = None) -> BodyModel:
        key = str(path) if path is not None else None
        if key not in self._bodies:
            self._bodies[key] = BodyModel.load(path)
        return self._bodies[key]

    def two_k_file(self, depth: str) -> Path | None:
        """The weights that JobOptions.depth means, None for the body prior.

        "auto": those that ship, if any. "2k2k": an imported official checkpoint, else those that ship. Raises OptionError option.depth-unavailable.
        """
        shipped, imported = self._shipped / "two_k.safetensors", checkpoints.weights_of(self._imported, "2k2k")
        order = {"auto": (shipped,), "2k2k": (imported, shipped)}.get(depth, ())
        found = next((f for f in order if f.is_file()), None)
        if found is None and depth == "2k2k":
            raise OptionError("option.depth-unavailable", "The 2K2K networks have no weights in this version.",
                              "Use the depth 'auto' or 'body-prior', or import an official 2K2K checkpoint.")
        return found

    def two_k(self, depth: str) -> TwoKModel | None:
        """The networks that JobOptions.depth means. Errors: as two_k_file; WeightsError weights.unreadable, weights.wrong-net."""
        file = self.two_k_file(depth)
        if file is None:
            return None
        time_ns = file.stat().st_mtime_ns
        if self._two_k.get(file, (None,))[0] != time_ns:
            if file.parent == self._shipped:
                _unchanged(file)
            device = "cuda" if self.device == "cuda" else "cpu"           # operations that MPS lacks: the CPU is right everywhere
            net = two_k_weights.load(file)
            fast = net.for_inference(dtype=torch.bfloat16 if device == "cuda" else torch.float32).to(device)
            kind = "compact" if net.config.ours else "paper"
            self._two_k[file] = time_ns, TwoKModel(fast, file.name, kind, device, self.upto)
        return self._two_k[file][1]

    def release(self) -> None:
        """Forget everything that is loaded."""
        self._landmarks = None
        self._bodies.clear()
        self._two_k.clear()


def _unchanged(file: Path) -> None:
    """The files of a set that weights.toml lists must be the listed ones. Raises WeightsError weights.missing, weights.unreadable."""
    listed = file.parent / "weights.toml"
    rows = tomllib.loads(listed.read_text("utf-8")) if listed.is_file() else {}
    for one in (weight_file.part(file, n) for n in itertools.count(1)):
        if one.stem not in rows:
            return
        if not one.is_file():
            raise WeightsError("weights.missing", f"The weights '{one.name}' are not there.", "Install the extension again.")
        if weight_file.digest(one) != rows[one.stem]["sha256"]:
            raise WeightsError("weights.unreadable", f"The weights '{one.name}' are damaged.", "Install the extension again.")
