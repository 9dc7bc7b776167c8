"""The test photos in tests/data: pictures, small truths, and two ground-truth surfaces that need no assets to use.

    python -m train.people.fixtures --out tests/data [--only NAME …]

Every picture is a fixed Shot below; the same assets give the same files.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from neural.contract.errors import LikenessError

from .assets import assets_root
from .picture import photograph
from .scene import Scene, Shot, Subject, build
from .truth import truth_of

SHOTS = {
    "man_front": Shot((Subject("MENA_M_3_Casual", "mh_standing04", -4.0),), background="potsdamer_platz_1k_1",
                      light="potsdamer_platz_1k", pitch_deg=3.0, seed=1),
    "woman_arms": Shot((Subject("White_F_1_Casual", "mhc_StandingDefault", 6.0),), background="lebombo_1k_2",
                       light="st_fagans_interior_1k", pitch_deg=5.0, fill=0.88, seed=2),
    "man_walking": Shot((Subject("Asian_M_3_Casual", "cmu_02_02_60", 28.0),), background="narrow_moonlit_road_1k_1",
                        light="immenstadter_horn_1k", fov_deg=30.0, pitch_deg=3.0, fill=0.8, seed=3),
    "woman_back": Shot((Subject("AIAN_F_1_Casual", "mhc_StandingNatural", 172.0),),
                       background="hilly_terrain_01_1k_2", light="kloppenheim_05_1k", pitch_deg=2.0, seed=4),
    "woman_upper": Shot((Subject("Asian_F_2_Casual", "mhc_StandingNatural", -12.0),), framing="upper",
                        background="vestibule_1k_1", background_blur=4.0, light="blocky_photo_studio_1k", fov_deg=30.0,
                        pitch_deg=1.0, fill=0.9, seed=5),
    "two_people": Shot((Subject("Black_M_1_Casual", "mhc_StandingDefault", 10.0, -0.42, 0.0),
                        Subject("Black_F_1_Casual", "mhc_StandingNatural", -14.0, 0.42, 0.12)),
                       background="rooitou_park_1k_2", light="immenstadter_horn_1k", width=1100, height=1100, fov_deg=45.0,
                       pitch_deg=4.0, fill=0.82, seed=6),
}
"""Name -> shot: front in casual clothes; arms away; walking; from behind; upper body; two people."""

SURFACES = ("man_front", "woman_arms")
PICTURE_BYTES, TRUTH_BYTES, SURFACE_BYTES = 150_000, 50_000, 150_000
_FACES = 16_000


def jpeg(image: np.ndarray, limit: int = PICTURE_BYTES) -> bytes:
    """The best JPEG of at most `limit` bytes."""
    for quality in range(93, 40, -3):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= limit:
            break
    return file.getvalue()


def small_truth(scene: Scene, shot: Shot) -> dict[str, np.ndarray]:
    """Joints, camera, heights and masks: what fits into a few kB (tests/data/README.md has the fields)."""
    truth = truth_of(scene)
    return {"joints": truth.joints, "height_m": truth.height_m, "camera": json.dumps(truth.camera.to_json()),
            "shot": json.dumps(asdict(shot)), "size": np.array(truth.visible.shape),
            "mask": np.packbits(truth.mask, -1), "visible": truth.visible}


def small_surface(scene: Scene, count: int = _FACES) -> dict[str, np.ndarray]:
    """The photographed surface (person 0), seen parts only, decimated, as 16-bit coordinates in its box.

    vertex = low + span * coordinate / 65535: steps of 0.03 mm, where float16 at 3 m from the camera steps by 2 mm.
    """
    import fast_simplification

    faces = _outside(scene)
    used, local = np.unique(faces, return_inverse=True)
    welded, first = np.unique(np.round(scene.vertices[used], 6), axis=0, return_inverse=True)   # UV seams closed
    faces = first.reshape(-1)[local.reshape(-1, 3)].astype(np.int32)
    vertices, faces = fast_simplification.simplify(welded.astype(np.float32), faces, target_count=min(count, len(faces)))
    low, span = vertices.min(0).astype(np.float64), float(np.ptp(vertices, axis=0).max())
    coordinates = np.round((vertices - low) / span * 65535).astype(np.uint16)
    return {"coordinates": coordinates, "faces": faces.astype(np.uint16), "low": low, "span": np.array(span)}


def _outside(scene: Scene) -> np.ndarray:
    """Faces that light from some direction reaches: no mouth sockets, no backs of eyeballs, no inner cloth."""
    from .light import sphere
    from .shade import ShadowMap

    normals = scene.normals
    seen = np.zeros(len(scene.world), bool)
    for d in sphere(160):
        facing = normals @ d > 0.05
        seen |= facing & ShadowMap(scene.world, scene.faces, d, 700).lit(scene.world + 0.003 * normals, 0.004)
    return scene.faces[seen[scene.faces].any(1) & (scene.person[scene.faces[:, 0]] == 0)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.fixtures", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", nargs="*", default=list(SHOTS), choices=list(SHOTS))
    parser.add_argument("--assets")
    args = parser.parse_args(argv)
    try:
        root = assets_root(args.assets)
        out = Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        for name in args.only:
            shot = SHOTS[name]
            scene = build(shot, root)
            (out / f"{name}.jpg").write_bytes(jpeg(photograph(shot, scene, root)))
            np.savez_compressed(out / f"{name}.truth.npz", **small_truth(scene, shot))
            if name in SURFACES:
                np.savez_compressed(out / f"{name}.surface.npz", **small_surface(scene))
            print(name, *(f"{p.name} {p.stat().st_size}" for p in sorted(out.glob(f"{name}.*"))))
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
