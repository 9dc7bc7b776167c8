"""Parts of building people that have closed forms: rotations, skeletons, noise, cutting of cloth."""

import math

import numpy as np
import torch

from train.people.build import noise, skin
from train.people.build.hang import outside_legs
from train.people.build.rows import ranges
from train.people.build.sheet import Sheet, clip, grid, lengthen, smooth
from train.people.build.turn import about, angle_between, between, nearest, twist, unit, vector_turn

Z = torch.tensor([0.0, 0, 1])


def test_rotations():
    g = torch.Generator().manual_seed(1)
    a, b = unit(torch.randn(50, 3, generator=g)), unit(torch.randn(50, 3, generator=g))
    quarter = about(Z, torch.tensor(math.pi / 2))
    assert torch.allclose(quarter @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6)
    b = torch.where(((a * b).sum(1, keepdim=True) < -0.9), -b, b)
    r = between(a, b)
    assert torch.allclose((r @ a[..., None])[..., 0], b, atol=2e-5)
    assert torch.allclose(r @ r.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5)
    opposite = between(a, -a)
    assert torch.allclose((opposite @ a[..., None])[..., 0], -a, atol=1e-5) and torch.allclose(torch.det(opposite), torch.ones(50), atol=1e-5)
    swing = between(a, unit(a + 0.5 * b))
    angle = torch.linspace(-2, 2, 50)
    assert torch.allclose(twist(swing @ about(a, angle), a), angle, atol=1e-4)
    turned = (vector_turn(0.3 * unit(torch.linalg.cross(a, b))) @ a[..., None])[..., 0]
    assert torch.allclose(angle_between(a, turned), torch.full((50,), 0.3), atol=1e-4)
    assert torch.allclose(nearest(3 * r), r, atol=1e-5)


def test_skeleton_of_two_bones():
    parents, heads = torch.tensor([-1, 0, 1]), torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    local = torch.eye(3).repeat(1, 3, 1, 1)
    local[0, 1] = about(Z, torch.tensor(math.pi / 2))
    world = skin.world_of(local, parents)
    assert torch.allclose(skin.local_of(world, parents), local, atol=1e-6)
    posed = skin.posed_heads(world, heads, parents)
    assert torch.allclose(posed[0], torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0]]), atol=1e-6)
    table = skin.transforms(world, heads, posed)[0]
    matrix = skin.blend(table, torch.tensor([[1, 2]]), torch.tensor([[0.5, 0.5]]))
    assert torch.allclose(skin.move(matrix, torch.tensor([[3.0, 0, 0]])), torch.tensor([[1.0, 2, 0]]), atol=1e-6)
    assert torch.allclose(skin.turn(matrix, torch.tensor([[1.0, 0, 0]])), torch.tensor([[0.0, 1, 0]]), atol=1e-6)


def test_normals_of_a_sphere_across_a_seam():
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 41), np.linspace(0.05, np.pi - 0.05, 21))
    place = torch.tensor(np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], -1).reshape(-1, 3)).float()
    quads = torch.tensor(grid(21, 41))
    faces = torch.cat([quads[:, :3], quads[:, [0, 2, 3]]])
    weld = torch.arange(len(place))
    weld[40::41] = weld[0::41]
    got = skin.normals(place, faces, weld)
    got = got * torch.sign((got * place).sum())
    assert (got * place).sum(1)[41:-41].min() > 0.998
    assert torch.equal(got[40::41], got[0::41])


def test_noise_is_smooth_and_repeats():
    g = torch.Generator().manual_seed(2)
    place, seed = 20 * torch.rand(4000, 3, generator=g) - 10, torch.full((4000,), 7)
    value = noise.gradient_noise(place, seed)
    assert 0.15 < value.std() < 0.4 and value.mean().abs() < 0.02 and value.abs().max() < 1.1
    assert torch.equal(noise.gradient_noise(place[100:200], seed[:100]), value[100:200])
    assert noise.gradient_noise(torch.round(place), seed).abs().max() < 1e-6
    assert (noise.gradient_noise(place + 1e-3, seed) - value).abs().max() < 8e-3
    assert (noise.gradient_noise(place, seed + 1) - value).abs().mean() > 0.1
    ridge = noise.ridges(place, seed)
    assert ridge.min() >= 0 and ridge.max() <= 1 and ridge.max() > 0.99
    one, mask = torch.tensor([1]), 2 ** 32 - 1
    h = (374761393 - 2 * 668265263 + 3 * 1440662683 + 4 * 1274126177) & mask          # the same in Python's own whole numbers
    h = ((h ^ (h >> 15)) * 739982445) & mask
    h = ((h ^ (h >> 12)) * 695872825) & mask
    assert noise.hashed(one, -2 * one, one * 3, one * 4).item() == h ^ (h >> 15)


