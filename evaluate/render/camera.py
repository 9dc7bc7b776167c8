"""Where the photographer stands: in front of the person, at eye-ish height, the whole person in the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural.contract.frames import Camera


@dataclass(frozen=True)
class ShotConfig:
    """One picture of one person.

    fov_deg       over the longer side; 2K2K §3.1 renders with 50.
    fill          part of the frame's height (or width, if that is tighter) that the person spans.
    eye           height of the camera, part of the person's height; it is pitched to centre the person.
    yaw_deg       the person turned counter-clockwise seen from above; 0 faces the camera.
    long_side     pixels of the picture's longer side; 3:4 upright unless the person is wider than tall.
    supersample   rays a pixel and axis.
    from_height   only what is above this part of the person's height is framed (0: all).
    """

    fov_deg: float = 50.0
    fill: float = 0.85
    eye: float = 0.85
    yaw_deg: float = 0.0
    long_side: int = 1280
    supersample: int = 2
    from_height: float = 0.0


def place(vertices: np.ndarray, config: ShotConfig) -> tuple[Camera, np.ndarray]:
    """Suite frame (V, 3) (metres, y up, facing +z) -> camera and camera_from_world (4, 4)."""
    if config.from_height:
        y = vertices[:, 1]
        vertices = vertices[y >= y.min() + config.from_height * np.ptp(y)]
    c, s = np.cos(np.radians(config.yaw_deg)), np.sin(np.radians(config.yaw_deg))
    yaw = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turned = vertices @ yaw.T
    low, high = turned.min(0), turned.max(0)
    wide = (high - low)[0] > (high - low)[1]
    short = int(round(config.long_side * 0.75))
    size = (config.long_side, short) if wide else (short, config.long_side)
    camera = Camera.from_fov(*size, config.fov_deg)
    middle = (low + high) / 2
    eye_y = low[1] + config.eye * (high[1] - low[1])

    def pose(distance: float) -> np.ndarray:
        """Camera at `distance` before the middle and at eye height, aimed so that the person is centred."""
        eye = np.array([middle[0], eye_y, middle[2] + distance])
        pitch, shift = np.arctan2(eye_y - middle[1], distance), 0.0
        for _ in range(8):
            turn = _looking_down(pitch)
            q = (turned - eye) @ turn.T
            y = q[:, 1] / q[:, 2]
            shift = float(np.arctan((y.max() + y.min()) / 2))
            pitch += shift
        out = np.eye(4)
        out[:3, :3] = _looking_down(pitch) @ yaw
        out[:3, 3] = -_looking_down(pitch) @ eye
        return out

    def span(distance: float) -> float:
        m = pose(distance)
        q = vertices @ m[:3, :3].T + m[:3, 3]
        if q[:, 2].min() < 0.05:
            return np.inf
        xy = np.abs(camera.project(q) - (camera.cx, camera.cy)) / (camera.width / 2, camera.height / 2)
        return float(xy.max())

    near, far = 0.3, 60.0
    for _ in range(50):
        distance = np.sqrt(near * far)
        near, far = (distance, far) if span(distance) > config.fill else (near, distance)
    return camera, pose(far)


def _looking_down(pitch: float) -> np.ndarray:
    """(3, 3) from y-up axes, looking along -z, to camera axes (x right, y down, z forward), pitched down (radians)."""
    c, s = np.cos(pitch), np.sin(pitch)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.diag([1.0, -1.0, -1.0])
