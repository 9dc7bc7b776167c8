"""Sequences in Blender: the Action holds the motion at the source's frame numbers; meshes of frames take turns, or come from a cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest

import figure as synthetic
from test_operators import engine, photo  # noqa: F401  fixtures

NUMBERS = np.array([10, 11, 12, 14, 15])
"""13 is missing in the source."""


def _motion(folder: Path, arrays: dict, mode: str) -> np.ndarray:
    """Writes motion.npz: the photo's pose with an arm that swings and a walk to the side; (N, J, 4, 4)."""
    out = []
    for k, number in enumerate(NUMBERS):
        pose = arrays["pose_photo"].copy()
        pose[synthetic.JOINTS.index("left_shoulder")] += [0, 0, 0.5 * k]
        pose[0] = pose[0] * (1 + 0.05 * k)
        out.append(synthetic.chain(pose, np.array([.3 + .1 * (number - 10), .1, 3.2])))
    np.savez(folder / "motion.npz", mode=np.array(mode), numbers=NUMBERS, fps=np.array(12.5), used=np.ones(5, bool), camera_from_rest=np.array(out),
             best=np.array(10))
    return np.array(out)


@pytest.fixture
def job(tmp_path, load):
    arrays = synthetic.write(tmp_path / "job")
    return tmp_path / "job", arrays


def _vertices(obj) -> np.ndarray:
    mesh = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    out = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", out)
    return out.reshape(-1, 3).astype(float)


def _expected(arrays: dict, transforms: np.ndarray, made) -> np.ndarray:
    """The surface by an independent LBS, in the world of the best frame."""
    blend = np.einsum("vk,vkij->vij", arrays["weight_values"].astype(float), transforms[arrays["weight_joints"]])
    camera = np.einsum("vij,vj->vi", blend[:, :3, :3], arrays["vertices"].astype(float)) + blend[:, :3, 3]
    m = np.array(made.armature["likeness_blender_from_camera"]).reshape(4, 4)
    return camera @ m[:3, :3].T + m[:3, 3]


def test_the_motion_is_an_action_with_the_sources_frame_numbers(job, empty, load):
    folder, arrays = job
    transforms = _motion(folder, arrays, "animated")
    person = load("addon.result").load(folder)
    made = load("addon.scene").build(person)
    load("addon.sequence").add(folder, person, made, own_scene=True)
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end) == (10, 15) and scene.render.fps / scene.render.fps_base == pytest.approx(12.5)
    action = made.armature.animation_data.action
    assert action == load("addon.person").motion_of(made.armature) and tuple(action.frame_range) == (10, 15)
    for number, t in zip(NUMBERS, transforms):
        scene.frame_set(int(number))
        assert np.abs(_vertices(made.mesh) - _expected(arrays, t, made)).max() < 5e-4
    scene.frame_set(13)                                         # between 12 and 14: halfway
    middle = _vertices(made.mesh).mean(0)
    assert np.allclose(middle, 0.5 * (_expected(arrays, transforms[2], made) + _expected(arrays, transforms[3], made)).mean(0), atol=0.01)


def test_poses_can_be_chosen_and_everything_goes_with_the_person(job, empty, load):
    folder, arrays = job
    _motion(folder, arrays, "animated")
    person = load("addon.result").load(folder)
    made = load("addon.scene").build(person)
    load("addon.sequence").add(folder, person, made)
    bpy.context.view_layer.objects.active = made.mesh
    assert bpy.ops.likeness.pose(pose="A") == {"FINISHED"} and made.armature.animation_data.action == made.a_pose
    assert bpy.ops.likeness.pose(pose="MOTION") == {"FINISHED"} and made.armature.animation_data.action.name.endswith("motion")
    load("addon.scene").remove(made.collection)
    assert not bpy.data.actions and not bpy.data.objects


def test_no_bone_takes_the_long_way(load):
    turn = np.array([[[1.0, 0, 0, 0]], [[-0.99, 0.1, 0, 0]], [[0.98, -0.2, 0, 0]]])
    got = load("addon.sequence").continuous(turn)
    assert (np.sum(got[1:] * got[:-1], axis=-1) > 0).all() and np.allclose(np.abs(got), np.abs(turn))


