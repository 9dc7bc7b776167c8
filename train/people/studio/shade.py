"""Light on people: visibility by drawing the scene from the light, ambient light with occlusion, a soft key shadow."""

from __future__ import annotations

import cv2
import numpy as np

from neural.geometry.raster import Fragments, rasterize_screen

from ..light import Light, sphere
from .scene import Scene

_FAR = 100.0     # metres added to orthographic depths, so that they are positive


class ShadowMap:
    """Depths of a mesh seen from a direction far away (orthographic)."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, toward: np.ndarray, size: int):
        """vertices (V, 3) world; toward (3,) unit, to the light; size: pixels of a side."""
        up = np.array([0, 1.0, 0]) if abs(toward[2]) > 0.9 else np.array([0, 0, 1.0])
        right = np.cross(up, toward)
        right /= np.linalg.norm(right)
        self.axes = np.stack([right, np.cross(toward, right), -toward])
        local = vertices @ self.axes.T
        low, span = local.min(0), np.ptp(local, axis=0).max() + 1e-6
        self.low, self.scale, self.size = low[:2], (size - 2) / span, size
        pixels = (local[:, :2] - self.low) * self.scale + 1
        self.depth = rasterize_screen(pixels, local[:, 2] + _FAR, faces, size, size).depth

    def lit(self, points: np.ndarray, bias: float) -> np.ndarray:
        """(N, 3) world points -> (N,) bool: nothing nearer to the light than the point by more than bias metres."""
        local = points @ self.axes.T
        at = np.floor((local[:, :2] - self.low) * self.scale + 1).astype(np.int64)
        inside = ((at >= 0) & (at < self.size)).all(1)
        at = np.clip(at, 0, self.size - 1)
        nearest = self.depth[at[:, 1], at[:, 0]]
        return ~(inside & (nearest < local[:, 2] + _FAR - bias))       # NaN compares false: lit


def ambient_at_vertices(scene: Scene, light: Light, count: int, size: int = 320) -> np.ndarray:
    """(V, 3) in [0, 1]: the part of the ambient irradiance that reaches each vertex past all people.

    Monte Carlo over `count` even directions, each one a shadow map.
    """
    directions, normals = sphere(count), scene.normals
    got, all_light = np.zeros_like(scene.world), np.full_like(scene.world, 1e-9)
    points = scene.world + 0.006 * normals                             # off the surface: no self-shadow
    for d, radiance in zip(directions, light.radiance(directions)):
        cosine = np.maximum(normals @ d, 0)
        seen = ShadowMap(scene.world, scene.faces, d, size).lit(points, 0.008)
        all_light += cosine[:, None] * radiance
        got += (cosine * seen)[:, None] * radiance
    return got / all_light


def key_maps(scene: Scene, light: Light, seed: int, count: int, size: int = 900) -> list[ShadowMap]:
    """Shadow maps from `count` places on the key light's disc."""
    rng = np.random.default_rng(seed)
    spread = np.tan(min(light.key_angle, 0.2)) * rng.normal(0, 0.7, (count, 3))
    toward = light.key_direction + spread
    return [ShadowMap(scene.world, scene.faces, t / np.linalg.norm(t), size) for t in toward]


def key_seen(maps: list[ShadowMap], points: np.ndarray, bias: float) -> np.ndarray:
    """(N,) float32 in [0, 1]: part of the key light that reaches each world point."""
    return np.mean([m.lit(points, bias) for m in maps], 0, dtype=np.float32)


def albedo(fragments: Fragments, scene: Scene) -> np.ndarray:
    """(H, W, 3) float32 linear albedo of the visible faces, textures sampled bilinearly."""
    uv = fragments.interpolate(scene.uv, scene.faces)
    owner = np.where(fragments.hit, scene.texture[np.maximum(fragments.face, 0)], -1)
    out = np.zeros((*fragments.face.shape, 3), np.float32)
    for k, texture in enumerate(scene.textures):
        here = owner == k
        if here.any():
            h, w = texture.shape[:2]
            x = uv[..., 0] % 1 * w - 0.5
            y = (1 - uv[..., 1]) % 1 * h - 0.5
            colour = cv2.remap(linear_from_srgb(texture), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            out[here] = colour[here]
    return out


def shade(fragments: Fragments, scene: Scene, ambient: np.ndarray, light: Light,
          maps: list[ShadowMap]) -> np.ndarray:
    """(H, W, 3) float32 linear radiance of what the fragments show; 0 elsewhere.

    ambient (V, 3) as `ambient_at_vertices` gives it. Lambert, plus a dielectric's reflection (4 % at normal
    incidence, rough), which is what separates skin and cloth from plaster.
    """
    hit = fragments.hit
    n = fragments.interpolate(scene.normals, scene.faces)[hit].astype(np.float64)
    n /= np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)
    p = fragments.interpolate(scene.world, scene.faces)[hit].astype(np.float64)
    eye = -scene.camera_from_world[:3, :3].T @ scene.camera_from_world[:3, 3]
    view = eye - p
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    n = np.where((n * view).sum(1, keepdims=True) < -0.2, -n, n)       # the inner side of an open sheet
    occlusion = fragments.interpolate(ambient, scene.faces)[hit]
    cosine = np.maximum(n @ light.key_direction, 0)
    seen = key_seen(maps, p + 0.005 * n, 0.006) * cosine
    diffuse = (light.irradiance(n) * occlusion + seen[:, None] * light.key_irradiance) / np.pi
    facing = np.clip((n * view).sum(1), 0, 1)
    fresnel = 0.04 + 0.25 * (1 - facing) ** 5
    mirror = 2 * facing[:, None] * n - view
    half = view + light.key_direction
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gloss = 0.8 * np.maximum((n * half).sum(1), 0) ** 12 * seen        # Blinn-Phong, (m + 8) / 8 pi with m = 12
    reflected = light.radiance(mirror) * occlusion + gloss[:, None] * light.key_irradiance
    colour = albedo(fragments, scene)
    out = np.zeros_like(colour)
    out[hit] = colour[hit] * diffuse + 0.5 * fresnel[:, None] * reflected
    return out


def linear_from_srgb(image: np.ndarray) -> np.ndarray:
    """uint8 (or float in [0, 1]) sRGB -> float32 linear."""
    x = image.astype(np.float32) / 255 if image.dtype == np.uint8 else image.astype(np.float32)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb_from_linear(x: np.ndarray) -> np.ndarray:
    """float linear in [0, 1] -> float32 sRGB in [0, 1]."""
    x = np.clip(x, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)
