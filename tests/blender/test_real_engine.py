"""The main job with nothing faked: real worker, real scene code, real files; and what bad photos do to it."""

import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = os.environ.get("LIKENESS_ENGINE_PYTHON", "")

pytestmark = [
    pytest.mark.skipif(not Path(ENGINE).is_file(), reason="LIKENESS_ENGINE_PYTHON names no engine (dev.py test sets it)"),
    pytest.mark.skipif(bpy.app.version < (4, 5), reason="one Blender is enough for the slow real run"),
]


def bomb(side: int) -> bytes:
    """A PNG that says it is side x side pixels large."""
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = b"".join((len(c) - 4).to_bytes(4, "big") + c + zlib.crc32(c).to_bytes(4, "big") for c in (header, data, b"IEND"))
    return bytes.fromhex("89504e470d0a1a0a") + chunks


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    work = tmp_path_factory.mktemp("real")
    broken, huge = work / "broken.jpg", work / "huge.png"
    broken.write_bytes((ROOT / "tests/data/man_front.jpg").read_bytes()[:20_000])
    huge.write_bytes(bomb(30_000))
    photos = [broken, ROOT / "tests/data/woman_back.jpg", huge, work / "no-such-file.jpg"]
    command = [sys.executable, str(ROOT / "addon/headless_main.py"), *map(str, photos), "--out", str(work / "out"),
               "--engine-python", ENGINE, "--preset=draft", "--height=1.62"]
    if shutil.which("unshare") and not subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        command = ["unshare", "-rn", *command]        # without any network, not even a loopback: nobody may miss it
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    return work / "out", done


def report(out: Path, stem: str) -> dict:
    return json.loads((out / stem / "report.json").read_text("utf-8"))


def test_exit_status_and_one_failure_never_stops_the_rest(ran):
    out, done = ran
    assert done.returncode == 3, done.stdout + done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["broken", "huge", "journal.sqlite", "no-such-file", "woman_back"]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("stem, code", [("broken", "photo.truncated"), ("huge", "photo.too-large"),
                                        ("no-such-file", "photo.missing")])
def test_bad_photos_leave_only_a_report_with_a_remedy(ran, stem, code):
    out, _ = ran
    assert [p.name for p in (out / stem).iterdir()] == ["report.json"]
    told = report(out, stem)
    assert not told["ok"] and told["error"]["code"] == code and told["error"]["message"] and told["error"]["remedy"]


def test_good_photo_gives_everything(ran):
    out, _ = ran
    folder = out / "woman_back"
    assert {p.name for p in folder.iterdir()} == {"woman_back.blend", "woman_back.glb", "mesh.ply", "albedo.png", "albedo_body.png", "normal.png",
                                                  "preview.png", "stages", "report.json"}
    told = report(out, "woman_back")
    assert told["ok"] and told["mesh"]["watertight"] and told["rig"]["joints"] == 54
    assert "person.from-behind" in [w["code"] for w in told["warnings"]]
    assert told["mesh"]["height_m"] == pytest.approx(1.62, abs=0.002)


def test_the_saved_file_opens_with_a_posable_person(ran, extension):
    out, _ = ran
    bpy.ops.wm.open_mainfile(filepath=str(out / "woman_back/woman_back.blend"))
    rig = next(o for o in bpy.data.objects if o.type == "ARMATURE")
    assert rig.name.endswith("_rig") and len(rig.data.bones) == 54 and "left_shoulder" in rig.data.bones
    mesh = next(o for o in rig.children if o.type == "MESH" and not o.hide_render)
    assert [layer.name for layer in mesh.data.uv_layers] == ["UVMap", "BodyUV"] and "seen" in mesh.data.attributes
    assert {a.name for a in bpy.data.actions} == {"woman_back photo pose", "woman_back A-pose"}

    def lowest_and_span():
        shown = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
        z = [v.co.z for v in shown.vertices]
        x = [v.co.x for v in shown.vertices]
        return min(z), max(z) - min(z), max(x) - min(x)
    low, tall, wide = lowest_and_span()
    assert abs(low) < 0.02 and 1.4 < tall < 1.8
    rig.animation_data.action = None                      # the T-pose at rest: arms spread
    for bone in rig.pose.bones:
        bone.matrix_basis.identity()
    bpy.context.view_layer.update()
    assert lowest_and_span()[2] > wide + 0.4