def _frames(folder: Path, arrays: dict, transforms: np.ndarray) -> list[int]:
    """A result for each frame but 12, with as many triangles as its place in the row allows."""
    done = []
    for k, (number, t) in enumerate(zip(NUMBERS, transforms)):
        if number == 12:
            continue
        one = folder / "frames" / f"{number:06d}"
        synthetic.write(one, name=f"{number:06d}")
        with np.load(one / "result.npz") as data:
            z = dict(data)
        keep = len(z["faces"]) - 40 * k
        blend = np.einsum("vk,vkij->vij", z["weight_values"].astype(float), t[z["weight_joints"]])
        z["surface_vertices"] = (np.einsum("vij,vj->vi", blend[:, :3, :3], z["vertices"].astype(float)) + blend[:, :3, 3]).astype(np.float32)
        z["faces"], z["uv"], z["body_uv"] = z["faces"][:keep], z["uv"][:3 * keep], z["body_uv"][:3 * keep]
        np.savez(one / "result.npz", **z)
        done.append(int(number))
    return done


def test_without_a_cache_objects_take_turns(job, empty, load):
    folder, arrays = job
    transforms = _motion(folder, arrays, "per-frame")
    numbers = _frames(folder, arrays, transforms)
    person = load("addon.result").load(folder)
    made = load("addon.scene").build(person)
    load("addon.sequence").add(folder, person, made, own_scene=True)
    shown = {}
    for frame in range(9, 17):
        bpy.context.scene.frame_set(frame)
        shown[frame] = [o.name for o in made.collection.objects if o.type == "MESH" and not o.hide_render and not o.hide_viewport]
    assert shown[9] == shown[10] == ["figure_0010"] and shown[16] == []        # the first shows from its frame on, and before
    assert [shown[f] for f in (11, 12, 13, 14, 15)] == [["figure_0011"]] * 3 + [["figure_0014"], ["figure_0015"]]
    assert len(numbers) == 4 and all(bpy.data.objects[f"figure_{n:04d}"].data.materials[0] for n in numbers)
    bpy.context.scene.frame_set(14)
    assert np.abs(_vertices(bpy.data.objects["figure_0014"]) - _expected(arrays, transforms[3], made)).max() < 1e-4
    load("addon.scene").remove(made.collection)                     # nothing stays of the person, keys included
    assert not any(len(blocks) for blocks in (bpy.data.actions, bpy.data.meshes, bpy.data.materials, bpy.data.images, bpy.data.armatures))


def test_a_cache_holds_every_frame(job, empty, load, tmp_path):
    sequence = load("addon.sequence")
    if sequence.exporter(tmp_path / "a.abc") is None:
        pytest.skip("this Blender writes no Alembic")
    folder, arrays = job
    transforms = _motion(folder, arrays, "per-frame")
    _frames(folder, arrays, transforms)
    person = load("addon.result").load(folder)
    made = load("addon.scene").build(person)
    sequence.add(folder, person, made, folder / "figure.abc", own_scene=True)
    assert (folder / "figure.abc").stat().st_size > 10_000
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "figure.blend"))
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)                              # file and cache together, without the frames
    shutil.rmtree(moved / "frames")
    bpy.ops.wm.open_mainfile(filepath=str(moved / "figure.blend"))
    obj = bpy.data.objects["figure_frames"]
    for k, number in ((0, 10), (1, 11), (3, 14), (4, 15)):
        bpy.context.scene.frame_set(number)
        data = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        assert len(data.polygons) == len(arrays["faces"]) - 40 * k
        m = np.array(bpy.data.objects["figure_rig"]["likeness_blender_from_camera"]).reshape(4, 4)
        blend = np.einsum("vk,vkij->vij", arrays["weight_values"].astype(float), transforms[k][arrays["weight_joints"]])
        camera = np.einsum("vij,vj->vi", blend[:, :3, :3], arrays["vertices"].astype(float)) + blend[:, :3, 3]
        assert np.abs(_vertices(obj) - (camera @ m[:3, :3].T + m[:3, 3])).max() < 1e-3
    assert obj.data.materials and not bpy.data.objects["figure"].visible_get()
    load("addon.export").write(tmp_path / "person.glb", [bpy.data.objects["figure_rig"]])
    assert (tmp_path / "person.glb").stat().st_size > 50_000 and not bpy.data.objects["figure"].visible_get()
    load("addon.scene").remove(bpy.data.collections["figure"])
    assert not any(len(blocks) for blocks in (bpy.data.cache_files, bpy.data.actions, bpy.data.meshes, bpy.data.materials))


