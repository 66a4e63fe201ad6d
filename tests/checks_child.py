"""Checks damaged tables with the kernels of its own process, for test_checks.py; prints what it says of them as JSON.

Usage: checks_child.py <seed> <how many>. How the kernels run is said by the environment, see `tests.kernels_child`.
"""

from __future__ import annotations

import json
import os
import random
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from rer_numba.checks import check, longest_of_checked
from rer_numba.native.sources import CHECKING_SOURCES
from rer_numba.schema import COLUMNS, Tables
from rer_numba.views import views_of
from tests.kernel_sets import compile_without_wrappers, signatures
from tests.tables_factory import make_tables, random_tables, small_tables

TEXTS = ("é", "中", "😀", "\udc80", "\udfff", "\U0010ffff", "a.")
"""Characters of each length, half ones and the last one; their bytes are broken up too."""


def mutated(tables: Tables, rng: random.Random) -> Tables:
    """The tables with one or two values of one column changed, or with a row more or less."""
    column = rng.choice([column for column in COLUMNS if len(getattr(tables, column.name))])
    array = getattr(tables, column.name).copy()
    wide = np.iinfo(array.dtype)
    for _ in range(rng.choice([1, 1, 2])):
        index = rng.randrange(len(array))
        value = int(array[index])
        choices = [0, 1, 2, -1, len(array), wide.min, wide.max, value - 1, value + 1, value ^ 1 << rng.randrange(63)]
        array[index] = max(wide.min, min(wide.max, rng.choice([*choices, int(rng.choice(array))])))
    if rng.random() < 0.1:
        array = rng.choice([array[:-1], np.append(array, array[-1:]), array[:0], array[::-1].copy()])
    return tables._replace(**{column.name: array})


def with_other_text(tables: Tables, rng: random.Random) -> Tables:
    """The tables with other bytes somewhere in their texts: some characters, cut off anywhere, or any bytes."""
    name = rng.choice(["text_bytes", "source_text_bytes"])
    array = getattr(tables, name).copy()
    text = "".join(rng.choices(TEXTS, k=3)).encode("utf-8", "surrogatepass")
    bad = bytes(rng.choices((0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xC1, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF), k=5))
    piece = rng.choice([text, text[rng.randrange(4) :], text[: rng.randrange(8)], bad])[: len(array)]
    at = rng.choice([len(array) - len(piece), rng.randrange(len(array) - len(piece) + 1)])
    array[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
    return tables._replace(**{name: array})


@cache
def _sound_tables() -> list[Tables]:
    both = (False, True)
    return [
        *(make_tables({}, building=building) for building in both),
        *(small_tables(building=building) for building in both),
        *(
            random_tables(seed, families=1 + seed, packages=3, building=building)
            for seed in range(8)
            for building in both
        ),
    ]


def sentences(seed: int, count: int) -> list[str]:
    """What is said of random damage; of what is sound, how long the longest rows are."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        tables = rng.choice(_sound_tables())
        if rng.random() < 0.2 and len(tables.text_bytes) and len(tables.source_text_bytes):
            tables = with_other_text(tables, rng)
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            tables = mutated(tables, rng)
        views = views_of(tables)
        found.append(check(views) or str(longest_of_checked(views)))
    return found


def main() -> None:
    """Do what the command line says."""
    warnings.simplefilter("error", RuntimeWarning)  # numpy's word for an overflow, when kernels are not compiled
    compiles = os.environ.get("NUMBA_DISABLE_JIT") != "1"
    if compiles:
        compile_without_wrappers("rer_numba.checking.kernels")
    report: dict[str, Any] = {"sentences": sentences(*map(int, sys.argv[1:]))}
    if compiles:
        report["signatures"] = signatures(CHECKING_SOURCES)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
