"""Makes docs/pictures/*.png in a real window with the real engine, from a photo of a synthetic person:

    LIKENESS_PYTHON=.venv/engine/bin/python BLENDER_USER_RESOURCES=FOLDER blender-shot -e -u -t 400 BLENDER \\
        tests/window/drive_docs.py build/t-pose.png -- docs/pictures tests/data/woman_arms.jpg

FOLDER holds the installed extension (see test_window.py).
"""

import math
import sys
from pathlib import Path

import bpy
from mathutils import Euler

PICTURES, PHOTO = (Path(a).resolve() for a in sys.argv[sys.argv.index("--") + 1:][:2])


def until(condition, seconds, what):
    waited = 0.0
    while not condition():
        assert waited < seconds, f"waited {seconds} s for: {what}"
        waited += 0.1
        yield 0.1


def look(area, turn_deg):
    region = area.spaces.active.region_3d
    region.view_perspective = "PERSP"
    region.view_rotation = Euler((math.radians(84), 0, math.radians(turn_deg))).to_quaternion()
    region.view_location, region.view_distance = (0.35, 0, 0.86), 3.4


def drive():
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    window, area, region = view3d()  # noqa: F821  given by blender-shot
    state = bpy.context.window_manager.likeness
    sidebar("Likeness")  # noqa: F821
    look(area, 25)
    yield 1.5
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.likeness.import_photo("INVOKE_DEFAULT", filepath=str(PHOTO), preset="standard")
    yield from until(lambda: state.fraction > 0.45, 300, "half of the work")
    shot(str(PICTURES / "running.png"))  # noqa: F821
    yield from until(lambda: not state.running, 600, "the person")
    assert state.jobs[-1].state == "DONE", state.error_message
    rig = bpy.data.objects[f"{PHOTO.stem}_rig"]
    rig.show_in_front = True
    area.spaces.active.shading.type = "SOLID"
    area.spaces.active.shading.color_type = "TEXTURE"
    area.spaces.active.overlay.show_relationship_lines = False
    bpy.context.view_layer.objects.active = rig
    look(area, 25)
    yield 2.0
    shot(str(PICTURES / "done.png"))  # noqa: F821
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.likeness.pose(pose="REST")
    look(area, 0)
    yield 2.0
