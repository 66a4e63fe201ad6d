"""Children of fork, while other threads of the parent hold our locks and are in the middle of things."""

from __future__ import annotations

import ast
import gc
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rer_numba
from rer_numba import forking
from rer_numba.garbage import no_collection
from tests.forks_child import KINDS, outcome
from tests.process import run_python

SOURCES = Path(rer_numba.__file__).parent
MADE_PAST_IT = {
    "threading": {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier", "Timer"},
    "functools": {"cached_property"},  # which has a lock before Python 3.12
}
NOT_AT_ALL = {"_thread", "asyncio", "concurrent", "multiprocessing", "queue"}
"""Modules whose pools and queues hold locks that no child can renew."""

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


def problems_of(node: ast.AST) -> Iterator[str]:
    """Locks that a module makes, and modules that it imports to have some made."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.ImportFrom):
        yield from problems_of_names(str(node.module), {alias.name for alias in node.names})
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield from problems_of_names(alias.name, {"*"} if alias.asname else set())
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield from problems_of_names(node.value.id, {node.attr})
    for child in ast.iter_child_nodes(node):
        yield from problems_of(child)


def problems_of_names(module: str, names: set[str]) -> Iterator[str]:
    """Names of a module that must not be used; ``*`` stands for all that cannot be seen."""
    if module.split(".", 1)[0] in NOT_AT_ALL:
        yield module
    wrong = MADE_PAST_IT.get(module, set())
    yield from (f"{module}.{name}" for name in names if name in wrong or (name == "*" and wrong))


def test_every_lock_is_made_by_one_module() -> None:
    """A lock, condition, event or pool made elsewhere would be one that a child may wait for without end."""
    files = [path for path in SOURCES.rglob("*.py") if path.name != "forking.py"]
    assert len(files) > 150
    found = {
        str(path.relative_to(SOURCES)): problems
        for path in files
        if (problems := sorted(set(problems_of(ast.parse(path.read_bytes())))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "from threading import Lock",
        "import threading\ndef f():\n    return threading.RLock()",
        "import threading as t",
        "from concurrent.futures import ThreadPoolExecutor",
        "import multiprocessing.pool",
        "from functools import cached_property",
        "from queue import SimpleQueue",
    ],
)
def test_the_walk_finds_them(source: str) -> None:
    assert list(problems_of(ast.parse(source)))


@forks
@pytest.mark.parametrize("kind", KINDS)
def test_children_of_a_process_whose_threads_are_at_work(kind: str, tmp_path: Path) -> None:
    """Each child is asked for an answer; before, 6 of 8 hung, or found what another thread had set for a while."""
    children = 20
    found = run_python("-W", "ignore", "-m", "tests.forks_child", kind, tmp_path, children)
    assert found.stdout.split() == [str(children), "0", "0"], found.stderr


def in_child(look: Callable[[], object]) -> str:
    """What becomes of a child that looks at something that must be true."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if look() else 1
        finally:
            os._exit(code)
    return outcome(pid)


class Held:
    """A lock that another thread holds as long as this is entered."""

    def __init__(self) -> None:
        self.is_whole = True
        self.lock = forking.Lock(self.doubt)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._hold)
        self._holds = threading.Event()

    def doubt(self) -> None:
        self.is_whole = False

    def _hold(self) -> None:
        with self.lock, no_collection():
            self._holds.set()
            self._ends.wait()

    def __enter__(self) -> Held:
        self._thread.start()
        assert self._holds.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()


@forks
def test_a_lock_that_another_thread_held_is_free_in_a_child_and_its_owner_knows() -> None:
    with Held() as held:
        assert in_child(lambda: held.lock.acquire(timeout=30) and not held.is_whole) == "right"
        assert held.is_whole
        assert not held.lock.acquire(blocking=False)


