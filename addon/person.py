"""Finding the people of a file again: their collections, armatures and reports. Reads bpy.data only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import bpy

from ..neural.contract.job import JobOptions
from ..neural.contract.journal import seen

TAG = "likeness"
"""Custom property of a person's collection and armature: the job's report as JSON text."""


def collection_of(obj: bpy.types.Object | None) -> bpy.types.Collection | None:
    """The person's collection an object belongs to."""
    if obj is None:
        return None
    return next((c for c in obj.users_collection if TAG in c), None)


def armature_of(obj: bpy.types.Object | None) -> bpy.types.Object | None:
    """The rig of the person an object belongs to (itself, its parent, or in its collection)."""
    while obj is not None:
        if obj.type == "ARMATURE" and TAG in obj:
            return obj
        if obj.parent is None:
            break
        obj = obj.parent
    found = collection_of(obj)
    return next((o for o in found.objects if o.type == "ARMATURE" and TAG in o), None) if found else None


def mesh_of(armature: bpy.types.Object) -> bpy.types.Object | None:
    """The visible mesh of a rig."""
    return next((o for o in armature.children if o.type == "MESH" and not o.get("likeness_body")), None)


def body_of(armature: bpy.types.Object) -> bpy.types.Object | None:
    """The fitted body of a rig."""
    return next((o for o in armature.children if o.type == "MESH" and o.get("likeness_body")), None)


def report_of(armature: bpy.types.Object) -> dict:
    """The job's report; {} when the property was broken by hand."""
    try:
        data = json.loads(armature.get(TAG, "{}"))
    except (TypeError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def people(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All rigs of this scene that Likeness made."""
    return [o for o in scene.objects if o.type == "ARMATURE" and TAG in o]


def origin_of(photo: Path, options: JobOptions) -> str:
    """What a person was made from: the photo as it is now, and the options."""
    return hashlib.sha256(json.dumps([str(photo), seen(photo), options.to_json()]).encode()).hexdigest()


def made_before(scene: bpy.types.Scene) -> dict[str, str]:
    """Origin -> name of the collection, of all people of the scene."""
    found = ((a.get("likeness_origin"), collection_of(a)) for a in people(scene))
    return {origin: collection.name for origin, collection in found if isinstance(origin, str) and collection}


def motion_of(armature: bpy.types.Object) -> bpy.types.Action | None:
    """The motion of a person made from a sequence."""
    return armature.get("likeness_motion")


def actions_of(armature: bpy.types.Object) -> list[bpy.types.Action]:
    """All Actions that Likeness made for a rig."""
    return [a for a in (*poses_of(armature), motion_of(armature)) if a is not None]


def poses_of(armature: bpy.types.Object) -> tuple[bpy.types.Action | None, bpy.types.Action | None]:
    """The Actions (photo pose, A-pose) of a rig, by pointer, so that renaming them does no harm."""
    return armature.get("likeness_photo_pose"), armature.get("likeness_a_pose")
