"""Finished samples on disk, so that a small machine draws each of them once and trains on it many times.

A shard is a folder with one .npy per field, (n, ...) each, and `seeds.npy`, written last: a folder without it is half-written and is
ignored. Real numbers are kept in few bits: pictures and masks 8, normals 8 (1/127), depths 16 (0.1 mm from the pelvis, the
fitted body's from its own pelvis, +-3.2 m), uv 16.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

UNIT, STEP_M, NOTHING = 127.0, 1e-4, -32768

_NORMALS = ("normal_front", "normal_back", "body_normal_front", "body_normal_back")
_DEPTHS = ("depth_front", "depth_back", "body_depth_front", "body_depth_back")
_UNIT_INTERVAL = ("image", "albedo", "mask_seen", "visible", "texture", "texture_seen", "texture_wanted")
_UVS = ("uv_front", "uv_back", "body_uv_front", "body_uv_back")


def _joints(name: str) -> str:
    """The joints whose pelvis a field's depths are kept from: s03 guesses lens and size, so its body stands elsewhere."""
    return "body_joints" if name.startswith("body_depth") else "joints"


def encode(name: str, value: Tensor, centre: Tensor) -> np.ndarray:
    """A field of a batch -> what the file holds. centre (P,): depth of the pelvis; depth 0 or NaN = nothing there."""
    if name in _NORMALS:
        return (value * UNIT).round().clamp(-127, 127).to(torch.int8).numpy()
    if name in _DEPTHS:
        near = (value - centre.view(-1, *[1] * (value.dim() - 1))) / STEP_M
        there = torch.isfinite(value) & (value != 0)
        return torch.where(there, near.round().clamp(-32767, 32767), torch.tensor(float(NOTHING))).to(torch.int16).numpy()
    if name in _UNIT_INTERVAL:
        return (value.float() * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    if name in _UVS:
        return (value.float() * 65535).round().clamp(0, 65535).to(torch.int32).numpy().astype(np.uint16)
    if value.dtype == torch.bool:
        return value.to(torch.uint8).numpy()
    return value.numpy() if value.dtype != torch.float64 else value.float().numpy()


def decode(name: str, value: np.ndarray, centre: np.ndarray) -> Tensor:
    """The inverse: float32 tensors; depths in metres, 0 where there is nothing; masks bool."""
    if name in _NORMALS:
        return torch.from_numpy(value.astype(np.float32) / UNIT)
    if name in _DEPTHS:
        z = value.astype(np.float32) * STEP_M + centre.reshape(-1, *[1] * (value.ndim - 1)).astype(np.float32)
        return torch.from_numpy(np.where(value == NOTHING, np.float32(0), z))
    if name in _UNIT_INTERVAL:
        return torch.from_numpy(value.astype(np.float32) / 255)
    if name in _UVS:
        return torch.from_numpy(value.astype(np.float32) / 65535)
    if name in ("mask", "body_mask"):
        return torch.from_numpy(value.astype(bool))
    return torch.from_numpy(np.ascontiguousarray(value))


def write_shard(folder: Path, seeds: list[int], fields: dict[str, Tensor]) -> None:
    """One shard; safe against being stopped in the middle."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in fields.items():
        np.save(folder / f"{name}.npy", encode(name, value.cpu(), fields[_joints(name)][:, 0, 2].cpu()))
    temporary = folder / "seeds.tmp.npy"
    np.save(temporary, np.asarray(seeds, np.int64))
    os.replace(temporary, folder / "seeds.npy")


class Shards:
    """All finished shards of a folder, as one list of samples. New ones are found by `refresh`."""

    def __init__(self, root: Path, fields: tuple[str, ...]):
        self.root, self.fields = Path(root), tuple(fields)
        self.open: dict[str, dict[str, np.ndarray]] = {}
        self.rows: list[tuple[str, int]] = []
        self.refresh()

    def refresh(self) -> int:
        """Look for new shards; returns the number of samples."""
        for folder in sorted(p.parent for p in self.root.glob("*/seeds.npy")):
            if folder.name not in self.open:
                names = (*self.fields, *map(_joints, self.fields), "joints", "seeds")
                self.open[folder.name] = {n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in dict.fromkeys(names)}
                self.rows += [(folder.name, k) for k in range(len(self.open[folder.name]["seeds"]))]
        return len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: list[int]) -> dict[str, Tensor]:
        """Fields (n, ...) of the samples at these places of the list, decoded; `pelvis` (n,) its true depth."""
        picked = [self.rows[r] for r in rows]
        middle = {n: np.stack([self.open[s][n][k, 0, 2] for s, k in picked]) for n in {"joints", *map(_joints, self.fields)}}
        out = {name: decode(name, np.stack([self.open[s][name][k] for s, k in picked]), middle[_joints(name)]) for name in self.fields}
        out["pelvis"] = torch.from_numpy(middle["joints"].astype(np.float32))
        return out


def describe(root: Path, about: dict) -> None:
    """about.json: how the samples were made (config, pack, versions)."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
