"""Light and shade on analytic scenes: a ball, a plate over a ball, the floor."""

import numpy as np
import pytest
import torch

from neural.contract.errors import OptionError
from train.people import light as slow
from train.people.draw.floor import floor_light, floor_maps
from train.people.draw.light import Lights, irradiance, lights_of, radiance, turned, turned_harmonics
from train.people.draw.shade import exposed, eyes, picture, seen_side
from train.people.draw.shadow import ambient_reach, frame, key_reach, solid_faces, view
from train.people.draw.raster import rasterize_front
from train.people.recipe import LightRecipe
from train.people.types import Cameras, Materials, People, Surroundings, Textures

NO_TEXTURES = Textures(torch.zeros(1, 4, dtype=torch.uint8), *(torch.ones(1, 1, dtype=torch.int64) * k for k in (0, 1, 1)), ("none",))


def ball(centre=(0.0, 0, 1), radius=0.4, n=48):
    """(V, 3), (F, 3), (V, 3) normals."""
    a, b = np.meshgrid(np.linspace(0, np.pi, n), np.linspace(0, 2 * np.pi, 2 * n, endpoint=False), indexing="ij")
    d = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(n - 1), np.arange(2 * n), indexing="ij")
    k = (j + 1) % (2 * n)
    p, q, r, s = (x.reshape(-1) for x in (i * 2 * n + j, (i + 1) * 2 * n + j, (i + 1) * 2 * n + k, i * 2 * n + k))
    return d * radius + centre, np.concatenate([np.stack([p, q, r], 1), np.stack([p, r, s], 1)]), d


def plate(z, half=0.5, n=60):
    x, y = np.meshgrid(np.linspace(-half, half, n), np.linspace(-half, half, n))
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    v = np.stack([x, y, np.full_like(x, z)], -1).reshape(-1, 3)
    return v, np.concatenate([np.stack([i, i + 1, i + n + 1], 1), np.stack([i, i + n + 1, i + n], 1)]), np.tile([0, 0, 1.0], (n * n, 1))


def people_of(*meshes, colours=(0.5, 0.5, 0.5), gloss=0.0) -> People:
    """One person for each list of meshes; one plain material each."""
    v, f, n, owner, face_owner, start = [], [], [], [], [], 0
    for k, parts in enumerate(meshes):
        for part in parts:
            v.append(part[0])
            f.append(part[1] + start)
            n.append(part[2])
            owner.append(np.full(len(part[0]), k))
            face_owner.append(np.full(len(part[1]), k))
            start += len(part[0])
    t = lambda a: torch.tensor(np.concatenate(a))
    vertices, normals, faces = t(v).float(), t(n).float(), t(f)
    p, zero, m = len(meshes), torch.zeros(start, 3), len(meshes)
    dye = torch.tensor(colours).float().expand(m, 3, 3).clone()
    materials = Materials(torch.ones(m, dtype=torch.int64), torch.full((m,), -1), dye, torch.ones(m, 3),
                          torch.full((m,), 0.05), torch.zeros(m), torch.zeros(m, dtype=torch.int64), torch.full((m,), gloss),
                          torch.zeros(m, dtype=torch.bool), torch.zeros(m, 3))
    return People(vertices, normals, t(owner), faces, t(face_owner), t(face_owner), torch.zeros(start, 2), vertices,
                  normals, torch.zeros(start, 2), zero,
                  torch.zeros(start, dtype=torch.uint8), torch.full((start,), 0.01), torch.ones(len(faces), dtype=torch.int64), torch.zeros(p, 24, 3),
                  torch.zeros(p, 24, 3, 3), torch.zeros(p, 10), torch.ones(p), torch.zeros(p, 53, 3), torch.ones(p), materials)


def cameras_of(count: int, size: int = 64) -> Cameras:
    """Looking along +y from 4 m before the origin, 1 m up."""
    turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).repeat(count, 1, 1)
    return Cameras(turn, torch.tensor([[0.0, 1, 4]]).repeat(count, 1), torch.full((count,), 2.5 * size), torch.full((count, 2), size / 2), size)


def even(count: int, key=(0.0, 0, 0), direction=(0.0, 0, 1), level=1.0) -> Lights:
    ambient = torch.zeros(count, 9, 3)
    ambient[:, 0] = level / 0.282095
    row = lambda v: torch.tensor([v]).float().repeat(count, 1)
    return Lights(ambient, row(direction), row(key), torch.full((count,), 0.01),
                  torch.zeros(count), torch.zeros(count))


