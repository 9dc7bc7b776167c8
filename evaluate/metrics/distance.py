"""Distances between surfaces and joints."""

from __future__ import annotations

import numpy as np

from .align import procrustes
from .closest import Surface


def surface_distances(ours: np.ndarray, our_surface: Surface, true: np.ndarray,
                      true_surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Samples (N, 3), (M, 3) -> distances (N,) of ours to the true surface, (M,) of the true to ours; metres."""
    return true_surface.closest(ours)[0], our_surface.closest(true)[0]


def summary(ours: np.ndarray, true: np.ndarray) -> dict:
    """p2s: mean distance of our points to the true surface (PIFu §5.1); s2p: of true points to our surface (ICON and others
    call this P2S); chamfer: their mean (PIFu). Metres in, cm out."""
    p2s, s2p = 100 * float(ours.mean()), 100 * float(true.mean())
    return {"p2s_cm": p2s, "s2p_cm": s2p, "chamfer_cm": (p2s + s2p) / 2}


def joint_errors(ours: np.ndarray, true: np.ndarray, known: np.ndarray | None = None, root: int = 0) -> dict:
    """Joints (J, 3), metres -> mpjpe_mm (roots laid together) and pa_mpjpe_mm (after Procrustes with scale)."""
    known = np.ones(len(true), bool) if known is None else known
    rooted = (ours - ours[root]) - (true - true[root])
    a, b = ours[known], true[known]
    return {"mpjpe_mm": 1000 * float(np.linalg.norm(rooted[known], axis=1).mean()),
            "pa_mpjpe_mm": 1000 * float(np.linalg.norm(procrustes(a, b)(a) - b, axis=1).mean())}
