"""Textures, fabrics, fine folds: against formulas, and the same whatever else is drawn with them."""

import numpy as np
import pytest
import torch

from train.people.draw.fabric import dyed, lay, skirts
from train.people.draw.motifs import alphabet
from train.people.draw.noise import noise, noise_gradient, numbers, uniform
from train.people.draw.patterns import PATTERNS, pulse
from train.people.draw.textures import linear_table, sample, screen_levels
from train.people.draw.wrinkles import carried, fine_normals, folds, frames
from train.people.recipe import FABRICS
from train.people.types import Fragments, Materials, People, Textures


def textures_of(*images: np.ndarray) -> Textures:
    """(h, w, 4) uint8 pictures with mips by averaging."""
    texels, offset, width, height, start = [], [], [], [], 0
    for image in images:
        rows = []
        for _ in range(4):
            h, w = image.shape[:2]
            rows.append((start, w, h))
            texels.append(image.reshape(-1, 4))
            start += h * w
            image = image.reshape(h // 2, 2, w // 2, 2, 4).mean((1, 3)).astype(np.uint8) if h > 1 else image
        for table, column in zip((offset, width, height), zip(*rows)):
            table.append(column)
    t = torch.tensor
    return Textures(t(np.concatenate(texels)), t(offset), t(width), t(height), tuple("abc")[:len(images)])


def materials_of(kinds, scale=0.05, wrinkle=(0.0, 0.03, 1.0), colours=((0.6, 0.1, 0.1), (0.1, 0.5, 0.1), (0.1, 0.1, 0.7))) -> Materials:
    m = len(kinds)
    whole = lambda v: torch.full((m,), float(v))
    return Materials(torch.tensor([FABRICS.index(k) for k in kinds]), torch.full((m,), -1), torch.tensor(colours).repeat(m, 1, 1), torch.ones(m, 3),
                     whole(scale), whole(0), torch.arange(m) + 3, whole(0.1), torch.zeros(m, dtype=torch.bool), torch.tensor([wrinkle]).repeat(m, 1))


def person(vertices, faces, normals, materials, rest=None, rest_normals=None) -> People:
    v, n, zero = vertices, len(vertices), torch.zeros(len(vertices), 3)
    none = torch.zeros(len(faces), dtype=torch.int64)
    return People(v, normals, torch.zeros(n, dtype=torch.int64), faces, none, none, torch.zeros(n, 2), v if rest is None else rest,
                  normals if rest_normals is None else rest_normals, torch.zeros(n, 2), zero, torch.zeros(n, dtype=torch.uint8), torch.zeros(n),
                  none, torch.zeros(1, 24, 3), torch.zeros(1, 24, 3, 3), torch.zeros(1, 10), torch.ones(1), torch.zeros(1, 53, 3), torch.ones(1),
                  materials)


def chest(count=4000, seed=0) -> torch.Tensor:
    """Places on the front of a trunk."""
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(count, 2, generator=g)
    angle = (u[:, 0] - 0.5) * 2
    return torch.stack([0.14 * torch.sin(angle), 0.02 - 0.14 * torch.cos(angle), u[:, 1] * 0.5], 1)


def test_a_ramp_is_looked_up_exactly():
    values = (np.arange(8) * 30).astype(np.uint8)
    image = np.repeat(np.repeat(values[None, :, None], 8, 0), 4, 2)
    t = textures_of(image)
    x = torch.linspace(0.5, 7.5, 50) / 8
    none = torch.zeros(50, dtype=torch.int64)
    got = sample(t, none, none, torch.stack([x, torch.full_like(x, 0.3)], 1))
    table = linear_table()[torch.tensor(values.astype(np.int64))].numpy()
    assert np.allclose(got[:, 0], np.interp(x * 8 - 0.5, np.arange(8), table), atol=1e-5)
    assert np.allclose(got[:, 3], np.interp(x * 8 - 0.5, np.arange(8), values / 255), atol=1e-5)
    wrapped = sample(t, none, none, torch.stack([x + 3, torch.full_like(x, -1.7)], 1))
    assert torch.allclose(wrapped, got, atol=1e-4)


def test_rows_run_down_and_levels_are_smaller():
    image = np.zeros((8, 8, 4), np.uint8)
    image[:4] = 255                                                    # the upper half (v > 0.5) is white
    t = textures_of(np.zeros((8, 8, 4), np.uint8), image)
    uv = torch.tensor([[0.5, 0.75], [0.5, 0.25]]).repeat(3, 1)
    level = torch.tensor([0, 0, 1, 1, 3, 3])
    got = sample(t, torch.ones(6, dtype=torch.int64), level, uv)[:, 0]
    assert torch.allclose(got[:4], torch.tensor([1.0, 0, 1, 0]), atol=1e-6) and torch.allclose(got[4], got[5])


def test_the_level_follows_the_size_on_the_screen():
    t = textures_of(np.zeros((8, 8, 4), np.uint8))
    uv = torch.tensor([[0.0, 0], [1, 0], [0, 1]])
    level = lambda side: screen_levels(t, torch.zeros(1, dtype=torch.int64), uv, torch.tensor([[0, 1, 2]]), uv * side).item()
    assert [level(s) for s in (80, 8, 4, 2, 1, 0.01)] == [0, 0, 1, 2, 3, 3]


def test_srgb():
    table = linear_table()
    assert table[0] == 0 and table[255] == 1 and abs(table[128] - 0.2158605) < 1e-6


@pytest.mark.parametrize("kind", [k for k in FABRICS if k != "texture"])
def test_a_fabric_is_a_function_of_the_place(kind):
    rest = chest()
    people = person(rest, torch.arange(3999).view(-1, 3), rest, materials_of(["plain", kind]))
    one, pixel = torch.ones(len(rest), dtype=torch.int64), torch.full((len(rest),), 0.001)
    colours = dyed(people, one, rest, pixel)
    assert torch.isfinite(colours).all() and (colours >= 0).all() and (colours < 1).all()
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(1))
    mixed = torch.arange(len(rest)) % 2
    again = dyed(people, torch.where(mixed == 1, 1, 0)[order], rest[order], pixel)
    mine = mixed[order] == 1
    assert torch.allclose(again[mine], colours[order][mine], atol=1e-6)
    if kind != "plain":
        assert kind in PATTERNS and colours.std(0).max() > 0.02


