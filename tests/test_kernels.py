"""The kernels in all the ways they can run: loaded machine code, Numba's own, with bounds checks, and not compiled.

Every way must give the same answers; the usual one, machine code without Numba, is compared with rez elsewhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rer_numba import Repository, engine, state
from rer_numba.native.sources import KERNEL_SOURCES
from tests.case import Case, Package
from tests.kernels_child import TINY, Task, branching_case, plain, small_work_arrays, solve_task, wide_case
from tests.process import PATIENCE, ROOT
from tests.product import answer_of, repository_of, solve_case
from tests.random_cases import random_case

CHILD = "tests/kernels_child.py"

GOLDEN = [0, 9, 28, 47, 66, 85, 104, 119, 150, 187]
"""Ten of the 188; 119 takes the most steps."""
CHECKED: Task = {
    "seeds": list(range(150)),
    "broken": list(range(60)),
    "large": list(range(18)),
    "crowded": list(range(30)),
    "wide": [63, 64, 65, 300],
    "branching": [63, 64, 300],
    "golden": GOLDEN,
    "rows": list(range(400, 440)),
    "options": list(range(100)),
    "tiny": {
        "seeds": list(range(150, 220)),
        "crowded": [30, 31, 32, 33],
        "wide": [65, 300],
        "golden": GOLDEN[:2],
        "rows": list(range(440, 450)),
    },
}
UNCOMPILED: Task = {
    # the lines that few cases reach: 161 x = y in a reduction, 377 and 1406 ranges, 693 ephemerals in conflict
    "seeds": [*range(60), 161, 377, 693, 1406],
    "broken": [*range(40), 102],
    "large": [3, 5, 37],
    "crowded": [0, 1, 2],
    "wide": [70, 300],
    "golden": [0, 4],
    "rows": list(range(400, 412)),
    "options": list(range(40)),
    "tiny": {"seeds": [*range(300, 320), 149], "large": [16], "branching": [70]},
}

MIN_COVERAGE = 95.0
NO_KERNELS = ("_jit.py", "schema.py", "state.py")
"""Kernel sources that hold decorators and declarations."""


def run_child(task: Task, *before: str, **environment: str) -> dict[str, Any]:
    """Solve a task in a child process; `before` are arguments of the interpreter before the script."""
    done = subprocess.run(
        [sys.executable, *before, CHILD, json.dumps(task)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "RER_NUMBA_ENGINE": "jit", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


# ---- compiled by Numba, with bounds checks


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Numba's own way of running the kernels. Checking bounds changes no types, so one child serves all questions."""
    cache = tmp_path_factory.mktemp("numba")
    return run_child(CHECKED, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(cache))


@pytest.mark.numba_bounds
def test_numba_gives_the_same_answers(checked: dict[str, Any]) -> None:
    expected = solve_task(CHECKED)
    assert len(expected) > 320
    assert_same(checked["answers"], expected)


def assert_same(theirs: list[Any], ours: list[Any]) -> None:
    """Compare the answers of a child with those of this process, one by one."""
    for (origin, answer), expected in zip(theirs, ours, strict=True):
        assert [origin, answer] == expected


@pytest.mark.numba_bounds
def test_bounds_are_checked(checked: dict[str, Any]) -> None:
    """An IndexError would have been an answer that differs: this shows that there would have been one."""
    assert checked["checks_bounds"]


@pytest.mark.numba_bounds
def test_each_kernel_is_compiled_once(checked: dict[str, Any]) -> None:
    """More than one signature is a waste of compile time, and a sign of an integer of another size."""
    signatures: dict[str, int] = checked["signatures"]
    assert {name: count for name, count in signatures.items() if count > 1} == {}
    used = [name for name, count in signatures.items() if count]
    assert len(used) > 0.9 * len(signatures) > 50


# ---- not compiled


@pytest.fixture(scope="module")
def uncompiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Kernels as plain Python under coverage: the report of the child, and coverage's."""
    folder = tmp_path_factory.mktemp("coverage")
    sources = ",".join(f"rer_numba/{name}" for name in KERNEL_SOURCES)
    settings = folder / "settings"
    settings.write_text(f"[run]\ninclude = {sources}\ndata_file = {folder / 'data'}\n")
    coverage = ("-m", "coverage")
    report = run_child(UNCOMPILED, *coverage, "run", f"--rcfile={settings}", NUMBA_DISABLE_JIT="1")
    subprocess.run(
        [sys.executable, *coverage, "json", f"--rcfile={settings}", "-o", folder / "report.json"],
        check=True, cwd=ROOT, capture_output=True,
    )  # fmt: skip
    return report, json.loads((folder / "report.json").read_text())


