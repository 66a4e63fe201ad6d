"""Graphs and failures made from work arrays, against those that live rez makes in the same process.

``--cases`` and ``--first-seed`` choose which random cases are compared, every fourth of them.
"""

from __future__ import annotations

import inspect
import io
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import SimpleNamespace
from typing import Any

import pytest
import rez
from rez.exceptions import RezError
from rez.package_order import PackageOrderList
from rez.solver import Solver, SolverStatus, _Printer, _ResolvePhase
from rez.utils import resolve_graph
from rez.utils.formatting import PackageRequest
from rez.utils.graph_utils import write_compacted
from rez.utils.resolve_graph import failure_detail_from_graph
from rez.vendor.pygraph.classes.digraph import digraph
from rez.version import Requirement, VersionError
from rez.version import RequirementList as RezRequirementList

from data_set.golden import read_golden
from data_set.prepare import DataSetError, benchmark_packages, benchmark_requests
from rer_numba import Repository, SolveOptions, state
from rer_numba.errors import UncertainOrderError
from rer_numba.requests import parse_requests
from rer_numba.rez_bridge.lists import TableVariant
from rer_numba.rez_bridge.phases import Phases, conflict_phase
from rer_numba.rez_versions import OrderMeaning
from rer_numba.snapshot import Solve
from tests.case import Case, Package, format_case
from tests.oracle import RezOracle, _rez_filter, _rez_orderers, _rez_settings
from tests.order_cases import MEANING
from tests.product import as_requests, repository_of
from tests.random_cases import random_case
from tests.random_options import random_options_case

STEP_SEEDS = range(30)
MOST_STEPS = 12
OPTION_SEEDS = range(250)
REACHED = {
    "solved",
    "conflict in request",
    *(f"{kind} {place}" for kind in ("DependencyConflicts", "TotalReduction", "Cycle", "NoneType") for place in "1n"),
}
reached: Counter[str] = Counter()
"""What the random cases came to so far; `n` stands for a failure that is not the first."""


def attempt(look: Callable[[], Any]) -> Any:
    """What a look gives, or what it raises: both may die of a version that has no next, or of a broken variant."""
    try:
        return look()
    except (RezError, VersionError) as error:
        return type(error).__name__, str(error)


DETAIL_ENDS = "ne not in visited" in inspect.getsource(resolve_graph)
"""Before rez 3.0 it goes round in circles for ever."""


def everything_of(graph: Any) -> tuple[Any, ...]:
    """A graph with the order in which everything was put into it, and the texts rez makes of it."""
    if not isinstance(graph, digraph):
        return (graph,)
    return (
        list(graph.node_neighbors.items()),
        list(graph.node_incidence.items()),
        list(graph.node_attr.items()),
        list(graph.edge_properties.items()),
        list(graph.edge_attr.items()),
        write_compacted(graph),
        DETAIL_ENDS and failure_detail_from_graph(graph),
    )


def no_variant(row: int) -> Any:
    """Nobody may want rez's variant: that would read a package file."""
    raise AssertionError(f"rez's variant of row {row} is wanted")


@contextmanager
def rez_solver(case: Case, steps: int | None = None, **more: Any) -> Iterator[Solver | None]:
    """rez's solver after a case is solved, or after so many steps; None when it raises."""
    options = dict(case.options)
    mode = options.get("variant_select_mode", "version_priority")
    with (
        RezOracle(case.packages) as oracle,
        _rez_settings(mode, options.get("error_on_missing_variant_requires", True), oracle.paths),
    ):
        try:
            requests = [Requirement(text) for text in case.requests]
            requests += map(PackageRequest, options.get("implicit_packages", ()))
            solver = Solver(
                requests,
                oracle.paths,
                building=options.get("building", False),
                package_orderers=_rez_orderers(options.get("package_orderers") or ()),
                package_filter=_rez_filter(options.get("package_filter"), options.get("timestamp")),
                **more,
            )
            if steps is None:
                solver.solve()
            for _ in range(steps or 0):
                solver.solve_step()
        except Exception:  # noqa: BLE001 - bad input, and rez's own defects; the product is not asked then
            yield None
            return
        yield solver


def our_phases(case: Case, solver: Any, steps: int | None = None, **more: Any) -> Phases:
    """Our phases of the same, for rez's solver to stand in as what they belong to."""
    options = SolveOptions().with_overrides({**case.options, "rez_version": rez.__version__}).checked()
    request = parse_requests(as_requests(case.requests), options.implicit_packages)
    solve = repository_of(case.packages)._snapshot.begin(request, options, ["nowhere"])
    if steps is None:
        solve.run()
    else:
        solve.run(to_step=steps or state.BEFORE_FIRST)
    # what rez gave is put aside: a phase of ours must not find rez's own state through its solver
    stand_in = SimpleNamespace(request_list=solver.request_list, prune_unfailed=solver.prune_unfailed, pr=_Printer(0))
    phases = Phases(solve, stand_in, no_variant, **more)
    solve.close()
    return phases


