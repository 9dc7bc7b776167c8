"""A person, a camera, a light, a picture's faults: everything about one sample as plain numbers, decided by its seed alone.

`random_recipe` (casting.py) makes one; the same seed, catalogue and config give the same recipe on any machine (numpy's PCG64).
All classes turn into JSON and back (`to_json`, `from_json`), so that a sample can be written down, looked at and changed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

FABRICS = ("texture", "plain", "stripes", "checks", "dots", "print", "denim", "text", "camouflage", "knit", "flowers", "gradient", "blocks")
"""How a surface is coloured. "texture": the item's own picture, tinted. The rest are made from the place on the body (draw/fabric.py)."""


@dataclass(frozen=True)
class Fabric:
    """colours: three linear RGB triples; scale_m: period; angle: radians; gloss 0..1."""

    kind: str = "texture"
    colours: tuple = ((0.5, 0.5, 0.5),) * 3
    tint: tuple = (1.0, 1.0, 1.0)
    scale_m: float = 0.05
    angle: float = 0.0
    seed: int = 0
    gloss: float = 0.1


@dataclass(frozen=True)
class Worn:
    """One item. loose_m: how far it stands off (0 = as authored); fold_m, fold_length_m: height and wavelength of the folds in the geometry;
    fold_stretch: how much longer folds are than wide; wrinkle_m, wrinkle_length_m: of the fine ones in the normals; hang: 0 follows the
    limbs, 1 falls with gravity (skirts, coats); cut: part removed from the lower or outer edge (short sleeves, short legs), 0..1."""

    item: str
    fabric: Fabric = Fabric()
    loose_m: float = 0.0
    fold_m: float = 0.0
    fold_length_m: float = 0.08
    fold_stretch: float = 2.0
    wrinkle_m: float = 0.0
    wrinkle_length_m: float = 0.03
    hang: float = 0.0
    cut: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class PoseMix:
    """Names of library poses for parts of the body; empty = as `body`. photo: stand for a photo (made by pose.py, not the library).
    jitter_deg: spread of random turns added to every joint. lean_deg etc. come from the poses themselves."""

    body: str
    left_arm: str = ""
    right_arm: str = ""
    legs: str = ""
    head: str = ""
    left_hand: str = ""
    right_hand: str = ""
    mirror: bool = False
    photo: str = ""
    jitter_deg: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class PersonRecipe:
    """avatar: name of a whole character, or "" for a body with things to wear. shape: K unit normal coefficients of Base."""

    avatar: str = ""
    shape: tuple[float, ...] = ()
    expression: tuple[tuple[str, float], ...] = ()
    skin: str = ""
    skin_tint: tuple = (1.0, 1.0, 1.0)
    eyes: str = ""
    worn: tuple[Worn, ...] = ()
    pose: PoseMix = PoseMix("")
    yaw_deg: float = 0.0


@dataclass(frozen=True)
class CameraRecipe:
    """fov_deg over the canvas side; fill: part of the canvas the person's longer side spans; frame: "full", "knees", "upper", "head";
    shift: of the person's middle, parts of the canvas."""

    fov_deg: float = 50.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    fill: float = 0.9
    frame: str = "full"
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class LightRecipe:
    """map: name of an environment; turn_deg about the vertical; key: factor of the key light (0 = none); exposure_ev; ambient: factor;
    white_balance: part of the light's tint that the camera takes out; flat: 0..1 towards light from everywhere."""

    map: str = ""
    turn_deg: float = 0.0
    key: float = 1.0
    ambient: float = 1.0
    exposure_ev: float = 0.0
    white_balance: float = 0.7
    flat: float = 0.0


@dataclass(frozen=True)
class BackgroundRecipe:
    """view: name of a background or "" for colours (two linear RGB, a gradient); blur_px at 512; occluder: what stands in front: "", "box",
    "bar" or "plant" (other people are Recipe.companions)."""

    view: str = ""
    colours: tuple = ((0.5, 0.5, 0.5), (0.4, 0.4, 0.4))
    blur_px: float = 0.0
    occluder: str = ""
    seed: int = 0


@dataclass(frozen=True)
class SensorRecipe:
    """jpeg quality (0 = none), blur_px and motion_px at 512, noise (std of sRGB 0..1), gamma, white (RGB gains), rescale: real pixels per
    canvas pixel (< 1: enlarged from a smaller picture), sharpen (halo strength)."""

    jpeg: int = 0
    blur_px: float = 0.0
    motion_px: float = 0.0
    motion_angle: float = 0.0
    noise: float = 0.01
    gamma: float = 1.0
    white: tuple = (1.0, 1.0, 1.0)
    rescale: float = 1.0
    sharpen: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Companion:
    """Another person in the picture: behind the subject or in front of it; offset of its middle in canvas parts, size relative to the subject."""

    person: PersonRecipe
    offset: tuple[float, float]
    size: float
    front: bool


@dataclass(frozen=True)
class Recipe:
    """One sample. errors: seed of what s02 and s03 get wrong."""

    seed: int
    person: PersonRecipe
    camera: CameraRecipe = CameraRecipe()
    light: LightRecipe = LightRecipe()
    background: BackgroundRecipe = BackgroundRecipe()
    sensor: SensorRecipe = SensorRecipe()
    companions: tuple[Companion, ...] = ()
    errors: int = 0

    def to_json(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_json(data: dict) -> "Recipe":
        """The inverse of to_json (also after a round trip through text, which makes lists of tuples)."""
        return _read(Recipe, data)


_NESTED = {"person": PersonRecipe, "camera": CameraRecipe, "light": LightRecipe, "background": BackgroundRecipe,
           "sensor": SensorRecipe, "fabric": Fabric, "pose": PoseMix}
_MANY = {"worn": Worn, "companions": Companion}


def _read(kind, data: dict):
    values = {}
    for name, value in data.items():
        if name in _NESTED:
            value = _read(_NESTED[name], value)
        elif name in _MANY:
            value = tuple(_read(_MANY[name], v) for v in value)
        values[name] = _tuples(value)
    return kind(**values)


def _tuples(value):
    return tuple(_tuples(v) for v in value) if isinstance(value, (list, tuple)) else value
