"""A pack read from a folder and from its file, on a tiny folder that the test writes; the split; broken input."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from neural.body.model import BodyModel
from neural.contract.joints import JOINT
from neural.contract.errors import OptionError
from tests.support import people_folder
from train.body.rig import BODY_FROM_ANNY
from train.lifter import split as lifter_split
from train.people import assets, posing, split
from train.people import base as base_mesh
from train.people import pack
from train.people.pack import __main__ as command
from train.people.pack import file as pack_file
from train.people.pack import items


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return people_folder.write(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module")
def loaded(folder):
    return pack.load(folder)


def _item(p, name):
    return next(i for i in p.items.items if i.name == name)


def test_folder_gives_every_table(loaded):
    names = [i.name for i in loaded.items.items]
    assert names[0] == "body" and sorted(names[1:]) == ["lashes", "plain", "sleeve"]
    t, n = loaded.items, len(loaded.items.neutral)
    assert all(len(getattr(t, k)) == n for k in ("fine_index", "skin_bone", "uv", "weld", "body_uv", "body_place", "part", "height"))
    assert int(t.faces.max()) < n and int(t.fine_index.max()) < len(t.ref) and torch.allclose(t.skin_weight.sum(1), torch.ones(n), atol=1e-5)
    for item in t.items:
        f = t.faces[slice(*item.faces)]
        assert int(f.min()) >= item.fine[0] and int(f.max()) < item.fine[1]
    assert loaded.textures.names[_item(loaded, "sleeve").texture] == "sleeve" and _item(loaded, "lashes").alpha
    assert loaded.textures.names[_item(loaded, "plain").texture] == "iris brown"
    assert loaded.poses.names == ("mhc_Lotus", "mh_fly02") and loaded.poses.part == ("train", "val")
    assert loaded.surroundings.lights == ("noon_grass_1k",) and loaded.surroundings.backgrounds.shape == (1, 36, 27, 3)


def test_sleeve_is_where_it_was_put(loaded):
    """A sleeve 10 mm off the forearm: that is its height, and it belongs to the arm below it."""
    t, item = loaded.items, _item(loaded, "sleeve")
    rows = slice(*item.fine)
    assert float((t.height[rows] - 0.01).abs().quantile(0.9)) < 0.002
    assert {int(p) for p in t.part[rows].unique()} <= {18, 19, 20, 21, 16, 17}
    left = t.neutral[rows][:, 0] > 0
    assert ((t.body_place[rows][:, 0] > 0) == left).all()
    assert set(item.hides.tolist()) and item.layer == 52 and item.part in ("train", "held") and item.cloth


def test_body_is_its_own_anchor(loaded):
    t = loaded.items
    rows = slice(*_item(loaded, "body").fine)
    assert torch.equal(t.body_uv[rows], t.uv[rows]) and float(t.height[rows].abs().max()) == 0


def test_fit_is_the_formula_of_the_folder():
    """p = sum w B[ref] + off s in decimetres, y up; on any body."""
    rng, base = np.random.default_rng(0), base_mesh.load()
    rest = (base.mean + base.modes @ torch.tensor(base_mesh.bodies().k[3])).numpy().astype(np.float64)
    ref, w, off = rng.integers(0, 19158, (50, 3)), rng.random((50, 3)), rng.normal(size=(50, 3))
    scale = np.array([[5399, 11998, 1.4], [791, 881, 2.2], [962, 5320, 1.8]])
    b = np.stack([rest[:, 0], rest[:, 2], -rest[:, 1]], 1) * 10
    s = [abs(b[int(a), k] - b[int(c), k]) / length for k, (a, c, length) in enumerate(scale)]
    want = np.einsum("ij,ijd->id", w, b[ref]) + off * s
    order = scale[[0, 2, 1]]
    got = items.fitted(rest, ref, w, np.stack([off[:, 0], -off[:, 2], off[:, 1]], 1) / 10, order[:, :2].astype(int), order[:, 2] / 10)
    assert np.allclose(np.stack([got[:, 0], got[:, 2], -got[:, 1]], 1) * 10, want, atol=1e-9)


def test_no_face_spans_the_texture_layout(loaded):
    """Faces at a seam of the body's texture have vertices of their own on one side."""
    t = loaded.items
    f = t.faces[slice(*_item(loaded, "sleeve").faces)]
    uv, p = t.body_uv[f], t.neutral[f]
    far = lambda x: (x - x.roll(1, 1)).norm(dim=-1).amax(1)
    assert float((far(uv) / (far(p) + 0.006)).max()) < 4
    person = loaded.people[0]
    uv, p = person.body_uv[person.faces], person.rest[person.faces]
    assert float((far(uv) / (far(p) + 0.006)).quantile(0.999)) < 6


