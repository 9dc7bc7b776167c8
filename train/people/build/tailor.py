"""Garments of our own make, cut from MakeHuman's dressing surface on the mean body: `extend(pack)` adds them to a pack's items.

They are items like all others (places hang on base vertices), so shapes, poses, folds and layers treat them alike. No textures: they take fabrics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..pack.items import INFLUENCES, Piece, Tailor, _finish, join
from ..pack.subdivide import subdivide, unchanged
from ..types import Base, Item, Items, Pack
from . import accessories
from .limbs import Limbs
from .sheet import Sheet, clip, lengthen, lift, smooth

HELPERS = Path(__file__).with_name("helpers.npz")
HEM_Z = 0.035
"""Where the lengthened part of tops and skirts begins (just above the crotch), metres in the base's frame."""


@dataclass(frozen=True)
class Cut:
    """A garment. arm, leg: how far down it reaches (metres; 0: no sleeves); waist: height of its upper edge if it has no upper part, else None;
    neck: height of the collar, v: how much deeper in front; hem: height of its lower edge above the hips, or below them `drop` metres of free
    cloth, `flare` metres wider per metre; off: metres off the body, more_arm, more_leg, more_hem: and so much more per metre downwards;
    open: metres of front left open; front_only: half width of a front panel (0: all round)."""

    slot: str
    arm: float = 0.0
    leg: float = 0.0
    waist: float | None = None
    neck: float = 0.565
    v: float = 0.0
    hem: float = HEM_Z
    drop: float = 0.0
    flare: float = 0.0
    off: float = 0.008
    more_arm: float = 0.0
    more_leg: float = 0.0
    more_hem: float = 0.02
    open: float = 0.0
    front_only: float = 0.0
    rounds: int = 6
    layer: int = 50
    sex: str = "any"
    part: str = "train"


CUTS = {
    "own_tshirt": Cut("top", arm=0.20, drop=0.05, off=0.010, more_arm=0.06),
    "own_oversize_tee": Cut("top", arm=0.27, drop=0.13, off=0.022, more_arm=0.10, rounds=12),
    "own_longsleeve": Cut("top", arm=0.52, drop=0.04, off=0.008),
    "own_vneck": Cut("top", arm=0.17, drop=0.05, v=0.11, part="held"),
    "own_tank": Cut("top", arm=0.05, neck=0.53, v=0.05, drop=0.03, off=0.006),
    "own_crop_top": Cut("top", arm=0.14, hem=0.28, off=0.008),
    "own_sweater": Cut("top", arm=0.53, drop=0.06, off=0.020, rounds=12, layer=52),
    "own_hoodie": Cut("top", arm=0.54, drop=0.08, off=0.026, neck=0.585, rounds=14, layer=53),
    "own_tunic": Cut("top", arm=0.40, drop=0.28, flare=0.16, off=0.014, more_arm=0.10, layer=52),
    "own_trousers": Cut("bottom", leg=0.80, waist=0.19, off=0.008, more_leg=0.022),
    "own_wide_trousers": Cut("bottom", leg=0.80, waist=0.21, off=0.012, more_leg=0.070),
    "own_leggings": Cut("bottom", leg=0.76, waist=0.18, off=0.003, rounds=2),
    "own_shorts": Cut("bottom", leg=0.33, waist=0.18, off=0.012, more_leg=0.06),
    "own_long_shorts": Cut("bottom", leg=0.47, waist=0.18, off=0.016, more_leg=0.05, part="held"),
    "own_capri": Cut("bottom", leg=0.58, waist=0.19, off=0.007),
    "own_skirt_mini": Cut("bottom", waist=0.20, drop=0.30, flare=0.22, off=0.007, sex="f"),
    "own_skirt_midi": Cut("bottom", waist=0.21, drop=0.55, flare=0.30, off=0.008, sex="f"),
    "own_skirt_long": Cut("bottom", waist=0.21, drop=0.75, flare=0.20, off=0.009, sex="f"),
    "own_skirt_wide": Cut("bottom", waist=0.22, drop=0.50, flare=0.52, off=0.009, sex="f"),
    "own_skirt_pencil": Cut("bottom", waist=0.20, drop=0.48, flare=0.02, off=0.007, sex="f", part="held"),
    "own_dress": Cut("dress", arm=0.14, v=0.06, drop=0.42, flare=0.30, off=0.008, sex="f"),
    "own_dress_long": Cut("dress", arm=0.45, drop=0.72, flare=0.24, off=0.010, sex="f"),
    "own_dress_wide": Cut("dress", arm=0.06, v=0.08, drop=0.50, flare=0.48, off=0.008, sex="f", part="held"),
    "own_robe": Cut("dress", arm=0.50, drop=0.74, flare=0.22, off=0.026, more_arm=0.12, rounds=14),
    "own_jacket": Cut("coat", arm=0.54, drop=0.04, off=0.024, open=0.05, rounds=10),
    "own_blazer": Cut("coat", arm=0.54, v=0.16, drop=0.10, off=0.020, open=0.012, rounds=8),
    "own_coat": Cut("coat", arm=0.55, drop=0.50, flare=0.16, off=0.030, open=0.04, rounds=12),
    "own_long_coat": Cut("coat", arm=0.55, drop=0.66, flare=0.14, off=0.030, rounds=12),
    "own_cardigan": Cut("coat", arm=0.52, drop=0.20, off=0.018, open=0.09, part="held"),
    "own_waistcoat": Cut("coat", arm=0.05, v=0.16, drop=0.02, off=0.016, open=0.015),
    "own_apron": Cut("coat", neck=0.42, drop=0.45, off=0.016, front_only=0.17),
    "own_overall": Cut("full", arm=0.52, leg=0.80, off=0.016, more_leg=0.03, rounds=10),
}
"""Garments by name; lengths on the mean body (1.72 m)."""


