"""Putting our solver behind an unmodified rez, and taking it away. The solver is a stand-in: see `tests.stand_in`."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import rez.resolver
import rez.solver
from rez.exceptions import PackageFamilyNotFoundError
from rez.resolved_context import ResolvedContext

from rer_numba import rez_bridge, tell
from rer_numba.rez_bridge import hook, modes
from rer_numba.rez_bridge import stats as counts
from tests import stand_in
from tests.rez_commands import ROOT, write_packages

THEIRS = rez.solver.Solver
PACKAGES = {
    "app-1": "requires = ['lib-1']",
    "app-2": "requires = ['lib-2']",
    "lib-1": "",
    "lib-2": "",
    "bad-1": "requires = ['gone']",
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing hooked, nothing counted, nothing warned about yet; afterwards as before."""
    before = sys.modules.get(hook.NATIVE_MODULE)
    stand_in.put()
    monkeypatch.delenv("RER_NUMBA", raising=False)
    monkeypatch.setattr(tell, "_told", set())
    counts.reset()
    yield
    hook.uninstall()
    counts.reset()
    sys.modules.pop(hook.NATIVE_MODULE, None)
    sys.modules.pop("rer_numba.rez_bridge.verify", None)
    if before is not None:
        sys.modules[hook.NATIVE_MODULE] = before
    assert rez.solver.Solver is THEIRS and rez.resolver.Solver is THEIRS


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Lines that rez logs, where people see them."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("rez").addHandler(handler)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=RuntimeWarning)
        yield lines
    logging.getLogger("rez").removeHandler(handler)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_packages(tmp_path_factory.mktemp("packages"), PACKAGES)


def resolve(packages: Path, *request: str, **options: Any) -> ResolvedContext:
    return ResolvedContext(list(request), package_paths=[str(packages)], add_implicit_packages=False, **options)


def native() -> int:
    return rez_bridge.stats()["native"]


# ------------------------------------------------------------------------------------------------------- in one process
def test_install_and_uninstall(packages: Path) -> None:
    """Often, in any order; a context of rez is solved by us in between only."""
    assert rez_bridge.install() and rez_bridge.install()
    assert resolve(packages, "app").success
    assert native() == 1
    rez_bridge.uninstall()
    rez_bridge.uninstall()
    assert rez.resolver.Solver is THEIRS and rez.solver.Solver is THEIRS
    assert resolve(packages, "app").success
    assert native() == 1


def test_context_managers_overlap(packages: Path) -> None:
    with rez_bridge.installed() as is_hooked:
        assert is_hooked
        with rez_bridge.installed():
            pass
        resolve(packages, "app")
    assert native() == 1 and not hook.is_hooked()
    rez_bridge.install()
    with pytest.raises(ZeroDivisionError), rez_bridge.installed():
        raise ZeroDivisionError
    assert hook.is_hooked()


def test_threads() -> None:
    """However they overlap, the last one leaves rez as it was."""
    start = threading.Barrier(8)
    problems: list[str] = []

    def work() -> None:
        start.wait()
        for _ in range(200):
            with rez_bridge.installed():
                if not hook.is_hooked():
                    problems.append("not hooked within a block")
                rez_bridge.stats()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert rez.resolver.Solver is THEIRS and rez.solver.Solver is THEIRS


def test_what_others_put_there_stays() -> None:
    rez_bridge.install()
    somebodys = rez.resolver.Solver = object()
    hook.import_solver()
    assert rez.resolver.Solver is somebodys and rez.solver.Solver is hook.Hooked
    rez_bridge.uninstall()
    found, rez.resolver.Solver = rez.resolver.Solver, THEIRS
    assert found is somebodys and rez.solver.Solver is THEIRS


