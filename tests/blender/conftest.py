"""bpy in-process: the extension is linked into a fresh user folder and enabled as Blender would."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="likeness-test-")   # before bpy
os.environ.pop("LIKENESS_ENGINE", None)

import pytest  # noqa: E402

try:
    import bpy  # noqa: E402
    import addon_utils  # noqa: E402  only after bpy
except ImportError:
    bpy = None
    collect_ignore_glob = ["test_*.py"]
    print("tests/blender skipped: this Python has no bpy")

PACKAGE = "bl_ext.user_default.likeness"
_status = 0


@pytest.fixture(scope="session")
def extension():
    """The enabled extension's root module."""
    folder = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True))
    link = folder / "likeness"
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)

    def fail(exc):
        raise exc

    addon_utils.enable(PACKAGE, default_set=True, handle_error=fail)
    yield sys.modules[PACKAGE]
    addon_utils.disable(PACKAGE, default_set=True)


@pytest.fixture
def load(extension):
    """load("addon.scene") -> the module, as Blender has it."""
    return lambda name: importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def empty(extension):
    """An empty file; the extension stays enabled."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return bpy.context.scene


@pytest.fixture
def figure(tmp_path, load):
    """(PersonResult, arrays) of the synthetic person."""
    import figure as synthetic
    arrays = synthetic.write(tmp_path / "job")
    return load("addon.result").load(tmp_path / "job"), arrays


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """bpy 4.2 crashes and 4.5 hangs in its own exit when classes are left registered: leave at once."""
    if bpy is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)
