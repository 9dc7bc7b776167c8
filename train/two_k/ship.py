"""Weights that ship: halves in one file, its row in weights.toml, and the model card's first version."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from neural.contract.errors import WeightsError
from neural.nets.two_k.net import TwoK
from neural.nets.two_k.weights import save

FOLDER = Path(__file__).resolve().parents[2] / "neural/weights"
LIMIT = 16_000_000

CARD = """# two_k.safetensors

**What.** COMPACT 2K2K (`neural/nets/two_k`, config "{config}", {millions:.1f} M parameters, float16): photo, matte and fitted body of one person ->
normals, depth and mask of both sides.

**Data.** People made on the fly by `train/people` (part "train" of the split): assets in NOTICE.md. No photo of a real person. Weights: ours,
GPL-3.0-or-later.

**Training.** `{command}`

**Scores.** Other poses (part "val" of the generator), network / fitted body alone:

{scores}

**Limits.** To be written after looking at results on photos.
"""


def export(net: TwoK, file: Path) -> int:
    """Halves into `file`; returns its bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save(net, file)
    return file.stat().st_size


def ship(net: TwoK, config: str, command: str, scores: dict[str, float], folder: Path = FOLDER) -> Path:
    """two_k.safetensors, its card and its row in weights.toml. WeightsError weights.large when it is larger than a repository's file may be."""
    size = 2 * sum(p.numel() for p in net.parameters())
    if size > LIMIT:
        raise WeightsError("weights.large", f"The weights take {size / 1e6:.1f} MB; a file that ships may have {LIMIT / 1e6:.0f}.",
                           "Make the network smaller, or teach weights.load to read several files.")
    file = folder / "two_k.safetensors"
    size = export(net, file)
    table = "| | network | body |\n| --- | --- | --- |\n" + "\n".join(
        f"| {name} | {value:.3g} | {scores[f'body_{name}']:.3g} |" for name, value in scores.items() if f"body_{name}" in scores)
    millions = sum(p.numel() for p in net.parameters()) / 1e6
    file.with_suffix(".md").write_text(CARD.format(config=config, millions=millions, command=command, scores=table), encoding="utf-8")
    listed = folder / "weights.toml"
    text = listed.read_text(encoding="utf-8") if listed.is_file() else ""
    said = ", ".join(f"{name} {value:.3g} (body {scores[f'body_{name}']:.3g})" for name, value in scores.items()
                     if f"body_{name}" in scores)
    row = (f'[two_k]\nfile = "{file.name}"\nbytes = {size}\nsha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}"\n'
           f'what = "photo, matte and fitted body -> normals, depth and mask of both sides"\n'
           f'trained_by = "{command}"\nscores = "other poses: {said}"\n')
    text = re.sub(r"\[two_k\]\n(?:[^\[\n].*\n|\n(?!\[))*", "", text).rstrip("\n")
    listed.write_text((text + "\n\n" if text else "") + row, encoding="utf-8")
    return file
