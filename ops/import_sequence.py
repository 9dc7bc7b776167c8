"""Import all photos of a folder, one after the other, each as a person of its own."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty

from ..addon import properties
from ..neural.contract.photos import SUFFIXES, photos_in
from .import_photo import _PRIVATE
from .runner import QueueRunner, take_panel_options


def photos_of(directory: Path, names: list[str]) -> list[Path]:
    """The named files of a folder, each once, or all its photos in the order of their names (2 before 10)."""
    if names:
        return [directory / n for n in dict.fromkeys(names)]
    return photos_in(directory) if directory.is_dir() else []


class LIKENESS_OT_import_sequence(properties.OptionsMixin, QueueRunner, bpy.types.Operator):
    """Make a person from each photo of a folder; those that are in the scene already are skipped"""

    bl_idname = "likeness.import_sequence"
    bl_label = "Import Folder"
    bl_options = {"REGISTER", "PRESET"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "SKIP_PRESET"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options=_PRIVATE)
    filter_glob: StringProperty(default=";".join(f"*{e}" for e in SUFFIXES), options=_PRIVATE)
    again: BoolProperty(name="Again", description="Also photos that are in the scene already, made with the same options",
                        default=False, options={"SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options=_PRIVATE)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.windowed = True
        take_panel_options(self, context)
        if self.directory:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else None
        photos = photos_of(folder, [f.name for f in self.files if f.name]) if folder else []
        return self.begin(context, photos, "There is no photo in this folder.", skip=not self.again)

    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        self.layout.prop(self, "again")


CLASSES = (LIKENESS_OT_import_sequence,)
