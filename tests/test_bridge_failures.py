"""Something goes wrong in our own code behind rez: rez solves, nobody is told twice, and one warning says so."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rez.package_order import PackageOrder, PackageOrderList
from rez.solver import Solver as RezSolver
from rez.solver import SolverCallbackReturn, SolverState, SolverStatus
from rez.version import Requirement

from rer_numba import engine, native, snapshot, stepping, tell
from rer_numba.errors import SolveLimitError
from rer_numba.rez_bridge import phases, refusals, sites, solving
from rer_numba.rez_bridge.modes import FallbackError
from rer_numba.rez_bridge.solver import Solver
from rer_numba.rez_bridge.stats import stats
from tests.case import Case, Package
from tests.order_cases import makes_keys
from tests.test_bridge_solver import _Fresh, answers_of, can_reset, fallback_reasons, looked_at, world
from tests.test_stepping import BACKTRACKING

Patch = pytest.MonkeyPatch

SOLVED = Case(BACKTRACKING.packages, ["lib"])
FAILED = Case(BACKTRACKING.packages, ["app", "lib"])


class OddError(Exception):
    """What nobody expects."""


def fails(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.fixture(autouse=True)
def afresh(monkeypatch: Patch) -> Iterator[None]:
    """Nothing is known of kernels, places and warnings; afterwards neither."""
    monkeypatch.setenv("RER_NUMBA_QUIET", "1")
    monkeypatch.setattr(tell, "_told", set())
    monkeypatch.setattr(refusals, "_no_kernel", [])
    sites.forget_sites()
    yield
    sites.forget_sites()


PLACES: dict[str, tuple[Any, str, Exception]] = {
    "site": (solving, "site_of", OddError("odd")),
    "reading": (sites.Site, "prepare", KeyError("odd")),
    "no kernel": (engine, "_native_solve", native.NativeError("no LLVM here")),
    "run": (solving.NativeSolve, "_run", OddError("odd")),
    "settling": (sites.Site, "settle", IndexError("odd")),
    "too large": (engine.Session, "run", SolveLimitError("bytes of work arrays", 9, 3)),
    "loads": (snapshot.Solve, "touched", OddError("odd")),
    "options": (solving, "as_package_orderers", OddError("odd")),
}
"""Where a whole solve is handed over: what is replaced by something that raises."""

LATE: dict[str, tuple[Any, str, Exception, tuple[Case, ...]]] = {
    "graph": (phases.Phases, "graph", OddError("odd"), (SOLVED, FAILED)),
    "phases": (phases.Phases, "failed", IndexError("odd"), (FAILED,)),
    "text of a failure": (snapshot.Solve, "failure_text", OddError("odd"), (FAILED,)),
    "packages": (sites.Site, "handle", OddError("odd"), (SOLVED,)),
    "text of a step": (stepping, "phase_text", OddError("odd"), (SOLVED, FAILED)),
    "stack": (phases.Phases, "stack", OddError("odd"), (SOLVED, FAILED)),
}
"""Where an answer is handed over when somebody reads it: what raises, and of which cases it is read."""


def compare(case: Case, **more: Any) -> tuple[list[str], list[str]]:
    """Ask both: (reasons of fallbacks, warnings)."""
    before = stats()
    with world(case) as (request, arguments):
        expected = answers_of(RezSolver, request, arguments, **more)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = answers_of(Solver, request, arguments, **more)
    for name, value in expected.items():
        assert found.get(name) == value, name
    ours = [str(one.message) for one in caught if "rer-numba" in str(one.message)]
    return fallback_reasons(before), ours


@pytest.mark.parametrize("case", [SOLVED, FAILED], ids=["solved", "failed"])
@pytest.mark.parametrize("steps", [False, True], ids=["at once", "step by step"])
@pytest.mark.parametrize("place", PLACES)
def test_a_solve_that_goes_wrong(monkeypatch: Patch, place: str, steps: bool, case: Case) -> None:
    owner, name, error = PLACES[place]
    monkeypatch.setattr(owner, name, fails(error))
    if engine.uses_jit():
        monkeypatch.setattr(engine, "_jit_solve", fails(error) if place == "no kernel" else engine._jit_solve)
    reasons, told = compare(case, steps=steps)
    assert reasons == [f"rer-numba failed: {type(error).__name__}: {error}"]
    (warning,) = told
    for part in (type(error).__name__, str(error), "report", "RER_NUMBA=strict", "RER_NUMBA=off"):
        assert part in warning
    assert compare(case, steps=steps) == (reasons, [])  # counted again, and not told again


@pytest.mark.parametrize("case", [SOLVED, FAILED], ids=["solved", "failed"])
@pytest.mark.parametrize("place", LATE)
def test_an_answer_that_cannot_be_read(monkeypatch: Patch, place: str, case: Case) -> None:
    owner, name, error, read_of = LATE[place]
    monkeypatch.setattr(owner, name, fails(error))
    reasons, told = compare(case, steps=True)
    assert bool(reasons) == (case in read_of)
    assert set(reasons) <= {f"rer-numba failed: {type(error).__name__}: {error}"}
    assert len(told) == (case in read_of)


@pytest.mark.parametrize("place", [*PLACES, *LATE])
def test_strict(monkeypatch: Patch, place: str) -> None:
    """It is an error, which says what went wrong, and where."""
    owner, name, error, *_ = {**PLACES, **LATE}[place]
    monkeypatch.setattr(owner, name, fails(error))
    if engine.uses_jit() and place == "no kernel":
        monkeypatch.setattr(engine, "_jit_solve", fails(error))
    monkeypatch.setenv("RER_NUMBA", "strict")

    def ask(request: list[Requirement], arguments: Any) -> None:
        solver = Solver(request, callback=reads_the_phase, package_load_callback=id, **arguments.all())
        solver.solve()
        looked_at(solver)

    for case in LATE[place][3] if place in LATE else (SOLVED, FAILED):
        with world(case) as given, warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(FallbackError, match=str(error).strip("'")) as raised:
                ask(*given)
        refusal = raised.value.__cause__
        assert isinstance(refusal, refusals.NotNativeError)
        assert refusal.__cause__ is error or place == "no kernel"


def reads_the_phase(now: SolverState) -> Any:
    assert str(now.phase)
    return SolverCallbackReturn.keep_going, ""


@pytest.mark.parametrize("answer", [SolverCallbackReturn.abort, SolverCallbackReturn.fail], ids=str)
@pytest.mark.parametrize("place", LATE)
def test_after_a_callback_has_ended_it(monkeypatch: Patch, place: str, answer: SolverCallbackReturn) -> None:
    """The reason and the failure are those of that moment."""
    owner, name, error, _ = LATE[place]
    monkeypatch.setattr(owner, name, fails(error))

    def ends(now: SolverState) -> Any:
        return (answer, "enough") if now.num_solves >= 6 else (SolverCallbackReturn.keep_going, "")

    compare(FAILED, callback=ends)


@pytest.mark.parametrize("at", [1, 3, 7])
def test_on_the_way(monkeypatch: Patch, at: int) -> None:
    """A callback hears of each step once, and of each package."""
    run = solving.NativeSolve._run

    def runs_to(self: Any, to_step: int) -> Any:
        if to_step == at:
            raise OddError("odd")
        return run(self, to_step)

    monkeypatch.setattr(solving.NativeSolve, "_run", runs_to)
    reasons, told = compare(FAILED, steps=True)
    assert len(reasons) == len(told) == 1


def test_a_graph_that_is_looked_at_late(monkeypatch: Patch) -> None:
    """After the solver was reset, or is gone."""
    monkeypatch.setattr(phases.Phases, "graph", fails(OddError("odd")))
    with world(FAILED) as (request, arguments):
        graphs = []
        for make in (RezSolver, Solver):
            solver = make(request, **arguments.all())
            solver.solve()
            assert solver.status == SolverStatus.failed
            graphs.append(solver.get_graph())
            if make is Solver or can_reset(solver):
                solver.reset()
            del solver
        with pytest.warns(RuntimeWarning, match="OddError"):
            assert graphs[1].nodes() == graphs[0].nodes()
        assert graphs[1] == graphs[0]


def test_no_kernel_is_looked_for_once(monkeypatch: Patch) -> None:
    """To find that there is none may take as long as to compile."""
    calls: list[int] = []

    def none(*_: Any) -> Any:
        calls.append(1)
        raise native.NativeError("no LLVM here")

    monkeypatch.setattr(engine, "_jit_solve" if engine.uses_jit() else "_native_solve", none)
    for _ in range(3):
        compare(SOLVED)
    assert len(calls) == 1


def test_want_of_memory_is_not_hidden(monkeypatch: Patch) -> None:
    monkeypatch.setattr(solving.NativeSolve, "_run", fails(MemoryError()))
    with world(SOLVED) as (request, arguments), pytest.raises(MemoryError):
        Solver(request, **arguments.all())


# ---- what is nobody's fault here


def _telling(kind: str, tell: Any) -> Any:
    """Makes solvers that tell something."""
    return lambda request, **given: Solver(request, **{**given, kind: tell})


def test_what_a_callback_raises() -> None:
    """Of the two kinds; it is not called again."""
    for kind in ("callback", "package_load_callback"):
        calls: list[int] = []

        def raises(_: Any, calls: list[int] = calls) -> Any:
            calls.append(1)
            raise OddError("mine")

        before = stats()
        with world(SOLVED) as (request, arguments):
            found = answers_of(_telling(kind, raises), request, arguments)
        assert found["error"] == (OddError, "mine")
        assert len(calls) == 1
        assert fallback_reasons(before) == []


class Picky(PackageOrder):  # type: ignore[misc]
    """An orderer of somebody's own that does not know all families."""

    name = "picky"

    def __init__(self, unknown: str) -> None:
        super().__init__()
        self.unknown = unknown

    def sort_key_implementation(self, package_name: str, version: Any) -> Any:
        if package_name == self.unknown:
            raise OddError(f"no {package_name}")
        return version

    def to_pod(self) -> Any:
        return {"unknown": self.unknown}