def assert_same_phase(ours: _ResolvePhase, rez: _ResolvePhase) -> None:
    """A phase says the same, and has the same graph."""
    assert ours.failure_reason == rez.failure_reason
    assert str(ours.failure_reason) == str(rez.failure_reason)
    assert everything_of(attempt(ours.get_graph)) == everything_of(attempt(rez.get_graph))
    assert attempt(lambda: str(ours)) == attempt(lambda: str(rez))
    assert ours.status == rez.status


def assert_same_failures(ours: Phases, rez: Solver) -> None:
    """Every failure, from both ends."""
    for index in range(rez.num_fails):
        reason = rez.failure_reason(index)
        reached[f"{type(reason).__name__} {'n' if index else 1}"] += 1
        assert_same_phase(ours.failed(index), rez._get_failed_phase(index)[0])
        assert everything_of(ours.fail_graph(index - rez.num_fails)) == everything_of(rez.get_fail_graph(index))
        assert ours.failure_description(index) == rez.failure_description(index)
        assert attempt(lambda: ours.failure_packages(index)) == attempt(lambda: rez.failure_packages(index))  # noqa: B023
    for index in (rez.num_fails, -rez.num_fails - 1):
        with pytest.raises(IndexError, match="failure index out of range"):
            ours.failed(index)


def assert_same_solve(ours: Phases, rez: Solver) -> None:
    """All that rez's solver says after a solve. The failures come first: rez sorts lists when it prints a phase."""
    assert_same_failures(ours, rez)
    assert everything_of(attempt(ours.graph)) == everything_of(attempt(rez.get_graph))
    if rez.num_fails:
        assert ours.failure_description() == rez.failure_description()
    assert attempt(lambda: list(map(str, ours.stack()))) == attempt(lambda: list(map(str, rez.phase_stack)))
    assert [phase.status for phase in ours.stack()] == [phase.status for phase in rez.phase_stack]
    assert ours.depth_counts() == rez.depth_counts


def compare(case: Case) -> None:
    """Solve a case with both."""
    with rez_solver(case) as rez:
        if rez is None:
            return
        try:
            if rez.request_list.conflict:
                reached["conflict in request"] += 1
                assert_same_phase(conflict_phase(rez), rez.phase_stack[-1])
                return
            reached["solved"] += rez.status == SolverStatus.solved
            assert_same_solve(our_phases(case, rez), rez)
        except AssertionError:
            print(f"{case.origin}\n{format_case(case)}")
            raise


# ---- equal to rez


def test_random_cases(seeds: range) -> None:
    for seed in seeds[::4]:
        compare(random_case(seed))


def test_random_options() -> None:
    reached.clear()
    for seed in OPTION_SEEDS:
        try:
            compare(random_options_case(seed))
        except UncertainOrderError:  # up to rez 3.0, where rez draws the graph
            reached["uncertain"] += 1
    assert reached.pop("uncertain", 0) <= 0.05 * len(OPTION_SEEDS) * (MEANING is OrderMeaning.LISTS)
    assert set(reached) == REACHED


def test_after_each_step() -> None:
    """The graph of a solve that a callback ends early is that of the latest phase that has not failed."""
    compared = Counter(compare_after(random_case(seed), steps) for seed in STEP_SEEDS for steps in range(MOST_STEPS))
    assert compared[True] > len(STEP_SEEDS)


def compare_after(case: Case, steps: int) -> bool:
    """Solve a case with both, but only so many steps of it. False when it is over by then."""
    with rez_solver(case, steps) as rez:
        if rez is None or rez.status != SolverStatus.unsolved:
            return False
        ours = our_phases(case, rez, steps)
        phase = rez._latest_nonfailed_phase()
        assert phase is not None
        assert_same_phase(ours.latest(), phase)
        assert_same_solve(ours, rez)
    return True


TWO_DISCARDED = [
    Package("app", "3", requires=["lib-2", "gadget"]),
    Package("gadget", "1", requires=["base-1"]),
    Package("app", "2", variants=[["lib-2", "tool-1"], ["lib-2", "tool-2"]]),
    Package("app", "1", requires=["lib-2"]),
    Package("lib", "2", requires=["base-2"]),
    Package("tool", "1", requires=["base-1"]),
    Package("tool", "2", requires=["base-1"]),
    Package("base", "1"),
    Package("base", "2"),
    Package("other", "1"),
]