def extend(pack: Pack, parts: tuple[str, ...] = ("train", "held")) -> Pack:
    """The pack with our own garments of these parts added to its items."""
    tailor, made = Tailor.make(), []
    for name, cut in CUTS.items():
        if cut.part in parts:
            made.append(piece(tailor, name, cut.slot, cut.sex, cut.part, cut.layer, sew(tailor.base, cut)))
    for name, (slot, part, layer, make) in accessories.MAKERS.items():
        if part in parts:
            made.append(piece(tailor, name, slot, "any", part, layer, make(tailor.base)))
    return replace(pack, items=_appended(pack.items, join(made).to(pack.base.mean.device)))


def sew(base: Base, cut: Cut) -> Sheet:
    """The garment on the mean body."""
    mean, skin = base.mean.double().numpy(), base.groups["skin faces"].cpu().numpy()
    triangles = np.concatenate([skin[:, :3], skin[:, [0, 2, 3]]])
    with np.load(HELPERS) as z:
        faces = z["tights"].astype(np.int64)
    sheet = Sheet(np.arange(len(mean))[:, None].repeat(3, 1), np.tile([1.0, 0, 0], (len(mean), 1)), mean, faces).compact()
    limbs = Limbs.of(base)
    for limit in (_arms, _upper, _lower, _front):
        value = limit(cut, sheet, _where(limbs, sheet.place))
        if value is not None:
            sheet = clip(sheet, value)
    where = _where(limbs, sheet.place)
    low = (np.abs(sheet.place[:, 2] - HEM_Z) < 1e-6) & (where["arm"] < 0.5)
    sheet = smooth(sheet, cut.rounds)
    if cut.drop > 0:
        centre = sheet.place[low].mean(0)

        def hang(origin: np.ndarray, part: float) -> np.ndarray:
            out = origin - centre
            out[:, 2] = 0
            out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
            return origin + out * cut.flare * cut.drop * (1.35 * part - 0.35 * part ** 2) - np.array([0, 0, cut.drop * part])

        sheet = lengthen(sheet, low, max(2, round(cut.drop / 0.045)), hang)
    where = _where(limbs, sheet.place)
    down_trunk = np.clip(0.45 - sheet.place[:, 2], 0, 0.5) * (where["arm"] < 0.5) * (cut.leg == 0)
    distance = cut.off + cut.more_arm * where["down_arm"] + cut.more_leg * where["down_leg"] * (cut.leg > 0) + cut.more_hem * down_trunk
    sheet = lift(smooth(sheet, 2), distance, mean, triangles)
    place = smooth(sheet, 1).place
    if cut.leg > 0:                                                     # legs do not reach over the middle
        side = np.sign((sheet.mix * mean[sheet.ref][..., 0]).sum(1))
        deep = where["down_leg"] > 0.14
        place[:, 0] = np.where(deep, side * np.maximum(side * place[:, 0], 0.004), place[:, 0])
    return replace(sheet, place=place)


