"""What a person can do with an error or a report: see it, copy it, open its folder, clear it."""

import json
from pathlib import Path

import bpy
from bpy.props import IntProperty

from ..addon import person, properties, session
from ..addon.text import wrapped


class LIKENESS_OT_show_error(bpy.types.Operator):
    """What went wrong, and what you can do"""

    bl_idname = "likeness.show_error"
    bl_label = "Likeness"
    bl_options = {"INTERNAL"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=440, title=properties.state(context).error_title,
                                                          confirm_text="OK")

    def execute(self, context: bpy.types.Context) -> set[str]:
        return {"FINISHED"}

    def draw(self, context: bpy.types.Context) -> None:
        state, column = properties.state(context), self.layout.column()
        for number, line in enumerate(wrapped(state.error_message, 62)):
            column.label(text=line, icon="ERROR" if number == 0 else "BLANK1")
        column.separator()
        for number, line in enumerate(wrapped(state.error_remedy, 62)):
            column.label(text=line, icon="INFO" if number == 0 else "BLANK1")
        column.separator()
        side = column.row()
        side.alignment, side.enabled = "RIGHT", False
        side.label(text=state.error_code)
        # its own buttons: there is nothing to confirm or to cancel
        self.layout.template_popup_confirm("likeness.copy_report", text="Copy Report", cancel_text="Close")


class LIKENESS_OT_copy_report(bpy.types.Operator):
    """Copy the report to the clipboard, to send it to us"""

    bl_idname = "likeness.copy_report"
    bl_label = "Copy Report"

    job: IntProperty(default=0, options={"HIDDEN", "SKIP_SAVE"},
                     description="Number in the history; 0: the last error, else the active person; -1: the active person")

    def execute(self, context: bpy.types.Context) -> set[str]:
        job, state = session.get().job(self.job), properties.state(context)
        rig = person.armature_of(context.object)
        if job is not None:
            text = job.report_text()
        elif self.job == 0 and state.error_code:
            text = state.error_report
        elif rig is not None:
            text = json.dumps(person.report_of(rig), indent=1, ensure_ascii=False)
        else:
            self.report({"WARNING"}, "There is no report yet")
            return {"CANCELLED"}
        about = f"Blender {bpy.app.version_string}, {bpy.app.build_platform.decode(errors='replace')}"
        context.window_manager.clipboard = f"{about}\n{text}"
        self.report({"INFO"}, "Report copied")
        return {"FINISHED"}


class LIKENESS_OT_open_report_folder(bpy.types.Operator):
    """Open the folder with this photo's mesh, maps and report (it is emptied when Blender ends)"""

    bl_idname = "likeness.open_report_folder"
    bl_label = "Open Report Folder"

    job: IntProperty(default=0, options={"HIDDEN", "SKIP_SAVE"}, description="Number in the history; 0: active person")

    def _folder(self, context: bpy.types.Context) -> Path | None:
        current = session.get()
        job = current.job(self.job)
        if job is None:
            collection = person.collection_of(context.object)
            name = collection.name if collection else ""
            job = next((j for j in reversed(current.queue.jobs) if j.made and j.made == name), None)
        return job.folder if job is not None and job.folder.is_dir() else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = self._folder(context)
        if folder is None:
            self.report({"WARNING"}, "The files of this photo are gone; run it again to have them")
            return {"CANCELLED"}
        job = next(j for j in session.get().queue.jobs if j.folder == folder)
        if job.report:
            session.report_file(folder, job.report)
        bpy.ops.wm.path_open(filepath=str(folder))
        return {"FINISHED"}


class LIKENESS_OT_clear_history(bpy.types.Operator):
    """Clear the list of finished photos; the people in the scene stay"""

    bl_idname = "likeness.clear_history"
    bl_label = "Clear History"

    def execute(self, context: bpy.types.Context) -> set[str]:
        current = session.get()
        current.queue.clear()
        properties.state(context).error_code = ""
        current.sync()
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_show_error, LIKENESS_OT_copy_report, LIKENESS_OT_open_report_folder, LIKENESS_OT_clear_history)
