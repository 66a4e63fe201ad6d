"""Options and markers of the test suite, and where its compiled kernels are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rez.plugin_managers import plugin_manager

from rer_numba.user_cache import cache_folder
from tests.each_python import is_chosen
from tests.wheels import shared_wheel

ON_REQUEST = {
    "live_rez": "solves rez's 188 benchmark requests with rez itself: three minutes",
    "exhaustive": "every one- and two-item request over rez's own test packages: some minutes",
    "numba_bounds": "the composing kernels, compiled by Numba with bounds checks: two minutes to compile",
}
"""Markers of tests that only run when `-m` names them."""

DEFAULT_CASES = 1200
CHUNK = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random cases, and from which seed on."""
    group = parser.getgroup("random cases")
    group.addoption(
        "--cases", type=int, default=DEFAULT_CASES, metavar="N", help=f"random cases to compare ({DEFAULT_CASES})"
    )
    group.addoption("--first-seed", type=int, default=0, metavar="S", help="seed of the first of them, default 0")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; keep the compiled kernels of one run for the next, whatever a test does to HOME."""
    for name, meaning in ON_REQUEST.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.addinivalue_line("markers", "each_python: those of tests/each_python.py")
    folder = cache_folder()
    if folder is not None:
        os.environ.setdefault("RER_NUMBA_CACHE_DIR", folder)


@pytest.fixture(scope="session", autouse=True)
def rez_plugins() -> None:
    """Rez's repository plugins, loaded while warnings are warnings.

    Loading them warns of a call that Python retires. Where a test makes errors of warnings and happens to be the first
    to need a plugin, rez would give it up for the rest of the process.
    """
    plugin_manager.get_plugins("package_repository")


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
