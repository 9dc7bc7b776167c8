"""Runs inside a real Blender window (blender-shot): a checkpoint imported from the preferences by the fake importer, cancelled, refused.

Arguments after --: folder for pictures, folder with slow_ckpt.pth and fail.pth. LIKENESS_WEIGHTS: where imported weights go.
"""

import os
import sys
from pathlib import Path

import bpy

PICTURES, FILES = (Path(a) for a in sys.argv[sys.argv.index("--") + 1:][:2])
WEIGHTS = Path(os.environ["LIKENESS_WEIGHTS"])


def state():
    return bpy.context.window_manager.likeness


def until(condition, seconds, what):
    waited = 0.0
    while not condition():
        assert waited < seconds, f"waited {seconds} s for: {what}"
        waited += 0.1
        yield 0.1


def shown(kind):
    """(window, area, region) of an editor of this kind."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == kind:
                return window, area, next(r for r in area.regions if r.type == "WINDOW")
    return None


def inside(kind):
    window, area, region = shown(kind)
    return bpy.context.temp_override(window=window, area=area, region=region)


def drive():
    sidebar("Likeness")  # noqa: F821  given by blender-shot
    yield 1.0
    bpy.ops.preferences.addon_show(module="bl_ext.user_default.likeness")
    yield from until(lambda: shown("PREFERENCES"), 10, "the preferences")
    yield 1.0

    # through the file browser; the preferences are closed while it runs, and Blender goes on living
    with inside("PREFERENCES"):
        assert bpy.ops.likeness.import_checkpoint("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield from until(lambda: shown("FILE_BROWSER"), 10, "the file browser")
    yield 1.0
    params = shown("FILE_BROWSER")[1].spaces.active.params
    params.directory, params.filename = str(FILES).encode(), "slow_ckpt.pth"
    yield 0.5
    shot(str(PICTURES / "c1-browser.png"))  # noqa: F821
    with inside("FILE_BROWSER"):
        bpy.ops.file.execute()
    yield from until(lambda: state().task_running, 10, "the import")
    yield 1.0
    shot(str(PICTURES / "c2-importing.png"))  # noqa: F821
    if shown("PREFERENCES") is not None:
        with inside("PREFERENCES"):
            bpy.ops.wm.window_close()
    yield 0.5
    assert state().task_running and shown("PREFERENCES") is None
    shot(str(PICTURES / "c3-sidebar.png"))  # noqa: F821
    yield from until(lambda: not state().task_running, 60, "the end of the import")
    assert (WEIGHTS / "2k2k.safetensors").is_file() and not state().error_code
    area = view3d()[1]  # noqa: F821
    area.type = "PREFERENCES"                         # the list, in a window that the picture shows whole
    yield 1.5
    shot(str(PICTURES / "c4-listed.png"))  # noqa: F821
    area.type = "VIEW_3D"
    bpy.ops.preferences.addon_show(module="bl_ext.user_default.likeness")
    yield from until(lambda: shown("PREFERENCES"), 10, "the preferences again")
    yield 0.5

    # cancelled: what was there stays
    with inside("PREFERENCES"):
        assert bpy.ops.likeness.import_checkpoint("INVOKE_DEFAULT", filepath=str(FILES / "slow_ckpt.pth")) == {"RUNNING_MODAL"}
        yield 0.5
        bpy.ops.likeness.cancel(task=True)
    yield from until(lambda: not state().task_running, 10, "the cancel")
    assert sorted(p.name for p in WEIGHTS.iterdir()) == ["2k2k.json", "2k2k.safetensors"] and not state().error_code
    with inside("PREFERENCES"):
        bpy.ops.wm.window_close()
    yield 0.5

    # refused: a dialog
    window, area, region = view3d()  # noqa: F821
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.likeness.import_checkpoint("INVOKE_DEFAULT", filepath=str(FILES / "fail.pth"))
    yield from until(lambda: not state().task_running, 20, "the refusal")
    yield 1.5
    assert state().error_code == "weights.wrong-net"
    shot(str(PICTURES / "c5-refused.png"))  # noqa: F821
    print("CHECKPOINT TEST PASSED", flush=True)
