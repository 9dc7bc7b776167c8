"""The journal of an output folder: order, ownership, damage; and what a batch makes of it."""

import dataclasses
import itertools
import json
import os
import random
import shutil
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from neural.contract import journal as module
from neural.contract.errors import OutputError, PersonError
from neural.contract.job import JobOptions
from neural.contract.journal import DONE, FAILED, RUNNING, SKIPPED, WAITING, Journal
from neural.contract.plan import plan

DRAFT = JobOptions(preset="draft")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def photos(folder: Path, *names: str) -> list[tuple[Path, JobOptions]]:
    """Files beside the output folder, each with its name as content."""
    out = []
    for name in names:
        photo = folder.parent / "photos" / name
        photo.parent.mkdir(exist_ok=True)
        photo.write_bytes(os.fsencode(name))
        out.append((photo, DRAFT))
    return out


def finish(journal: Journal, row: module.Row) -> module.Row:
    """What a batch does with a photo, the result included."""
    row = journal.claim(row)
    result = journal.folder / row.output
    result.mkdir(exist_ok=True)
    for name in ("mesh.ply", "albedo.png", f"{row.output}.blend", f"{row.output}.glb"):
        (result / name).write_text("x")
    (result / "report.json").write_text(json.dumps({"ok": True, "job": row.stamp()}))
    return journal.end(row, DONE, 1.5)


def states(rows) -> list[str]:
    return [r.state for r in rows]


def owner_becomes(journal: Journal, host: str, token: str = "theirs") -> None:
    """As another machine would have left, or is writing, it."""
    with sqlite3.connect(journal.file) as database:
        database.execute("UPDATE owner SET token = ?, host = ?, pid = 4711", (token, host))
    database.close()


def test_a_batch_begins_and_goes_on(folder):
    wanted = photos(folder, "a.jpg", "b.jpg", "c.jpg")
    with Journal(folder) as journal:
        first, second, third = plan(journal, wanted)
        assert finish(journal, first).seconds == 1.5
        row = journal.end(journal.claim(second), FAILED, error=PersonError("person.none", "Nobody.", "Another photo."))
        assert (row.error.code, row.error.remedy) == ("person.none", "Another photo.")
        journal.claim(third)
    with Journal(folder) as journal:
        assert states(plan(journal, wanted)) == [DONE, FAILED, WAITING]
        assert journal.rows()[2].attempts == 1
        assert states(plan(journal, wanted, retry_failed=True)) == [DONE, WAITING, WAITING]
        assert states(plan(journal, wanted, fresh=True)) == [WAITING] * 3
        assert states(plan(journal, [(wanted[0][0], JobOptions())])) == [WAITING]
        assert [r.output for r in journal.rows()] == ["a", "b", "c"]


def test_failures_of_the_machine_are_tried_again_by_themselves(folder):
    wanted = photos(folder, "a.jpg")
    with Journal(folder) as journal:
        (row,) = plan(journal, wanted)
        journal.end(journal.claim(row), FAILED, error=OutputError("output.disk-full", "Full.", "Room."))
        assert states(plan(journal, wanted)) == [WAITING]


def test_options_count_with_the_files_they_name(folder, tmp_path):
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"one")
    wanted = [(photos(folder, "a.jpg")[0][0], JobOptions(mask=str(mask)))]
    with Journal(folder) as journal:
        finish(journal, plan(journal, wanted)[0])
        assert states(plan(journal, wanted)) == [DONE]
        mask.write_bytes(b"two")
        assert states(plan(journal, wanted)) == [WAITING]


def test_same_stem_means_distinct_folders_that_stay(folder):
    wanted = photos(folder, "x.jpg", "x.png", "X.webp", ".hid.jpg", "x.previous.jpg", "journal.sqlite.jpg")
    with Journal(folder) as journal:
        names = [r.output for r in plan(journal, wanted)]
        assert names == ["x", "x-2", "X-3", "hid", "x.previous-2", "journal.sqlite-2"]
    with Journal(folder) as journal:                   # also in another order, and one at a time
        assert [r.output for r in plan(journal, wanted[::-1])] == names[::-1]
        assert [r.output for r in plan(journal, wanted[1:2])] == ["x-2"]


