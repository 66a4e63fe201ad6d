"""Solves cases with the kernels of its own process, for test_kernels.py; prints what came of them as JSON.

Usage: kernels_child.py <task as JSON>, see `Task`. How the kernels run (compiled by Numba, with bounds checks, not
compiled at all) is said by the environment: ``RER_NUMBA_ENGINE``, ``NUMBA_BOUNDSCHECK``, ``NUMBA_DISABLE_JIT``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, TypedDict

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from data_set.prepare import benchmark_packages, benchmark_requests
from rer_numba import engine, state
from rer_numba.native.sources import KERNEL_SOURCES
from tests.case import Case, Package, load_case_files
from tests.compare import our_answer
from tests.large_cases import crowded_case, large_case
from tests.oracle import Answer
from tests.product import answer_of, as_requests, repository_of
from tests.random_cases import random_case
from tests.random_options import random_options_case
from tests.test_broken_packages import broken_case

TINY = {name: 64 if name == "scope" else 1 for name in state.GROUPS}
"""The smallest work arrays: one entry of each group, and one word of positions."""


class Task(TypedDict, total=False):
    """What a child is to do.

    Seeds of random cases, of those with broken packages, with large families and with a crowd; numbers of families
    that a request asks for, and that a package requires; numbers of golden requests; seeds of random cases that are
    solved as rows of a batch; of cases with filters, orderers and times; and another task, to be solved with the
    smallest work arrays.
    """

    seeds: list[int]
    broken: list[int]
    large: list[int]
    crowded: list[int]
    wide: list[int]
    branching: list[int]
    golden: list[int]
    rows: list[int]
    options: list[int]
    tiny: Task


def wide_case(n: int) -> Case:
    """A request for n families, of which every third is one that only the request knows."""
    packages = [Package(f"lib{i}", version) for i in range(n) for version in ("1", "2") if i % 3]
    return Case(packages, [f"lib{i}-1" if i % 3 else f"!lib{i}>7" for i in range(n)], origin=f"wide {n}")


def branching_case(n: int) -> Case:
    """A package that requires n families, so that a single round of extraction brings them all."""
    names = [f"lib{i}" for i in range(n)]
    return Case([Package("app", "1", names), *(Package(name, "1") for name in names)], ["app"], origin=f"branching {n}")


def solve_task(task: Task) -> list[Any]:
    """[where from, answer] of all parts of a task, as JSON has them; the case files are always among them.

    An exception, say for an index out of bounds, becomes an answer that equals no other.
    """
    found = [[case.origin, plain(our_answer(case))] for case in cases_of(task)]
    found += [[f"golden {n}", plain(answer)] for n, answer in _solve_golden(task.get("golden", []))]
    # the second time in the same repository nothing of the policy has to be compiled
    for case in map(random_options_case, task.get("options", [])):
        repository = repository_of(case.packages)
        found += [[case.origin, plain(answer_of(repository, case.requests, **case.options))] for _ in range(2)]
    found += [
        [f"{case.origin} in rows", plain(_solve_in_rows(case))] for case in map(random_case, task.get("rows", []))
    ]
    if "tiny" in task:
        with small_work_arrays(TINY):
            found += solve_task(task["tiny"])
    return found


def cases_of(task: Task) -> list[Case]:
    """The case files, and the cases of a task."""
    return [
        *load_case_files(),
        *map(random_case, task.get("seeds", [])),
        *map(broken_case, task.get("broken", [])),
        *map(large_case, task.get("large", [])),
        *map(crowded_case, task.get("crowded", [])),
        *map(wide_case, task.get("wide", [])),
        *map(branching_case, task.get("branching", [])),
    ]


def _solve_golden(numbers: list[int]) -> Iterator[tuple[int, Answer]]:
    if numbers:
        repository = repository_of(benchmark_packages())
        requests = benchmark_requests()
        for number in numbers:
            yield number, answer_of(repository, requests[number])


def _solve_in_rows(case: Case) -> Answer:
    """Solve a case three times in a batch, the first two with limits that are far away."""
    repository, requests = repository_of(case.packages), as_requests(case.requests)
    far = repository.solve_many([requests] * 2, max_fails=1 << 20, time_limit=1e6, threads=1, **case.options)
    answers = [Answer.of(result) for result in (*far, *repository.solve_many([requests], **case.options))]
    assert answers[0] == answers[1] == answers[2], case.origin
    return answers[2]


def plain(answer: Answer) -> Any:
    """As JSON has it. The text of a cycle depends on the process (see `rer_numba.explain`), so it is left out."""
    if answer.failure_kind == "Cycle":
        answer = replace(answer, failure_description=None)
    return json.loads(json.dumps(astuple(answer)))


@contextmanager
def small_work_arrays(groups: dict[str, int]) -> Iterator[set[str]]:
    """Start every solve with work arrays of these sizes. Gives the names of the groups that had to grow."""
    grew: set[str] = set()
    usual, grown = engine.GROUPS, state.Sizes.grown

    def watched(sizes: state.Sizes, needed: int) -> state.Sizes:
        grew.update(name for name, bit in state.GROUP_BIT.items() if needed & bit)
        return grown(sizes, needed)

    engine.GROUPS, state.Sizes.grown = dict(groups), watched  # type: ignore[method-assign]
    try:
        yield grew
    finally:
        engine.GROUPS, state.Sizes.grown = usual, grown  # type: ignore[method-assign]


# ---- what Numba made


def compile_without_wrappers() -> Callable[[], bool]:
    """Give only `enter` a function that Python can call: the hundred others cost two thirds of the time to compile.

    Returns
    -------
    callable
        Tells whether a kernel that reads past the end of an array is noticed.
    """
    import numpy as np

    from rer_numba import _jit

    @_jit.kernel
    def reach(values: Any, place: int) -> Any:
        return values[place]

    _jit._WRAPPERS.update(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    from rer_numba import rows

    rows.enter.targetoptions["no_cpython_wrapper"] = False  # type: ignore[attr-defined]

    def checks_bounds() -> bool:
        try:
            reach(np.zeros(3, np.int64), 3)
        except IndexError:
            return True
        return False

    return checks_bounds


def kernel_signatures() -> dict[str, int]:
    """How many signatures each kernel function was compiled for."""
    found = {}
    for source in KERNEL_SOURCES:
        module = importlib.import_module(f"rer_numba.{Path(source).stem}")
        for name, value in vars(module).items():
            if hasattr(value, "py_func") and value.py_func.__module__ == module.__name__:
                found[f"{module.__name__}.{name}"] = len(value.signatures)
    return found


def main() -> None:
    """Do what the command line says."""
    task: Task = json.loads(sys.argv[1])
    warnings.simplefilter("error", RuntimeWarning)  # numpy's word for an overflow, when kernels are not compiled
    compiles = os.environ.get("NUMBA_DISABLE_JIT") != "1"
    checks_bounds = compile_without_wrappers() if compiles else bool
    report: dict[str, Any] = {"answers": solve_task(task)}
    if compiles:
        report |= {"signatures": kernel_signatures(), "checks_bounds": checks_bounds()}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
