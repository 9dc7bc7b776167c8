"""Preferences: where the engine is, what it may use."""

import time
from pathlib import Path
from types import SimpleNamespace

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from ..neural.contract import checkpoints
from . import engine
from .properties import DEVICE_ITEMS, state

PACKAGE = __package__.rpartition(".")[0]
"""The extension's package (bl_ext.<repository>.likeness): the key of its preferences."""


class LIKENESS_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    engine_folder: StringProperty(
        name="Engine Folder", subtype="DIR_PATH", default="",
        description="Where Set Up Engine puts the engine's environment (about 3 GB); empty: your user folder")
    engine_python: StringProperty(
        name="Existing Python", subtype="FILE_PATH", default="",
        description="Use this Python (or environment folder) as the engine instead; it must hold the engine's libraries")
    device: EnumProperty(name="Device", description="What computes, unless an import says otherwise", items=DEVICE_ITEMS,
                         default="auto")
    idle_s: IntProperty(name="Free Memory After (s)", description="Seconds without a job after which the models leave memory",
                        default=300, min=5, soft_max=3600, subtype="TIME_ABSOLUTE")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        python = interpreter_to_show()
        row = layout.row()
        if python is None:
            row.label(text="The engine is not set up", icon="ERROR")
            row.operator("likeness.setup_engine", icon="IMPORT")
        else:
            row.label(text=f"Engine: {python}", icon="CHECKMARK")
        layout.prop(self, "engine_folder", placeholder=str(engine.environment_folder()))
        layout.prop(self, "engine_python")
        layout.prop(self, "device")
        layout.prop(self, "idle_s")
        layout.separator()
        _draw_checkpoints(layout)


def _draw_checkpoints(layout: bpy.types.UILayout) -> None:
    """Imported checkpoints: network, file, size; a button to remove each, and one to import."""
    current = state()
    layout.label(text="Imported checkpoints")
    found = checkpoints.listed(checkpoints.folder_of(engine.ROOT))
    for item in found:
        row = layout.row()
        row.label(text=checkpoints.NETS[item.net], icon="CHECKMARK")
        row.label(text=item.source or "file not known")
        side = row.row()
        side.alignment = "RIGHT"
        side.label(text=f"{item.bytes / 1e6:.0f} MB")
        side.operator("likeness.remove_checkpoint", text="", icon="TRASH").net = item.net
    if not found:
        layout.label(text="None. If you own an official checkpoint of 2K2K, Likeness can use it.", icon="INFO")
    if current.task_running:
        draw_task(layout, current)
    else:
        layout.operator("likeness.import_checkpoint", icon="IMPORT")


def draw_task(layout: bpy.types.UILayout, current) -> None:
    """How far the running task is, and a button to cancel it."""
    row = layout.row(align=True)
    if current.task_fraction >= 0:
        row.progress(factor=current.task_fraction, text=f"{current.task_fraction:.0%}")
    else:
        row.label(text=current.task_text)
    row.operator("likeness.cancel", text="", icon="X").task = True


def get():
    """The LIKENESS_AP_preferences; their defaults where the code runs without being an enabled extension."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    if addon is not None and addon.preferences is not None:
        return addon.preferences
    return SimpleNamespace(engine_folder="", engine_python="", device="auto", idle_s=300)


def interpreter() -> Path | None:
    """Path of the engine's Python, or None."""
    prefs = get()
    return engine.interpreter(prefs.engine_python, prefs.engine_folder)


_looked: tuple[float, Path | None] = (0.0, None)


def interpreter_to_show() -> Path | None:
    """The same for drawing: looked up at most every two seconds, since panels are drawn many times a second."""
    global _looked
    if time.monotonic() - _looked[0] > 2.0:
        _looked = (time.monotonic(), interpreter())
    return _looked[1]


def forget() -> None:
    """The engine has changed: look anew."""
    global _looked
    _looked = (0.0, None)


def register() -> None:
    bpy.utils.register_class(LIKENESS_AP_preferences)


def unregister() -> None:
    bpy.utils.unregister_class(LIKENESS_AP_preferences)
