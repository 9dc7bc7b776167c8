"""People in an image: pose, face mesh, hands and silhouette, by the Apache-2.0 .tflite networks of MediaPipe 0.10.21
on LiteRT, with our own pre- and post-processing (libraries.md §3 has the constants and the measurements)."""

from .runtime import LandmarkNets

__all__ = ["LandmarkNets"]
