"""Import of a person's own checkpoint: the operator with the real importer, with a slow one, and without any; the list in the preferences."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_worker.py")
ENGINE = os.environ.get("LIKENESS_ENGINE_PYTHON", "")
needs_engine = pytest.mark.skipif(not Path(ENGINE).is_file(), reason="LIKENESS_ENGINE_PYTHON names no engine (dev.py test sets it)")


@pytest.fixture
def folder(monkeypatch, empty, load, tmp_path):
    """Where the imported checkpoints go."""
    monkeypatch.setenv("LIKENESS_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LIKENESS_PYTHON", ENGINE)
    state().error_code = ""
    yield tmp_path / "weights"
    load("addon.session").unregister()


@pytest.fixture
def fake(monkeypatch, folder):
    """An importer that begins to write and then takes for ever with slow.pth, and dies with crash.pth."""
    monkeypatch.setenv("LIKENESS_PYTHON", str(FAKE))


def state():
    return bpy.context.window_manager.likeness


def until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@needs_engine
def test_a_checkpoint_in_the_official_form_is_imported_listed_and_removed(folder, load, tmp_path):
    file = tmp_path / "ckpt_bg_mask.pth.tar"
    code = ("import sys, torch; from tests.neural.test_two_k_checkpoint import released, state; "
            "torch.save(released(state('module.')), sys.argv[1])")
    subprocess.run([ENGINE, "-c", code, str(file)], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert bpy.ops.likeness.import_checkpoint(filepath=str(file), net="2k2k") == {"FINISHED"}
    checkpoints = load("neural.contract.checkpoints")
    (known,) = checkpoints.listed(folder)
    assert (known.net, known.source) == ("2k2k", "ckpt_bg_mask.pth.tar") and known.bytes == (folder / "2k2k.safetensors").stat().st_size > 3e8
    assert {p.name for p in folder.iterdir()} == {"2k2k.safetensors", "2k2k.json"}
    assert not state().task_running and not state().error_code and load("addon.session").get().task is None
    assert bpy.ops.likeness.remove_checkpoint(net="texformer") == {"CANCELLED"}
    assert bpy.ops.likeness.remove_checkpoint(net="2k2k") == {"FINISHED"}
    assert checkpoints.listed(folder) == [] and not list(folder.iterdir()) and file.is_file()


def evil(path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("archive/data.pkl", pickle.dumps(Evil()))


@needs_engine
@pytest.mark.parametrize("write, net, code", [
    (lambda p: p.write_bytes(b"no checkpoint" * 99), "2k2k", "weights.unreadable"), (evil, "texformer", "weights.unsafe-pickle"),
    (lambda p: None, "2k2k", "weights.missing")])
def test_a_bad_file_is_a_coded_error(folder, tmp_path, write, net, code):
    file = tmp_path / "mine.pth"
    write(file)
    with pytest.raises(RuntimeError, match=code):
        bpy.ops.likeness.import_checkpoint(filepath=str(file), net=net)
    assert (state().error_code, state().error_title) == (code, "This checkpoint was not imported") and state().error_remedy
    assert state().error_report.startswith(code) and not state().task_running and not list(folder.glob("*"))


def test_nothing_chosen_and_no_engine(folder, monkeypatch, tmp_path):
    with pytest.raises(RuntimeError, match="weights.missing"):
        bpy.ops.likeness.import_checkpoint()
    monkeypatch.setenv("LIKENESS_PYTHON", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="Set Up Engine"):
        bpy.ops.likeness.import_checkpoint(filepath=str(tmp_path / "a.pth"))
    assert state().error_code == "engine.missing"
    broken = tmp_path / "broken.py"
    broken.write_text("no interpreter")
    monkeypatch.setenv("LIKENESS_PYTHON", str(broken))
    with pytest.raises(RuntimeError, match="engine.start-failed"):
        bpy.ops.likeness.import_checkpoint(filepath=str(tmp_path / "a.pth"))
    assert not state().task_running


def test_an_importer_that_dies_says_so(folder, fake, tmp_path):
    with pytest.raises(RuntimeError, match="died"):
        bpy.ops.likeness.import_checkpoint(filepath=str(tmp_path / "crash.pth"))
    assert "Bus error" in state().error_report and not list(folder.iterdir())


def test_cancel_while_blender_goes_on(folder, fake, load, monkeypatch, tmp_path):
    """The modal loop by hand (there is no event loop in background): a tick never waits, the panel's button ends it."""
    runner, session = load("ops.task").TaskRunner, load("addon.session").get()
    monkeypatch.setattr(load("ops.task"), "redraw", lambda context: None)
    said = []
    operator = SimpleNamespace(_timer=None, windowed=True, cancelled="was cancelled", report=lambda kind, text: said.append((kind, text)))
    for name in ("_finish", "_release", "_fail"):
        setattr(operator, name, getattr(runner, name).__get__(operator))
    session.task = load("addon.checkpoint").Import(FAKE, ROOT, tmp_path / "slow.pth", "2k2k", folder).start()
    tick = lambda kind="TIMER": runner.modal(operator, bpy.context, SimpleNamespace(type=kind, value="NOTHING"))
    until((folder / ".2k2k.part").is_file)
    began = time.monotonic()
    assert tick() == tick() == tick("MOUSEMOVE") == {"PASS_THROUGH"} and time.monotonic() - began < 5
    assert state().task_running and state().task_text == "Checking slow.pth" and state().task_fraction == -1
    for name in ("import_checkpoint", "remove_checkpoint", "setup_engine"):             # one task at a time
        assert not getattr(bpy.ops.likeness, name).poll()
    process = session.task._process
    assert bpy.ops.likeness.cancel(task=True) == {"FINISHED"}
    until(lambda: tick() == {"CANCELLED"})
    assert process.poll() is not None and said == [({"WARNING"}, "was cancelled")]
    assert not state().task_running and session.task is None and not list(folder.iterdir())


