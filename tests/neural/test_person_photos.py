"""s02 on photos of real people. They are not part of the project: LIKENESS_PHOTOS names their folder, with index.json
({"items": [{"file", "framing", "keypoints"?}]}). Skipped where it is not set."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from neural.context import Context
from neural.contract.frames import apply_2d
from neural.contract.job import JobOptions
from neural.contract.joints import LANDMARK
from neural.nets.landmarks import LandmarkNets
from neural.nets.landmarks.runtime import FILES, FOLDER
from neural.stages.s01_photo import read_photo
from neural.stages.s02_person import find_person

PHOTOS = Path(os.environ.get("LIKENESS_PHOTOS", "/nowhere"))
ITEMS = json.loads((PHOTOS / "index.json").read_text())["items"] if (PHOTOS / "index.json").is_file() else []
pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
pytestmark = [
    pytest.mark.skipif(not ITEMS, reason="LIKENESS_PHOTOS names no folder with index.json"),
    pytest.mark.skipif(not all((FOLDER / f).is_file() for f in FILES.values()), reason="the landmark models are missing"),
]

OPENPOSE = {0: "nose", 2: "right_shoulder", 3: "right_elbow", 4: "right_wrist", 5: "left_shoulder", 6: "left_elbow",
            7: "left_wrist", 10: "right_knee", 11: "right_ankle", 13: "left_knee", 14: "left_ankle"}


@pytest.fixture(scope="module")
def nets():
    return LandmarkNets()


@pytest.mark.parametrize("item", ITEMS, ids=[i["name"] for i in ITEMS])
def test_photo(nets, item):
    context = Context(JobOptions(preset="draft"))
    person = find_person(read_photo(PHOTOS / item["file"], context), nets, context)
    behind = "behind" in item["what"]
    assert (person.facing == "back") == behind
    assert (person.face is None) == behind
    assert (person.framing == "full") == item["framing"].startswith("full")
    assert (person.mask > 0.5).mean() > 0.05
    points = person.landmarks[(person.visibility > 0.8)]
    x, y = np.clip(points, 0, 511).astype(int).T
    assert (person.mask[y, x] > 0.3).mean() > 0.8          # the landmarks lie in the mask
    if "keypoints" in item:
        known = np.array(json.loads((PHOTOS / item["keypoints"]).read_text())["people"][0]["pose_keypoints_2d"])
        known = known.reshape(-1, 3)
        mine = apply_2d(person.photo_from_crop, person.landmarks[[LANDMARK[n] for n in OPENPOSE.values()]].astype(float))
        theirs = known[list(OPENPOSE)]
        height = np.ptp(known[known[:, 2] > 0.1, 1])
        assert np.hypot(*(mine - theirs[:, :2]).T).mean() < 0.012 * height
