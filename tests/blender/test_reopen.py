"""The file saved, reopened and changed while a photo is worked on; Blender closed in the middle. The engine is the stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture
def session(monkeypatch, empty, load):
    monkeypatch.setenv("LIKENESS_PYTHON", str(FAKE))
    monkeypatch.setenv("FAKE_STEP_S", "0.02")
    yield load("addon.session").get()
    load("addon.session").unregister()


def pump(session, until, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        session.queue.pump(0.05)
        session.sync()


def test_saved_and_reopened_in_the_middle(session, load, tmp_path):
    """In background, where a queue outlives its file: the person arrives in the file that is open, whole, and the file can be saved."""
    (tmp_path / "slow.jpg").write_bytes(b"x")
    options = load("neural.contract.job").JobOptions(preset="draft")
    bpy.data.objects.new("mine", None)
    job = session.add(tmp_path / "slow.jpg", options)
    pump(session, lambda: job.progress.fraction > 0.2)
    bpy.context.scene.collection.objects.link(bpy.data.objects["mine"])
    file = str(tmp_path / "work.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    pump(session, lambda: job.progress.fraction > 0.4)
    bpy.ops.wm.open_mainfile(filepath=file)
    pump(session, lambda: job.ended)
    assert job.state == "DONE" and {"mine", "slow_rig"} <= set(bpy.data.objects.keys())
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=file)
    rig = bpy.data.objects["slow_rig"]
    assert rig["likeness_photo"] == str(tmp_path / "slow.jpg") and load("addon.person").mesh_of(rig) is not None


def test_a_file_that_is_loaded_ends_the_loop_of_a_window_in_good_order(session, load, tmp_path):
    """Blender then calls the operator's cancel(): all jobs end, nothing is built into the other file, and the next import works."""
    from types import SimpleNamespace
    runner = load("ops.runner").QueueRunner
    for name in ("slow.jpg", "next.jpg", "anna.jpg"):
        (tmp_path / name).write_bytes(b"x")
    options = load("neural.contract.job").JobOptions(preset="draft")
    jobs = [session.add(tmp_path / n, options) for n in ("slow.jpg", "next.jpg")]
    session.pumped = True
    pump(session, lambda: jobs[0].progress.fraction > 0.2)
    fake = SimpleNamespace(_timer=None)
    fake._release = runner._release.__get__(fake)
    runner.cancel(fake, SimpleNamespace(window_manager=bpy.context.window_manager, workspace=None))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not session.pumped and jobs[1].state == "CANCELLED"
    assert bpy.ops.likeness.import_photo(filepath=str(tmp_path / "anna.jpg"), preset="draft") == {"FINISHED"}
    assert [j.state for j in jobs] == ["CANCELLED", "CANCELLED"]
    assert {o.name for o in bpy.data.objects if o.type == "ARMATURE"} == {"anna_rig"}


CLOSED = """
import sys, time, os
sys.path.insert(0, {tests!r}); sys.path.insert(0, {root!r})
os.environ["LIKENESS_PYTHON"] = {fake!r}
import conftest, importlib, bpy, addon_utils
from pathlib import Path
folder = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True))
(folder / "likeness").symlink_to({root!r}, target_is_directory=True)
addon_utils.enable("bl_ext.user_default.likeness", default_set=True)
session = importlib.import_module("bl_ext.user_default.likeness.addon.session").get()
options = importlib.import_module("bl_ext.user_default.likeness.neural.contract.job").JobOptions(preset="draft")
job = session.add(Path({photo!r}), options)
while job.progress.fraction < 0.2:
    session.queue.pump(0.05)
print(session.engine._worker._pipes.process.pid, session.folder(), flush=True)
if {how!r} == "closed":
    addon_utils.disable_all()                        # what Blender does when it is closed
    os._exit(0)
time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="processes are looked up in a POSIX way")
@pytest.mark.parametrize("how", ["closed", "killed"])
def test_blender_is_closed_or_killed_in_the_middle(tmp_path, how):
    """The engine ends with it; closed in good order it also leaves no files."""
    (tmp_path / "slow.jpg").write_bytes(b"x")
    code = CLOSED.format(tests=str(ROOT / "tests/blender"), root=str(ROOT), fake=str(FAKE), photo=str(tmp_path / "slow.jpg"), how=how)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "FAKE_STEP_S": "0.1"})
    for line in process.stdout:
        if line.split()[:1] and line.split()[0].isdigit():
            break
    pid, folder = int(line.split()[0]), Path(line.split(maxsplit=1)[1].strip())
    assert folder.is_dir()
    if how == "killed":
        process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
        assert time.monotonic() < end, "the engine outlived Blender"
        time.sleep(0.05)
    assert how == "killed" or not folder.exists()
