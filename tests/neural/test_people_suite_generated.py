"""The suite of our own generator: a small painted person survives the way into a .glb and back."""

import json
import os

import numpy as np
import pytest
import torch

from evaluate.readers import read_mesh
from evaluate.render.shade import albedo, holes_cut, linear
from evaluate.suite import read_suite
from neural.contract.errors import OptionError
from neural.contract.joints import SMPL_JOINTS
from neural.geometry.raster import rasterize_screen
from train.people import assets
from train.people import suite_generated as suite
from train.people.draw.fabric import dyed
from train.people.recipe import FABRICS
from train.people.types import Materials, People, Textures


def textures():
    """One picture of 8 x 8: the upper half red, the lower blue, a hole of alpha in the left quarter."""
    t = np.zeros((8, 8, 4), np.uint8)
    t[:4], t[4:] = (240, 20, 20, 255), (20, 20, 240, 255)
    t[:, :2, 3] = 0
    table = torch.from_numpy(t.reshape(-1, 4))
    one = lambda *v: torch.tensor([v])
    return Textures(table, one(0), one(8), one(8), ("picture",))


def toy(kinds=("texture", "stripes"), alpha=(False, False)):
    """A box of 0.4 x 0.2 x 1.7 m (z up): its front (-y) shows material 0, all else material 1; a second person is all at 9 m."""
    box = np.array(np.meshgrid([-0.2, 0.2], [-0.1, 0.1], [0.0, 1.7], indexing="ij")).reshape(3, -1).T
    quads = np.array([[0, 4, 5, 1], [2, 3, 7, 6], [0, 1, 3, 2], [4, 6, 7, 5], [1, 5, 7, 3], [0, 2, 6, 4]])
    v, f, m = [], [], []
    for k, q in enumerate(quads):
        n = 32
        s, t = np.meshgrid(np.linspace(0, 1, n + 1), np.linspace(0, 1, n + 1), indexing="ij")
        a, b, _, d = box[q]
        v.append((a + s[..., None] * (b - a) + t[..., None] * (d - a)).reshape(-1, 3))
        i, j = (x.ravel() for x in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
        p = i * (n + 1) + j + k * (n + 1) ** 2
        f.append(np.concatenate([np.stack([p, p + n + 1, p + n + 2], 1), np.stack([p, p + n + 2, p + 1], 1)]))
        m.append(np.full(2 * n * n, int(k > 0)))
    v, f, m = np.concatenate(v), np.concatenate(f), np.concatenate(m)
    normal = v - v.mean(0)
    tensor = lambda a, kind=torch.float32: torch.as_tensor(np.array(a)).to(kind)
    count = len(v)
    two = lambda a: np.concatenate([a, a])
    places = np.concatenate([v, v + 9])
    colours = torch.tensor([[[0.8, 0.1, 0.1], [0.1, 0.6, 0.1], [0.1, 0.1, 0.7]]] * 2)
    number = lambda *a: torch.tensor(a)
    materials = Materials(number(*(FABRICS.index(k) for k in kinds)), number(0, -1), colours, torch.tensor([[0.5, 1.0, 1.0], [1.0, 1, 1]]),
                          torch.tensor([0.2, 0.2]), torch.zeros(2), number(3, 4), torch.zeros(2), torch.tensor(alpha), torch.zeros(2, 3))
    uv = np.stack([(v[:, 0] + 0.2) / 0.4, v[:, 2] / 1.7], 1)
    zeros = lambda *s: torch.zeros(s)
    return People(
        tensor(places), tensor(two(normal / np.linalg.norm(normal, axis=1, keepdims=True))), tensor(np.repeat([0, 1], count), torch.int64),
        tensor(np.concatenate([f, f + count]), torch.int64), tensor(np.repeat([0, 1], len(f)), torch.int64), tensor(two(m), torch.int64),
        tensor(two(uv)), tensor(two(v - [0, 0, 0.9])), tensor(two(normal)), tensor(two(uv)), tensor(two(v)),
        tensor(two(np.arange(count) % 24), torch.uint8), zeros(2 * count), tensor(np.zeros(2 * len(f)), torch.int64),
        zeros(2, 24, 3), zeros(2, 24, 3, 3), zeros(2, 10), torch.ones(2), zeros(2, 53, 3), torch.ones(2), materials)


def drawn(mesh, turn=1.0, size=200):
    """(size, size, 3) linear colours seen from the front (turn 1) or the back (-1), and what is hit; 2 m wide."""
    xy = np.stack([turn * mesh.vertices[:, 0], -mesh.vertices[:, 1] + 0.85], 1) * size / 2 + size / 2
    seen = rasterize_screen(xy, 5 - turn * mesh.vertices[:, 2], mesh.faces, size, size)
    return albedo(mesh, seen), seen


def test_a_person_comes_back_with_its_place_parts_and_picture(tmp_path):
    people = toy()
    suite.write_person(tmp_path / "a.glb", "a", people, 0, textures(), {"licence": ["CC0-1.0"]})
    mesh = read_mesh(tmp_path / "a.glb")
    assert np.allclose(np.ptp(mesh.vertices, axis=0), [0.4, 1.7, 0.2], atol=1e-5) and len(mesh.faces) == 6 * 2048
    assert set(mesh.part) <= set(range(24)) and len(set(mesh.part)) == 24
    picture, seen = drawn(mesh)
    front = picture[seen.hit]
    top, bottom = picture[40], picture[160]                          # glTF: the front (+z) is the person's front (-y)
    red, blue = linear(np.array([240, 20, 20]) / 255) * [0.5, 1, 1], linear(np.array([20, 20, 240]) / 255) * [0.5, 1, 1]
    assert np.allclose(top[100], red, atol=0.01) and np.allclose(bottom[100], np.minimum(blue, 0.92), atol=0.01) and len(front) > 5000


@pytest.mark.parametrize("kind", [k for k in FABRICS if k != "texture"])
def test_baked_fabrics_are_what_the_generator_paints(tmp_path, kind):
    """Colours drawn from the .glb against the fabric's own function at the same places."""
    people = toy(("texture", kind))
    suite.write_person(tmp_path / "a.glb", "a", people, 0, textures(), {})
    mesh = read_mesh(tmp_path / "a.glb")
    picture, seen = drawn(mesh, -1.0)
    place = np.einsum("nk,nkc->nc", seen.bary[seen.hit], mesh.vertices[mesh.faces[seen.face[seen.hit]]])
    rest = np.stack([place[:, 0], -place[:, 2], place[:, 1] - 0.9], 1).astype(np.float32)       # y up, +z front -> z up, -y front
    true = dyed(people, torch.ones(len(rest), dtype=torch.int64), torch.from_numpy(rest), torch.full((len(rest),), 0.0025)).clamp(0, 0.92).numpy()
    gap = np.abs(picture[seen.hit] - true).max(1)
    assert np.median(gap) < 0.03 and (gap > 0.15).mean() < 0.08, (np.median(gap), (gap > 0.15).mean())


def test_holes_stay_holes_and_opaque_pictures_are_not_cut(tmp_path):
    suite.write_person(tmp_path / "cut.glb", "cut", toy(alpha=(True, False)), 0, textures(), {})
    mesh = holes_cut(read_mesh(tmp_path / "cut.glb"))
    assert any(n.startswith("transparency") for n in mesh.notes)
    _, seen = drawn(mesh.kept(mesh.material == 0))
    assert seen.hit.sum() == pytest.approx(0.75 * 40 * 170, rel=0.04)       # the left quarter of the front is open
    whole = textures()
    whole.texels[:, 3] = 255
    suite.write_person(tmp_path / "whole.glb", "whole", toy(alpha=(True, False)), 0, whole, {})
    assert not any(m.cut for m in read_mesh(tmp_path / "whole.glb").materials)


def test_folders_and_counts_are_checked(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    for folder, count, word in ((tmp_path / "full", 1, "not empty"), (tmp_path / "new", 0, "at least one")):
        with pytest.raises(OptionError, match=word):
            suite.write_generated(folder, count, 0, tmp_path)


def test_two_held_people(tmp_path):
    if not os.environ.get(assets.VARIABLE):
        pytest.skip(f"{assets.VARIABLE} is not set: no ingredients to make people of")
    items = suite.write_generated(tmp_path / "s", 1, 5, assets.assets_root())
    from train.people.split import part_of_item
    from train.people.pack.folder import Source
    records = {r["name"]: r for kind in ("garment", "clothes", "hair", "shoes") for r in Source.open(assets.assets_root()).of(kind)}
    for item in items:
        assert set(item["joints"]) == set(SMPL_JOINTS) and 0.8 < item["height_m"] < 2.3 and item["licence"]
        assert all(part_of_item(records[n]) in ("held", "shared") for n in item["worn"] if n in records)
    mesh = read_suite(tmp_path / "s").items[0].mesh()
    assert mesh.textured and 0.8 < np.ptp(mesh.vertices[:, 1]) < 2.6 and mesh.part.max() < 24
    index = json.loads((tmp_path / "s" / "index.json").read_text())
    assert "no network was trained with" in index["about"]
