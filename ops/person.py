"""What a person can do with a finished person: poses, the fitted body."""

import bpy
from bpy.props import EnumProperty

from ..addon import person, rig


class LIKENESS_OT_pose(bpy.types.Operator):
    """Put the person into one of its poses"""

    bl_idname = "likeness.pose"
    bl_label = "Apply Pose"
    bl_options = {"REGISTER", "UNDO"}

    pose: EnumProperty(name="Pose", items=(
        ("PHOTO", "Photo", "The pose of the photo"),
        ("A", "A-Pose", "Arms hang at an angle: for clothes and games"),
        ("MOTION", "Motion", "The motion of the sequence"),
        ("REST", "T-Pose", "The rest pose, without an Action: for SMPL motions")))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return person.armature_of(context.object) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        armature = person.armature_of(context.object)
        photo, a_pose = person.poses_of(armature)
        action = {"PHOTO": photo, "A": a_pose, "MOTION": person.motion_of(armature), "REST": None}[self.pose]
        if action is None and self.pose != "REST":
            self.report({"ERROR"}, "The Action of this pose was deleted. Run the photo again.")
            return {"CANCELLED"}
        rig.apply_pose(armature, action, context.scene.frame_current if self.pose == "MOTION" else rig.KEY_FRAME)
        return {"FINISHED"}


class LIKENESS_OT_toggle_body(bpy.types.Operator):
    """Show or hide the fitted body under the clothes"""

    bl_idname = "likeness.toggle_body"
    bl_label = "Fitted Body"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return person.armature_of(context.object) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        body = person.body_of(person.armature_of(context.object))
        if body is None:
            self.report({"WARNING"}, "This person has no fitted body")
            return {"CANCELLED"}
        body.hide_viewport = not body.hide_viewport
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_pose, LIKENESS_OT_toggle_body)
