"""The protocol's lines: round trips, strictness, rubbish."""

import io
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from neural.contract import wire
from neural.contract.errors import EngineError, PhotoError

EXAMPLES = [
    wire.Hello(1, "0.1.0", 4711, {"cpus": 2, "gpu": None}),
    wire.Run("a1", "/tmp/ö \udcff\n.jpg", "C:\\aus\\ü", {"preset": "draft", "person_at": [1.5, 2]}, None, 2.5),
    wire.Run("a1", "p", "o", {}, "/cache", None),
    wire.Cancel("a1"), wire.Ping(), wire.Shutdown(),
    wire.Progress("a1", "s09_surface", 1, 2.5, "Surface", 600.0),
    wire.Heartbeat("load", 300.0, True, 812.5),
    wire.Result("a1", {"ok": True, "stages": [{"name": "s01_photo", "seconds": 0.1}], "mesh": None}),
    wire.Error("a1", "photo.unreadable", "Line one.\nLine two \u2028 and a \x00.", "Do this.", "Trace…\r\n"),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: m.kind)
def test_round_trip(message):
    line = wire.encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and line.isascii()
    assert wire.decode(line) == message


def test_every_kind_has_an_example():
    assert {m.kind for m in EXAMPLES} == set(wire.KINDS)


def test_unknown_keys_are_ignored_and_defaults_filled():
    got = wire.decode(b'{"kind":"hello","protocol":7,"version":"9","pid":1,"news":[1,{"a":2}]}\r\n')
    assert got == wire.Hello(7, "9", 1, {})


@pytest.mark.parametrize("line, why", [
    (b"", "JSON"), (b"\n", "JSON"), (b"hello\n", "JSON"), (b"[1]\n", "object"), (b"null\n", "object"),
    (b"{}\n", "unknown kind"), (b'{"kind":"dance"}\n', "unknown kind"), (b'{"kind":["run"]}\n', "unknown kind"),
    (b'{"kind":"cancel"}\n', "lacks 'job'"), (b'{"kind":"cancel","job":7}\n', "'job'"),
    (b'{"kind":"cancel","job":null}\n', "'job'"),
    (b'{"kind":"hello","protocol":true,"version":"1","pid":1}\n', "'protocol'"),
    (b'{"kind":"hello","protocol":1.0,"version":"1","pid":1}\n', "'protocol'"),
    (b'{"kind":"progress","job":"a","stage":"s","done":NaN,"of":1}\n', "JSON"),
    (b'{"kind":"progress","job":"a","stage":"s","done":1e999,"of":1}\n', "'done'"),
    (b'{"kind":"progress","job":"a","stage":"s","done":"1","of":1}\n', "'done'"),
    (b'{"kind":"result","job":"a","report":[]}\n', "'report'"),
    (b'{"kind":"ping"}{"kind":"ping"}\n', "JSON"), (b'\xff\xfe{\x00}\x00\n', "JSON"),
    (b'{"kind":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "JSON"),
    (b'{"kind":"ping","x":' + b"9" * 10_000 + b"}\n", "JSON"),
    (b" " * wire.MAX_LINE + b'{"kind":"ping"}', "bytes"),
], ids=lambda v: repr(v[:40]) if isinstance(v, bytes) else None)
def test_rubbish_is_named(line, why):
    with pytest.raises(wire.ProtocolError, match=why) as caught:
        wire.decode(line)
    assert caught.value.code == "engine.protocol" and caught.value.remedy and isinstance(caught.value, EngineError)


def test_fuzz_gives_a_message_or_a_protocol_error_and_nothing_else():
    rng = random.Random(0)
    good = [wire.encode(m) for m in EXAMPLES]
    outcomes = {"message": 0, "error": 0}
    for _ in range(4000):
        line = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 6)):
            how, at = rng.randint(0, 3), rng.randrange(len(line) or 1)
            if how == 0:
                line[at:at + 1] = bytes([rng.randrange(256)])
            elif how == 1:
                del line[at:at + rng.randint(1, 20)]
            elif how == 2:
                line[at:at] = rng.choice([b"null", b"{", b"}", b'"', b"[", b"1e400", b"-", b"\\u", b"\n", b"true"])
            else:
                line[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 10)))
        try:
            message = wire.decode(bytes(line))
        except wire.ProtocolError:
            outcomes["error"] += 1
        else:
            outcomes["message"] += 1
            assert wire.decode(wire.encode(message)) == message    # whatever is accepted is well-formed
    assert min(outcomes.values()) > 50, outcomes                   # the fuzz reaches both sides


@pytest.mark.parametrize("message", [
    wire.Result("a", {"x": math.nan}), wire.Result("a", {"x": Path("p")}), wire.Result("a", None),
    wire.Cancel(7), wire.Result("a", {"x": "y" * wire.MAX_LINE}),
], ids=["nan", "path", "none", "int", "long"])
def test_what_cannot_be_read_cannot_be_written(message):
    with pytest.raises(wire.ProtocolError):
        wire.encode(message)


def test_lines_finds_whole_half_and_overlong_lines():
    long = b"x" * (2 * wire.MAX_LINE + 5)
    got = list(wire.lines(io.BytesIO(b"one\n" + long + b"\ntwo\n\nhalf")))
    assert [(line[:4], whole) for line, whole in got] == [
        (b"one\n", True), (b"xxxx", False), (b"two\n", True), (b"\n", True), (b"half", False)]
    assert max(len(line) for line, _ in got) <= wire.MAX_LINE


def test_plain_makes_any_report_fit_for_json():
    report = {"a": np.float32(1.5), "b": np.arange(3), "c": (1, {2}), "d": math.inf, "e": Path("x") / "y", 3: None,
              "f": np.array([np.nan, 2.0]), "g": True, "h": np.bool_(False)}
    got = wire.plain(report)
    assert got == {"a": 1.5, "b": [0, 1, 2], "c": [1, [2]], "d": None, "e": str(Path("x/y")), "3": None,
                   "f": [None, 2.0], "g": True, "h": False}
    assert json.loads(wire.encode(wire.Result("j", got)))["report"] == got


def test_an_error_crosses_the_wire():
    there = PhotoError("photo.unreadable", "This is no image.", "Choose another file.", "the trace")
    back = wire.decode(wire.encode(wire.Error.of("j", there))).exception()
    assert type(back) is PhotoError
    assert (back.code, back.message, back.remedy, back.trace) == (there.code, there.message, there.remedy, there.trace)
