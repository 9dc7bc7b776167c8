"""Nothing in a photo, a name, a file or a job can write outside of the output folder, run code, take the memory, or reach the network."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neural.contract import wire
from neural.contract.errors import OptionError
from neural.contract.job import JobOptions

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests/support/batch_run.py"
posix = pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and namespaces are Linux'")
NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "telnetlib", "socketserver", "xmlrpc", "requests", "httpx", "aiohttp", "asyncio",
           "multiprocessing"}
NAMES_THE_HOST = {"neural/contract/owner.py"}         # socket.gethostname, for the lock's message


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): b"" if p.is_dir() else p.read_bytes() for p in folder.rglob("*") if not p.is_symlink()}


def batch(out: Path, *photos: Path, **env: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(RUN), str(out), *map(str, photos)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "FAKE_STEP_S": "0.01", **env})
    return done.returncode, done.stdout + done.stderr


@posix
def test_names_of_photos_stay_names(tmp_path):
    tricks = ["..jpg", "...jpg", ".. .jpg", "-rf.jpg", "~.jpg", "$(touch pwned).jpg", "`id`.jpg", "a;b.jpg", "a\nb.jpg", "%2e%2e%2fx.jpg", "..\\..\\x.jpg",
              "con.jpg", ".a.likeness-part.jpg", "journal.sqlite.jpg", "'\".jpg", "ü\u202egpj.exe.jpg", "x.previous.jpg"]
    (tmp_path / "in").mkdir()
    (tmp_path / "work").mkdir()
    photos = [tmp_path / "in" / n for n in tricks]
    for photo in photos:
        photo.write_bytes(os.fsencode(photo.name))
    before = snapshot(tmp_path / "in")
    code, said = batch(tmp_path / "work/out", *photos)
    assert code == 0 and "Traceback" not in said, said
    out = tmp_path / "work/out"
    results = [p for p in out.iterdir() if p.is_dir()]
    assert len(results) == len(tricks) and all((p / "report.json").is_file() and not p.name.startswith((".", "-")) or p.name == "-rf" for p in results)
    assert {p.name for p in tmp_path.iterdir()} == {"in", "work"} and {p.name for p in (tmp_path / "work").iterdir()} == {"out", "written.txt"}
    assert snapshot(tmp_path / "in") == before
    assert not any(p.name == "pwned" for p in (*tmp_path.rglob("pwned"), *ROOT.glob("pwned")))


@posix
def test_planted_links_in_the_output_folder_are_not_followed(tmp_path):
    """Somebody else may write to a shared output folder: what links there lead to is neither written to nor deleted."""
    victim, out = tmp_path / "victim", tmp_path / "out"
    out.mkdir()
    for name in ("folder/precious", "file", "database"):
        (victim / name).parent.mkdir(parents=True, exist_ok=True)
        (victim / name).write_text("precious" if name != "database" else "")
    for name in ("a", ".a.likeness-part", ".a.likeness-old", ".b.likeness-part"):
        (out / name).symlink_to(victim / "folder")
    for name, target in ((".journal.lock", "file"), ("journal.sqlite", "database"), ("journal.sqlite-wal", "file"), (".c.likeness-old", "file")):
        (out / name).symlink_to(victim / target)
    before = snapshot(victim)
    photos = [tmp_path / n for n in ("a.jpg", "b.jpg")]
    for photo in photos:
        photo.write_bytes(b"x")
    code, said = batch(out, *photos)
    assert code == 0, said
    assert snapshot(victim) == before
    assert all((out / n).is_dir() and not (out / n).is_symlink() and (out / n / "mesh.ply").stat().st_size for n in "ab")
    assert not (out / "journal.sqlite").is_symlink() and (out / "journal.sqlite").stat().st_size


@linux
def test_small_files_that_ask_for_much_memory_are_refused_for_what_they_are(tmp_path):
    done = subprocess.run([sys.executable, "-W", "ignore", str(ROOT / "tests/support/bombs.py"), str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.count("ok ") == 10, done.stdout + done.stderr[-2000:]


@pytest.mark.parametrize("options", [{"preset": ["draft"]}, {"preset": None}, {"seed": "1"}, {"seed": True}, {"height_m": "tall"}, {"body": 7}, {"mask": ["x"]},
                                     {"face": 1}, {"person": 1.5}, {"person_at": [1]}, {"person_at": ["a", "b"]}, {"person_at": {"x": 1}},
                                     {"__class__": "x"}, {"preset": "../../x"}])
def test_a_job_with_options_that_are_none_is_refused(options):
    with pytest.raises(OptionError) as caught:
        JobOptions.from_json(options)
    assert caught.value.remedy


def test_the_worker_has_no_code_that_could_reach_the_network():
    """Neither the worker nor what it loads of ours imports anything that speaks to a network. Set-up, the one exception, is pip's process."""
    found = set()
    for file in sorted((ROOT / "neural").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {(str(file.relative_to(ROOT)), n) for n in names if n.split(".")[0] in NETWORK}
    assert found == {(f, "socket") for f in NAMES_THE_HOST}


def test_the_real_worker_opens_no_connection_with_all_its_libraries(tmp_path):
    """The real worker with the real pipeline imported, watched by an audit hook: no socket is made, bound or connected."""
    watch = ("import sys, os\n"
             "def hook(event, args):\n"
             "    if event.startswith('socket.') and event not in ('socket.gethostname', 'socket.__new__') or event == 'socket.__new__' and args[1] != 1:\n"
             "        os.write(2, f'NETWORK {event} {args}'.encode()); os._exit(99)\n"
             "sys.addaudithook(hook)\n"
             f"sys.path.insert(0, {str(ROOT)!r})\n"
             "from neural.worker import main; main()\n")
    lines = wire.encode(wire.Run("j", str(tmp_path / "none.jpg"), str(tmp_path / "out"), JobOptions(preset="draft").to_json()))
    process = subprocess.Popen([sys.executable, "-s", "-c", watch], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    process.stdin.write(lines)
    process.stdin.flush()
    answers = []
    for line in process.stdout:
        answers.append(wire.decode(line))
        if isinstance(answers[-1], (wire.Result, wire.Error)):
            break
    _, err = process.communicate(timeout=60)
    assert isinstance(answers[-1], wire.Error) and answers[-1].code == "photo.missing", (answers[-1:], err[-2000:])
    assert process.returncode == 0 and b"NETWORK" not in err


@linux
def test_without_any_network_a_batch_is_what_it_always_is(tmp_path):
    """In a network namespace that has not even a loopback."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("no network namespaces here (unshare -rn)")
    (tmp_path / "a.jpg").write_bytes(b"x")
    done = subprocess.run(["unshare", "-rn", sys.executable, str(RUN), str(tmp_path / "out"), str(tmp_path / "a.jpg")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.split() == ["a.jpg", "done", "-"], done.stderr
