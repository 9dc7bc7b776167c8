"""The queue and its history."""

import bpy

from ..addon import jobs, properties
from .sidebar import InTab, paragraph

ICONS = {jobs.QUEUED: "TIME", jobs.RUNNING: "PLAY", jobs.BUILDING: "PLAY", jobs.DONE: "CHECKMARK", jobs.FAILED: "ERROR",
         jobs.CANCELLED: "X"}


class LIKENESS_UL_jobs(bpy.types.UIList):
    """One photo a row: name, state, seconds."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0) -> None:
        row = layout.row(align=True)
        row.label(text=item.name, icon=ICONS.get(item.state, "BLANK1"))
        side = row.row()
        side.alignment, side.active = "RIGHT", False
        word = {jobs.QUEUED: "waiting", jobs.FAILED: "failed", jobs.CANCELLED: "cancelled", jobs.DONE: f"{item.seconds:.0f} s"}
        side.label(text=word.get(item.state, "running"))


class LIKENESS_PT_queue(InTab, bpy.types.Panel):
    bl_label = "Queue"
    bl_idname = "LIKENESS_PT_queue"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return len(properties.state(context).jobs) > 0

    def draw(self, context: bpy.types.Context) -> None:
        layout, state = self.layout, properties.state(context)
        layout.template_list("LIKENESS_UL_jobs", "", state, "jobs", state, "active_job", rows=3)
        row = layout.row(align=True)
        if state.waiting:
            row.operator("likeness.cancel", text="Cancel All", icon="X").everything = True
        elif any(j.state in jobs.ENDED for j in state.jobs):
            row.operator("likeness.clear_history", icon="TRASH", text="Clear")
        if not 0 <= state.active_job < len(state.jobs):
            return
        job = state.jobs[state.active_job]
        if job.state in jobs.ENDED:
            row.operator("likeness.rerun", icon="FILE_REFRESH").job = job.number
            row.operator("likeness.copy_report", text="", icon="COPYDOWN").job = job.number
            if job.state == jobs.DONE:
                row.operator("likeness.open_report_folder", text="", icon="FILE_FOLDER").job = job.number
        if job.note:
            paragraph(layout, context, job.note, "ERROR")


CLASSES = (LIKENESS_UL_jobs, LIKENESS_PT_queue)
