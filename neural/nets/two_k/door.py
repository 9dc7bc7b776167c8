"""The door of the 2K2K networks: pictures, cameras and bodies in, maps in metres and camera axes out. Training and pipeline both use it.

Frames and units as in design.md: camera x right, y down, z forward, metres; pixel centres at + 0.5; canvases S x S. `B` people at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import units
from .net import Inputs, Output, TwoK, final
from .ours import Body, unit
from .parts import INDEX, JOINTS, place

FROM_LANDMARKS = {
    **{name: (name,) for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")},
    **{f"{s}_{name}": (f"{s}_{name}",) for s in ("left", "right") for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel")},
    **{f"{s}_big_toe": (f"{s}_foot_index",) for s in ("left", "right")},
    **{f"{s}_small_toe": (f"{s}_small_toe", f"{s}_foot_index") for s in ("left", "right")},
    **{f"{s}_hand_{k}": names for s in ("left", "right") for k, names in enumerate((
        (f"{s}_index",), (f"{s}_middle_knuckle", f"{s}_index"), (f"{s}_middle_knuckle", f"{s}_pinky"), (f"{s}_pinky",)))},
}
"""Which landmark (of BlazePose, or of our body model, which has more) stands for each joint of 2K2K; the first that there is."""


TRUSTED = 0.3
"""Landmarks less visible than this are guesses: no part is placed by them (training forgets half of them)."""


@dataclass(frozen=True)
class View:
    """What a network is told about B people.

    image   (B, 3, S, S) float in [0, 1], sRGB.           matte   (B, 1, S, S) float in [0, 1].
    inside  (B, 1, S, S) float: 1 within the photo, 0 where the canvas reaches beyond it.
    focal   (B,), centre (B, 2): pinhole camera, pixels of the canvas.
    joints  (B, 31, 2) float64 on the CPU, canvas pixels, parts.JOINTS; NaN = not known.
    body    maps of the posed body as neural/body/maps.py describes them, of the same camera, M x M (any M).
    pelvis  (B,) z of the pelvis, metres: the middle of the depths.
    """

    image: Tensor
    matte: Tensor
    inside: Tensor
    focal: Tensor
    centre: Tensor
    joints: np.ndarray
    body: dict[str, Tensor]
    pelvis: Tensor

    @property
    def unit(self) -> Tensor:
        """(B,) metres that the canvas is wide at the pelvis: COMPACT's unit of depth."""
        return self.pelvis * self.image.shape[-1] / self.focal


@dataclass(frozen=True)
class Maps:
    """What comes out, on the network's canvas (or the coarse one).

    normals    (B, 6, S, S) unit, outward, camera axes, front (z <= 0) then back (z >= 0).
    depth      (B, 2, S, S) z metres, front then back, everywhere finite: only the mask says where they mean something.
    mask       (B, 1, S, S) in [0, 1]: the person.
    error      (B, 2, S, S) expected absolute error of the depths, metres; PAPER knows none: NaN.
    tilt       (B, 2, S, S) expected length of the normals' error vector (about radians); PAPER: NaN.
    confidence (B, 1, S, S) in [0, 1]: from both (PAPER: the mask).
    """

    normals: Tensor
    depth: Tensor
    mask: Tensor
    error: Tensor
    tilt: Tensor
    confidence: Tensor


