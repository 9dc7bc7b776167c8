"""The real worker around a pipeline of the tests' own: what it does with what a job, a library or its parent do to it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neural.contract import wire

ROOT = Path(__file__).resolve().parents[2]
BUSY = "def job(self, *_): time.sleep(600)"
posix = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX")


def warnings(result) -> list[str]:
    return [w["code"] for w in result.report["warnings"]]


# -- the start ---------------------------------------------------------------------------------------------------------

def test_hello_comes_before_anything_heavy():
    """What is imported by the time of hello is the standard library and us."""
    code = ("import sys, neural.worker\n"
            "print({m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names) - {'neural', '__main__'})")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
                          capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_hello_then_load_then_stages_then_result(scripts, answer):
    client = scripts.real("""
        def job(self, photo, out, progress, cancelled, tile):
            progress("s09_surface", 0, 2); progress("s09_surface", 2, 2)""")
    result, others = answer(client, client.submit("a.jpg", "out", {"device": "cpu"}))
    assert isinstance(others[0], wire.Hello) and others[0].protocol == wire.PROTOCOL
    assert others[0].pid == result.report["pid"] and others[0].device["cpus"] >= 1
    seen = [m for m in others if isinstance(m, wire.Progress)]
    assert list(dict.fromkeys(m.stage for m in seen)) == ["load", "s01_photo", "s09_surface"]
    assert (seen[-1].done, seen[-1].of, seen[-1].label) == (2, 2, "Surface")
    assert {m.stage: m.quiet_s > 60 for m in seen} == {"load": True, "s01_photo": False, "s09_surface": True}
    assert result.report["device"] == "cpu"


def test_an_environment_without_torch_is_a_coded_error(scripts, answer):
    script = scripts.write(f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['torch'] = None\n"
                           "from neural.worker import main; main()")
    client = scripts.client(script)
    error, _ = answer(client, client.submit("a", "o", {}))
    assert error.code == "engine.broken" and "torch" in error.message and "Set Up" in error.remedy
    assert "Traceback" in error.trace


def test_models_stay_loaded_until_the_device_changes(scripts, answer):
    client = scripts.real()
    reports = [answer(client, client.submit("a", "o", {"device": d}))[0].report for d in ("cpu", "cpu", "auto")]
    assert [(r["made"], r["ran"], r["device"]) for r in reports] == [(1, 1, "cpu"), (1, 2, "cpu"), (2, 1, "auto")]
    assert len({r["pid"] for r in reports}) == 1


# -- noise -------------------------------------------------------------------------------------------------------------

def test_stray_prints_cannot_break_the_protocol(scripts, answer):
    client = scripts.real("""
        def job(self, photo, out, progress, cancelled, tile):
            import ctypes, subprocess
            print("python prints"); os.write(1, b"a library writes\\n"); sys.__stdout__.write('{"kind":"result"')
            libc = ctypes.CDLL(None); libc.puts(b"C prints"); libc.fflush(None)
            subprocess.run([sys.executable, "-c", "print('a child prints')"])
            return {"stdin": sys.stdin.read() + os.read(0, 10).decode()}""")
    result, _ = answer(client, client.submit("a", "o", {}))
    assert isinstance(result, wire.Result) and result.report["stdin"] == ""
    again, _ = answer(client, client.submit("b", "o", {}))
    assert isinstance(again, wire.Result) and client._pipes.rubbish == 0
    for words in ("python prints", "a library writes", "C prints", "a child prints"):
        assert words in client.stderr_tail


def raw(scripts, body: str = "", **popen) -> subprocess.Popen:
    """The real worker without our client."""
    script = scripts.write(scripts.real_text(body), "raw_worker.py")
    process = subprocess.Popen([sys.executable, "-s", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               cwd=scripts.folder, **popen)
    scripts.clients.append(_Raw(process))
    assert wire.decode(process.stdout.readline()).kind == "hello"
    return process


class _Raw:
    def __init__(self, process):
        self.process = process

    def stop(self, wait):
        self.process.kill()
        self.process.wait(wait)
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass


def say(process, line: bytes) -> None:
    process.stdin.write(line)
    process.stdin.flush()


def hear(process, kind: str):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:                # heartbeats come every second, so this does not block for ever
        line = process.stdout.readline()
        assert line, "the worker has ended"
        message = wire.decode(line)
        if message.kind == kind:
            return message
    raise AssertionError(f"no '{kind}' came")


def test_rubbish_on_stdin_is_answered_and_survived(scripts):
    process = raw(scripts)
    for line in (b"what?\n", b'{"kind":"run"}\n', b"\xff\n", b"x" * (wire.MAX_LINE + 10) + b"\n"):
        say(process, line)
        error = hear(process, "error")
        assert (error.job, error.code) == ("", "engine.protocol")
    say(process, wire.encode(wire.Run("j", "p", "o", {})))
    assert hear(process, "result").job == "j"


def test_it_beats_while_it_works_and_answers_a_ping(scripts):
    process = raw(scripts, BUSY)
    say(process, wire.encode(wire.Run("j", "p", "o", {})))
    while (beat := hear(process, "heartbeat")).stage != "s01_photo":
        pass
    assert beat.loaded and hear(process, "heartbeat").stage == "s01_photo"
    if sys.platform == "linux":
        assert 5 < beat.memory_mb < 500
    say(process, wire.encode(wire.Ping()))
    assert hear(process, "heartbeat")


# -- cancel ------------------------------------------------------------------------------------------------------------

def test_cancel_ends_the_job_and_not_the_worker(scripts, answer):
    client = scripts.real("""
        def job(self, photo, out, progress, cancelled, tile):
            if photo.name == "slow":
                while not cancelled():
                    progress("s03_body", 1, 2); time.sleep(0.01)
                raise errors.CancelledError()""", cancel_limit=80.0)
    job = client.submit("slow", "o", {})
    progress, _ = answer(client, job, lambda m: getattr(m, "stage", "") == "s03_body")
    pid = client.hello.pid
    client.cancel()
    error, _ = answer(client, job)
    assert error.code == "cancelled.by-user" and error.trace == ""
    result, _ = answer(client, client.submit("quick", "o", {}))
    assert result.report["pid"] == pid and result.report["made"] == 1


def test_cancel_of_a_job_that_waits_in_the_worker(scripts):
    process = raw(scripts, "def job(self, photo, *_): time.sleep(0.5)")
    for line in (wire.Run("a", "p", "o", {}), wire.Run("b", "p", "o", {}), wire.Cancel("b"), wire.Run("c", "p", "o", {})):
        say(process, wire.encode(line))
    assert hear(process, "result").job == "a"
    error = hear(process, "error")
    assert (error.job, error.code) == ("b", "cancelled.by-user")
    assert hear(process, "result").report["ran"] == 2                # b never ran


@posix
def test_ctrl_c_is_the_parents_to_decide(scripts, answer):
    client = scripts.real("""
        def job(self, *_): os.kill(os.getpid(), __import__("signal").SIGINT); time.sleep(0.1)""")
    assert isinstance(answer(client, client.submit("a", "o", {}))[0], wire.Result)


# -- memory ------------------------------------------------------------------------------------------------------------

OUT_OF_MEMORY = {
    "python": "raise MemoryError()",
    "torch-cuda": "raise type('OutOfMemoryError', (RuntimeError,), {})('CUDA out of memory. Tried to allocate 2 GiB')",
    "torch-cpu": "raise RuntimeError('[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes')",
    "mps": "raise RuntimeError('MPS backend out of memory (MPS allocated: 8 GB)')",
    "opencv": "raise type('error', (Exception,), {})('OpenCV(5.0) error: (-4:Insufficient memory) Failed to allocate 9 bytes')",
    "wrapped": "try: bytearray(1 << 62)\n            except MemoryError as exc: raise errors.SurfaceError('surface.x', 'M.', 'R.') from exc",
}


@pytest.mark.parametrize("how", OUT_OF_MEMORY)
def test_out_of_memory_is_tried_again_with_smaller_tiles_and_said(how, scripts, answer):
    client = scripts.real(f"""
    def job(self, photo, out, progress, cancelled, tile):
        if tile == 2048:
            {OUT_OF_MEMORY[how]}""")
    result, _ = answer(client, client.submit("a", "o", {}))
    assert isinstance(result, wire.Result), result
    assert warnings(result) == ["engine.memory-retry"] and result.report["tile"] == 1024
    assert result.report["released"] == 1 and result.report["ran"] == 2


def test_out_of_memory_twice_is_an_error_with_a_remedy(scripts, answer):
    client = scripts.real("""
        def job(self, photo, *_):
            if photo.name == "big": raise MemoryError()""")
    error, _ = answer(client, client.submit("big", "o", {}))
    assert error.code == "engine.out-of-memory" and "preset" in error.remedy and "MemoryError" in error.trace
    small, _ = answer(client, client.submit("small", "o", {}))
    assert warnings(small) == [] and small.report["tile"] == 2048


def test_other_errors_are_not_tried_again(scripts, answer):
    client = scripts.real("""
        def job(self, photo, *_):
            with open("tries", "a") as file: file.write("x")
            raise RuntimeError("shapes do not match")""")
    assert answer(client, client.submit("bad", "o", {}))[0].code == "internal.unexpected"
    assert (scripts.folder / "tries").read_text() == "x"


def test_the_first_trys_arrays_are_gone_before_the_second(scripts, answer):
    client = scripts.real("""
        def job(self, photo, out, progress, cancelled, tile):
            import gc, weakref
            class Big: pass
            if tile == 2048:
                big = Big(); Fake.ref = weakref.ref(big)
                raise MemoryError()
            return {"gone": Fake.ref() is None}""")
    assert answer(client, client.submit("a", "o", {}))[0].report["gone"] is True


def test_idle_models_leave_memory_and_come_back(scripts, answer, eventually):
    client = scripts.real("""
        def release(self):
            self.released += 1; print("released", self.released, flush=True)""")
    first, _ = answer(client, client.submit("a", "o", {}, idle_s=0.2))
    eventually(lambda: "released 1" in client.stderr_tail)
    time.sleep(0.6)
    assert "released 2" not in client.stderr_tail                 # once, not again and again
    second, _ = answer(client, client.submit("b", "o", {}, idle_s=1000.0))
    assert second.report["pid"] == first.report["pid"] and second.report["ran"] == 2
    time.sleep(0.6)
    assert "released 2" not in client.stderr_tail


def test_after_a_longer_idle_time_the_process_ends_and_nobody_notices(scripts, answer, eventually, alive):
    client = scripts.real("worker.END_S = 0.2")
    first, _ = answer(client, client.submit("a", "o", {}, idle_s=0.2))
    said = []
    eventually(lambda: said.extend(client.poll()) or client.state == "stopped")
    assert said == [] and not alive(first.report["pid"])
    second, _ = answer(client, client.submit("b", "o", {}))
    assert isinstance(second, wire.Result) and second.report["pid"] != first.report["pid"]


def test_idle_time_out_from_the_environment(scripts, answer, eventually):
    body = "def release(self): print('released', flush=True)"
    client = scripts.real(body, env={"LIKENESS_IDLE_S": "0.2"})
    answer(client, client.submit("a", "o", {}))
    eventually(lambda: "released" in client.stderr_tail)
    client = scripts.real(body, env={"LIKENESS_IDLE_S": "soon"})   # nonsense: the default
    assert isinstance(answer(client, client.submit("a", "o", {}))[0], wire.Result)


# -- failures ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("deed, code, word", [
    ("raise ValueError('odd number')", "internal.unexpected", "odd number"),
    ("sys.exit('a library gives up')", "internal.unexpected", "gives up"),
    ("raise KeyboardInterrupt()", "internal.unexpected", "KeyboardInterrupt"),
    ("raise errors.PhotoError('photo.unreadable', 'This is no image.', 'Take another.')", "photo.unreadable", "no image"),
    ("import errno; raise OSError(errno.ENOSPC, 'No space left')", "output.disk-full", "disk"),
    ("import errno; raise PermissionError(errno.EACCES, 'no', str(out / 'x.png'))", "output.not-writable", "folder"),
    ("import errno; raise PermissionError(errno.EACCES, 'no', '/somewhere/else')", "internal.unexpected", "else"),
    ("return {'x': 'y' * 5_000_000}", "engine.protocol", "too long"),
    ("return {'x': float('nan'), 'p': photo}", None, ""),
])
def test_whatever_a_job_does_it_gets_its_answer(deed, code, word, scripts, answer):
    client = scripts.real(f"""
        def job(self, photo, out, progress, cancelled, tile):
            if photo.name == "bad": {deed}""")
    said, _ = answer(client, client.submit("bad", "o", {}))
    if code is None:
        assert said.report["x"] is None and said.report["p"].endswith("bad")
    else:
        assert said.code == code and word in said.message and said.remedy and "Traceback" in said.trace
    assert isinstance(answer(client, client.submit("good", "o", {}))[0], wire.Result)


def test_options_of_another_version_are_refused(scripts, answer):
    client = scripts.real()
    error, _ = answer(client, client.submit("a", "o", {"sparkle": True}))
    assert error.code == "option.unknown" and "sparkle" in error.message
    assert isinstance(answer(client, client.submit("a", "o", {}))[0], wire.Result)


@posix
def test_a_locked_up_interpreter_is_a_hang_with_its_stack(scripts, answer):
    """C code that never gives Python's lock back: no thread of the worker can speak."""
    client = scripts.real("""
        def job(self, *_):
            import ctypes; ctypes.PyDLL(None).sleep(600)
        worker.WATCH_S = 1.0""", hang_limit=4.0)
    error, _ = answer(client, client.submit("a", "o", {}))
    assert error.code == "engine.hung" and "s01_photo" in error.message
    assert "in job" in error.trace and "Timeout" in error.trace


