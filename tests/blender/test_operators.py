"""Operators: registration, blocking runs, the modal loop as a plain function, set-up, reports."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import addon_utils
import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_worker.py")
PACKAGE = "bl_ext.user_default.likeness"


@pytest.fixture
def engine(monkeypatch, empty, load):
    monkeypatch.setenv("LIKENESS_PYTHON", str(FAKE))
    bpy.context.window_manager.likeness.error_code = ""
    yield load("addon.session")
    load("addon.session").unregister()      # stops the worker


@pytest.fixture
def photo(tmp_path):
    def make(name: str) -> str:
        (tmp_path / name).write_bytes(b"not looked at")
        return str(tmp_path / name)
    return make


def test_register_twice_leaves_nothing(extension):
    def ours() -> set[str]:
        return {n for n in dir(bpy.types) if n.startswith("LIKENESS_")} | {n for n in dir(bpy.ops.likeness)}

    assert len(ours()) > 10 and hasattr(bpy.types.WindowManager, "likeness")
    handlers = len(bpy.types.TOPBAR_MT_file_import._dyn_ui_initialize())
    addon_utils.disable(PACKAGE)
    assert not hasattr(bpy.types.WindowManager, "likeness") and not ours()
    assert len(bpy.types.TOPBAR_MT_file_import._dyn_ui_initialize()) == handlers - 1
    addon_utils.enable(PACKAGE, default_set=True)
    assert hasattr(bpy.types.WindowManager, "likeness")


def test_blender_side_imports_without_torch():
    code = """
import sys, importlib, pathlib
for name in ("torch", "cv2", "scipy", "trimesh", "PIL", "ai_edge_litert"):
    sys.modules[name] = None
sys.path.insert(0, "addon")
import headless_main
headless_main.load_package()
for folder in ("addon", "ops", "panels"):
    for file in pathlib.Path(folder).glob("*.py"):
        importlib.import_module(f"likeness.{folder}.{file.stem}" if file.stem != "__init__" else f"likeness.{folder}")
import os; sys.stdout.write("fine"); sys.stdout.flush(); os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("fine"), done.stderr


def test_layers():
    """addon -> ops -> panels; of neural only the contract; all inside the extension by relative imports."""
    allowed = {"addon": {"addon"}, "ops": {"addon", "ops"}, "panels": {"addon", "ops", "panels"}}
    for folder, may in allowed.items():
        for file in (ROOT / folder).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module:
                    top = node.module.split(".")
                    assert top[0] in may or top[:2] == ["neural", "contract"], (file, node.module)
                elif isinstance(node, ast.ImportFrom) and node.level == 0 or isinstance(node, ast.Import):
                    names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                    for name in names:
                        assert name.split(".")[0] not in ("torch", "cv2", "scipy", "trimesh", "requests"), (file, name)


def test_import_photo_blocks_and_builds(engine, photo):
    done = bpy.ops.likeness.import_photo(filepath=photo("anna.jpg"), preset="draft", seed=3)
    assert done == {"FINISHED"} and {"anna", "anna_rig", "anna_body"} <= set(bpy.data.objects.keys())
    rig = bpy.data.objects["anna_rig"]
    assert json.loads(rig["likeness"])["seed"] == 3 and rig["likeness_photo"].endswith("anna.jpg")
    assert bpy.context.view_layer.objects.active.name == "anna"
    state = bpy.context.window_manager.likeness
    assert [(j.name, j.state, j.made) for j in state.jobs] == [("anna.jpg", "DONE", "anna")] and not state.running
    folder = engine.get().queue.jobs[0].folder
    assert (folder / "report.json").is_file() and not (folder / "result.npz").exists()


def test_several_files_and_one_bad(engine, photo, tmp_path):
    for name in ("a.jpg", "fail.jpg", "crash.jpg", "b.jpg"):
        photo(name)
    files = [{"name": n} for n in ("a.jpg", "fail.jpg", "crash.jpg", "b.jpg")]
    with pytest.raises(RuntimeError, match="There is no person in this photo"):
        bpy.ops.likeness.import_photo(directory=str(tmp_path), files=files, preset="draft")
    assert {"a_rig", "b_rig"} <= set(bpy.data.objects.keys())
    assert [j.state for j in bpy.context.window_manager.likeness.jobs] == ["DONE", "FAILED", "FAILED", "DONE"]