@forks
def test_a_lock_that_nobody_held_leaves_everything_as_it_was() -> None:
    held = Held()
    assert in_child(lambda: held.lock.acquire(blocking=False) and held.is_whole) == "right"


@forks
def test_a_lock_of_the_thread_that_forks_stays_its_own() -> None:
    held = Held()
    with held.lock:
        assert in_child(lambda: held.lock._is_owned() and held.is_whole) == "right"


@forks
def test_a_condition_can_be_used_in_a_child_though_others_waited() -> None:
    changed = forking.condition()
    is_over = False

    def wait() -> None:
        with changed:
            changed.wait_for(lambda: is_over)

    thread = threading.Thread(target=wait)
    thread.start()
    while not changed._waiters:  # type: ignore[attr-defined]
        time.sleep(0.001)

    def look() -> bool:
        with changed:
            changed.notify_all()
            return not changed.wait(0.01)

    assert in_child(look) == "right"
    is_over = True
    with changed:
        changed.notify_all()
    thread.join()


@forks
def test_what_another_thread_had_changed_for_a_while_is_undone() -> None:
    assert gc.isenabled()
    with Held():
        assert not gc.isenabled()
        assert in_child(gc.isenabled) == "right"
    assert gc.isenabled()
    with no_collection():
        assert in_child(lambda: not gc.isenabled()) == "right"


@forks
def test_generations_count_forks() -> None:
    before = forking.generation()
    assert in_child(lambda: forking.generation() == before + 1) == "right"
    assert forking.generation() == before


@forks
def test_a_fork_waits_for_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python lets a child wait for ever for the thread that was importing a module."""
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.5)\nis_whole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(forking, "_ROOTS", frozenset(("slow_to_import",)))
    monkeypatch.setattr(forking, "_PATIENCE", 60.0)
    thread = threading.Thread(target=lambda: __import__("slow_to_import"))
    thread.start()
    while "slow_to_import" not in sys.modules:
        time.sleep(0.001)

    def look() -> bool:
        import slow_to_import  # type: ignore[import-not-found]

        return bool(slow_to_import.is_whole)

    assert in_child(look) == "right"
    thread.join()


@forks
def test_a_child_imports_anew_what_takes_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module half run, whose import lock belongs to a thread that is gone."""
    package = tmp_path / "slow_package"
    package.mkdir()
    slow = f"""import os, time
from slow_package import part
time.sleep(3 * (os.getpid() == {os.getpid()}))
is_whole = True
"""
    (package / "__init__.py").write_text(slow)
    (package / "part.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(forking, "_ROOTS", frozenset(("slow_package",)))
    monkeypatch.setattr(forking, "_AGAIN", frozenset(("slow_package",)))
    monkeypatch.setattr(forking, "_PATIENCE", 0.01)
    thread = threading.Thread(target=lambda: __import__("slow_package"))
    thread.start()
    while "slow_package.part" not in sys.modules:
        time.sleep(0.001)

    def look() -> bool:
        import slow_package

        return bool(slow_package.is_whole and slow_package.part)

    assert in_child(look) == "right"
    thread.join()
    assert sys.modules["slow_package"].is_whole


def _solve(request: list[str]) -> rer_numba.SolveResult:
    assert _repository is not None
    return _repository.solve(request)


_repository: rer_numba.Repository | None = None


@forks
def test_a_pool_of_forked_processes_gives_results_back() -> None:
    global _repository
    _repository = rer_numba.Repository.from_packages(
        [rer_numba.PackageData("app", "1", ["lib"]), *(rer_numba.PackageData("lib", str(n)) for n in range(9))]
    )
    wanted = [["app"], ["app", "lib-3"], ["app", "lib-77"], ["nobody"]]
    found = [_repository.solve(request) for request in wanted]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map_async(_solve, wanted * 20).get(120)
    _repository = None
    assert [(one.status, one.resolved, one.failure_description) for one in results] == 20 * [
        (one.status, one.resolved, one.failure_description) for one in found
    ]
