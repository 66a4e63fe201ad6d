"""Options and markers of the test suite, and where its compiled kernels are kept."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
import rez
from rez.plugin_managers import plugin_manager

from rer_numba.user_cache import cache_folder
from tests.each_python import is_chosen
from tests.wheels import shared_wheel

ON_REQUEST = {
    "live_rez": "solves rez's 188 benchmark requests with rez itself: three minutes",
    "exhaustive": "every one- and two-item request over rez's own test packages: some minutes",
    "numba_bounds": "kernels of solves and of composing, compiled by Numba with bounds checks: some minutes to compile",
}
"""Markers of tests that only run when `-m` names them."""

EACH_REZ = "each_rez"
"""Marker of tests that ``.ci/under_rez`` runs with each rez that we know."""

DEFAULT_CASES = 300
CHUNK = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random cases, and from which seed on; which rez, and which other one."""
    group = parser.getgroup("random cases")
    rezes = parser.getgroup("rez")
    rezes.addoption("--rez-version", metavar="V", help="refuse to run with another rez than this version")
    rezes.addoption(
        "--other-rez", type=Path, metavar="FOLDER", help="where another rez lies, as pip install --target puts it"
    )
    group.addoption(
        "--cases", type=int, default=DEFAULT_CASES, metavar="N", help=f"random cases to compare ({DEFAULT_CASES})"
    )
    group.addoption("--first-seed", type=int, default=0, metavar="S", help="seed of the first of them, default 0")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; keep the compiled kernels of one run for the next, whatever a test does to HOME."""
    for name, meaning in ON_REQUEST.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.addinivalue_line("markers", f"{EACH_REZ}: run with each rez that we know, see .ci/under_rez")
    wanted = config.getoption("rez_version")
    if wanted not in (None, rez.__version__):
        raise pytest.UsageError(f"this is rez {rez.__version__}, from {rez.__file__}, and not {wanted}")
    config.addinivalue_line("markers", "each_python: those of tests/each_python.py")
    folder = cache_folder()
    if folder is not None:
        os.environ.setdefault("RER_NUMBA_CACHE_DIR", folder)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def rez_plugins() -> None:
    """Rez's repository plugins, loaded while warnings are warnings.

    Loading them warns of a call that Python retires. Where a test makes errors of warnings and happens to be the first
    to need a plugin, rez would give it up for the rest of the process.
    """
    plugin_manager.get_plugins("package_repository")


class Tally:
    """Counts who solved, for the last lines of a run; each test has its own.

    Parameters
    ----------
    node : pytest.Item
    """

    def __init__(self, node: pytest.Item) -> None:
        self._node = node

    def add(self, what: str, native: int, reasons: Mapping[str, int]) -> None:
        """Count solves of one kind: ours, and why the others were left to rez."""
        self._node.user_properties.append(("solves", [what, native, dict(reasons)]))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    return Tally(request.node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell who solved, where that was counted; with xdist too."""
    native: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "solves":
                native[value[0]] += value[1]
                reasons.setdefault(value[0], Counter()).update(value[2])
    if native:
        terminalreporter.section(f"solved with rez {rez.__version__}")
    for what in native:
        left = "; ".join(f"{count:,} {reason}" for reason, count in reasons[what].most_common())
        terminalreporter.write_line(
            f"{what}: {native[what]:,} native, {reasons[what].total():,} by rez{left and ': ' + left}"
        )


@pytest.fixture(scope="session")
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, one for all workers of a run."""
    own = tmp_path_factory.getbasetemp()
    return shared_wheel(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture
def whole_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps whose time is up go on to their end, as in rez.

    Ours break off after 10 ms, which a machine may spend on others in the middle of any step.
    """
    monkeypatch.setattr("rer_numba.engine.GRACE", 1e6)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cut random cases into chunks of seeds, so that pytest-xdist can spread them."""
    if "seeds" in metafunc.fixturenames:
        first = metafunc.config.getoption("first_seed")
        end = first + metafunc.config.getoption("cases")
        chunks = [range(at, min(at + CHUNK, end)) for at in range(first, end, CHUNK)]
        metafunc.parametrize("seeds", chunks, ids=lambda chunk: f"{chunk.start}-{chunk.stop - 1}")


@pytest.hookimpl(tryfirst=True)  # before `-m` looks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs on every Python; skip what is on request only."""
    for item in items:
        if is_chosen(item.nodeid):
            item.add_marker(pytest.mark.each_python)
    chosen = config.getoption("markexpr")
    for name in ON_REQUEST:
        if name not in chosen:
            skip = pytest.mark.skip(reason=f"on request only: pytest -m {name}")
            for item in items:
                if item.get_closest_marker(name) is not None:
                    item.add_marker(skip)
