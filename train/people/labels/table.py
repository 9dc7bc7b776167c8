"""Plain triangles as a table of People, so that one rasteriser draws everything."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Materials, People


def bare(vertices: Tensor, faces: Tensor, normals: Tensor | None = None) -> People:
    """P copies of one topology: vertices (P, V, 3) metres, faces (F, 3) int64, normals (P, V, 3) or None -> People with one plain opaque
    material, layer 0, no height, and zeros for all that a drawing of depth does not need. Face f of person p is row p * F + f."""
    count, rows = vertices.shape[:2]
    device, kind = vertices.device, vertices.dtype
    zeros = lambda *shape: torch.zeros(shape, dtype=kind, device=device)
    whole = lambda *shape: torch.zeros(shape, dtype=torch.int64, device=device)
    number = torch.arange(count, device=device)
    flat = vertices.reshape(-1, 3)
    all_faces = (faces[None] + number[:, None, None] * rows).reshape(-1, 3)
    eye = torch.eye(3, dtype=kind, device=device).expand(count, 24, 3, 3)
    material = Materials(whole(1) + 1, whole(1) - 1, zeros(1, 3, 3) + 0.5, zeros(1, 3) + 1, zeros(1) + 0.05, zeros(1), whole(1), zeros(1),
                         torch.zeros(1, dtype=torch.bool, device=device), zeros(1, 3) + torch.tensor([0.0, 0.03, 1.0], device=device))
    normals = zeros(count * rows, 3) if normals is None else normals.reshape(-1, 3)
    return People(
        vertices=flat, normals=normals, owner=number.repeat_interleave(rows), faces=all_faces,
        face_owner=number.repeat_interleave(len(faces)), material=whole(len(all_faces)), uv=zeros(len(flat), 2), rest=flat,
        rest_normals=normals, body_uv=zeros(len(flat), 2), body_place=flat,
        part=torch.zeros(len(flat), dtype=torch.uint8, device=device), height=zeros(len(flat)), layer=whole(len(all_faces)),
        joints=zeros(count, 24, 3), rotations=eye, betas=zeros(count, 10), scale=zeros(count) + 1, landmarks=zeros(count, 53, 3),
        stature=zeros(count) + 1.7, materials=material)
