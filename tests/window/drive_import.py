"""Runs inside a real Blender window (blender-shot): import by the fake worker, pictures on the way, checks at the end.

Arguments after --: folder for pictures, folder with photos.
"""

import sys
from pathlib import Path

import bpy

PICTURES, PHOTOS = (Path(a) for a in sys.argv[sys.argv.index("--") + 1:][:2])
MODULE = "bl_ext.user_default.likeness"


def state():
    return bpy.context.window_manager.likeness


def start(operator, **options):
    window, area, region = view3d()  # noqa: F821  given by blender-shot
    with bpy.context.temp_override(window=window, area=area, region=region):
        return operator("INVOKE_DEFAULT", **options)


def until(condition, seconds, what):
    waited = 0.0
    while not condition():
        assert waited < seconds, f"waited {seconds} s for: {what}"
        waited += 0.1
        yield 0.1


def drive():
    assert MODULE in bpy.context.preferences.addons, "the extension is not enabled"
    for obj in list(bpy.data.objects):
        if obj.type == "MESH":
            bpy.data.objects.remove(obj)
    sidebar("Likeness")  # noqa: F821
    yield 1.5
    shot(str(PICTURES / "1-idle.png"))  # noqa: F821
    bpy.ops.ed.undo_push(message="before")

    # a photo, watched half-way, while Blender goes on living
    assert start(bpy.ops.likeness.import_photo, filepath=str(PHOTOS / "slow_anna.jpg"), preset="draft") == {"RUNNING_MODAL"}
    start(bpy.ops.likeness.import_photo, filepath=str(PHOTOS / "bert.jpg"), preset="draft")
    yield from until(lambda: state().fraction > 0.3, 60, "progress")
    assert state().running and state().photo == "slow_anna.jpg" and state().waiting == 1
    shot(str(PICTURES / "2-running.png"))  # noqa: F821
    yield from until(lambda: not state().running, 90, "both photos")
    assert [j.state for j in state().jobs] == ["DONE", "DONE"], [(j.state, j.note) for j in state().jobs]
    rig = bpy.data.objects["slow_anna_rig"]
    rig.location.x -= 0.9
    window, area, region = view3d()  # noqa: F821
    area.spaces.active.shading.type = "MATERIAL"
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_all()
    yield 4.0
    shot(str(PICTURES / "3-done.png"))  # noqa: F821

    # one undo step a person
    rig.location.x += 0.9
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.ed.undo()
        assert "bert_rig" not in bpy.data.objects and "slow_anna_rig" in bpy.data.objects, list(bpy.data.objects.keys())
        bpy.ops.ed.undo()
        assert "slow_anna_rig" not in bpy.data.objects
        bpy.ops.ed.redo()
        assert "slow_anna_rig" in bpy.data.objects and "slow_anna" in bpy.data.meshes
    yield 0.5

    # a failure becomes a dialog
    start(bpy.ops.likeness.import_photo, filepath=str(PHOTOS / "fail.jpg"), preset="draft")
    yield from until(lambda: not state().running, 60, "the failing photo")
    yield 1.5
    shot(str(PICTURES / "4-failed.png"))  # noqa: F821
    assert state().error_code == "person.none"
    window.event_simulate(type="ESC", value="PRESS")
    window.event_simulate(type="ESC", value="RELEASE")
    yield 0.5

    # through the file browser: Blender then calls execute(), which must not block
    start(bpy.ops.likeness.import_photo)
    yield 2.0
    browser = next((w, a) for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == "FILE_BROWSER")
    browser[1].spaces.active.params.directory = str(PHOTOS).encode()
    browser[1].spaces.active.params.filename = "slow_dora.jpg"
    yield 0.5
    shot(str(PICTURES / "5-browser.png"))  # noqa: F821
    with bpy.context.temp_override(window=browser[0], area=browser[1],
                                   region=next(r for r in browser[1].regions if r.type == "WINDOW")):
        bpy.ops.file.execute()
    yield from until(lambda: state().running and state().fraction > 0.05, 30, "the browser's photo")
    yield from until(lambda: not state().running, 60, "the browser's photo to be done")
    assert "slow_dora_rig" in bpy.data.objects, state().error_message

    # run again, confirmed in its dialog
    window, area, region = view3d()  # noqa: F821
    start(bpy.ops.likeness.rerun)
    yield 1.0
    shot(str(PICTURES / "6-again.png"))  # noqa: F821
    window.event_simulate(type="RET", value="PRESS")
    window.event_simulate(type="RET", value="RELEASE")
    yield from until(lambda: state().running, 20, "running again")
    yield from until(lambda: not state().running, 60, "the second run")
    assert [o.name for o in bpy.data.objects if o.name.startswith("slow_dora") and o.type == "ARMATURE"] == ["slow_dora_rig"]

    # Esc cancels, soon
    start(bpy.ops.likeness.import_photo, filepath=str(PHOTOS / "slow_carl.jpg"), preset="draft")
    yield from until(lambda: state().fraction > 0.1, 60, "progress of the third")
    window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=400, y=400)
    window.event_simulate(type="ESC", value="PRESS")
    window.event_simulate(type="ESC", value="RELEASE")
    yield from until(lambda: not state().running, 15, "the cancel")
    assert state().jobs[-1].state == "CANCELLED" and "slow_carl_rig" not in bpy.data.objects
    yield 0.5

    # a folder: what is there is skipped, one runs, the others wait; held, then let go
    bpy.ops.likeness.clear_history()
    start(bpy.ops.likeness.import_sequence, directory=str(PHOTOS), preset="draft")
    yield from until(lambda: state().running and state().photo == "slow_carl.jpg" and state().fraction > 0.2, 60, "the folder")
    start(bpy.ops.likeness.pause)
    yield 1.0
    rows = [(j.name, j.state) for j in state().jobs]
    assert rows == [("bert.jpg", "DONE"), ("fail.jpg", "FAILED"), ("slow_anna.jpg", "SKIPPED"), ("slow_carl.jpg", "RUNNING"),
                    ("slow_dora.jpg", "QUEUED")], rows                 # dora is there, but at standard
    shot(str(PICTURES / "8-queue.png"))  # noqa: F821
    start(bpy.ops.likeness.cancel, job=state().jobs[4].number)
    yield from until(lambda: not state().running, 90, "the rest of the folder")
    yield 1.0
    window.event_simulate(type="ESC", value="PRESS")            # the dialog about fail.jpg
    window.event_simulate(type="ESC", value="RELEASE")
    yield 0.5
    start(bpy.ops.likeness.retry_failed)
    yield from until(lambda: not state().running and state().summary == "2 done, 1 skipped, 1 failed, 1 cancelled", 60, "trying again")
    yield 1.0
    print("WINDOW TEST PASSED", flush=True)