def test_python_gives_the_same_answers(uncompiled: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Also: no sum or shift of numpy's integers overflows, since such a warning is raised in the child."""
    assert_same(uncompiled[0]["answers"], solve_task(UNCOMPILED))


def test_kernel_lines_are_covered(uncompiled: tuple[dict[str, Any], dict[str, Any]]) -> None:
    files = {Path(name).name: file for name, file in uncompiled[1]["files"].items()}
    assert set(files) == set(KERNEL_SOURCES)
    for name in NO_KERNELS:
        del files[name]
    covered = sum(file["summary"]["covered_lines"] for file in files.values())
    lines = sum(file["summary"]["num_statements"] for file in files.values())
    missing = {name: file["missing_lines"] for name, file in files.items() if file["missing_lines"]}
    print(f"{100 * covered / lines:.1f} % of {lines} lines; missing: {missing}")
    assert 100 * covered / lines >= MIN_COVERAGE, missing


# ---- work arrays that are too small


def test_every_array_grows_when_it_must() -> None:
    """A solve that runs short starts again with more room, and answers the same."""
    cases = [*map(random_case, range(1000, 1200)), *map(wide_case, (65, 200)), *map(branching_case, (65, 200))]
    expected = [solve_case(case) for case in cases]
    with small_work_arrays(TINY) as grew:
        for case, answer in zip(cases, expected, strict=True):
            assert solve_case(case) == answer, case.origin
        golden = solve_task({"golden": GOLDEN[::2]})
    assert golden == solve_task({"golden": GOLDEN[::2]})
    assert grew == set(state.GROUPS)


@pytest.mark.parametrize("group", state.GROUPS)
def test_one_small_array(group: str) -> None:
    """Each group alone: the others do not hide that it ran full."""
    cases = [random_case(seed) for seed in range(1300, 1330)]
    expected = [solve_case(case) for case in cases]
    with small_work_arrays({**state.GROUPS, group: TINY[group]}) as grew:
        assert [solve_case(case) for case in cases] == expected
    assert grew <= {group}


def test_room_is_kept_for_the_next_solve() -> None:
    """It would cost a second run each time."""
    with small_work_arrays(TINY) as grew:
        case = wide_case(100)
        repository = repository_of(case.packages)
        first = answer_of(repository, case.requests)
        assert "scope" in grew
        grew.clear()
        assert answer_of(repository, case.requests) == first
        assert not grew


@pytest.mark.parametrize("limit", [0, 10_000])
def test_no_more_memory_than_allowed(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """At the start, or when arrays must grow: an error, no exception, and the repository can be used afterwards."""
    case = wide_case(100)
    with small_work_arrays(TINY):
        repository = repository_of(case.packages)
        with monkeypatch.context() as patch:
            patch.setattr(engine, "MAX_WORK_BYTES", limit)
            result = repository.solve(["lib1"] if limit == 0 else case.requests[1::3])
            assert (result.status, result.error_type) == ("error", "SolveLimitError")
            assert result.failure_description is not None
            assert f"the limit is {limit}" in result.failure_description
            assert result.resolved == []
        assert repository.solve(["lib1"]).status == "solved"


def test_a_failure_is_explained_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a failure is made later, by another solve: without room it says so, and nothing is raised."""
    packages = [Package("app", "1", [], [["lib-1"], ["!lib-2"]]), Package("lib", "1"), Package("lib", "2")]
    case = Case(packages, ["app", "lib-2"])
    with small_work_arrays(TINY):
        repository: Repository = repository_of(case.packages)
        result = repository.solve(case.requests)
        monkeypatch.setattr(engine, "MAX_WORK_BYTES", 0)
        assert result.status == "failed"
        assert "more memory than is allowed" in str(result.failure_description)


def test_plain_answers_leave_out_what_a_process_decides() -> None:
    packages = [Package("app", "1", ["lib"]), Package("lib", "1", ["app"])]
    cyclic = solve_case(Case(packages, ["app"]))
    assert cyclic.failure_kind == "Cycle"
    assert cyclic.failure_description not in plain(cyclic)
    failed = solve_case(Case(packages, ["app", "!app"]))
    assert failed.failure_description in plain(failed)
