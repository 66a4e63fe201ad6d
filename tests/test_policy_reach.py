"""Policies are compiled for what solves reach: no more, with the same answers, without numpy, and remembered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rer_numba import PackageData, Repository, compile_policy, policies
from rer_numba.batch.request import Request
from rer_numba.compile_policy import CompiledPolicy
from rer_numba.environment import uses_jit
from rer_numba.filters.compiled import CompiledFilter
from rer_numba.options import SolveOptions
from rer_numba.orderers.tables import CompiledOrders
from rer_numba.policy import Policy
from tests.order_cases import OddFirst
from tests.process import ROOT
from tests.product import answer_of, as_requests, repository_of, solve_case
from tests.random_options import random_options_case

SEEDS = range(8_200_000, 8_200_060)

OPTIONS: dict[str, dict[str, Any]] = {
    "glob": {"package_filter": {"excludes": ["*-9"]}},
    "several patterns": {"package_filter": {"excludes": ["regex(.*-9$)", "regex(x.*)"], "includes": ["lib-9"]}},
    "range": {"package_filter": {"excludes": ["lib>5"]}},
    "time": {"timestamp": 5},
    "unversioned": {"allow_unversioned_packages": False},
    "oldest first": {"package_orderers": [{"type": "sorted", "descending": False}]},
    "split": {"package_orderers": [{"type": "version_split", "first_version": "3", "packages": ["lib"]}]},
    "soft time": {"package_orderers": [{"type": "soft_timestamp", "timestamp": 4, "rank": 2}]},
    "mixed": {
        "package_orderers": [
            {"type": "version_split", "first_version": "3", "packages": ["lib"]},
            {"type": "soft_timestamp", "timestamp": 4},
        ]
    },
}


def site(n_others: int = 0) -> list[PackageData]:
    """Packages of three families that belong together, and of others that nobody asks for."""
    packages = [PackageData("lib", f"{n}", timestamp=n) for n in range(1, 10)]
    packages += [PackageData("tool", f"{n}", timestamp=n) for n in range(1, 10)]
    variants = [["lib-3", "tool"], ["tool-4", "lib"], ["lib-5", "tool-2"]]
    packages += [PackageData("app", f"{n}", variants=variants, timestamp=n) for n in range(1, 4)]
    for other in range(n_others):
        packages += [PackageData(f"other{other}", f"{n}", ["lib", "tool"], timestamp=n) for n in range(1, 5)]
    return packages


# ---- without numpy


def test_a_process_with_options_needs_no_numpy(tmp_path: Path) -> None:
    """Every kind of them in one process, solved and failed."""
    if uses_jit():
        pytest.skip("kernels run through Numba here")
    Repository.from_packages(site(3)).save(tmp_path / "site.rer")
    code = (
        "import sys; from rer_numba import Repository\n"
        "repository = Repository.open('site.rer')\n"
        f"for options in {list(OPTIONS.values())!r}:\n"
        "    for request in (['app'], ['app', 'lib-8', 'tool-9']):\n"
        "        result = repository.solve(request, **options)\n"
        "        print(result.status, result.failure_description, result.resolved, file=sys.stderr)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RER_NUMBA_QUIET": "1"}
    repository = Repository.from_packages(site(3))
    repository.solve(["app"])  # machine code is made, should there be none
    for _ in range(2):  # the first one verifies the file
        time.sleep(0.1)  # what was written just now is not remembered
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
    assert run.stderr.count("solved") >= len(OPTIONS) - 1 and "failed" in run.stderr
    assert not set(run.stdout.split()) & {"numba", "numpy", "pyarrow"}


# ---- no more than what is reached


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """What is compiled: (what of, name of the family)."""
    seen: list[tuple[str, str]] = []

    def watch(owner: type, method: str, of_package: bool) -> None:
        usual = getattr(owner, method)

        def watching(self: Any, row: int) -> Any:
            name = self._reader.package_family_name(row) if of_package else self._reader.family_name(row)
            seen.append((method, name))
            return usual(self, row)

        patch.setattr(owner, method, watching)

    with monkeypatch.context() as patch:
        watch(CompiledFilter, "of_family", False)
        watch(CompiledOrders, "package_places", False)
        watch(CompiledOrders, "range_order", True)
        yield seen


@pytest.mark.parametrize("name", OPTIONS)
def test_only_what_is_reached_is_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same in a repository fifty times as large."""
    compiled = []
    for n_others in (0, 150):
        repository = repository_of(site(n_others))
        with watched(monkeypatch) as seen:
            first = answer_of(repository, ["app"], **OPTIONS[name])
            compiled.append(list(seen))
            seen.clear()
            assert answer_of(repository, ["app"], **OPTIONS[name]) == first
            assert not seen
    assert compiled[0] == compiled[1]
    assert len(compiled[0]) == len(set(compiled[0])) or name == "mixed"
    assert {family for _, family in compiled[0]} <= {"app", "lib", "tool"}


