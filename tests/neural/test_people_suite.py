"""The writers of .glb and of the suite."""

import json
import os
import struct

import numpy as np
import pytest

from neural.contract.errors import OptionError
from neural.contract.joints import SMPL_JOINTS
from train.lifter.split import part_of_avatar, part_of_pose
from train.people import assets, glb, suite
from train.people.curved import curved


def _read(path):
    data = path.read_bytes()
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and length % 4 == 0
    document = json.loads(data[20:20 + length])
    size, kind = struct.unpack_from("<I4s", data, 20 + length)
    assert kind == b"BIN\0" and size == document["buffers"][0]["byteLength"]
    blob = data[28 + length:]

    def array(k):
        a = document["accessors"][k]
        view = document["bufferViews"][a["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[a["type"]]
        dtype = {5126: "<f4", 5125: "<u4"}[a["componentType"]]
        out = np.frombuffer(blob, dtype, a["count"] * width, view["byteOffset"])
        return out if width == 1 else out.reshape(-1, width)

    return document, blob, array


def test_glb_holds_what_was_written(tmp_path):
    rng = np.random.default_rng(0)
    v, uv = rng.normal(0, 1, (5, 3)), rng.uniform(0, 1, (5, 2))
    normals = rng.normal(0, 1, (5, 3))
    normals[4] = 0
    faces = [np.array([[0, 1, 2]]), np.array([[2, 3, 4], [1, 3, 4]])]
    looks = [glb.Look(b"\xff\xd8one\xff\xd9"), glb.Look(b"\x89PNGsecond", (0.5, 0.25, 1.0), True, "hair")]
    part = np.array([0, 3, 20, -1, 23])
    glb.write_glb(tmp_path / "x.glb", "x", v, normals, uv, faces, looks, {"licence": "MIT"}, part)
    document, blob, array = _read(tmp_path / "x.glb")
    assert document["asset"]["extras"]["licence"] == "MIT"
    for k, primitive in enumerate(document["meshes"][0]["primitives"]):
        own = primitive["attributes"]
        corners = array(primitive["indices"]).reshape(-1, 3)
        assert np.allclose(array(own["POSITION"])[corners], v[faces[k]], atol=1e-6)
        assert np.allclose(array(own["TEXCOORD_0"])[corners], np.stack([uv[:, 0], 1 - uv[:, 1]], 1)[faces[k]], atol=1e-6)
        assert np.allclose(np.linalg.norm(array(own["NORMAL"]), axis=1), 1, atol=1e-6)
        assert np.array_equal(array(own["_PART"])[corners], part[faces[k]])
        assert len(array(own["POSITION"])) == len(np.unique(faces[k]))
        image = document["images"][document["textures"][k]["source"]]
        view = document["bufferViews"][image["bufferView"]]
        assert blob[view["byteOffset"]:view["byteOffset"] + view["byteLength"]] == looks[k].image
        assert image["mimeType"] == ("image/jpeg", "image/png")[k]
        position = document["accessors"][own["POSITION"]]
        assert np.allclose(position["min"], v[faces[k]].min((0, 1))) and np.allclose(position["max"], v[faces[k]].max((0, 1)))
    assert document["materials"][1]["alphaMode"] == "MASK" and "alphaMode" not in document["materials"][0]
    assert document["materials"][1]["pbrMetallicRoughness"]["baseColorFactor"] == [0.5, 0.25, 1.0, 1.0]


def sphere(rings):
    lat, lon = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1), indexing="ij")
    v = np.stack([np.sin(lat) * np.cos(lon), np.cos(lat), -np.sin(lat) * np.sin(lon)], -1).reshape(-1, 3)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij"))
    p, q = i * (2 * rings + 1) + j, i * (2 * rings + 1) + j + 1
    r, s = p + 2 * rings + 1, q + 2 * rings + 1
    return v, np.concatenate([np.stack([p, r, q], 1)[i > 0], np.stack([q, r, s], 1)[i < rings - 1]])


