"""Writes everything that a job leaves behind. report.json comes last, so its presence means that all is there."""

from __future__ import annotations

import errno
import json
import time
from pathlib import Path

import cv2
import numpy as np

from .contract.errors import output_error
from .contract.result import Report, StageReport
from .memory import peak_mb, reset_peak
from .preview import contact_sheet
from .stages.s01_photo import Photo
from .stages.s02_person import Person
from .stages.s03_body import Body
from .stages.s05_parts import Normals
from .stages.s06_depth import Depths
from .stages.s09_surface import Surface
from .stages.s10_texture import Texture
from .stages.s11_rig import Rig


def write_result(out: Path, photo: Photo, person: Person, body: Body, normals: Normals, depths: Depths,
                 surface: Surface, texture: Texture, rig: Rig, report: Report, began: float) -> dict:
    """Write mesh.ply, albedo.png (albedo_body.png where RefineTex has painted), normal.png, preview.png, stages/, result.npz, report.json into
    `out`.

    Returns the report. Raises OutputError when the disk is full or the folder is not writable.
    """
    start = time.perf_counter()
    reset_peak()
    try:
        (out / "stages").mkdir(parents=True, exist_ok=True)
        (out / "report.json").unlink(missing_ok=True)     # an older one would say that what is now half-written is all there
        write_ply(out / "mesh.ply", surface.vertices, surface.faces, surface.normals, texture.vertex_color)
        write_png(out / "albedo.png", texture.albedo)
        (out / "albedo_body.png").unlink(missing_ok=True)     # an older one would be another texture's
        if texture.body_albedo is not None:
            write_png(out / "albedo_body.png", texture.body_albedo)
        write_png(out / "normal.png", texture.normal_map)
        write_png(out / "preview.png", contact_sheet(person, body, surface, texture, rig))
        _write_stages(out / "stages", photo, person, body, normals, depths, texture)
        report.stages.append(StageReport("output", time.perf_counter() - start, peak_mb(), "files"))
        report.seconds = time.perf_counter() - began
        result = report.to_json()
        np.savez(out / "result.npz", **handover(photo, body, surface, texture, rig, result))
        (out / "report.json").write_text(json.dumps(result, indent=1), "utf-8")
    except OSError as exc:
        raise output_error(exc, out.parent) from exc      # `out` itself is a working folder that nobody asked for
    return result


def handover(photo: Photo, body: Body, surface: Surface, texture: Texture, rig: Rig, report: dict) -> dict:
    """The arrays of result.npz (contract.result.HANDOVER)."""
    return {
        "name": np.array(photo.name), "vertices": rig.rest_vertices.astype(np.float32), "faces": surface.faces,
        "uv": texture.uv[texture.uv_faces.ravel()], "body_uv": texture.body_uv[texture.body_uv_faces.ravel()],
        "vertex_color": texture.vertex_color, "seen": texture.vertex_seen,
        "weight_joints": rig.weight_joints, "weight_values": rig.weight_values,
        "joint_names": np.array(rig.joint_names), "parents": rig.parents, "rest_joints": rig.rest_joints,
        "pose_photo": rig.pose_photo, "camera_from_rest": rig.camera_from_rest, "pose_a": rig.pose_a,
        "surface_vertices": surface.vertices, "up": np.asarray(body.up, np.float64), "body_vertices": rig.body_vertices, "body_faces": body.faces,
        "body_weight_joints": rig.body_joints, "body_weight_values": rig.body_values,
        "fitted_uv": body.uv[body.uv_faces.ravel()] if len(body.uv) else np.zeros((0, 2), np.float32),
        "height_m": np.array(float(body.height_m)), "report": np.array(json.dumps(report)),
    }


def write_png(file: Path, image: np.ndarray) -> None:
    """(H, W), (H, W, 3) RGB or (H, W, 4) RGBA uint8/uint16 -> PNG."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    done, data = cv2.imencode(".png", np.ascontiguousarray(image), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise OSError(errno.EIO, "PNG encoding failed")
    file.write_bytes(data.tobytes())


def write_ply(file: Path, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, colors: np.ndarray) -> None:
    """Binary little-endian PLY: camera frame, metres, vertex normals, vertex colours (sRGB uint8)."""
    vertex = np.empty(len(vertices), [("p", "<f4", 3), ("n", "<f4", 3), ("c", "u1", 3)])
    vertex["p"], vertex["n"], vertex["c"] = vertices, normals, colors
    face = np.empty(len(faces), [("k", "u1"), ("v", "<i4", 3)])
    face["k"], face["v"] = 3, faces
    header = ["ply", "format binary_little_endian 1.0", "comment camera frame: x right, y down, z forward; metres",
              f"element vertex {len(vertices)}", *(f"property float {n}" for n in ("x", "y", "z", "nx", "ny", "nz")),
              *(f"property uchar {n}" for n in ("red", "green", "blue")),
              f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    file.write_bytes("\n".join(header).encode() + vertex.tobytes() + face.tobytes())


def _write_stages(folder: Path, photo: Photo, person: Person, body: Body, normals: Normals, depths: Depths,
                  texture: Texture) -> None:
    """Intermediate results, for measuring and for mending by hand."""
    write_png(folder / "crop.png", person.crop)
    write_png(folder / "mask.png", np.rint(person.mask * 255).astype(np.uint8))
    write_png(folder / "seen.png", texture.confidence)
    write_png(folder / "normal_front.png", normal_picture(normals.front))
    write_png(folder / "normal_back.png", normal_picture(normals.back))
    np.savez_compressed(folder / "depth.npz", front=depths.front, back=depths.back, confidence=depths.confidence)
    np.savez_compressed(
        folder / "body.npz", pose=body.pose, betas=body.betas, scale=body.scale, translation=body.translation,
        vertices=body.vertices, faces=body.faces, joints=body.joints, rest_joints=body.rest_joints,
        height_m=body.height_m, depth_front=body.maps.depth_front, depth_back=body.maps.depth_back)
    points = {"landmarks": person.landmarks, "visibility": person.visibility, "landmarks_world": person.landmarks_world,
              "face": person.face, "left_hand": person.left_hand, "right_hand": person.right_hand, "boxes": person.boxes}
    (folder / "landmarks.json").write_text(json.dumps({
        "photo": {"width": photo.rgb.shape[1], "height": photo.rgb.shape[0]},
        "camera": person.camera.to_json(), "photo_from_crop": person.photo_from_crop.tolist(),
        "chosen": int(person.chosen), "framing": person.framing, "facing": person.facing,
        **{k: None if v is None else np.round(np.asarray(v, float), 4).tolist() for k, v in points.items()}}), "utf-8")


def normal_picture(normals: np.ndarray) -> np.ndarray:
    """(H, W, 3) camera-frame normals -> uint8 RGB as people know it: x right, y up, z towards the viewer; 0 = nothing."""
    shown = np.rint((normals * np.array([1, -1, -1]) * 0.5 + 0.5) * 255).astype(np.uint8)
    shown[~np.any(normals, axis=-1)] = 0
    return shown
