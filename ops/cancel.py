"""Cancel what runs."""

import bpy
from bpy.props import BoolProperty

from ..addon import session


class LIKENESS_OT_cancel(bpy.types.Operator):
    """Cancel the running photo (Esc does the same), or the set-up of the engine"""

    bl_idname = "likeness.cancel"
    bl_label = "Cancel"

    everything: BoolProperty(name="Everything", description="Also the photos that wait", default=False,
                             options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        current = session.get()
        if current.setup is not None and not current.setup.done:
            current.setup.cancel()
        else:
            current.queue.cancel(self.everything)
        current.sync()
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_cancel,)