def test_rules_about_other_families_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [f"other{n}-1" for n in range(50)]
    orderers = [{"type": "sorted", "descending": False, "packages": [f"other{n}" for n in range(50)]}]
    repository = repository_of(site(60))
    with watched(monkeypatch) as seen:
        answer = answer_of(repository, ["app"], package_filter={"excludes": rules}, package_orderers=orderers)
        assert answer == answer_of(repository, ["app"])
    assert [what for what, _ in seen if what != "range_order"] == []


def test_an_orderer_that_fails_is_met_where_it_is_asked() -> None:
    class Failing(OddFirst):
        def sort_key(self, package_name: str, version_like: Any) -> Any:
            raise KeyError("mine")

    repository = repository_of(site(2))
    orderers = [Failing(["tool"])]  # type: ignore[arg-type]
    assert repository.solve(["lib"], package_orderers=orderers).status == "solved"
    assert repository.solve(["other0", "tool-9"], package_orderers=orderers).status == "solved"
    with pytest.raises(KeyError, match="mine"):
        repository.solve(["tool"], package_orderers=orderers)
    assert repository.solve(["tool"]).resolved == [("tool", "9", None)]


# ---- the same answers, whatever is compiled when


def _compile_all(repository: Repository, options: dict[str, Any]) -> None:
    """Compile a policy for everything, before any solve."""
    checked = repository.checked_options(SolveOptions(), options)
    snapshot = repository._snapshot
    policy = snapshot.view(checked.building).policy(checked)
    if isinstance(policy, CompiledPolicy):
        if policy.filters:
            policy._compile_filters(range(len(snapshot.views.family_text)))
        if policy.orders:
            for family in range(len(snapshot.views.family_text)):
                policy._compile_order(family)
            policy._compile_ranges(range(len(snapshot.views.package_version_rank)))


