"""Official checkpoints that a person owns: read without trust, checked name by name, written as safetensors into the person's folder.

    python -m neural.checkpoint FILE --net 2k2k --out FOLDER          in a process of its own, with limits
    run(FILE, "2k2k", FOLDER)                                         the same, from the worker

Nothing of such a file is ever executed, and no weights of others ship with Likeness.
"""

from .process import run

__all__ = ["run"]
