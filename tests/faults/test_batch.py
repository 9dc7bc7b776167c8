"""A batch against crashes, other processes, and what people do to its folder. Each fault is one of docs/reliability.md."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from neural.contract.journal import Journal
from neural.contract.result import whole_report

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/support/batch_run.py"
posix = pytest.mark.skipif(os.name != "posix", reason="kill -9 and mounts are POSIX")


class Batch:
    """A folder of photos and an output folder; `run` is a whole process."""

    def __init__(self, folder: Path, *names: str):
        self.folder, self.out = folder, folder / "out"
        (folder / "photos").mkdir()
        self.photos = [folder / "photos" / n for n in names or ("a.jpg", "b.jpg", "c.jpg", "d.jpg")]
        for photo in self.photos:
            photo.write_bytes(photo.name.encode())

    def start(self, *more: str, die_at: str = "", before: tuple[str, ...] = (), **env: str) -> subprocess.Popen:
        return subprocess.Popen([*before, sys.executable, str(SCRIPT), str(self.out), *map(str, self.photos), *more], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"DIE_AT": die_at, "FAKE_STEP_S": "0.01", **env})

    def run(self, *more: str, **how) -> tuple[int, dict[str, tuple[str, str]], str]:
        """(exit status, photo -> (state, code of the error), what was said)."""
        process = self.start(*more, **how)
        out, err = process.communicate(timeout=120)
        return process.returncode, {n: (s, c) for n, s, c in map(str.split, out.splitlines())}, err

    def check(self, **extra_done: int) -> None:
        """Every result is there once and whole, and nothing else; the journal says so."""
        names = [p.stem for p in self.photos]
        assert {p.name for p in self.out.iterdir()} == {*names, "journal.sqlite"}
        assert all(whole_report(self.out / n)["job"]["run"] for n in names)
        assert not [p for p in self.out.rglob("*") if "likeness-" in p.name]
        with Journal(self.out) as journal:
            rows, events = {r.id: r for r in journal.rows()}, journal.events()
        assert [r.state for r in rows.values()] == ["done"] * len(names)
        assert all(whole_report(self.out / r.output)["job"] == r.stamp() for r in rows.values())
        done = Counter(rows[photo].output for _, photo, state, _, _ in events if state == "done")
        assert done == {n: 1 + extra_done.get(n, 0) for n in names}

    def written(self) -> Counter:
        return Counter((self.folder / "written.txt").read_text().split())


@pytest.fixture
def batch(tmp_path):
    return Batch(tmp_path)


def test_nothing_happens_and_nothing_is_done_twice(batch):
    assert batch.run()[:2] == (0, {p.name: ("done", "-") for p in batch.photos})
    code, answers, said = batch.run()
    assert code == 0 and set(answers.values()) == {("skipped", "-")} and "4 of 4 done before" in said
    batch.check()
    assert set(batch.written().values()) == {1}
    assert batch.run("--fresh")[0] == 0
    batch.check(a=1, b=1, c=1, d=1)
    assert set(batch.written().values()) == {2}


def test_parts_of_a_long_work_wait_for_their_whole(batch):
    """What a sequence keeps of an unfinished start is there until its result is; with --fresh it goes at once."""
    kept = {p.stem: batch.out / f".{p.stem}.likeness-frames" for p in batch.photos}

    def leave():
        for folder in kept.values():
            (folder / "key/000001").mkdir(parents=True)

    leave()
    assert batch.run(die_at="after-claim:3")[0] != 0 and not kept["a"].exists() and kept["c"].is_dir() and kept["d"].is_dir()
    assert batch.run()[0] == 0
    batch.check()
    leave()
    assert batch.run("--fresh", die_at="after-claim:2")[0] != 0 and not kept["a"].exists() and kept["d"].is_dir()


@posix
@pytest.mark.parametrize("moment", ["before-claim:2", "after-claim:2", "working:2", "written:2", "before-replace_folder:2",
                                    "before-rename:2", "after-rename:2", "after-replace_folder:2", "before-end:2", "after-end:2"])
def test_killed_at_a_moment_then_resumed(batch, moment):
    """kill -9 of the parent: the finished results stay, the interrupted one is done or found again, once."""
    assert batch.run(die_at=moment)[0] == -signal.SIGKILL
    code, answers, _ = batch.run()
    assert code == 0 and answers["a.jpg"] == ("skipped", "-")
    batch.check()
    placed = moment in ("after-rename:2", "after-replace_folder:2", "before-end:2", "after-end:2")
    assert answers["b.jpg"][0] == ("skipped" if placed else "done")
    assert batch.written()["b"] == (2 if moment in ("before-replace_folder:2", "before-rename:2") else 1)


@posix
@pytest.mark.parametrize("moment", ["working:1", "before-rename:1", "after-rename:1", "before-rename:2", "after-rename:2"])
def test_killed_while_an_older_result_is_replaced(batch, moment):
    """Until the new result is whole and in place, the old one is not lost, not even between the two renames."""
    assert batch.run()[0] == 0
    (batch.out / "a" / "old.txt").write_text("x")
    assert batch.run("--fresh", die_at=moment)[0] == -signal.SIGKILL
    with Journal(batch.out):
        assert (batch.out / "a" / "old.txt").exists() == (moment != "after-rename:2")
        assert whole_report(batch.out / "a")
    assert batch.run()[0] == 0                          # goes on with what --fresh began
    batch.check(a=1, b=1, c=1, d=1)
    assert not (batch.out / "a" / "old.txt").exists()


@posix
def test_killed_again_and_again_from_outside(tmp_path):
    batch = Batch(tmp_path, *(f"p{i}.jpg" for i in range(1, 13)))
    for number in (2, 5, 9):
        process = batch.start()
        for line in process.stderr:
            if line.startswith(f"[{number}/12]") and "done" not in line:
                process.kill()
                break
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    assert batch.run()[0] == 0
    batch.check()


@posix
def test_a_photo_that_kills_the_program_is_given_up_and_the_others_are_done(batch):
    batch.photos[0] = batch.photos[0].rename(batch.photos[0].with_name("deadly.jpg"))
    for attempt in range(3):                            # it is the first, then, since it has killed before, the last
        moment = "after-claim:1" if attempt == 0 else "after-claim:4" if attempt == 1 else "after-claim:1"
        assert batch.run(die_at=moment)[0] == -signal.SIGKILL
    code, answers, _ = batch.run()
    assert code == 3 and answers.pop("deadly.jpg") == ("failed", "photo.crashes")
    assert set(answers.values()) == {("skipped", "-")}
    assert batch.run("--retry-failed")[0] == 0
    batch.check()


@posix
def test_interrupted_by_the_person(batch):
    process = batch.start(FAKE_STEP_S="0.2")
    batch.photos[1].rename(batch.photos[1].with_name("b.jpg"))
    for line in process.stderr:
        if line.startswith("[2/4]") and "Starting" not in line:
            process.send_signal(signal.SIGINT)
            break
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    states = dict(line.split()[:2] for line in out.splitlines())
    assert states["a.jpg"] == "done" and states["c.jpg"] == states["d.jpg"] == "waiting"
    assert batch.run()[0] == 0
    batch.check()


@posix
def test_two_processes_on_one_folder(tmp_path):
    batch = Batch(tmp_path, "slow.jpg", "b.jpg")
    first = batch.start(FAKE_STEP_S="0.2")
    while "Starting" not in first.stderr.readline():
        pass
    code, answers, said = batch.run()
    assert code == 3 and set(answers.values()) == {("waiting", "output.busy")}
    assert f"process {first.pid} on" in said and "Traceback" not in said
    first.communicate(timeout=60)
    assert first.returncode == 0
    batch.check()


@posix
def test_a_dead_owner_is_taken_over_at_once(batch):
    assert batch.run(die_at="after-claim:2")[0] == -signal.SIGKILL
    with sqlite3.connect(batch.out / "journal.sqlite") as database:
        assert database.execute("SELECT count(*) FROM owner").fetchone() == (1,)
    code, _, said = batch.run()
    assert code == 0 and "listening" not in said


@pytest.mark.parametrize("harm", ["rubbish", "halved", "emptied", "removed", "other-tables"])
def test_a_damaged_journal_is_set_aside_and_no_result_is_lost(batch, harm):
    assert batch.run()[0] == 0
    file = batch.out / "journal.sqlite"
    content = file.read_bytes()
    if harm == "removed":
        file.unlink()
    elif harm == "other-tables":
        file.unlink()
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE photo (id, path)")
        database.close()
    else:
        file.write_bytes({"rubbish": b"\0rubbish" * 4000, "halved": content[:len(content) // 2 + 100], "emptied": b""}[harm])
    harmed = file.read_bytes() if file.exists() else b""
    code, answers, said = batch.run()
    assert code == 0 and set(answers.values()) == {("skipped", "-")}, said
    assert set(batch.written().values()) == {1}         # nothing was done again
    aside = batch.out / "journal.damaged-1.sqlite"
    if harm in ("removed", "emptied"):
        assert not aside.exists()
    else:
        assert "journal.damaged-1.sqlite" in said and aside.read_bytes()[:4000] == harmed[:4000]
        aside.unlink()
    batch.check()


def test_results_that_are_taken_away_or_harmed_are_made_again(batch):
    assert batch.run()[0] == 0
    shutil.rmtree(batch.out / "a")
    (batch.out / "b" / "report.json").unlink()
    (batch.out / "c" / "c.glb").write_bytes(b"")
    code, answers, _ = batch.run()
    assert code == 0 and [answers[p.name][0] for p in batch.photos] == ["done", "done", "done", "skipped"]
    batch.check(a=1, b=1, c=1)


def test_a_result_that_is_no_result_fails_alone(batch):
    batch.photos[1] = batch.photos[1].rename(batch.photos[1].with_name("broken.jpg"))
    code, answers, said = batch.run()
    assert code == 3 and answers.pop("broken.jpg") == ("failed", "internal.unexpected") and "Traceback" not in said
    assert set(answers.values()) == {("done", "-")} and [p.name for p in (batch.out / "broken").iterdir()] == ["report.json"]


def test_a_changed_photo_is_done_again_and_a_touched_or_moved_one_is_not(batch):
    assert batch.run()[0] == 0
    batch.photos[0].write_bytes(b"another picture")
    os.utime(batch.photos[1], (1, 1))
    moved = batch.folder / "elsewhere"
    moved.mkdir()
    batch.photos[2] = batch.photos[2].rename(moved / "c.jpg")
    code, answers, _ = batch.run()
    assert code == 0 and [answers[p.name][0] for p in batch.photos] == ["done", "skipped", "skipped", "skipped"]
    batch.check(a=1)


def test_a_photo_that_changes_in_the_middle_fails_with_a_reason(batch):
    batch.photos[1] = batch.photos[1].rename(batch.photos[1].with_name("slow.jpg"))
    process = batch.start(FAKE_STEP_S="0.05")
    for line in process.stderr:
        if "slow.jpg" in line and "Starting" not in line:
            batch.photos[1].write_bytes(b"another picture")
            break
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 3 and "slow.jpg failed photo.changed" in out
    assert batch.run()[0] == 0
    batch.check()


def test_a_photo_that_is_taken_away(batch):
    """Before its turn it is missed; a photo that vanishes when it has been read does no harm to its result."""
    batch.photos[1] = batch.photos[1].rename(batch.photos[1].with_name("slow.jpg"))
    process = batch.start(FAKE_STEP_S="0.05")
    for line in process.stderr:
        if "slow.jpg" in line and "Starting" not in line:
            batch.photos[1].unlink()
            batch.photos[2].unlink()
            break
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 3 and "slow.jpg done -" in out and "c.jpg failed photo.missing" in out and "d.jpg done -" in out


@posix
@pytest.mark.parametrize("when", ["Starting", "done in"])
def test_output_folder_removed_in_the_middle(tmp_path, when):
    batch = Batch(tmp_path, "a.jpg", "slow.jpg", "c.jpg", "d.jpg")
    process = batch.start(FAKE_STEP_S="0.1")
    for line in process.stderr:
        if when in line and ("slow.jpg" in line or when == "done in"):
            shutil.rmtree(batch.out, ignore_errors=True)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "output.gone" in out and "Traceback" not in err
    assert not batch.out.exists() or not [p for p in batch.out.rglob("*") if "likeness-" in p.name]
    assert batch.run()[0] == 0
    assert all(whole_report(batch.out / p.stem) for p in batch.photos)


def mounted(script: str) -> tuple[str, ...]:
    """A command before ours: in a mount namespace of its own, after this script; $OUT is the output folder."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode if shutil.which("unshare") else True:
        pytest.skip("no mount namespaces here (unshare -rm)")
    return "unshare", "-rm", "sh", "-c", f'{script}; exec "$@"', "sh"


