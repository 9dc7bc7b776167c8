"""What a job is: one photo and the options that decide its result."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace

from .errors import OptionError
from .sequences import MODES

STAGES = (
    "s01_photo", "s02_person", "s03_body", "s04_coarse", "s05_parts", "s06_depth",
    "s07_points", "s08_face", "s09_surface", "s10_texture", "s11_rig",
)

STAGE_LABELS = {
    "s01_photo": "Reading the photo", "s02_person": "Finding the person", "s03_body": "Fitting the body",
    "s04_coarse": "Coarse shape", "s05_parts": "Detail of the parts", "s06_depth": "Fine depth",
    "s07_points": "Points", "s08_face": "Face", "s09_surface": "Surface", "s10_texture": "Texture",
    "s11_rig": "Rig", "output": "Writing files", "load": "Loading models",
    "q01_frames": "Looking at the frames", "q02_motion": "Fitting the motion", "q03_person": "Making the person",
    "q04_views": "Textures of other frames",
}
"""Plain names for people. q: of a sequence; their progress is that of the whole job."""


@dataclass(frozen=True)
class Preset:
    """Sizes that go together. The code is the same for all presets."""

    name: str
    canvas: int         # side of the square crop, pixels; the papers' setting is 2048 (2K2K §4)
    poisson_depth: int  # octree depth of screened Poisson
    faces: int          # triangle budget after decimation
    atlas: int          # side of the albedo atlas, texels


PRESETS = {
    "draft": Preset("draft", 512, 8, 20_000, 1024),
    "standard": Preset("standard", 1024, 9, 60_000, 2048),
    "high": Preset("high", 2048, 10, 150_000, 4096),
}

SURFACES = ("depth", "pifuhd", "neural-code")
DEPTHS = ("auto", "2k2k", "body-prior")
TEXTURES = ("auto", "refinetex", "mirror")
DEVICES = ("auto", "cpu", "cuda", "mps")


_KINDS = {  # by the annotations of JobOptions
    "str": lambda v: type(v) is str, "bool": lambda v: type(v) is bool, "int": lambda v: type(v) is int,
    "str | None": lambda v: v is None or type(v) is str, "int | None": lambda v: v is None or type(v) is int,
    "float | None": lambda v: v is None or type(v) in (int, float),
    "tuple[float, float] | None": lambda v: v is None or type(v) in (list, tuple) and len(v) == 2
    and all(type(x) in (int, float) and math.isfinite(x) for x in v),
    "tuple[str, ...]": lambda v: type(v) in (list, tuple) and len(v) <= 20_000 and all(type(x) is str for x in v),
}


@dataclass(frozen=True)
class JobOptions:
    """Everything a person can choose. Serialised in report.json, so that a job can be repeated."""

    preset: str = "standard"          # a key of PRESETS
    device: str = "auto"              # one of DEVICES
    surface: str = "depth"            # one of SURFACES
    depth: str = "auto"               # one of DEPTHS; auto = the 2K2K networks that ship, else body-prior; 2k2k = an imported
                                      # official checkpoint first
    texture: str = "auto"             # one of TEXTURES: the colours of what the photo does not show; auto = the RefineTex network that
                                      # ships, else mirror
    remove_shading: bool = False      # True: the photo's shading is estimated and taken out of the colours (albedo), for new light
    stitch: bool = False              # True: direct stitch of the two height fields instead of screened Poisson
    body: str | None = None           # path of the person's own SMPL .npz/.pkl; None = the body that ships
    face: bool = True                 # face refinement, where its network is there
    height_m: float | None = None     # metres; None = estimated by the body fit and said to be a guess
    seed: int = 0
    person: int | None = None         # which of the people found (0 = largest); None = largest
    person_at: tuple[float, float] | None = None   # or: the person at this photo pixel (x, y)
    mask: str | None = None           # path of a person's own mask image (photo size), instead of ours
    sequence: str | None = None       # one of sequences.MODES: the photo is a folder of frames, or a video; None = a photo
    fps: float | None = None          # frames a second of pictures; None = sequences.DEFAULT_FPS, or what the video says
    frames: tuple[str, ...] = ()      # names of the pictures of the folder; () = all

    def checked(self) -> "JobOptions":
        """Self, or OptionError with a remedy."""
        def choose(name: str, value: str, allowed) -> None:
            if value not in allowed:
                raise OptionError(f"option.{name}", f"There is no {name} called '{value}'.",
                                  f"Choose one of: {', '.join(allowed)}.")

        choose("preset", self.preset, PRESETS)
        choose("device", self.device, DEVICES)
        choose("surface", self.surface, SURFACES)
        choose("depth", self.depth, DEPTHS)
        choose("texture", self.texture, TEXTURES)
        if self.texture == "refinetex" and self.body is not None:
            raise OptionError("option.texture-body", "RefineTex paints the body that comes with Likeness, not your own one.",
                              "Leave out your own body, or use the texture 'auto' or 'mirror'.")
        if self.height_m is not None and not 0.4 <= self.height_m <= 2.8:
            raise OptionError("option.height", f"A height of {self.height_m:g} m is not that of a person.",
                              "Give the height in metres, between 0.4 and 2.8.")
        if self.sequence is not None:
            choose("sequence", self.sequence, MODES)
            if self.mask is not None:
                raise OptionError("option.sequence-mask", "A sequence cannot have one mask for all frames.", "Leave the mask out.")
            if self.remove_shading:
                raise OptionError("option.sequence-shading", "Shading is removed from photos, not from sequences.", "Leave --remove-shading out.")
        elif self.fps is not None or self.frames:
            raise OptionError("option.sequence", "Frames and frames a second belong to a sequence.", "Choose the sequence 'animated' or 'per-frame'.")
        if self.fps is not None and not 0.1 <= self.fps <= 1000:
            raise OptionError("option.fps", f"{self.fps:g} frames a second cannot be.", "Give a number between 0.1 and 1000, as 24.")
        if any(n in ("", ".", "..") or "/" in n or "\\" in n for n in self.frames):
            raise OptionError("option.frames", "Frames are named without their folder.", "Give names of pictures in the folder.")
        if self.person is not None and self.person < 0:
            raise OptionError("option.person", "The number of the person must be 0 or more.",
                              "0 is the largest person found, 1 the next, and so on.")
        return self

    @property
    def sizes(self) -> Preset:
        return PRESETS[self.preset]

    def to_json(self) -> dict:
        """As JSON gives it back: lists, no tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_json(data: dict) -> "JobOptions":
        """Unknown keys are an error: a newer Blender side must not be half-understood."""
        known = {f.name for f in fields(JobOptions)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise OptionError("option.unknown", f"This engine does not know the option(s) {', '.join(unknown)}.",
                              "Update the engine (Set Up Engine) so that it matches the extension.")
        for f in fields(JobOptions):
            if f.name in data and not _KINDS[f.type](data[f.name]):
                raise OptionError("option.type", f"The option '{f.name}' cannot be {str(data[f.name])[:40]!r}.", "Leave it out, or give what it stands for.")
        at = data.get("person_at")
        return replace(JobOptions(**data), person_at=tuple(at) if at is not None else None,
                       frames=tuple(data.get("frames", ()))).checked()
