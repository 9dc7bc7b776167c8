"""Names of joints and landmarks. Left is always the subject's left."""

SMPL_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hand", "right_hand",
)
"""The 24 SMPL joints in SMPL's order."""

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
"""Parent of each SMPL joint; -1 at the root."""

JOINT = {name: i for i, name in enumerate(SMPL_JOINTS)}

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
FINGER_JOINTS = tuple(f"{side}_{finger}{k}" for side in ("left", "right") for finger in FINGERS for k in (1, 2, 3))
"""The 30 finger joints in SMPL-X's order, 15 of the left hand first. A body that has them lists them after the 24."""

FINGER_PARENTS = tuple(22 + i // 15 if i % 3 == 0 else 24 + i - 1 for i in range(30))
"""Parent of each finger joint among the 54; fingers hang on left_hand and right_hand."""

HAND_POINTS = ("wrist", *(f"{finger}_{part}" for finger, parts in (
    ("thumb", ("cmc", "mcp", "ip", "tip")), *((f, ("mcp", "pip", "dip", "tip")) for f in ("index", "middle", "ring", "pinky")))
    for part in parts))
"""The 21 points of a hand in MediaPipe's order."""

LANDMARKS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)
"""The 33 BlazePose landmarks in BlazePose's order."""

LANDMARK = {name: i for i, name in enumerate(LANDMARKS)}


def mirrored(names: tuple[str, ...]) -> tuple[int, ...]:
    """For each name the index of its left/right partner (itself for the middle ones)."""
    def swap(name: str) -> str:
        if "left" in name:
            return name.replace("left", "right")
        return name.replace("right", "left")

    return tuple(names.index(swap(n)) for n in names)