@pytest.mark.parametrize("first_pairs", [1 << 16, 1])
def test_it_does_not_matter_when_a_policy_is_compiled(first_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ahead, by the solve itself, by another one; also when there is no room for its squares at first."""
    monkeypatch.setattr(compile_policy, "_FIRST_PAIRS", first_pairs)
    for seed in SEEDS:
        case = random_options_case(seed)
        repository = repository_of(case.packages)
        options = {name: value for name, value in case.options.items() if name in SolveOptions.names()}
        _compile_all(repository, options)
        expected = answer_of(repository, case.requests, **case.options)
        found = repository_of(case.packages)
        for _ in range(2):
            assert answer_of(found, case.requests, **case.options) == expected, case.origin
        shared = repository_of(case.packages)
        for package in case.packages[:4]:
            shared.solve([package.name], **case.options)
        assert answer_of(shared, case.requests, **case.options) == expected, case.origin
        rows = repository_of(case.packages).solve_many([as_requests(case.requests)] * 2, threads=1, **case.options)
        for row in rows:
            assert (row.status, row.resolved, row.num_solves, row.num_fails) == (
                expected.status,
                list(expected.resolved),
                expected.num_solves,
                expected.num_fails,
            ), case.origin


def test_squares_get_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever solves meanwhile goes on with what it has, until it needs more."""
    monkeypatch.setattr(compile_policy, "_FIRST_PAIRS", 1)
    packages = []
    for n in range(12):
        variants = [[f"lib-{k}", f"tool-{10 - k}"][:: 1 if k % 2 else -1] for k in range(1, 3 + n % 7)]
        packages.append(PackageData(f"app{n}", "1", variants=variants))
    repository = repository_of([*site(), *packages])
    expected = [answer_of(repository_of([*site(), *packages]), [f"app{n}"], **OPTIONS["mixed"]) for n in range(12)]
    options = repository.checked_options(SolveOptions(), OPTIONS["mixed"])
    policy = repository._snapshot.view(False).policy(options)
    assert isinstance(policy, CompiledPolicy)
    before = policy.arrays
    for _ in range(2):
        assert [answer_of(repository, [f"app{n}"], **OPTIONS["mixed"]) for n in range(12)] == expected
    assert policy.arrays is not before and len(policy.arrays.pair_order) > 100


def test_threads_share_what_is_compiled() -> None:
    """All of them begin with a policy in which nothing is compiled."""
    for seed in SEEDS[:20]:
        case = random_options_case(seed)
        expected = solve_case(case)
        repository = repository_of(case.packages)
        gate = threading.Barrier(4)
        found = []

        def solve() -> None:
            gate.wait()  # noqa: B023
            found.append(answer_of(repository, case.requests, **case.options))  # noqa: B023

        threads = [threading.Thread(target=solve) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [expected] * 4, case.origin


def test_a_time_limit_lasts_while_a_policy_is_compiled() -> None:
    """A solve that goes on is the same solve: its steps and its time are counted once."""
    repository = repository_of(site(5))
    for name, options in OPTIONS.items():
        expected = answer_of(repository_of(site(5)), ["app"], **options)
        result = repository.solve(["app"], time_limit=1000, max_fails=100, **options)
        assert (result.status, result.num_solves, result.num_fails) == (
            expected.status,
            expected.num_solves,
            expected.num_fails,
        ), name


# ---- remembered


def _policies(repository: Repository, many: list[dict[str, Any]]) -> list[Policy]:
    view = repository._snapshot.view(False)
    return [view.policy(repository.checked_options(SolveOptions(), options)) for options in many]  # type: ignore[misc]


def _distinct(n: int) -> list[dict[str, Any]]:
    return [{"timestamp": 1000 + k} for k in range(n)]


def test_many_policies_are_remembered() -> None:
    """Of a small repository a thousand at least: one more option costs that option, not all others."""
    repository = repository_of(site(50))
    first = _policies(repository, _distinct(1000))
    assert len(set(map(id, first))) == 1000
    assert _policies(repository, _distinct(1000)) == first


def test_the_oldest_policies_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what they cost; one that is used stays."""
    monkeypatch.setattr(policies, "MOST_BYTES", 1 << 20)
    repository = repository_of(site(50))
    (used,) = _policies(repository, [{"timestamp": 7}])
    kept = repository._snapshot.view(False)._policies
    assert kept is not None
    for options in _distinct(1000):
        _policies(repository, [options])
        assert _policies(repository, [{"timestamp": 7}]) == [used]
    assert 50 < len(kept._known) < 500
    assert len(kept._as_written) == len(kept._known)
    assert sum(found.size() for found in kept._known.values()) < 2 << 20


def test_equal_options_share_a_policy() -> None:
    repository = repository_of(site())
    filters: list[Any] = [{"excludes": ["lib-1"]}, [{"excludes": "lib-1"}]]
    one, other = _policies(repository, [{"package_filter": given} for given in filters])
    assert one is other


def test_each_row_of_a_batch_may_have_options_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than plans are kept at a time: what they hide is compiled once, and only where they get to."""
    repository = repository_of(site(100))
    options = [{"timestamp": 1 + k % 9, "package_filter": {"excludes": [f"lib-{k}*"]}} for k in range(150)]
    expected = [repository_of(site()).solve(["app"], **one) for one in options[:12]]
    with watched(monkeypatch) as seen:
        for _ in range(2):
            found = list(repository.solve_many([Request(["app"], **one) for one in options], threads=2))
            assert [row.resolved for row in found[:12]] == [one.resolved for one in expected]
    assert len(seen) <= 3 * len(options)