def joints_from_landmarks(points: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """(..., L, 2) landmarks with their names (contract LANDMARKS or BodyModel.landmark_names) -> (..., 31, 2); NaN stays NaN, absent = NaN."""
    row = {name: i for i, name in enumerate(names)}
    out = np.full((*points.shape[:-2], len(JOINTS), 2), np.nan)
    for joint, candidates in FROM_LANDMARKS.items():
        found = next((row[c] for c in candidates if c in row), None)
        if found is not None:
            out[..., INDEX[joint], :] = points[..., found, :]
    return out


def normalised(joints: np.ndarray, side: int) -> np.ndarray:
    """Canvas pixels -> -1 … 1 between the canvas's outer edges."""
    return 2 * joints / side - 1


def compact_inputs(view: View) -> Inputs:
    """What COMPACT takes. Limbs are placed by `view.joints`; those that are unknown or off the canvas are left out."""
    side, device = view.image.shape[-1], view.image.device
    maps, present = _placed(view.joints, side)
    body = view.body
    hit = body["mask"][:, None].to(torch.float32)
    depth = torch.stack([body["depth_front"], body["depth_back"]], 1) - view.pelvis[:, None, None, None]
    posed = Body(torch.cat([body["normal_front"], body["normal_back"]], 1) * hit, depth / view.unit[:, None, None, None] * hit, hit,
                 torch.stack([body["part_front"], body["part_back"]], 1).to(torch.int64))
    rays = torch.stack([view.focal, view.centre[:, 0], view.centre[:, 1]], 1).to(device=device, dtype=torch.float32) / side
    return Inputs((2 * view.image - 1) * view.inside, maps, present, view.matte * view.inside, rays, posed)


def _placed(joints: np.ndarray, side: int) -> tuple[Tensor, Tensor]:
    where = [place(normalised(j, side)) for j in joints]
    return torch.tensor(np.stack([w.part_to_image for w in where])), torch.tensor(np.stack([w.present for w in where]))


def compact_maps(view: View, normals: Tensor, raw: Tensor) -> Maps:
    """COMPACT's merged normals (B, 8, n, n) and raw depth (B, 5, n, n), coarse or fine, in metres."""
    metres = view.unit.to(raw)[:, None, None, None]
    depth = raw[:, :2] * metres + view.pelvis.to(raw)[:, None, None, None]
    error, tilt = depth_scale(raw[:, 3:]) * metres, torch.exp(normals[:, 6:])
    mask = torch.sigmoid(raw[:, 2:3])
    sure = torch.exp(-(error / DOUBT_M + tilt / DOUBT).mean(1, keepdim=True) / 2)
    return Maps(sided(normals[:, :6]), depth, mask, error, tilt, mask * sure)


PERCENT = 0.01
"""COMPACT's log uncertainties of depth are those of the error in hundredths of the canvas's side."""

DOUBT_M, DOUBT = 0.05, 0.8
"""Confidence falls to 1 / e where 5 cm, or 0.8 (about 45 degrees), are expected."""


def depth_scale(log: Tensor) -> Tensor:
    """Raw log uncertainty -> expected error, sides of the canvas."""
    return PERCENT * torch.exp(log.clamp(-6, 3))


def depth_target(view: View, front: Tensor, back: Tensor) -> Tensor:
    """True z in metres (B, n, n), 0 or NaN outside -> (B, 2, n, n) as COMPACT's raw depths have it; NaN outside."""
    z = torch.stack([front, back], 1)
    z = torch.where(z > 0, z, torch.nan)
    return (z - view.pelvis[:, None, None, None]) / view.unit[:, None, None, None]


def sided(normals: Tensor) -> Tensor:
    """Front normals look to the camera, back ones away: those that do not are laid onto the horizon."""
    n = normals.unflatten(1, (2, 3)).clone()
    n[:, 0, 2].clamp_(max=0)
    n[:, 1, 2].clamp_(min=0)
    return unit(n.flatten(1, 2))


SHADE = 0.85
"""The release lowers brightness, contrast and saturation to this, in random order; here in this order."""


def paper_inputs(view: View) -> Inputs:
    """What PAPER takes: black background, its colours, its canvas of 2048 pixels (others are enlarged). Parts that are not known are left out,
    where the release would guess the middle of the picture."""
    image = view.image
    grey = lambda x: (x * x.new_tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    person = ((view.matte > 0) & (view.inside > 0)).to(image.dtype)
    image = image * person * SHADE
    image = (SHADE * image + (1 - SHADE) * grey(image).mean((1, 2, 3), keepdim=True)).clamp(0, 1)
    image = (SHADE * image + (1 - SHADE) * grey(image)).clamp(0, 1)
    maps, present = _placed(view.joints, view.image.shape[-1])
    return Inputs(2 * _to_official(image) - 1, maps, present)


OFFICIAL = 2048


def _to_official(picture: Tensor) -> Tensor:
    if picture.shape[-1] == OFFICIAL:
        return picture
    return F.interpolate(picture, (OFFICIAL, OFFICIAL), mode="bicubic", align_corners=False).clamp(0, 1)


def paper_normals(view: View, normals: Tensor) -> Tensor:
    """PAPER's pseudo-normals (B, 6, n, n), coarse or merged -> (B, 6, s, s) unit, camera axes; s as in paper_maps."""
    canvas = normals.shape[-1]
    both = torch.cat([units.true_normals(normals[:, 3 * k:3 * k + 3], canvas, canvas, bool(k)) for k in (0, 1)], 1)
    return unit(_small(view, both))


def _small(view: View, x: Tensor) -> Tensor:
    side = view.image.shape[-1]
    return x if x.shape[-1] <= side else F.interpolate(x, (side, side), mode="area")


def paper_maps(view: View, output: Output) -> Maps:
    """PAPER's output in metres, at the view's own size (coarse output: at its own, where that is smaller). Its depth is the length of the
    ray of its own camera; here the depth relief is carried to the view's camera, with the pelvis where the paper has the centroid."""
    side, canvas = view.image.shape[-1], output.raw.shape[-1]
    done = final(output.raw).masked()
    ray = torch.as_tensor(units.unit_rays(canvas)[..., 2], dtype=output.raw.dtype, device=output.raw.device)
    z = units.ray_length(torch.cat([done.front, done.back], 1), canvas) * ray - 1
    metres = z * units.focal(canvas) * (view.pelvis * side / canvas / view.focal)[:, None, None, None].to(z) + view.pelvis.to(z)[:, None, None, None]
    unknown = torch.full_like(metres, torch.nan)
    mask, unknown = _small(view, done.mask), _small(view, unknown)
    return Maps(paper_normals(view, output.normals), _small(view, metres), mask, unknown, unknown, mask)


def run(net: TwoK, view: View) -> Maps:
    """Full-resolution maps; under torch.inference_mode."""
    if net.config.ours:
        out = net(compact_inputs(view))
        return compact_maps(view, out.normals, out.raw)
    return paper_maps(view, net(paper_inputs(view)))
