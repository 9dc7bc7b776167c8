"""SSD anchors, box decoding and weighted non-maximum suppression (Liu et al. 2016; BlazeFace §4 for the weighted
mean). Coordinates here are fractions of the network's square input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class DetectorSpec:
    """Fixed-size anchors: `grids` lists (cells per side, anchors per cell) in the network's output order."""

    net: str
    side: int
    grids: tuple[tuple[int, int], ...]
    keypoints: int
    minus_one_to_one: bool      # input range [-1, 1], else [0, 1]
    min_score: float = 0.5
    min_iou: float = 0.3


POSE = DetectorSpec("pose_detection", 224, ((28, 2), (14, 2), (7, 6)), 4, True)     # libraries.md §3: 2254 anchors
FACE = DetectorSpec("face_detection", 192, ((48, 1),), 6, True)                     # 2304 anchors
PALM = DetectorSpec("palm_detection", 192, ((24, 2), (12, 6)), 7, False)            # 2016 anchors


@lru_cache(maxsize=None)
def centres(spec: DetectorSpec) -> np.ndarray:
    """(A, 2) float32 anchor centres x, y; rows first, all anchors of a cell together."""
    parts = []
    for cells, per_cell in spec.grids:
        line = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        xy = np.stack(np.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2)
        parts.append(np.repeat(xy, per_cell, axis=0))
    return np.concatenate(parts)


def decode(spec: DetectorSpec, raw: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """raw (A, 4 + 2K), logits (A, 1) -> scores (N,), boxes (N, 4) x0 y0 x1 y1, keypoints (N, K, 2), best first."""
    scores = 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -100, 100)))
    keep = np.flatnonzero(scores >= spec.min_score)
    keep = keep[np.argsort(-scores[keep], kind="stable")]
    values = raw[keep].reshape(len(keep), 2 + spec.keypoints, 2).astype(np.float64) / spec.side
    anchor = centres(spec)[keep]
    middle, half = values[:, 0] + anchor, values[:, 1] / 2
    boxes = np.concatenate([middle - half, middle + half], -1)
    return scores[keep], boxes, values[:, 2:] + anchor[:, None]


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(4,), (N, 4) -> (N,) intersection over union."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    area = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    return inter / np.maximum(area - inter, 1e-12)


def suppress(scores: np.ndarray, boxes: np.ndarray, keypoints: np.ndarray, min_iou: float):
    """Weighted suppression: overlapping detections become their score-weighted mean. Same shapes as `decode` gives."""
    out_s, out_b, out_k = [], [], []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        same = iou(boxes[left[0]], boxes[left]) > min_iou
        same[0] = True          # a degenerate box overlaps nothing, itself included
        group = left[same]
        w = scores[group] / scores[group].sum()
        out_s.append(scores[group[0]])
        out_b.append((w[:, None] * boxes[group]).sum(0))
        out_k.append((w[:, None, None] * keypoints[group]).sum(0))
        left = left[~same]
    k = keypoints.shape[1]
    return np.array(out_s), np.array(out_b).reshape(-1, 4), np.array(out_k).reshape(-1, k, 2)