@pytest.fixture(scope="module")
def outdoors() -> slow.Light:
    rng = np.random.default_rng(0)
    image = rng.random((64, 128, 3)).astype(np.float32) + np.linspace(2, 0, 64)[:, None, None]
    image[10:13, 30:33] += 300
    return slow.from_map(image)


def test_harmonics_are_those_of_the_slow_renderer(outdoors):
    t = lambda a: torch.tensor(np.asarray(a), dtype=torch.float32)[None]
    d = slow.sphere(200)
    for degrees in (0, 35, -140):
        wanted = outdoors.turned(degrees)
        angle = torch.deg2rad(torch.tensor([float(degrees)]))
        lights = Lights(turned_harmonics(t(outdoors.ambient), angle), turned(t(outdoors.key_direction), angle), t(outdoors.key_irradiance),
                        torch.ones(1), torch.zeros(1), torch.zeros(1))
        none, points = torch.zeros(200, dtype=torch.int64), torch.tensor(d, dtype=torch.float32)
        assert np.allclose(radiance(lights, points, none), wanted.radiance(d), atol=2e-4)
        assert np.allclose(irradiance(lights, points, none), wanted.irradiance(d), atol=5e-4)
        assert np.allclose(lights.key_direction[0], wanted.key_direction, atol=1e-5)


def test_recipes_make_lights(outdoors):
    t = lambda a: torch.tensor(np.asarray(a), dtype=torch.float32)[None]
    there = Surroundings(("park",), ("train",), t(outdoors.ambient), t(outdoors.key_direction), t(outdoors.key_irradiance), torch.tensor([0.1]),
                         (), (),
                         torch.zeros(0, 1, 1, 3, dtype=torch.uint8))
    lights = lights_of([LightRecipe("park"), LightRecipe("park", key=0.0, ambient=2.0), LightRecipe("park", flat=1.0), LightRecipe()], there)
    assert torch.allclose(lights.ambient[1], 2 * lights.ambient[0]) and not lights.key_irradiance[1:].any()
    assert not lights.ambient[2, 1:].any() and torch.allclose(lights.ambient[3, 0], torch.tensor(1 / 0.282095))
    whole = lights.ambient[:, 0] * 4 * np.pi * 0.282095 + lights.key_irradiance
    assert torch.allclose(whole[2], whole[0], rtol=1e-4)               # flat light is as much light
    with pytest.raises(OptionError, match="no light called 'moon'") as error:
        lights_of([LightRecipe("moon")], there)
    assert error.value.code == "option.light"


def test_even_light_on_a_ball():
    """Radiance 1 from everywhere on albedo 0.5: half of what the exposure makes of white, nearly everywhere."""
    people, cameras = people_of([ball()]), cameras_of(1)
    colour, alpha, albedo = picture(people, cameras, even(1), NO_TEXTURES)
    inside = alpha[0] == 1
    assert alpha.min() == 0 and abs(alpha.sum() / (np.pi * (0.4 / 4 * 160) ** 2) - 1) < 0.03
    assert (albedo[0][:, inside] - 0.464).abs().max() < 0.05 and not albedo[0][:, alpha[0] == 0].any()
    middle = colour[0][:, 24:40, 24:40]
    assert (middle / (0.95 * 0.464)).mean() == pytest.approx(1, abs=0.12) and middle.std() < 0.03


def test_nobody_in_the_picture():
    people, away = people_of([ball((50, 0, 1))], [ball()]), cameras_of(2)
    colour, alpha, albedo = picture(people, away, even(2, key=(1.0, 1, 1)), NO_TEXTURES)
    assert not alpha[0].any() and not colour[0].any() and alpha[1].max() == 1 and torch.isfinite(colour).all()
    nobody = picture(people_of([ball((50, 0, 1))]), cameras_of(1), even(1), NO_TEXTURES)
    assert not any(t.any() for t in nobody)


def test_key_light_follows_lambert():
    people, cameras = people_of([ball()]), cameras_of(1)
    lights = even(1, key=(3.0, 3, 3), direction=(0, -1, 0), level=1e-4)
    colour, _, _ = picture(people, cameras, lights, NO_TEXTURES)
    x = (torch.arange(64) + 0.5 - 32) / 16 * 1.01                      # perspective: the ball's outline is a little larger
    cosine = (1 - x ** 2).clamp(min=0).sqrt()
    row = colour[0, 1, 32] / colour[0, 1, 32, 32]
    near = cosine > 0.5
    assert (row - cosine)[near].abs().max() < 0.08


