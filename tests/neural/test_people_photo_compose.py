"""Layers of synthetic photographs: what covers what, where the horizon lies, what of the person stays visible."""

import pytest
import torch

from neural.contract.errors import OptionError
from neural.contract.frames import BLENDER_FROM_CAMERA
from train.people.photo import background, compose
from train.people.photo.camera import _rotation
from train.people.recipe import BackgroundRecipe
from train.people.types import Cameras, Surroundings

SIZE = 64


def cameras(count, pitch=0.0, roll=0.0):
    rotation = torch.tensor([_rotation(pitch, roll)] * count, dtype=torch.float32)
    return Cameras(rotation, torch.zeros(count, 3), torch.full((count,), 60.0), torch.full((count, 2), SIZE / 2), SIZE)


def surroundings():
    view = torch.zeros(1, 96, 72, 3, dtype=torch.uint8)
    view[:, :48, :, 2] = 255                                       # blue sky
    view[:, 48:, :, 1] = 255                                       # green ground
    e = torch.zeros(0)
    return Surroundings((), (), e, e, e, e, ("meadow",), ("train",), view)


def person(count):
    p = torch.zeros(count, 4, SIZE, SIZE)
    p[:, 0, 8:56, 24:40] = p[:, 3, 8:56, 24:40] = 1               # a red post
    return p


def test_frame_of_the_horizon():
    assert torch.allclose(cameras(1).rotation[0], torch.tensor(BLENDER_FROM_CAMERA.T, dtype=torch.float32))
    point, rise = background.horizon(cameras(1, pitch=10))
    assert point[0, 1] == pytest.approx(32 - 60 * 0.17633, abs=0.01) and rise[0].tolist() == pytest.approx([0, -1], abs=1e-6)


@pytest.mark.parametrize("pitch", [-10.0, 0.0, 12.0])
def test_the_views_horizon_lies_where_the_camera_sees_it(pitch):
    found = background.backgrounds([BackgroundRecipe(view="meadow", seed=3)], surroundings(), cameras(1, pitch))[0]
    row = int((found[2] > found[1]).float().mean(1).gt(0.5).sum())
    want = float(background.horizon(cameras(1, pitch))[0][0, 1])
    assert row == pytest.approx(want, abs=1.5)


def test_a_rolled_camera_turns_the_view():
    found = background.backgrounds([BackgroundRecipe(view="meadow", seed=3)], surroundings(), cameras(1, 0, 15))[0]
    sky = (found[2] > found[1]).float().sum(0)
    point, rise = background.horizon(cameras(1, 0, 15))
    slope = float(rise[0, 0] / -rise[0, 1])                        # rows that the horizon falls a column
    assert (sky[56] - sky[8]) / 48 == pytest.approx(slope, abs=0.06)


def test_what_lies_over_what():
    plain = BackgroundRecipe(colours=((0.0, 0.0, 0.5), (0.0, 0.0, 0.5)))
    layer = torch.zeros(2, 4, SIZE, SIZE)
    layer[:, 1, 24:40] = layer[:, 3, 24:40] = 1                    # a green band across the canvas
    others = compose.Others(layer, torch.tensor([0, 1]), torch.zeros(2, 2), torch.ones(2), torch.tensor([False, True]))
    out = compose.compose([plain] * 3, surroundings(), cameras(3), person(3), others)
    behind, front, alone = out.picture[:, :, 32, 32]
    assert behind.tolist() == pytest.approx([1, 0, 0], abs=1e-4) and front.tolist() == pytest.approx([0, 1, 0], abs=1e-4)
    assert out.picture[0, 1, 32, 4] == pytest.approx(1, abs=1e-4)
    assert torch.equal(out.visible[0], person(1)[0, 3]) and out.visible[1, 32, 32] == 0 and out.visible[1, 12, 32] == 1
    assert alone[0] == 1 and out.picture[2, 2, 2, 2] > 0.2
    assert out.hidden[0].max() == 0 and out.hidden[1, 32, 32] == 1


def test_companions_move_and_shrink():
    layer = person(1)
    moved = compose._moved(layer, torch.tensor([[0.25, -0.125]]), torch.tensor([0.5]))[0, 3]
    at = (moved > 0.5).nonzero().float()
    assert at.mean(0).tolist() == pytest.approx([32 - 8 - 0.5, 32 + 16 - 0.5], abs=0.6)
    assert moved.sum() == pytest.approx(float(layer[0, 3].sum()) / 4, rel=0.06)


@pytest.mark.parametrize("kind", ["box", "bar", "plant"])
def test_occluders_hide_some_never_most(kind):
    recipes = [BackgroundRecipe(occluder=kind, seed=k) for k in range(40)]
    out = compose.compose(recipes, surroundings(), cameras(40), person(40))
    share = out.visible.sum((1, 2)) / person(1)[0, 3].sum()
    assert share.min() > 0.3 and 0.6 < share.mean() < 0.995 and (share < 0.98).float().mean() > 0.15
    assert torch.equal(out.picture, compose.compose(recipes, surroundings(), cameras(40), person(40)).picture)
    assert torch.isfinite(out.picture).all() and out.picture.min() >= 0


def test_shadow_and_gain_do_not_touch_the_person():
    recipes, dark = [BackgroundRecipe()], torch.full((1, SIZE, SIZE), 0.5)
    a = compose.compose(recipes, surroundings(), cameras(1), person(1)).picture
    b = compose.compose(recipes, surroundings(), cameras(1), person(1), shadow=dark, gain=torch.tensor([3.0])).picture
    assert torch.equal(a[0, :, 20, 30], b[0, :, 20, 30]) and torch.allclose(b[0, :, 5, 5], 1.5 * a[0, :, 5, 5])


def test_unknown_names_are_said():
    with pytest.raises(OptionError, match="background"):
        compose.compose([BackgroundRecipe(view="moon")], surroundings(), cameras(1), person(1))
    with pytest.raises(OptionError, match="occluder"):
        compose.compose([BackgroundRecipe(occluder="elephant")], surroundings(), cameras(1), person(1))
