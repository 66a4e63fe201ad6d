"""Our drop-in for rez's solver beside rez's own: same repositories, same process, attribute by attribute."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from rez.exceptions import RezError
from rez.package_filter import PackageFilterList
from rez.package_order import PackageOrderList
from rez.packages import Package as RezPackage
from rez.packages import Variant
from rez.resolved_context import ResolvedContext
from rez.resolver import Resolver
from rez.solver import Solver as RezSolver
from rez.solver import SolverCallbackReturn, SolverState, SolverStatus
from rez.utils.graph_utils import write_compacted
from rez.version import Requirement, VersionError

from rer_numba.rez_bridge import solving
from rer_numba.rez_bridge.modes import FallbackError
from rer_numba.rez_bridge.refusals import sorts_variants_as_configured
from rer_numba.rez_bridge.sites import Site
from rer_numba.rez_bridge.solver import Solver
from rer_numba.rez_bridge.stats import Stats, stats
from tests.case import Case, Package
from tests.oracle import RezOracle, _raised_by_orderer, _rez_filter, _rez_orderers, _rez_settings
from tests.random_cases import random_case
from tests.random_options import random_options_case
from tests.test_stepping import BACKTRACKING

Answers = dict[str, Any]
Make = Callable[..., Any]

CYCLE = [Package("a", "1", ["b"]), Package("b", "1", ["c"], [["x-1"], ["x-2"]]), Package("c", "1", ["a"]),
         Package("x", "1"), Package("x", "2")]  # fmt: skip
EPHEMERALS = [Package("app", "1", [".feat-1+", "lib"]), Package("lib", "2", [".feat-1.5|2", ".other-3"])]


@contextlib.contextmanager
def world(case: Case) -> Iterator[tuple[list[Requirement], dict[str, Any]]]:
    """Give the request and the other arguments of a solver for a case, in rez's configuration for it."""
    options = dict(case.options)
    mode = options.pop("variant_select_mode", "version_priority")
    with (
        RezOracle(case.packages) as oracle,
        _rez_settings(mode, options.pop("error_on_missing_variant_requires", True), oracle.paths),
    ):
        texts = [*case.requests, *options.pop("implicit_packages", ())]
        orderers = options.pop("package_orderers", ())
        given_filter, timestamp = options.pop("package_filter", None), options.pop("timestamp", None)
        arguments = {"package_paths": oracle.paths, "building": options.pop("building", False)}
        assert not options
        yield (
            list(map(Requirement, texts)),
            # new ones for each solver, since a soft_timestamp orderer remembers the packages it saw
            _Fresh(arguments, lambda: (_rez_orderers(orderers or ()), _rez_filter(given_filter, timestamp))),
        )


class _Fresh(dict[str, Any]):
    """Arguments of a solver, with orderers and filters that no solver has used."""

    def __init__(self, arguments: dict[str, Any], policies: Callable[[], tuple[Any, Any]]) -> None:
        super().__init__(arguments)
        self.policies = policies

    def all(self) -> dict[str, Any]:
        orderers, own_filter = self.policies()
        return {**self, "package_orderers": orderers, "package_filter": own_filter}


def answers_of(make: Make, request: list[Requirement], arguments: Any, **more: Any) -> Answers:
    """Everything a solver says, at each point where rez says something."""
    loaded: list[str] = []
    told: list[Any] = []

    def step(now: SolverState) -> Any:
        told.append((str(now), len(loaded)))
        return SolverCallbackReturn.keep_going, ""

    if more.pop("steps", False):
        more["callback"] = step
    answers: Answers = {"loaded": loaded, "told": told}
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
        try:
            solver = make(
                request,
                package_load_callback=lambda package: loaded.append(package.qualified_name),
                **arguments.all(),
                **more,
            )
            answers["made"] = (solver.status, solver.num_solves, solver.num_fails, len(loaded))
            solver.solve()
        except Exception as error:  # noqa: BLE001 - rez's own deaths too
            internal = not isinstance(error, (RezError, VersionError)) or _raised_by_orderer(error)
            return {**answers, "error": (type(error), str(error)), "internal": internal}
    answers["stderr"] = stderr.getvalue()
    return {**answers, **looked_at(solver)}


