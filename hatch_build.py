"""Puts compiled kernels into the wheel, so that nobody who installs it waits for a compiler.

They are for any processor of the architecture that the wheel is built on, and as fast there as code for that very
processor. Objects that fit the sources and are there already are taken as they are. A wheel without any works too: the
first solve compiles.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_COMPILE = """
import sys
sys.path.insert(0, sys.argv[1])
from rer_numba.native import warmup
from rer_numba.native.files import drop_outdated
from rer_numba.native.key import KERNEL_SETS
for made in warmup(["generic"], prebuilt_folder=sys.argv[2]):
    print(f"{made.path}: {made.bytes:,} bytes, compiled in {made.seconds:.0f} s")
drop_outdated(sys.argv[2], KERNEL_SETS)
"""


class KernelHook(BuildHookInterface):
    """Compiles in a process of its own, with the Numba of the build environment."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  (hatchling's signature)
        """Leave objects in ``rer_numba/_prebuilt``, which is an artifact of the build; see pyproject.toml."""
        if version == "editable" or os.environ.get("RER_NUMBA_PREBUILT") == "0":
            return
        folder = os.path.join(self.root, "rer_numba", "_prebuilt")
        # rer_numba must come from here, and what Numba compiles must not hang on the builder's settings
        settings = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        done = subprocess.run(
            [sys.executable, "-c", _COMPILE, self.root, folder],
            env={**settings, "RER_NUMBA_QUIET": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            self.app.display_warning(f"no compiled kernels in this wheel, the first solve will compile: {reason}")
        else:
            self.app.display_info(done.stdout.strip())