def test_plain_is_its_colour():
    rest = chest()
    people = person(rest, torch.arange(3999).view(-1, 3), rest, materials_of(["plain"]))
    got = dyed(people, torch.zeros(len(rest), dtype=torch.int64), rest, torch.full((len(rest),), 0.001))
    assert torch.allclose(got.mean(0), torch.tensor([0.6, 0.1, 0.1]), atol=0.02)
    assert (got[:, 0] / got[:, 1] - 6).abs().max() < 1e-3              # weave and wear are brightness only


def test_pulse_is_the_average_over_the_pixel():
    t = torch.linspace(-2, 2, 41)
    width = torch.full_like(t, 0.3)
    fine = torch.stack([((t + s) % 1 < 0.4).float() for s in torch.linspace(-0.15, 0.15, 2001)]).mean(0)
    assert torch.allclose(pulse(t, 0.4, width), fine, atol=2e-3)
    assert torch.allclose(pulse(t, 0.4, torch.full_like(t, 50.0)), torch.tensor(0.4), atol=0.02)


def test_stripes_repeat_and_fade_far_away():
    rest = chest()
    materials = materials_of(["stripes"])
    people = person(rest, torch.arange(3999).view(-1, 3), rest, materials)
    zero = torch.zeros(len(rest), dtype=torch.int64)
    near = dyed(people, zero, rest, torch.full((len(rest),), 1e-4))
    below = dyed(people, zero, rest + torch.tensor([0, 0, 0.05]), torch.full((len(rest),), 1e-4))
    ratio = lambda c: c[:, 0] / c[:, 1]
    assert ((ratio(near) - ratio(below)).abs() < 0.05 * ratio(near)).float().mean() > 0.98
    far = dyed(people, zero, rest, torch.full((len(rest),), 1.0))
    assert ratio(far).std() < 0.05 * ratio(near).std()


def test_places_on_the_body():
    front, sleeve, thigh = torch.tensor([0.0, -0.12, 0.3]), torch.tensor([0.339, -0.06, 0.301]), torch.tensor([0.13, -0.1, -0.2])
    points = torch.stack([front, sleeve, thigh, thigh * torch.tensor([-1.0, 1, 1])])
    x, y = lay(points, torch.zeros(4, dtype=torch.bool))
    assert abs(x[0]) < 1e-6 and abs(y[0] - 0.3) < 1e-6
    assert abs((0.486 - y[1]) - 0.25) < 0.01                           # a quarter of a metre down the arm
    assert x[2] > 0 and torch.allclose(x[2], -x[3]) and abs(x[2] - 0.13) < 0.02


def test_skirts_are_told_from_trousers():
    quad = torch.tensor([[-0.1, -0.2, -0.4], [0.1, -0.2, -0.4], [0, -0.2, -0.3], [0.08, 0, -0.4], [0.2, 0, -0.4], [0.1, 0, -0.3]])
    people = person(quad, torch.tensor([[0, 1, 2], [3, 4, 5]]), quad, materials_of(["plain", "plain"]))
    people = People(**{**vars(people), "material": torch.tensor([0, 1])})
    assert skirts(people).tolist() == [True, False]