def looked_at(solver: Any) -> Answers:
    """What a solver says afterwards."""
    packages, ephemerals = solver.resolved_packages, solver.resolved_ephemerals
    found: Answers = {
        "status": solver.status,
        "counts": (solver.num_solves, solver.num_fails, solver.cyclic_fail, solver.solve_begun),
        "packages": packages and [(str(one), one.name, str(one.version), one.index, one.handle) for one in packages],
        "ephemerals": ephemerals and list(map(str, ephemerals)),
        "abort": (solver.abort_reason, solver.callback_return),
        "graph": write_compacted(solver.get_graph()),
        "text": str(solver),
        "printed": printed(solver),
        "load_time": solver.load_time,
    }
    for index in [*range(-solver.num_fails, solver.num_fails), *([None] if solver.num_fails else [])]:
        reason = solver.failure_reason(index)
        found[f"failure {index}"] = (
            solver.failure_description(index),
            (type(reason), str(reason)),
            _packages_of_failure(solver, index),
        )
        found[f"graph {index}"] = write_compacted(solver.get_fail_graph(index))
    return found


def _packages_of_failure(solver: Any, index: int | None) -> Any:
    try:
        return list(map(str, solver.failure_packages(index) or ()))
    except VersionError as error:  # as rez with a package without a version
        return str(error)


def printed(solver: Any) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        solver.dump()
    return stdout.getvalue()


