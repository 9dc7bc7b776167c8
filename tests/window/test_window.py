"""One real Blender window: the built extension is installed, a photo is imported, pictures are taken.

LIKENESS_BLENDER names a folder made by get-blender (or a blender executable), LIKENESS_TOOLS the folder of get-blender and
blender-shot (default: shared/tools beside the repository). Without a Blender, get-blender makes one in build/; without
the tools the test is skipped, with the reason. LIKENESS_PICTURES: where the pictures shall stay.
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FAKE = HERE.parent / "blender" / "fake_worker.py"
TOOLS = Path(os.environ.get("LIKENESS_TOOLS") or ROOT.parent / "shared" / "tools")


@functools.cache
def blender() -> Path:
    """The program; made by get-blender when nothing else is there."""
    chosen = Path(os.environ.get("LIKENESS_BLENDER") or ROOT / "build" / "blender")
    program = chosen / "blender" if chosen.suffix == "" and not chosen.is_file() else chosen
    if not program.is_file() and (TOOLS / "get-blender").is_file():
        done = subprocess.run([str(TOOLS / "get-blender"), str(ROOT / "build" / "blender")], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"get-blender failed: {done.stderr.strip()[-300:]}")
        program = ROOT / "build" / "blender" / "blender"
    if not program.is_file():
        pytest.skip("no real Blender (set LIKENESS_BLENDER, or LIKENESS_TOOLS to a folder with get-blender)")
    return program


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The zip, built and validated by Blender itself, installed into a fresh user folder."""
    program = blender()
    work = tmp_path_factory.mktemp("window")
    env = os.environ | {"BLENDER_USER_RESOURCES": str(work / "user"), "LIKENESS_PYTHON": str(FAKE)}
    (work / "user").mkdir()
    (work / "zip").mkdir()

    def command(*arguments: str) -> str:
        done = subprocess.run([str(program), "--command", "extension", *arguments], env=env, capture_output=True, text=True,
                              timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    command("build", "--source-dir", str(ROOT), "--output-dir", str(work / "zip"))
    (archive,) = (work / "zip").glob("likeness-*.zip")
    command("validate", str(archive))
    command("install-file", "-r", "user_default", "-e", str(archive))
    return work, env, archive


def test_zip_holds_only_what_runs(installed):
    import zipfile
    names = zipfile.ZipFile(installed[2]).namelist()
    assert "blender_manifest.toml" in names and any(n.startswith("neural/contract/") for n in names)
    assert any(n.startswith("requirements/") for n in names)
    unwanted = ("tests/", "train/", "evaluate/", "docs/", "benchmarks/", ".venv/", ".git", "dev.py", "out/", "build/")
    assert not [n for n in names if n.startswith(unwanted) or "__pycache__" in n]


def test_command_line_of_a_real_blender(installed, tmp_path):
    program = blender()
    _, env, _ = installed
    (tmp_path / "anna.jpg").write_bytes(b"x")
    (tmp_path / "fail.jpg").write_bytes(b"x")
    for photos, output, status in ((("anna.jpg",), "a.glb", 0), (("anna.jpg", "fail.jpg"), "b.blend", 3), ((), "c.blend", 2)):
        done = subprocess.run([str(program), "-c", "likeness", *(str(tmp_path / p) for p in photos), "-o",
                               str(tmp_path / output), "--preset", "draft"], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == status, done.stdout + done.stderr
        assert (tmp_path / output).exists() == (status != 2)


def driven(installed, tmp_path, script: str, last: str, **more: str) -> Path:
    """Runs a script in the window; returns the folder of its pictures."""
    program, shot = blender(), TOOLS / "blender-shot"
    if not shot.is_file():
        pytest.skip("no blender-shot (set LIKENESS_TOOLS to its folder)")
    _, env, _ = installed
    pictures = Path(os.environ.get("LIKENESS_PICTURES") or tmp_path / "pictures")     # not among the photos: a folder is imported
    pictures.mkdir(parents=True, exist_ok=True)
    where = program.parent if (program.parent / "enter").exists() else program
    done = subprocess.run([str(shot), "-e", "-u", "-t", "240", str(where), str(HERE / script), str(pictures / f"{last}.png"),
                           "--", str(pictures), str(tmp_path)], env=env | more, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "TEST PASSED" in done.stdout, done.stdout[-4000:] + done.stderr[-4000:]
    return pictures


def test_window(installed, tmp_path):
    for name in ("slow_anna.jpg", "bert.jpg", "fail.jpg", "slow_dora.jpg", "slow_carl.jpg"):
        (tmp_path / name).write_bytes(b"x")
    pictures = driven(installed, tmp_path, "drive_import.py", "7-end")
    for name in ("1-idle", "2-running", "3-done", "4-failed", "5-browser", "6-again", "7-end", "8-queue"):
        assert (pictures / f"{name}.png").stat().st_size > 20_000


def test_checkpoints_in_the_preferences(installed, tmp_path):
    for name in ("slow_ckpt.pth", "fail.pth"):
        (tmp_path / name).write_bytes(b"x")
    pictures = driven(installed, tmp_path, "drive_checkpoint.py", "c6-end", LIKENESS_WEIGHTS=str(tmp_path / "weights"), FAKE_IMPORT_S="6")
    for name in ("c1-browser", "c2-importing", "c3-sidebar", "c4-listed", "c5-refused"):
        assert (pictures / f"{name}.png").stat().st_size > 20_000
