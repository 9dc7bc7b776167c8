"""Samples of the generator -> what training keeps of them, what the networks are told (view.View), the texture that they should answer."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from neural.body.maps import BodyTables, pose, tables
from neural.body.model import BodyModel
from neural.nets.refinetex.view import View

FIELDS = ("image", "mask_seen", "border", "assumed_focal", "centre", "body_rotations", "body_betas", "body_scale", "body_translation", "body_mask",
          "body_depth_front", "body_normal_front", "body_uv_front", "body_part_front", "normal_front", "visible", "texture_wanted", "texture_known",
          "texture_shown")
"""What training keeps of a sample (`stored`); texture_*: `target`, colours in [0, 1] sRGB."""


@lru_cache(maxsize=2)
def _body(device: str) -> BodyTables:
    return tables(BodyModel.load(), device)


def view_of(sample: dict[str, Tensor], normals: Tensor | None = None) -> View:
    """The photo as s02 would crop it and the body as s03 would fit it, with their faults. normals: predicted ones (view.View)."""
    image = sample["image"]
    side, device = image.shape[-1], image.device
    vertices, _ = pose(_body(str(device)), sample["body_rotations"], sample["body_betas"], sample["body_scale"], sample["body_translation"])
    at = torch.arange(side, device=device) + 0.5
    x0, y0, x1, y1 = sample["border"].to(torch.float32).unbind(1)
    inside = lambda low, high: ((at >= low[:, None]) & (at < high[:, None])).to(image.dtype)
    whole = inside(y0, y1)[:, None, :, None] * inside(x0, x1)[:, None, None, :]
    maps = {k.removeprefix("body_"): sample[k] for k in FIELDS if k.startswith("body_") and k.endswith(("front", "mask"))}
    return View(image, sample["mask_seen"][:, None].to(image.dtype), whole, sample["assumed_focal"], sample["centre"], vertices, maps, normals)


def stored(sample: dict[str, Tensor]) -> dict[str, Tensor]:
    """A sample of the generator -> FIELDS (without textures where it was drawn without) and what shards.py needs."""
    out = {name: sample[name] for name in (*FIELDS, "joints", "body_joints") if name in sample}
    if "texture" in sample:
        wanted, known, shown = target(sample)
        out |= {"texture_wanted": (wanted + 1) / 2 * known, "texture_known": known[:, 0] > 0, "texture_shown": shown[:, 0] > 0}
    return out


def wanted_of(sample: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """FIELDS -> what `target` gave: (P, 3, T, T) in [-1, 1]; known and shown (P, 1, T, T) float."""
    known, shown = (sample[f"texture_{name}"][:, None].to(sample["image"].dtype) for name in ("known", "shown"))
    return (2 * sample["texture_wanted"] - 1) * known, known, shown


def to_srgb(linear: Tensor) -> Tensor:
    linear = linear.clamp(min=0)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def target(sample: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The texture that fits the photo: (P, 3, T, T) in [-1, 1] sRGB; where it is known (P, 1, T, T); where the photo shows it (P, 1, T, T).

    Seen texels have the photo's own colours. Hidden ones have the true albedo as the photo would show it in its mean light (`in_light`).
    """
    albedo, known = to_srgb(sample["texture"]).clamp(0, 1), sample["texture_valid"][:, None]
    shown = sample["texture_visible"][:, None] & known
    wanted = torch.where(shown, sample["texture_seen"], in_light(albedo, sample["texture_seen"], shown))
    return (2 * wanted - 1) * known, known.to(albedo.dtype), shown.to(albedo.dtype)


STIFF, ODD = 0.01, 0.1
"""How hard colours resist being changed (share of a texel's weight), and the error in [0, 1] from which a texel counts as odd."""


def in_light(albedo: Tensor, photo: Tensor, shown: Tensor) -> Tensor:
    """Albedo (P, 3, T, T) sRGB with the light, white balance, contrast and saturation of the photo's colours (P, 3, T, T), where `shown`
    (P, 1, T, T) bool: an affine map of colours for each person, fitted robustly (pixels that show something else must not count)."""
    count = shown.flatten(1).sum(1).clamp(min=1)[:, None, None].to(albedo.dtype)
    on = shown.flatten(2).transpose(1, 2).to(albedo.dtype)                                           # (P, N, 1)
    x = torch.cat([albedo.flatten(2).transpose(1, 2), torch.ones_like(on)], 2)
    y = photo.flatten(2).transpose(1, 2)
    eye = torch.eye(4, 3, dtype=x.dtype, device=x.device)
    middle = (on * y).sum(1, keepdim=True) / ((on * x[..., :3]).sum(1, keepdim=True)).clamp(min=1e-6)
    start = eye * torch.where(on.sum(1, keepdim=True) > 0, middle.mean(2, keepdim=True).clamp(0.3, 2), torch.ones_like(count))
    matrix = start
    ridge = STIFF * count * torch.eye(4, dtype=x.dtype, device=x.device)
    for _ in range(4):
        error = (y - x @ matrix).abs().mean(2, keepdim=True)
        weight = on / (1 + (error / ODD).square())
        left = (x * weight).transpose(1, 2) @ x + ridge
        matrix = start + torch.linalg.solve(left, (x * weight).transpose(1, 2) @ (y - x @ start))
    return (x @ matrix).transpose(1, 2).unflatten(2, albedo.shape[2:]).clamp(0, 1)
