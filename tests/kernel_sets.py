"""Sets of kernels that run in a child process: compiled with bounds checks, or not at all, with their coverage."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.process import PATIENCE, ROOT


# --------------------------------------------------------------------------------------------------------- in the child
def compile_without_wrappers(entry_module: str) -> None:
    """Give only `enter` a function that Python can call: those of the others take most of the time to compile.

    Before any module of that set is imported.
    """
    from rer_numba import _jit

    _jit._WRAPPERS.update(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    importlib.import_module(entry_module).enter.targetoptions["no_cpython_wrapper"] = False


def signatures(sources: Iterable[str]) -> dict[str, int]:
    """How many signatures each kernel of some source files was compiled for."""
    found = {}
    for source in sources:
        module = importlib.import_module("rer_numba." + source.removesuffix(".py").replace("/", "."))
        for name, value in vars(module).items():
            if hasattr(value, "py_func") and value.py_func.__module__ == module.__name__:
                found[f"{module.__name__}.{name}"] = len(value.signatures)
    return found


# -------------------------------------------------------------------------------------------------------- in the parent
def run_child(
    script: str | Path, *arguments: object, before: Iterable[str] = (), timeout: float = PATIENCE, **environment: str
) -> dict[str, Any]:
    """Run a script, and read what it prints as JSON; `before` are arguments of the interpreter before the script."""
    done = subprocess.run(
        [sys.executable, *before, str(script), *map(str, arguments)],
        check=False, cwd=ROOT, env={**os.environ, "RER_NUMBA_ENGINE": "jit", **environment},
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def require_coverage(
    names: Iterable[str], percent: float, folder: Path, run: Callable[[tuple[str, ...]], None]
) -> None:
    """Fail unless a run reaches so much of some source files.

    Parameters
    ----------
    names : iterable of str
        As in `rer_numba.native.sources`.
    percent : float
        Of the lines.
    folder : Path
        For what is measured.
    run : callable
        Runs a script with these arguments of the interpreter before it, without compiling.
    """
    sources = [f"rer_numba/{name}" for name in names]
    settings = folder / "settings"
    settings.write_text(f"[run]\ninclude = {','.join(sources)}\ndata_file = {folder / 'data'}\n")
    coverage = ("-m", "coverage")
    run((*coverage, "run", f"--rcfile={settings}"))
    subprocess.run(
        [sys.executable, *coverage, "json", f"--rcfile={settings}", "-o", folder / "report.json"],
        check=True, cwd=ROOT, capture_output=True,
    )  # fmt: skip
    files = json.loads((folder / "report.json").read_text())["files"]
    assert len(files) == len(sources)
    covered = sum(file["summary"]["covered_lines"] for file in files.values())
    lines = sum(file["summary"]["num_statements"] for file in files.values())
    missing = {name: file["missing_lines"] for name, file in files.items() if file["missing_lines"]}
    print(f"{100 * covered / lines:.1f} % of {lines} lines; missing: {missing}")
    assert 100 * covered / lines >= percent, missing
