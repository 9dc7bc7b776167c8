"""Scarf, headscarf, hood, backpack and shoulder bag: simple shapes hung on the mean body's skin."""

from __future__ import annotations

import numpy as np

from neural.geometry.closest import closest_points

from ..types import Base
from .sheet import Sheet, attached, clip, grid, smooth


def _skin(base: Base) -> tuple[np.ndarray, np.ndarray]:
    faces = base.groups["skin faces"].cpu().numpy()
    return base.mean.double().cpu().numpy(), np.concatenate([faces[:, :3], faces[:, [0, 2, 3]]])


def _at(base: Base, bone: str) -> np.ndarray:
    return base.heads[base.bones.index(bone)].double().cpu().numpy()


def _reach(points: np.ndarray, centre: np.ndarray, ways: np.ndarray, width: float = 0.93) -> np.ndarray:
    """How far points (N, 3) reach from the centre in directions (D, 3), smoothed over the directions nearby."""
    away = points - centre
    length = np.linalg.norm(away, axis=1)
    cosine = (away / np.maximum(length, 1e-9)[:, None]) @ ways.T
    return np.where(cosine > width, length[:, None], 0).max(0)


def scarf(base: Base) -> Sheet:
    """A thick ring round the neck, lower in front."""
    mean, triangles = _skin(base)
    low = _at(base, "neck01")
    skin = mean[np.unique(triangles)]
    turn, round_ = np.linspace(0, 2 * np.pi, 40, endpoint=False), np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ways = np.stack([np.sin(turn), -np.cos(turn), np.zeros_like(turn)], 1)
    band = skin[np.abs(skin[:, 2] - low[2] - 0.035) < 0.012]           # above the shoulders
    radius = np.array([np.max((band - low) @ w) for w in ways]) + 0.018
    middle = low + ways * radius[:, None] + np.array([0, 0, 1]) * (-0.035 * np.cos(turn) + 0.008)[:, None]
    thick = 0.019 * (1 + 0.18 * np.sin(3 * turn + 0.7))
    section = np.cos(round_)[None, :, None] * ways[:, None] + 1.9 * np.sin(round_)[None, :, None] * np.array([0, 0, 1])
    place = middle[:, None] + thick[:, None, None] * section
    faces = grid(41, 12, closed=True) % (40 * 12)
    return _outward(attached(place.reshape(-1, 3), faces, mean, triangles))


def _shell(base: Base, off: float, open_deg: float, low: float, back: float) -> Sheet:
    """A shell round the head that leaves the face open and falls on the shoulders. low: how far below the chin's bone; back: extra room behind."""
    mean, triangles = _skin(base)
    head = mean[base.groups["head"].cpu().numpy()]
    centre = _at(base, "head") + [0, 0.03, 0.04]
    around = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    a, u = np.meshgrid(around, np.radians(np.linspace(89, -50, 17)))
    ways = np.stack([np.sin(a) * np.cos(u), np.cos(a) * np.cos(u), np.sin(u)], -1)   # a = 0: behind
    radius = _reach(head, centre, ways.reshape(-1, 3)).reshape(a.shape)
    radius = np.maximum(radius, 0.095) + off + back * np.clip(np.cos(a), 0, 1) * np.clip(np.cos(u), 0, 1)
    place = centre + radius[..., None] * ways
    skirt = []
    for k in range(1, 6):                                               # down over neck and shoulders
        ring = place[-1].copy()
        ring[:, :2] = centre[:2] + (ring[:, :2] - centre[:2]) * (1 + 0.16 * k * low / 0.12)
        ring[:, 2] -= 0.2 * k * low
        skirt.append(ring)
    place = np.concatenate([place, np.stack(skirt)])
    faces = grid(place.shape[0], place.shape[1], closed=True)
    away = np.concatenate([ways.reshape(-1, 3), np.tile([0, 0, -1.0], (5 * len(around), 1))])
    sheet = smooth(Sheet(np.zeros((len(away), 3), int), np.tile([1.0, 0, 0], (len(away), 1)), place.reshape(-1, 3), faces), 4)
    face = np.array([0, -np.cos(0.35), -np.sin(0.35)])                  # a little below straight ahead
    angle = np.degrees(np.arccos(np.clip(away @ face, -1, 1)))
    sheet = clip(sheet, angle - open_deg * (1 - 0.12 * np.abs(away[:, 0])))
    return _outward(attached(sheet.place, sheet.faces, mean, triangles))


def headscarf(base: Base) -> Sheet:
    return _shell(base, 0.012, 50, 0.14, 0.01)


def hood(base: Base) -> Sheet:
    return _shell(base, 0.026, 56, 0.06, 0.035)


def _box(centre: np.ndarray, half: np.ndarray, power: float = 0.45) -> tuple[np.ndarray, np.ndarray]:
    """A rounded box: vertices (N, 3) and quads."""
    a, u = np.linspace(0, 2 * np.pi, 28, endpoint=False), np.linspace(-np.pi / 2, np.pi / 2, 15)
    bend = lambda v: np.sign(v) * np.abs(v) ** power
    aa, uu = np.meshgrid(a, u)
    place = np.stack([bend(np.cos(aa)) * bend(np.cos(uu)), bend(np.sin(aa)) * bend(np.cos(uu)), bend(np.sin(uu))], -1) * half + centre
    return place.reshape(-1, 3), grid(15, 28, closed=True)


