"""`python -s -m neural`: the worker. `--check`: say in one JSON line whether this environment can run it, and on what."""

import sys


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        from .worker_load import check
        sys.exit(check())
    if sys.argv[1:]:
        sys.exit("usage: python -s -m neural [--check]   (the worker speaks JSON lines on stdin and stdout; see docs/worker.md)")
    from .worker import main as serve
    serve()


if __name__ == "__main__":
    main()
