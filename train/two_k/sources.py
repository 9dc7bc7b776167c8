"""Where samples come from: drawn as they are needed (GPU), or from a folder that other processes fill meanwhile (CPU)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Protocol, Sequence

import numpy as np
import torch
from torch import Tensor

from ..people.generator import Generator, GeneratorConfig
from ..people.produce import produce
from ..people.shards import Shards
from .data import FIELDS
from .shrink import halved


class Source(Protocol):
    def draw(self, canvas: int, count: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Random samples (data.FIELDS) of that canvas."""


class Live:
    """Every sample is new."""

    def __init__(self, assets: str | Path, part: str, device: str):
        self.assets, self.part, self.device = assets, part, device
        self.generators: dict[int, Generator] = {}

    def samples(self, canvas: int, seeds: Sequence[int]) -> dict[str, Tensor]:
        if canvas not in self.generators:
            self.generators[canvas] = Generator(self.assets, self.part, GeneratorConfig(canvas, supersample=fineness(canvas)), self.device)
        made = self.generators[canvas](seeds)
        return {name: made[name] for name in FIELDS}

    def draw(self, canvas: int, count: int, rng: np.random.Generator) -> dict[str, Tensor]:
        return self.samples(canvas, rng.integers(1 << 20, 1 << 40, count).tolist())


class Disk:
    """Samples of a folder, drawn with putting back; looks for new ones every `look_s` seconds. Samples of twice the canvas, made smaller,
    serve it as well as its own; those of four times, which take long to read, where there are no others."""

    def __init__(self, root: Path, device: str = "cpu", look_s: float = 20.0):
        self.root, self.device, self.look_s = Path(root), device, look_s
        self.shards: dict[int, Shards] = {}
        self.looked = time.monotonic()

    def of(self, canvas: int, part: str = "train") -> Shards:
        return Shards(folder_of(self.root, part, self.drawn(canvas, part)), FIELDS)

    def drawn(self, canvas: int, part: str = "train") -> int:
        """The canvas whose samples serve this one before others."""
        return next((c for c in (canvas, 2 * canvas, 4 * canvas) if folder_of(self.root, part, c).is_dir()), canvas)

    def draw(self, canvas: int, count: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """ValueError when there is no sample yet."""
        drawn = self.drawn(canvas)
        sets = [self._open(c) for c in dict.fromkeys((drawn, max(drawn, 2 * canvas)))]
        if time.monotonic() - self.looked > self.look_s or not any(map(len, sets)):
            for shards in sets:
                shards.refresh()
            self.looked = time.monotonic()
        if not any(map(len, sets)):
            raise ValueError(f"there are no samples of {canvas} pixels in {self.root}")
        rows = [(shards, k) for shards in sets for k in (len(shards),) if k]
        which = rng.integers(sum(k for _, k in rows), size=count)
        first, read = 0, []
        for shards, k in rows:
            mine = which[(which >= first) & (which < first + k)] - first
            first += k
            if len(mine):
                read.append(self._read(shards, mine.tolist(), canvas))
        return {name: torch.cat([r[name] for r in read]) for name in FIELDS}

    def _open(self, drawn: int) -> Shards:
        """The training samples of a canvas, whether there are any or not."""
        if drawn not in self.shards:
            self.shards[drawn] = Shards(folder_of(self.root, "train", drawn), FIELDS)
        return self.shards[drawn]

    def held(self, canvas: int, count: int) -> dict[str, Tensor]:
        """The first samples of part "val"."""
        shards = self.of(canvas, "val")
        if len(shards) < count:
            raise ValueError(f"only {len(shards)} of {count} validation samples of {canvas} pixels are in {self.root}")
        read = [self._read(shards, [row], canvas) for row in range(count)]
        return {name: torch.cat([r[name] for r in read]) for name in FIELDS}

    def _read(self, shards: Shards, rows: list[int], canvas: int) -> dict[str, Tensor]:
        sample = shards.batch(rows)
        sample = {name: sample[name].to(self.device) for name in FIELDS}
        while sample["image"].shape[-1] > canvas:
            sample = halved(sample)
        return sample


def fineness(canvas: int) -> int:
    """Rows of pixels drawn for each of the canvas: large ones would cost too much."""
    return 2 if canvas <= 256 else 1


def folder_of(root: Path, part: str, canvas: int) -> Path:
    return Path(root) / f"{part}-{canvas}"


@dataclass(frozen=True)
class Order:
    """Samples to be drawn into a folder: seeds first … first + count - 1."""

    part: str
    canvas: int
    count: int
    first: int = 0


def fill(assets: str | Path, root: Path, orders: Sequence[Order], workers: int = 1, say: Callable[[str], None] = print) -> None:
    """Draw what is not there yet; returns when all is done."""
    for order in orders:
        produce(assets, folder_of(root, order.part, order.canvas), order.part, range(order.first, order.first + order.count), order.canvas,
                batch=4 if order.canvas <= 256 else 1, workers=workers, fields=FIELDS,
                say=lambda text: say(f"{order.part} {order.canvas}: {text}"), supersample=fineness(order.canvas))
