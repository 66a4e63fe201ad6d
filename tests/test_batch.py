"""Batches: every row as a solve of its own would give it, in order, whatever stands in the other rows."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from data_set.prepare import benchmark_packages, benchmark_requests
from rer_numba import PackageData, Repository, Request, SolveBatch, SolveOptions, SolveResult
from rer_numba.batch import encoder as encoding
from rer_numba.batch.workers import Workers
from rer_numba.errors import PackageNotFoundError, ResolveError
from rer_numba.requirements import Requirement
from rer_numba.schema import CUT_SHIFT
from tests.kernels_child import TINY, branching_case, small_work_arrays, wide_case
from tests.oracle import Answer, ask_rez
from tests.product import as_requests, repository_of
from tests.random_cases import random_case
from tests.random_options import with_options
from tests.test_broken_packages import broken_case

Full = tuple[Any, ...]


def full(result: SolveResult) -> Full:
    """Everything of a result but its time."""
    return (
        result.status, result.resolved_packages, result.resolved_ephemerals, result.num_solves, result.num_fails,
        result.error_type, result.failure_description, result.fallback_reason,
    )  # fmt: skip


def single(repository: Repository, request: Any, **options: Any) -> Full:
    """What a solve of its own gives, where an exception is a row too."""
    try:
        return full(repository.solve(request, **options))
    except Exception as error:  # noqa: BLE001 - a batch tells all of them alike
        return ("error", [], [], 0, 0, type(error).__name__, str(error), None)


PACKAGES = [
    PackageData("app", "1", ["lib-1"]),
    PackageData("app", "2", ["lib"], build_requires=["kit"], timestamp=200),
    PackageData("lib", "1", timestamp=50),
    PackageData("lib", "2", [".feat-1"], timestamp=60),
    PackageData("kit", "3"),
    PackageData("loop", "1", ["knot"]),
    PackageData("knot", "1", ["loop"]),
    PackageData("stuck", "1", ["lib-1", "app-2"]),
    PackageData("torn", "1", ["lib-1", "lib-2"]),
    *(PackageData("many", str(n), [f"lib-{2 + n % 2}"]) for n in range(1, 40)),
]
REQUESTS = [
    ["app"], ["lib-1"], ["nowhere"], ["lib", "!lib"], [], ["loop"], ["stuck", "app-2", "lib-1"], ["torn"], ["lib-7"],
    [".feat-1", "app"], [".feat-2", "lib-2"], ["app", "app-1"], ["~nowhere", "lib"], ["lib-1.5+", "app"],
    ["many", "!lib-2"], ["app-1.5", "lib-1.5"], ["app-1.5+", "lib-1.5|1.7+"],
    ["!app-1.5", "lib<1.7"], ["app==1"], ["unknown", "app"], ["app>=1.5", "app<2.5"], ["~lib-1", "app"],
]  # fmt: skip
"""Each kind of answer: solved, failed in several ways, cyclic, errors, ephemerals, merged and unseen ranges."""


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository.from_packages(PACKAGES)


@pytest.fixture(scope="module")
def benchmark() -> Repository:
    return repository_of(benchmark_packages())


# ---- the same as single solves


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("reuse", [True, False])
def test_rows_are_single_solves(repository: Repository, threads: int, reuse: bool) -> None:
    requests = REQUESTS * 30
    batch = repository.solve_many(requests, threads=threads, reuse=reuse)
    expected = {tuple(request): single(repository, request) for request in REQUESTS}
    assert [full(result) for result in batch] == [expected[tuple(request)] for request in requests]
    assert {row[0] for row in expected.values()} == {"solved", "failed", "error"}
    assert [batch.request(n) for n in range(len(REQUESTS))] == REQUESTS


@pytest.mark.parametrize("numbers", [range(60), range(60, 120)], ids=str)
def test_random_cases(numbers: range) -> None:
    """Each with its own options, several permutations of its request in one batch."""
    for seed in numbers:
        case = with_options(random_case(seed), seed) if seed % 2 else broken_case(seed)
        repository, rng = repository_of(case.packages), Random(seed)
        texts = [rng.sample(case.requests, rng.randint(0, len(case.requests))) for _ in range(6)]
        requests = [as_requests(text) for text in [*texts, case.requests]] * 2
        try:
            batch = repository.solve_many(requests, threads=2, **case.options)
        except Exception as error:  # noqa: BLE001 - options that cannot be used, or a rule that raises
            with pytest.raises(type(error)):
                [repository.solve(request, **case.options) for request in requests]
            continue
        for request, result in zip(requests, batch, strict=True):
            assert full(result) == single(repository, request, **case.options), (case.origin, request)


def test_random_cases_beside_rez() -> None:
    for seed in range(2000, 2040):
        case = random_case(seed)
        theirs = ask_rez(case.packages, case.requests, **case.options)
        ours = repository_of(case.packages).solve_many([as_requests(case.requests)] * 3, reuse=False, **case.options)
        if theirs.status in ("solved", "failed"):
            assert {(one.status, *map(tuple, one.resolved)) for one in ours} == {
                (theirs.status, *map(tuple, theirs.resolved))
            }, case.origin


def test_the_188(benchmark: Repository) -> None:
    requests = [list(request) for request in benchmark_requests()]
    expected = {tuple(request): single(benchmark, request) for request in requests}
    for order in (requests, requests[::-1], Random(1).sample(requests, len(requests))):
        batch = benchmark.solve_many(order, threads=2)
        assert [full(result) for result in batch] == [expected[tuple(request)] for request in order]
    assert [full(one) for one in benchmark.solve_iter(requests, threads=2)] == [
        expected[tuple(request)] for request in requests
    ]


def test_work_arrays_grow_within_a_batch() -> None:
    cases = [wide_case(200), branching_case(200), *map(random_case, range(700, 720))]
    for case in cases:
        repository = repository_of(case.packages)
        expected = single(repository, as_requests(case.requests))
        with small_work_arrays(TINY):
            small = repository_of(case.packages)
            batch = small.solve_many([as_requests(case.requests)] * 5, threads=2, reuse=False)
            assert [full(one) for one in batch] == [expected] * 5, case.origin


def test_no_more_memory_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    case = wide_case(100)
    with small_work_arrays(TINY):
        repository = repository_of(case.packages)
        repository.solve(["lib1"])
        with monkeypatch.context() as patch:
            patch.setattr("rer_numba.engine.MAX_WORK_BYTES", 10_000)
            large = repository.solve_many([case.requests[1::3], ["!lib7"]], threads=1)[0]
            assert (large.status, large.error_type) == ("error", "SolveLimitError")
        assert repository.solve_many([["lib1"]])[0].status == "solved"


def test_a_very_large_request_goes_alone(repository: Repository) -> None:
    request = ["lib", *(f"!none{n}" for n in range(5000))]
    unseen = ["|".join(["lib-1", *(f"=={n}.7" for n in range(5, 3000))])]
    beyond = ["app", "|".join(["lib-1", *(f"==5.{n}" for n in range(1 << CUT_SHIFT - 2))])]
    requests = [request, ["lib"], unseen, beyond]
    batch = repository.solve_many(requests)
    assert [full(one) for one in batch] == [single(repository, one) for one in requests]
    assert batch[3].error_type == "SolveLimitError"


# ---- options


def test_requests_with_options_of_their_own(repository: Repository) -> None:
    own = SolveOptions(building=True)
    reversed_ = {"package_orderers": [{"type": "sorted", "descending": False}]}
    items = [
        Request(["app"]), Request(["app"], own), Request(["app"], timestamp=100), Request(["app"], own, timestamp=300),
        Request(["app"], **reversed_), Request(["app"], implicit_packages=["lib-1", ".feat-3"]), ["app"],
        Request(["app"], package_filter={"excludes": ["lib-2"]}), Request(["nowhere"], own),
        Request(["app"], variant_select_mode="intersection_priority", error_on_missing_variant_requires=False),
    ]  # fmt: skip
    many = items * 40
    for reuse in (True, False):
        batch = repository.solve_many(many, allow_unversioned_packages=False, reuse=reuse)
        for item, result in zip(many, batch, strict=True):
            request = item if isinstance(item, Request) else Request(item)
            base = SolveOptions(allow_unversioned_packages=False) if request.options is None else request.options
            assert full(result) == single(repository, request.requests, options=base, **request.overrides), item
    assert len({str(full(result)) for result in batch}) > 4


def test_more_options_than_are_kept(repository: Repository) -> None:
    items = [Request(["app"], timestamp=40 + n % 200) for n in range(400)]
    batch = repository.solve_many(items)
    assert [full(one) for one in batch] == [single(repository, ["app"], timestamp=40 + n % 200) for n in range(400)]


def test_a_filter_of_ones_own_class(repository: Repository) -> None:
    """It is asked from several threads, one at a time."""
    asked: list[str] = []
    inside = threading.Lock()

    class Rule:
        def excludes(self, package: Any) -> bool:
            assert inside.acquire(blocking=False)
            try:
                asked.append(package.qualified_name)
                return bool(package.qualified_name == "lib-2")
            finally:
                inside.release()

        def __bool__(self) -> bool:
            return True

    fresh = Repository.from_packages(PACKAGES)
    options = SolveOptions(package_filter=Rule())
    batch = fresh.solve_many(REQUESTS * 5, options, threads=4, reuse=False)
    assert [full(one) for one in batch] == [single(repository, one, options=options) for one in REQUESTS] * 5
    assert "lib-2" in asked


def test_a_rule_that_raises(repository: Repository) -> None:
    class Rule:
        def excludes(self, package: Any) -> bool:
            raise ZeroDivisionError(package.name)

        def __bool__(self) -> bool:
            return True

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        repository.solve(["lib"], package_filter=Rule())
    with pytest.raises(ZeroDivisionError):
        repository.solve_many([["lib"]] * 50, package_filter=Rule(), reuse=False)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "options", [{"nonsense": 1}, {"timestamp": "x"}, {"variant_select_mode": "x"}, {"package_filter": 3},
                {"options": 5}, {"package_orderers": [{"type": "?"}]}]
)  # fmt: skip
def test_options_of_the_batch_that_cannot_be_used(repository: Repository, options: dict[str, Any]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the very error of a single solve
        repository.solve(["app"], **options)
    with pytest.raises(type(caught.value)) as ours:
        repository.solve_many([["app"]], **options)
    assert str(ours.value) == str(caught.value)


@pytest.mark.parametrize("arguments", [{"threads": 0}, {"threads": 1.5}, {"threads": True}, {"cancel": 3}])
def test_arguments_that_cannot_be_used(repository: Repository, arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        repository.solve_many([["app"]], **arguments)


# ---- bad rows


def bad_iterator() -> Iterator[str]:
    yield "lib"
    raise OSError("gone")


BAD: list[Any] = [
    "lib", b"lib", 1, None, [1], [None], [b"lib"], ["lib", ["lib"]], [object()], ["!!"], ["lib<1>2"],
    [""], bad_iterator(), Request(["app"], nonsense=1), Request(["app"], timestamp="x"), Request(["app"], 5),  # type: ignore[arg-type]
    Request(["app"], package_orderers=[{"type": "?"}]), Request(3), Request(["app"], implicit_packages=["?"]),  # type: ignore[arg-type]
]  # fmt: skip


def test_a_bad_request_is_one_error_row(repository: Repository) -> None:
    items = [item for bad in BAD for item in (["app"], bad, ["lib-1"])]
    batch = repository.solve_many(items)
    good = {1: single(repository, ["app"]), 0: single(repository, ["lib-1"])}
    for n, result in enumerate(batch):
        if n % 3 == 1:
            item = items[n]
            assert result.status == "error", item
            assert result.error_type, item
            assert result.failure_description is not None
            if not isinstance(item, Iterator):
                request = item if isinstance(item, Request) else Request(item)
                alone = single(repository, request.requests, options=request.options, **request.overrides)
                assert full(result) == alone, item
        else:
            assert full(result) == good[n % 3 == 0]
    assert batch[3 * BAD.index(next(one for one in BAD if isinstance(one, Iterator))) + 1].error_type == "OSError"


def test_requirements_and_other_iterables(repository: Repository) -> None:
    items = [(Requirement("lib-1"), "app"), iter(["app"]), {"app": 1}, ("lib",), [Requirement("lib-1"), "app"]]
    batch = repository.solve_many(items)
    same = [[Requirement("lib-1"), "app"], ["app"], ["app"], ["lib"], [Requirement("lib-1"), "app"]]
    assert [full(one) for one in batch] == [single(repository, one) for one in same]
    assert batch.request(0) == ["lib-1", "app"]


def test_what_the_requests_raise(repository: Repository) -> None:
    """That is no row, it is the end of all; no thread is left."""

    def requests() -> Iterator[list[str]]:
        for _ in range(500):
            yield ["app"]
        raise OSError("the list is gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="gone"):
        repository.solve_many(requests())
    with pytest.raises(OSError, match="gone"):
        list(repository.solve_iter(requests()))
    assert threading.active_count() == before


# ---- a sequence


def test_a_batch_is_a_sequence(repository: Repository) -> None:
    batch = repository.solve_many(REQUESTS)
    assert isinstance(batch, SolveBatch)
    assert len(batch) == len(REQUESTS)
    assert full(batch[-1]) == full(batch[len(REQUESTS) - 1]) == single(repository, REQUESTS[-1])
    assert [full(one) for one in batch[2:9:3]] == [single(repository, one) for one in REQUESTS[2:9:3]]
    for index in (len(REQUESTS), -len(REQUESTS) - 1):
        with pytest.raises(IndexError):
            batch[index]
        with pytest.raises(IndexError):
            batch.request(index)
    assert sum(batch.counts.values()) == batch.n_done == len(batch)
    assert batch.counts["solved"] == sum(one.status == "solved" for one in batch)
    assert batch.indexes_of("error") == [n for n, one in enumerate(batch) if one.status == "error"]
    assert not batch.is_cancelled
    assert repr(batch).startswith(f"<SolveBatch {len(REQUESTS)} requests: ")
    with pytest.raises(PackageNotFoundError):
        batch[REQUESTS.index(["lib-7"])].raise_for_status()
    with pytest.raises(ResolveError):
        batch[REQUESTS.index(["lib", "!lib"])].raise_for_status()


def test_an_empty_batch(repository: Repository) -> None:
    for batch in (repository.solve_many([]), repository.solve_many(iter([]))):
        assert (len(batch), list(batch), batch.counts, batch.n_done) == (0, [], {}, 0)
        assert batch.to_arrow().num_rows == 0
    assert list(repository.solve_iter([])) == []


def test_a_batch_cannot_be_pickled_but_its_repository_can(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="to_arrow"):
        pickle.dumps(repository.solve_many([["app"]]))
    repository.save(tmp_path / "site.rer")
    again = pickle.loads(pickle.dumps(repository))
    assert [full(one) for one in again.solve_many(REQUESTS)] == [
        full(one)[:1] + tuple(full(one)[1:]) for one in repository.solve_many(REQUESTS)
    ]


def test_a_batch_outlives_its_repository() -> None:
    repository = Repository.from_packages(PACKAGES)
    expected = [single(repository, one) for one in REQUESTS]
    batch = repository.solve_many(REQUESTS)
    del repository
    gc.collect()
    assert [full(one) for one in batch] == expected


# ---- limits and progress


@pytest.mark.usefixtures("whole_steps")
@pytest.mark.parametrize(
    "limits", [{"max_fails": 1}, {"max_fails": 0}, {"time_limit": 0}, {"max_fails": 2, "time_limit": 100_000}]
)
def test_limits(limits: dict[str, Any]) -> None:
    stopped = set()
    for seed in range(800, 830):
        case = random_case(seed)
        repository = repository_of(case.packages)
        batch = repository.solve_many([as_requests(case.requests)] * 2, **limits)
        expected = single(repository, as_requests(case.requests), **limits)
        assert [full(one) for one in batch] == [expected] * 2, case.origin
        stopped.add(expected[0] == "aborted" or str(expected[6]).startswith("fail limit"))
    assert stopped == {True, False} or limits == {"max_fails": 2, "time_limit": 100_000}


def test_progress(repository: Repository) -> None:
    told: list[tuple[str, int, int]] = []
    requests = REQUESTS * 200
    repository.solve_many(requests, progress=lambda *facts: told.append(facts))
    assert told[-1] == ("solving", len(requests), len(requests))
    assert all(0 <= done <= total == len(requests) for _, done, total in told[:-1])
    told.clear()
    repository.solve_many(iter(requests), progress=lambda *facts: told.append(facts))
    assert told[-1] == ("solving", len(requests), len(requests))
    assert {total for _, _, total in told[:-1]} <= {0}

    def fails(what: str, done: int, total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        repository.solve_many(requests, progress=fails)


# ---- requests without end


def test_an_iterator_reads_only_so_far_ahead(repository: Repository) -> None:
    read = 0

    def requests() -> Iterator[list[str]]:
        nonlocal read
        while True:
            read += 1
            yield [f"many-{1 + read % 39}", "lib"]

    results = repository.solve_iter(requests(), threads=2)
    for n in range(1, 20_000):
        result = next(results)
        assert read - n <= 4 * encoding.MOST_ROWS
        assert result.resolved == repository.solve([f"many-{1 + n % 39}", "lib"]).resolved or n % 97
    before = threading.active_count()
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= before


def test_texts_are_forgotten_in_time(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """More distinct texts than are remembered: rows keep what they need."""
    monkeypatch.setattr("rer_numba.batch.plans.MOST_WORDS", 50)
    requests = [[f"!lib-{n}.{m}", "app"] for n in range(3, 43) for m in range(10)]
    batch = repository.solve_many(requests)
    assert [full(one) for one in batch] == [single(repository, one) for one in requests]
    assert [batch.request(n) for n in range(len(requests))] == requests


# ---- threads, processes, memory


def test_batches_in_several_threads(repository: Repository) -> None:
    expected = [single(repository, one) for one in REQUESTS]

    def run(n: int) -> bool:
        batch = repository.solve_many(REQUESTS * 5, threads=1 + n % 3, reuse=n % 2 == 0)
        return [full(one) for one in batch] == expected * 5

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(run, range(24)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_batch_in_a_forked_child(repository: Repository) -> None:
    """Before and after the parent has run one: no thread of the parent is waited for."""
    repository.solve_many(REQUESTS * 10, threads=2)
    child = os.fork()
    if child == 0:
        try:
            batch = repository.solve_many(REQUESTS * 10, threads=2)
            os._exit(0 if len(batch) == 10 * len(REQUESTS) and batch.counts["solved"] > 10 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert repository.solve_many(REQUESTS)[0].status == "solved"


def resident() -> int:
    """Bytes of memory that this process has now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_flat(repository: Repository) -> None:
    """An iterator keeps nothing; a batch keeps some bytes of each row."""

    def requests(n: int) -> Iterator[list[str]]:
        return ([f"many-{1 + k % 39}", f"!none-{k % 5000}", "lib"] for k in range(n))

    grown: dict[str, int] = {}
    ways: dict[str, Callable[[], Any]] = {
        "iterator": lambda: sum(1 for _ in repository.solve_iter(requests(30_000), threads=2)),
        "batch": lambda: repository.solve_many(requests(30_000), threads=2),
    }
    for name, run in ways.items():
        sum(1 for _ in repository.solve_iter(requests(30_000), threads=2))
        gc.collect()
        before = resident()
        kept = run()
        gc.collect()
        grown[name] = resident() - before
        del kept
    assert grown["iterator"] < 6 << 20
    assert grown["batch"] < 30_000 * 500


def test_no_thread_is_left(repository: Repository) -> None:
    before = threading.active_count()
    for _ in range(20):
        repository.solve_many(REQUESTS, threads=3)
    assert threading.active_count() == before


def test_what_a_thread_raises_ends_the_batch(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Workers, "_own_rows", fails)
    before = threading.active_count()
    with pytest.raises(MemoryError, match="no room"):
        repository.solve_many(REQUESTS)
    with pytest.raises(MemoryError, match="no room"):
        list(repository.solve_iter(REQUESTS))
    assert threading.active_count() == before


def test_answers_have_all_fields(repository: Repository) -> None:
    for one in repository.solve_many(REQUESTS):
        assert Answer.of(one).status in ("solved", "failed", "error")
