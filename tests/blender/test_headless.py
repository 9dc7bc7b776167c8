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
    assert {p.name for p in out.iterdir()} == {"anna", "bert", "fail", "crash", "no", "journal.sqlite"}
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
    assert {p.name for p in out.iterdir()} == {"fail", "fail.previous", "anna", "journal.sqlite"}
    code, _ = run([*photos(tmp_path, "fail.jpg"), "--out", str(out), "--retry-failed"])        # a second failure: still there
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
    assert {p.name for p in out.iterdir()} == {"slow", "journal.sqlite"}
    assert [p.name for p in (out / "slow").iterdir()] == ["precious.txt"]


def test_wrong_usage(tmp_path):
    (photo,) = photos(tmp_path, "a.jpg")
    for bad in (["--preset", "best"], ["--height", "9"], ["--seed", "x"], ["--person", "-1"], ["--fresh", "--resume"],
                [str(tmp_path / "*.tif")]):
        code, text = run([photo, "--out", str(tmp_path / "o"), *bad])
        assert code == 2, text
    assert run(["--out", str(tmp_path / "o")])[0] == 2         # no photo, no journal
    assert not (tmp_path / "o").exists()


def test_folders_patterns_and_going_on(tmp_path):
    out, folder = tmp_path / "out", tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    photos(folder, "b10.jpg", "b9.jpg", "fail.png", "notes.txt")
    photos(folder / "more", "b9.jpg")
    code, text = run([str(folder), str(folder / "*" / "b*.jpg"), "--out", str(out), "--preset", "draft"])
    assert code == 3 and {p.name for p in out.iterdir()} == {"b9", "b10", "fail", "b9-2", "journal.sqlite"}, text
    assert text.index("[1/4] b9.jpg: done") < text.index("[2/4] b10.jpg: done") < text.index("[3/4] fail.png") < text.index("[4/4] b9")
    assert "3 done, 1 failed, 0 left" in text
    made = {p: p.stat().st_mtime_ns for p in out.glob("b*/*.blend")}
    code, text = run(["--out", str(out)])                       # what the journal knows
    assert code == 3 and "3 of 4 done before" in text and "1 failed before" in text and "Starting" not in text
    assert run([str(folder / "b9.jpg"), "--out", str(out), "--preset", "draft"])[0] == 0
    assert run(["--out", str(out), "--preset", "high"])[0] == 2
    assert {p: p.stat().st_mtime_ns for p in out.glob("b*/*.blend")} == made
    code, text = run([str(folder / "b9.jpg"), "--out", str(out), "--preset", "draft", "--fresh"])
    assert code == 0 and "[1/1] b9.jpg: done" in text
    assert {p for p in made if p.stat().st_mtime_ns != made[p]} == {out / "b9" / "b9.blend"}


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9 on Windows")
def test_killed_in_the_middle_then_resumed(tmp_path):
    """dev.py's child is killed; and the child ends in good order when dev.py itself is."""
    out = tmp_path / "out"
    given = [*photos(tmp_path, "anna.jpg", "slow.jpg", "bert.jpg"), "--out", str(out)]
    process = start(given)
    for line in process.stderr:
        if "slow.jpg" in line and "Starting" not in line:
            break
    process.kill()
    process.communicate(timeout=60)
    process = start(given, env=os.environ | {"LIKENESS_PARENT": "1"})         # not its parent: as if that were gone
    out_text, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "1 of 3 done before" in err
    code, text = run(given)
    assert code == 0 and "1 of 3 done before" in text
    assert {p.name for p in out.iterdir()} == {"anna", "slow", "bert", "journal.sqlite"}
    assert all((out / n / f"{n}.glb").stat().st_size > 100_000 for n in ("anna", "slow", "bert"))


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    code, text = run([*photos(tmp_path, "a.jpg"), "--out", str(tmp_path / "file" / "sub")])
    assert code == 3 and "output." in text


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
    assert {p.name for p in (tmp_path / "folder").iterdir()} == {"anna", "bert", "journal.sqlite"}
    assert (tmp_path / "folder/bert/bert.blend").is_file()
    assert cli.run(["-o", str(tmp_path / "folder")]) == 0                      # nothing left to do
    assert not [p for p in tmp_path.iterdir() if "likeness" in p.name]


def test_command_line_statuses(load, engine, empty, tmp_path, monkeypatch, capsys):
    cli = load("addon.cli")
    mixed = photos(tmp_path, "fail.jpg", "anna.jpg")
    assert cli.run([*mixed, "-o", str(tmp_path / "o.blend")]) == 3 and (tmp_path / "o.blend").is_file()
    assert cli.run([mixed[0], "-o", str(tmp_path / "none.blend")]) == 3 and not (tmp_path / "none.blend").exists()
    assert not (tmp_path / ".none.blend.likeness").exists() and (tmp_path / ".o.blend.likeness/anna").is_dir()
    assert "--retry-failed" in capsys.readouterr().err
    assert cli.run([mixed[1], "-o", str(tmp_path / "o.stl")]) == 2
    assert cli.run([mixed[1]]) == 2
    assert cli.run([mixed[1], "-o", str(tmp_path / "h.blend"), "--height", "17"]) == 2
    assert cli.run(["--help"]) == 0
    monkeypatch.setenv("LIKENESS_PYTHON", str(tmp_path / "no-python"))
    assert cli.run([mixed[1], "-o", str(tmp_path / "p.blend")]) == 3
    assert "Set Up Engine" in capsys.readouterr().err