def test_the_hooked_name_is_like_a_class(packages: Path) -> None:
    """Attributes, isinstance, subclasses; rez's own class is still there for fallbacks."""
    rez_bridge.install()
    from rez.solver import Solver

    assert isinstance(Solver, type) and Solver.max_verbosity == THEIRS.max_verbosity
    assert hook.rez_solver() is THEIRS
    solver = Solver([], [str(packages)])
    assert type(solver) is hook.native_solver()
    assert isinstance(solver, Solver) and isinstance(THEIRS([], []), Solver) and not isinstance(3, Solver)
    assert issubclass(THEIRS, Solver) and not issubclass(dict, Solver)

    class Mine(Solver):  # type: ignore[misc, valid-type]
        """Somebody's own."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.is_mine = True

    mine = Mine([], [str(packages)])
    mine.solve()
    assert mine.is_mine and isinstance(mine, hook.native_solver()) and native() == 1


def test_importing_the_package_does_not_import_rez() -> None:
    code = (
        "import sys, rer_numba.rez_bridge as b, rer_numba.rez_bridge.auto; b.stats(); b.uninstall();"
        "print([n for n in ('rez', 'numpy', 'numba', 'logging.config') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_rez_that_is_not_supported(monkeypatch: pytest.MonkeyPatch, log: list[str]) -> None:
    monkeypatch.setattr(rez, "__version__", "2.113.0")
    assert not rez_bridge.install()
    (line,) = log
    assert line == (
        "rer-numba: rez 2.113.0 is older than 2.114, the first that rer-numba works with: upgrade rez; until then rez "
        "solves alone, and RER_NUMBA=off says nothing"
    )
    assert rez.resolver.Solver is THEIRS


def test_a_solver_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, packages: Path, log: list[str]) -> None:
    """rez solves; told once, counted each time."""
    sys.modules[hook.NATIVE_MODULE] = None  # type: ignore[assignment]  # `clean` puts back what was there before its stand-in
    rez_bridge.install()
    assert all(resolve(packages, "app").success for _ in range(2))
    (line,) = log
    assert line.startswith("rer-numba: our solver cannot be imported: ModuleNotFoundError")
    assert rez_bridge.stats()["fallback"] == 2 and native() == 0
    monkeypatch.setenv("RER_NUMBA", "strict")
    with pytest.raises(rez_bridge.FallbackError, match="cannot be imported"):
        resolve(packages, "app")


# ---------------------------------------------------------------------------------------------------------------- modes
@pytest.mark.parametrize(
    ("text", "kind", "sample"),
    [
        ("", "on", 1.0), ("on", "on", 1.0), ("OFF", "off", 1.0), ("0", "off", 1.0), (" strict ", "strict", 1.0),
        ("verify", "verify", 1.0), ("verify=0.01", "verify", 0.01),
    ],
)  # fmt: skip
def test_values(text: str, kind: str, sample: float) -> None:
    assert modes.parse(text) == (kind, sample)


@pytest.mark.parametrize("text", ["stirct", "verify=2", "verify=x", "on=1", "verify=nan"])
def test_values_that_mean_nothing(text: str) -> None:
    """rez solves alone, and the warning names the value."""
    with pytest.warns(RuntimeWarning, match=f"RER_NUMBA={text} means nothing"):
        assert modes.parse(text).kind == "off"


def test_off(monkeypatch: pytest.MonkeyPatch, packages: Path) -> None:
    """Nothing is hooked; and what is hooked already makes rez's own solver."""
    rez_bridge.install()
    monkeypatch.setenv("RER_NUMBA", "off")
    assert type(rez.solver.Solver([], [str(packages)])) is THEIRS
    rez_bridge.uninstall()
    assert not rez_bridge.install()
    assert rez.resolver.Solver is THEIRS


def test_counts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rer_numba")
    counts.record(True)
    counts.record(False, "late requires")
    counts.record(False, "late requires")
    told = rez_bridge.stats()
    assert told == {"native": 1, "fallback": 2, "reasons": {"late requires": 2}, "differences": 0, "evaluated": 0}
    told["reasons"]["mine"] = 1
    assert "mine" not in rez_bridge.stats()["reasons"]
    assert [record.getMessage() for record in caplog.records] == ["solved by rez: late requires"] * 2
    monkeypatch.setenv("RER_NUMBA", "strict")
    with pytest.raises(rez_bridge.FallbackError, match=r"strict.*own solver: verbosity 1") as caught:
        counts.record(False, "verbosity 1")
    assert pickle.loads(pickle.dumps(caught.value)).reason == "verbosity 1"
    assert rez_bridge.stats()["fallback"] == 3