def _strap(base: Base, path: np.ndarray, width: float, off: float) -> Sheet:
    """A band along a path, laid on the skin."""
    mean, triangles = _skin(base)
    t = np.linspace(0, len(path) - 1, 36)
    line = np.stack([np.interp(t, np.arange(len(path)), path[:, k]) for k in range(3)], 1)
    for _ in range(4):
        line[1:-1] = 0.5 * line[1:-1] + 0.25 * (line[2:] + line[:-2])
    found = closest_points(line, mean, triangles)
    corner = mean[triangles[found.face]]
    out = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    line = found.point + off * out
    along = np.gradient(line, axis=0)
    across = np.cross(out, along)
    across *= width / 2 / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    place = np.stack([line - across, line + across], 1).reshape(-1, 3)
    return _outward(attached(place, grid(36, 2), mean, triangles))


def backpack(base: Base) -> Sheet:
    """A rounded box on the back with two straps."""
    mean, triangles = _skin(base)
    chest = _at(base, "spine01")
    back = mean[np.unique(triangles)]
    back = back[(np.abs(back[:, 0]) < 0.04) & (np.abs(back[:, 2] - chest[2]) < 0.08)][:, 1].max()
    centre = np.array([0, back + 0.095, chest[2] - 0.03])
    place, faces = _box(centre, np.array([0.15, 0.075, 0.22]))
    anchor = attached(np.array([[0, back, chest[2]]]), faces[:0], mean, triangles)
    bag = Sheet(anchor.ref.repeat(len(place), 0), anchor.mix.repeat(len(place), 0), place, faces)      # stiff: all on one spot
    top, low = chest[2] + 0.10, chest[2] - 0.16
    parts = [_outward(bag)]
    for s in (1.0, -1.0):
        path = np.array([[0.07, back, top], [0.085, 0.03, top + 0.05], [0.095, -0.03, top + 0.05], [0.10, -0.13, top - 0.04],
                         [0.12, -0.14, chest[2] - 0.03], [0.16, -0.06, low], [0.15, 0.05, low], [0.10, back, low]]) * [s, 1, 1]
        parts.append(_strap(base, path, 0.045, 0.022))
    return _joined(parts)


def shoulder_bag(base: Base) -> Sheet:
    """A flat bag at the left hip on a strap across the chest."""
    mean, triangles = _skin(base)
    hip = _at(base, "upperleg01.L")
    side = mean[np.unique(triangles)]
    x = side[(np.abs(side[:, 2] - hip[2]) < 0.03) & (side[:, 0] > 0) & (side[:, 0] < 0.27)][:, 0].max()
    place, faces = _box(np.array([x + 0.06, 0.01, hip[2] - 0.03]), np.array([0.045, 0.14, 0.11]))
    anchor = attached(np.array([[x, 0.01, hip[2] + 0.08]]), faces[:0], mean, triangles)
    bag = _outward(Sheet(anchor.ref.repeat(len(place), 0), anchor.mix.repeat(len(place), 0), place, faces))
    chest = _at(base, "spine01")[2]
    front = np.array([[x, -0.02, hip[2] + 0.09], [0.10, -0.16, chest - 0.14], [0.0, -0.17, chest - 0.01], [-0.08, -0.11, chest + 0.11],
                      [-0.10, -0.02, chest + 0.16], [-0.08, 0.06, chest + 0.10], [0.0, 0.12, chest - 0.05],
                      [0.10, 0.12, chest - 0.2], [x, 0.04, hip[2] + 0.09]])
    return _joined([bag, _strap(base, front, 0.035, 0.024)])


def _joined(parts: list[Sheet]) -> Sheet:
    start = np.cumsum([0] + [len(p.place) for p in parts])
    return Sheet(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("ref", "mix", "place")),
                 np.concatenate([np.where(p.faces >= 0, p.faces + s, -1) for p, s in zip(parts, start)]))


def _outward(sheet: Sheet) -> Sheet:
    """Faces turned so that they look away from what the sheet surrounds or lies on."""
    normal = sheet.normals()
    middle = sheet.place.mean(0)
    look = ((sheet.place - middle) * normal).sum()
    turned = np.where(sheet.faces[:, 3:] < 0, sheet.faces[:, [2, 1, 0, 3]], sheet.faces[:, ::-1])
    return sheet if look >= 0 else Sheet(sheet.ref, sheet.mix, sheet.place, turned)


MAKERS = {
    "own_scarf": ("scarf", "train", 54, scarf), "own_headscarf": ("hat", "train", 60, headscarf), "own_hood": ("hat", "held", 60, hood),
    "own_backpack": ("bag", "train", 62, backpack), "own_shoulder_bag": ("bag", "train", 62, shoulder_bag),
}
"""name -> slot, part, layer, how it is made."""