def assert_same(case: Case, **more: Any) -> Answers:
    """Ask both, and compare."""
    with world(case) as (request, arguments):
        expected = answers_of(RezSolver, request, arguments, **more)
        if expected.get("internal"):
            return expected
        before = stats()["native"]
        found = answers_of(Solver, request, arguments, **more)
        for name, value in expected.items():
            assert found.get(name) == value, (name, case.origin)
        assert found.keys() == expected.keys()
        assert stats()["native"] == before + 1
    return expected


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said while kernels are compiled is no part of what is compared."""
    monkeypatch.setenv("RER_NUMBA_QUIET", "1")


# ---- the same answers


@pytest.mark.parametrize("numbers", [range(100), range(100, 200), range(200, 300)], ids=str)
def test_random_cases(numbers: range) -> None:
    kinds = [str(assert_same(random_case(number)).get("status", "error")) for number in numbers]
    assert kinds.count("SolverStatus.solved") > 20
    assert kinds.count("SolverStatus.failed") > 5
    assert kinds.count("error") > 1


def test_reductions_of_later_failures() -> None:
    """Their order depends on what rez sorted before."""
    assert assert_same(random_case(4147))["counts"][1] > 5


@pytest.mark.parametrize("numbers", [range(300, 380)], ids=str)
def test_random_cases_step_by_step(numbers: range) -> None:
    told = [assert_same(random_case(number), steps=True)["told"] for number in numbers]
    assert sum(map(len, told)) > 50


@pytest.mark.parametrize("numbers", [range(40)], ids=str)
def test_random_options(numbers: range) -> None:
    solved = 0
    for number in numbers:
        case = random_options_case(number)
        with world(case) as (request, arguments):
            expected = answers_of(RezSolver, request, arguments)
            found = answers_of(Solver, request, arguments)
            if not expected.get("internal"):
                assert found == expected, case.origin
                solved += 1
    assert solved > 20


@pytest.mark.parametrize(
    ("packages", "requests"),
    [
        (BACKTRACKING.packages, ["app", "lib"]),
        (BACKTRACKING.packages, ["lib", "!lib-3"]),
        (BACKTRACKING.packages, ["lib-2", "!lib-2"]),
        (BACKTRACKING.packages, ["lib-2", "lib-3"]),
        (BACKTRACKING.packages, []),
        (BACKTRACKING.packages, ["nobody"]),
        (BACKTRACKING.packages, ["lib-99"]),
        (BACKTRACKING.packages, ["lib", "~base-3.1"]),
        (CYCLE, ["a"]),
        (EPHEMERALS, ["app", ".feat-1"]),
        (EPHEMERALS, ["app"]),
        ([Package("app", "1", ["lib-1", "!lib-1"])], ["app"]),
        ([Package("app", "1", ["gone"])], ["app"]),
        ([Package("app", "1", ["app-2"]), Package("app", "2")], ["app-1"]),
        ([Package("app", "1", ["lib-9"]), Package("lib", "1")], ["app"]),
        ([Package("app", "", ["lib"]), Package("lib", "1")], ["app"]),
    ],
    ids=lambda given: " ".join(one if isinstance(one, str) else one.name for one in given[:2]),
)
@pytest.mark.parametrize("steps", [False, True])
def test_kinds_of_requests(packages: list[Package], requests: list[str], steps: bool) -> None:
    assert_same(Case(packages, requests), steps=steps)


@pytest.mark.parametrize("steps", [False, True])
def test_a_missing_family_that_is_no_error(steps: bool) -> None:
    """rez prints about each phase that fails for it."""
    packages = [Package("app", str(n), ["lib"], [["gone"], ["lost"]]) for n in (1, 2)]
    case = Case([*packages, Package("lib", "1")], ["app"], {"error_on_missing_variant_requires": False})
    answers = assert_same(case, steps=steps)
    assert answers["stderr"].count("package family not found") > 2
    assert answers["failure None"][0] == "Solver failed with unknown reason."


def test_an_index_out_of_range() -> None:
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        for make in (RezSolver, Solver):
            solver = make(request, **arguments.all())
            solver.solve()
            for index in (solver.num_fails, -solver.num_fails - 1):
                for ask in (solver.failure_description, solver.failure_reason, solver.get_fail_graph):
                    with pytest.raises(IndexError, match="failure index out of range"):
                        ask(index)


# ---- callbacks and limits


@pytest.mark.parametrize("answer", [SolverCallbackReturn.abort, SolverCallbackReturn.fail], ids=str)
@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_callback_that_ends_it(answer: SolverCallbackReturn, after: int) -> None:
    def ends(now: SolverState) -> Any:
        return (answer, "enough") if now.num_solves >= after else (SolverCallbackReturn.keep_going, "")

    answers = assert_same(Case(BACKTRACKING.packages, ["app", "lib"]), callback=ends)
    assert answers["abort"][0] == "enough"


@pytest.mark.each_rez
@pytest.mark.parametrize("limits", [(-1, -1), (0, -1), (1, -1), (3, -1), (100, -1), (-1, 0), (-1, 100), (2, 100)])
@pytest.mark.parametrize("requests", [["app", "lib"], ["lib"]], ids=str)
def test_rez_own_callback(limits: tuple[int, int], requests: list[str]) -> None:
    assert_same(Case(BACKTRACKING.packages, requests), callback=ResolvedContext.Callback(*limits, None))


def test_a_callback_with_nothing_set_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    run = solving.NativeSolve.run
    monkeypatch.setattr(
        solving.NativeSolve, "run", lambda self, to_step=0: (calls.append(to_step), run(self, to_step))[1]
    )
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        Solver(request, callback=ResolvedContext.Callback(-1, -1, None), **arguments.all()).solve()
    assert calls == [-1, 0]


@pytest.mark.parametrize("after", [1, 2, 100])
def test_what_lies_behind_an_end_is_not_heard_of(after: int) -> None:
    """A solve that goes step by step is settled in advance: neither errors nor packages of later steps are told."""

    def ends(now: SolverState) -> Any:
        return (SolverCallbackReturn.abort if now.num_solves >= after else SolverCallbackReturn.keep_going), "enough"

    packages = [Package("app", "2", [], [["left"], ["right"]]), Package("right", "1", ["gone"]), Package("left", "1")]
    answers = assert_same(Case(packages, ["app"]), callback=ends)
    assert ("error" in answers) == (after > 1)
    assert ("right-1" in answers["loaded"]) == (after > 1)


def test_steps_are_settled_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[Any] = []
    settle = Site.settle
    monkeypatch.setattr(Site, "settle", lambda *one, **more: settled.append(one) or settle(*one, **more))
    monkeypatch.setattr(solving, "_AHEAD", 4)
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        expected = answers_of(RezSolver, request, arguments, steps=True)
        assert answers_of(Solver, request, arguments, steps=True) == expected
        assert expected["counts"][0] > 12
        first = len(settled)
        assert answers_of(Solver, request, arguments, steps=True) == expected
    assert len(settled) - first == 5  # the request, and four times four steps


def test_answers_that_are_no_answers_are_ignored() -> None:
    """As those of rez's own GUI."""
    assert_same(Case(BACKTRACKING.packages, ["app", "lib"]), callback=lambda now: (True, ""))