@pytest.mark.parametrize("pieces", [2, 3])
def test_a_coarse_sphere_becomes_round_without_gaps(pieces):
    """Its flat triangles lie up to 4 % inside the sphere; the curved ones hardly at all, and their normals are the sphere's."""
    v, f = sphere(8)
    weld = assets.welded(v)
    new, normals, faces, source, weight, of = curved(v, v, f, weld, pieces)
    assert len(faces) == len(of) == len(f) * pieces ** 2
    radius = np.linalg.norm(new, axis=1)
    flat = np.linalg.norm(np.einsum("nk,nkc->nc", weight, v[source]), axis=1)
    assert 1 - flat.min() > 0.03 and np.abs(radius - 1).max() < 0.006
    corner = new[faces].mean(1)
    out = np.cross(new[faces[:, 1]] - new[faces[:, 0]], new[faces[:, 2]] - new[faces[:, 0]])
    assert ((out * corner).sum(1) > 0).all()                             # nothing is turned over
    angle = np.degrees(np.arccos(np.clip((normals * new).sum(1) / radius, -1, 1)))
    assert angle.mean() < 5
    places = assets.welded(new)
    edges = np.sort(np.concatenate([places[faces[:, [0, 1]]], places[faces[:, [1, 2]]], places[faces[:, [2, 0]]]]), 1)
    edges = edges[edges[:, 0] != edges[:, 1]]
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # watertight across the texture seam


def test_short_edges_stay_straight_and_sheets_flat():
    v, f = sphere(8)
    new, normals, faces, source, weight, of = curved(v, v, f, assets.welded(v), 3, least_m=9.0)
    assert len(faces) == len(f) and np.allclose(np.sort(new, 0), np.sort(v[np.unique(f)], 0))
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    both = np.concatenate([square, square])                              # two sides of one sheet: opposite normals, same places
    up = np.repeat([[0, 0, 1.0], [0, 0, -1.0]], 4, 0) + 0.2 * np.concatenate([square - 0.5, square - 0.5])
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    sheet = np.array([[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6]])
    new, normals, faces, *_ = curved(both, up, sheet, assets.welded(both), 3)
    assert np.abs(new[:, 2]).max() < 1e-6 + 0.15 and len(faces) == 36
    assert sorted(np.unique(np.sign(np.round(normals[:, 2], 3)))) == [-1, 1]


def test_only_held_characters_and_poses_unless_asked():
    names = ["MENA_F_1_Casual", "White_F_2_Casual", "Black_F_3_Milit"]
    assert suite.allowed(names, "held", part_of_avatar) == ["MENA_F_1_Casual", "Black_F_3_Milit"]
    assert suite.allowed(names, "train", part_of_avatar) == ["White_F_2_Casual"] and suite.allowed(names, "any", part_of_avatar) == names
    with pytest.raises(OptionError, match="no part"):
        suite.allowed(names, "best", part_of_avatar)


def test_choice_is_repeatable_and_uses_every_avatar_once_first():
    names, poses = [f"a{k}" for k in range(7)], [f"p{k}" for k in range(5)]
    config = suite.SuiteConfig(count=10, seed=3)
    chosen = suite.choose(config, names, poses)
    assert chosen == suite.choose(config, names, poses)
    assert chosen != suite.choose(suite.SuiteConfig(count=10, seed=4), names, poses)
    assert {c[0] for c in chosen[:7]} == set(names) and len(chosen) == 10


@pytest.fixture(scope="module")
def root():
    if not os.environ.get(assets.VARIABLE):
        pytest.skip(f"{assets.VARIABLE} is not set: no avatars to write a suite of")
    return assets.assets_root()


def test_suite_of_two(root, tmp_path):
    suite.write_suite(tmp_path / "s", suite.SuiteConfig(count=2, seed=1), root)
    index = json.loads((tmp_path / "s" / "index.json").read_text("utf-8"))
    assert index["about"] and len(index["items"]) == 2
    for item in index["items"]:
        assert {"name", "file", "height_m", "licence", "kind"} <= set(item)
        assert 1.5 < item["height_m"] < 2.0 and item["licence"] == "MIT" and item["kind"] == "avatar"
        assert item["part"] == "held" and part_of_avatar(item["avatar"]) == "test" and part_of_pose(item["pose"]) == "test"
        document, _, array = _read(tmp_path / "s" / item["file"])
        v = np.concatenate([array(p["attributes"]["POSITION"]) for p in document["meshes"][0]["primitives"]])
        assert abs(v[:, 1].min()) < 1e-3 and 1.0 < v[:, 1].max() < 2.6     # y up, metres, on the floor
        joint = {k: np.array(p) for k, p in item["joints"].items()}
        assert set(joint) == set(SMPL_JOINTS)
        for p in joint.values():
            assert np.linalg.norm(v - p, axis=1).min() < 0.2
        across = joint["left_shoulder"] - joint["right_shoulder"]
        up = joint["neck"] - joint["pelvis"]
        facing = np.cross(across, up)                                     # +x left of the subject, +y up -> +z front
        toes = sum(joint[f"{s}_foot"] - joint[f"{s}_ankle"] for s in ("left", "right"))
        assert facing @ toes > 0
    with pytest.raises(OptionError, match="not empty"):
        suite.write_suite(tmp_path / "s", suite.SuiteConfig(count=1), root)