def test_convex_bodies_do_not_shade_themselves_and_a_roof_does():
    free = people_of([ball()])
    lights = even(1, key=(1.0, 1, 1))
    assert ambient_reach(free, lights, solid_faces(free, None)).mean() > 0.93
    roofed = people_of([ball(), plate(1.6, 1.2, 120)])
    reach = ambient_reach(roofed, lights, solid_faces(roofed, None))[:len(free.vertices)]
    z = free.normals[:, 2]
    assert reach[z > 0.8].mean() < 0.45 and reach[z < -0.8].mean() > 0.85
    top = torch.nonzero(z > 0.5).view(-1)
    args = (free.vertices[top], free.normals[top], torch.zeros(len(top), dtype=torch.int64), lights.key_direction, lights.key_angle)
    assert key_reach(free, view(free, lights.key_direction, 256, solid_faces(free, None)), *args).min() > 0.9
    assert key_reach(roofed, view(roofed, lights.key_direction, 256, solid_faces(roofed, None)), *args).max() < 0.1


def test_a_batch_is_its_parts():
    a, b = [ball()], [ball((0.1, 0, 0.9), 0.3), plate(0.5, 0.3, 20)]
    lights = even(2, key=(2.0, 2, 1), direction=(0.6, -0.8, 0))
    together = picture(people_of(a, b), cameras_of(2), lights, NO_TEXTURES)
    part = Lights(*(getattr(lights, f)[:1] for f in Lights.__dataclass_fields__))
    for whole, single in zip(together, picture(people_of(a), cameras_of(1), part, NO_TEXTURES)):
        assert torch.allclose(whole[:1], single, atol=2e-5)


def test_exposure_makes_white_white():
    people, cameras = people_of([ball()]), cameras_of(1)
    dim = even(1, level=0.01)
    tinted = Lights(dim.ambient * torch.tensor([1.0, 0.7, 0.4]), dim.key_direction, dim.key_irradiance, dim.key_angle, torch.ones(1), torch.ones(1))
    white = exposed(tinted, people, cameras)
    mean = irradiance(white, torch.tensor([[0.0, -1, 0]]), torch.zeros(1, dtype=torch.int64)) / np.pi
    assert torch.allclose(mean, torch.full((1, 3), 2 * 0.95), rtol=1e-3)


def test_inner_sides_are_turned_over():
    v, f, n = ball()
    people, cameras = people_of([(v, f[:, ::-1].copy(), -n)]), cameras_of(1)   # inside out: every sheet shows its inner side
    fragments = rasterize_front(people, cameras, 64)
    points = fragments.interpolate(people.vertices, people.faces)
    toward = torch.nn.functional.normalize(eyes(cameras)[fragments.picture] - points, dim=1)
    normals = torch.nn.functional.normalize(fragments.interpolate(people.normals, people.faces), dim=1)
    seen = seen_side(people, fragments, normals, toward)
    assert ((normals * toward).sum(1) < 0).float().mean() > 0.98 and ((seen * toward).sum(1) > 0).all()
    assert torch.allclose(seen.norm(dim=1), torch.ones(len(seen)), atol=1e-5)


def test_frames_are_square():
    d = torch.tensor(slow.sphere(64), dtype=torch.float32)
    axes = frame(d)
    assert torch.allclose(axes @ axes.transpose(1, 2), torch.eye(3).expand(64, 3, 3), atol=1e-5)
    assert torch.allclose(axes[:, 2], -d) and (axes[:, 1, 2] > 0).sum() > 50


def test_the_floor_is_dark_under_a_body_and_away_from_the_light():
    people = people_of([ball((0, 0, 0.3), 0.3)])
    lights = even(1, key=(9.0, 9, 9), direction=(0.6, 0, 0.8))
    left, middle = floor_maps(people, lights)
    assert torch.allclose(middle, torch.zeros(1, 2), atol=1e-2) and left.min() >= 0 and left.max() <= 1
    at = lambda x, y: left[0, int((y / 4 + 0.5) * 192), int((x / 4 + 0.5) * 192)]
    assert at(0, 0) < 0.5 and at(-0.35, 0) < 0.7 and at(0.6, 0) > 0.9 and at(1.9, 1.9) == 1
    narrow = cameras_of(1)
    cameras = Cameras(narrow.rotation, narrow.shift, torch.tensor([60.0]), narrow.centre, 64)
    seen = floor_light(people, cameras, lights)
    assert seen.shape == (1, 64, 64) and (seen[0, :31] == 1).all() and seen.min() < 0.6
    assert seen[0, 44:52, 20:32].mean() < seen[0, 44:52, 32:44].mean()       # the light stands on the right, so the shadow falls left
