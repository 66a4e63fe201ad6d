"""What a drop-in for rez's solver says where rez's own is odd: before it has solved, after an error, in set order."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from rez.package_order import PackageOrderList
from rez.package_repository import package_repository_manager
from rez.solver import Solver as RezSolver
from rez.version import Requirement

from rer_numba.rez_bridge.sites import forget_sites
from rer_numba.rez_bridge.solver import Solver
from rer_numba.rez_bridge.stats import stats
from tests.random_tree import let_settle
from tests.rez_commands import HOOK, WITH_SOURCES, Studio, write_packages
from tests.rez_folders import rez_as
from tests.test_bridge_sites import DEFAULTS, beside, publish
from tests.test_bridge_solver import fallback_reasons

PACKAGES = {
    "late-1": "@late()\ndef requires():\n    return ['lib-1']",
    "late-2": "@late()\ndef requires():\n    return ['lib-2']",
    "odd-1": "requires = ['not a name']",
    "odd-2": "requires = ['lib-1']",
    "broken-1": "requires = ['lib'",
    "quarrel-1": "requires = ['lib-1', '!lib-1']",
    "quarrel-2": "requires = ['lib-2']",
    "needs_quarrel-1": "requires = ['quarrel-1', 'lib']",
    "needs_gone-1": "requires = ['gone']",
    "needs_gone-2": "requires = ['lib-1']\nvariants = [['gone'], ['lib-2']]",
    "lib-1": "timestamp = 100",
    "lib-2": "timestamp = 200",
    "app-1": "requires = ['lib-1']",
    "app-2": "requires = ['lib-2', 'lib-1']",
    "timed-1": "timestamp = 100",
    "timed-2": "timestamp = 200",
    "timed-3": "timestamp = ",
    "untimed-1": "timestamp = 'soon'",
    "untimed-2": "timestamp = 200",
    "variants-1": "variants = [['lib-1'], 5]",
    "variants-2": "variants = 5",
}

REQUESTS = (
    ["late"], ["odd"], ["odd-2"], ["broken"], ["quarrel"], ["quarrel-1"], ["quarrel", "lib-2"], ["needs_quarrel"],
    ["needs_gone"], ["needs_gone-2", "lib"], ["app"], ["app", "lib-1"], ["lib-1", "lib-2"], ["variants-1"],
    ["variants-2"], ["lib", "late-1"], ["gone"], ["needs_gone", "lib-1"],
)  # fmt: skip


@pytest.fixture(params=[False, True], ids=["read", "published"])
def paths(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """A package path, published or not."""
    forget_sites()
    with rez_as(DEFAULTS):
        folder = write_packages(tmp_path / "packages", PACKAGES)
        let_settle(tmp_path)
        if request.param:
            publish([str(folder)], beside(str(folder)))
        yield [str(folder)]
    forget_sites()


def tried(ask: Callable[[], Any]) -> Any:
    """An answer, or the error in its place."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever rez raises
        return type(error).__name__, str(error)


def dumped(solver: Any) -> str:
    text = io.StringIO()
    with redirect_stdout(text):
        solver.dump()
    return text.getvalue()


def looks(make: Any, request: list[str], paths: list[str], act: Callable[[Any], Any], **options: Any) -> Any:
    """Everything that a solver shows after it was made, and after something was done with it."""
    package_repository_manager.clear_caches()
    made = tried(lambda: make([Requirement(text) for text in request], paths, **options))
    if isinstance(made, tuple):
        return made
    tried(lambda: act(made))
    shows: tuple[Callable[[Any], Any], ...] = (
        str, dumped,
        lambda solver: solver.status,
        lambda solver: [str(phase) for phase in solver.phase_stack],
        lambda solver: (solver.num_solves, solver.num_fails, solver.cyclic_fail, solver.solve_begun),
        lambda solver: [json.dumps(one.handle) for one in solver.resolved_packages],
        lambda solver: solver.failure_description(),
        lambda solver: solver.failure_reason() and str(solver.failure_reason()),
        lambda solver: sorted(solver.get_graph().nodes()),
        lambda solver: solver.solve(),
    )  # fmt: skip
    return [tried(lambda show=show: show(made)) for show in shows]


ACTS: dict[str, Callable[[Any], Any]] = {
    "made": lambda _: None,
    "printed": str,
    "solved": lambda solver: solver.solve(),
    "one step": lambda solver: solver.solve_step(),
    "two steps": lambda solver: (solver.solve_step(), solver.solve_step()),
    "solved again": lambda solver: (tried(solver.solve), tried(solver.reset), solver.solve()),
}


