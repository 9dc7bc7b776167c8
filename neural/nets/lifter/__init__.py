"""The lifter: landmarks of one person -> how every joint is turned, and how sure that is. Ours; no paper's network."""

from .net import Lifted, Lifter, LifterConfig, load, rotations_from_6d

__all__ = ["Lifted", "Lifter", "LifterConfig", "load", "rotations_from_6d"]
