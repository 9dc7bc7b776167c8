"""Cameras of synthetic people: the framed part fills what was asked for, whatever the lens; the photo around the canvas is consistent."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from neural.contract.errors import OptionError
from neural.contract.frames import Camera
from train.people.photo.camera import FRAMES, cameras, place
from train.people.recipe import CameraRecipe
from train.people.types import People

NAMES = "part", "owner", "vertices"


def crowd(count=3, points=400, seed=0):
    """Upright columns of points, 1.5 to 1.9 m tall, parts by height; only what the cameras read is filled in."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        height = 1.5 + 0.4 * rng.random()
        z = np.linspace(0, height, points)
        xy = 0.3 * rng.uniform(-1, 1, (points, 2)) + [rng.normal(), 0]
        part = np.select([z < 0.3 * height, z < 0.5 * height, z < 0.75 * height], [4, 1, 0], 15)
        rows.append((np.column_stack([xy, z]), part, np.full(points, i)))
    v, part, owner = (np.concatenate(r) for r in zip(*rows))
    given = {"vertices": torch.tensor(v, dtype=torch.float32), "part": torch.tensor(part, dtype=torch.uint8),
             "owner": torch.tensor(owner), "joints": torch.zeros(count, 24, 3)}
    return People(**{f.name: given.get(f.name) for f in fields(People)})


def seen(people, found):
    q = torch.einsum("vij,vj->vi", found.rotation[people.owner], people.vertices) + found.shift[people.owner]
    return q[:, :2] / q[:, 2:] * found.focal[people.owner, None] + found.centre[people.owner], q[:, 2]


@pytest.mark.parametrize("frame", list(FRAMES))
def test_the_framed_part_spans_what_was_asked_for(frame):
    people = crowd()
    recipes = [CameraRecipe(15, -25, 5, 0.5, frame, (0.05, -0.02)), CameraRecipe(75, 25, -10, 0.95, frame), CameraRecipe(50, 0, 0, 0.86, frame)]
    found = cameras(people, recipes, 256)
    at, depth = seen(people, found)
    for i, r in enumerate(recipes):
        mine = (people.owner == i) & torch.isin(people.part, torch.tensor(list(FRAMES[frame]), dtype=torch.uint8))
        low, high = at[mine].amin(0), at[mine].amax(0)
        assert float((high - low).max()) == pytest.approx(256 * r.fill, rel=0.01)
        assert ((high + low) / 2 / 256 - 0.5).numpy() == pytest.approx(np.array(r.shift), abs=0.006)
        assert float(depth[mine].min()) > 0.1
        assert found.focal[i] == pytest.approx(Camera.from_fov(256, 256, r.fov_deg).fx, rel=1e-5)


def test_pitch_looks_down_and_roll_turns_the_camera_clockwise():
    people = crowd(2)
    found = cameras(people, [CameraRecipe(pitch_deg=20), CameraRecipe(roll_deg=30)], 128)
    ahead = found.rotation[0] @ torch.tensor([0.0, 1, 0])
    assert ahead[1] == pytest.approx(-np.sin(np.radians(20)), abs=1e-5)      # the level direction lies above the middle (y down)
    up = found.rotation[1] @ torch.tensor([0.0, 0, 1])
    assert torch.rad2deg(torch.atan2(up[0], -up[1])) == pytest.approx(-30, abs=1e-3)
    assert torch.linalg.det(found.rotation).numpy() == pytest.approx(np.ones(2), abs=1e-5)


def test_the_photo_holds_the_person_and_ends_where_one_is_cut():
    people = crowd(60, 50)
    frames = list(FRAMES) * 15
    recipes = [CameraRecipe(20 + i * 0.5, i / 10, 0, 0.86, frames[i]) for i in range(60)]
    placed = place(people, recipes, 256)
    inside = placed.inside()
    for i, r in enumerate(recipes):
        x0, y0, x1, y1 = placed.border[i].tolist()
        if r.frame != "full":
            assert y1 == pytest.approx(float(placed.box[i, 3]))
        longer = max(x1 - x0, y1 - y0)
        guess = 0.5 * longer / np.tan(np.radians(25))
        assert float(placed.assumed_focal[i]) == pytest.approx(guess, rel=1e-4) or placed.assumed_focal[i] == placed.cameras.focal[i]
        want = np.zeros((256, 256), bool)
        at = np.arange(256) + 0.5
        want[np.ix_((at >= y0) & (at < y1), (at >= x0) & (at < x1))] = True
        assert (inside[i].numpy() == want).all()
    off = (placed.cameras.centre - 128).abs()
    assert off.amax() > 10 and off.amax() < 300
    known = (placed.assumed_focal == placed.cameras.focal).float().mean()
    assert 0.05 < known < 0.5


def test_same_recipe_same_camera_and_other_sizes_show_the_same_view():
    people = crowd(2)
    recipes = [CameraRecipe(40, 3, 1, 0.8), CameraRecipe(30)]
    a, b = place(people, recipes, 256), place(people, recipes, 256)
    assert torch.equal(a.cameras.shift, b.cameras.shift) and torch.equal(a.border, b.border)
    twice = place(people, recipes, 512)
    assert torch.allclose(a.at(512).cameras.focal, twice.cameras.focal)
    assert torch.allclose(a.at(512).border, twice.border, atol=0.5)


def test_unknown_framing_is_said():
    with pytest.raises(OptionError, match="framing"):
        cameras(crowd(1), [CameraRecipe(frame="elbow")], 64)
