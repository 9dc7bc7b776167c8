"""Light from an environment map: one key light (the sun, a window, a softbox) and the rest as spherical harmonics.

Directions are world vectors (z up). The middle column of a map lies at +y, so that with turn 0 a camera looking
along +y sees it behind the person; columns to the right lie at +x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_COSINE = np.array([np.pi] + [2 * np.pi / 3] * 3 + [np.pi / 4] * 5)
"""The cosine lobe's weights of the bands 0, 1, 2 (Ramamoorthi and Hanrahan 2001, equation 8); band 3 has weight 0."""


@dataclass(frozen=True)
class Light:
    """ambient (9, 3) float64 spherical harmonics of the radiance without the key light; key_direction (3,) unit,
    towards the light; key_irradiance (3,) on a surface that faces it; key_angle: its angular radius, radians."""

    ambient: np.ndarray
    key_direction: np.ndarray
    key_irradiance: np.ndarray
    key_angle: float

    def radiance(self, directions: np.ndarray) -> np.ndarray:
        """(N, 3) unit -> (N, 3) smooth ambient radiance, never negative."""
        return np.maximum(basis(directions) @ self.ambient, 0)

    def irradiance(self, normals: np.ndarray) -> np.ndarray:
        """(N, 3) unit -> (N, 3) ambient irradiance, nothing in the way."""
        return np.maximum(basis(normals) @ (self.ambient * _COSINE[:, None]), 0)

    def scaled(self, factor) -> "Light":
        """Brighter by a number, or tinted by an RGB triple."""
        return Light(self.ambient * factor, self.key_direction, self.key_irradiance * factor, self.key_angle)

    def turned(self, degrees: float) -> "Light":
        """Turned about the vertical, counter-clockwise seen from above."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        probes = sphere(256)
        ambient = np.linalg.lstsq(basis(probes @ turn.T), basis(probes) @ self.ambient, rcond=None)[0]
        return Light(ambient, turn @ self.key_direction, self.key_irradiance, self.key_angle)


def from_map(image: np.ndarray, key_share: float = 0.6) -> Light:
    """(H, W, 3) linear equirectangular radiance -> Light.

    The key light is what rises above a high level of luminance within 25 degrees of the brightest place. key_share
    bounds its part of all light, since a map of 256 pixels across cannot hold a sun faithfully.
    """
    direction, solid = directions(*image.shape[:2])
    luminance = image @ np.array([0.2126, 0.7152, 0.0722])
    high = np.sort(luminance.ravel())
    level = max(high[int(0.985 * len(high))], 1e-6)
    excess = np.maximum(luminance - level, 0) * (direction[..., 2] > -0.2) * solid
    peak = direction.reshape(-1, 3)[np.argmax(_blurred(excess))]
    near = direction @ peak > np.cos(np.radians(25))
    weight = excess * near
    total = weight.sum()
    toward = (weight[..., None] * direction).sum((0, 1))
    toward = toward / max(np.linalg.norm(toward), 1e-12) if total > 0 else np.array([0, -0.5, 0.87])
    part = np.where(near, np.maximum(luminance - level, 0) / np.maximum(luminance, 1e-9), 0)[..., None] * image
    key = (part * solid[..., None]).sum((0, 1))
    whole = (image * solid[..., None]).sum((0, 1)).mean()
    key *= min(1.0, key_share * whole / max(key.mean(), 1e-9))
    spread = (weight * np.arccos(np.clip(direction @ toward, -1, 1))).sum() / max(total, 1e-12)
    rest = (image - part).reshape(-1, 3) * solid.reshape(-1, 1)
    return Light(basis(direction.reshape(-1, 3)).T @ rest, toward, key, float(max(spread, 0.01)))


def basis(d: np.ndarray) -> np.ndarray:
    """(N, 3) unit -> (N, 9) real orthonormal spherical harmonics, bands 0 to 2."""
    x, y, z = np.moveaxis(np.asarray(d, np.float64), -1, 0)
    one = np.ones_like(x)
    return np.stack([0.282095 * one, 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z,
                     0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)], -1)


def directions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """World directions (H, W, 3) of a map's pixels and their solid angles (H, W)."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    p, a = np.meshgrid(polar, azimuth, indexing="ij")
    d = np.stack([np.sin(p) * np.sin(a), np.sin(p) * np.cos(a), np.cos(p)], -1)
    return d, np.sin(p) * (np.pi / height) * (2 * np.pi / width)


def sphere(n: int) -> np.ndarray:
    """(n, 3) nearly even directions (Fibonacci lattice)."""
    k = np.arange(n) + 0.5
    z = 1 - 2 * k / n
    a = np.pi * (1 + 5 ** 0.5) * k
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(a), r * np.sin(a), z], -1)


def _blurred(image: np.ndarray, radius: int = 4) -> np.ndarray:
    """Box blur, wrapping around; only to find the brightest place robustly."""
    out = np.zeros_like(image)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            out += np.roll(image, (dy, dx), (0, 1))
    return out
