"""One person's way through the networks in the three steps of the pipeline's stages; what a later step needs stays here.

Every step works out what comes before it where that is not there (a stage whose result came from the cache has not run).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...body.maps import from_stage
from ...contract.joints import LANDMARKS
from ...geometry.figure import forget, remembered
from .door import TRUSTED, Maps, View, compact_inputs, compact_maps, joints_from_landmarks, paper_inputs, paper_maps, paper_normals, sided
from .merge import Warps
from .net import Inputs, Output, TwoK
from .ours import Coarse

TILES = {"compact": {"cpu": 4, "cuda": 1}, "paper": {"cpu": 8, "cuda": 2}}
"""The canvas is worked on in tiles of Context.tile divided by this: the fastest on each (at 2048: no tiles)."""


UPTO = ("coarse", "parts", "depth")
"""The networks in their order. Where one is left out, what comes before it is enlarged (COMPACT)."""


def view_of(person, body, device: str = "cpu") -> View:
    """What the networks are told of one person: stages.s02_person.Person, stages.s03_body.Body."""
    camera = person.camera
    floats = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32), device=device)
    points = np.where(np.asarray(person.visibility)[:, None] < TRUSTED, np.nan, np.asarray(person.landmarks, np.float64))
    joints = joints_from_landmarks(points, LANDMARKS)
    return View(torch.as_tensor(np.ascontiguousarray(person.crop), device=device).permute(2, 0, 1)[None].float() / 255,
                floats(person.mask)[None, None], floats(person.inside)[None, None], floats([camera.fx]), floats([[camera.cx, camera.cy]]),
                joints[None], from_stage(body.maps, device), floats(body.joints[:1, 2]))


class Passes:
    """net: TwoK.for_inference's, kind "compact" or "paper"; tile: Context.tile; upto: of UPTO. Everything without gradients."""

    def __init__(self, net: TwoK, kind: str, view: View, tile: int = 2048, upto: str = "depth"):
        self.net, self.ours, self.view, self.upto = net, kind == "compact", view, upto
        if upto not in UPTO or upto != "depth" and not self.ours:
            raise ValueError(f"upto={upto!r} with {kind}")
        self.net.tile = max(tile // TILES[kind]["cuda" if view.image.is_cuda else "cpu"], 64)

    @torch.inference_mode()
    def coarse_maps(self) -> Maps:
        """Maps of c x c pixels, c as the network has it (256)."""
        return self._maps(self._coarse.normals, self._coarse.raw)

    @torch.inference_mode()
    def normals(self) -> Tensor:
        """(6, S, S) unit, camera axes, front then back; 0 where nothing was worked out."""
        return (sided(self._merged[:, :6]) if self.ours else paper_normals(self.view, self._merged))[0]

    @torch.inference_mode()
    def maps(self) -> Maps:
        """Maps of S x S pixels."""
        if self.upto != "depth":
            return self._maps(self._merged, F.interpolate(self._coarse.raw, self._merged.shape[-2:], mode="bilinear", align_corners=False))
        return self._maps(self._merged, self.net.fine(self._inputs, self._coarse, self._merged))

    def _maps(self, normals: Tensor, raw: Tensor) -> Maps:
        return compact_maps(self.view, normals, raw) if self.ours else paper_maps(self.view, Output(self._coarse, {}, self._warps, normals, raw))

    @cached_property
    def _inputs(self) -> Inputs:
        return compact_inputs(self.view) if self.ours else paper_inputs(self.view)

    @cached_property
    def _coarse(self) -> Coarse:
        return self.net.coarse(self._inputs)

    @cached_property
    def _warps(self) -> Warps:
        return self.net.warps(self._inputs)

    @cached_property
    def _merged(self) -> Tensor:
        parts = {} if self.upto == "coarse" else self.net.part_normals(self._inputs, self._coarse, self._warps)
        return self.net.merged(parts, self._warps, self._coarse)


def passes_of(model, person, body, context) -> Passes:
    """The newest person's Passes (models.TwoKModel). They go when the person goes, or by figure.forget("two_k")."""
    make = lambda: Passes(model.net, model.kind, view_of(person, body, model.device), context.tile, model.upto)
    found = remembered("two_k", person, body, make)
    if found.net is not model.net:
        forget("two_k")
        found = remembered("two_k", person, body, make)
    return found


def method_of(model) -> str:
    """What the report says."""
    return f"2k2k({model.kind})" + ("" if model.upto == "depth" else f", {model.upto} alone" if model.upto == "coarse" else ", without depth")
