"""Solves that are stopped on the way: pauses, limits and callbacks, beside live rez where rez has a word for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rez.resolved_context import ResolvedContext
from rez.solver import Solver, SolverCallbackReturn, SolverState, SolverStatus
from rez.version import Requirement

from rer_numba import engine, state
from rer_numba.clock import Clock
from rer_numba.errors import RerError, SolveLimitError
from rer_numba.options import SolveOptions
from rer_numba.requests import parse_requests
from rer_numba.results import SolveResult
from rer_numba.snapshot import Solve
from rer_numba.stepping import ABORT, FAIL, KEEP_GOING, Limits, Phase, SolveState, phase_text
from tests.case import Case, Package
from tests.kernels_child import TINY, branching_case, small_work_arrays, wide_case
from tests.oracle import RezOracle, _rez_filter, _rez_orderers, _rez_settings
from tests.product import as_requests, repository_of
from tests.random_cases import random_case

Row = tuple[int, int, str]
"""num_solves, num_fails, phase: what a callback is told."""

BACKTRACKING = Case(
    [
        *(Package("app", str(n), ["tool"], [["left"], ["right"]]) for n in range(1, 5)),
        *(Package("tool", str(n), [], [["base-3.1"], ["base-3.2"]]) for n in (1, 2)),
        *(Package("lib", str(n), ["base-3"]) for n in range(1, 4)),
        Package("left", "1", ["base-1"]),
        Package("right", "1", ["base-2"]),
        *(Package("base", version) for version in ("1", "2", "3.1", "3.2")),
    ],
    ["app", "lib"],
    origin="backtracking",
)
"""Every variant fails, so there are many failures and no solution."""


def solve_of(case: Case) -> Solve | None:
    """Prepare a solve of ours; None when there is nothing to solve."""
    snapshot = repository_of(case.packages)._snapshot
    request = parse_requests(as_requests(case.requests), case.options.get("implicit_packages", ()))
    if request.conflict:
        return None
    options = {name: value for name, value in case.options.items() if name != "implicit_packages"}
    return snapshot.begin(request, SolveOptions(**options), ["<paths>"])


def solve_within(case: Case, limits: Limits) -> SolveResult:
    """Solve a case of ours with limits."""
    snapshot = repository_of(case.packages)._snapshot
    options = {name: value for name, value in case.options.items() if name != "implicit_packages"}
    request = parse_requests(as_requests(case.requests), case.options.get("implicit_packages", ()))
    return snapshot.solve(request, SolveOptions(**options), ["<paths>"], limits)[0]


def with_rez(case: Case, callback: Callable[[Solver, SolverState], Any] | None = None, **arguments: Any) -> Solver:
    """Let rez solve a case, and give its solver, whatever became of it."""
    options = dict(case.options)
    with RezOracle(case.packages) as oracle, _rez_settings(
        options.pop("variant_select_mode", "version_priority"),
        options.pop("error_on_missing_variant_requires", True),
        oracle.paths,
    ):  # fmt: skip
        requirements = [*map(Requirement, case.requests), *map(Requirement, options.pop("implicit_packages", ()))]
        solver = Solver.__new__(Solver)
        asked = None if callback is None else lambda now: callback(solver, now)
        solver.__init__(  # type: ignore[misc]
            requirements,
            oracle.paths,
            callback=arguments.pop("own_callback", asked),
            building=options.pop("building", False),
            package_orderers=_rez_orderers(options.pop("package_orderers", ())),
            package_filter=_rez_filter(options.pop("package_filter", None), options.pop("timestamp", None)),
        )
        assert not options
        solver.solve()
        return solver


def rows_of_rez(case: Case) -> list[Row] | None:
    """What rez tells a callback that never ends a solve; None where rez dies on the way."""
    rows: list[Row] = []

    def told(_solver: Solver, now: SolverState) -> Any:
        rows.append((now.num_solves, now.num_fails, str(now.phase)))
        return SolverCallbackReturn.keep_going, ""

    try:
        with_rez(case, told)
    except Exception:  # noqa: BLE001 - whatever rez dies of, it has told us before
        return None
    return rows


def rows_of_ours(case: Case) -> list[Row]:
    rows: list[Row] = []

    def told(now: SolveState) -> tuple[str, str]:
        rows.append((now.num_solves, now.num_fails, str(now.phase)))
        return KEEP_GOING, ""

    solve_within(case, Limits(callback=told))
    return rows


def states_of_ours(case: Case) -> list[SolveState]:
    states: list[SolveState] = []

    def told(now: SolveState) -> tuple[str, str]:
        states.append(now)
        return KEEP_GOING, ""

    solve_within(case, Limits(callback=told))
    return states


# ---- what a callback is told


@pytest.mark.parametrize("numbers", [range(120), range(120, 240)], ids=str)
def test_a_callback_is_told_what_rez_tells(numbers: range) -> None:
    compared = failed = 0
    for seed in numbers:
        case = random_case(seed)
        expected = rows_of_rez(case) if solve_of(case) else None
        if expected is None:
            continue
        assert rows_of_ours(case) == expected, case.origin
        compared += len(expected)
        failed += sum(row[1] > 0 for row in expected)
    assert compared > 100
    assert failed > 20


def test_many_failures() -> None:
    expected = rows_of_rez(BACKTRACKING)
    assert expected is not None
    assert max(fails for _, fails, _ in expected) > 2
    assert rows_of_ours(BACKTRACKING) == expected


def test_a_state_reads_as_in_rez() -> None:
    texts: list[str] = []
    states = states_of_ours(BACKTRACKING)

    def told(_solver: Solver, now: SolverState) -> Any:
        texts.append(str(now))
        return SolverCallbackReturn.keep_going, ""

    with_rez(BACKTRACKING, told)
    assert list(map(str, states)) == texts != []


def test_a_phase_can_be_read_later() -> None:
    """Its text is that of its own step, not of where the solve has come to."""
    states = states_of_ours(BACKTRACKING)
    assert [(now.num_solves, now.num_fails, str(now.phase)) for now in states] == rows_of_rez(BACKTRACKING)


# ---- pausing


def test_a_solve_in_steps_comes_to_the_same_end() -> None:
    for seed in range(300, 400):
        whole, stepped = solve_of(random_case(seed)), solve_of(random_case(seed))
        if whole is None or stepped is None:
            continue
        whole.run()
        for step in range(1, 10_000):
            if stepped.run(to_step=step) != state.PAUSED:
                break
            assert stepped.num_solves == step
        assert_same_end(whole, stepped)


def assert_same_end(one: Solve, other: Solve) -> None:
    """Both ended alike, and have met the same on the way."""
    assert one.status == other.status
    assert (one.num_solves, one.num_fails) == (other.num_solves, other.num_fails)
    assert one.touched() == other.touched()
    if one.status == state.SOLVED:
        assert (one.variants(), one.ephemerals()) == (other.variants(), other.ephemerals())
    elif one.status == state.ERROR:
        assert one.error() == other.error()
    else:
        assert one.failure_text() == other.failure_text()


def test_a_pause_may_run_short_of_room() -> None:
    """It starts anew with more room, and comes to the same place."""
    cases = [*map(random_case, range(1000, 1060)), wide_case(65), branching_case(65), BACKTRACKING]
    expected = [rows_of_ours(case) if solve_of(case) else [] for case in cases]
    with small_work_arrays(TINY) as grew:
        for case, rows in zip(cases, expected, strict=True):
            assert (rows_of_ours(case) if solve_of(case) else []) == rows, case.origin
    assert len(grew) > len(state.GROUPS) // 2


def test_a_filter_that_must_be_asked_on_the_way() -> None:
    """The step is done again when it has been asked."""

    class HidesOdd:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def excludes(self, package: Any) -> Any:
            self.asked.append(f"{package.name}-{package.version}")
            return True if package.name == "app" and str(package.version) == "4" else None

        def __bool__(self) -> bool:
            return True

    case = Case(BACKTRACKING.packages, ["app"], {"package_filter": HidesOdd()})
    whole, stepped = solve_of(case), solve_of(Case(case.packages, case.requests, {"package_filter": HidesOdd()}))
    assert whole is not None
    assert stepped is not None
    whole.run()
    assert stepped.run(to_step=state.BEFORE_FIRST) == state.PAUSED
    step = 0
    while stepped.status == state.PAUSED:
        step += 1
        stepped.run(to_step=step)
    assert step > 1
    assert_same_end(whole, stepped)
    assert set(case.options["package_filter"].asked) >= {"app-1", "right-1"}


def test_before_the_first_step() -> None:
    """Only the request has been looked up; a package that is not there ends the solve."""
    solve = solve_of(BACKTRACKING)
    assert solve is not None
    assert solve.run(to_step=state.BEFORE_FIRST) == state.PAUSED
    assert (solve.num_solves, solve.num_fails) == (0, 0)
    assert phase_text(solve) == str(Phase(solve)) == "app[1..4(4:8)]* lib[1..3(3)]*"
    missing = solve_of(Case(BACKTRACKING.packages, ["app", "nobody"]))
    assert missing is not None
    assert missing.run(to_step=state.BEFORE_FIRST) == state.ERROR
    assert missing.error()[0] == "PackageFamilyNotFoundError"


def test_each_failure_can_be_described() -> None:
    solve = solve_of(BACKTRACKING)
    assert solve is not None
    solve.run()
    solver = with_rez(BACKTRACKING)
    assert solve.num_fails == solver.num_fails > 3
    ours = [solve.failure_text(number) for number in range(1, solve.num_fails + 1)]
    assert ours == [solver.failure_description(index) for index in range(solver.num_fails)]


def test_work_arrays_are_given_back() -> None:
    repository = repository_of(BACKTRACKING.packages)
    view = repository._snapshot.view(False)
    request = parse_requests(["app"])
    result, _ = repository._snapshot.solve(
        request, SolveOptions(), [""], Limits(callback=lambda now: (ABORT, "enough"))
    )
    assert result.status == "aborted"
    assert len(view._idle) == 1

    def fails(now: SolveState) -> tuple[str, str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        repository._snapshot.solve(request, SolveOptions(), [""], Limits(callback=fails))
    assert len(view._idle) == 1


def test_work_arrays_that_cannot_grow_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    with small_work_arrays(TINY):
        solve = solve_of(wide_case(100))
        assert solve is not None
        monkeypatch.setattr(engine, "MAX_WORK_BYTES", solve.session.sizes.bytes_needed())
        with pytest.raises(SolveLimitError):
            solve.run()
        solve.close()
        assert solve.view._idle == []


# ---- limits


def test_no_limits_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    run = engine.Session.run

    def counted(*args: Any, **kwargs: Any) -> int:
        calls.append(kwargs["stop_at_step"])
        return run(*args, **kwargs)

    monkeypatch.setattr(engine.Session, "run", counted)
    assert solve_within(BACKTRACKING, Limits()).status == "failed"
    solve_within(BACKTRACKING, Limits(max_fails=2, time_limit=100_000))
    assert calls == [0, 0]
    solve_within(BACKTRACKING, Limits(callback=lambda now: (KEEP_GOING, "")))
    assert len(calls) > 5


@pytest.mark.parametrize("max_fails", [0, 1, 2, 3, 1000])
def test_max_fails(max_fails: int) -> None:
    solver = with_rez(BACKTRACKING, own_callback=ResolvedContext.Callback(max_fails, -1, None))
    result = solve_within(BACKTRACKING, Limits(max_fails=max_fails))
    assert solver.status == SolverStatus.failed
    assert (result.status, result.num_solves, result.num_fails) == ("failed", solver.num_solves, solver.num_fails)
    assert result.failure_description == solver.failure_description()
    assert str(result.failure_description).startswith("fail limit reached") == (max_fails < 1000)


@pytest.mark.usefixtures("whole_steps")
@pytest.mark.parametrize("max_fails", [-1, 0, 1, 2, -7])
@pytest.mark.parametrize("time_limit", [-1, 0, -3, 100_000])
def test_limits_of_compiled_code(max_fails: int, time_limit: float) -> None:
    """Both limits at once, beside rez's own callback."""
    stopped = 0
    for case in (BACKTRACKING, *map(random_case, (*range(500, 530), 161, 377))):
        if solve_of(case) is None:
            continue
        try:
            solver = with_rez(case, own_callback=ResolvedContext.Callback(max_fails, time_limit, None))  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - whatever rez dies of is compared elsewhere
            continue
        ours = solve_within(case, Limits(max_fails, time_limit))
        assert (ours.num_solves, ours.num_fails) == (solver.num_solves, solver.num_fails), case.origin
        assert (ours.status == "aborted") == (solver.status == SolverStatus.unsolved), case.origin
        if ours.status == "aborted":
            assert ours.failure_description == solver.abort_reason
        elif ours.status == "failed" and "cyclic" not in str(ours.failure_description):
            assert ours.failure_description == solver.failure_description()
        stopped += solver.abort_reason is not None
    assert (stopped > 0) == (max_fails != -1 or time_limit in (0, -3))


