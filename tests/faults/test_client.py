"""Blender's side against workers that misbehave in every way we could think of."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from addon.worker_process import WorkerProcess
from neural.contract import wire
from neural.contract.errors import CancelledError, EngineError
from neural.contract.job import JobOptions

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")

FAULTS = {  # name -> (what the worker does the first time it runs, limits, code of the error, word in message or trace)
    "killed": ("hello(); hear_run(); os.kill(os.getpid(), signal.SIGKILL)", {}, "engine.killed", "memory"),
    "killed-in-shell": ("hello(); hear_run(); os._exit(137)", {}, "engine.killed", "memory"),
    "segfault": ("hello(); hear_run(); os.kill(os.getpid(), signal.SIGSEGV)", {}, "engine.crashed", "SIGSEGV"),
    "exit-in-job": ("hello(); hear_run(); sys.exit('the reason')", {}, "engine.crashed", "the reason"),
    "exit-0-in-job": ("hello(); hear_run(); os._exit(0)", {}, "engine.crashed", "middle"),
    "exits-at-once": ("sys.exit('no module named x')", {}, "engine.start-failed", "no module named x"),
    "syntax-error": ("exec('1 +')", {}, "engine.start-failed", "SyntaxError"),
    "never-greets": ("time.sleep(600)", {"start_limit": 1.0}, "engine.start-failed", "did not answer"),
    "hangs": ("hello(); hear_run(); say('progress', job=run['job'], stage='s04_coarse', done=0, of=1); time.sleep(600)",
              {"hang_limit": 3.0}, "engine.hung", "s04_coarse"),
    "stops-reading": ("hello(); time.sleep(600)", {"hang_limit": 3.0}, "engine.hung", "nothing heard"),
    "lives-but-stalls": ("hello(); hear_run(); beat(); time.sleep(600)", {"stall_limit": 1.5}, "engine.hung", "no progress"),
    "long-step-overrun": ("hello(); say('heartbeat', quiet_s=4.0, stage='load'); hear_run(); time.sleep(600)",
                          {"hang_limit": 3.0}, "engine.hung", "load"),
    "rubbish": ("hello(); hear_run(); beat(); print('la\\n' * 500, flush=True); time.sleep(600)", {}, "engine.protocol", "la"),
    "endless-line": ("hello(); hear_run()\nfor _ in range(9): sys.stdout.write('x' * 1000000); sys.stdout.flush()\ntime.sleep(600)",
                     {"hang_limit": 3.0}, "engine.hung", ""),
    "half-a-line": ("hello(); job = hear_run(); sys.stdout.write('{\"kind\":\"result\",\"job\":\"' + job); sys.stdout.flush(); os._exit(1)",
                    {}, "engine.crashed", "half a line"),
    "other-protocol": ("say('hello', protocol=99, version='9.9', pid=1, shiny=True); time.sleep(600)", {}, "engine.protocol", "99"),
    "older-protocol": ("hello(protocol=0); time.sleep(600)", {}, "engine.protocol", "0"),
    "closes-stdout": ("hello(); hear_run(); os.close(1); time.sleep(600)", {}, "engine.crashed", "stopped talking"),
    "understands-nothing": ("hello(); beat(); hear(); say('error', job='', code='engine.protocol', message='What.', remedy='R.'); time.sleep(600)",
                            {}, "engine.protocol", "What."),
    "broken-environment": ("hello(); beat(); say('error', job=hear_run(), code='engine.broken', message='No torch.', remedy='R.'); time.sleep(600)",
                           {}, "engine.broken", "No torch."),
    "internal-error": ("hello(); beat(); print('cuda is upset', file=sys.stderr, flush=True); time.sleep(0.5)\n"
                       "say('error', job=hear_run(), code='internal.unexpected', message='Oh.', remedy='R.', trace='T'); time.sleep(600)",
                       {}, "internal.unexpected", "cuda is upset"),
}


@posix
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_coded_error_and_the_next_job_works(name, scripts, answer, eventually, alive):
    deed, limits, code, word = FAULTS[name]
    indented = deed.replace("\n", "\n    ")
    client = scripts.fake(f"if FIRST:\n    {indented}\nwork()", **limits)
    first, second = client.submit("a.jpg", "out", {}), client.submit("b.jpg", "out", {})
    pid = client._pipes.process.pid
    error, _ = answer(client, first)
    assert isinstance(error, wire.Error), error
    assert error.code == code, error
    assert error.remedy and error.message.endswith(".")
    assert word in error.message + error.trace
    assert isinstance(error.exception(), EngineError) or code.startswith("internal.")
    result, _ = answer(client, second)
    assert isinstance(result, wire.Result), result
    assert result.report["pid"] != pid
    eventually(lambda: not alive(pid), "the old worker was left behind")


def test_no_fault_no_error(scripts, answer):
    """The control for all of the above: the good worker, also after silence and with the default limits."""
    client = scripts.fake("work()", hang_limit=10.0)
    results = [answer(client, client.submit(f"{i}.jpg", "out", {}))[0] for i in range(3)]
    assert all(isinstance(r, wire.Result) for r in results)
    assert len({r.report["pid"] for r in results}) == 1            # one worker did all
    assert client.state == "ready"


def test_a_job_arrives_as_it_was_sent(scripts, answer, tmp_path):
    client = scripts.fake("work()")
    job = client.submit("ä b.jpg", "out", JobOptions(preset="draft", person_at=(1.0, 2.5)), cache="c", idle_s=7.0)
    run = answer(client, job)[0].report["run"]
    assert run["photo"] == os.path.abspath("ä b.jpg") and os.path.isabs(run["out"]) and os.path.isabs(run["cache"])
    assert JobOptions.from_json(run["options"]) == JobOptions(preset="draft", person_at=(1.0, 2.5))
    assert run["idle_s"] == 7.0


def test_a_declared_long_step_is_no_hang(scripts, answer):
    client = scripts.fake("""
        hello(); job = hear_run()
        say("progress", job=job, stage="s09_surface", done=0, of=1, quiet_s=60.0); time.sleep(4)
        say("result", job=job, report={}); time.sleep(600)""", hang_limit=2.0)
    assert isinstance(answer(client, client.submit("a", "o", {}))[0], wire.Result)


def test_a_caller_who_was_away_does_not_mistake_it_for_a_hang(scripts, answer, eventually):
    """The laptop slept: hours have passed on the clock when both sides wake up."""
    client = scripts.fake("hello(); job = hear_run(); beat(); time.sleep(1.5); say('result', job=job, report={}); hear()",
                          hang_limit=5.0)
    job = client.submit("a", "o", {})
    eventually(lambda: client.poll() is None or client.hello)
    client._pipes.heard_at -= 3600
    client._polled_at -= 3600
    client.poll()
    assert client.state == "busy"
    assert isinstance(answer(client, job)[0], wire.Result)


def test_some_rubbish_is_tolerated_and_kept(scripts, answer):
    client = scripts.fake("""
        print("Welcome to libfoo 1.2!"); hello(); job = hear_run()
        print("{broken"); sys.stdout.flush(); os.write(1, b"\\xff\\xfe\\n")
        say("result", job=job, report={"fine": True}); hear()""")
    result, _ = answer(client, client.submit("a", "o", {}))
    assert isinstance(result, wire.Result) and result.report == {"fine": True}
    assert "Welcome to libfoo" in client.stderr_tail and "{broken" in client.stderr_tail


def test_a_flood_of_progress_stays_small_and_nothing_is_lost_at_the_end(scripts, answer, eventually):
    client = scripts.fake("""
        hello(); job = hear_run()
        for i in range(20000): say("progress", job=job, stage="s%02d" % (i % 7), done=i, of=20000)
        for i in range(5000): say("progress", job=job, stage="last", done=i, of=4999)
        say("result", job=job, report={"done": True}); hear()""")
    job = client.submit("a", "o", {})
    eventually(lambda: client.poll() is None or client.hello)
    eventually(lambda: client._pipes._inbox and isinstance(client._pipes._inbox[-1], wire.Result))   # without polling
    assert len(client._pipes._inbox) <= 1000
    result, others = answer(client, job)
    assert result.report == {"done": True}
    assert [m.done for m in others if isinstance(m, wire.Progress) and m.stage == "last"] == [4999]


def test_stderr_is_a_bounded_ring_and_the_log_has_all(scripts, answer, tmp_path):
    log = tmp_path / "logs" / "worker.log"
    client = scripts.fake("""
        hello(); job = hear_run()
        for i in range(1000): print("line", i, file=sys.stderr)
        sys.stderr.write("x" * 300000 + "\\n"); sys.stderr.flush(); sys.exit(5)""", log=log)
    error, _ = answer(client, client.submit("a", "o", {}))
    assert "exit status 5" in error.message and "line 999" in error.trace and "line 1\n" not in error.trace
    assert len(error.trace) < 100_000
    assert client.stop(10.0)
    text = log.read_text("utf-8")
    assert "line 0\n" in text and "line 999\n" in text


def test_missing_interpreter_and_missing_folder(tmp_path, answer):
    for client in (WorkerProcess(tmp_path / "no-python"), WorkerProcess("python3", tmp_path / "no-folder")):
        job = client.submit("a", "o", {})
        error, _ = answer(client, job)
        assert (error.code, client.state) == ("engine.missing", "stopped") and "Set Up" in error.remedy


def test_a_warm_start_that_fails_is_told_without_a_job(scripts, answer):
    client = scripts.fake("sys.exit(3)")
    client.start()
    error, _ = answer(client, "")
    assert error.code == "engine.start-failed" and client.state == "stopped"


def test_an_idle_worker_that_dies_is_replaced_without_words(scripts, answer, eventually):
    client = scripts.fake("""
        hello(); beat(); job = hear_run(); say("result", job=job, report={"pid": os.getpid()}); time.sleep(0.3); os._exit(1)""")
    first, _ = answer(client, client.submit("a", "o", {}))
    said = []
    eventually(lambda: said.extend(client.poll()) or client.state == "stopped")
    assert said == []
    second, _ = answer(client, client.submit("b", "o", {}))
    assert second.report["pid"] != first.report["pid"]


# -- cancel and stop ---------------------------------------------------------------------------------------------------

def is_cancelled(message) -> bool:
    return isinstance(message, wire.Error) and message.code == "cancelled.by-user" \
        and isinstance(message.exception(), CancelledError)


OBEYS = """
hello(); beat()
while True:
    job = hear_run(); say("progress", job=job, stage="s01_photo", done=0, of=1)
    if run["photo"].endswith("slow"):
        heard = hear(); assert heard == {"kind": "cancel", "job": job}, heard
        say("error", job=job, code="cancelled.by-user", message="C.", remedy="R.")
    else:
        say("result", job=job, report={"pid": os.getpid()})
