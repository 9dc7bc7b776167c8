"""Where samples come from: drawn as they are needed (GPU), or from a folder that other processes fill meanwhile (CPU)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Protocol, Sequence

import numpy as np
import torch
from torch import Tensor

from neural.contract.errors import OptionError

from ..people.generator import Generator, GeneratorConfig
from ..people.produce import produce
from ..people.shards import Shards
from .pairs import pairs, singles
from .views import FIELDS


@dataclass(frozen=True)
class Kind:
    """A kind of samples. canvas: pixels of a photo's side; texture: texels of the true texture's side (0: none); views: photos of a person,
    1 or 2 (then in pairs of rows)."""

    canvas: int
    texture: int
    views: int = 2

    @property
    def make(self) -> Callable[[Generator, Sequence[int]], dict[str, Tensor]]:
        return pairs if self.views == 2 else singles

    def generator(self) -> GeneratorConfig:
        """Large photos are drawn without supersampling: it would cost too much."""
        return GeneratorConfig(self.canvas, supersample=2 if self.canvas <= 256 else 1, body=self.texture > 0, texture=self.texture)

    def folder(self, root: Path, part: str) -> Path:
        return Path(root) / f"{part}-{self.canvas}-{self.texture}-{self.views}"


class Source(Protocol):
    def draw(self, kind: Kind, people: int, rng: np.random.Generator, fields: tuple[str, ...] = FIELDS) -> dict[str, Tensor]:
        """Samples of random people: people * kind.views rows."""

    def held(self, kind: Kind, people: int) -> dict[str, Tensor]:
        """The first people of part "val"."""


class Live:
    """Every sample is new."""

    def __init__(self, assets: str | Path, device: str):
        self.assets, self.device = assets, device
        self.generators: dict[tuple[Kind, str], Generator] = {}

    def draw(self, kind: Kind, people: int, rng: np.random.Generator, fields: tuple[str, ...] = FIELDS) -> dict[str, Tensor]:
        return self._made(kind, "train", rng.integers(1 << 20, 1 << 40, people).tolist(), fields)

    def held(self, kind: Kind, people: int) -> dict[str, Tensor]:
        made = [self._made(kind, "val", range(k, min(k + 8, people)), FIELDS) for k in range(0, people, 8)]
        return {name: torch.cat([m[name] for m in made]).cpu() for name in made[0]}

    def _made(self, kind: Kind, part: str, seeds: Sequence[int], fields: tuple[str, ...]) -> dict[str, Tensor]:
        if (kind, part) not in self.generators:
            self.generators[kind, part] = Generator(self.assets, part, kind.generator(), self.device)
        made = kind.make(self.generators[kind, part], seeds)
        return {name: made[name] for name in fields if name in made}


class Disk:
    """Samples of a folder, drawn with putting back; looks for new ones every `look_s` seconds. Photos without textures come from the pairs
    that have some."""

    def __init__(self, root: Path, look_s: float = 20.0):
        self.root, self.look_s = Path(root), look_s
        self.open: dict[tuple[Kind, str, tuple[str, ...]], Shards] = {}
        self.looked = time.monotonic()

    def people(self, kind: Kind, part: str = "train") -> int:
        """How many are there now."""
        return len(self._shards(kind, part, ("image",), fresh=True)) // kind.views

    def draw(self, kind: Kind, people: int, rng: np.random.Generator, fields: tuple[str, ...] = FIELDS) -> dict[str, Tensor]:
        """OptionError when there is no sample yet."""
        shards = self._shards(kind, "train", fields, fresh=time.monotonic() - self.looked > self.look_s)
        count = len(shards) // kind.views
        if not count:
            raise OptionError("option.samples", f"There are no samples '{kind.folder(self.root, 'train')}'.", "Leave out --no-drawing.")
        return self._read(shards, kind, rng.integers(count, size=people).tolist())

    def held(self, kind: Kind, people: int) -> dict[str, Tensor]:
        shards = self._shards(kind, "val", FIELDS, fresh=True)
        if len(shards) < people * kind.views:
            raise OptionError("option.samples", f"Only {len(shards) // kind.views} of {people} people are in '{kind.folder(self.root, 'val')}'.",
                              "Leave out --no-drawing.")
        return self._read(shards, kind, list(range(people)))

    def _shards(self, kind: Kind, part: str, fields: tuple[str, ...], fresh: bool) -> Shards:
        key = (kind, part, fields)
        if key not in self.open or not len(self.open[key]):
            folder = kind.folder(self.root, part)
            like = sorted(self.root.glob(f"{part}-{kind.canvas}-*-{kind.views}"))
            self.open[key] = Shards(like[0] if not kind.texture and like else folder, fields)
        elif fresh:
            self.open[key].refresh()
            self.looked = time.monotonic()
        return self.open[key]

    def _read(self, shards: Shards, kind: Kind, people: list[int]) -> dict[str, Tensor]:
        sample = shards.batch([kind.views * p + v for p in people for v in range(kind.views)])
        return {name: sample[name] for name in shards.fields}


@dataclass(frozen=True)
class Order:
    """People to be drawn into a folder: seeds first … first + count - 1."""

    part: str
    kind: Kind
    count: int
    first: int = 0


def fill(assets: str, root: Path, orders: Sequence[Order], workers: int = 1) -> None:
    """Draw what is not there yet; returns when all is done."""
    for order in orders:
        kind = order.kind
        produce(assets, kind.folder(root, order.part), order.part, range(order.first, order.first + order.count), kind.canvas,
                batch=2 if kind.canvas <= 256 else 1, workers=workers, fields=(*FIELDS, "body_joints"),
                say=lambda text: print(f"{order.part} {kind}: {text}", flush=True), supersample=kind.generator().supersample,
                texture=kind.texture, make=kind.make)
