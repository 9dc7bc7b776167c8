"""The .tflite files, loaded when first needed and kept between jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...contract.errors import EngineError

FILES = {
    "pose_detection": "pose_detection.tflite",
    "pose_landmark": "pose_landmark_full.tflite",
    "face_detection": "face_detection_full_range_sparse.tflite",
    "face_landmark": "face_landmark.tflite",
    "palm_detection": "palm_detection_full.tflite",
    "hand_landmark": "hand_landmark_full.tflite",
    "selfie": "selfie_segmentation.tflite",
}
"""Our name of each network -> its file."""

FOLDER = Path(__file__).resolve().parents[2] / "weights" / "landmarks"

_REMEDY = "Press Set Up Engine in the preferences of Likeness (or run dev.py again): it puts the models back."


class LandmarkNets:
    """All landmark networks of one worker. Not for several threads at once: an interpreter holds its own buffers."""

    def __init__(self, folder: Path | None = None, threads: int = 1):
        """folder: where the .tflite files lie (default: neural/weights/landmarks). threads: per network call."""
        self.folder = Path(folder) if folder is not None else FOLDER
        self.threads = threads
        self._loaded: dict[str, object] = {}

    def check(self) -> None:
        """Raise EngineError "engine.models-missing" when a file is absent; loads nothing."""
        missing = [f for f in FILES.values() if not (self.folder / f).is_file()]
        if missing:
            raise EngineError("engine.models-missing",
                              f"The landmark models are not complete: {', '.join(missing)} is missing.", _REMEDY)

    def release(self) -> None:
        """Forget all loaded networks (their memory goes back)."""
        self._loaded.clear()

    def input_side(self, net: str) -> int:
        """Side of the square input of a network, pixels."""
        return int(self._interpreter(net).get_input_details()[0]["shape"][1])

    def run(self, net: str, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """(n, n, 3) float32 in the network's own range -> its outputs, float32, batch axis removed, file order."""
        interpreter = self._interpreter(net)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"],
                               np.ascontiguousarray(image[None], np.float32))
        interpreter.invoke()
        return tuple(interpreter.get_tensor(d["index"])[0] for d in interpreter.get_output_details())

    def _interpreter(self, net: str):
        if net not in self._loaded:
            path = self.folder / FILES[net]
            if not path.is_file():
                raise EngineError("engine.models-missing", f"The landmark model {path.name} is missing.", _REMEDY)
            try:
                from ai_edge_litert.interpreter import Interpreter
            except ImportError as exc:
                raise EngineError("engine.library-missing",
                                  "The library that runs the landmark models (ai-edge-litert) is missing.",
                                  _REMEDY, str(exc)) from exc
            try:
                interpreter = Interpreter(str(path), num_threads=self.threads)
                interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as exc:
                raise EngineError("engine.models-broken", f"The landmark model {path.name} cannot be loaded.",
                                  _REMEDY, str(exc)) from exc
            self._loaded[net] = interpreter
        return self._loaded[net]
