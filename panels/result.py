"""The selected person: poses, what was found, warnings, how it was made."""

import bpy

from ..addon import person, session
from ..neural.contract.job import STAGE_LABELS
from .sidebar import InTab, paragraph


def _number(value) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else "?"


class LIKENESS_PT_person(InTab, bpy.types.Panel):
    bl_label = "Person"
    bl_idname = "LIKENESS_PT_person"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return person.armature_of(context.object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        armature = person.armature_of(context.object)
        report, body = person.report_of(armature), person.body_of(armature)
        layout.label(text=armature.name.removesuffix("_rig"), icon="OUTLINER_OB_ARMATURE")

        row = layout.row(align=True)
        row.scale_y = 1.2
        action = armature.animation_data.action if armature.animation_data else None
        photo, a_pose = person.poses_of(armature)
        motion = person.motion_of(armature)
        if motion is not None:
            row.operator("likeness.pose", text="Motion", depress=action is not None and action == motion).pose = "MOTION"
        for pose, text, active in (("PHOTO", "Photo", action is not None and action == photo),
                                   ("A", "A-Pose", action is not None and action == a_pose),
                                   ("REST", "T-Pose", action is None)):
            row.operator("likeness.pose", text=text, depress=active).pose = pose
        row = layout.row(align=True)
        row.operator("likeness.toggle_body", icon="MOD_CLOTH", depress=body is not None and not body.hide_viewport)
        row.operator("likeness.rerun", icon="FILE_REFRESH").job = 0
        layout.operator("likeness.export", icon="EXPORT", text="Export")

        mesh, texture = report.get("mesh") or {}, report.get("texture") or {}
        column = layout.column(align=True)
        height = mesh.get("height_m") or armature.get("likeness_height_m")
        for name, value in (
                ("Height", f"{height:.2f} m" if isinstance(height, (int, float)) else "?"),
                ("Triangles", _number(mesh.get("faces"))),
                ("Texture", f"{texture['size']} px" if texture.get("size") else "?"),
                ("Seen in photo", f"{texture['seen_fraction']:.0%}" if texture.get("seen_fraction") is not None else "?")):
            split = column.split(factor=0.5)
            split.active = True
            split.label(text=name)
            split.label(text=value)
        for warning in session.warnings_of(report):
            paragraph(layout, context, warning, "INFO")


class LIKENESS_PT_methods(InTab, bpy.types.Panel):
    bl_label = "How It Was Made"
    bl_idname = "LIKENESS_PT_methods"
    bl_parent_id = "LIKENESS_PT_person"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        report = person.report_of(person.armature_of(context.object))
        column = self.layout.column(align=True)
        for stage in report.get("stages", ()):
            split = column.split(factor=0.42)
            split.label(text=STAGE_LABELS.get(stage.get("name"), str(stage.get("name"))))
            right = split.split(factor=0.74)
            right.label(text=str(stage.get("method")))
            right.label(text=f"{float(stage.get('seconds') or 0):.1f} s")
        row = self.layout.row(align=True)
        row.operator("likeness.copy_report", icon="COPYDOWN").job = -1
        row.operator("likeness.open_report_folder", text="", icon="FILE_FOLDER").job = 0


CLASSES = (LIKENESS_PT_person, LIKENESS_PT_methods)
