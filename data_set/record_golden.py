"""Record what live rez answers to the 188 requests of its benchmark, or check the record.

    PYTHONHASHSEED=0 python -m data_set.record_golden              record (two to three minutes)
    PYTHONHASHSEED=0 python -m data_set.record_golden --check 0 5  solve these requests again and compare

The packages lie in a rez memory repository, in the order of `benchmark_packages`: rez lists a tree on disk in the order
of a set, which would make the text of a total reduction depend on the hash seed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import rez
from rez.solver import SOLVER_VERSION

from data_set.golden import GOLDEN_FILE, GoldenAnswer, read_golden, write_golden
from data_set.prepare import benchmark_packages, benchmark_requests, input_digests
from tests.oracle import Answer, RezOracle

REQUIRED_REZ = "3.4.0"


def golden_answer(answer: Answer) -> GoldenAnswer:
    """Keep of an answer what the file stores."""
    if answer.internal:
        raise ValueError(f"rez failed by a defect of its own: {answer.error_type}: {answer.failure_description}")
    return GoldenAnswer(**{name: getattr(answer, name) for name in GoldenAnswer._fields})


def header() -> dict[str, Any]:
    """Describe how the answers come about; equal headers mean equal answers."""
    return {
        "rez_version": rez.__version__,
        "rez_solver_version": SOLVER_VERSION,
        "pythonhashseed": os.environ.get("PYTHONHASHSEED"),
        "variant_select_mode": "version_priority",
        "inputs_sha256": input_digests(),
    }


def solve_requests(numbers: Iterable[int]) -> Iterator[tuple[int, GoldenAnswer]]:
    """Ask rez for the requests of these numbers (0 to 187)."""
    requests = benchmark_requests()
    with RezOracle(benchmark_packages()) as oracle:
        for number in numbers:
            yield number, golden_answer(oracle.solve(requests[number]))


def record() -> None:
    start = time.perf_counter()
    answers = []
    for number, answer in solve_requests(range(len(benchmark_requests()))):
        answers.append(answer)
        print(f"{number:3} {answer.status} {len(answer.resolved)} packages, {answer.num_solves} solves", flush=True)
    write_golden(GOLDEN_FILE, header(), answers)
    print(f"{GOLDEN_FILE}: {GOLDEN_FILE.stat().st_size} bytes, {time.perf_counter() - start:.0f} s")


def check(numbers: Iterable[int]) -> bool:
    golden = read_golden()
    same = golden.header == header()
    if not same:
        print(f"header differs:\n recorded {golden.header}\n here     {header()}")
    for number, answer in solve_requests(numbers):
        equal = answer == golden.answers[number]
        same &= equal
        print(f"{number:3} {'equal' if equal else f'DIFFERS: {answer}'}", flush=True)
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description="Record rez's answers to its 188 benchmark requests, or check them.")
    parser.add_argument("--check", type=int, nargs="*", metavar="NUMBER", help="solve these again; none: all of them")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0" or rez.__version__ != REQUIRED_REZ:
        print(f"needs PYTHONHASHSEED=0 and rez {REQUIRED_REZ} (here {rez.__version__})", file=sys.stderr)
        return 2
    if arguments.check is None:
        record()
        return 0
    return 0 if check(arguments.check or range(len(benchmark_requests()))) else 1


if __name__ == "__main__":
    sys.exit(main())
