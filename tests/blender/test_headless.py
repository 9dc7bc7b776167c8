"""dev.py run's Blender half and the command line, as real processes with a worker that speaks the wire protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_worker.py")


def photos(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).write_bytes(b"the fake does not look")
    return [str(folder / n) for n in names]


def start(arguments: list[str], **more) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(ROOT / "addon" / "headless_main.py"), *arguments, "--engine-python", str(FAKE)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def run(arguments: list[str]) -> tuple[int, str]:
    process = start(arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def test_some_photo_failed(tmp_path):
    out = tmp_path / "out"
    code, text = run([*photos(tmp_path, "anna.jpg", "fail.jpg", "crash.jpg", "bert.png"), str(tmp_path / "no.jpg"),
                      "--out", str(out), "--preset", "draft"])
    assert code == 3, text
    assert {p.name for p in out.iterdir()} == {"anna", "bert", "fail", "crash", "no"}
    for name in ("anna", "bert"):
        files = {p.name for p in (out / name).iterdir()}
        assert files == {f"{name}.blend", f"{name}.glb", "mesh.ply", "albedo.png", "normal.png", "preview.png", "stages",
                         "report.json"}
        report = json.loads((out / name / "report.json").read_text())
        assert report["ok"] is True and report["stages"][-1]["name"] == "scene"
    for name, code in (("fail", "person.none"), ("crash", "engine."), ("no", "photo.missing")):
        assert [p.name for p in (out / name).iterdir()] == ["report.json"]
        report = json.loads((out / name / "report.json").read_text())
        assert report["ok"] is False and report["error"]["code"].startswith(code) and report["error"]["remedy"]
        assert {"version", "photo", "preset", "device", "seed", "warnings", "stages", "mesh", "rig", "texture",
                "seconds"} <= set(report)
    assert "There is no person in this photo." in text


def test_an_older_result_survives_a_failure(tmp_path):
    out = tmp_path / "out"
    for name, ok in (("fail", True), ("anna", True)):
        (out / name).mkdir(parents=True)
        (out / name / "report.json").write_text(json.dumps({"ok": ok}))
        (out / name / "precious.txt").write_text("x")
    code, text = run([*photos(tmp_path, "fail.jpg", "anna.jpg"), "--out", str(out)])
    assert code == 3, text
    assert (out / "fail.previous" / "precious.txt").is_file()
    assert [p.name for p in (out / "fail").iterdir()] == ["report.json"]
    assert not (out / "anna" / "precious.txt").exists() and (out / "anna" / "anna.blend").is_file()
    assert {p.name for p in out.iterdir()} == {"fail", "fail.previous", "anna"}
    code, _ = run([*photos(tmp_path, "fail.jpg"), "--out", str(out)])        # a second failure: still there
    assert code == 3 and (out / "fail.previous" / "precious.txt").is_file()


@pytest.mark.skipif(os.name == "nt", reason="signals are sent differently on Windows")
def test_cancel_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    (out / "slow").mkdir(parents=True)
    (out / "slow" / "precious.txt").write_text("x")
    process = start([*photos(tmp_path, "slow.jpg", "anna.jpg"), "--out", str(out)])
    for line in process.stderr:
        if "Fitting" in line or "Finding" in line:
            break
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130 and time.monotonic() - begun < 30
    assert [p.name for p in out.iterdir()] == ["slow"]
    assert [p.name for p in (out / "slow").iterdir()] == ["precious.txt"]


def test_wrong_usage(tmp_path):
    (photo,) = photos(tmp_path, "a.jpg")
    for bad in (["--preset", "best"], ["--height", "9"], ["--seed", "x"], ["--person", "-1"]):
        code, text = run([photo, "--out", str(tmp_path / "o"), *bad])
        assert code == 2, text
    assert not (tmp_path / "o").exists()


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    code, text = run([*photos(tmp_path, "a.jpg"), "--out", str(tmp_path / "file" / "sub")])
    assert code == 3 and "output." in text


def test_same_stem_twice(load):
    names = load("addon.headless").folder_names([Path("a/x.jpg"), Path("b/x.png"), Path("X.webp"), Path(".hid")])
    assert names == ["x", "x-2", "X-3", "hid"]


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setenv("LIKENESS_PYTHON", str(FAKE))


def test_command_line_in_blender(load, engine, empty, tmp_path):
    cli = load("addon.cli")
    two = photos(tmp_path, "anna.jpg", "bert.jpg")
    assert cli.run([*two, "-o", str(tmp_path / "both.blend"), "--preset", "draft"]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "both.blend"))
    assert {"anna_rig", "bert_rig"} <= set(bpy.data.objects.keys())
    assert bpy.data.objects["bert_rig"].location.x - bpy.data.objects["anna_rig"].location.x > 1
    assert load("addon.person").poses_of(bpy.data.objects["bert_rig"])[1].name == "bert A-pose"
    assert cli.run([two[0], "-o", str(tmp_path / "a.glb"), "--bones", "mixamo"]) == 0
    assert b"mixamorig:Hips" in (tmp_path / "a.glb").read_bytes()
    assert cli.run([two[0], "-o", str(tmp_path / "a.fbx")]) == 0 and (tmp_path / "a.fbx").stat().st_size > 10_000
    assert cli.run([*two, "-o", str(tmp_path / "folder")]) == 0
    assert {p.name for p in (tmp_path / "folder").iterdir()} == {"anna.blend", "bert.blend"}
    assert not [p for p in tmp_path.iterdir() if "part" in p.name]


def test_command_line_statuses(load, engine, empty, tmp_path, monkeypatch, capsys):
    cli = load("addon.cli")
    mixed = photos(tmp_path, "fail.jpg", "anna.jpg")
    assert cli.run([*mixed, "-o", str(tmp_path / "o.blend")]) == 3 and (tmp_path / "o.blend").is_file()
    assert cli.run([mixed[0], "-o", str(tmp_path / "none.blend")]) == 3 and not (tmp_path / "none.blend").exists()
    assert cli.run([mixed[1], "-o", str(tmp_path / "o.stl")]) == 2
    assert cli.run([mixed[1]]) == 2
    assert cli.run([mixed[1], "-o", str(tmp_path / "h.blend"), "--height", "17"]) == 2
    assert cli.run(["--help"]) == 0
    monkeypatch.setenv("LIKENESS_PYTHON", str(tmp_path / "no-python"))
    assert cli.run([mixed[1], "-o", str(tmp_path / "p.blend")]) == 3
    assert "Set Up Engine" in capsys.readouterr().err