def test_ranges():
    rows, which = ranges(torch.tensor([5, 2, 9]), torch.tensor([8, 2, 11]))
    assert rows.tolist() == [5, 6, 7, 9, 10] and which.tolist() == [0, 0, 0, 2, 2]


def _plane(n: int = 11) -> Sheet:
    x, y = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n))
    place = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    ids = np.arange(len(place))[:, None].repeat(3, 1)
    return Sheet(ids, np.tile([1.0, 0, 0], (len(place), 1)), place, grid(n, n))


def _area(sheet: Sheet) -> float:
    p = sheet.place[sheet.triangles()]
    return 0.5 * np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum()


def test_cloth_is_cut_exactly():
    whole = _plane()
    cut = clip(whole, 0.83 - whole.place[:, 0] - 0.5 * whole.place[:, 1])
    assert abs(_area(cut) - (0.83 - 0.25)) < 1e-9                      # 0.83 - 0.5 y, from 0 to 1
    assert np.allclose(np.einsum("cj,cjd->cd", cut.mix, whole.place[cut.ref]), cut.place) and np.allclose(cut.mix.sum(1), 1)
    n = np.cross(*(cut.place[cut.triangles()][:, k] - cut.place[cut.triangles()][:, 0] for k in (1, 2)))
    assert np.all(n[:, 2] * whole.normals()[0, 2] > -1e-12)
    longer = lengthen(cut, np.abs(cut.place[:, 1]) < 1e-9, 4, lambda p, part: p - [0, 0.4 * part, 0])
    assert abs(_area(longer) - _area(cut) - 0.4 * 0.83) < 1e-9
    n = np.cross(*(longer.place[longer.triangles()][:, k] - longer.place[longer.triangles()][:, 0] for k in (1, 2)))
    assert (np.sign(n[:, 2][np.abs(n[:, 2]) > 1e-12]) == np.sign(n[0, 2])).all()


def test_smoothing_keeps_what_is_flat_and_calms_a_spike():
    flat = smooth(_plane(), 5)
    assert np.allclose(flat.place[:, 2], 0) and np.allclose(flat.place[5], [0.5, 0, 0], atol=1e-3)
    spiked = _plane()
    spiked.place[60, 2] = 1.0
    assert smooth(spiked, 5).place[:, 2].max() < 0.25


def test_a_skirt_is_pushed_to_the_hull_of_two_legs():
    turn = torch.linspace(0, 2 * math.pi, 60)[:-1]
    ring = torch.stack([0.07 * torch.cos(turn), 0.07 * torch.sin(turn)], 1)
    z = torch.linspace(0, 0.8, 80).repeat_interleave(len(ring))[:, None]
    legs = torch.cat([torch.cat([ring.repeat(80, 1) + torch.tensor([x, 0.0]), z], 1) for x in (-0.15, 0.15)])
    way = torch.stack([torch.cos(turn), torch.sin(turn)], 1)
    skirt = torch.cat([0.1 * way, torch.full((len(way), 1), 0.4)], 1)
    who, one = torch.zeros(len(way), dtype=torch.int64), torch.ones(len(way))
    got = outside_legs(skirt, way, who, one, legs, torch.zeros(len(legs), dtype=torch.int64), 1, gap=0.01)
    want = 0.15 * way[:, 0].abs() + 0.07 + 0.01                         # support of two discs
    assert torch.allclose((got[:, :2] * way).sum(1), torch.maximum(want, torch.tensor(0.1)), atol=3e-3)
    assert torch.equal(got[:, 2], skirt[:, 2])
    assert torch.equal(outside_legs(skirt, way, who, 0 * one, legs, torch.zeros(len(legs), dtype=torch.int64), 1), skirt)