def test_a_photo_is_cancelled_before_an_import(folder, fake, load, tmp_path):
    session = load("addon.session").get()
    task = session.task = load("addon.checkpoint").Import(FAKE, ROOT, tmp_path / "slow.pth", "2k2k", folder).start()
    session.add(tmp_path / "a.jpg", load("neural.contract.job").JobOptions())
    bpy.ops.likeness.cancel()
    assert not task.wait(0.0) and session.queue.current is None
    bpy.ops.likeness.cancel()
    assert task.wait(10) and task.error.code == "cancelled.by-user"


def test_blender_ends_an_import_when_it_ends(folder, fake, load, tmp_path):
    module = load("addon.session")
    task = module.get().task = load("addon.checkpoint").Import(FAKE, ROOT, tmp_path / "slow.pth", "2k2k", folder).start()
    module.unregister()
    assert task._process.poll() is not None


def test_too_long_is_an_error(folder, fake, load, monkeypatch, tmp_path):
    monkeypatch.setattr(load("addon.checkpoint").checkpoints, "SECONDS", 1)
    with pytest.raises(RuntimeError, match="minutes"):
        bpy.ops.likeness.import_checkpoint(filepath=str(tmp_path / "slow.pth"))
    assert not list(folder.glob("*"))


def test_what_can_be_imported_is_what_the_engine_knows(load, monkeypatch, tmp_path):
    checkpoints, items = load("neural.contract.checkpoints"), load("addon.properties").CHECKPOINT_ITEMS
    assert [i[0] for i in items] == list(checkpoints.NETS)
    monkeypatch.delenv("LIKENESS_WEIGHTS", raising=False)
    monkeypatch.setenv("LIKENESS_ENGINE", str(tmp_path / "engine"))
    assert checkpoints.folder_of(ROOT) == tmp_path / "weights"
    (tmp_path / "2k2k.safetensors").write_bytes(b"x")                                  # its .json is gone
    assert checkpoints.listed(tmp_path) == [checkpoints.Imported("2k2k", "", 1)]
    (tmp_path / "texformer.safetensors").write_bytes(b"xy")
    (tmp_path / "texformer.json").write_text(json.dumps({"source": "t.pt"}))
    assert checkpoints.listed(tmp_path)[1] == checkpoints.Imported("texformer", "t.pt", 2)