def test_failure_leaves_nothing_in_the_file(engine, photo):
    before = {k: len(getattr(bpy.data, k)) for k in ("objects", "meshes", "collections", "actions", "images")}
    with pytest.raises(RuntimeError, match="Choose a photo that shows one person"):
        bpy.ops.likeness.import_photo(filepath=photo("fail.jpg"))
    assert {k: len(getattr(bpy.data, k)) for k in before} == before
    state = bpy.context.window_manager.likeness
    assert state.error_code == "person.none"
    assert bpy.ops.likeness.copy_report() == {"FINISHED"}


def test_sequence_takes_the_photos_of_a_folder(engine, photo, tmp_path):
    for name in ("10.jpg", "2.png", "1.jpg", "notes.txt", ".hidden.jpg"):
        photo(name)
    assert bpy.ops.likeness.import_sequence(directory=str(tmp_path), preset="draft") == {"FINISHED"}
    assert [j.name for j in bpy.context.window_manager.likeness.jobs] == ["1.jpg", "2.png", "10.jpg"]


def test_sequence_skips_what_is_in_the_scene(engine, photo, tmp_path):
    for name in ("a.jpg", "fail.jpg", "b.jpg"):
        photo(name)
    state, files = bpy.context.window_manager.likeness, [{"name": n} for n in ("a.jpg", "fail.jpg")]
    with pytest.raises(RuntimeError, match="There is no person"):
        bpy.ops.likeness.import_sequence(directory=str(tmp_path), files=files, preset="draft")
    with pytest.raises(RuntimeError, match="There is no person"):
        bpy.ops.likeness.import_sequence(directory=str(tmp_path), preset="draft")
    assert [(j.name, j.told) for j in state.jobs][2:] == [("a.jpg", "skipped"), ("b.jpg", state.jobs[3].told), ("fail.jpg", "failed")]
    assert state.jobs[2].made == "a" and state.jobs[4].note == "There is no person in this photo."
    assert state.summary == "2 done, 1 skipped, 2 failed"
    people = [{"name": "a.jpg"}, {"name": "b.jpg"}]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "people.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "people.blend"))          # the file itself knows them
    state = bpy.context.window_manager.likeness
    assert bpy.ops.likeness.import_sequence(directory=str(tmp_path), files=people, preset="draft") == {"FINISHED"}
    assert [j.state for j in state.jobs][-2:] == ["SKIPPED", "SKIPPED"]
    (tmp_path / "a.jpg").write_bytes(b"another picture")
    bpy.ops.likeness.import_sequence(directory=str(tmp_path), files=people, preset="draft")
    assert [j.state for j in state.jobs][-2:] == ["DONE", "SKIPPED"]
    bpy.ops.likeness.import_sequence(directory=str(tmp_path), files=people[1:], preset="draft", again=True)
    bpy.ops.likeness.import_sequence(directory=str(tmp_path), files=people[1:], preset="draft", seed=2)
    assert [j.state for j in state.jobs][-2:] == ["DONE", "DONE"]


def test_history_keeps_all_rows_and_the_files_of_the_last(engine, photo, load, monkeypatch):
    monkeypatch.setattr(load("addon.jobs"), "KEPT", 2)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        bpy.ops.likeness.import_photo(filepath=photo(name), preset="draft")
    queue = engine.get().queue
    assert [j.folder.is_dir() for j in queue.jobs] == [False, True, True]
    assert [j.state for j in bpy.context.window_manager.likeness.jobs] == ["DONE"] * 3
    bpy.ops.likeness.clear_history()
    assert not bpy.context.window_manager.likeness.jobs and not list(engine.get().folder().glob("job-*"))


