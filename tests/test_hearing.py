"""Signals, heard while compiled code has the main thread: in every entry, and by every kind of handler."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from rer_numba import PackageData, Repository, hearing, solve, state
from rer_numba.rez_bridge import hook
from rer_numba.rez_bridge.stats import stats
from rer_numba.views import zeros
from tests.process import ROOT

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers on this system")

HOLES = 10
"""With one pigeon more it takes ten million steps and many seconds to find that they do not fit."""
REQUEST = [f"p{pigeon}" for pigeon in range(HOLES + 1)]
SOON = 5.0
"""Seconds. A machine under load; without hearing it would be the time of the whole solve."""


class StopIt(Exception):  # noqa: N818  (no error of ours)
    """What a handler of the user's own raises."""


def packages() -> list[PackageData]:
    pigeons = [
        PackageData(name, "1", variants=[[f"h{hole}=={place}"] for hole in range(HOLES)])
        for place, name in enumerate(REQUEST)
    ]
    return pigeons + [PackageData(f"h{hole}", str(place)) for hole in range(HOLES) for place in range(HOLES + 1)]


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository.from_packages(packages())


@pytest.fixture
def handled() -> Iterator[Callable[..., list[float]]]:
    """Sets a handler for an alarm, and the alarm; gives the times at which it was called."""
    before = signal.getsignal(signal.SIGALRM)

    def handle(then: Callable[[], object], every: float = 0.0) -> list[float]:
        times: list[float] = []

        def handler(number: int, frame: FrameType | None) -> None:
            times.append(time.perf_counter())
            then()

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2, every)
        return times

    yield handle
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def stop() -> None:
    raise StopIt


def answers(repository: Repository) -> None:
    """The repository is as good as before."""
    new = Repository.from_packages(packages())
    assert repository.solve(REQUEST[:4]).resolved == new.solve(REQUEST[:4]).resolved != []


ENTRIES: dict[str, Callable[[Repository], object]] = {
    "solve": lambda repository: repository.solve(REQUEST),
    "limits": lambda repository: repository.solve(REQUEST, max_fails=10**12, time_limit=10**6),
    "max_fails 0": lambda repository: repository.solve([*REQUEST, "~nothing"], max_fails=10**12),
    "building": lambda repository: repository.solve(REQUEST, building=True),
    "filter": lambda repository: repository.solve(REQUEST, package_filter=[{"excludes": ["glob(x-*)"]}]),
    "function form": lambda _: solve(REQUEST, packages()),
    "many": lambda repository: repository.solve_many([REQUEST], threads=1),
    "iter": lambda repository: list(repository.solve_iter([REQUEST], threads=1)),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_a_handler_raises_ends_a_solve(entry: str, repository: Repository, handled: Any) -> None:
    ENTRIES[entry](Repository.from_packages([PackageData(name, "1") for name in REQUEST]))  # imports what it needs
    times = handled(stop)
    with pytest.raises(StopIt):
        ENTRIES[entry](repository)
    assert time.perf_counter() - times[0] < SOON
    assert len(times) == 1
    answers(repository)


def test_a_handler_that_returns_is_called_on_time_and_changes_nothing(handled: Any) -> None:
    repository = Repository.from_packages(packages())
    wanted = repository.solve(REQUEST, max_fails=200_000)
    calls = []
    times = handled(lambda: calls.append(repository.solve(REQUEST[:3]).status), every=0.02)
    end = time.perf_counter() + 1.5
    again = [wanted]
    while time.perf_counter() < end:
        again.append(repository.solve(REQUEST, max_fails=200_000))
    assert {(one.status, one.num_solves, one.num_fails) for one in again} == {
        ("failed", wanted.num_solves, wanted.num_fails)
    }
    assert again[-1].failure_description == wanted.failure_description
    assert len(times) > 5
    assert set(calls) == {"solved"}


def test_handlers_run_between_looks_and_not_only_at_the_end(repository: Repository) -> None:
    """Counted by the time of the processor, which a busy machine does not change: some 25 ms lie between two."""
    before = signal.getsignal(signal.SIGPROF)
    times: list[float] = []
    signal.signal(signal.SIGPROF, lambda *_: times.append(time.process_time()))
    signal.setitimer(signal.ITIMER_PROF, 0.005, 0.005)
    try:
        start = time.process_time()
        assert repository.solve(REQUEST, time_limit=2).status == "aborted"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    gaps = [later - earlier for earlier, later in zip([start, *times], times, strict=False)]
    assert len(gaps) > 3
    assert sorted(gaps)[len(gaps) // 2] < 0.1


def read_for_ever(repository: Repository) -> None:
    while True:  # each reading of a new result solves again
        assert repository.solve(REQUEST, max_fails=2_000_000).failure_description


def test_a_text_that_is_solved_for_again_hears(repository: Repository, handled: Any) -> None:
    result = repository.solve(REQUEST, max_fails=2_000_000)
    assert result.status == "failed"
    times = handled(stop)
    with pytest.raises(StopIt):
        read_for_ever(repository)
    assert time.perf_counter() - times[0] < SOON


def test_another_thread_leaves_signals_to_the_main_one(repository: Repository, handled: Any) -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(repository.solve(REQUEST, time_limit=1).status))
    times = handled(stop)
    thread.start()
    with pytest.raises(StopIt):
        thread.join()
    while not found:  # a join that was interrupted leaves a thread that looks dead
        time.sleep(0.01)
    assert found == ["aborted"]
    assert len(times) == 1


def write_tree(root: Path) -> None:
    for package in packages():
        folder = root / package.name / package.version
        folder.mkdir(parents=True)
        text = f"name = {package.name!r}\nversion = {package.version!r}\n"
        if package.name.startswith("p"):
            text += f"variants = {[list(one) for one in package.found[1]]!r}\n"
        (folder / "package.py").write_text(text)


def test_behind_rez_what_a_handler_raises_is_no_error_of_ours(tmp_path: Path, handled: Any) -> None:
    from rez.resolved_context import ResolvedContext

    write_tree(tmp_path)
    with hook.installed():
        ResolvedContext(REQUEST[:3], package_paths=[str(tmp_path)], caching=False)
        before = stats()
        handled(stop)
        with pytest.raises(StopIt):
            ResolvedContext(REQUEST, package_paths=[str(tmp_path)], caching=False)
        assert stats()["fallback"] == before["fallback"]
        assert ResolvedContext(REQUEST[:3], package_paths=[str(tmp_path)], caching=False).success


@pytest.mark.parametrize("arguments", [[], ["--time-limit", "1000"], ["--max-fails", "1000000000", "--json"]])
def test_ctrl_c_ends_the_command(arguments: list[str], repository: Repository, tmp_path: Path) -> None:
    repository.save(tmp_path / "holes.rer")
    command = [sys.executable, "-m", "rer_numba", "solve", "-r", str(tmp_path / "holes.rer"), *arguments, *REQUEST]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until_busy(process.pid)
            start = time.perf_counter()
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, error) == (130, "", "rer-numba: interrupted\n")
    assert time.perf_counter() - start < SOON


