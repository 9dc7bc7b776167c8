"""Seeds -> finished samples: pictures with all labels. The whole generator in one place.

    g = Generator(folder_or_pack, part="train", config=GeneratorConfig(size=256))
    sample = g(range(1000, 1008))             # dict of tensors, one row a seed; `FIELDS` says what they are

A sample depends on its seed, the assets and the config alone, not on the batch it is made in or on the machine (recipes are numpy on the
CPU; everything behind them is deterministic torch).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Sequence

import torch
from torch import Tensor

from neural.contract.frames import BLENDER_FROM_BODY

from . import pack as packs
from .build import build
from .build.stance import PHOTO_POSES
from .build.tailor import extend
from .casting import CastConfig, random_recipe
from .choices import Choices
from .draw.floor import floor_light
from .draw.light import lights_of
from .draw.raster import rasterize
from .draw.shade import exposed, picture
from .draw.wrinkles import fine_normals
from .errors.body import fitted
from .errors.landmarks import noisy
from .errors.mask import damaged
from .labels.body import body_maps
from .labels.face import face_box
from .labels.maps import maps
from .labels.occupancy import look
from .labels.queries import QueryConfig, sample as sample_queries
from .labels.texture import finish, layout, observed, painted, unwrap
from .photo.camera import Placed, place
from .photo.compose import Others, compose
from .photo.sensor import develop, replicated
from .recipe import CameraRecipe, Recipe
from .types import Pack, People

FIELDS = {
    "image": "(P, 3, S, S) sRGB in [0, 1]: the photo as s02's crop shows it, with all faults",
    "albedo": "(P, 3, S, S) linear, without light; 0 outside the person",
    "mask": "(P, S, S) bool: the person covers the pixel's centre, whatever stands in front",
    "visible": "(P, S, S) coverage of the person that is really seen",
    "mask_seen": "(P, S, S) in [0, 1]: the mask as s02 would give it",
    "depth_front, depth_back": "(P, S, S) metres, z of the true camera; 0 outside",
    "normal_front, normal_back": "(P, 3, S, S) unit, camera frame",
    "part_*, uv_*, place_*, height_*, layer_*": "labels/maps.py",
    "joints, landmarks (_px, _visible)": "labels/points.py",
    "body_*": "the body as s03 would fit it, drawn by its own camera (labels/body.py): depth, normal, part, uv of both sides, mask; joints; "
              "rotations, betas, scale, translation",
    "metres": "(P,) one true metre along the depth axis in the metres of s03's body (to_view)",
    "face_box, face_valid": "JIFF's square round the face, pixels",
    "texture, texture_valid, texture_seen, texture_visible": "the clothed surface on the body's UV layout: true albedo (linear); the photo's colours",
    "queries, inside, margin": "points of the world, camera frame, and whether they are inside (labels/queries.py)",
    "landmarks_seen, landmarks_trust": "(P, 33, 2) pixels and (P, 33) visibility in [0, 1]: BlazePose's landmarks as s02 would find them",
    "focal, centre, assumed_focal": "pixels",
    "border": "(P, 4) x0, y0, x1, y1 of the photo, pixels of the canvas; may lie beyond it",
}


@dataclass(frozen=True)
class GeneratorConfig:
    """size: pixels of a sample's side; supersample: picture samples of a pixel's side; body: whether the fitted body is drawn; texture:
    texels of the UV texture's side (0 = none); queries: points for implicit surfaces (None = none)."""

    size: int = 256
    supersample: int = 2
    body: bool = True
    texture: int = 0
    queries: QueryConfig | None = None
    cast: CastConfig = CastConfig()


