"""Poisson in a process of its own: the same bytes, and what becomes of it when something happens."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from neural import memory
from neural.contract.errors import CancelledError, EngineError, SurfaceError
from neural.geometry import poisson_apart
from neural.geometry.poisson import screened_poisson
from neural.geometry.poisson_apart import screened_poisson_apart


@pytest.fixture(scope="module")
def ball():
    n = np.random.default_rng(0).normal(size=(4000, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    return (0.4 * n + (0.1, 0, 2)).astype(np.float32), n.astype(np.float32), np.linspace(0.2, 1, len(n))


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The processes that were started."""
    found, real = [], subprocess.Popen
    monkeypatch.setattr(poisson_apart.subprocess, "Popen", lambda *args, **kwargs: found.append(real(*args, **kwargs)) or found[-1])
    return found


@pytest.mark.parametrize("weighted", (False, True))
def test_gives_the_same_bytes(ball, weighted):
    xyz, normals, weight = ball
    weight = weight if weighted else None
    memory.reset_peak()
    before = memory.peak_mb()
    for one, other in zip(screened_poisson(xyz, normals, 6, weight=weight), screened_poisson_apart(xyz, normals, 6, weight)):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    radius = np.linalg.norm(screened_poisson_apart(xyz, normals, 6, weight)[0] - (0.1, 0, 2), axis=1)
    assert abs(radius - 0.4).max() < 0.02
    assert memory.peak_mb() > before + 20                      # pymeshlab alone takes that; a stage's report must not hide it


def test_much_takes_long_and_is_the_same(started):
    """More than a pipe holds, and longer than a look."""
    n = np.random.default_rng(1).normal(size=(60000, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    looks = []
    vertices, faces = screened_poisson_apart(n, n, 8, check=lambda: looks.append(1))
    wanted = screened_poisson(n, n, 8)
    assert vertices.tobytes() == wanted[0].tobytes() and faces.tobytes() == wanted[1].tobytes()
    assert len(looks) > 3 and len(started) == 1


def test_nothing_is_lost_in_this_process(ball):
    """In this process every call at this depth would keep megabytes."""
    sizes = []
    for _ in range(6):
        screened_poisson_apart(ball[0], ball[1], 7)
        sizes.append(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
    assert sizes[-1] - sizes[1] < 4, sizes


def test_a_cancelled_photo_ends_its_process(started):
    began = time.monotonic()

    def check():
        if time.monotonic() - began > 0.3:
            raise CancelledError()

    many = np.random.default_rng(0).normal(size=(200000, 3))
    with pytest.raises(CancelledError):
        screened_poisson_apart(many, many, 9, check=check)
    assert started[0].poll() is not None and time.monotonic() - began < 5


@pytest.mark.parametrize("number, wanted", [(signal.SIGKILL, MemoryError), (signal.SIGSEGV, SurfaceError)])
def test_a_process_that_dies_is_an_error_of_the_photo(started, number, wanted):
    def kill():
        latest = time.monotonic() + 20
        while not started and time.monotonic() < latest:
            time.sleep(0.01)
        started[0].send_signal(number)

    thread = threading.Thread(target=kill)
    thread.start()
    many = np.random.default_rng(0).normal(size=(200000, 3))
    with pytest.raises(wanted) as caught:
        screened_poisson_apart(many, many, 9)
    thread.join()
    if wanted is SurfaceError:
        assert caught.value.code == "surface.library" and caught.value.remedy


@pytest.mark.parametrize("limit_mb", (450, 550))
def test_memory_that_runs_out_there_is_an_error_here(limit_mb):
    """It is told as what it is, or pymeshlab dies of it; this process does not."""
    code = ("import resource, numpy as np\n"
            "from neural.contract.errors import SurfaceError\n"
            "from neural.geometry.poisson_apart import screened_poisson_apart as run\n"
            "n = np.random.default_rng(0).normal(size=(100000, 3)); n /= np.linalg.norm(n, axis=1, keepdims=True)\n"
            f"resource.setrlimit(resource.RLIMIT_AS, ({limit_mb} << 20,) * 2)\n"
            "try: run(n, n, 9)\n"
            "except MemoryError: print('memory')\n"
            "except SurfaceError as error: print(error.code)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() in ("memory", "surface.library"), (done.stdout, done.stderr, done.returncode)


def test_it_dies_with_its_worker(tmp_path):
    if sys.platform != "linux":
        pytest.skip("elsewhere it ends with its work")
    code = ("import numpy as np\n"
            "from neural.geometry.poisson_apart import screened_poisson_apart as run\n"
            "n = np.random.default_rng(0).normal(size=(400000, 3))\n"
            "run(n, n, 10)\n")
    worker = subprocess.Popen([sys.executable, "-c", code])
    list_of = lambda: subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True).stdout.split()
    latest = time.monotonic() + 20
    while not (mine := list_of()) and time.monotonic() < latest:
        time.sleep(0.02)
    time.sleep(0.3)
    worker.kill()
    worker.wait()
    time.sleep(0.3)
    assert not os.path.exists(f"/proc/{mine[0]}") or "Z" in open(f"/proc/{mine[0]}/stat").read().split()[2]


def test_errors_come_back_with_code_and_remedy(ball, monkeypatch, tmp_path):
    (tmp_path / "pymeshlab.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    real = poisson_apart._run
    monkeypatch.setattr(poisson_apart, "_run", lambda command, *rest: real(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from neural.geometry.poisson_apart import main; main()"], *rest))
    with pytest.raises(EngineError) as caught:
        screened_poisson_apart(*ball[:2], 6)
    assert caught.value.code == "engine.pymeshlab" and "libgl1" in caught.value.remedy
    monkeypatch.setattr(poisson_apart, "_run", lambda command, *rest: real(["/nowhere/python"], *rest))
    with pytest.raises(EngineError) as caught:
        screened_poisson_apart(*ball[:2], 6)
    assert caught.value.code == "engine.process"
