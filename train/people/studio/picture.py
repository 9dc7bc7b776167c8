"""The photograph: people, background, contact shadow, exposure, tone, noise."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from neural.geometry.raster import rasterize

from ..assets import load_background, load_light
from ..light import Light, from_map
from .scene import Scene, Shot
from .shade import ambient_at_vertices, key_maps, key_seen, linear_from_srgb, shade, srgb_from_linear

_GREY = np.array([0.2126, 0.7152, 0.0722])


def photograph(shot: Shot, scene: Scene, root: Path) -> np.ndarray:
    """(height, width, 3) uint8 sRGB."""
    light = key_light(shot, root)
    s = shot.supersample
    fragments = rasterize(scene.vertices, scene.faces, scene.camera.resized(s * shot.width, s * shot.height))
    ambient = ambient_at_vertices(scene, light, shot.ambient_samples)
    light = exposed(light, shot, scene)
    maps = key_maps(scene, light, shot.seed, shot.key_samples)
    colour = _shrunk(shade(fragments, scene, ambient, light, maps), s)   # premultiplied by coverage
    alpha = _shrunk(fragments.hit.astype(np.float32), s)[..., None]
    back = background(shot, scene, root)
    if shot.floor_shadow:
        back = back * floor_shadow(scene, light, maps)[..., None]
    picture = srgb_from_linear(_shoulder(colour + (1 - alpha) * back))
    rng = np.random.default_rng(shot.seed)
    picture = picture + rng.normal(0, shot.noise, picture.shape)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def key_light(shot: Shot, root: Path) -> Light:
    """The shot's light, turned as it says; on its own: the key light 35 to 60 degrees beside the camera."""
    light = from_map(load_light(root, shot.light))
    turn = shot.light_turn_deg
    if turn is None:
        rng = np.random.default_rng([shot.seed, 1])
        wanted = rng.choice([-1, 1]) * rng.uniform(35, 60)             # from -y (the camera's side)
        x, y, _ = light.key_direction
        turn = wanted - np.degrees(np.arctan2(x, -y))
    return light.turned(turn)


def exposed(light: Light, shot: Shot, scene: Scene) -> Light:
    """The light scaled so that a white card turned as the people's visible side is would come out near white."""
    eye = -scene.camera_from_world[:3, :3].T @ scene.camera_from_world[:3, 3]
    view = eye - scene.world
    facing = scene.normals[(scene.normals * view).sum(1) > 0]
    cosine = np.maximum(facing @ light.key_direction, 0)[:, None]
    mean = (light.irradiance(facing) + 0.8 * cosine * light.key_irradiance).mean(0) / np.pi
    tint = (mean / (mean @ _GREY)) ** -shot.white_balance
    return light.scaled(tint).scaled(0.95 * 2.0 ** shot.exposure_ev / max(float(mean @ _GREY), 1e-6))