def test_options_reach_the_job(engine, photo):
    bpy.ops.likeness.import_photo(filepath=photo("a.jpg"), preset="high", height=1.8, face=False, seed=7, person=2,
                                  device="cpu", surface="pifuhd")
    o = engine.get().queue.jobs[0].options
    assert (o.preset, o.face, o.seed, o.person, o.device, o.surface, o.depth) == ("high", False, 7, 2, "cpu", "pifuhd", "auto")
    assert o.height_m == pytest.approx(1.8)
    with pytest.raises(RuntimeError, match="between 0.4 and 2.8"):
        bpy.ops.likeness.import_photo(filepath=photo("a.jpg"), height=0.1)


@pytest.mark.parametrize("option, value", [("depth", "2k2k"), ("depth", "body-prior"), ("texture", "refinetex"), ("texture", "mirror")])
def test_the_choice_of_networks_reaches_every_kind_of_job(engine, photo, load, tmp_path, option, value):
    bpy.ops.likeness.import_photo(filepath=photo("anna.jpg"), preset="draft", **{option: value})
    bpy.ops.likeness.import_sequence(directory=str(tmp_path), preset="draft", **{option: value})
    bpy.ops.likeness.rerun(preset="draft", **{option: value})
    assert [getattr(j.options, option) for j in engine.get().queue.jobs] == [value] * 3


def test_run_again_begins_with_the_options_of_before(engine, photo, load):
    bpy.ops.likeness.import_photo(filepath=photo("anna.jpg"), preset="draft", depth="body-prior", texture="mirror", remove_shading=True, seed=4)
    rerun = load("ops.rerun").LIKENESS_OT_rerun
    again = SimpleNamespace(job=engine.get().queue.jobs[0].number, properties=SimpleNamespace(is_property_set=lambda name: name == "seed"), seed=9)
    again._subject = rerun._subject.__get__(again)
    manager = SimpleNamespace(invoke_props_dialog=lambda operator, **more: {"RUNNING_MODAL"})
    rerun.invoke(again, SimpleNamespace(window_manager=manager), None)
    assert (again.preset, again.depth, again.texture, again.remove_shading, again.seed) == ("draft", "body-prior", "mirror", True, 9)


def test_choices_are_those_of_the_engine(load):
    properties, job = load("addon.properties"), load("neural.contract.job")
    for items, known in ((properties.DEPTH_ITEMS, job.DEPTHS), (properties.SURFACE_ITEMS, job.SURFACES), (properties.TEXTURE_ITEMS, job.TEXTURES),
                         (properties.DEVICE_ITEMS, job.DEVICES), (properties.PRESET_ITEMS, job.PRESETS)):
        assert tuple(i[0] for i in items) == tuple(known)


def test_no_engine_says_what_to_do(engine, photo, monkeypatch, tmp_path):
    monkeypatch.setenv("LIKENESS_PYTHON", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="Set Up Engine"):
        bpy.ops.likeness.import_photo(filepath=photo("a.jpg"))


def modal_of(load, operator, context=None):
    """The runner's modal loop, driven by hand: there is no event loop in background."""
    runner = load("ops.runner").QueueRunner
    said = []
    fake = SimpleNamespace(_failed=None, _timer=None, windowed=True, report=lambda kind, text: said.append((kind, text)))
    for name in ("_after", "_leave", "_release"):
        setattr(fake, name, getattr(runner, name).__get__(fake))
    context = context or SimpleNamespace(window_manager=bpy.context.window_manager, workspace=None)
    return lambda kind, value="NOTHING": runner.modal(fake, context, SimpleNamespace(type=kind, value=value)), said