def test_faces_wound_the_wrong_way_are_turned(tmp_path, folder):
    people_folder.index(tmp_path, [people_folder.sleeve(tmp_path)])
    arrays = people_folder.patch()
    arrays["f"], arrays["ft"] = arrays["f"][:, ::-1].copy(), arrays["ft"][:, ::-1].copy()
    people_folder.save(tmp_path, "clothes/sleeve", arrays)
    people_folder.poses(tmp_path)
    t = pack.load(tmp_path, "all").items
    item = t.items[1]
    f = t.faces[slice(*item.faces)]
    p = t.neutral[f]
    normal = torch.linalg.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    middle = torch.stack([p[p[:, 0, 0] * s > 0].mean((0, 1)) for s in (1.0, -1.0)])
    away = p.mean(1) - middle[(p[:, 0, 0] < 0).long()]
    assert float((normal * away).sum(1).gt(0).float().mean()) > 0.8


def test_character_is_posed_as_posing_does(loaded, folder):
    """R_library @ align and plain skinning give posing.py's rotations, shoulders excepted (they sink as the arm hangs)."""
    person, library = loaded.people[0], assets.load_poses(folder)
    avatar = assets.load_avatar(folder, person.name)
    true = posing.avatar_rotations(avatar, library, assets.load_bone_map(folder), library.pose("mhc_Lotus"))
    given = loaded.poses.rotation[loaded.poses.names.index("mhc_Lotus")].double()
    out = torch.eye(3, dtype=torch.float64).repeat(len(person.heads), 1, 1)
    for j, (bone, parent) in enumerate(zip(person.library_bone.tolist(), person.parents.tolist())):
        out[j] = given[bone] @ person.align[j].double() if bone >= 0 else out[parent] if parent >= 0 else out[j]
    wrong = np.abs(out.numpy() - true).max((1, 2))
    shoulders = [avatar.bones.index(f"{s}Shoulder") for s in ("Left", "Right")]
    assert np.delete(wrong, shoulders).max() < 1e-3 and wrong[shoulders].max() < 0.3


def test_character_that_is_our_body_finds_itself(loaded):
    """Shape 0, scale 1, and every vertex of trunk, legs and face's skin at its own place. (Arms turn about themselves by the character's made-up
    knuckles, and what lies inside the mouth and the eyes has no skin of its own.)"""
    person, model = loaded.people[0], BodyModel.load()
    assert abs(person.scale - 1) < 0.005 and float(person.betas.abs().max()) < 0.1
    place = person.rest.numpy() @ BODY_FROM_ANNY.T
    gap, vertex = cKDTree(model.template).query(place)
    arms = [JOINT[f"{side}_{n}"] for side in ("left", "right") for n in ("shoulder", "elbow", "wrist", "hand")]
    known = ~model.inner[vertex] & ~np.isin(model.part[vertex], arms)
    assert gap.max() < 1e-4 and known.sum() > 5000
    height, miss = person.height.numpy()[known], np.linalg.norm(person.body_place.numpy()[known] - place[known], axis=1)
    assert np.percentile(np.abs(height), 95) < 0.003 and np.percentile(miss, 90) < 0.005
    assert (person.part.numpy()[known] == model.part[vertex][known]).mean() > 0.97


def test_file_gives_what_the_folder_gives(loaded, folder, tmp_path):
    """Geometry to the last bit, textures within a picture's loss; the same bytes each time; no pickle."""
    size = pack_file.write(folder, tmp_path / "a.pack")
    pack_file.write(folder, tmp_path / "b.pack")
    assert (tmp_path / "a.pack").read_bytes() == (tmp_path / "b.pack").read_bytes() and size < 3e6
    other = pack.load(tmp_path / "a.pack")
    for table in ("items", "poses"):
        for name, value in vars(getattr(loaded, table)).items():
            if torch.is_tensor(value):
                assert torch.equal(value, getattr(getattr(other, table), name)), name
    for name, value in vars(loaded.people[0]).items():
        assert torch.equal(value, getattr(other.people[0], name)) if torch.is_tensor(value) else value == getattr(other.people[0], name), name
    assert [i.name for i in other.items.items] == [i.name for i in loaded.items.items] and other.textures.names == loaded.textures.names
    assert torch.equal(other.textures.offset, loaded.textures.offset)
    assert float((other.textures.texels.int() - loaded.textures.texels.int()).abs().float().mean()) < 4
    assert torch.allclose(other.surroundings.ambient, loaded.surroundings.ambient)
    assert pack.catalogue(tmp_path / "a.pack", "train") == pack.catalogue(folder, "train")


