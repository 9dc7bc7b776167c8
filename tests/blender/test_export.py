"""Exports: bone names are mapped at export only, and the glTF passes the Khronos validator."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import bpy
import pytest

VALIDATOR = """
const v = require('gltf-validator'), fs = require('fs');
v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])), {maxIssues: 50})
  .then(r => { console.log(JSON.stringify(r.issues)); process.exit(r.issues.numErrors ? 1 : 0); });
"""


@pytest.fixture
def person(empty, figure, load):
    return load("addon.scene").build(figure[0])


def gltf_json(path: Path) -> dict:
    data = path.read_bytes()
    assert data[:4] == b"glTF"
    return json.loads(data[20:20 + struct.unpack("<I", data[12:16])[0]])


@pytest.mark.parametrize("convention, hips, hand", [
    ("SMPL", "pelvis", "left_wrist"), ("MIXAMO", "mixamorig:Hips", "mixamorig:LeftHand"),
    ("UNREAL", "pelvis", "hand_l"), ("RIGIFY", "spine", "hand.L")])
def test_bone_names(person, load, tmp_path, convention, hips, hand):
    def state():
        return ({b.name for b in person.armature.data.bones}, {g.name for g in person.mesh.vertex_groups},
                {c.data_path for a in bpy.data.actions for c in load("addon.compat").all_fcurves(a)})

    before = state()
    load("addon.export").write(tmp_path / "p.glb", [person.armature], convention)
    assert state() == before
    data = gltf_json(tmp_path / "p.glb")
    joints = {data["nodes"][i]["name"] for i in data["skins"][0]["joints"]}
    assert {hips, hand} <= joints and len(joints) == 24
    assert len(set(load("addon.bone_names").table(convention).values())) in (0, 24)
    assert {a["name"] for a in data["animations"]} == {"figure photo pose", "figure A-pose"}
    for animation in data["animations"]:       # every Action still drives all bones
        assert len({c["target"]["node"] for c in animation["channels"]}) >= 24
    assert all("body" not in m["name"] for m in data["meshes"])
    assert "NORMAL" in data["meshes"][0]["primitives"][0]["attributes"]


def test_names_come_back_after_a_failed_export(person, load, tmp_path):
    with pytest.raises(Exception):
        with load("addon.export").renamed_bones([person.armature], "MIXAMO"):
            assert "mixamorig:Hips" in person.armature.data.bones
            raise OSError("disk full")
    assert "pelvis" in person.armature.data.bones and "pelvis" in person.mesh.vertex_groups


def test_fbx(person, load, tmp_path):
    load("addon.export").write(tmp_path / "p.fbx", [person.armature], "MIXAMO")
    data = (tmp_path / "p.fbx").read_bytes()
    assert data.startswith(b"Kaydara FBX") and b"mixamorig:LeftForeArm" in data and b"left_elbow" not in data


def test_khronos_validator(person, load, tmp_path):
    folder = os.environ.get("LIKENESS_GLTF_VALIDATOR", "")     # a folder with node_modules/gltf-validator
    if not shutil.which("node") or not (Path(folder) / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("needs node, and LIKENESS_GLTF_VALIDATOR naming a folder where `npm install gltf-validator` was run")
    load("addon.export").write(tmp_path / "p.glb", [person.armature])
    done = subprocess.run(["node", "-e", VALIDATOR, str(tmp_path / "p.glb")], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    issues = json.loads(done.stdout)
    assert issues["numErrors"] == 0, issues