def test_noise_is_smooth_even_and_repeatable():
    g = torch.Generator().manual_seed(0)
    p = (torch.rand(5000, 3, generator=g) * 40 - 20).double()
    seed = torch.full((5000,), 9)
    value = noise(p, seed)
    assert 0.45 < value.mean() < 0.55 and value.min() >= 0 and value.max() <= 1
    slope, h = noise_gradient(p, seed), 1e-4
    for k in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[k] = h
        assert torch.allclose((noise(p + step, seed) - noise(p - step, seed)) / (2 * h), slope[:, k], atol=2e-3)
    assert not torch.equal(noise(p, seed + 1), value)
    assert torch.allclose(numbers(torch.tensor([1, 2, 1]), 4)[0], numbers(torch.tensor([5, 1]), 4)[1])
    u = uniform(torch.arange(20000, dtype=torch.int32), torch.zeros(20000, dtype=torch.int32))
    assert abs(u.mean() - 0.5) < 0.01 and abs(u.var() - 1 / 12) < 0.004 and abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


def test_letters_differ_and_have_margins():
    letters = alphabet()
    assert letters.shape == (40, 9, 7) and len(np.unique(letters.reshape(40, -1), axis=0)) > 30
    assert not letters[:, [0, -1]].any() and not letters[:, :, [0, -1]].any() and (letters.sum((1, 2)) > 3).all()


def test_folds_are_as_steep_as_a_sine():
    g = torch.Generator().manual_seed(0)
    p, seed = torch.rand(20000, 3, generator=g), torch.arange(20000) % 200
    axes = frames(torch.tensor([[0.05, 1.0]]).expand(20000, 2), seed)
    slope = folds(p, axes, seed)
    assert abs(slope.pow(2).sum(1).mean().sqrt() / (np.pi / 0.05 / 2 ** 0.5) - 1) < 0.1
    long = frames(torch.tensor([[0.05, 4.0]]).expand(20000, 2), seed)
    along = folds(p, long, seed) @ torch.eye(3)
    direction = long[:, 2] / long[:, 2].norm(dim=1, keepdim=True)
    assert (along * direction).sum(1).pow(2).mean() < 0.1 * along.pow(2).sum(1).mean()


def test_carrying_is_the_smallest_rotation():
    g = torch.Generator().manual_seed(2)
    a, b, v = (torch.nn.functional.normalize(torch.randn(50, 3, generator=g, dtype=torch.float64), dim=1) for _ in range(3))
    assert torch.allclose(carried(a, b, a), b, atol=1e-9)
    axis = torch.linalg.cross(a, b)
    assert torch.allclose(carried(a, b, axis), axis, atol=1e-9)
    assert torch.allclose((carried(a, b, v) ** 2).sum(1), torch.ones(50, dtype=torch.float64))
    assert torch.allclose(carried(a, -a, a), -a, atol=1e-9)


def test_fine_normals():
    n = torch.tensor([[0.0, -1, 0]]).expand(3, 3).clone()
    rest = torch.tensor([[-0.2, 0, 0], [0.2, 0, 0], [0, 0, 0.3]])
    g = torch.Generator().manual_seed(0)
    bary = torch.rand(2000, 3, generator=g)
    bary = bary / bary.sum(1, keepdim=True)
    none = torch.zeros(2000, dtype=torch.int64)
    fragments = Fragments(none, none, none, none, bary, torch.ones(2000), 1, 8)
    up = torch.tensor([[0.0, 0, 1]]).expand(3, 3).clone()
    smooth = person(rest, torch.tensor([[0, 1, 2]]), n, materials_of(["plain"]))
    assert torch.allclose(fine_normals(smooth, fragments), n[:1].expand(2000, 3))
    wrinkled = materials_of(["plain"], wrinkle=(0.002, 0.03, 1.0))
    flat = fine_normals(person(rest, torch.tensor([[0, 1, 2]]), n, wrinkled), fragments)
    assert torch.allclose(flat.norm(dim=1), torch.ones(2000), atol=1e-5) and (flat[:, 1] < -0.6).all()
    tilt = torch.rad2deg(torch.arccos((-flat[:, 1]).clamp(-1, 1)))
    assert 4 < tilt.mean() < 20 and flat.mean(0)[[0, 2]].abs().max() < 0.05
    turned = fine_normals(person(rest, torch.tensor([[0, 1, 2]]), up, wrinkled, rest, n), fragments)
    turn = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])          # -y to z, about x: the folds turn along
    assert torch.allclose(turned, flat @ turn.T, atol=1e-5)