@posix
def test_read_only_output(batch):
    batch.out.mkdir()
    read_only = mounted('mount --bind "$OUT" "$OUT" && mount -o remount,bind,ro "$OUT"')
    code, answers, said = batch.run(before=read_only, OUT=str(batch.out))
    assert code == 3 and set(answers.values()) == {("waiting", "output.read-only")} and "may write" in said
    assert not list(batch.out.iterdir())
    assert batch.run()[0] == 0
    batch.check()


@posix
@pytest.mark.parametrize("room_kb", [4, 60, 250])
def test_full_disk_stops_the_batch_which_goes_on_later(batch, room_kb):
    """A disk of 8 MB with so much left: nothing half-written, and the rest is done when there is room."""
    batch.out.mkdir()
    steps = (f'mount -t tmpfs -o size=8m none "$OUT"; df -k --output=avail "$OUT" | tail -1 | (read k; '
             f'head -c $(( (k - {room_kb}) * 1024 )) /dev/zero > "$OUT/filler"); "$@"; echo "full $? -"; '
             'ls -A "$OUT" | grep likeness- ; rm "$OUT/filler"')
    _, answers, said = batch.run(before=mounted(steps), OUT=str(batch.out))
    assert answers["full"] == ("3", "-") and "output.disk-full" in said and "Traceback" not in said
    assert {answers[p.name][1] for p in batch.photos} == {"-"}, said
