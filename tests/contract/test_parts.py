"""Batches in parts, and the Flamenco job type that starts them."""

import argparse
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def arguments():
    sys.path.insert(0, str(ROOT / "addon"))
    import headless_main
    if "likeness" not in sys.modules:
        headless_main.load_package()
    return importlib.import_module("likeness.addon.arguments")


def parse(arguments, argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path)
    arguments.add_batch_options(parser)
    arguments.add_job_options(parser)
    return parser.parse_args(argv)


def photos(folder: Path, count: int) -> list[str]:
    folder.mkdir()
    for i in range(count):
        (folder / f"{i}.jpg").write_bytes(b"x")
    return [f"{i}.jpg" for i in range(count)]


def test_each_photo_is_in_one_part(arguments, tmp_path):
    names = photos(tmp_path / "in", 11)
    found = []
    for k in range(1, 5):
        request = arguments.request(parse(arguments, [str(tmp_path / "in"), "--part", f"{k}/4"]), tmp_path / f"out-{k}")
        assert 2 <= len(request.photos) <= 3
        found += [p.name for p in request.photos]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "-1/4", "1/0", "1/4/2", "99999999/99999999"])
def test_what_is_no_part_is_refused(arguments, tmp_path, text):
    photos(tmp_path / "in", 2)
    with pytest.raises(Exception) as caught:
        arguments.request(parse(arguments, [str(tmp_path / "in"), f"--part={text}"]), tmp_path / "out")
    assert caught.value.code == "option.part" and caught.value.remedy


def test_the_flamenco_job_type_makes_tasks_that_our_command_line_takes(arguments, tmp_path):
    """Run by node with a stand-in for Flamenco's `author`; Flamenco itself is not here."""
    if not shutil.which("node"):
        pytest.skip("no node to run the job type with")
    names = photos(tmp_path / "in", 9)
    settings = {"photos": str(tmp_path / "in"), "results": str(tmp_path / "out") + "/", "parts": 4, "preset": "draft", "device": "auto", "seed": 7}
    script = ((ROOT / "farm/flamenco/likeness.js").read_text() + """
        const author = {Task: (name, type) => ({name, type, commands: [], addCommand(c) { this.commands.push(c); }}),
                        Command: (name, parameters) => ({name, parameters})};
        const tasks = [];
        compileJob({settings: %s, addTask: t => tasks.push(t)});
        console.log(JSON.stringify({keys: JOB_TYPE.settings.map(s => s.key), tasks}));""" % json.dumps(settings))
    made = json.loads(subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout)
    assert set(made["keys"]) == set(settings) and [t["name"] for t in made["tasks"]] == [f"part-{k}" for k in range(1, 5)]
    found = []
    for task in made["tasks"]:
        (command,) = task["commands"]
        assert (task["type"], command["name"], command["parameters"]["exe"]) == ("blender", "exec", "{blender}")
        argv = command["parameters"]["args"]
        assert argv[:2] == ["-c", "likeness"]
        args = parse(arguments, argv[2:])
        assert args.output == tmp_path / "out" / task["name"]
        request = arguments.request(args, args.output)
        assert (request.options.preset, request.options.seed) == ("draft", 7)
        found += [p.name for p in request.photos]
    assert sorted(found) == sorted(names)
