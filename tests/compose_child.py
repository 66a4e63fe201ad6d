"""Composes random parts with the kernels of its own process, for test_compose.py; prints what came of them as JSON.

Usage: compose_child.py <seeds as JSON>. How the kernels run is said by the environment, see `tests.kernels_child`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from rer_numba import compose_room
from rer_numba.native.sources import COMPOSING_SOURCES
from rer_numba.schema import COLUMNS
from tests.compose_cases import random_parts
from tests.kernel_sets import compile_without_wrappers, signatures


def digest(seed: int) -> str:
    """A digest of all columns of what random parts come to, or the error."""
    try:
        tables = random_parts(seed).composed()
    except Exception as error:  # noqa: BLE001 - say of which case
        return f"{type(error).__name__}: {error}"
    found = hashlib.blake2b(digest_size=16)
    for column in COLUMNS:
        values = getattr(tables, column.name)
        found.update(f"{column.name} {values.dtype} {len(values)};".encode() + values.tobytes())
    return found.hexdigest()


def main() -> None:
    """Do what the command line says."""
    warnings.simplefilter("error", RuntimeWarning)  # numpy's word for an overflow, when kernels are not compiled
    compiles = os.environ.get("NUMBA_DISABLE_JIT") != "1"
    if compiles:
        compile_without_wrappers("rer_numba.composing.kernels")
    compose_room.FIRST_SLOTS = 2  # the tables grow all the time
    report: dict[str, Any] = {"digests": list(map(digest, json.loads(sys.argv[1])))}
    if compiles:
        report["signatures"] = signatures(COMPOSING_SOURCES)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