"""


def test_cancel_is_obeyed_and_the_worker_lives_on(scripts, answer):
    client = scripts.fake(OBEYS, cancel_limit=60.0)
    job = client.submit("slow", "o", {})
    answer(client, job, lambda m: isinstance(m, wire.Progress))
    pid = client.hello.pid
    client.cancel()
    assert client.state == "cancelling"
    client.cancel()                                   # twice is no harm
    assert is_cancelled(answer(client, job)[0])
    assert answer(client, client.submit("quick", "o", {}))[0].report["pid"] == pid


def test_cancel_that_is_not_obeyed_kills(scripts, answer, eventually, alive):
    client = scripts.fake("hello(); beat(); job = hear_run()\nif FIRST: say('progress', job=job, stage='s', done=0, of=1); time.sleep(600)\n"
                          "say('result', job=job, report={}); hear()", cancel_limit=0.5)
    job = client.submit("a", "o", {})
    answer(client, job, lambda m: isinstance(m, wire.Progress))
    pid = client.hello.pid
    client.cancel(job)
    assert is_cancelled(answer(client, job)[0])
    eventually(lambda: not alive(pid))
    assert isinstance(answer(client, client.submit("b", "o", {}))[0], wire.Result)


def test_a_result_that_overtakes_the_cancel_is_still_cancelled(scripts, answer):
    client = scripts.fake("hello(); beat(); job = hear_run(); say('progress', job=job, stage='s', done=0, of=1); hear()\n"
                          "say('result', job=job, report={}); hear()")
    job = client.submit("a", "o", {})
    answer(client, job, lambda m: isinstance(m, wire.Progress))
    client.cancel()
    assert is_cancelled(answer(client, job)[0])


def test_cancel_before_the_worker_is_there_and_of_waiting_jobs(scripts, answer):
    client = scripts.fake("time.sleep(1); work()")
    first, second, third = (client.submit(n, "o", {}) for n in "abc")
    assert client.jobs == [first, second, third]
    client.cancel(second)
    client.cancel(first)
    client.cancel("no such job")
    said = client.poll()
    assert all(map(is_cancelled, said)) and {m.job for m in said} == {first, second}
    assert isinstance(answer(client, third)[0], wire.Result)
    jobs = [client.submit(n, "o", {}) for n in "de"]
    client.cancel_all()
    assert {m.job for m in client.poll() if is_cancelled(m)} | {answer(client, j)[0].job for j in client.jobs} == set(jobs)


def test_stop_leaves_nothing_behind(scripts, answer, alive):
    before = threading.active_count()
    client = scripts.fake("hello(); beat(); hear_run(); say('progress', job=run['job'], stage='s', done=0, of=1); time.sleep(600)")
    jobs = [client.submit("a", "o", {}), client.submit("b", "o", {})]
    answer(client, jobs[0], lambda m: isinstance(m, wire.Progress))
    pid = client.hello.pid
    assert client.stop(30.0) and client.state == "stopped" and not alive(pid)
    assert threading.active_count() == before
    assert {m.job for m in client.poll() if is_cancelled(m)} == set(jobs)
    assert client.stop()                              # twice is no harm


def test_no_call_blocks(scripts, eventually):
    """Against a worker that neither reads nor writes, with more to send than a pipe holds."""
    client = scripts.fake("hello(); time.sleep(600)", hang_limit=600.0)
    client.start()
    eventually(lambda: client.poll() is None or client.hello)
    longest, big = 0.0, {"mask": "x" * 1_000_000}
    for call in (lambda: client.submit("a", "o", big), client.poll, client.cancel, client.poll, client.cancel_all,
                 lambda: client.submit("b", "o", big), client.poll, lambda: client.stop(0.0)):
        began = time.monotonic()
        call()
        longest = max(longest, time.monotonic() - began)
    assert longest < 10.0                             # blocking would mean for ever


def test_the_worker_does_not_inherit_blenders_python(scripts, answer, monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__"):
        monkeypatch.setenv(name, "/blender")
    monkeypatch.setenv("LIKENESS_SOMETHING", "kept")
    client = scripts.fake("hello(); say('result', job=hear_run(), report=dict(os.environ)); hear()", env={"EXTRA": "1"})
    env = answer(client, client.submit("a", "o", {}))[0].report
    assert not [k for k, v in env.items() if v == "/blender"]
    assert env["LIKENESS_SOMETHING"] == "kept" and env["EXTRA"] == "1"


def test_the_client_loads_as_part_of_an_extension_with_the_standard_library_alone(tmp_path):
    """Inside Blender the package is bl_ext.<repository>.likeness; nothing may be found by absolute names there."""
    package = tmp_path / "bl_ext" / "likeness"
    (package / "neural").mkdir(parents=True)
    shutil.copytree(ROOT / "neural/contract", package / "neural/contract")
    (package / "addon").mkdir()
    for name in ("worker_process.py", "worker_pipes.py"):
        shutil.copy(ROOT / "addon" / name, package / "addon")
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "from bl_ext.likeness.addon.worker_process import WorkerProcess\n"
            "worker = WorkerProcess('no-such-python'); worker.submit('a', 'o', {}); print(worker.poll()[0].code)\n"
            "print({m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names) - {'bl_ext', '__main__'})")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["engine.missing", "set()"], done.stdout + done.stderr
