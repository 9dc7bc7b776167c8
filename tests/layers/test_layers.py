"""Who may import whom (design §2). Read from the source text, so that no environment can hide a breach."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BPY = {"bpy", "mathutils", "bl_ui", "bpy_extras", "gpu", "blf", "bmesh", "addon_utils"}
HEAVY = {"torch", "cv2", "scipy", "trimesh", "PIL", "pymeshlab", "xatlas", "ai_edge_litert", "skimage", "safetensors"}
BLENDER_SIDE = ("addon", "ops", "panels")
ENGINE_SIDE = ("neural", "train", "evaluate", "benchmarks")


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(file: Path) -> set[str]:
    """Dotted names that a file imports, relative ones made absolute from the project's root; functions included."""
    found = set()
    package = file.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[:-node.level], node.module or "")).strip(".") if node.level else node.module
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == p or name.startswith(p + ".") for p in packages)


def breaches(files: list[Path], forbidden) -> list[str]:
    return [f"{f.relative_to(ROOT)}: {name}" for f in files for name in sorted(imports(f)) if forbidden(name)]


def test_there_is_something_to_check():
    assert python_files("neural/stages") and python_files("addon") and python_files("ops") and python_files("panels")


@pytest.mark.parametrize("folder", ENGINE_SIDE)
def test_engine_never_imports_blender(folder):
    assert not breaches(python_files(folder), lambda n: n.split(".")[0] in BPY or within(n, *BLENDER_SIDE))


@pytest.mark.parametrize("folder", BLENDER_SIDE)
def test_blender_side_never_imports_the_engine(folder):
    def forbidden(name):
        return (name.split(".")[0] in HEAVY or within(name, "train", "evaluate", "benchmarks")
                or (within(name, "neural") and not within(name, "neural.contract")))
    assert not breaches(python_files(folder), forbidden)


def test_contract_is_stdlib_and_numpy():
    allowed = set(sys.stdlib_module_names) | {"numpy", "__future__"}
    assert not breaches(python_files("neural/contract"),
                        lambda n: n.split(".")[0] not in allowed and not within(n, "neural.contract"))


@pytest.mark.parametrize("folder", ["neural/nets", "neural/geometry", "neural/body", "neural/checkpoint"])
def test_lower_layers_know_no_stages(folder):
    assert not breaches(python_files(folder),
                        lambda n: within(n, "neural.stages", "neural.pipeline", "neural.worker", "neural.output"))


def test_nothing_imports_training():
    assert not breaches(python_files("neural"), lambda n: within(n, "train", "evaluate", "benchmarks"))


def test_many_machines_need_neither_blender_nor_the_engine():
    """farm/ hands photos on: its processes import no bpy and no torch (station.py loads Blender's half by name). Nobody imports it."""
    allowed = set(sys.stdlib_module_names) | {"__future__", "distributed", "headless_main"}
    assert not breaches(python_files("farm"), lambda n: n.split(".")[0] not in allowed and not within(n, "addon", "neural.contract", "farm"))
    everywhere = [f for folder in (*ENGINE_SIDE, *BLENDER_SIDE) for f in python_files(folder)]
    assert python_files("farm") and not breaches(everywhere, lambda n: within(n, "farm"))


def test_blender_side_is_layered():
    assert not breaches(python_files("addon"), lambda n: within(n, "ops", "panels"))
    assert not breaches(python_files("ops"), lambda n: within(n, "panels"))


def test_bpy_data_has_one_writer():
    """Only addon/ may touch bpy.data; operators and panels go through it."""
    writers = [str(f.relative_to(ROOT)) for folder in ("ops", "panels") for f in python_files(folder)
               if "bpy.data." in f.read_text("utf-8")]
    assert not writers


def test_contract_and_worker_run_without_blender():
    """The engine's modules import with bpy blocked."""
    code = ("import sys; sys.modules['bpy'] = None; sys.modules['mathutils'] = None\n"
            "import neural.pipeline, neural.worker, neural.output")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_file_is_too_long():
    sizes = {f: len(f.read_text("utf-8").splitlines())
             for folder in (*ENGINE_SIDE, *BLENDER_SIDE, "farm", "tests") for f in python_files(folder)}
    assert not {str(f.relative_to(ROOT)): n for f, n in sizes.items() if n > 400}
    assert sorted(sizes.values())[len(sizes) // 2] <= 150


def test_no_pickle_outside_the_allow_listed_reader():
    readers = {str(f.relative_to(ROOT)) for folder in (*ENGINE_SIDE, *BLENDER_SIDE) for f in python_files(folder)
               if any(within(n, "pickle", "dill", "joblib", "cloudpickle") for n in imports(f))}
    assert readers <= {"neural/body/unpickle.py", "neural/checkpoint/unpickle.py"}, readers


def test_one_version():
    import tomllib
    from neural.contract.result import VERSION
    assert tomllib.loads((ROOT / "blender_manifest.toml").read_text("utf-8"))["version"] == VERSION


def test_pins_are_exact_and_say_why():
    for file in (ROOT / "requirements").glob("*.txt"):
        for line in file.read_text("utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                pin, _, why = line.partition("#")
                assert "==" in pin and len(why.split()) >= 2, f"{file.name}: {line}"


def test_dev_build_makes_the_zip_without_what_only_developers_need(tmp_path):
    """The exclusions of the manifest, on the list of tracked files."""
    import fnmatch
    import tomllib
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    patterns = tomllib.loads((ROOT / "blender_manifest.toml").read_text("utf-8"))["build"]["paths_exclude_pattern"]
    kept = [f for f in tracked.stdout.split() if not any(
        ("/" + f).startswith(p) if p.endswith("/") else fnmatch.fnmatch("/" + f, p) or fnmatch.fnmatch(f, p) for p in patterns)]
    tops = {f.split("/")[0] for f in kept}
    assert {"addon", "ops", "panels", "neural", "requirements", "LICENSE", "__init__.py", "blender_manifest.toml"} <= tops
    assert not tops & {"tests", "train", "evaluate", "docs", "dev.py", ".ci", "farm"}
