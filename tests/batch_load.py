"""Measures batches, for docs/batches.md: ``python -m tests.batch_load scaling|iter|many [rows]``.

``scaling``: the 188 ten times, nothing reused, by one thread and by two, in turn; the best of 25. ``iter`` and
``many``: so many requests (a million) of one to four packages of the studio, nothing reused; rates, and
memory at each tenth.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from random import Random

from rer_numba import Repository
from rer_numba.studio import studio_repository

MILLION = 1_000_000


def studio_requests(repository: Repository, n: int) -> Iterator[list[str]]:
    """Draw requests, always the same."""
    rng, tables = Random(1), repository.tables
    reader = repository._snapshot.view(False).reader
    versions = {
        reader.family_name(family): [
            reader.package_version(row) for row in range(*tables.family_package_offsets[family : family + 2].tolist())
        ]
        for family in range(reader.n_families)
    }
    names = [name for name in versions if not name.startswith(".")]
    for _ in range(n):
        chosen = rng.sample(names, rng.choice((1, 2, 3, 4)))
        yield [f"{x}-{rng.choice(versions[x])}" if versions[x] and rng.random() < 0.6 else x for x in chosen]


def megabytes() -> float:
    """Memory that this process has now (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return round(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def load(way: str, n: int) -> None:
    """Solve many requests, and print how fast and in how much memory."""
    repository, marks = studio_repository(), []
    repository.solve(["maya"])

    def watched() -> Iterator[list[str]]:
        for k, request in enumerate(studio_requests(repository, n)):
            if k % (n // 10) == 0:
                marks.append(megabytes())
            yield request

    start, busy = time.perf_counter(), time.process_time()
    if way == "iter":
        solved = sum(one.status == "solved" for one in repository.solve_iter(watched(), threads=2, reuse=False))
    else:
        batch = repository.solve_many(watched(), threads=2, reuse=False)
        solved = batch.counts["solved"]
    marks.append(megabytes())
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    print(
        f"{n / wall:,.0f} a second, {n / busy:,.0f} a second of processor time; {solved:,} of {n:,} solved; MB: {marks}"
    )


def scaling() -> None:
    """Solve the 188 ten times by one thread and by two."""
    from data_set.prepare import benchmark_packages, benchmark_requests
    from tests.product import repository_of

    repository, requests = repository_of(benchmark_packages()), [list(one) for one in benchmark_requests()] * 10
    best = {1: float("inf"), 2: float("inf"), 0: float("inf")}
    for _ in range(25):
        for threads in (1, 2, 0):
            start = time.perf_counter()
            if threads:
                repository.solve_many(requests, threads=threads, reuse=False)
            else:
                [repository.solve(request) for request in requests]
            best[threads] = min(best[threads], time.perf_counter() - start)
    print(
        f"one thread {best[1]:.3f} s, two {best[2]:.3f} s: {best[1] / best[2]:.2f} times; single solves {best[0]:.3f} s"
    )


if __name__ == "__main__":
    scaling() if sys.argv[1] == "scaling" else load(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else MILLION)