@makes_keys
@pytest.mark.parametrize("unknown", ["lib", "aside"])
def test_what_an_orderer_raises(unknown: str) -> None:
    """It is only asked about families that rez asks it about."""
    packages = [
        *(Package("app", "1", ["aside-1"]), Package("app", "2", ["lib"])),
        *(Package(name, version) for name in ("lib", "aside") for version in ("1", "2")),
    ]
    before = stats()
    with world(Case(packages, ["app-2"])) as (request, arguments):
        Solver([Requirement("app-1")], **arguments.all()).solve()  # from now on aside is known
        given = _Fresh(dict(arguments), lambda: (PackageOrderList([Picky(unknown)]), None))
        expected = answers_of(RezSolver, request, given)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert answers_of(Solver, request, given) == expected
    assert ("error" in expected) == (unknown == "lib")
    assert fallback_reasons(before) == (["rez raises it: OddError: no lib"] if unknown == "lib" else [])


def test_a_place_that_rez_cannot_use() -> None:
    before = stats()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        errors = []
        for make in (RezSolver, Solver):
            with pytest.raises(Exception, match="nowhere") as raised:
                make([Requirement("app")], ["nowhere@/at/all"]).solve()
            errors.append((raised.type, str(raised.value)))
    assert errors[0] == errors[1]
    (reason,) = fallback_reasons(before)
    assert reason.startswith("rez raises it: ")