@pytest.mark.skipif(os.name == "nt", reason="such names are POSIX")
def test_names_that_are_no_text_and_long_names(folder):
    odd = os.fsdecode(b"caf\xe9 \xff\n.jpg")
    wanted = photos(folder, odd, "ü" * 120 + ".jpg", "a'b\"c\\d.jpg")
    with Journal(folder) as journal:
        rows = plan(journal, wanted)
        assert [journal.photo(r) for r in rows] == [p for p, _ in wanted]
        assert [r.output for r in rows] == ["caf_ __", "ü" * 90, "a'b\"c_d"]
        assert finish(journal, rows[0]).sha256 == module.files.sha256_of(wanted[0][0])
    with Journal(folder) as journal:
        assert states(plan(journal, wanted)) == [DONE, WAITING, WAITING]


def test_photos_and_results_may_move_together(folder, tmp_path):
    wanted = photos(folder, "a.jpg")
    with Journal(folder) as journal:
        finish(journal, plan(journal, wanted)[0])
    (tmp_path / "disk").mkdir()
    for name in ("photos", "out"):
        shutil.move(tmp_path / name, tmp_path / "disk" / name)
    with Journal(tmp_path / "disk/out") as journal:
        assert states(plan(journal, [(tmp_path / "disk/photos/a.jpg", DRAFT)])) == [DONE]
        assert journal.photo(journal.rows()[0]) == tmp_path / "disk/photos/a.jpg"


def test_a_clock_that_is_set_back_changes_nothing(folder, monkeypatch):
    hours = (f"2030-01-01T{h:02}:00:00+00:00" for h in itertools.cycle(range(23, -1, -1)))
    monkeypatch.setattr(module, "_utc", lambda: next(hours))
    wanted = photos(folder, *(f"{i}.jpg" for i in range(8)))
    for _ in range(2):
        with Journal(folder) as journal:
            for row in [r for r in plan(journal, wanted) if r.state == WAITING][:4]:
                finish(journal, row)
    with Journal(folder) as journal:
        events = journal.events()
        assert [e[1] for e in events if e[2] == DONE] == list(range(1, 9))
        assert [e[0] for e in events] == sorted(e[0] for e in events)
        assert [e[3] for e in events] != sorted(e[3] for e in events)         # the times really went back
        assert states(plan(journal, wanted)) == [DONE] * 8
        assert [e[2] for e in journal.events()[-8:]] == [SKIPPED] * 8


# -- one process at a time ---------------------------------------------------------------------------------------------

def test_the_second_one_is_told_who_is_there(folder):
    with Journal(folder):
        with pytest.raises(OutputError, match=f"process {os.getpid()} on {socket.gethostname()}") as told:
            Journal(folder)
        assert told.value.code == "output.busy" and told.value.remedy
    Journal(folder).close()
    assert [p.name for p in folder.iterdir()] == ["journal.sqlite"]


def left_by(folder: Path, host: str) -> None:
    """A journal whose owner, on that machine, did not close it."""
    journal = Journal(folder)
    journal.claim(plan(journal, photos(folder, "a.jpg"))[0])
    owner_becomes(journal, host)
    journal.close()


def test_a_dead_owner_of_another_machine_is_taken_over_after_listening(folder):
    left_by(folder, "elsewhere")
    said = []
    with Journal(folder, said.append, watch_s=0.5) as journal:
        assert "4711 on elsewhere" in said[0] and states(journal.rows()) == [WAITING]


def test_a_live_owner_of_another_machine_is_left_alone(folder):
    left_by(folder, "elsewhere")
    end = threading.Event()

    def beat():
        while not end.wait(0.1):
            with sqlite3.connect(folder / "journal.sqlite", timeout=10) as database:
                database.execute("UPDATE owner SET beat = beat + 1")
            database.close()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(OutputError, match="4711 on elsewhere"):
            Journal(folder, watch_s=30.0)
    finally:
        end.set()
        thread.join()


