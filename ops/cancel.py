"""Cancel what runs."""

import bpy
from bpy.props import BoolProperty

from ..addon import session


class LIKENESS_OT_cancel(bpy.types.Operator):
    """Cancel the running photo (Esc does the same); without one, the set-up of the engine or the import of a checkpoint"""

    bl_idname = "likeness.cancel"
    bl_label = "Cancel"

    everything: BoolProperty(name="Everything", description="Also the photos that wait", default=False,
                             options={"SKIP_SAVE"})
    task: BoolProperty(name="Task", description="The set-up or the import, also while a photo is running", default=False,
                       options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        current = session.get()
        if current.task is not None and (self.task or current.queue.current is None):
            current.task.cancel()
        elif not self.task:
            current.queue.cancel(self.everything)
        current.sync()
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_cancel,)