@pytest.mark.parametrize(
    ("limits", "error"),
    [((True, -1), TypeError), ((1.0, -1), TypeError), ((-1, "1"), TypeError), ((-1, None), TypeError),
     ((-1, True), TypeError), ((-1, float("nan")), ValueError), (("", -1), TypeError)],
)  # fmt: skip
def test_limits_that_are_none(limits: tuple[Any, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Limits(*limits).checked()
    repository = repository_of(BACKTRACKING.packages)
    with pytest.raises(error):
        repository.solve(["app"], max_fails=limits[0], time_limit=limits[1])
    with pytest.raises(error):
        repository.solve_many([["app"]], max_fails=limits[0], time_limit=limits[1])


def test_a_system_without_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code reads 0 then, which is fine unless somebody asks for a limit."""
    monkeypatch.setattr("rer_numba.engine.CLOCK", Clock(0, 0, 1_000_000_000))
    monkeypatch.setattr("rer_numba.stepping.CLOCK", Clock(0, 0, 1_000_000_000))
    repository = repository_of(BACKTRACKING.packages)
    with pytest.raises(RerError, match="no time_limit on this system"):
        repository.solve(["lib"], time_limit=5)
    assert [one.status for one in repository.solve_many([["lib"]], max_fails=3)] == ["solved"]


@pytest.mark.parametrize("time_limit", [float("inf"), 1e300, 100_000])
def test_limits_that_are_far_away(time_limit: float) -> None:
    repository = repository_of(BACKTRACKING.packages)
    assert repository.solve(["lib"], max_fails=1 << 40, time_limit=time_limit).status == "solved"


def test_max_fails_0_lets_a_solve_without_failures_through() -> None:
    case = Case(BACKTRACKING.packages, ["lib"])
    assert with_rez(case, own_callback=ResolvedContext.Callback(0, -1, None)).status == SolverStatus.solved
    assert solve_within(case, Limits(max_fails=0)).status == "solved"


@pytest.mark.usefixtures("whole_steps")
@pytest.mark.parametrize("requests", [["app", "lib"], ["base-3.1"]], ids=str)
def test_time_limit_0(requests: list[str]) -> None:
    """The first step is done, and counts if it is the last one."""
    case = Case(BACKTRACKING.packages, requests)
    solver = with_rez(case, own_callback=ResolvedContext.Callback(-1, 0, None))
    result = solve_within(case, Limits(time_limit=0))
    assert solver.num_solves == result.num_solves == 1
    if requests == ["base-3.1"]:
        assert (solver.status, result.status) == (SolverStatus.solved, "solved")
    else:
        assert (solver.status, result.status) == (SolverStatus.unsolved, "aborted")
        assert solver.abort_reason == result.failure_description == "time limit exceeded"


@pytest.mark.parametrize("after", [1, 2, 5])
def test_abort_and_fail(after: int) -> None:
    """As rez: fail means nothing before there is a failure."""
    for ours, theirs in ((ABORT, SolverCallbackReturn.abort), (FAIL, SolverCallbackReturn.fail)):

        def rez_says(solver: Solver, now: SolverState, answer: Any = theirs) -> Any:
            return (answer, "enough") if now.num_solves >= after else (SolverCallbackReturn.keep_going, "")

        def we_say(now: SolveState, answer: str = ours) -> tuple[str, str]:
            return (answer, "enough") if now.num_solves >= after else (KEEP_GOING, "")

        solver = with_rez(BACKTRACKING, rez_says)
        result = solve_within(BACKTRACKING, Limits(callback=we_say))
        assert (result.num_solves, result.num_fails) == (solver.num_solves, solver.num_fails)
        if ours == ABORT:
            assert (result.status, result.failure_description) == ("aborted", solver.abort_reason)
        else:
            assert (result.status, result.failure_description) == ("failed", solver.failure_description())
