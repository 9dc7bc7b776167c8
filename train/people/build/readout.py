"""What a posed person is in terms of our body model: rotations of its 24 joints, landmarks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from neural.body.model import BodyModel
from neural.contract.joints import JOINT

from ..types import Base
from .rows import Rows
from .skin import mix
from .turn import nearest

if TYPE_CHECKING:
    from .prepare import Prepared

_BLENDED = {"hip": (("upperleg01", 0.3), ("upperleg02", 0.7)), "knee": (("lowerleg01", 0.6), ("lowerleg02", 0.4)),
            "shoulder": (("upperarm01", 0.3), ("upperarm02", 0.7)), "elbow": (("lowerarm01", 0.5), ("lowerarm02", 0.5)),
            "hand": (("finger2-1", 0.25), ("finger3-1", 0.25), ("finger4-1", 0.25), ("finger5-1", 0.25))}
"""Joints of our model that stand for several bones (twists are spread over two; fingers move together)."""


def model_rotations(rotations: Tensor, base: Base, bone: dict[str, int]) -> Tensor:
    """World rotations of the bones (P, B, 3, 3) -> of the model's 24 joints, relative to its T-pose."""
    out = rotations[:, base.smpl_bone].clone()
    for part, bones in _BLENDED.items():
        for side in ("left", "right"):
            names = [(f"{b}.{side[0].upper()}", w) for b, w in bones]
            out[:, JOINT[f"{side}_{part}"]] = nearest(sum(w * rotations[:, bone[b]] for b, w in names))
    return out @ base.tpose.transpose(1, 2)


@lru_cache(maxsize=1)
def model() -> BodyModel:
    """The body model that ships."""
    return BodyModel.load()


def landmark_rows(uv: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Landmarks as mixtures of a mesh's vertices: rows (L, 8), weights (L, 8). uv (V, 2), place (V, 3): body_uv and body_place of its vertices;
    the model's vertices are found by both."""
    body = model()
    uv_of = np.zeros((len(body.template), 2))
    uv_of[body.faces.ravel()] = body.uv[body.uv_faces.ravel()]
    used, inverse = np.unique(body.landmark_index, return_inverse=True)
    key = lambda t, p: np.concatenate([0.5 * np.asarray(t, np.float64), np.asarray(p, np.float64)], 1)
    found = cKDTree(key(uv.cpu(), place.cpu())).query(key(uv_of[used], body.template[used]))[1]
    index = torch.from_numpy(found[inverse.reshape(body.landmark_index.shape)])
    return index.to(uv.device), torch.from_numpy(body.landmark_weight).float().to(uv.device)


def landmarks(place: Tensor, rows: Rows, ready: Prepared) -> Tensor:
    """(P, L, 3) of posed vertices (V, 3) of `rows`."""
    index, weight = ready.landmark_rows
    start = rows.first[rows.rank == 0]
    flat = mix(place, (index[None] + start[:, None, None]).reshape(-1, index.shape[1]), weight.repeat(len(start), 1))
    return flat.view(len(start), len(index), 3)
