"""Run a person's photo again with other options, or those that failed with the same."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty

from ..addon import person, properties, session
from .runner import QueueRunner


class LIKENESS_OT_rerun(properties.OptionsMixin, QueueRunner, bpy.types.Operator):
    """Run the same photo again with other options; only what they change is computed anew"""

    bl_idname = "likeness.rerun"
    bl_label = "Run Again"
    bl_options = {"REGISTER"}

    job: IntProperty(name="Job", default=0, options={"HIDDEN", "SKIP_SAVE"},
                     description="Number in the history; 0: the photo of the active person")
    replace: BoolProperty(name="Replace", description="The new result takes the place of this one", default=True)

    def _subject(self, context: bpy.types.Context) -> tuple[Path | None, dict, str]:
        """(photo, its options, name of the collection to replace)."""
        job = session.get().job(self.job) if self.job else None
        if job is not None:
            return job.photo, job.options.to_json(), job.made
        rig = person.armature_of(context.object)
        if rig is None:
            return None, {}, ""
        report, collection = person.report_of(rig), person.collection_of(rig)
        photo = rig.get("likeness_photo") or report.get("photo")
        return (Path(photo) if photo else None), report.get("options") or {}, collection.name if collection else ""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.windowed = True
        _, before, _ = self._subject(context)
        for name, key in (("preset", "preset"), ("device", "device"), ("surface", "surface"), ("depth", "depth"),
                          ("texture", "texture"), ("remove_shading", "remove_shading"), ("face", "face"), ("height", "height_m"),
                          ("seed", "seed"), ("person", "person"), ("body", "body")):
            if before.get(key) is not None and not self.properties.is_property_set(name):
                setattr(self, name, before[key])
        return context.window_manager.invoke_props_dialog(self, width=340, confirm_text="Run Again")

    def execute(self, context: bpy.types.Context) -> set[str]:
        photo, _, replaces = self._subject(context)
        return self.begin(context, [photo] if photo else [], "Select a person that Likeness made.", replaces if self.replace else "")

    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        self.layout.prop(self, "replace")


class LIKENESS_OT_retry_failed(QueueRunner, bpy.types.Operator):
    """Run all failed photos of the queue again, each with its own options"""

    bl_idname = "likeness.retry_failed"
    bl_label = "Retry Failed"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.windowed = True
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        current = session.get()
        jobs = [current.add(j.photo, j.options, j.replaces) for j in current.queue.take_failed()]
        if not jobs:
            self.report({"WARNING"}, "No photo of the queue has failed")
            return {"CANCELLED"}
        return self.run(context, jobs)


CLASSES = (LIKENESS_OT_rerun, LIKENESS_OT_retry_failed)