def wait_until_busy(pid: int) -> None:
    """Wait until a process has used more time than it needs to start."""
    ticks = os.sysconf("SC_CLK_TCK")
    for _ in range(6000):
        try:
            user = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
        except OSError:
            pytest.skip("there is no /proc on this system")
        if user > 1.5 * ticks:
            return
        time.sleep(0.01)
    raise AssertionError("the process does nothing")


# --- whose exception it is
class Handler:
    def method(self, number: int, frame: FrameType | None) -> None:
        raise StopIt

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise StopIt


def with_more(more: int, number: int, frame: FrameType | None) -> None:
    raise StopIt


@pytest.mark.parametrize("handler", [Handler().method, Handler(), functools.partial(with_more, 1)])
def test_exceptions_of_handlers_are_known(handler: Any) -> None:
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(StopIt) as caught:
            signal.raise_signal(signal.SIGALRM)
        assert hearing.raised_by_handler(caught.value)
        with pytest.raises(ValueError, match="invalid literal") as other:
            int("x")
        assert not hearing.raised_by_handler(other.value)
        with pytest.raises(ValueError, match="not a valid") as of_enum:
            signal.Signals(12345)
        assert not hearing.raised_by_handler(of_enum.value)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not hearing.raised_by_handler(caught.value)


def test_a_heard_exception_is_raised_once() -> None:
    error = StopIt("it")
    references = sys.getrefcount(error)
    for number in range(2):  # the scalars own what stands in them
        ctypes.pythonapi.Py_IncRef(ctypes.py_object((StopIt, error)[number]))
    head = zeros("int64", state.HEAD_SIZE)
    head[state.HEARD], head[state.HEARD_VALUE] = id(StopIt), id(error)
    raised = []
    try:
        hearing.raise_heard(head)
    except StopIt as heard:
        raised.append(heard is error)
    assert raised == [True]
    hearing.raise_heard(head)
    error.__traceback__ = None
    assert sys.getrefcount(error) == references


@pytest.mark.parametrize("error", [StopIt(), SystemExit(3), KeyboardInterrupt()])
def test_what_is_raised_within_a_callback_of_c_gets_out(error: BaseException, handled: Any) -> None:
    """As where LLVM compiles: Python would print and drop it."""

    def stop_with() -> None:
        raise error

    def call_back() -> None:
        until = time.monotonic() + SOON
        while times == [] and time.monotonic() < until:
            pass

    other = sys.unraisablehook
    times = handled(stop_with)
    callback = ctypes.CFUNCTYPE(None)(call_back)

    def run() -> None:
        with hearing.heard_in_callbacks():
            callback()
            callback()
            time.sleep(SOON)

    with pytest.raises(type(error)) as raised:
        run()
    assert raised.value is error
    assert sys.unraisablehook is other


def test_other_errors_of_callbacks_are_told_as_before() -> None:
    told: list[Any] = []
    other, sys.unraisablehook = sys.unraisablehook, told.append
    try:
        with hearing.heard_in_callbacks():
            ctypes.CFUNCTYPE(None)(lambda: 1 // 0)()
            hook = sys.unraisablehook
    finally:
        sys.unraisablehook = other
    assert [one.exc_type for one in told] == [ZeroDivisionError]
    assert hook is not told.append
