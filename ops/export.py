"""Export people as .glb or .fbx with bone names that other programs expect."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..addon import export, person


class LIKENESS_OT_export(bpy.types.Operator):
    """Export the person with the bone names of another program; in Blender the names stay"""

    bl_idname = "likeness.export"
    bl_label = "Export Person"
    bl_options = {"REGISTER", "PRESET"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE", "SKIP_PRESET"})
    check_existing: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: StringProperty(default="*.glb;*.fbx", options={"HIDDEN", "SKIP_SAVE"})
    format: EnumProperty(name="Format", items=(("glb", "glTF (.glb)", "For the web, games and most programs"),
                                               ("fbx", "FBX (.fbx)", "For Unreal, Unity and Mixamo")))
    bones: EnumProperty(name="Bone Names", items=(
        ("SMPL", "SMPL", "pelvis, left_hip, ..."), ("MIXAMO", "Mixamo", "mixamorig:Hips, ..."),
        ("UNREAL", "Unreal", "pelvis, thigh_l, ..."), ("RIGIFY", "Rigify", "spine, thigh.L, ...")))
    everyone: BoolProperty(name="Everyone", description="All people of the scene, not only the active one", default=False)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(person.people(context.scene))

    def _people(self, context: bpy.types.Context) -> list:
        everyone = person.people(context.scene)
        active = person.armature_of(context.object)
        return everyone if self.everyone or active not in everyone else [active]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.filepath:
            name = self._people(context)[0].name.removesuffix("_rig")
            folder = bpy.path.abspath("//") or str(Path.home())
            self.filepath = str(Path(folder) / f"{name}.{self.format}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Called by the file browser: the suffix follows the format."""
        wanted = str(Path(self.filepath).with_suffix(f".{self.format}"))
        changed, self.filepath = wanted != self.filepath, wanted
        return changed

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        if path.suffix.lower().lstrip(".") not in export.FORMATS:
            path = path.with_name(f"{path.name}.{self.format}")
        try:
            export.write(path, self._people(context), self.bones)
        except (OSError, RuntimeError) as exc:
            self.report({"ERROR"}, f"'{path}' could not be written ({exc}). Choose another folder.")
            return {"CANCELLED"}
        self.report({"INFO"}, f"Exported {path.name}")
        return {"FINISHED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "format")
        layout.prop(self, "bones")
        layout.prop(self, "everyone")


CLASSES = (LIKENESS_OT_export,)