@posix
def test_a_locked_up_interpreter_in_a_declared_long_step_is_waited_for(scripts, answer):
    client = scripts.real("""
        def job(self, photo, out, progress, *_):
            import ctypes; progress("s09_surface", 0, 1); ctypes.PyDLL(None).sleep(5)""", hang_limit=3.0)
    assert isinstance(answer(client, client.submit("a", "o", {}))[0], wire.Result)


# -- no orphans --------------------------------------------------------------------------------------------------------

def test_end_of_stdin_ends_it_in_the_middle_of_a_job(scripts):
    process = raw(scripts, BUSY)
    say(process, wire.encode(wire.Run("j", "p", "o", {})))
    hear(process, "progress")
    process.stdin.close()
    assert process.wait(90) == 0


def test_shutdown_ends_it(scripts):
    process = raw(scripts, BUSY)
    say(process, wire.encode(wire.Run("j", "p", "o", {})) + wire.encode(wire.Shutdown()))
    assert process.wait(90) == 0


@posix
def test_it_ends_when_nobody_reads_it_any_more(scripts):
    process = raw(scripts, BUSY)
    process.stdout.close()
    assert process.wait(90) == 0


@posix
def test_no_orphan_when_blender_is_killed(scripts, eventually, alive):
    worker = scripts.write(scripts.real_text(BUSY), "real.py")
    parent = scripts.write(f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from addon.worker_process import WorkerProcess
client = WorkerProcess(sys.executable, {str(scripts.folder)!r}, command=[sys.executable, "-s", {str(worker)!r}])
client.submit("a", "o", {{}})
while True:
    for m in client.poll(0.1):
        if getattr(m, "stage", "") == "s01_photo": print(client.hello.pid, flush=True)
""", "parent.py")
    with subprocess.Popen([sys.executable, str(parent)], stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not alive(pid), "an orphan")


@posix
def test_no_orphan_even_when_the_pipes_leaked(scripts, eventually, alive):
    """Another process (here: we) still holds the far ends of stdin and stdout, so that neither ends with the parent."""
    worker = scripts.write(scripts.real_text(BUSY), "real.py")
    (stdin, to_worker), (from_worker, stdout) = os.pipe(), os.pipe()
    code = f"""
import subprocess, sys, time
process = subprocess.Popen([sys.executable, "-s", {str(worker)!r}], stdin={stdin}, stdout={stdout})
print(process.pid, flush=True); time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, pass_fds=[stdin, stdout]) as process:
        pid = int(process.stdout.readline())
        os.write(to_worker, wire.encode(wire.Run("j", "p", "o", {})))
        heard = b""
        while b"s01_photo" not in heard:              # it serves, so it has seen its parent alive
            heard += os.read(from_worker, 65536)
        assert alive(pid)
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not alive(pid), "an orphan")
    for end in (stdin, to_worker, from_worker, stdout):
        os.close(end)
