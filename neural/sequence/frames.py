"""The frames of a sequence: pictures in a folder, or a video; read one at a time, never all at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..context import Context
from ..contract.errors import SequenceError
from ..contract.photos import photos_in
from ..contract.sequences import DEFAULT_FPS, VIDEOS, frame_numbers, is_video
from ..stages.s01_photo import Photo, read_photo

LEAST = 3
"""Fewer frames have no acceleration."""
MOST = 20_000


@dataclass
class Frames:
    """numbers: of the frames in the source, in order; fps: frames (by number) a second. `photo(k)` reads the k-th; going forward is quick."""

    path: Path
    numbers: list[int]
    fps: float
    files: list[Path] = field(default_factory=list)
    _capture: cv2.VideoCapture | None = None
    _next: int = 0

    @property
    def times(self) -> np.ndarray:
        """(N,) seconds."""
        return np.array(self.numbers, np.float64) / self.fps

    def __len__(self) -> int:
        return len(self.numbers)

    def photo(self, k: int, context: Context) -> Photo:
        """Errors: those of s01, SequenceError sequence.unreadable."""
        if self.files:
            return read_photo(self.files[k], context)
        if self._capture is None or k < self._next:
            self.close()
            self._capture, self._next = _opened(self.path), 0
        while self._next < k:
            self._capture.grab()
            self._next += 1
        done, image = self._capture.read()
        self._next += 1
        if not done:
            raise _unreadable(self.path, f"frame {k} could not be decoded")
        return Photo(f"{self.path.stem}_{self.numbers[k]:04d}", np.ascontiguousarray(image[..., ::-1]), None, None, "opencv video")

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def open_frames(path: Path, names: tuple[str, ...] = (), fps: float | None = None) -> Frames:
    """Frames of a folder (names: only these) or a video. Errors: SequenceError sequence.missing, .unreadable, .too-few, .too-many, .sizes."""
    path = Path(path)
    if not path.exists():
        raise SequenceError("sequence.missing", f"There is no folder or video '{path.name}'.", "Choose it again; it may have been moved or renamed.")
    if path.is_dir():
        files = [path / n for n in names] if names else photos_in(path)
        found = Frames(path, frame_numbers([f.name for f in files]), fps or DEFAULT_FPS, files)
    elif is_video(path):
        found = _video(path, fps)
    else:
        raise _unreadable(path, "not a folder, and no suffix of a video")
    if len(found) < LEAST:
        raise SequenceError("sequence.too-few", f"'{path.name}' has only {len(found)} frame(s).", f"Give at least {LEAST} frames of one person, or import the "
                            "pictures as single photos.")
    if len(found) > MOST:
        raise SequenceError("sequence.too-many", f"'{path.name}' has {len(found)} frames; the limit is {MOST}.", "Cut it into pieces.")
    if found.files:
        _same_size(found.files)
    return found


def _same_size(files: list[Path]) -> None:
    """By the headers alone. What cannot be opened is left to the reading of that frame."""
    first = None
    for file in files:
        try:
            with Image.open(file) as image:
                size = image.size if image.getexif().get(274, 1) < 5 else image.size[::-1]
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        first = first or (file.name, size)
        if size != first[1]:
            raise SequenceError("sequence.sizes", f"The frames have different sizes: {first[0]} has {first[1][0]} x {first[1][1]} pixels, "
                                f"{file.name} has {size[0]} x {size[1]}.", "Give frames of one camera, all of one size.")


def _video(path: Path, fps: float | None) -> Frames:
    """The frames are counted by going through them: what containers say of their length is often wrong."""
    capture = _opened(path)
    said = capture.get(cv2.CAP_PROP_FPS)
    count = 0
    while count <= MOST and capture.grab():
        count += 1
    capture.release()
    if not count:
        raise _unreadable(path, "no frame could be decoded")
    return Frames(path, list(range(1, count + 1)), fps or (said if np.isfinite(said) and 0.1 <= said <= 1000 else DEFAULT_FPS))


def _opened(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise _unreadable(path, "it could not be opened")
    return capture


def _unreadable(path: Path, detail: str) -> SequenceError:
    return SequenceError("sequence.unreadable", f"The video '{path.name}' cannot be read.",
                         f"Convert it to MP4 (H.264), or to a folder of pictures; what can be read: {', '.join(VIDEOS)}.", detail)