def test_the_phase_in_a_callback_is_rez_own_when_looked_at() -> None:
    seen: list[Any] = []

    def look(now: SolverState) -> Any:
        seen.append((now.phase.status, list(map(str, now.phase.scopes)), str(now.phase)))
        return SolverCallbackReturn.keep_going, ""

    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        RezSolver(request, callback=look, **arguments.all()).solve()
        expected, seen = seen, []
        Solver(request, callback=look, **arguments.all()).solve()
    assert seen == expected != []


# ---- step by step, again, later


def can_reset(solver: RezSolver) -> bool:
    """Tell whether rez can: before 3.4 it hands over one argument twice."""
    try:
        solver.reset()
    except TypeError:
        return False
    return True


@pytest.mark.each_rez
def test_steps_by_hand_and_reset() -> None:
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        ours, theirs = (make(request, **arguments.all()) for make in (Solver, RezSolver))
        for _ in range(2):
            for _ in range(20):
                for solver in (ours, theirs):
                    solver.solve_step()
                assert looked_at(ours) == looked_at(theirs)
                assert ours.phase_stack[-1].status == theirs.phase_stack[-1].status
                assert list(map(str, ours.failed_phase_list)) == list(map(str, theirs.failed_phase_list))
            for solver in (ours, theirs):
                with pytest.raises(RezError, match="already been started"):
                    solver.solve()
            ours.reset()
            if can_reset(theirs):
                theirs.reset()
            else:
                theirs = RezSolver(request, **arguments.all())
            assert ours.num_solves == theirs.num_solves == 0
            assert str(ours) == str(theirs)
        for solver in (ours, theirs):
            solver.solve()
        assert looked_at(ours) == looked_at(theirs)


def test_an_aborted_solve_can_be_stepped_on() -> None:
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        ours, theirs = (
            make(request, callback=lambda now: (SolverCallbackReturn.abort, "wait"), **arguments.all())
            for make in (Solver, RezSolver)
        )
        for solver in (ours, theirs):
            solver.solve()
            solver.solve_step()
        assert looked_at(ours) == looked_at(theirs)
        assert ours.num_solves == 2


@pytest.mark.each_rez
def test_everything_public_is_there() -> None:
    assert signature(Solver.__init__).parameters.keys() >= {"self"}
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        ours, theirs = (make(request, **arguments.all()) for make in (Solver, RezSolver))
        for solver in (ours, theirs):
            solver.solve()
        for name in dir(theirs):
            if not name.startswith("_"):
                assert type(getattr(ours, name)) is type(getattr(theirs, name)), name
        assert isinstance(ours, RezSolver)
        for name in ("extractions_count", "reduction_tests_count", "intersection_tests_count", "solve_count"):
            assert getattr(ours, name) == getattr(theirs, name) > 0
        assert str(ours.request_list) == str(theirs.request_list)
        assert ours.solve_stats["global"]["num_fails"] == theirs.solve_stats["global"]["num_fails"]
        assert ours.solve_stats.keys() == theirs.solve_stats.keys()
        with pytest.raises(AttributeError):
            ours.no_such_thing  # noqa: B018