def test_pruning_is_the_solver_s() -> None:
    case = Case(TWO_DISCARDED, ["other", "app-2"])
    sizes = []
    for prune in (True, False):
        with rez_solver(case, prune_unfailed=prune) as rez:
            assert rez is not None
            graph = our_phases(case, rez).graph()
            assert everything_of(graph) == everything_of(rez.get_graph())
            sizes.append(len(graph.nodes()))
    assert sizes[0] < sizes[1]


def test_the_latest_failure_when_a_callback_wants_it() -> None:
    case = Case(TWO_DISCARDED, ["app"])
    with rez_solver(case) as rez:
        assert rez is not None
        assert rez.num_fails > 1
        phases = our_phases(case, rez, wants_last=True)
        assert everything_of(phases.graph()) == everything_of(rez.get_fail_graph(-1))
        assert phases.failure_reason() == rez.failure_reason(-1)


# ---- what the objects are


def test_variants_are_rez_own_when_somebody_asks() -> None:
    case = Case(TWO_DISCARDED, ["app-1"])
    with rez_solver(case) as rez:
        assert rez is not None
        expected = {str(variant): variant.variant for variant in rez.resolved_packages or ()}
        repository = repository_of(case.packages)
        solve = repository._snapshot.begin(parse_requests(case.requests), SolveOptions(), [])
        solve.run()
        reader = solve.view.reader

        def variant_of(row: int) -> Any:
            name, version, index = reader.variant_name(row)
            return expected[f"{name}-{version}[{'' if index is None else index}]"]

        found = Phases(solve, rez, variant_of).solved()._get_solved_variants()
        assert all(isinstance(variant, TableVariant) for variant in found)
        assert [variant.handle for variant in found] == [one.handle for one in rez.resolved_packages or ()]
        assert [variant.requires_list for variant in found] == [
            one.requires_list for one in rez.resolved_packages or ()
        ]


def test_work_arrays_go_back_and_graphs_are_made_once() -> None:
    case = Case(TWO_DISCARDED, ["app"])
    with rez_solver(case) as rez:
        assert rez is not None
        phases = our_phases(case, rez)
        view = phases._solve.view
        phases.all_failed()
        phases.stack()
        phases.depth_counts()
        assert phases.failed(0) is phases.failed(0)
        assert phases.latest() is phases.latest()
        assert 1 <= len(view._idle) <= 4  # those nested in one another, not one for each look


def test_graphs_can_be_pickled() -> None:
    case = Case(TWO_DISCARDED, ["app"])
    with rez_solver(case) as rez:
        assert rez is not None
        graph = our_phases(case, rez).graph()
        assert type(graph) is digraph
        assert everything_of(pickle.loads(pickle.dumps(graph))) == everything_of(graph)


def test_dump_and_text() -> None:
    """rez's own `dump` on our phases."""
    case = Case(TWO_DISCARDED, ["app"])
    with rez_solver(case) as rez, rez_solver(case) as other:
        assert rez is not None
        assert other is not None
        phases = our_phases(case, rez)
        other.phase_stack, other.failed_phase_list = phases.stack(), phases.all_failed()
        other.depth_counts = phases.depth_counts()
        assert str(other) == str(rez)
        printed = []
        for solver in (rez, other):
            with redirect_stdout(io.StringIO()) as out:
                solver.dump()
            printed.append(out.getvalue())
        assert printed[0] == printed[1]
        assert "previous failures" in printed[0]


# ---- rez's benchmark


@pytest.fixture(scope="module")
def benchmark() -> tuple[Repository, RezOracle, list[list[str]]]:
    """Its packages, on both sides."""
    try:
        packages = benchmark_packages()
    except DataSetError as error:
        pytest.skip(str(error))
    return repository_of(packages), RezOracle(packages), benchmark_requests()


def _quick_numbers() -> list[int]:
    """Ten requests that rez solves soon: some solved, some not."""
    answers = read_golden().answers
    by_steps = sorted(range(len(answers)), key=lambda number: (answers[number].num_solves, number))
    failing = [number for number in by_steps if answers[number].status == "failed"]
    solved = [number for number in by_steps if answers[number].status == "solved"]
    return [*failing[:3], *solved[:60:7]]


@pytest.mark.parametrize("number", _quick_numbers())
def test_benchmark(number: int, benchmark: tuple[Repository, RezOracle, list[list[str]]]) -> None:
    repository, oracle, requests = benchmark
    with _rez_settings("version_priority", True, oracle.paths):
        rez = Solver(
            [Requirement(text) for text in requests[number]], oracle.paths, package_orderers=PackageOrderList()
        )
        rez.solve()
        solve: Solve = repository._snapshot.begin(parse_requests(requests[number]), SolveOptions(), [])
        solve.run()
        merged = RezRequirementList([Requirement(text) for text in requests[number]])
        stand_in = SimpleNamespace(request_list=merged, prune_unfailed=True, pr=_Printer(0))
        assert_same_solve(Phases(solve, stand_in, no_variant), rez)