def test_modal_loop_and_escape(engine, photo, load, monkeypatch):
    monkeypatch.setattr(load("ops.runner"), "redraw", lambda context: None)
    options = load("neural.contract.job").JobOptions()
    session = engine.get()
    session.add(Path(photo("slow.jpg")), options)
    session.add(Path(photo("next.jpg")), options)
    tick, said = modal_of(load, None)
    state = bpy.context.window_manager.likeness
    seen, escaped, end = set(), False, time.monotonic() + 60
    while time.monotonic() < end:
        longest = time.monotonic()
        answer = tick("TIMER")
        if state.running and state.photo == "slow.jpg":
            assert time.monotonic() - longest < 5      # never waits for the worker
            seen.add(state.label)
        if "Fitting the body" in seen and not escaped:
            assert tick("MOUSEMOVE") == {"PASS_THROUGH"} and 0 < state.fraction < 1 and state.waiting == 1
            assert tick("ESC", "PRESS") == {"RUNNING_MODAL"}
            escaped = True
        if answer == {"FINISHED"}:
            break
        time.sleep(0.01)
    assert escaped and [j.state for j in state.jobs] == ["CANCELLED", "DONE"] and not state.running
    assert "slow_rig" not in bpy.data.objects and "next_rig" in bpy.data.objects
    assert any("cancelled" in text for _, text in said)


def test_pause_cancel_one_and_retry(engine, photo, load, monkeypatch):
    monkeypatch.setattr(load("ops.runner"), "redraw", lambda context: None)
    options, session = load("neural.contract.job").JobOptions(preset="draft"), engine.get()
    jobs = [session.add(Path(photo(n)), options) for n in ("fail.jpg", "b.jpg", "c.jpg", "d.jpg")]
    tick, _ = modal_of(load, None)
    state = bpy.context.window_manager.likeness

    def until(condition):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end and tick("TIMER") != {"FINISHED"}
            time.sleep(0.005)

    until(lambda: state.jobs and jobs[0].state == "RUNNING")
    assert bpy.ops.likeness.pause() == {"FINISHED"} and state.paused
    until(lambda: jobs[0].ended)                       # the running one ends
    for _ in range(20):
        assert tick("TIMER") == {"PASS_THROUGH"}
    assert tick("ESC", "PRESS") == {"PASS_THROUGH"}    # nothing runs that Esc could mean
    assert [j.told for j in state.jobs] == ["failed", "waiting", "waiting", "waiting"]
    assert state.label == "Paused" and state.summary == "1 failed, 3 left"
    assert bpy.ops.likeness.cancel(job=jobs[2].number) == {"FINISHED"}
    assert [j.state for j in jobs] == ["FAILED", "QUEUED", "CANCELLED", "QUEUED"]
    bpy.ops.likeness.pause()
    until(lambda: jobs[1].ended)
    assert [j.state for j in jobs[:3]] == ["FAILED", "DONE", "CANCELLED"]
    while tick("TIMER") != {"FINISHED"}:
        time.sleep(0.005)
    assert jobs[3].state == "DONE" and {"b_rig", "d_rig"} <= set(bpy.data.objects.keys())
    jobs[0].photo.rename(jobs[0].photo.with_name("good.jpg"))
    session.queue.jobs[0].photo = jobs[0].photo.with_name("good.jpg")          # what made it fail is mended
    assert bpy.ops.likeness.retry_failed() == {"FINISHED"}
    assert [(j.name, j.state) for j in state.jobs][-1] == ("good.jpg", "DONE") and "failed" not in state.summary
    assert bpy.ops.likeness.retry_failed() == {"CANCELLED"}


def test_a_paused_queue_does_not_hold_a_script(engine, photo):
    queue = engine.get().queue
    waiting = engine.get().add(Path(photo("a.jpg")), engine.JobOptions(preset="draft"))
    bpy.ops.likeness.pause()
    assert queue.paused and bpy.ops.likeness.import_photo(filepath=photo("b.jpg"), preset="draft") == {"FINISHED"}
    assert waiting.state == "DONE" and not queue.paused


def test_rerun_replaces(engine, photo):
    bpy.ops.likeness.import_photo(filepath=photo("anna.jpg"), preset="draft")
    assert bpy.ops.likeness.rerun(preset="standard") == {"FINISHED"}
    assert len([o for o in bpy.data.objects if o.type == "ARMATURE"]) == 1 and "anna_rig" in bpy.data.objects
    assert bpy.data.collections.get("anna") and len(bpy.data.actions) == 2
    assert bpy.ops.likeness.rerun(preset="standard", replace=False) == {"FINISHED"}
    assert {"anna_rig", "anna.001_rig"} <= set(bpy.data.objects.keys())