def background(shot: Shot, scene: Scene, root: Path) -> np.ndarray:
    """(height, width, 3) float32 linear: a plain colour with a little falloff, or a view with its horizon in place."""
    h, w = shot.height, shot.width
    if shot.background.startswith("#"):
        colour = np.array([int(shot.background[i:i + 2], 16) for i in (1, 3, 5)], np.uint8)
        y, x = np.mgrid[0:h, 0:w]
        away = ((x / w - 0.5) ** 2 + (y / h - 0.4) ** 2).astype(np.float32)
        return linear_from_srgb(colour) * (1 - 0.45 * away)[..., None]
    image = load_background(root, shot.background)
    camera = scene.camera
    ahead = scene.camera_from_world[:3, :3] @ np.array([0, 1.0, 0])    # the level direction: its image is the horizon
    level = float(np.clip(camera.project(ahead[None])[0, 1], 0.15 * h, 0.85 * h))
    rows, columns = image.shape[:2]                                    # views are level: their horizon is the middle
    scale = max(w / columns, level / (rows / 2), (h - level) / (rows / 2))
    move = np.array([[scale, 0, w / 2 - scale * columns / 2], [0, scale, level - scale * rows / 2]])
    out = cv2.warpAffine(linear_from_srgb(image), move, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(np.maximum(out, 0), (0, 0), shot.background_blur) if shot.background_blur > 0 else out


def floor_shadow(scene: Scene, light: Light, maps: list) -> np.ndarray:
    """(H, W) float32 in [0, 1]: how much light is left on the floor plane; 1 above the horizon and far away."""
    camera, turn = scene.camera, scene.camera_from_world[:3, :3]
    eye = -turn.T @ scene.camera_from_world[:3, 3]
    small = camera.resized(camera.width // 2, camera.height // 2)      # shadows are soft: half size suffices
    rays = small.pixel_rays().reshape(-1, 3) @ turn
    down = rays[:, 2] < -1e-3
    reach = np.where(down, -eye[2] / np.where(down, rays[:, 2], -1), 0)
    points = eye + reach[:, None] * rays
    near = down & (np.abs(points[:, :2] - scene.world[:, :2].mean(0)).max(1) < 4)
    left = np.ones(len(rays), np.float32)
    up = np.array([[0, 0, 1.0]])
    key = light.key_irradiance @ _GREY * max(light.key_direction[2], 0)
    share = 0.75 * key / max(key + float((light.irradiance(up) @ _GREY)[0]), 1e-9)
    seen = key_seen(maps, points[near] + [0, 0, 0.004], 0.004)
    left[near] = (1 - share * (1 - seen)) * (1 - _contact(scene.world, points[near]))
    left = cv2.GaussianBlur(left.reshape(small.height, small.width), (0, 0), 1.5)
    return cv2.resize(left, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)


def _contact(world: np.ndarray, points: np.ndarray, cell: float = 0.01) -> np.ndarray:
    """(N,) in [0, 1): ambient occlusion of floor points by what hovers over them, from blurred footprints."""
    low = world[:, :2].min(0) - 0.8
    size = np.ceil((world[:, :2].max(0) + 0.8 - low) / cell).astype(int)
    height = np.full(size[::-1], np.inf)
    at = ((world[:, :2] - low) / cell).astype(int)
    np.minimum.at(height, (at[:, 1], at[:, 0]), world[:, 2])
    out = np.zeros(height.shape, np.float32)
    for reach, strength in ((0.03, 0.55), (0.10, 0.45), (0.30, 0.35)):  # metres: sole, shoe, leg
        feet = cv2.morphologyEx((np.exp(-height / reach)).astype(np.float32), cv2.MORPH_CLOSE, np.ones((5, 5)))
        out = 1 - (1 - out) * (1 - strength * np.clip(cv2.GaussianBlur(feet, (0, 0), 0.6 * reach / cell) * 1.6, 0, 1))
    q = np.clip((points[:, :2] - low) / cell, 0, size - 1).astype(np.float32)
    value = cv2.remap(out, q[None, :, 0], q[None, :, 1], cv2.INTER_LINEAR)[0] if len(q) < 30000 else \
        out[q[:, 1].astype(int), q[:, 0].astype(int)]
    inside = ((points[:, :2] > low) & (points[:, :2] < low + size * cell)).all(1)
    return np.where(inside, value, 0).astype(np.float32)


def _shoulder(x: np.ndarray, knee: float = 0.75) -> np.ndarray:
    """Highlights roll off smoothly towards 1 instead of clipping."""
    over = np.maximum(x - knee, 0)
    return np.minimum(x, knee) + (1 - knee) * (1 - np.exp(-over / (1 - knee)))


def _shrunk(image: np.ndarray, s: int) -> np.ndarray:
    """Box average over s x s pixels."""
    h, w = image.shape[0] // s, image.shape[1] // s
    return image.reshape(h, s, w, s, *image.shape[2:]).mean((1, 3))