def test_counts_of_threads() -> None:
    threads = [threading.Thread(target=lambda: [counts.record(n % 2 == 0, "x") for n in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rez_bridge.stats() == {
        "native": 4000,
        "fallback": 4000,
        "reasons": {"x": 4000},
        "differences": 0,
        "evaluated": 0,
    }


# -------------------------------------------------------------------------------------------------------------- verify
@pytest.fixture
def verifying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every solve is verified; the folder of the reports."""
    monkeypatch.setenv("RER_NUMBA", "verify")
    monkeypatch.setenv("RER_NUMBA_VERIFY_DIR", str(tmp_path / "reports"))
    rez_bridge.install()
    return tmp_path / "reports"


REQUESTS = (("app",), ("app-1", "lib-2"), ("app", "lib-1"), ("bad",), ("nothing",), ("app-3",))


@pytest.mark.parametrize("request_", REQUESTS, ids=" ".join)
def test_equal_answers(verifying: Path, packages: Path, request_: tuple[str, ...]) -> None:
    """Solved, failed, raised: no report, and rez's own answer."""
    answers = []
    for mode in ("verify", "off"):
        os.environ["RER_NUMBA"] = mode
        try:
            context = resolve(packages, *request_)
            answers.append(
                (
                    context.status,
                    [v.qualified_name for v in context.resolved_packages or ()],
                    context.num_loaded_packages,
                )
            )
        except Exception as error:  # noqa: BLE001 - it is the answer
            answers.append((type(error), str(error)))
    assert answers[0] == answers[1]
    assert not verifying.exists() and rez_bridge.stats()["differences"] == 0


@pytest.mark.usefixtures("whole_steps")
def test_callbacks_are_called_once(verifying: Path, packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours hears what the caller told rez; a limit counts as one."""

    def calls() -> list[Any]:
        told: list[Any] = []

        def callback(state: Any) -> Any:
            told.append((state.num_solves, state.num_fails, str(state.phase)))
            return rez.solver.SolverCallbackReturn.keep_going, ""

        context = resolve(
            packages,
            "app",
            callback=callback,
            package_load_callback=lambda package: told.append(package.qualified_name),
        )
        return [*told, context.status.name, resolve(packages, "app", time_limit=0).status.name]

    found = calls()
    assert rez_bridge.stats()["differences"] == 0 and native() == 2
    monkeypatch.setenv("RER_NUMBA", "off")
    assert found == calls() and found[-2:] == ["solved", "aborted"] and len(found) > 4


class Wrong:
    """A solver with another answer."""

    def __init__(self, **arguments: Any) -> None:
        self.solver = THEIRS(**{**arguments, "package_requests": []})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.solver, name)


class Dead:
    """A solver with a bug."""

    def __init__(self, **arguments: Any) -> None:
        raise KeyError("a bug")


@pytest.mark.parametrize(("solver", "differing"), [(Wrong, ["packages", "loaded"]), (Dead, ["exception"])])
def test_differences_are_reported(
    verifying: Path, packages: Path, caplog: pytest.LogCaptureFixture, solver: type, differing: list[str]
) -> None:
    """An error in the log, a file that tells what was asked and both answers, a count; the answer is rez's."""
    sys.modules[hook.NATIVE_MODULE].Solver = solver  # type: ignore[attr-defined]
    context = resolve(packages, "app-1")
    assert [variant.qualified_name for variant in context.resolved_packages] == ["lib-1[]", "app-1[]"]
    assert rez_bridge.stats()["differences"] == 1
    (report,) = verifying.glob("verify-*.json")
    told = json.loads(report.read_text())
    assert set(differing) <= set(told["differing"])
    assert told["request"] == ["app-1"] and told["package_paths"] == [str(packages)]
    assert told["rez"]["num_solves"] > 0
    (record,) = [record for record in caplog.records if record.name == "rer_numba"]
    assert record.levelno == logging.ERROR and str(report) in record.getMessage() and "app-1" in record.getMessage()


def test_differing_errors_are_reported(verifying: Path, packages: Path) -> None:
    """rez raises, ours does not: the exception passes all the same."""
    sys.modules[hook.NATIVE_MODULE].Solver = Wrong  # type: ignore[attr-defined]
    with pytest.raises(PackageFamilyNotFoundError):
        resolve(packages, "nothing")
    with pytest.raises(PackageFamilyNotFoundError):
        resolve(packages, "bad")
    assert rez_bridge.stats()["differences"] == 2


def test_a_folder_that_cannot_be_written(
    verifying: Path, packages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RER_NUMBA_VERIFY_DIR", str(tmp_path / "file"))
    sys.modules[hook.NATIVE_MODULE].Solver = Dead  # type: ignore[attr-defined]
    assert resolve(packages, "app").success
    assert len(log) == 1 and log[0].startswith("rer-numba: RER_NUMBA_VERIFY_DIR: ")
    assert rez_bridge.stats()["differences"] == 1


def test_what_rez_says_otherwise_elsewhere_is_equal() -> None:
    from rer_numba.rez_bridge.verify import _normal

    start = "A package was completely reduced: "
    one, other = "(foo-1[0] (dep(x) <--!--> y))", "(foo-2[] (dep(x-1) <--!--> y))"
    assert _normal(f"{start}{one} {other}") == _normal(f"{start}{other} {one}") != _normal(f"{start}{one}")
    cycle = "A cyclic dependency was detected: "
    assert _normal(f"{cycle}a-1 --> b-1 --> a-1") == _normal(f"{cycle}b-1 --> a-1 --> b-1")
    assert _normal(f"{cycle}a-1 --> b-1 --> a-1") != _normal(f"{cycle}a-1 --> c-1 --> a-1")


def test_samples(monkeypatch: pytest.MonkeyPatch, packages: Path) -> None:
    """Some are verified; the random numbers of the program stay as they are."""
    import random

    rez_bridge.install()
    random.seed(1)
    expected = random.random()
    random.seed(1)
    for text, verified in (("verify=0", 0), ("verify=1", 3)):
        monkeypatch.setenv("RER_NUMBA", text)
        kinds = [type(rez.solver.Solver([], [str(packages)])).__name__ for _ in range(3)]
        assert kinds.count("VerifyingSolver") == verified
    assert random.random() == expected


def test_a_command_collects_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an application with rez inside as ever."""
    import gc

    from rer_numba.rez_bridge import commands

    before = gc.get_threshold()
    monkeypatch.delitem(sys.modules, "rez.cli._main", raising=False)
    try:
        commands.collect_seldom()
        assert gc.get_threshold() == before
        monkeypatch.setitem(sys.modules, "rez.cli._main", ModuleType("rez.cli._main"))
        commands.collect_seldom()
        assert gc.get_threshold() == (50_000, *before[1:]) and gc.isenabled()
    finally:
        gc.set_threshold(*before)


def test_a_command_spares_the_collector_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an application with rez inside keeps what it can collect."""
    import gc

    from rer_numba.rez_bridge import commands

    frozen: list[str] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append("all"))
    monkeypatch.setattr(commands, "_is_spared", False)
    monkeypatch.delitem(sys.modules, "rez.cli._main", raising=False)
    commands.spare_what_is_there()
    assert not frozen
    monkeypatch.setitem(sys.modules, "rez.cli._main", ModuleType("rez.cli._main"))
    commands.spare_what_is_there()
    commands.spare_what_is_there()
    assert frozen == ["all"]
