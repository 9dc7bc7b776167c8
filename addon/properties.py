"""What the panels show of the jobs, and what the person chose: kept on the WindowManager (not saved, not undone)."""

import bpy
from bpy.props import (BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty,
                       StringProperty)

from ..neural.contract.job import JobOptions

PRESET_ITEMS = (
    ("draft", "Draft", "Small and quick: 512 pixel canvas, 20 000 triangles, 1K texture"),
    ("standard", "Standard", "The usual choice: 1024 pixel canvas, 60 000 triangles, 2K texture"),
    ("high", "High", "For close views: 2048 pixel canvas, 150 000 triangles, 4K texture"),
)
DEVICE_ITEMS = (
    ("auto", "Automatic", "The graphics card when it can be used, else the processor"),
    ("cpu", "Processor", "Works everywhere"),
    ("cuda", "NVIDIA", "An NVIDIA graphics card"),
    ("mps", "Apple", "The graphics of an Apple computer"),
)
SURFACE_ITEMS = (
    ("depth", "Depth maps", "Front and back depth, then Poisson"),
    ("pifuhd", "PIFuHD", "An implicit surface"),
    ("neural-code", "Neural code", "An implicit surface"),
)
DEPTH_ITEMS = (
    ("auto", "Automatic", "The 2K2K networks that come with Likeness; the fitted body where none do"),
    ("2k2k", "2K2K", "The 2K2K networks, from a checkpoint that you imported where there is one, else those that come with Likeness"),
    ("body-prior", "Fitted body", "No network: the fitted body, widened to the outline of the photo. Quick, but without folds and hair"),
)
TEXTURE_ITEMS = (
    ("auto", "Automatic", "The RefineTex network that comes with Likeness; mirrored colours where there is none"),
    ("refinetex", "RefineTex", "A network invents the colours of what the photo does not show"),
    ("mirror", "Mirrored", "No network: colours of the front, of the other side and of the garments, continued"),
)
SEQUENCE_ITEMS = (
    ("none", "Photos of People", "Each photo becomes a person of its own"),
    ("animated", "Frames, Animated", "The photos are frames of one person: one textured, rigged character with the motion as an Action"),
    ("per-frame", "Frames, a Mesh Each", "The photos are frames of one person: a mesh for every frame, each shown at its frame"),
)
CHECKPOINT_ITEMS = (
    ("2k2k", "2K2K", "Han et al., CVPR 2023, second phase of its training. Choose the depth '2K2K' to use it"),
    ("texformer", "Texformer", "Xu and Loy, ICCV 2021. It is checked and kept, but this version does not use it yet"),
)


class OptionsMixin:
    """The options of a job as Blender properties; shared by the operators and the panel."""

    preset: EnumProperty(name="Preset", description="How large and how fine", items=PRESET_ITEMS, default="standard")
    device: EnumProperty(name="Device", description="What computes", items=DEVICE_ITEMS, default="auto")
    surface: EnumProperty(name="Surface", description="How the surface is made", items=SURFACE_ITEMS, default="depth")
    depth: EnumProperty(name="Depth", description="How the front and the back of the person are found", items=DEPTH_ITEMS, default="auto")
    texture: EnumProperty(name="Texture", description="How what the photo does not show is coloured", items=TEXTURE_ITEMS, default="auto")
    remove_shading: BoolProperty(name="Remove Shading", default=False,
                                 description="Estimate how the light falls in the photo and take its shading out of the colours, so that the person "
                                             "can be lit anew. Cast shadows and highlights stay")
    face: BoolProperty(name="Refine Face", description="Refine the face where its network is there", default=True)
    height: FloatProperty(name="Height", description="Height of the person; 0: guessed from the body's proportions",
                          default=0.0, min=0.0, max=2.8, soft_max=2.2, precision=2, subtype="DISTANCE", unit="LENGTH")
    seed: IntProperty(name="Seed", description="Same seed, same result", default=0, min=0)
    person: IntProperty(name="Person", description="Which of the people found: 0 is the largest", default=0, min=0)
    body: StringProperty(name="Body", description="Your own SMPL body (.npz or .pkl); empty: the one that ships",
                         default="", subtype="FILE_PATH")


def job_options(source) -> JobOptions:
    """JobOptions from anything that has the mixin's properties. OptionError when they do not go together."""
    body = bpy.path.abspath(source.body) if source.body else None
    return JobOptions(preset=source.preset, device=source.device, surface=source.surface, depth=source.depth,
                      texture=source.texture, remove_shading=source.remove_shading, face=source.face, body=body,
                      height_m=round(source.height, 4) or None, seed=source.seed, person=source.person or None).checked()


def copy_options(source, target) -> None:
    """From one holder of the mixin's properties to another."""
    for name in OptionsMixin.__annotations__:
        setattr(target, name, getattr(source, name))


class LIKENESS_PG_options(OptionsMixin, bpy.types.PropertyGroup):
    """What the panel's Import uses."""


class LIKENESS_PG_job(bpy.types.PropertyGroup):
    """A row of the history. `name` is the photo's file name."""

    number: IntProperty()
    state: StringProperty()
    made: StringProperty()
    note: StringProperty()      # why it failed
    told: StringProperty()      # "waiting", "Surface 45 %", "12 s", …


class LIKENESS_PG_state(bpy.types.PropertyGroup):
    """The running job, the queue, the running task (set-up of the engine, import of a checkpoint), the last error."""

    options: PointerProperty(type=LIKENESS_PG_options)
    sequence: EnumProperty(name="A Folder Is", description="What the pictures of a folder are", items=SEQUENCE_ITEMS, default="none")
    jobs: CollectionProperty(type=LIKENESS_PG_job)
    active_job: IntProperty()
    running: BoolProperty()
    photo: StringProperty()
    label: StringProperty()
    fraction: FloatProperty(min=0, max=1)
    left: StringProperty()
    waiting: IntProperty()
    paused: BoolProperty()
    summary: StringProperty()
    task_running: BoolProperty()
    task_title: StringProperty()
    task_text: StringProperty()
    task_fraction: FloatProperty(min=-1, max=1)     # below 0: not known
    error_title: StringProperty()
    error_code: StringProperty()
    error_message: StringProperty()
    error_remedy: StringProperty()
    error_report: StringProperty()


def state(context: bpy.types.Context | None = None) -> LIKENESS_PG_state:
    """The state of this Blender."""
    return (context or bpy.context).window_manager.likeness


def show_error(error, report: str, title: str = "This photo did not work") -> None:
    """Keeps the error for the dialog and the panel."""
    s = state()
    s.error_title = title
    s.error_code, s.error_message, s.error_remedy, s.error_report = error.code, error.message, error.remedy, report


CLASSES = (LIKENESS_PG_options, LIKENESS_PG_job, LIKENESS_PG_state)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.WindowManager.likeness = PointerProperty(type=LIKENESS_PG_state)


def unregister() -> None:
    del bpy.types.WindowManager.likeness
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
