"""Where the camera stands, and where in a larger photo the square canvas lies.

The canvas is s02's crop: a square around the person, cut from a photo whose middle is elsewhere (so the principal point is off the
canvas's middle) and whose border may end within the canvas (a person cut at the knees: below, s02 repeats the photo's last row).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neural.contract.errors import OptionError
from neural.contract.frames import BLENDER_FROM_CAMERA, DEFAULT_FOV_DEG
from neural.contract.joints import JOINT

from ..recipe import CameraRecipe
from ..types import Cameras, People
from .chance import generator

_LEGS = [JOINT[f"{s}_{n}"] for s in ("left", "right") for n in ("knee", "ankle", "foot")]
_THIGHS = [JOINT[f"{s}_hip"] for s in ("left", "right")]
_FOREARMS = [JOINT[f"{s}_{n}"] for s in ("left", "right") for n in ("elbow", "wrist", "hand")]
_BUST = [JOINT[n] for n in ("spine3", "neck", "head", "left_collar", "right_collar")]
FRAMES = {
    "full": range(24),
    "knees": [j for j in range(24) if j not in _LEGS],
    "upper": [j for j in range(24) if j not in _LEGS + _THIGHS + _FOREARMS],
    "head": _BUST,
}
"""Body parts that must lie within the frame."""


@dataclass(frozen=True)
class PhotoConfig:
    """widest_deg: field of view over a photo's longer side; known: share of photos whose file tells the focal length; clipped: share of
    whole people whom the photo's border clips a little; nearest_m: no part of a person comes nearer to the camera than this."""

    widest_deg: float = 88.0
    known: float = 0.25
    clipped: float = 0.06
    nearest_m: float = 0.15
    rounds: int = 16


@dataclass(frozen=True)
class Placed:
    """cameras; border (P, 4) float32 x0, y0, x1, y1 of the photo in pixels of the canvas (may lie beyond it);
    assumed_focal (P,) float32: the focal length that the stages take: true where the file tells, else that of 50 degrees over the
    photo's longer side; box (P, 4): the framed part of the person on the canvas."""

    cameras: Cameras
    border: Tensor
    assumed_focal: Tensor
    box: Tensor

    def inside(self) -> Tensor:
        """(P, S, S) bool: the pixel's centre lies within the photo (as Person.inside of s02)."""
        at = torch.arange(self.cameras.size, device=self.border.device) + 0.5
        x0, y0, x1, y1 = self.border.unbind(1)
        across = (at >= x0[:, None]) & (at < x1[:, None])
        down = (at >= y0[:, None]) & (at < y1[:, None])
        return down[:, :, None] & across[:, None]

    def at(self, size: int) -> "Placed":
        """The same on a canvas of another size."""
        k = size / self.cameras.size
        return Placed(self.cameras.at(size), self.border * k, self.assumed_focal * k, self.box * k)


def cameras(people: People, recipes: list[CameraRecipe], size: int) -> Cameras:
    """Just the cameras of `place`."""
    return place(people, recipes, size).cameras


def place(people: People, recipes: list[CameraRecipe], size: int, config: PhotoConfig = PhotoConfig()) -> Placed:
    """Cameras, one a person, in which the framed part spans `fill` of the canvas with its middle at 0.5 + shift.

    The camera looks along +y, pitched down by pitch_deg, then turned clockwise by roll_deg, so that
    the picture turns the other way (as train/people/studio). A pure function of
    people and recipes: what a recipe leaves open (the photo around the canvas) is drawn from a hash of the recipe.
    """
    if len(recipes) != people.count:
        raise ValueError(f"{people.count} people, {len(recipes)} cameras")
    for r in recipes:
        if r.frame not in FRAMES:
            raise OptionError("option.frame", f"There is no framing called '{r.frame}'.", f"Choose one of: {', '.join(FRAMES)}.")
    device = people.vertices.device
    row = lambda values: torch.tensor(values, dtype=torch.float32, device=device)
    photos = [_photo(r, config) for r in recipes]
    rotation = row([_rotation(r.pitch_deg, r.roll_deg) for r in recipes])
    focal = row([0.5 * size / math.tan(math.radians(r.fov_deg) / 2) for r in recipes])
    centre = size * (0.5 + row([p[2:4] for p in photos]))
    middle = size * (0.5 + row([r.shift for r in recipes]))
    wanted = size * row([r.fill for r in recipes])

    framed = torch.zeros(people.count, 24, dtype=torch.bool, device=device)
    for i, r in enumerate(recipes):
        framed[i, list(FRAMES[r.frame])] = True
    counts = framed[people.owner, people.part.long()]
    empty = torch.zeros(people.count, device=device).index_add_(0, people.owner, counts.float()) == 0
    counts |= empty[people.owner]                                  # a person without such parts is framed as a whole
    owner = people.owner[counts]
    local = torch.einsum("vij,vj->vi", rotation[owner], people.vertices[counts])
    shift, box = _solve(local, owner, focal, centre, middle, wanted, config)
    found = Cameras(rotation, shift, focal, centre, size)

    half = size * row([p[:2] for p in photos]) / 2
    border = torch.cat([torch.minimum(centre - half, box[:, :2]), torch.maximum(centre + half, box[:, 2:])], 1)
    cut = row([[0.0 if r.frame == "full" else 1.0] for r in recipes])
    border[:, 3:] = torch.lerp(border[:, 3:], box[:, 3:], cut)
    clip = row([p[4] for p in photos])
    span = (box[:, 2:] - box[:, :2]).repeat(1, 2)
    inner = box + clip.abs() * span * row([[1, 1, -1, -1]])
    border = torch.where(clip > 0, inner, border)
    longer = (border[:, 2:] - border[:, :2]).amax(1)
    guess = 0.5 * longer / math.tan(math.radians(DEFAULT_FOV_DEG) / 2)
    known = torch.tensor([p[5] for p in photos], device=device)
    return Placed(found, border, torch.where(known, focal, guess), box)


