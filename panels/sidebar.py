"""The sidebar tab "Likeness": engine, import, the running photo, the last error."""

import bpy

from ..addon import compat, preferences, properties
from ..addon.text import letters_in, wrapped
from ..ops.runner import draw_options


class InTab:
    """Where all our panels live."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Likeness"


def paragraph(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE",
              indent_px: float = 70.0) -> None:
    """Text over several lines, as wide as the panel is."""
    scale = context.preferences.system.ui_scale
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(wrapped(text, letters_in(context.region.width, scale, indent_px))):
        column.label(text=line, icon=icon if number == 0 or icon == "NONE" else "BLANK1")


class LIKENESS_PT_main(InTab, bpy.types.Panel):
    bl_label = "Likeness"
    bl_idname = "LIKENESS_PT_main"

    def draw(self, context: bpy.types.Context) -> None:
        state = properties.state(context)
        if state.task_running:
            _draw_task(self.layout, context, state)
        elif preferences.interpreter_to_show() is None:
            _draw_no_engine(self.layout, context)
        if state.running:
            _draw_running(self.layout, context, state)
        _draw_import(self.layout, context, state)
        if state.error_code:
            _draw_error(self.layout, context, state)


def _draw_task(layout: bpy.types.UILayout, context: bpy.types.Context, state) -> None:
    box = layout.box()
    box.label(text=state.task_title, icon="IMPORT")
    preferences.draw_task(box, state)
    if state.task_fraction >= 0:
        paragraph(box, context, state.task_text)


def _draw_no_engine(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    box = layout.box()
    paragraph(box, context, "The engine that does the work is not set up yet. It is installed once, into your user folder "
                            "(about 3 GB); your photos never leave this computer.", "INFO")
    own = bool(preferences.get().engine_python)
    if not compat.online_access() and not own:
        paragraph(box, context, "Online access is off in the preferences.", "ERROR")
        box.operator("extensions.userpref_show_online", text="Open System Preferences", icon="PREFERENCES")
    row = box.row()
    row.scale_y = 1.3
    row.operator("likeness.setup_engine", icon="IMPORT", text="Check Chosen Python" if own else "Set Up Engine")


def _draw_import(layout: bpy.types.UILayout, context: bpy.types.Context, state) -> None:
    column = layout.column()
    column.row().prop(state.options, "preset", expand=True)
    row = column.row()
    row.scale_y = 1.5
    row.enabled = preferences.interpreter_to_show() is not None
    row.operator("likeness.import_photo", icon="IMAGE_DATA", text="Add Photo to Queue" if state.running else "Import Photo")
    header, body = layout.panel("likeness_options", default_closed=True)
    header.label(text="Options")
    if body is not None:
        draw_options(body.column(), state.options)
        folder = body.column()
        folder.use_property_split, folder.use_property_decorate = True, False
        folder.prop(state, "sequence")
        body.operator("likeness.import_sequence", icon="FILE_FOLDER", text="Import Folder" if state.sequence == "none" else "Import Sequence")


def _draw_running(layout: bpy.types.UILayout, context: bpy.types.Context, state) -> None:
    box = layout.box()
    row = box.row()
    row.label(text=state.photo, icon="IMAGE_DATA")
    if state.waiting:
        side = row.row()
        side.alignment, side.active = "RIGHT", False
        side.label(text=f"{state.waiting} waiting")
    row = box.row(align=True)
    row.scale_y = 1.2
    row.progress(factor=state.fraction, text=f"{state.fraction:.0%}")
    row.operator("likeness.cancel", text="", icon="X")
    row = box.row()
    row.label(text=state.label)
    if state.left:
        side = row.row()
        side.alignment, side.active = "RIGHT", False
        side.label(text=state.left)


def _draw_error(layout: bpy.types.UILayout, context: bpy.types.Context, state) -> None:
    box = layout.box()
    column = box.column()
    column.alert = True
    paragraph(column, context, state.error_message, "ERROR")
    paragraph(box, context, state.error_remedy, "BLANK1")
    box.operator("likeness.copy_report", icon="COPYDOWN").job = 0


CLASSES = (LIKENESS_PT_main,)