def test_the_heart_beats(folder, monkeypatch):
    monkeypatch.setattr(module, "Heart", lambda file, token: real(file, token, 0.05))
    real = __import__("neural.contract.owner", fromlist=["Heart"]).Heart
    with Journal(folder) as journal:
        for _ in range(600):
            beats = journal._database.execute("SELECT beat FROM owner").fetchone()[0]
            if beats > 2:
                break
            threading.Event().wait(0.05)
        assert beats > 2


def test_who_was_taken_over_changes_nothing_any_more(folder):
    """A laptop that slept so long that another machine went on with its batch."""
    journal = Journal(folder)
    row = journal.claim(plan(journal, photos(folder, "a.jpg"))[0])
    owner_becomes(journal, "elsewhere")
    with pytest.raises(OutputError) as told:
        journal.end(row, DONE)
    assert told.value.code == "output.taken-over" and states(journal.rows()) == [RUNNING]
    journal.close()
    with sqlite3.connect(folder / "journal.sqlite") as database:
        assert database.execute("SELECT host FROM owner").fetchone() == ("elsewhere",)


# -- damage ------------------------------------------------------------------------------------------------------------

def test_a_newer_journal_is_left_alone(folder):
    Journal(folder).close()
    with sqlite3.connect(folder / "journal.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = (folder / "journal.sqlite").read_bytes()
    with pytest.raises(OutputError) as told:
        Journal(folder)
    assert told.value.code == "output.journal-newer" and (folder / "journal.sqlite").read_bytes() == before


@pytest.mark.parametrize("change", ["output = '../../etc'", "output = '.hidden'", "output = 'a/b'", "output = ''", "output = x'00'",
                                    "state = 'great'", "attempts = 'many'", "path = '\"'", "seconds = NULL"])
def test_a_row_that_we_cannot_have_written_is_damage(folder, change):
    """Nothing in a journal leads out of its folder."""
    with Journal(folder) as journal:
        plan(journal, photos(folder, "a.jpg"))
    with sqlite3.connect(folder / "journal.sqlite") as database:
        database.execute("PRAGMA ignore_check_constraints = 1")
        if "NULL" in change:
            database.executescript("PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, 'seconds REAL NOT NULL', 'seconds REAL')")
    database.close()
    with sqlite3.connect(folder / "journal.sqlite") as database:
        database.execute(f"UPDATE photo SET {change}")
    database.close()
    said = []
    with Journal(folder, said.append) as journal:
        assert journal.rows() == [] and "journal.damaged-1.sqlite" in said[0]
    assert (folder / "journal.damaged-1.sqlite").is_file()


def test_flipped_bytes_never_bring_more_than_a_coded_error(folder, tmp_path):
    with Journal(folder) as journal:
        for row in plan(journal, photos(folder, *(f"{i}.jpg" for i in range(20)))):
            finish(journal, row)
    whole = (folder / "journal.sqlite").read_bytes()
    rng = random.Random(7)
    outcomes = set()
    for number in range(60):
        here = tmp_path / str(number)
        here.mkdir()
        harmed = bytearray(whole)
        for _ in range(rng.choice((1, 4, 40))):
            harmed[rng.randrange(len(harmed) if number % 2 else 200)] = rng.randrange(256)
        (here / "journal.sqlite").write_bytes(harmed[:rng.randrange(len(harmed))] if number % 5 == 0 else harmed)
        try:
            with Journal(here) as journal:
                plan(journal, photos(folder, "0.jpg"))
                outcomes.add("set aside" if len(list(here.glob("*damaged*"))) else "used")
        except OutputError as exc:
            outcomes.add(exc.code)
    assert {"set aside", "used"} <= outcomes <= {"set aside", "used", "output.journal-newer", "output.journal-damaged"}, outcomes


def test_rows_are_what_their_types_say():
    assert {f.type for f in dataclasses.fields(module.Row)} <= set(module._KINDS)
