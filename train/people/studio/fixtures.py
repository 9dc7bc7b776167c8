"""The test photos in tests/data: pictures, small truths, and two pairs of true depth maps that need no assets to use.

    python -m train.people.studio.fixtures --out tests/data [--only NAME …]

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

from ..assets import assets_root
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

DEPTHS = ("man_front", "woman_arms")
PICTURE_BYTES, TRUTH_BYTES, DEPTH_BYTES = 150_000, 50_000, 150_000
DEPTH_STEP, DEPTH_UNIT_M = 4, 5e-5


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


def small_depth(scene: Scene, step: int = DEPTH_STEP) -> dict[str, np.ndarray]:
    """Front and back depth of person 0 on every `step`-th pixel in both directions, as 16-bit steps of 0.05 mm.

    Element (i, j) belongs to the pixel in row step * i + step // 2 and column step * j + step // 2; 0 = nothing there.
    """
    truth = truth_of(scene)
    pick = slice(step // 2, None, step)
    maps = np.stack([truth.depth_front[0][pick, pick], truth.depth_back[0][pick, pick]])
    return {"depth": np.nan_to_num(np.round(maps / DEPTH_UNIT_M)).astype(np.uint16), "step": np.array(step),
            "unit_m": np.array(DEPTH_UNIT_M)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.studio.fixtures", description=__doc__.split("\n\n")[0])
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
            if name in DEPTHS:
                np.savez_compressed(out / f"{name}.depth.npz", **small_depth(scene))
            print(name, *(f"{p.name} {p.stat().st_size}" for p in sorted(out.glob(f"{name}.*"))))
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
