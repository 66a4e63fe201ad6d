"""Runs Python code in a process of its own, to see what it imports, or how it dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT = 120.0


def run_python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with these arguments in the folder of the project."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
