"""Official checkpoints that a person owns: import one (checked, copied, never executed), remove it again."""

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..addon import engine, preferences, properties, session
from ..addon.checkpoint import Import
from ..neural.contract import checkpoints
from ..neural.contract.errors import LikenessError, WeightsError
from .runner import redraw
from .task import TaskRunner


def free_models() -> None:
    """Ends an idle worker: it may hold the weights that are to be replaced or removed, and much memory. One that is busy goes on."""
    current = session.get()
    if current.queue.current is None:
        current.engine.stop()


class LIKENESS_OT_import_checkpoint(TaskRunner, bpy.types.Operator):
    """Use the official checkpoint of a network that you own: it is checked and copied into your user folder; nothing in it is executed"""

    bl_idname = "likeness.import_checkpoint"
    bl_label = "Import Checkpoint"
    bl_options = {"REGISTER"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.pth;*.pt;*.tar;*.ckpt", options={"HIDDEN", "SKIP_SAVE"})
    net: EnumProperty(name="Network", description="Which network the checkpoint belongs to", items=properties.CHECKPOINT_ITEMS,
                      default="2k2k")

    failed = "This checkpoint was not imported"
    cancelled = "The import was cancelled; nothing was changed"

    def start(self) -> Import:
        if not self.filepath:
            raise WeightsError("weights.missing", "No checkpoint was chosen.", "Choose the checkpoint file.")
        python = preferences.interpreter()
        if python is None:
            raise engine.missing()
        free_models()
        return Import(python, engine.ROOT, Path(bpy.path.abspath(self.filepath)), self.net, checkpoints.folder_of(engine.ROOT)).start()

    def said(self, task: Import) -> str:
        known = task.answer
        return f"Imported {checkpoints.NETS[known['net']]}: {known['tensors']} tensors, {known['parameters'] / 1e6:.1f} million numbers, " \
               f"from {known['source']}"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.windowed = True
        if self.filepath:
            return self.begin(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self.begin(context)

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        self.layout.prop(self, "net")


class LIKENESS_OT_remove_checkpoint(bpy.types.Operator):
    """Delete the imported copy of a checkpoint; the file that you imported stays"""

    bl_idname = "likeness.remove_checkpoint"
    bl_label = "Remove Checkpoint"
    bl_options = {"REGISTER"}

    net: EnumProperty(name="Network", items=properties.CHECKPOINT_ITEMS, default="2k2k", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not properties.state(context).task_running

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = checkpoints.folder_of(engine.ROOT)
        if self.net not in (c.net for c in checkpoints.listed(folder)):
            self.report({"WARNING"}, "This checkpoint is not imported")
            return {"CANCELLED"}
        free_models()
        try:
            checkpoints.remove(folder, self.net)
        except LikenessError as exc:
            self.report({"ERROR"}, f"{exc.message} {exc.remedy} ({exc.code})")
            return {"CANCELLED"}
        redraw(context)
        self.report({"INFO"}, f"Removed {checkpoints.NETS[self.net]}")
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_import_checkpoint, LIKENESS_OT_remove_checkpoint)
