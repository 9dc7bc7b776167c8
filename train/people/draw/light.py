"""The light of each picture: spherical harmonics of the surroundings and one key light, as the recipe turns and weighs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from neural.contract.errors import OptionError

from ..recipe import LightRecipe
from ..types import Surroundings, _OnDevice

_COSINE = (3.14159265,) + (2.0943951,) * 3 + (0.78539816,) * 5
"""The cosine lobe's weights of the bands 0, 1, 2 (Ramamoorthi and Hanrahan 2001)."""
_Y00 = 0.282095


@dataclass(frozen=True)
class Lights(_OnDevice):
    """Light of P pictures. ambient (P, 9, 3) radiance without the key; key_direction (P, 3) unit, towards it; key_irradiance (P, 3);
    key_angle (P,) radians; stops (P,) added to the automatic exposure; balance (P,) part of the tint that the camera takes out."""

    ambient: Tensor
    key_direction: Tensor
    key_irradiance: Tensor
    key_angle: Tensor
    stops: Tensor
    balance: Tensor

    def scaled(self, factor: Tensor) -> "Lights":
        """Brighter by factor (P, 3) for each picture and colour."""
        return Lights(self.ambient * factor[:, None], self.key_direction, self.key_irradiance * factor, self.key_angle, self.stops, self.balance)


def lights_of(recipes: Sequence[LightRecipe], surroundings: Surroundings) -> Lights:
    """One light for each recipe; OptionError (option.light) for a name that the surroundings do not have.

    An empty name is light from everywhere, without a key.
    """
    names = {name: k for k, name in enumerate(surroundings.lights)}
    for r in recipes:
        if r.map and r.map not in names:
            raise OptionError("option.light", f"There is no light called '{r.map}'.", f"Choose one of: {', '.join(sorted(names)[:12])}.")
    device = surroundings.ambient.device
    column = lambda f: torch.tensor([float(f(r)) for r in recipes], dtype=torch.float32, device=device)
    row = torch.tensor([names.get(r.map, -1) for r in recipes], device=device)
    known, at = (row >= 0).float(), row.clamp(min=0)
    even = torch.zeros(len(recipes), 9, 3, device=device)
    even[:, 0] = 1 / _Y00
    if not names:
        ambient, direction, key, angle = even, even.new_tensor([[0, 0, 1.0]]).repeat(len(recipes), 1), even[:, 1], even[:, 1, 0]
    else:
        ambient = torch.where(known[:, None, None] > 0, surroundings.ambient[at].float(), even)
        direction, angle = surroundings.key_direction[at].float(), surroundings.key_angle[at].float()
        key = surroundings.key_irradiance[at].float() * known[:, None]
    turn = torch.deg2rad(column(lambda r: r.turn_deg))
    flat = column(lambda r: r.flat)[:, None]
    key = key * column(lambda r: r.key)[:, None]
    mean = ambient[:, 0] * _Y00 + flat * key / 12.566371               # the key's light joins what comes from everywhere
    ambient = turned_harmonics(ambient, turn) * (1 - flat[:, None])
    ambient[:, 0] = mean / _Y00
    ambient = ambient * column(lambda r: r.ambient)[:, None, None]
    return Lights(ambient, turned(direction, turn), key * (1 - flat), angle.clamp(min=0.005), column(lambda r: r.exposure_ev),
                  column(lambda r: r.white_balance))


def basis(d: Tensor) -> Tensor:
    """(N, 3) unit -> (N, 9) real orthonormal spherical harmonics, as train/people/light.py has them."""
    x, y, z = d.unbind(-1)
    return torch.stack([torch.full_like(x, _Y00), 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z,
                        0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)], -1)


def radiance(lights: Lights, d: Tensor, picture: Tensor) -> Tensor:
    """Smooth ambient radiance (N, 3) >= 0 from unit directions (N, 3) in the pictures (N,)."""
    return _sum(basis(d), lights.ambient, picture).clamp(min=0)


def irradiance(lights: Lights, n: Tensor, picture: Tensor) -> Tensor:
    """Ambient irradiance (N, 3) >= 0 on unit normals (N, 3), nothing in the way."""
    return _sum(basis(n), lights.ambient * cosine_lobe(n), picture).clamp(min=0)


def cosine_lobe(like: Tensor) -> Tensor:
    """(9, 1): what turns harmonics of radiance into those of irradiance."""
    return torch.tensor(_COSINE, dtype=like.dtype, device=like.device)[:, None]


def turned(d: Tensor, angle: Tensor) -> Tensor:
    """(P, 3) turned by angle (P,) radians about the vertical, counter-clockwise seen from above."""
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([c * d[:, 0] - s * d[:, 1], s * d[:, 0] + c * d[:, 1], d[:, 2]], 1)


def turned_harmonics(a: Tensor, angle: Tensor) -> Tensor:
    """(P, 9, 3) harmonics of the surroundings turned likewise: pairs of order m turn by m times the angle."""
    c, s = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    c2, s2 = c * c - s * s, 2 * c * s
    y, z, x, xy, yz, zz, xz, xx = (a[:, k] for k in range(1, 9))
    return torch.stack([a[:, 0], c * y + s * x, z, c * x - s * y, c2 * xy + s2 * xx, c * yz + s * xz, zz, c * xz - s * yz, c2 * xx - s2 * xy], 1)


def _sum(weights: Tensor, coefficients: Tensor, picture: Tensor) -> Tensor:
    """(N, 9), (P, 9, 3) -> (N, 3). One picture at a time would wait for the machine; a gather per harmonic does not."""
    if len(coefficients) == 1:
        return weights @ coefficients[0]
    return (weights[:, :, None] * coefficients[picture]).sum(1)
