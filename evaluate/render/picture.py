"""The photograph that the pipeline gets, and pictures of a mesh from other sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural.contract.frames import Camera
from neural.geometry.raster import rasterize
from neural.geometry.srgb import srgb

from ..labels import on_canvas
from ..metrics.maps import facing, turn_about_y
from ..readers.mesh import Mesh
from .camera import ShotConfig, place
from .shade import Light, albedo, linear, shrink


@dataclass(frozen=True)
class Shot:
    """One picture with its truth.

    rgb     (H, W, 3) uint8 sRGB.    alpha (H, W) float32 coverage by the person.
    camera  of the picture.          camera_from_world (4, 4).
    mesh    the true mesh in the camera frame (metres).
    light   in the camera frame.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    camera: Camera
    camera_from_world: np.ndarray
    mesh: Mesh
    light: Light


@dataclass(frozen=True)
class TrueMaps:
    """What the stages should find on some canvas. Camera frame, metres; NaN / 0 outside. Back = farthest surface.

    limb_front, limb_back (H, W) uint8 as stages.s06_depth.Depths has them; (0, 0) when they were not asked for.
    """

    depth_front: np.ndarray
    depth_back: np.ndarray
    normal_front: np.ndarray
    normal_back: np.ndarray
    mask: np.ndarray
    limb_front: np.ndarray
    limb_back: np.ndarray


def photograph(mesh: Mesh, config: ShotConfig = ShotConfig(), light: Light = Light(), seed: int = 0,
               device: str = "cpu") -> Shot:
    """Picture of a suite mesh (metres, y up, facing +z) before a plain wall, lit softly; repeatable by `seed`."""
    camera, pose = place(mesh.vertices[np.unique(mesh.faces)], config)
    local = mesh.moved(pose)
    colour, alpha = lit(local, camera, light, config.supersample, device)
    picture = colour + (1 - alpha)[..., None] * wall(camera.height, camera.width, seed)
    rgb = np.rint(srgb(picture) * 255).astype(np.uint8)
    return Shot(rgb, alpha, camera, pose, local, light)


def lit(mesh: Mesh, camera: Camera, light: Light | None, supersample: int = 2,
        device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """Mesh in the camera frame -> linear colour premultiplied by coverage (H, W, 3), coverage (H, W).

    light None: the colours as they are.
    """
    s = supersample
    fine = camera.resized(camera.width * s, camera.height * s)
    drawn = rasterize(mesh.vertices, mesh.faces, fine, device=device)
    colour = albedo(mesh, drawn)
    if light is not None:
        rays = fine.pixel_rays()
        colour *= light.shade(facing(drawn, mesh.normals, rays))[..., None]
    return shrink(colour, s), shrink(drawn.hit.astype(np.float32), s)


def wall(height: int, width: int, seed: int) -> np.ndarray:
    """(H, W, 3) float32 linear: a wall of some muted colour, brighter above, darker towards the corners."""
    rng = np.random.default_rng([seed, 7])
    base = linear(np.clip(rng.uniform(0.45, 0.8) + rng.uniform(-0.06, 0.06, 3), 0, 1))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    fall = 1.1 - 0.25 * y / height - 0.3 * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)
    return base * fall[..., None]


def true_maps(mesh: Mesh, camera: Camera, device: str = "cpu", limb: np.ndarray | None = None) -> TrueMaps:
    """Depth and normals of the true mesh (camera frame) on a canvas; back normals point away from the camera.

    limb (V,) uint8: labels.limbs.
    """
    front = rasterize(mesh.vertices, mesh.faces, camera, device=device)
    back = rasterize(mesh.vertices, mesh.faces, camera, farthest=True, device=device)
    rays = camera.pixel_rays()
    shown = [np.zeros((0, 0), np.uint8)] * 2 if limb is None else [on_canvas(side, mesh, limb) for side in (front, back)]
    return TrueMaps(front.depth, back.depth, facing(front, mesh.normals, rays), -facing(back, mesh.normals, rays), front.hit, *shown)


def novel_view(mesh: Mesh, camera: Camera, degrees: float, pivot: np.ndarray, upright: np.ndarray,
               light: Light | None, supersample: int = 2, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """sRGB picture (H, W, 3) on grey and coverage (H, W) of a mesh (camera frame) turned about the vertical through
    `pivot`; `upright` (3, 3) takes the camera's pitch away.

    The light turns with the person, so colours baked from the photograph stay comparable.
    """
    turn = np.eye(4)
    turn[:3, :3] = upright.T @ turn_about_y(degrees) @ upright
    turn[:3, 3] = pivot - turn[:3, :3] @ pivot
    moved = mesh.moved(turn)
    if light is not None:
        d = turn[:3, :3] @ np.array(light.direction)
        light = Light(light.ambient, light.up, light.key, tuple(d))
    colour, alpha = lit(moved, camera, light, supersample, device)
    return srgb(colour + (1 - alpha)[..., None] * np.float32(0.2)), alpha
