"""Weights that ship: halves, their row in weights.toml, and the model card's first version."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from neural.nets.refinetex.weights import save

from ..shipping import FOLDER, list_files

WHAT = "photo, matte and fitted body -> colours of the whole body on its texture layout"

CARD = """# refinetex.safetensors

**What.** COMPACT RefineTex (`neural/nets/refinetex`, config "{config}", {millions:.1f} M parameters, float16): {what}.

**Data.** People made by `train/people` (part "train" of the split): assets in NOTICE.md. No photo of a real person. Weights: ours,
GPL-3.0-or-later.

**Training.** `{command}`

**Scores.** Other poses (part "val" of the generator), on the body's layout against the true texture in the photo's light. hidden: texels that the
photo does not show; mirror: the colour on the ray, so that the back has the front's; diffusion: seen colours spread; code: cosine of our identity
features between another photo and the texture on the body in it.

{scores}

**Limits.** To be written after looking at results on photos.
"""


def ship(net: nn.Module, config: str, command: str, scores: dict[str, float], folder: Path = FOLDER) -> Path:
    """refinetex.safetensors, its card, and its row in weights.toml."""
    files = save(net, folder / "refinetex.safetensors")
    fills = ("mirror", "diffusion")
    rows = {k: [v, *(scores[f"{f}_{k}"] for f in fills)] for k, v in scores.items() if all(f"{f}_{k}" in scores for f in fills)}
    table = "| | network | mirror | diffusion |\n| --- | --- | --- | --- |\n" + "\n".join(
        f"| {name} | " + " | ".join(f"{v:.3g}" for v in values) + " |" for name, values in rows.items())
    millions = sum(p.numel() for p in net.parameters()) / 1e6
    card = CARD.format(config=config, millions=millions, what=WHAT, command=command, scores=table)
    files[0].with_suffix(".md").write_text(card, encoding="utf-8")
    said = ", ".join(f"{name} {v[0]:.3g} (mirror {v[1]:.3g}, diffusion {v[2]:.3g})" for name, v in rows.items())
    list_files(files, WHAT, command, f"other poses: {said}")
    return files[0]