class Generator:
    """A pack and what may be chosen from it."""

    def __init__(self, source: str | Path, part: str = "train", config: GeneratorConfig = GeneratorConfig(), device: str = "cpu"):
        """part: "train", "val" (train's things, other poses) or "held"."""
        loaded = "held" if part == "held" else "train"
        whole = extend(packs.load(source, loaded), (loaded,))
        self.choices = Choices.of(whole, packs.catalogue(source), part, tuple(PHOTO_POSES))
        self.pack: Pack = whole.to(device)
        self.config, self.device = config, torch.device(device)

    def recipe(self, seed: int) -> Recipe:
        return random_recipe(int(seed), self.choices, self.config.cast)

    def warm(self, seeds: Iterable[int]) -> None:
        """Only build the people of these seeds: what an item needs is worked out when it is first worn (about a third of a second each)."""
        build([self.recipe(s).person for s in seeds], self.pack)

    def __call__(self, seeds: Iterable[int]) -> dict[str, Tensor]:
        return self.draw([self.recipe(s) for s in seeds])

    @torch.no_grad()
    def draw(self, recipes: Sequence[Recipe]) -> dict[str, Tensor]:
        """The samples of given recipes."""
        c = self.config
        people = build([r.person for r in recipes], self.pack)
        placed = place(people, [r.camera for r in recipes], c.size)
        cameras = placed.cameras
        lights = lights_of([r.light for r in recipes], self.pack.surroundings)
        colour, cover, reflectance = picture(people, cameras, lights, self.pack.textures, c.supersample)
        gain = torch.tensor([2.0 ** r.light.exposure_ev for r in recipes], device=self.device)
        shadow = floor_light(people, cameras, exposed(lights, people, cameras), self.pack.textures)
        photo = compose([r.background for r in recipes], self.pack.surroundings, cameras, torch.cat([colour, cover[:, None]], 1),
                        self._companions(recipes), shadow, gain)
        image = replicated(develop(photo.picture, [r.sensor for r in recipes]), placed.border)
        inside = placed.inside()
        visible = photo.visible * inside
        hidden = (photo.hidden > 0.5) | ~inside
        front, back = rasterize(people, cameras, c.size, self.pack.textures)
        out = maps(people, cameras, front, back, fine_normals(people, front), fine_normals(people, back), hidden)
        seeds = torch.tensor([r.errors for r in recipes], dtype=torch.int64, device=self.device)
        found, trust = noisy(people.landmarks, cameras, seeds, inside)
        out |= {"landmarks_seen": found, "landmarks_trust": trust, "border": placed.border}
        out |= {"image": image, "albedo": reflectance, "visible": visible, "focal": cameras.focal, "centre": cameras.centre,
                "assumed_focal": placed.assumed_focal, "mask_seen": damaged(visible, image, seeds, out["joints_px"])}
        box = face_box(out["landmarks"], out["landmarks_px"], out["landmarks_visible"], cameras)
        out |= {"face_box": box["box"], "face_valid": box["valid"]}
        if c.body:
            out |= self._body(people, placed, seeds, out["joints"])
        if c.texture:
            out |= self._texture(people, placed, image, out, hidden)
        if c.queries is not None:
            points, inside_, margin = sample_queries(people, look(people), seeds, c.queries)
            seen = torch.einsum("pij,pqj->pqi", cameras.rotation, points) + cameras.shift[:, None]
            out |= {"queries": seen, "inside": inside_, "margin": margin}
        return out

    def _companions(self, recipes: Sequence[Recipe]) -> Others | None:
        """Other people, each drawn on a canvas of its own in the light of the picture that it is for."""
        pairs = [(k, c) for k, r in enumerate(recipes) for c in r.companions]
        if not pairs:
            return None
        people = build([c.person for _, c in pairs], self.pack)
        views = [CameraRecipe(fov_deg=recipes[k].camera.fov_deg, pitch_deg=recipes[k].camera.pitch_deg, fill=0.9) for k, _ in pairs]
        cameras = place(people, views, self.config.size).cameras
        lights = lights_of([recipes[k].light for k, _ in pairs], self.pack.surroundings)
        colour, cover, _ = picture(people, cameras, lights, self.pack.textures, 1)
        number = lambda values, kind=torch.float32: torch.tensor(values, dtype=kind, device=self.device)
        return Others(torch.cat([colour, cover[:, None]], 1), number([k for k, _ in pairs], torch.int64), number([c.offset for _, c in pairs]),
                      number([c.size for _, c in pairs]), number([c.front for _, c in pairs], torch.bool))

    def _body(self, people: People, placed: Placed, seeds: Tensor, joints: Tensor) -> dict[str, Tensor]:
        """Posed body maps with s03's errors."""
        turn = torch.as_tensor(BLENDER_FROM_BODY, dtype=people.rotations.dtype, device=self.device)   # the T-pose of frame `body`
        fit = fitted(people.rotations @ turn, people.betas, people.scale, people.joints, placed.cameras, seeds, placed.assumed_focal)
        drawn = body_maps(fit.view, fit.rotations, fit.betas, fit.scale, fit.translation)
        drawn.pop("vertices")
        out = {f"body_{k}": v for k, v in drawn.items()}
        out |= {"body_rotations": fit.rotations, "body_betas": fit.betas, "body_scale": fit.scale, "body_translation": fit.translation}
        true, guess = joints[:, 0, 2], fit.joints[:, 0, 2]
        out["metres"] = (guess / fit.view.focal) / (true / placed.cameras.focal)
        return out

    def _texture(self, people: People, placed: Placed, image: Tensor, labels: dict[str, Tensor], hidden: Tensor) -> dict[str, Tensor]:
        """UV textures: the true one, and what the photo shows of it."""
        seen = unwrap(people, self.config.texture)
        whole = finish(seen, painted(people, seen, self.pack.textures), layout(self.config.texture, str(self.device)))
        photo = observed(people, placed.cameras, seen, image, labels["depth_front"], labels["mask"], hidden)
        return {"texture": whole["colour"], "texture_valid": whole["valid"], "texture_seen": photo["colour"], "texture_visible": photo["visible"]}


def to_view(depth: Tensor, sample: dict[str, Tensor]) -> Tensor:
    """(P, S, S) true depth -> depth in the frame of s03's body: the pelvis where the fit has it, and lengths in its metres.

    s03 guesses height and lens. What it then sees of a person is, to first order, the same person scaled so that a pixel at the pelvis spans
    the same part of it; a network that is given that body must answer in its measure. 0 stays 0.
    """
    true, guess = sample["joints"][:, 0, 2], sample["body_joints"][:, 0, 2]
    moved = (depth - true[:, None, None]) * sample["metres"][:, None, None] + guess[:, None, None]
    return torch.where(depth > 0, moved, torch.zeros_like(depth))
