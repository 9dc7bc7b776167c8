"""recipe + Pack -> People: shape, garments, pose, folds, layers, hair."""

from .people import build

__all__ = ["build"]
