"""Tables of results, with the protocol beside every number."""

from __future__ import annotations

import numpy as np

COLUMNS = {  # key -> (head, digits)
    "p2s_cm": ("P2S cm", 2), "s2p_cm": ("S2P cm", 2), "chamfer_cm": ("Chamfer cm", 2),
    "normal_front_deg": ("N front °", 1), "normal_back_deg": ("N back °", 1), "normal_icon_l2": ("N ICON L2", 3), "volume_iou": ("vol. IoU", 3),
    "head_p2s_cm": ("head P2S cm", 2), "head_s2p_cm": ("head S2P cm", 2),
}
SHARED = {
    "silhouette_iou": ("silhouette IoU", 3), "head_only_p2s_cm": ("head P2S, head laid on head, cm", 2),
    "face_l2_cm": ("face L2 cm", 2), "face_only_l2_cm": ("face L2, head on head, cm", 2), "mpjpe_mm": ("MPJPE mm", 0),
    "pa_mpjpe_mm": ("PA-MPJPE mm", 0),
}
COLOURS = {
    "seen_psnr_db": ("seen PSNR dB", 1), "seen_ssim": ("seen SSIM", 3), "seen_edge_distance": ("seen edge dist.", 3),
    "novel_psnr_db": ("novel PSNR dB", 1), "novel_ssim": ("novel SSIM", 3), "novel_edge_distance": ("novel edge dist.", 3), "novel_identity": ("novel identity", 3),
    "seconds": ("seconds", 0),
}
MAPS = {
    "map_mask_iou": ("mask IoU", 3), "map_normal_front_deg": ("front normals °", 1),
    "map_normal_back_deg": ("back normals °", 1),
    "map_depth_front_cm": ("front depth cm", 2), "map_depth_back_cm": ("back depth cm", 2),
}

PROTOCOL = """\
Protocol. One picture a person, rendered by `evaluate/render` (pinhole, FOV {fov:g}° over the longer side, camera at
{eye:.0%} of the height, pitched so that the person is centred; person {fill:.0%} of the frame, soft light, plain wall).
Only surface seen from outside counts, on both sides. Units: both surfaces are scaled to a person of 1.75 m.
*as is*: scaled to the same vertical extent, pelvis on pelvis, nothing turned. *aligned*: then similarity ICP (both ways).
P2S: ours → true surface (PIFu's; ICON calls the other way P2S). S2P: true → ours. Chamfer: their mean. N: mean angle of the
normals of both surfaces drawn without perspective from the front and from behind, where both show. ICON L2: four
views, background 0. Volume: carved by visibility, {voxel:g} cm voxels. Head: above the middle of the neck; "head laid on
head": rigid ICP of the head alone. Face L2: points that the same pixel shows, within 11 cm of the nose (JIFF). MPJPE:
pelvis on pelvis. Silhouette: in the photograph, nothing aligned. Colours: ours unlit against the true person in the
photograph's light, where both show; novel = 45°, 90°, 180°, 270°. Edge distance: our own perceptual distance (NOT LPIPS).
Identity: cosine of our own re-identification features (evaluate/metrics/identity.md). Maps: the stages' maps
on their own canvas, depth up to one factor. Mean over the persons that gave a result; n says how many did."""


def mean_rows(results: list[dict]) -> dict[str, dict]:
    """Rows of all items -> method -> {key: mean over the items where it is a number, "n", "failed"}."""
    out: dict[str, dict] = {}
    for method in dict.fromkeys(r["method"] for r in results):
        rows = [r for r in results if r["method"] == method]
        good = [r["numbers"] for r in rows if r.get("numbers")]
        keys = dict.fromkeys(k for r in good for k in r)
        out[method] = {k: float(np.mean([r[k] for r in good if np.isfinite(r.get(k, np.nan))] or [np.nan])) for k in keys}
        out[method] |= {"n": len(good), "failed": len(rows) - len(good)}
    return out


def markdown(means: dict[str, dict], head: str) -> str:
    """All tables."""
    parts = [head]
    for name, label in (("as_is", "Shape, as is"), ("aligned", "Shape, aligned")):
        parts.append(rows_table(label, {f"{name}_{k}": v for k, v in COLUMNS.items()}, means))
    parts += [rows_table("Outline, head, joints", SHARED, means), rows_table("Colours and time", COLOURS, means)]
    if any("map_mask_iou" in m for m in means.values()):
        parts.append(rows_table("The pipeline's maps", MAPS, {k: m for k, m in means.items() if "map_mask_iou" in m}))
    return "\n\n".join(parts)


def said(results: list[dict]) -> str:
    """What had to be done to the files, where the oracle's limbs come from, and who failed; "" when there is nothing to say."""
    lines = []
    for note in dict.fromkeys(n for r in results for n in r.get("notes", ())):
        names = list(dict.fromkeys(r["item"] for r in results if note in r.get("notes", ())))
        lines.append(f"- {note} ({_names(names)})")
    for source in dict.fromkeys(r["limbs"] for r in results if "limbs" in r):
        names = [r["item"] for r in results if r.get("limbs") == source]
        lines.append(f"- limbs of the oracle: from the {source} ({_names(names)})")
    for item, code, message in dict.fromkeys((r["item"], r["error"]["code"], r["error"]["message"]) for r in results if r.get("error")):
        methods = [r["method"] for r in results if r.get("error") and (r["item"], r["error"]["code"]) == (item, code)]
        lines.append(f"- failed: {item} ({', '.join(methods)}): {message} [{code}]")
    return "\n\n**Files and failures**\n\n" + "\n".join(lines) if lines else ""


def _names(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def stage_table(results: list[dict]) -> str:
    """Mean seconds, largest memory and methods of each stage of the pipeline's rows; "" when there are none."""
    rows = [s for r in results if r["method"] == "pipeline" and r.get("numbers") for s in r.get("stages", ())]
    if not rows:
        return ""
    lines = ["", "", "**Stages of the pipeline**", "", "| stage | seconds | peak MB | method |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys(s["name"] for s in rows):
        mine = [s for s in rows if s["name"] == name]
        methods = ", ".join(dict.fromkeys(s["method"] for s in mine))
        lines.append(f"| {name} | {np.mean([s['seconds'] for s in mine]):.1f} | {max(s['peak_mb'] for s in mine):.0f} | {methods} |")
    return "\n".join(lines)


def rows_table(title: str, columns: dict, means: dict[str, dict]) -> str:
    """Markdown: a row for each name in `means` (as mean_rows gives them), a column for each key of `columns`: (head, digits)."""
    lines = [f"**{title}**", "", "| method | n | " + " | ".join(c[0] for c in columns.values()) + " |",
             "| --- | --- |" + " --- |" * len(columns)]
    for method, row in means.items():
        count = f"{row['n']}" + (f" ({row['failed']} failed)" if row["failed"] else "")
        lines.append(f"| {method} | {count} | " + " | ".join(_cell(row.get(k), d) for k, (_, d) in columns.items()) + " |")
    return "\n".join(lines)


def _cell(value: float | None, digits: int) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"
