"""Cancel what runs or waits; hold the queue."""

import bpy
from bpy.props import BoolProperty, IntProperty

from ..addon import session


class LIKENESS_OT_cancel(bpy.types.Operator):
    """Cancel the running photo (Esc does the same); without one, the set-up of the engine or the import of a checkpoint"""

    bl_idname = "likeness.cancel"
    bl_label = "Cancel"

    everything: BoolProperty(name="Everything", description="Also the photos that wait", default=False,
                             options={"SKIP_SAVE"})
    job: IntProperty(name="Job", description="Number of the photo in the queue; 0: the running one", default=0,
                     options={"HIDDEN", "SKIP_SAVE"})
    task: BoolProperty(name="Task", description="The set-up or the import, also while a photo is running", default=False,
                       options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        current = session.get()
        if current.task is not None and (self.task or current.queue.current is None):
            current.task.cancel()
        elif not self.task:
            current.queue.cancel(self.everything, self.job)
        current.sync()
        return {"FINISHED"}


class LIKENESS_OT_pause(bpy.types.Operator):
    """Finish the running photo and begin no other; once more to go on"""

    bl_idname = "likeness.pause"
    bl_label = "Pause"

    def execute(self, context: bpy.types.Context) -> set[str]:
        current = session.get()
        current.queue.paused = not current.queue.paused and current.queue.current is not None
        current.sync()
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_cancel, LIKENESS_OT_pause)