@pytest.mark.each_rez
def test_variants_and_packages_are_rez_own_when_looked_at() -> None:
    loads: dict[Any, list[Any]] = {}
    with world(Case(BACKTRACKING.packages, ["tool"])) as (request, arguments):
        found = {}
        for make in (RezSolver, Solver):
            given = loads.setdefault(make, [])
            solver = make(request, package_load_callback=given.append, **arguments.all())
            solver.solve()
            found[make] = solver.resolved_packages
        for theirs, ours in zip(found[RezSolver], found[Solver], strict=True):
            assert ours == theirs
            assert ours.variant == theirs.variant
            assert type(ours.variant) is Variant
            assert str(ours.requires_list) == str(theirs.requires_list)
        assert len(loads[Solver]) > 2
        for their, our in zip(loads[RezSolver], loads[Solver], strict=True):
            assert isinstance(our, RezPackage)
            assert hash(our) == hash(their)
            assert our == their
            assert (our.name, our.version, our.requires, our.uri) == (
                their.name,
                their.version,
                their.requires,
                their.uri,
            )
            assert type(our) is RezPackage


def test_work_arrays_are_given_back() -> None:
    with world(Case(BACKTRACKING.packages, ["tool"])) as (request, arguments):
        for _ in range(3):
            solver = Solver(request, **arguments.all())
            solver.solve()
            idle = solver._native.solve.view._idle  # type: ignore[union-attr]
            assert len(idle) == 1


# ---- packages in folders


BROKEN = {
    "empty": None,
    "syntax": "name = 'syntax'\nversion = '1'\nrequires = [",
    "number": "name = 'number'\nversion = '1'\nrequires = 5",
    "range": "name = 'range'\nversion = '1'\nrequires = ['lib-1..x..']",
    "name": "name = 'other'\nversion = '1'",
    "raises": "name = 'raises'\nversion = '1'\n@early()\ndef requires():\n    raise ValueError('no')",
    "conflict": "name = 'conflict'\nversion = '1'\nrequires = ['lib-1', '!lib-1']",
    "late": "name = 'late'\nversion = '1'\n@late()\ndef requires():\n    return ['lib']",
    "lib": "name = 'lib'\nversion = '1'",
}
"""Family -> its package.py; None: there is none."""


@pytest.fixture
def folders(tmp_path: Path) -> str:
    """A folder with packages that are broken, and one for each that requires it."""
    for name, text in BROKEN.items():
        folder = tmp_path / name / "1"
        folder.mkdir(parents=True)
        if text is not None:
            (folder / "package.py").write_text(text)
        user = tmp_path / f"wants_{name}" / "1"
        user.mkdir(parents=True)
        (user / "package.py").write_text(f"name = 'wants_{name}'\nversion = '1'\nrequires = ['{name}']")
    return str(tmp_path)


@pytest.mark.parametrize("prefix", ["", "wants_"])
@pytest.mark.parametrize("name", BROKEN)
def test_broken_packages(folders: str, name: str, prefix: str) -> None:
    """The same exception at the same point; rez itself raises what has more than a text."""
    before = stats()
    found = []
    for make in (RezSolver, Solver):
        with RezOracle.at_paths([folders]) as oracle, _rez_settings("version_priority", True, oracle.paths):
            arguments = _Fresh({"package_paths": oracle.paths}, lambda: (PackageOrderList(), None))
            found.append(answers_of(make, [Requirement(f"{prefix}{name}")], arguments))
    assert found[0] == found[1]
    assert ("error" in found[0]) == (name not in ("lib", "late", "name"))
    only_rez = {"raises": "a package raises ValueError"}
    reasons = fallback_reasons(before)
    assert len(reasons) == (name in only_rez)
    assert all(only_rez[name] in reason for reason in reasons)


# ---- what rez does itself


def fallback_reasons(before: Stats) -> list[str]:
    return [
        reason for reason, count in stats()["reasons"].items() for _ in range(count - before["reasons"].get(reason, 0))
    ]


class HidesTwo(PackageFilterList):  # type: ignore[misc]
    """A filter of somebody's own class."""

    def excludes(self, package: Any) -> Any:
        return True if str(package.version) == "2" else None

    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"verbosity": 1, "buf": io.StringIO()}, "verbosity is above 0"),
        ({"print_stats": True, "buf": io.StringIO()}, "print_stats"),
        ({"package_filter": HidesTwo()}, "a package filter of one's own class, which wants rez's packages"),
        ({"package_orderers": [object()]}, None),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_what_is_not_native(more: dict[str, Any], reason: str | None) -> None:
    before = stats()
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        given = {**arguments.all(), **more}
        answers = []
        for make in (RezSolver, Solver):
            try:
                solver = make(request, **given)
                solver.solve()
            except Exception as error:  # noqa: BLE001 - an orderer that is none
                answers.append({"error": str(error)})
            else:
                answers.append(looked_at(solver))
                assert solver.prune_unfailed is True
                assert solver.solve_stats["reductions"]["num_reductions"] >= 0
        assert answers[0] == answers[1]
    (found,) = fallback_reasons(before)
    assert reason in (None, found)
    assert stats()["native"] == before["native"]


