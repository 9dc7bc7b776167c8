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
from .nets.refinetex import weights as refinetex_weights
from .nets.refinetex.compact import Compact
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


@dataclass(frozen=True)
class RefineTexModel:
    """Our RefineTex, ready to run on `device`. file: name of its weights."""

    net: Compact
    file: str
    device: str


class Models:
    """Passed to stages as `nets`.

    landmarks       the LiteRT models of s02.
    body(path)      the body model that ships (None), or the person's own.
    two_k(depth)    the networks of s04 to s06 for JobOptions.depth; None = the body prior.
    refinetex(name) the network of s10 for JobOptions.texture; None = the fill without a network.
    upto            the last of 2K2K's networks that runs, of passes.UPTO; the evaluation's rows show what each is worth.
    """

    def __init__(self, device: str = "cpu", shipped: Path = SHIPPED, imported: Path | None = None):
        self.device, self.upto = device, "depth"
        self._shipped, self._imported = shipped, imported or imported_folder()
        self._landmarks: LandmarkNets | None = None
        self._bodies: dict[str | None, BodyModel] = {}
        self._loaded: dict[Path, tuple[int, TwoKModel | RefineTexModel]] = {}      # and the file's time: a checkpoint may be imported anew

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
        return file and self._load(file, self._two_k)

    def refinetex_file(self, texture: str) -> Path | None:
        """The weights that JobOptions.texture means, None for the fill without a network. Raises OptionError option.texture-unavailable."""
        file = self._shipped / "refinetex.safetensors"
        if texture == "mirror" or (texture == "auto" and not file.is_file()):
            return None
        if not file.is_file():
            raise OptionError("option.texture-unavailable", "RefineTex has no weights in this version.", "Use the texture 'auto' or 'mirror'.")
        return file

    def refinetex(self, texture: str) -> RefineTexModel | None:
        """The network that JobOptions.texture means. Errors: as refinetex_file; WeightsError weights.unreadable, weights.wrong-net."""
        file = self.refinetex_file(texture)
        return file and self._load(file, self._refinetex)

    def _load(self, file: Path, make):
        """make(file, device, dtype), once for each state of the file."""
        time_ns = file.stat().st_mtime_ns
        if self._loaded.get(file, (None,))[0] != time_ns:
            if file.parent == self._shipped:
                _unchanged(file)
            device = "cuda" if self.device == "cuda" else "cpu"           # operations that MPS lacks: the CPU is right everywhere
            self._loaded[file] = time_ns, make(file, device, torch.bfloat16 if device == "cuda" else torch.float32)
        return self._loaded[file][1]

    def _two_k(self, file: Path, device: str, dtype: torch.dtype) -> TwoKModel:
        net = two_k_weights.load(file)
        return TwoKModel(net.for_inference(dtype=dtype).to(device), file.name, "compact" if net.config.ours else "paper", device, self.upto)

    def _refinetex(self, file: Path, device: str, dtype: torch.dtype) -> RefineTexModel:
        net = refinetex_weights.load(file)
        if not isinstance(net, Compact):
            raise WeightsError("weights.wrong-net", f"The weights '{file.name}' belong to another network.", "Install the extension again.")
        return RefineTexModel(net.for_inference(dtype).to(device), file.name, device)

    def release(self) -> None:
        """Forget everything that is loaded."""
        self._landmarks = None
        self._bodies.clear()
        self._loaded.clear()


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
