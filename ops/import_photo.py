"""Import a photo (or several): File > Import, Add > Mesh, the panel, drag and drop, scripts."""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, StringProperty

from ..addon import properties
from ..neural.contract.photos import SUFFIXES
from .runner import QueueRunner, take_panel_options

_PRIVATE = {"HIDDEN", "SKIP_SAVE"}


class LIKENESS_OT_import_photo(properties.OptionsMixin, QueueRunner, bpy.types.Operator):
    """Make a textured, rigged person from one photo"""

    bl_idname = "likeness.import_photo"
    bl_label = "Import Photo"
    bl_options = {"REGISTER", "PRESET"}      # no UNDO flag: every finished person is an undo step of its own

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE", "SKIP_PRESET"})
    directory: StringProperty(subtype="DIR_PATH", options=_PRIVATE)
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options=_PRIVATE)
    filter_glob: StringProperty(default=";".join(f"*{e}" for e in SUFFIXES), options=_PRIVATE)

    def photos(self) -> list[Path]:
        """The chosen files, each once."""
        chosen = [Path(self.directory) / f.name for f in self.files if f.name] if self.directory else []
        if not chosen and self.filepath:
            chosen = [Path(self.filepath)]
        return list(dict.fromkeys(Path(bpy.path.abspath(str(p))) for p in chosen))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.windowed = True
        take_panel_options(self, context)
        if self.photos():                     # dropped, or given by a script
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self.begin(context, self.photos(), "No photo was chosen.")


CLASSES = (LIKENESS_OT_import_photo,)
