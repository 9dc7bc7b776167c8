"""The colour of surfaces: pictures, and fabrics that are functions of the place on the body.

A fabric is laid around the mean body at rest: across = round the trunk (or along the arm's girth), up = along the trunk or the arm,
with a seam where a sleeve is set in. Lengths are metres. Patterns are averaged over the pixel's footprint.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..recipe import FABRICS
from ..types import Fragments, People, Textures
from .noise import noise, numbers
from .patterns import PATTERNS, Place
from .textures import sample

_SHOULDER, _ARM = (0.17, -0.024, 0.486), (0.674, -0.739)
"""The mean body's left shoulder at rest, and the arm's direction (x, z)."""
_HIP, _SPREAD = (0.115, -0.06), 0.09
"""A leg's axis at rest begins at (x, z) and runs outward by this much per metre down."""
_TRUNK_RADIUS, _ARM_RADIUS, _LEG_RADIUS = 0.14, 0.055, 0.085
DARKEST, BRIGHTEST = 0.008, 0.92
"""Nothing that is worn reflects less or more: colours from 0 to 1 are squeezed in between."""


def albedo(people: People, fragments: Fragments, textures: Textures, levels: Tensor, footprint: Tensor) -> Tensor:
    """(N, 3) float32 linear albedo in [0, 1]. levels (F,): mip level of each face; footprint (N,): metres that a pixel spans there."""
    material = people.material[fragments.face]
    m = people.materials
    pictured = (m.kind == 0) & (m.texture >= 0)
    out = torch.empty((len(material), 3), dtype=torch.float32, device=material.device)
    at = torch.nonzero(pictured[material]).view(-1)
    if len(at):
        row, face = material[at], fragments.face[at]
        uv = (people.uv[people.faces[face]] * fragments.bary[at, :, None]).sum(1)
        out[at] = sample(textures, m.texture[row], levels[face], uv)[:, :3] * m.tint[row]
    at = torch.nonzero(~pictured[material]).view(-1)
    if len(at):
        rest = (people.rest[people.faces[fragments.face[at]]] * fragments.bary[at, :, None]).sum(1)
        out[at] = dyed(people, material[at], rest, footprint[at])
    return DARKEST + (BRIGHTEST - DARKEST) * out.clamp(0, 1)


def dyed(people: People, material: Tensor, rest: Tensor, footprint: Tensor) -> Tensor:
    """(N, 3) colours of materials (N,) that are no picture, at rest places (N, 3)."""
    m = people.materials
    across, up = lay(rest, skirts(people)[material])
    out = m.colours[material, 0].clone()
    kind = m.kind[material]
    chance = numbers(m.seed, 8)
    for k, name in enumerate(FABRICS):
        if name not in PATTERNS:
            continue
        at = torch.nonzero(kind == k).view(-1)
        if len(at):
            row = material[at]
            c, s = torch.cos(m.angle[row]), torch.sin(m.angle[row])
            x, y, scale = across[at], up[at], m.scale[row].clamp(min=1e-3)
            place = Place((c * x + s * y) / scale, (c * y - s * x) / scale, x, y, rest[at], footprint[at] / scale, footprint[at], scale,
                          m.seed[row], chance[row])
            out[at] = PATTERNS[name](place, m.colours[row])
    weave = noise(rest * 450, m.seed[material]) - 0.5                  # threads, where a pixel is fine enough to show them
    worn = noise(rest * 9, m.seed[material] + 17) - 0.5
    fine = 0.10 * (1 - footprint * 450).clamp(0, 1)
    return out * (1 + fine * weave + 0.10 * worn)[:, None]


def lay(rest: Tensor, skirt: Tensor) -> tuple[Tensor, Tensor]:
    """Rest places (N, 3) -> metres across (girth) and up (height), (N,) each. skirt (N,) bool: no legs of its own."""
    x, y, z = rest.unbind(1)
    side = x.abs()
    arm = side > torch.where(z > 0.38, 0.155, 0.16 + 0.42 * (0.38 - z))
    dx, dz = side - _SHOULDER[0], z - _SHOULDER[2]
    girth = dx * _ARM[1] - dz * _ARM[0]                                # sideways of the arm, in the picture's plane
    across = torch.where(arm, _ARM_RADIUS * torch.atan2(girth, _SHOULDER[1] - 0.02 - y), _TRUNK_RADIUS * torch.atan2(x, 0.02 - y))
    leg = (z < _HIP[1]) & ~skirt & ~arm
    axis = _HIP[0] + _SPREAD * (_HIP[1] - z)
    round_leg = torch.sign(x) * (axis + _LEG_RADIUS * torch.atan2(side - axis, -y))
    return torch.where(leg, round_leg, across), torch.where(arm, _SHOULDER[2] - (dx * _ARM[0] + dz * _ARM[1]), z)


def skirts(people: People) -> Tensor:
    """(M,) bool: materials that close the gap between the legs: skirts, dresses, coats."""
    corner = people.rest[people.faces]
    x, z = corner[:, :, 0], corner[:, :, 2]
    bridge = (x.amin(1) < 0.02) & (x.amax(1) > -0.02) & (z.amax(1) < -0.25) & (z.amin(1) > -0.6)
    count = torch.zeros(len(people.materials.kind), dtype=torch.int32, device=x.device)
    return count.scatter_reduce_(0, people.material, bridge.int(), "amax") > 0
