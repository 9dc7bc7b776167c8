"""The queue and its history."""

import bpy

from ..addon import jobs, properties
from .sidebar import InTab, paragraph

ICONS = {jobs.QUEUED: "TIME", jobs.RUNNING: "PLAY", jobs.BUILDING: "PLAY", jobs.DONE: "CHECKMARK", jobs.FAILED: "ERROR",
         jobs.CANCELLED: "X", jobs.SKIPPED: "LOOP_FORWARDS"}


class LIKENESS_UL_jobs(bpy.types.UIList):
    """One photo a row: name, then what it waits for, does, took, or why it failed; and a button to cancel it."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0) -> None:
        row = layout.row(align=True)
        parts = row.split(factor=0.5, align=True)
        parts.label(text=item.name, icon=ICONS.get(item.state, "BLANK1"))
        side = parts.row()
        side.active = item.state in (jobs.RUNNING, jobs.BUILDING, jobs.FAILED)
        side.label(text=item.note or item.told)
        if item.state not in jobs.ENDED:
            row.operator("likeness.cancel", text="", icon="X", emboss=False).job = item.number


class LIKENESS_PT_queue(InTab, bpy.types.Panel):
    bl_label = "Queue"
    bl_idname = "LIKENESS_PT_queue"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return len(properties.state(context).jobs) > 0

    def draw(self, context: bpy.types.Context) -> None:
        layout, state = self.layout, properties.state(context)
        layout.label(text=state.summary)
        layout.template_list("LIKENESS_UL_jobs", "", state, "jobs", state, "active_job", rows=3)
        row = layout.row(align=True)
        if state.waiting:
            row.operator("likeness.pause", text="Resume" if state.paused else "Pause", icon="PLAY" if state.paused else "PAUSE")
            row.operator("likeness.cancel", text="Cancel All", icon="X").everything = True
        elif not state.running:
            row.operator("likeness.clear_history", icon="TRASH", text="Clear")
        if "failed" in state.summary:
            row.operator("likeness.retry_failed", text="Retry", icon="FILE_REFRESH")
        if 0 <= state.active_job < len(state.jobs):
            _draw_job(layout, context, state.jobs[state.active_job])


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, job) -> None:
    """What can be done with the row that is chosen."""
    if job.state in jobs.ENDED:
        row = layout.row(align=True)
        row.operator("likeness.rerun", icon="FILE_REFRESH").job = job.number
        row.operator("likeness.copy_report", text="", icon="COPYDOWN").job = job.number
        if job.state == jobs.DONE:
            row.operator("likeness.open_report_folder", text="", icon="FILE_FOLDER").job = job.number
    if job.note:
        paragraph(layout, context, job.note, "ERROR")


CLASSES = (LIKENESS_UL_jobs, LIKENESS_PT_queue)
