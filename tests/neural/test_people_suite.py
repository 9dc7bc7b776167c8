"""The writers of .glb and of the suite."""

import json
import os
import struct

import numpy as np
import pytest

from neural.contract.errors import OptionError
from neural.contract.joints import SMPL_JOINTS
from train.people import assets, glb, suite


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
    jpegs = [b"\xff\xd8one\xff\xd9", b"\xff\xd8second\xff\xd9"]
    glb.write_glb(tmp_path / "x.glb", "x", v, normals, uv, faces, jpegs, {"licence": "MIT"})
    document, blob, array = _read(tmp_path / "x.glb")
    assert document["asset"]["extras"]["licence"] == "MIT"
    for k, primitive in enumerate(document["meshes"][0]["primitives"]):
        assert np.array_equal(array(primitive["indices"]).reshape(-1, 3), faces[k])
        shared = primitive["attributes"]
        assert np.allclose(array(shared["POSITION"]), v, atol=1e-6)
        assert np.allclose(array(shared["TEXCOORD_0"]), np.stack([uv[:, 0], 1 - uv[:, 1]], 1), atol=1e-6)
        assert np.allclose(np.linalg.norm(array(shared["NORMAL"]), axis=1), 1, atol=1e-6)
        view = document["bufferViews"][document["images"][document["textures"][k]["source"]]["bufferView"]]
        assert blob[view["byteOffset"]:view["byteOffset"] + view["byteLength"]] == jpegs[k]
    position = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert np.allclose(position["min"], v.min(0)) and np.allclose(position["max"], v.max(0))


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
        document, _, array = _read(tmp_path / "s" / item["file"])
        v = array(document["meshes"][0]["primitives"][0]["attributes"]["POSITION"])
        assert abs(v[:, 1].min()) < 1e-4 and 1.0 < v[:, 1].max() < 2.6     # y up, metres, on the floor
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
