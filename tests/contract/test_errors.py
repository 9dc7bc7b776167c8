"""The error tree, and every place in the sources that raises from it."""

import ast
import re
from pathlib import Path

import pytest

from neural.contract import errors

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {c.__name__: c for c in errors.TREE}
CODE = re.compile(r"[a-z]+\.[a-z0-9-]+")


def raised() -> list[tuple[str, type, list[ast.expr]]]:
    """(where, class, arguments) of every construction of a coded error in the product's sources."""
    found = []
    for folder in ("neural", "addon", "ops", "panels", "farm"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
                if name in BY_NAME and name != "CancelledError":
                    found.append((f"{file.relative_to(ROOT)}:{node.lineno}", BY_NAME[name], node.args))
    return found


def text(node: ast.expr) -> str | None:
    """A literal's text, with {} for what is filled in; None when it is computed elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "x" for v in node.values)
    return None


def test_areas_are_unique():
    areas = [c.area for c in errors.TREE]
    assert len(set(areas)) == len(areas)
    assert all(issubclass(c, errors.LikenessError) for c in errors.TREE)


def test_every_error_has_code_sentence_and_remedy():
    places = raised()
    assert len(places) > 5
    wrong = []
    for where, cls, args in places:
        if len(args) < 3:
            wrong.append(f"{where}: needs code, message and remedy")
            continue
        code, message, remedy = (text(a) for a in args[:3])
        if code is not None and (not CODE.fullmatch(code) or code.split(".")[0] != cls.area):
            wrong.append(f"{where}: code '{code}' is not of the area '{cls.area}'")
        for name, sentence in (("message", message), ("remedy", remedy)):
            if sentence is not None and not re.match(r"\S.*[.!?]$", sentence, re.S):
                wrong.append(f"{where}: the {name} is no sentence: {sentence!r}")
    assert not wrong, "\n".join(wrong)


def test_a_code_means_one_thing():
    """One code is raised by one class only, so that a handler may rely on it."""
    classes: dict[str, set[type]] = {}
    for _, cls, args in raised():
        if args and (code := text(args[0])):
            classes.setdefault(code, set()).add(cls)
    assert not {code: found for code, found in classes.items() if len(found) > 1}


@pytest.mark.parametrize("cls", errors.TREE, ids=lambda c: c.__name__)
def test_json_round_trip_keeps_the_class(cls):
    error = errors.CancelledError("Stopped.") if cls is errors.CancelledError else cls(f"{cls.area}.x", "It broke.", "Mend it.")
    back = errors.from_json(error.to_json())
    assert type(back) is cls and back.to_json() == error.to_json()


@pytest.mark.parametrize("data", [{}, {"code": None}, {"code": "martian.x", "message": "M", "remedy": ""}])
def test_unknown_errors_stay_errors_with_a_remedy(data):
    back = errors.from_json(data)
    assert type(back) is errors.InternalError and back.message and back.remedy


def test_unforeseen_exceptions_are_wrapped_with_their_trace():
    wrapped = errors.internal(ValueError("odd"), "Traceback…")
    assert wrapped.code.startswith("internal.") and "odd" in wrapped.message and wrapped.remedy and wrapped.trace == "Traceback…"