@pytest.mark.parametrize("act", ACTS)
def test_everything_that_is_shown(paths: list[str], act: str) -> None:
    """Also of late and broken packages, before and after they were met."""
    for request in REQUESTS:
        expected = looks(RezSolver, request, paths, ACTS[act])
        assert looks(Solver, request, paths, ACTS[act]) == expected, request


def orderers(*pods: dict[str, Any]) -> PackageOrderList:
    return PackageOrderList.from_pod(list(pods))


@pytest.mark.parametrize(
    "pod",
    [
        {"type": "no_order"},
        {"type": "no_order", "packages": ["lib"]},
        {"type": "per_family", "orderers": [{"packages": ["lib"], "type": "no_order"}]},
    ],
)
def test_no_order_is_left_to_rez(paths: list[str], pod: dict[str, Any]) -> None:
    """It takes the order of a set, which changes from process to process."""
    before = stats()
    options = {"package_orderers": orderers(pod)}
    found = [looks(make, ["lib"], paths, ACTS["solved"], **options) for make in (RezSolver, Solver)]
    assert found[0] == found[1]
    assert [reason for reason in fallback_reasons(before) if "no_order" in reason]


@pytest.mark.parametrize(
    "request_", [["timed"], ["timed-1"], ["timed-1", "lib"], ["untimed"], ["lib"], ["app-1"]], ids=str
)
@pytest.mark.parametrize("time", [50, 150, 250])
def test_soft_timestamp_over_what_cannot_be_loaded(
    paths: list[str], request_: list[str], time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rez reads the times of a family for it, and raises what that raises."""
    from rez import config as rez_config

    monkeypatch.setitem(vars(rez_config.config), "packages_path", paths)

    def answer(make: Any) -> Any:
        package_repository_manager.clear_caches()
        options = {"package_orderers": orderers({"type": "soft_timestamp", "timestamp": time, "rank": 0})}
        return looks(make, request_, paths, ACTS["solved"], **options)

    assert answer(Solver) == answer(RezSolver)


@pytest.mark.parametrize("seed", range(4))
def test_verify_does_not_cry_wolf(tmp_path: Path, seed: int) -> None:
    """Versions of a family are loaded in the order of a set: no difference, whatever that order is."""
    packages = {f"app-{n}": "variants = [['lib<5'], ['lib-5+']]" for n in range(9)}
    packages |= {f"lib-{n}": "" for n in range(9)} | {f"bad-{n}": "requires = ['lib'" for n in range(9)}
    packages["late-1"] = "@late()\ndef requires():\n    raise ValueError('mine')"
    folder = write_packages(tmp_path / "packages", packages)
    let_settle(folder)
    publish([str(folder)], beside(str(folder)))
    studio = Studio(tmp_path / "studio", [folder], WITH_SOURCES + HOOK)
    variables = {"RER_NUMBA": "verify", "PYTHONHASHSEED": str(seed), "RER_NUMBA_VERIFY_DIR": str(tmp_path / "reports")}
    code = (
        "from rez.resolved_context import ResolvedContext as C\n"
        "for request in (['app'], ['app-3+', 'lib'], ['lib<4', 'app<7'], ['bad'], ['app', '!lib'], ['late']):\n"
        "    try: C(request)\n"
        "    except Exception: pass\n"
    )
    done = studio.run("-Ec", code, variables=variables)
    reports = [report.read_text() for report in (tmp_path / "reports").glob("*")]
    assert done.code == 0 and done.facts["differences"] == 0 and done.facts["native"] == 5, (done, reports)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs alarms")
@pytest.mark.parametrize("whose", ["rez", "ours"])
def test_verify_lets_what_a_handler_raises_pass(whose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no answer, neither of rez nor of ours, and nobody is asked after it."""
    from rer_numba.rez_bridge import verify

    class Stop(Exception):  # noqa: N818 - as somebody may call it
        pass

    def handler(*_: Any) -> None:
        raise Stop

    def interrupted(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGALRM)

    write_packages(tmp_path, {"app-1": ""})
    asked: list[Any] = []
    monkeypatch.setattr(verify, "record_difference", lambda: asked.append("differs"))
    before = signal.signal(signal.SIGALRM, handler)
    try:
        if whose == "rez":
            monkeypatch.setattr(verify, "_compare", lambda *_: asked.append("compared"))
            monkeypatch.setattr(RezSolver, "solve_step", interrupted)
        else:
            monkeypatch.setattr(verify.hook.native_solver(), "solve", interrupted)
        with pytest.raises(Stop):
            verify.VerifyingSolver([Requirement("app")], package_paths=[str(tmp_path)], context=None).solve()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not asked
