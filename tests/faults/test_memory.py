"""Memory that runs out, and memory that is lost: the worker is the real one, around a stand-in for the pipeline."""

from __future__ import annotations

import sys

import pytest

from neural.contract import wire

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are enforced on Linux")


@linux
@pytest.mark.parametrize("deed", ["bytes(2 << 30)", "__import__('numpy').ones(2 << 28)"], ids=["python", "numpy"])
def test_a_limit_of_the_system_is_out_of_memory_with_a_remedy_and_the_next_job_works(deed, scripts, answer):
    """As under `ulimit -v`: the allocations themselves fail, in the first try and in the one with smaller tiles."""
    client = scripts.real(f"""
        import numpy, resource
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        def job(self, photo, out, progress, cancelled, tile):
            if "large" in photo.name:
                kept = {deed}""")
    jobs = [client.submit(name, "o", {}) for name in ("small", "large", "small")]
    first, failed, last = (answer(client, job)[0] for job in jobs)
    assert failed.code == "engine.out-of-memory" and failed.remedy and "MemoryError" in failed.trace
    assert first.report["pid"] != last.report["pid"]              # a process in whose state nobody can trust is replaced


@linux
def test_a_limit_that_kills_inside_a_library_is_a_coded_error(scripts, answer):
    """C++ that cannot allocate aborts the process."""
    client = scripts.real("""
        def job(self, photo, out, progress, cancelled, tile):
            if "large" in photo.name:
                print("terminate called after throwing an instance of 'std::bad_alloc'", flush=True)
                os.abort()""")
    failed, last = (answer(client, client.submit(name, "o", {}))[0] for name in ("large", "small"))
    assert failed.code == "engine.crashed" and "bad_alloc" in failed.trace and isinstance(last, wire.Result)


def test_a_worker_whose_memory_grows_is_replaced_between_two_jobs_and_nobody_notices(scripts, answer, alive):
    """It leaks 20 MB a job and may keep 50. Each job is sent the moment the last one is answered: none is lost on the way."""
    client = scripts.real("""
        worker.GROWN_MB = 50.0
        kept = []
        def job(self, photo, out, progress, cancelled, tile):
            Fake.kept.append(b"x" * 20_000_000)""")
    jobs = [client.submit(f"{i}", "o", {}) for i in range(12)]
    reports = [answer(client, job)[0].report for job in jobs]
    pids = [r["pid"] for r in reports]
    assert 3 <= len(set(pids)) <= 6 and pids == sorted(pids, key=pids.index)
    assert max(r["ran"] for r in reports) <= 5 and not alive(pids[0])
    client.cancel_all()


def test_a_worker_without_growth_stays(scripts, answer):
    client = scripts.real("""
        worker.GROWN_MB = 50.0
        def job(self, photo, out, progress, cancelled, tile):
            bytes(100_000_000)""")
    assert len({answer(client, client.submit(f"{i}", "o", {}))[0].report["pid"] for i in range(6)}) == 1


def test_the_status_of_replacement_from_a_worker_that_never_worked_is_a_crash(scripts, answer):
    """Else a defect could start workers without end."""
    client = scripts.fake("hello(); hear_run(); os._exit(%d)" % wire.RETIRED)
    assert answer(client, client.submit("a", "o", {}))[0].code == "engine.crashed"


def test_a_job_that_reached_a_worker_that_was_ending_is_sent_again(scripts, answer):
    client = scripts.fake("""
        hello(); beat(); say("result", job=hear_run(), report={"pid": os.getpid()})
        if FIRST: hear_run(); os._exit(%d)
        while True: say("result", job=hear_run(), report={"pid": os.getpid()})""" % wire.RETIRED)
    pids = [answer(client, client.submit(n, "o", {}))[0].report["pid"] for n in "ab"]
    assert pids[0] != pids[1]
