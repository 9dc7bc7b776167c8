"""Error sheets: the photograph, normals and their angles, distances as heat on both surfaces, colours from other sides."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from neural.geometry.raster import rasterize_screen
from neural.geometry.srgb import srgb

from .measure import NOVEL_DEG, Measured
from .metrics.maps import VIEWS, _TURNS, angle_deg, turn_about_y
from .methods import Reconstruction
from .render.picture import lit, novel_view
from .truth import MeasureConfig, Shape, Truth

HEAT_CM = 5.0       # red end of distances
HEAT_DEG = 60.0     # red end of angles
_SIDE = 384


def sheet(file: Path, truth: Truth, ours: Reconstruction, measured: Measured, title: str, device: str = "cpu") -> None:
    """Write one PNG; `title` is its head line."""
    small = MeasureConfig(view=_SIDE)
    true_views, views = (s.views(truth.extent_m, small, device) for s in (truth.shape, measured.aligned))
    rows: list[list[np.ndarray]] = [[labelled(_fit(truth.shot.rgb), "photo")]]
    for side in ("front", "back"):
        a, b = views[side], true_views[side]
        angle = np.where(a.hit & b.hit, angle_deg(a.normals, b.normals), np.nan)
        rows[0] += [labelled(normal_picture(b.normals), f"true {side}"), labelled(normal_picture(a.normals), f"ours {side}"),
                    labelled(heat(angle / HEAT_DEG), f"angle, red = {HEAT_DEG:g} deg")]
    ours_cm = 100 * truth.shape.surface.closest(measured.aligned.vertices)[0]
    true_cm = 100 * measured.aligned.surface.closest(truth.shape.vertices)[0]
    rows.append([labelled(heat_view(shape, cm, v, truth.extent_m), f"{name}, {v}, red = {HEAT_CM:g} cm")
                 for shape, cm, name, views_shown in ((measured.aligned, ours_cm, "ours to true", VIEWS),
                                                      (truth.shape, true_cm, "true to ours", VIEWS[:3])) for v in views_shown])
    rows.append([labelled(normal_picture(v[side].normals), f"{name} {side}") for side in ("left", "right")
                 for name, v in (("true", true_views), ("ours", views))])
    if ours.mesh.textured:
        colours = _colours(truth, ours, measured, device)
        rows[-1] += colours[:3]
        rows.append(colours[3:])
    picture = _stack(rows)
    head = np.full((40, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(head, title, (8, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 1, cv2.LINE_AA)
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.concatenate([head, picture])[..., ::-1])


def _colours(truth: Truth, ours: Reconstruction, measured: Measured, device: str) -> list[np.ndarray]:
    camera = truth.shot.camera
    factor = 640 / max(camera.width, camera.height)
    camera = camera.resized(round(camera.width * factor), round(camera.height * factor))
    moved = ours.mesh.moved(truth.normalised.inverse.after(measured.similarity).matrix)
    colour, alpha = lit(ours.mesh, camera, None, 2, device)
    out = [labelled(_fit(_u8(srgb(colour + (1 - alpha)[..., None] * np.float32(0.2)))), "ours, photo's camera")]
    turn = truth.normalised.rotation
    for degrees in NOVEL_DEG:
        for name, mesh, light in (("true", truth.shot.mesh, truth.shot.light), ("ours", moved, None)):
            picture = novel_view(mesh, camera, degrees, truth.pelvis, turn, light, 1, device)[0]
            out.append(labelled(_fit(_u8(picture)), f"{name} {degrees:g} deg"))
    return out


def heat_view(shape: Shape, values_cm: np.ndarray, view: str, extent_m: float, size: int = _SIDE) -> np.ndarray:
    """(size, size, 3) uint8: a value per vertex on the surface seen from one side."""
    q = shape.vertices @ turn_about_y(_TURNS[view]).T
    drawn = rasterize_screen(q[:, :2] / extent_m * size + size / 2, q[:, 2] + 1000.0, shape.faces, size, size)
    value = drawn.interpolate(values_cm[:, None], shape.faces, np.nan)[..., 0]
    return heat(value / HEAT_CM)


def heat(value: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] -> colours; NaN is white."""
    shade = np.nan_to_num(np.clip(value, 0, 1) * 255).astype(np.uint8)
    out = cv2.applyColorMap(shade, cv2.COLORMAP_TURBO)[..., ::-1].copy()
    out[~np.isfinite(value)] = 255
    return out


def normal_picture(normals: np.ndarray) -> np.ndarray:
    """View-frame normals -> colours as people know them; nothing is white."""
    out = np.rint((normals * np.array([1, -1, -1]) * 0.5 + 0.5) * 255).astype(np.uint8)
    out[~normals.any(-1)] = 255
    return out


def labelled(image: np.ndarray, text: str) -> np.ndarray:
    out = np.ascontiguousarray(image)
    cv2.putText(out, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.putText(out, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    return out


def _u8(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _fit(image: np.ndarray) -> np.ndarray:
    """Scaled into a square of _SIDE, white around."""
    s = _SIDE / max(image.shape[:2])
    small = cv2.resize(image, (round(image.shape[1] * s), round(image.shape[0] * s)), interpolation=cv2.INTER_AREA)
    out = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    y, x = (_SIDE - small.shape[0]) // 2, (_SIDE - small.shape[1]) // 2
    out[y:y + small.shape[0], x:x + small.shape[1]] = small
    return out


def _stack(rows: list[list[np.ndarray]]) -> np.ndarray:
    widest = max(len(r) for r in rows)
    blank = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    return np.concatenate([np.concatenate([*r, *[blank] * (widest - len(r))], 1) for r in rows])