def test_strict_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RER_NUMBA", "strict")
    with (
        world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments),
        pytest.raises(FallbackError, match="verbosity is above 0"),
    ):
        Solver(request, verbosity=1, **arguments.all())


@pytest.mark.parametrize("where", ["constructor", "solve", "callback", "solve_step"])
def test_a_fallback_on_the_way(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Nobody is told twice of what was told before."""
    run = solving.NativeSolve._run
    stops = {"constructor": -1, "solve": 0, "callback": 4, "solve_step": 3}

    def refuses(self: Any, to_step: int) -> Any:
        if to_step == stops[where]:
            raise solving.NotNativeError("a test wants it")
        return run(self, to_step)

    before = stats()
    told: dict[Any, list[Any]] = {RezSolver: [], Solver: []}
    with world(Case(BACKTRACKING.packages, ["app", "lib"])) as (request, arguments):
        ends = []
        for make in (RezSolver, Solver):
            note = told[make].append

            def step(now: SolverState, note: Any = note) -> Any:
                note(str(now))
                return SolverCallbackReturn.keep_going, ""

            if make is Solver:
                monkeypatch.setattr(solving.NativeSolve, "_run", refuses)
            solver = make(
                request,
                package_load_callback=lambda package, note=note: note(package.qualified_name),
                callback=step if where == "callback" else None,
                **arguments.all(),
            )
            if where == "solve_step":
                for _ in range(5):
                    solver.solve_step()
            else:
                solver.solve()
            ends.append(looked_at(solver))
    assert ends[0] == ends[1]
    assert told[Solver] == told[RezSolver]
    assert fallback_reasons(before) == ["a test wants it"]


def test_orderers_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """None for orderers means the configuration's to rez, but only between variants; since 3.1."""
    monkeypatch.setattr(PackageOrderList, "singleton", _rez_orderers([{"type": "no_order", "packages": ["*"]}]))
    before = stats()
    with world(Case(BACKTRACKING.packages, ["lib"])) as (request, arguments):
        Solver(request, **{**arguments.all(), "package_orderers": None}).solve()
    assert len(fallback_reasons(before)) == sorts_variants_as_configured()


def test_an_exception_that_only_the_package_can_raise() -> None:
    with pytest.raises(solving.NotNativeError, match="a package raises ZeroDivisionError"):
        solving.exception_of("ZeroDivisionError", "by zero")
    made = solving.exception_of("PackageDefinitionFileMissing", "No package definition file found at /x")
    assert str(made) == "No package definition file found at /x"
    assert isinstance(made, RezError)
    assert type(made).__module__ == "rezplugins.package_repository.filesystem"


def test_behind_a_resolver() -> None:
    """As rez uses it: with positional arguments, and a context's callback."""
    with world(Case(EPHEMERALS, ["app"])) as (request, arguments):
        resolver = Resolver(
            context=None,
            package_requests=request,
            package_paths=arguments["package_paths"],
            package_orderers=PackageOrderList(),
            callback=ResolvedContext.Callback(-1, -1, None),
            caching=False,
        )
        import rez.resolver

        before = stats()["native"]
        original, rez.resolver.Solver = rez.resolver.Solver, Solver
        try:
            resolver.solve()
        finally:
            rez.resolver.Solver = original
        assert stats()["native"] == before + 1
        assert [variant.qualified_name for variant in resolver.resolved_packages] == ["lib-2[]", "app-1[]"]
        assert list(map(str, resolver.resolved_ephemerals)) == [".feat-1.5|2", ".other-3"]
        assert resolver.status.name == SolverStatus.solved.name