def _solve(local: Tensor, owner: Tensor, focal: Tensor, centre: Tensor, middle: Tensor, wanted: Tensor, config: PhotoConfig) -> tuple[Tensor, Tensor]:
    """Shift (P, 3) that brings the points to the wanted place and size, and the box (P, 4) that they then fill."""
    count = len(focal)
    low, high = _extent(local, owner, count)
    shift = -(low + high) / 2
    depth = focal * (high - low)[:, :2].amax(1) / wanted
    for turn in range(config.rounds + 1):
        depth = torch.maximum(depth, (high - low)[:, 2] / 2 + config.nearest_m)
        shift[:, 2] = depth - (low + high)[:, 2] / 2
        q = local + shift[owner]
        at = q[:, :2] / q[:, 2:] * focal[owner, None] + centre[owner]
        a, b = _extent(at, owner, count)
        if turn == config.rounds:
            return shift, torch.cat([a, b], 1)
        half = (high - low)[:, 2] / 2
        depth = half + (depth - half) * ((b - a).amax(1) / wanted)   # what is nearest decides most
        ray = (middle - centre) / focal[:, None] - ((a + b) / 2 - centre) / focal[:, None]
        shift[:, :2] += ray * (depth - 0.7 * half)[:, None]


def _extent(values: Tensor, owner: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Lowest and highest (P, C) of values (V, C) of each owner."""
    index = owner[:, None].expand_as(values)
    blank = values.new_zeros(count, values.shape[1])
    return (blank.scatter_reduce(0, index, values, "amin", include_self=False),
            blank.scatter_reduce(0, index, values, "amax", include_self=False))


def _rotation(pitch_deg: float, roll_deg: float) -> list[list[float]]:
    p, r = math.radians(pitch_deg), math.radians(roll_deg)
    pitch = torch.tensor([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]], dtype=torch.float64)
    roll = torch.tensor([[math.cos(r), math.sin(r), 0], [-math.sin(r), math.cos(r), 0], [0, 0, 1]], dtype=torch.float64)
    return (roll @ pitch @ torch.as_tensor(BLENDER_FROM_CAMERA.T.copy())).tolist()


def _photo(r: CameraRecipe, config: PhotoConfig) -> tuple[float, float, float, float, list[float], bool]:
    """The photo that the canvas was cut from, in parts of the canvas: width, height, its middle minus the canvas's (x, y); how much of the
    person each side (x0, y0, x1, y1) clips; whether the focal length is known."""
    rng = generator(r)
    aspect = float(rng.choice([3 / 4, 2 / 3, 9 / 16, 1.0, 4 / 3, 3 / 2], p=[0.42, 0.2, 0.14, 0.08, 0.1, 0.06]))    # width to height
    height = r.fill * (1.03 + float(rng.exponential(0.35)))
    width = max(aspect * height, 0.5 * r.fill)
    most = math.tan(math.radians(config.widest_deg) / 2) / math.tan(math.radians(r.fov_deg) / 2)
    smaller = min(1.0, most / max(width, height))
    width, height = smaller * width, smaller * height
    reach = max(width - 0.5 * r.fill, 0) / 2, max(height - r.fill, 0) / 2
    x, y = r.shift[0] + reach[0] * float(rng.triangular(-1, 0, 1)), r.shift[1] + reach[1] * float(rng.uniform(-1, 1))
    if r.frame != "full":
        y = r.shift[1] + r.fill / 2 - height / 2                   # the photo ends where the person is cut
    clip = [0.0] * 4
    if r.frame == "full" and rng.random() < config.clipped:
        clip[int(rng.choice(4, p=[0.25, 0.1, 0.25, 0.4]))] = float(rng.uniform(0.01, 0.08))
    return width, height, x, y, clip, bool(rng.random() < config.known)