@pytest.mark.parametrize("change", [{"mode": np.array("film")}, {"camera_from_rest": np.zeros((5, 3, 4, 4))}, {"numbers": np.array([3, 2, 1, 4, 5])},
                                    {"fps": np.array(np.nan)}])
def test_a_motion_that_is_none_is_refused(job, empty, load, change):
    folder, arrays = job
    _motion(folder, arrays, "animated")
    with np.load(folder / "motion.npz") as data:
        z = dict(data) | change
    np.savez(folder / "motion.npz", **z)
    person = load("addon.result").load(folder)
    made = load("addon.scene").build(person)
    with pytest.raises(load("neural.contract.errors").InternalError):
        load("addon.sequence").add(folder, person, made)


def test_a_folder_of_frames_is_one_job(engine, photo, tmp_path):  # noqa: F811
    for name in ("f1.jpg", "f2.jpg", "f10.jpg"):
        photo(name)
    call = bpy.ops.likeness.import_sequence
    assert call(directory=str(tmp_path), preset="draft", sequence="animated", fps=30) == {"FINISHED"}
    job = engine.get().queue.jobs[0]
    assert len(engine.get().queue.jobs) == 1 and job.photo == tmp_path
    assert (job.options.sequence, job.options.fps, job.options.frames) == ("animated", 30, ())
    assert call(directory=str(tmp_path), preset="draft", sequence="animated", fps=30) == {"FINISHED"}
    assert [j.state for j in engine.get().queue.jobs] == ["DONE", "SKIPPED"]
    photo("f11.jpg")                                            # another folder now
    call(directory=str(tmp_path), preset="draft", sequence="animated", fps=30)
    assert engine.get().queue.jobs[-1].state == "DONE"
    call(directory=str(tmp_path), files=[{"name": "f2.jpg"}, {"name": "f10.jpg"}, {"name": "f1.jpg"}], preset="draft", sequence="per-frame")
    assert engine.get().queue.jobs[-1].options.frames == ("f1.jpg", "f2.jpg", "f10.jpg")


def test_a_video_is_a_sequence_by_itself_and_two_are_none(engine, tmp_path):  # noqa: F811
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"frames")
    assert bpy.ops.likeness.import_sequence(directory=str(tmp_path), files=[{"name": "a.mp4"}], preset="draft") == {"FINISHED"}
    job = engine.get().queue.jobs[0]
    assert (job.photo.name, job.options.sequence) == ("a.mp4", "animated")
    with pytest.raises(RuntimeError, match="no one sequence"):
        bpy.ops.likeness.import_sequence(directory=str(tmp_path), files=[{"name": "a.mp4"}, {"name": "b.mp4"}], preset="draft")


def test_the_command_line_takes_folders_videos_and_pictures(load, tmp_path):
    arguments, wrong = load("addon.arguments"), load("neural.contract.errors").OptionError
    import argparse
    parser = argparse.ArgumentParser()
    arguments.add_batch_options(parser)
    arguments.add_job_options(parser)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for n in (1, 2, 10):
            (tmp_path / folder / f"{n}.png").write_bytes(b"x")

    def asked(*given: str):
        return arguments.request(parser.parse_args([*given, "--sequence", "animated", "--fps", "12"]), tmp_path / "out")

    both = asked(str(tmp_path / "a"), str(tmp_path / "v.mov"))
    assert list(both.photos) == [tmp_path / "a", tmp_path / "v.mov"] and (both.options.fps, both.options.frames) == (12.0, ())
    some = asked(str(tmp_path / "a/10.png"), str(tmp_path / "a/2.png"))
    assert list(some.photos) == [tmp_path / "a"] and some.options.frames == ("2.png", "10.png")
    for given in ([str(tmp_path / "a/1.png"), str(tmp_path / "b/1.png")], [str(tmp_path / "a"), str(tmp_path / "a/none")], [str(tmp_path)]):
        with pytest.raises(wrong):
            asked(*given)


def test_a_batch_knows_a_folder_that_has_changed(load, tmp_path):
    files, journal = load("neural.contract.files"), load("neural.contract.journal")
    (tmp_path / "1.png").write_bytes(b"one")
    before, seen = files.sha256_of(tmp_path), journal.seen(tmp_path)
    assert before and seen == journal.seen(tmp_path) and seen[0] == 3
    (tmp_path / "2.png").write_bytes(b"two")
    assert files.sha256_of(tmp_path) != before and journal.seen(tmp_path) != seen
