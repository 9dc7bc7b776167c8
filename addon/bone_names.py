"""SMPL's bone names in the words of other programs. Inside Blender the SMPL names stay; these are for export only."""

from __future__ import annotations

from ..neural.contract.joints import FINGERS

_CENTRE = {
    "MIXAMO": {"pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head"},
    "UNREAL": {"pelvis": "pelvis", "spine1": "spine_01", "spine2": "spine_02", "spine3": "spine_03", "neck": "neck_01",
               "head": "head"},
    "RIGIFY": {"pelvis": "spine", "spine1": "spine.001", "spine2": "spine.002", "spine3": "spine.003", "neck": "spine.004",
               "head": "spine.006"},
}
_SIDED = {
    "MIXAMO": {"hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "collar": "Shoulder", "shoulder": "Arm",
               "elbow": "ForeArm", "wrist": "Hand", "hand": "HandMiddle1"},
    "UNREAL": {"hip": "thigh", "knee": "calf", "ankle": "foot", "foot": "ball", "collar": "clavicle",
               "shoulder": "upperarm", "elbow": "lowerarm", "wrist": "hand", "hand": "middle_01"},
    "RIGIFY": {"hip": "thigh", "knee": "shin", "ankle": "foot", "foot": "toe", "collar": "shoulder",
               "shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand", "hand": "f_middle.01"},
}
_ROOT = {"MIXAMO": "HandFingers", "UNREAL": "fingers", "RIGIFY": "fingers"}
"""left_hand and right_hand where fingers hang on them: the other skeletons have no such bone."""
CONVENTIONS = ("SMPL", "MIXAMO", "UNREAL", "RIGIFY")


def _sided(convention: str, side: str, word: str) -> str:
    if convention == "MIXAMO":
        return f"{side.capitalize()}{word}"
    return f"{word}_{side[0]}" if convention == "UNREAL" else f"{word}.{side[0].upper()}"


def _finger(convention: str, finger: str, k: int) -> str:
    if convention == "MIXAMO":
        return f"Hand{finger.capitalize()}{k}"
    stem = f"f_{finger}" if convention == "RIGIFY" and finger != "thumb" else finger
    return f"{stem}.0{k}" if convention == "RIGIFY" else f"{stem}_0{k}"


def table(convention: str, fingers: bool = False) -> dict[str, str]:
    """SMPL name -> name of that convention, for all 24 bones, or 54 with fingers; {} for SMPL itself. KeyError for an unknown one."""
    if convention == "SMPL":
        return {}
    out = dict(_CENTRE[convention])
    for side in ("left", "right"):
        words = dict(_SIDED[convention])
        if fingers:
            words |= {"hand": _ROOT[convention]} | {f"{f}{k}": _finger(convention, f, k) for f in FINGERS for k in (1, 2, 3)}
        out |= {f"{side}_{joint}": _sided(convention, side, word) for joint, word in words.items()}
    return {k: f"mixamorig:{v}" for k, v in out.items()} if convention == "MIXAMO" else out