def test_file_holds_only_its_part(folder, tmp_path, capsys):
    assert command.main(["--assets", str(folder), "--out", str(tmp_path / "held.pack"), "--part", "held"]) == 0
    held = pack.load(tmp_path / "held.pack", "held")
    assert held.poses.names == ("mh_run01",) and held.surroundings.lights == ("venice_sunset_1k",) and not held.people
    assert "iris grey" in held.textures.names and "iris brown" not in held.textures.names
    with pytest.raises(OptionError) as error:
        pack.load(tmp_path / "held.pack", "train")
    assert error.value.code == "option.part"
    assert command.main(["--assets", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("what, code", [("mesh", "option.mesh"), ("short", "option.mesh"), ("picture", "option.picture"), ("gone", "option.missing"),
                                        ("index", "option.index"), ("base", "option.mesh"), ("zip", "option.assets")])
def test_broken_assets_are_named(folder, tmp_path, what, code):
    root = tmp_path / "assets"
    shutil.copytree(folder, root)
    mesh = root / "clothes/sleeve/mesh.npz"
    arrays = dict(np.load(mesh))
    if what == "mesh":
        mesh.write_bytes(mesh.read_bytes()[:200])
    elif what == "short":
        np.savez(mesh, **{k: v for k, v in arrays.items() if k != "ref"})
    elif what == "base":
        np.savez(mesh, **(arrays | {"ref": arrays["ref"] + 19000}))
    elif what == "picture":
        (root / "clothes/sleeve/diffuse.jpg").write_bytes(b"not a picture")
    elif what == "gone":
        (root / "skins/mine_young_female.jpg").unlink()
    elif what == "index":
        (root / "index.json").write_text("{")
    elif what == "zip":
        root = tmp_path / "x.pack"
        root.write_bytes(b"nothing")
    with pytest.raises(OptionError) as error:
        pack.load(root, "all", people=False)
    assert error.value.code == code and error.value.remedy


def test_item_without_texture_coordinates_is_said_and_plain(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "a")
    mesh = tmp_path / "a/clothes/sleeve/mesh.npz"
    np.savez(mesh, **{k: v for k, v in np.load(mesh).items() if k not in ("vt", "ft")})
    said = []
    p = pack.load(tmp_path / "a", "all", people=False, warn=said.append)
    assert _item(p, "sleeve").texture == -1 and any("sleeve" in s for s in said)


def test_split_is_what_it_was_and_agrees_with_the_lifters():
    assert split.digest() == split.SHA256, "split.toml changed: networks were trained with the old one"
    table = split.table()
    assert len(table["avatar"]) == 40 and sum(p == "held" for p in table["avatar"].values()) == 24
    assert all(p == {"test": "held"}.get(lifter_split.part_of_avatar(n), "train") for n, p in table["avatar"].items())
    assert all(p == {"test": "held"}.get(lifter_split.part_of_pose(n + "_0"), lifter_split.part_of_pose(n + "_0"))
               for n, p in table["clip"].items() if n.startswith("cmu"))
    assert all(p == {"test": "held"}.get(lifter_split.part_of_pose(n), lifter_split.part_of_pose(n))
               for n, p in table["clip"].items() if not n.startswith("cmu"))
    for slot in ("full", "top", "bottom", "dress", "shoes", "hat", "hair", "skin", "place", "iris", "eyebrows"):
        share = sum(p == "held" for p in table[slot].values()) / len(table[slot])
        assert 0.1 <= share <= 0.45, slot
    held = [n for n, p in table["skin"].items() if p == "held"]
    assert all(any(re.search(w, n) for n in held) for w in ("_female", "[^e]male|_male", "old", "young", "middle", "dark"))
    names = [n for group in table.values() for n in group]
    assert len(names) == len(set(names))


def test_unlisted_assets_go_the_same_way_everywhere():
    share = np.mean([split.part_of("top", f"thing{i}") == "held" for i in range(2000)])
    assert 0.17 < share < 0.23 and split.part_of("eyes", "anything") == "shared"
    assert split.part_of_place("park_3") == split.part_of_place("park_1") and split.part_of_pose("cmu_99_01_30") == split.part_of_pose("cmu_99_01_60")


def test_split_names_every_asset_once():
    try:
        root = assets.assets_root()
    except OptionError as error:
        pytest.skip(error.remedy)
    table = split.table()
    listed = {n for n in pack.catalogue(root).entries if n.slot not in split.shared()}
    group = {"light": "place", "pose": "clip"}
    for e in listed:
        name = {"pose": e.clip, "iris": e.name.removeprefix("iris "), "background": e.name.rpartition("_")[0]}.get(e.slot, e.name)
        assert name in table[group.get(e.slot, "place" if e.slot == "background" else e.slot)], e
    count = sum(len(v) for k, v in table.items() if k not in ("clip", "place"))
    assert count == sum(e.slot not in ("light", "pose", "background") for e in listed)
    avatars = [i["name"] for i in json.loads((root / "index.json").read_text())["items"] if i["kind"] == "avatar"]
    held = [n for n in avatars if split.part_of("avatar", n) == "held"]
    assert sorted(held) == sorted(lifter_split.TEST_AVATARS)
