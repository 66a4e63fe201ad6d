"""Runs Python code in a process of its own, to see what it imports, or how it dies; and waits for things to happen.

Nothing here measures time. A machine that does eight other things takes many times as long for everything, and a child
may not have begun when an idle machine would have ended it. So tests wait for an event, and `PATIENCE` only ends those
in which it never comes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATIENCE = 3600.0
"""Seconds after which something hangs, whatever else the machine does."""


def run_python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with these arguments in the folder of the project."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until something has happened; `what` names it if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def work_for(seconds: float) -> None:
    """Wait until this process has had so many seconds of a processor: the others' share does not count."""
    until = time.process_time() + seconds
    wait_until(lambda: time.process_time() >= until, f"{seconds} s of work")
