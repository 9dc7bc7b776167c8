"""File > Import, Add > Mesh, File > Export, and dropping photos into the viewport."""

import bpy

from ..neural.contract.photos import SUFFIXES


class LIKENESS_FH_photo(bpy.types.FileHandler):
    """Photos dropped into a 3D viewport."""

    bl_idname = "LIKENESS_FH_photo"
    bl_label = "Person from Photo (Likeness)"
    bl_import_operator = "likeness.import_photo"
    bl_file_extensions = ";".join(SUFFIXES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


def _import(self, context: bpy.types.Context) -> None:
    self.layout.operator("likeness.import_photo", text="Person from Photo (Likeness)")
    self.layout.operator("likeness.import_sequence", text="People from Folder of Photos (Likeness)")


def _mesh(self, context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator("likeness.import_photo", text="Person from Photo", icon="OUTLINER_OB_ARMATURE")


def _export(self, context: bpy.types.Context) -> None:
    self.layout.operator("likeness.export", text="Person (Likeness) (.glb/.fbx)")


MENUS = (("TOPBAR_MT_file_import", _import), ("VIEW3D_MT_mesh_add", _mesh), ("TOPBAR_MT_file_export", _export))


def add() -> None:
    for name, draw in MENUS:
        getattr(bpy.types, name).append(draw)


def remove() -> None:
    for name, draw in reversed(MENUS):
        getattr(bpy.types, name).remove(draw)


CLASSES = (LIKENESS_FH_photo,)
