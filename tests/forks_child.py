"""Forks while other threads are at work, and asks each child for an answer. For `tests.test_forks`.

``python -m tests.forks_child WHAT FOLDER CHILDREN``

Writes one line: how many children were right, wrong, and hung.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rer_numba import Repository, SolveOptions

PATIENCE = 60.0
FAMILIES = 12
REQUESTS = [[f"f{n}", f"f{(3 * n + 1) % FAMILIES}-1"] for n in range(FAMILIES)]
Work = Callable[[], Any]
"""What a thread of the parent does again and again, and what a child does once: gives the answer."""


def write_packages(root: Path) -> None:
    """Families that need the ones before them; the last one has a late function."""
    for n in range(FAMILIES):
        for version in range(1, 5):
            requires = [f"f{n - 1}-{1 + version // 4}+", f"f{n // 2}"] if n > 1 else []
            write(root, f"f{n}", str(version), f"requires = {requires!r}\n")
    write(root, "tardy", "1", "@late()\ndef requires():\n    return ['f3']\n")


def write(root: Path, name: str, version: str, text: str) -> None:
    folder = root / name / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.py").write_text(f"name = {name!r}\nversion = {version!r}\n{text}")


def solving(root: Path) -> tuple[Work, Work]:
    repository = Repository.from_paths([root])
    number = itertools.count()

    def work() -> list[Any]:
        rules = [{"excludes": [f"glob(f1-{next(number) % 90 + 10})", "range(f5-4)"]}]
        return [repository.solve(request, package_filter=rules).resolved for request in REQUESTS]

    return work, work


def refreshing(root: Path) -> tuple[Work, Work]:
    Repository.from_paths([root]).save(root.parent / "site.rer")
    repository = Repository.open(root.parent / "site.rer")
    number = itertools.count(10)

    def refresh() -> None:
        write(root, "other", str(next(number)), "")
        repository.refresh()
        time.sleep(0.1)  # who waits for the file looks for it twice a second

    def answer() -> list[Any]:
        repository.refresh(save=False)
        return [repository.solve(request).resolved for request in REQUESTS]

    return refresh, answer


def many(root: Path) -> tuple[Work, Work]:
    repository = Repository.from_paths([root])

    def work() -> list[Any]:
        return [result.resolved for result in repository.solve_many(REQUESTS * 5, threads=2, reuse=False)]

    return work, work


def going_on(root: Path) -> tuple[Work, Work]:
    """The thread that forks is in the middle of a batch, which the child goes on with."""
    repository = Repository.from_paths([root])
    more = itertools.cycle(REQUESTS)
    results: Iterator[Any] = repository.solve_iter(more, threads=2, reuse=False)
    place = itertools.count()
    known = [repository.solve(request).resolved for request in REQUESTS]
    parent = os.getpid()

    def answer() -> list[Any]:
        for result in itertools.islice(results, 20_000):
            assert result.resolved == known[next(place) % FAMILIES], result
        if os.getpid() != parent:
            results.close()  # type: ignore[attr-defined]
        return known

    return lambda: repository.solve(REQUESTS[0]), answer


def late(root: Path) -> tuple[Work, Work]:
    from rez.config import config

    repository = Repository.from_paths([root])
    options = SolveOptions(variant_select_mode="intersection_priority")

    def answer() -> Any:
        result = repository.solve(["tardy"])
        assert result.fallback_reason, result
        return result.resolved, config.variant_select_mode, config.is_overridden("variant_select_mode")

    return lambda: repository.solve(["tardy"], options), answer


def behind_rez(root: Path) -> tuple[Work, Work]:
    from rez.resolved_context import ResolvedContext

    from rer_numba.rez_bridge import hook
    from rer_numba.rez_bridge.sites import forget_sites
    from rer_numba.rez_bridge.stats import stats

    assert hook.install()

    def contexts() -> list[Any]:
        found = []
        for request in REQUESTS:
            context = ResolvedContext(request, package_paths=[str(root)], caching=False)
            packages = [package.qualified_name for package in context.resolved_packages or ()]
            found.append((packages, sorted(str(context.graph(as_dot=True)).splitlines())))
        return found

    def work() -> None:
        forget_sites()
        contexts()

    def answer() -> list[Any]:
        before = stats()["fallback"]
        found = contexts()
        assert stats()["fallback"] == before, stats()
        return found

    return work, answer


KINDS = {
    "solving": solving,
    "refreshing": refreshing,
    "many": many,
    "going_on": going_on,
    "late": late,
    "behind_rez": behind_rez,
}


def answer_in_child(answer: Work, wanted: Any) -> int:
    """Fork; the child asks for an answer. Gives its process number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        found = answer()
        code = 0 if found == wanted else 1
        if code:
            print(f"wanted {wanted}, found {found}", file=sys.stderr)
    except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on with what its parent does
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def outcome(pid: int) -> str:
    """Wait for a child: right, wrong, or hung."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "right" if status == 0 else "wrong"
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


def main() -> None:
    kind, root, children = sys.argv[1], Path(sys.argv[2]) / "packages", int(sys.argv[3])
    write_packages(root)
    work, answer = KINDS[kind](root)
    wanted = answer()
    is_over = False

    def run() -> None:
        while not is_over:
            work()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    counts = {"right": 0, "wrong": 0, "hung": 0}
    for n in range(children):
        time.sleep(0.001 * (n % 17))
        counts[outcome(answer_in_child(answer, wanted))] += 1
    is_over = True
    assert all(thread.is_alive() for thread in threads), "a thread of the parent has died"
    print(counts["right"], counts["wrong"], counts["hung"])


if __name__ == "__main__":
    main()
