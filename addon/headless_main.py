"""`python addon/headless_main.py [PHOTO...] --out DIR --engine-python PYTHON [options]`, in an environment that has bpy; or with --cluster ADDRESS
in one that has `distributed`.

What `dev.py run` calls. The repository is loaded as the package `likeness`, so that relative imports work as they do
inside Blender. Exit status: 0 all good, 2 wrong usage, 3 some photo failed, 130 cancelled.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def load_package(name: str = "likeness"):
    """The repository's root as a package of this name, whatever its folder is called."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(argv: list[str]) -> int:
    load_package()
    arguments = importlib.import_module("likeness.addon.arguments")
    option_error = importlib.import_module("likeness.neural.contract.errors").OptionError

    parser = argparse.ArgumentParser(prog="dev.py run")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--engine-python", type=Path, help="the engine's interpreter")
    where.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler whose workers do the work (docs/farm.md)")
    parser.add_argument("--shared", action="store_true", help="photos and DIR lie under the same paths on all machines of the cluster")
    parser.add_argument("--cache", type=Path, help="folder that keeps stage results between runs")
    parser.add_argument("--log", type=Path, help="file for what the engine writes to stderr")
    arguments.add_batch_options(parser)
    arguments.add_job_options(parser)
    try:
        args = parser.parse_args(argv)
        request = arguments.request(args, args.out.absolute())
        if args.cluster and args.sequence:
            raise option_error("option.sequence-cluster", "Sequences are not sent to a cluster.", "Leave --cluster out; one sequence is one machine's work.")
    except SystemExit as exc:
        return int(exc.code or 0)
    except option_error as exc:
        arguments.print_line(f"{exc.message} {exc.remedy}")
        return arguments.EXIT_USAGE
    with arguments.interruptible() as asked:
        stop = lambda: asked[0] or orphaned()
        if args.cluster:
            answers = importlib.import_module("likeness.farm.client").process(request, args.cluster, args.shared, arguments.print_line, stop)
        else:
            answers = importlib.import_module("likeness.addon.headless").process(request, args.engine_python.absolute(), arguments.print_line, stop,
                                                                               args.cache, args.log)
    for answer in answers:
        if answer.folder is not None:
            arguments.print_line(f"ok      {answer.folder}" if answer.error is None else
                                f"failed  {answer.folder}: {answer.error.message}")
    return arguments.exit_status(answers)


def orphaned() -> bool:
    """Whether dev.py, which sits between this process and the person, was killed: nobody could stop us any more."""
    parent = os.environ.get("LIKENESS_PARENT", "")
    return os.name == "posix" and parent.isdigit() and os.getppid() != int(parent)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)   # bpy's own exit can hang when something is still registered