def _where(limbs: Limbs, place: np.ndarray) -> dict[str, np.ndarray]:
    c = limbs.coordinates(torch.from_numpy(place).float())
    return {k: getattr(c, k).double().numpy() for k in ("arm", "down_arm", "down_leg")}


def _arms(cut: Cut, sheet: Sheet, where: dict) -> np.ndarray | None:
    if cut.waist is not None or cut.front_only:
        return np.where(where["arm"] > 0.5, -0.01, 1.0)
    return np.where(where["arm"] > 0.5, max(cut.arm, 0.05) - where["down_arm"], 1.0)


def _upper(cut: Cut, sheet: Sheet, where: dict) -> np.ndarray:
    x, y, z = sheet.place.T
    if cut.waist is not None:
        return cut.waist - z
    deep = cut.v * np.clip(1 - np.abs(x) / (0.02 + 0.55 * cut.v), 0, 1) * (y < -0.02) if cut.v else 0.0
    return cut.neck + 0.30 * np.clip(y + 0.03, -0.2, 0.1) - deep - z


def _lower(cut: Cut, sheet: Sheet, where: dict) -> np.ndarray:
    if cut.leg > 0:
        return np.where(where["arm"] > 0.5, 1.0, cut.leg - where["down_leg"])
    return np.where(where["arm"] > 0.5, 1.0, sheet.place[:, 2] - cut.hem)


def _front(cut: Cut, sheet: Sheet, where: dict) -> np.ndarray | None:
    x, y, _ = sheet.place.T
    if cut.front_only:
        return np.minimum(cut.front_only - np.abs(x), 0.02 - y)
    if cut.open:
        return np.maximum(np.abs(x) - cut.open / 2, y + 0.02)
    return None


def piece(tailor: Tailor, name: str, slot: str, sex: str, part: str, layer: int, sheet: Sheet) -> Piece:
    """An item of a sheet. Offsets stretch with the length of the body's legs and trunk, so that a long coat stays long on a tall person."""
    mean = tailor.base.mean.double().numpy()
    offset = sheet.place - np.einsum("cj,cjd->cd", sheet.mix, mean[sheet.ref])
    pair, length = _legs(tailor.base, mean)
    low, high = sheet.place.min(0), sheet.place.max(0)
    uv = np.stack([(sheet.place[:, 0] - low[0]) / (high[0] - low[0]), (sheet.place[:, 2] - low[2]) / (high[2] - low[2])], 1).astype(np.float32)
    none = torch.zeros(0, dtype=torch.int64)
    item = Item(name, slot, sex, part, layer, (0, 0), (0, 0), (0, 0), -1, False, slot != "bag", none, "CC0-1.0", "Likeness")
    fine = (subdivide if len(sheet.place) < 3000 else unchanged)(len(sheet.place), sheet.faces, uv, sheet.faces)
    return _finish(tailor, item, sheet.ref, sheet.mix, offset, pair, length, fine, split=True)


def _legs(base: Base, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale pair (3, 2) and lengths (3,): z by the height of the hip's skin over the ankle's."""
    skin = base.groups["skin"].cpu().numpy()
    nearest = lambda p: int(skin[np.argmin(np.linalg.norm(mean[skin] - p, axis=1))])
    at = lambda bone: base.heads[base.bones.index(bone)].double().numpy()
    hip, ankle = nearest(at("upperleg01.L") + [0.1, 0, 0]), nearest(at("foot.L") + [0.05, 0, 0])
    return np.array([[-1, -1], [-1, -1], [hip, ankle]]), np.array([1.0, 1.0, mean[hip, 2] - mean[ankle, 2]])


def _appended(a: Items, b: Items) -> Items:
    """Both tables in one."""
    assert a.skin_bone.shape[1] == b.skin_bone.shape[1] == INFLUENCES
    c, v, f, w = len(a.ref), len(a.uv), len(a.faces), int(a.weld.max()) + 1
    by = lambda span, n: (span[0] + n, span[1] + n)
    moved = [replace(i, coarse=by(i.coarse, c), fine=by(i.fine, v), faces=by(i.faces, f)) for i in b.items]
    b = replace(b, fine_index=b.fine_index + c, faces=b.faces + v, weld=b.weld + w)
    tables = {k: torch.cat([getattr(a, k), getattr(b, k)]) for k in Items.__dataclass_fields__ if k != "items"}
    return Items(items=a.items + tuple(moved), **tables)
