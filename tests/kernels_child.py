"""Solves cases with the kernels of its own process, for test_kernels.py; prints what came of them as JSON.

Usage: kernels_child.py <specification as JSON>, with the keys of `Task`. How the kernels run (compiled by Numba, with
bounds checks, not compiled at all) is said by the environment.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, TypedDict

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from data_set.prepare import benchmark_packages, benchmark_requests
from rer_numba.kernel_sources import KERNEL_SOURCES
from tests.case import Case, Package, load_case_files
from tests.oracle import Answer
from tests.product import answer_of, repository_of, solve_case
from tests.random_cases import random_case


class Task(TypedDict, total=False):
    """What a child is to do: `seeds` of random cases, whether the `case_files` too, `golden` request numbers, how many
    families the widest request asks for (`wide`); and whether to tell `signatures` of the kernels.
    """

    seeds: list[int]
    case_files: bool
    golden: list[int]
    wide: list[int]
    signatures: bool


def wide_case(n: int) -> Case:
    """A request for n families, of which every third is one that only the request knows."""
    packages = [Package(f"lib{i}", version) for i in range(n) for version in ("1", "2") if i % 3]
    return Case(packages, [f"lib{i}-1" if i % 3 else f"!lib{i}>7" for i in range(n)], origin=f"wide {n}")


def cases_of(task: Task) -> list[Case]:
    """The cases of a task."""
    files = load_case_files() if task.get("case_files") else []
    return [*map(random_case, task.get("seeds", [])), *files, *map(wide_case, task.get("wide", []))]


def solve_task(task: Task) -> list[Any]:
    """Answers to the cases, then to the golden requests, as plain lists."""
    answers = [plain(solve_case(case)) for case in cases_of(task)]
    if task.get("golden"):
        repository = repository_of(benchmark_packages())
        requests = benchmark_requests()
        answers += [plain(answer_of(repository, requests[number])) for number in task["golden"]]
    return answers


def plain(answer: Answer) -> Any:
    """As JSON has it. The text of a cycle depends on the process (see `rer_numba.explain`), so it is left out."""
    if answer.failure_kind == "Cycle":
        answer = replace(answer, failure_description=None)
    return json.loads(json.dumps(astuple(answer)))


def kernel_signatures() -> dict[str, int]:
    """How many signatures each kernel function was compiled for."""
    found = {}
    for source in KERNEL_SOURCES:
        module = importlib.import_module(f"rer_numba.{Path(source).stem}")
        for name, value in vars(module).items():
            if hasattr(value, "py_func") and value.py_func.__module__ == module.__name__:
                found[f"{module.__name__}.{name}"] = len(value.signatures)
    return found


def checks_bounds() -> bool:
    """Tell whether a kernel that reads past the end of an array is noticed, by a range that lies outside of one."""
    from rer_numba import ranges, state
    from rer_numba.state import Sizes

    work = state.make_work(Sizes(1, 1, 1, 1, 1, 1))
    try:
        ranges.is_any(work, len(work.cut), len(work.cut) + 2)
    except IndexError:
        return True
    return False


def main() -> None:
    """Do what the command line says."""
    task: Task = json.loads(sys.argv[1])
    warnings.simplefilter("error", RuntimeWarning)  # numpy's word for an overflow, when kernels are not compiled
    report: dict[str, Any] = {"answers": solve_task(task)}
    if task.get("signatures"):
        report["signatures"] = kernel_signatures()
        report["checks_bounds"] = checks_bounds()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
