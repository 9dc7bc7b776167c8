"""What the parts of the generator hand to each other.

    seed -> recipe (recipe.py) -> People (build/) -> Drawing (draw/) -> picture (photo/) and labels (labels/) -> Sample

World: frame `blender` (metres, z up, a person of yaw 0 faces -y, the lowest point of the shoes at z = 0). Several people are
handled at once as flat tables: rows of all people one after the other, `owner` says whose row it is. All tensors of a call lie
on one device; the same code runs on CPU and CUDA.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


class _OnDevice:
    def to(self, device: str | torch.device):
        """The same table on another device."""
        return type(self)(**{f.name: v.to(device) if hasattr(v := getattr(self, f.name), "to") else v for f in fields(self)})


@dataclass(frozen=True)
class Textures(_OnDevice):
    """T pictures, each with L mip levels (level l is half as large as l - 1, at least 1), in one table of texels.

    texels (M, 4) uint8 sRGB and alpha; offset, width, height (T, L) int64: texel (x, y) of level l of picture t is row
    offset[t, l] + y * width[t, l] + x, row y = 0 at the top (v = 1). names: T strings such as "skins/NAME", "eyes/NAME", "clothes/NAME";
    part: T of "train" | "held" (empty: all train).
    """

    texels: Tensor
    offset: Tensor
    width: Tensor
    height: Tensor
    names: tuple[str, ...]
    part: tuple[str, ...] = ()


@dataclass(frozen=True)
class Base(_OnDevice):
    """MakeHuman's base mesh (hm08: N = 19158 vertices, helpers included) in all shapes; B = 163 bones; K shape modes.

    mean (N, 3), modes (N, 3, K) float32: rest vertices = mean + modes @ k, metres, frame `blender` axes, A-pose; k are unit normal.
    heads (B, 3), head_modes (B, 3, K): bone heads at rest. parents (B,) int64, -1 = root; bones: B names.
    skin_bone (N, 6) int64, skin_weight (N, 6) float32, rows sum to 1 (helpers too).
    betas (K, 10), betas_mean (10,): our body model's shape (neural/body) = betas_mean + k @ betas, linear regression.
    smpl_bone (24,) int64: the bone whose head is each SMPL joint. tpose (24, 3, 3): rotation from this rest to the T-pose.
    expressions: E names; expression (E, N, 3) float32 metres: face shapes (mouth open, smile, lids closed, …), weights in [0, 1].
    groups: named sets of base vertices or faces that tailoring needs ("skirt helper", "tights helper", "left hand", …), int64.
    """

    mean: Tensor
    modes: Tensor
    heads: Tensor
    head_modes: Tensor
    parents: Tensor
    bones: tuple[str, ...]
    skin_bone: Tensor
    skin_weight: Tensor
    betas: Tensor
    betas_mean: Tensor
    smpl_bone: Tensor
    tpose: Tensor
    expressions: tuple[str, ...]
    expression: Tensor
    groups: dict[str, Tensor]


@dataclass(frozen=True)
class Item:
    """One thing that can be worn (or the body itself, item 0); I of them; rows into the tables of Items.

    slot: body, eyes, teeth, tongue, eyebrows, eyelashes, full, top, bottom, dress, coat, shoes, socks, hat, glasses, hair, beard, bag …
    sex: "f", "m", "any". part: "train" or "held" (split.py). layer: larger lies outside (body 0).
    coarse, fine, faces: (start, stop) rows. texture: row of Textures or -1. alpha: cut out by the texture's alpha.
    hides: base vertices that this item covers (their skin faces are left out). cloth: may be displaced, inflated, re-coloured.
    """

    name: str
    slot: str
    sex: str
    part: str
    layer: int
    coarse: tuple[int, int]
    fine: tuple[int, int]
    faces: tuple[int, int]
    texture: int
    alpha: bool
    cloth: bool
    hides: Tensor
    licence: str
    author: str


@dataclass(frozen=True)
class Items(_OnDevice):
    """Everything wearable, fitted to Base: C coarse vertices (as authored), V fine ones (subdivided, split at texture seams), F faces.

    Fit: coarse point i = sum_j mix[i, j] * rest[ref[i, j]] + offset[i] * s(axis), s(axis) = |rest[a] - rest[b]|_axis / length
    (README of the assets; here converted to metres and `blender` axes).
    ref (C, 3) int64, mix (C, 3), offset (C, 3) float32; scale_pair (I, 3, 2) int64 base vertices a, b (-1: s = 1), scale_length (I, 3).
    Fine vertex v = sum_j fine_weight[v, j] * coarse[fine_index[v, j]] (V, 8): Catmull-Clark rows, or one row when not subdivided.
    skin_bone (V, 6), skin_weight (V, 6) as Base. uv (V, 2), v up. weld (V,) int64: equal for fine vertices at one place (normals).
    faces (F, 3) int64 outward, into V. neutral (V, 3): place on the mean body at rest (solid patterns and folds are functions of it).
    body_uv (V, 2): the body's texture coordinate (neural/body layout) that this place covers; body_place (V, 3): nearest point of the
    mean body in its T-pose, frame `body`; part (V,) uint8: SMPL joint of the body's part there. height (V,): metres off the mean skin.
    """

    items: tuple[Item, ...]
    ref: Tensor
    mix: Tensor
    offset: Tensor
    scale_pair: Tensor
    scale_length: Tensor
    fine_index: Tensor
    fine_weight: Tensor
    skin_bone: Tensor
    skin_weight: Tensor
    uv: Tensor
    weld: Tensor
    faces: Tensor
    neutral: Tensor
    body_uv: Tensor
    body_place: Tensor
    part: Tensor
    height: Tensor


@dataclass(frozen=True)
class WholePerson:
    """A whole clothed character by another artist (train part only in a pack). Tables as in Items, on its own skeleton of J bones.

    rest (V, 3) T-pose, frame `blender`; skin_bone, skin_weight (V, 4); heads (J, 3); parents (J,); library_bone (J,) int64 row of the
    pose library's bones, -1 = follow the parent; align (J, 3, 3): world rotation of a bone = R_library(bone) @ align. betas (10,), scale:
    our body model fitted to the bones' lengths. face_texture (F,) row of Textures.
    """

    name: str
    sex: str
    rest: Tensor
    skin_bone: Tensor
    skin_weight: Tensor
    heads: Tensor
    parents: Tensor
    library_bone: Tensor
    align: Tensor
    smpl_bone: Tensor
    betas: Tensor
    scale: float
    faces: Tensor
    uv: Tensor
    weld: Tensor
    face_texture: Tensor
    body_uv: Tensor
    body_place: Tensor
    part: Tensor
    height: Tensor


@dataclass(frozen=True)
class Poses(_OnDevice):
    """P poses: rotation (P, 163, 3, 3) float32 world rotation of each bone relative to Base's rest, `blender` axes; names; standing (P,) bool;
    clip: P names (poses of one motion share it); part: P of "train" | "val" | "held"."""

    rotation: Tensor
    names: tuple[str, ...]
    standing: Tensor
    clip: tuple[str, ...]
    part: tuple[str, ...]
    licence: tuple[str, ...]


@dataclass(frozen=True)
class Surroundings(_OnDevice):
    """lights: H names, ambient (H, 9, 3) spherical harmonics of radiance without the key light, key_direction (H, 3), key_irradiance (H, 3),
    key_angle (H,) radians (light.py); backgrounds (G, h, w, 3) uint8 sRGB, level views; background_names G; parts as in Poses."""

    lights: tuple[str, ...]
    light_part: tuple[str, ...]
    ambient: Tensor
    key_direction: Tensor
    key_irradiance: Tensor
    key_angle: Tensor
    background_names: tuple[str, ...]
    background_part: tuple[str, ...]
    backgrounds: Tensor


@dataclass(frozen=True)
class Pack:
    """All ingredients in memory, read by pack.load(path_or_folder)."""

    base: Base
    items: Items
    people: tuple[WholePerson, ...]
    poses: Poses
    textures: Textures
    surroundings: Surroundings

    def to(self, device: str | torch.device) -> "Pack":
        move = lambda p: WholePerson(**{f.name: v.to(device) if hasattr(v := getattr(p, f.name), "to") else v for f in fields(p)})
        return Pack(self.base.to(device), self.items.to(device), tuple(map(move, self.people)), self.poses.to(device),
                    self.textures.to(device), self.surroundings.to(device))


@dataclass(frozen=True)
class Materials(_OnDevice):
    """How M surfaces look. kind (M,) int64: index into recipe.FABRICS ("texture", "plain", "stripes", …). texture (M,) row or -1.

    colours (M, 3, 3) linear RGB of a pattern; tint (M, 3) multiplies a texture; scale (M,) metres of a pattern's period; angle (M,) radians;
    seed (M,) int64; gloss (M,) 0 matt to 1 wet; alpha (M,) bool: cut out. wrinkle (M, 3): height (metres), wavelength (metres), how much
    longer than wide; fine folds that only tilt normals.
    """

    kind: Tensor
    texture: Tensor
    colours: Tensor
    tint: Tensor
    scale: Tensor
    angle: Tensor
    seed: Tensor
    gloss: Tensor
    alpha: Tensor
    wrinkle: Tensor


@dataclass(frozen=True)
class People(_OnDevice):
    """P posed people: V vertices, F faces.

    vertices (V, 3) world metres; normals (V, 3) unit, smooth, outward; owner (V,) int64; faces (F, 3) int64; face_owner (F,) int64; material (F,)
    int64 row of materials; uv (V, 2); rest (V, 3) place on the mean person at rest (Items.neutral); rest_normals (V, 3) unit there;
    body_uv (V, 2); body_place (V, 3); part (V,) uint8; height (V,) metres off the skin; layer (F,) int64.
    joints (P, 24, 3) world, SMPL order; rotations (P, 24, 3, 3): our body model's world rotations (relative to its T-pose), world axes;
    betas (P, 10), scale (P,); landmarks (P, 53, 3) world: neural/body's landmark names; stature (P,) metres standing at rest, shoes and hair.
    """

    vertices: Tensor
    normals: Tensor
    owner: Tensor
    faces: Tensor
    face_owner: Tensor
    material: Tensor
    uv: Tensor
    rest: Tensor
    rest_normals: Tensor
    body_uv: Tensor
    body_place: Tensor
    part: Tensor
    height: Tensor
    layer: Tensor
    joints: Tensor
    rotations: Tensor
    betas: Tensor
    scale: Tensor
    landmarks: Tensor
    stature: Tensor
    materials: Materials

    @property
    def count(self) -> int:
        return len(self.joints)


@dataclass(frozen=True)
class Cameras(_OnDevice):
    """P pinhole cameras of one canvas size. rotation (P, 3, 3), shift (P, 3): camera = rotation @ world + shift (x right, y down, z forward);
    focal (P,), centre (P, 2) pixels of a `size` x `size` canvas (pixel centres at + 0.5)."""

    rotation: Tensor
    shift: Tensor
    focal: Tensor
    centre: Tensor
    size: int

    def at(self, size: int) -> "Cameras":
        """The same view on a canvas of another size."""
        k = size / self.size
        return Cameras(self.rotation, self.shift, self.focal * k, self.centre * k, size)


@dataclass(frozen=True)
class Fragments(_OnDevice):
    """What a canvas shows: N covered pixels of P pictures, sorted by pixel. picture, y, x, face (N,) int64; bary (N, 3) float32, perspective-
    correct; depth (N,) float32 z metres. size: the canvas."""

    picture: Tensor
    y: Tensor
    x: Tensor
    face: Tensor
    bary: Tensor
    depth: Tensor
    count: int
    size: int

    def interpolate(self, values: Tensor, faces: Tensor) -> Tensor:
        """(V, C) per vertex -> (N, C) at the fragments."""
        return (values[faces[self.face]] * self.bary[..., None]).sum(1)

    def image(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """(N, C) -> (P, C, size, size); (N,) -> (P, size, size)."""
        flat = values if values.dim() == 2 else values[:, None]
        out = flat.new_full((self.count * self.size * self.size, flat.shape[1]), fill)
        out[(self.picture * self.size + self.y) * self.size + self.x] = flat
        out = out.view(self.count, self.size, self.size, -1)
        return out.permute(0, 3, 1, 2) if values.dim() == 2 else out[..., 0]
