"""Errors of the evaluation that a person can meet: wrong suites and unreadable meshes."""

from __future__ import annotations

from neural.contract.errors import LikenessError


class SuiteError(LikenessError):
    """A suite's index or one of its meshes cannot be used. Codes begin with "suite."."""

    area = "suite"
