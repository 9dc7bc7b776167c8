"""Import the photos of a folder: each as a person of its own, or all as the frames of one; or a video."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, StringProperty

from ..addon import properties
from ..neural.contract.errors import OptionError
from ..neural.contract.photos import SUFFIXES, photos_in
from ..neural.contract.sequences import VIDEOS, expand_sequences, is_video
from .import_photo import _PRIVATE
from .runner import QueueRunner, take_panel_options


def photos_of(directory: Path, names: list[str]) -> list[Path]:
    """The named files of a folder, each once, or all its photos in the order of their names (2 before 10)."""
    if names:
        return [directory / n for n in dict.fromkeys(names)]
    return photos_in(directory) if directory.is_dir() else []


class LIKENESS_OT_import_sequence(properties.OptionsMixin, QueueRunner, bpy.types.Operator):
    """Make a person from each photo of a folder, or one person from its frames or from a video; what is in the scene already is skipped"""

    bl_idname = "likeness.import_sequence"
    bl_label = "Import Folder"
    bl_options = {"REGISTER", "PRESET"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "SKIP_PRESET"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options=_PRIVATE)
    filter_glob: StringProperty(default=";".join(f"*{e}" for e in SUFFIXES + VIDEOS), options=_PRIVATE)
    sequence: EnumProperty(name="Pictures Are", description="What the pictures of the folder are", items=properties.SEQUENCE_ITEMS, default="none",
                           options={"SKIP_SAVE"})
    fps: FloatProperty(name="Frames a Second", description="Of a sequence; 0: 24, or what the video says", default=0.0, min=0.0, max=1000.0,
                       options={"SKIP_SAVE"})
    again: BoolProperty(name="Again", description="Also photos that are in the scene already, made with the same options",
                        default=False, options={"SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options=_PRIVATE)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.windowed = True
        take_panel_options(self, context)
        if not self.properties.is_property_set("sequence"):
            self.sequence = properties.state(context).sequence
        if self.directory:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else None
        names = [f.name for f in self.files if f.name]
        if folder and (self.sequence != "none" or any(is_video(Path(n)) for n in names)):
            return self._sequence(context, folder, names)
        photos = photos_of(folder, names) if folder else []
        return self.begin(context, photos, "There is no photo in this folder.", skip=not self.again)

    def _sequence(self, context: bpy.types.Context, folder: Path, names: list[str]) -> set[str]:
        """All that is chosen is of one person; a video is a sequence whatever was chosen for pictures."""
        try:
            found = expand_sequences([folder / n for n in names] or [folder])
        except OptionError as exc:
            return self.refuse(exc)
        if len(found) > 1:
            return self.refuse(OptionError("option.sequence", "A video and pictures, or several videos, are no one sequence.", "Choose one video, or pictures."))
        path, frames = found[0]
        mode = "animated" if self.sequence == "none" else self.sequence
        return self.begin(context, [path], "There is no picture in this folder.", skip=not self.again, sequence=mode, frames=frames, fps=self.fps or None)

    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        column = self.layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(self, "sequence")
        if self.sequence != "none":
            column.prop(self, "fps")
        self.layout.prop(self, "again")


CLASSES = (LIKENESS_OT_import_sequence,)