def test_poses_and_body(engine, photo):
    bpy.ops.likeness.import_photo(filepath=photo("anna.jpg"), preset="draft")
    rig, body = bpy.data.objects["anna_rig"], bpy.data.objects["anna_body"]
    bpy.ops.likeness.pose(pose="A")
    assert rig.animation_data.action.name == "anna A-pose"
    bpy.ops.likeness.pose(pose="REST")
    assert rig.animation_data.action is None
    assert all(tuple(b.rotation_quaternion) == (1, 0, 0, 0) for b in rig.pose.bones)
    bpy.ops.likeness.pose(pose="PHOTO")
    assert rig.animation_data.action.name == "anna photo pose"
    bpy.ops.likeness.toggle_body()
    assert not body.hide_viewport


def test_export_operator(engine, photo, tmp_path):
    bpy.ops.likeness.import_photo(filepath=photo("anna.jpg"), preset="draft")
    assert bpy.ops.likeness.export(filepath=str(tmp_path / "x"), format="fbx", bones="UNREAL") == {"FINISHED"}
    assert b"upperarm_l" in (tmp_path / "x.fbx").read_bytes()
    with pytest.raises(RuntimeError):
        bpy.ops.likeness.export(filepath=str(tmp_path / "x.fbx" / "under-a-file" / "x.glb"))


def test_set_up_asks_for_online_access(engine, load, monkeypatch):
    monkeypatch.setattr(load("addon.compat"), "online_access", lambda: False)
    with pytest.raises(RuntimeError, match="online access"):
        bpy.ops.likeness.setup_engine()
    assert not bpy.context.window_manager.likeness.task_running


def test_set_up_in_its_thread(engine, load, monkeypatch, tmp_path):
    setup, errors = load("addon.setup"), load("neural.contract.errors")
    environment = setup.environment
    monkeypatch.setattr(load("addon.compat"), "online_access", lambda: True)
    monkeypatch.setattr(environment, "models_present", lambda folder: True)
    monkeypatch.setattr(environment, "check", lambda python: None)
    calls = []

    def create(folder, requirements, python, progress, cancelled, extra=()):
        calls.append((requirements[0].name, python))
        progress("Downloading torch", 0.5)
        return folder / "bin" / "python"

    monkeypatch.setattr(environment, "create", create)
    assert bpy.ops.likeness.setup_engine() == {"FINISHED"} and calls == [("engine.txt", sys.executable)]

    def waits(folder, requirements, python, progress, cancelled, extra=()):
        while not cancelled():
            time.sleep(0.01)
        raise errors.CancelledError()

    monkeypatch.setattr(environment, "create", waits)
    run = setup.Setup(ROOT, tmp_path, sys.executable).start()
    run.cancel()
    assert run.wait(5) and isinstance(run.error, errors.CancelledError)

    monkeypatch.setattr(environment, "create", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left")))
    run = setup.Setup(ROOT, tmp_path, sys.executable).start()
    assert run.wait(5) and run.error.code == "engine.setup-failed" and "No space left" in run.error.message
    monkeypatch.setattr(environment, "check", lambda python: "it lacks torch")
    run = setup.Setup(ROOT, tmp_path, sys.executable, existing=FAKE).start()
    assert run.wait(5) and run.error.code == "engine.incomplete"


def test_a_job_ends_when_its_engine_is_stopped(load, photo, tmp_path):
    """Set Up Engine, or another interpreter, in the middle of a job: the job is cancelled, not left running for ever."""
    engine, jobs, job_module = load("addon.engine"), load("addon.jobs"), load("neural.contract.job")
    keeper = engine.Engine()
    keeper.python = FAKE
    job = jobs.Job(photo("slow.png"), job_module.JobOptions(), tmp_path / "out")
    deadline = time.monotonic() + 60
    while not (job.state == jobs.RUNNING and job.progress.fraction > 0) and time.monotonic() < deadline:
        job.pump(0.2, keeper.worker)
    keeper.stop()
    while not job.ended and time.monotonic() < deadline:
        job.pump(0.2, keeper.worker)
    keeper.stop()
    assert job.state == jobs.CANCELLED
