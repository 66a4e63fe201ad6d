"""rez's own tests pass with our solver underneath, and the solves in them are ours.

What rez could not do on this machine by itself is skipped, with rez's own message.
"""

from __future__ import annotations

import pytest

from tests.conftest import Tally
from tests.rez_suite import Ran, Suite

pytest.importorskip("rez.tests")

RESOLVING = (
    pytest.param("test_context", marks=pytest.mark.each_rez),
    pytest.param("test_suites", marks=pytest.mark.each_rez),
    pytest.param("test_commands", marks=pytest.mark.each_rez),
    "test_build",
    "test_release",
    "test_package_cache",
)
"""Modules in which something is resolved."""


RACES = {"test_package_cache": 5}
"""Module -> how often it may be run: its own comment says that it fails if rez's other process is the faster one."""

OTHERS = (
    pytest.param("test_packages_order", marks=pytest.mark.each_rez),
    pytest.param("test_package_filter", marks=pytest.mark.each_rez),
    "test_version",
    "test_completion",
    "test_utils_resolve_graph",
)
"""Modules about what a solve uses, or what uses it, without one."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return Suite(tmp_path_factory.mktemp("rez_suite"))


def run(suite: Suite, module: str, tally: Tally, verbosity: int | None = None) -> Ran:
    """Run a module, which must pass; plain rez is only asked where it does not, since some builds take long."""
    for _ in range(RACES.get(module, 1)):
        ours = suite.run(module, ours=True, verbosity=verbosity)
        if not ours.problems:
            break
    print(f"{module}: {ours.tests} tests, {ours.native} solves by us, {ours.fallback} by rez: {ours.reasons}")
    tally.add("rez's own tests", ours.native, ours.reasons)
    if ours.problems or ours.tests == ours.skipped:
        plain = suite.run(module, ours=False, verbosity=verbosity)
        if plain.problems or plain.tests == plain.skipped:
            told = plain.problems[0] if plain.problems else "all of its tests are skipped"
            pytest.skip(f"{module} does not run with plain rez here: {told[-300:]}")
    assert not ours.problems, "\n".join(ours.problems)
    return ours


@pytest.mark.each_rez
def test_solver_natively(suite: Suite, tally: Tally) -> None:
    """Each case of rez's, optimised, not optimised, and with its requests in every order."""
    ours = run(suite, "test_solver", tally, verbosity=0)
    assert ours.native > 100


def test_solver_as_it_stands(suite: Suite, tally: Tally) -> None:
    """It asks for a verbose solver, which is rez's own: the text is all there."""
    ours = run(suite, "test_solver", tally)
    assert ours.fallback > 100


@pytest.mark.parametrize("module", RESOLVING)
def test_what_resolves(suite: Suite, module: str, tally: Tally) -> None:
    ours = run(suite, module, tally)
    assert ours.native > 0


@pytest.mark.each_rez
def test_late_functions(suite: Suite, tally: Tally) -> None:
    """Every request of this module is for a package whose requirements are a late function."""
    ours = run(suite, "test_test", tally)
    assert ours.native > 0 and ours.fallback == 0, ours.reasons


@pytest.mark.parametrize("module", OTHERS)
def test_what_a_solve_uses(suite: Suite, module: str, tally: Tally) -> None:
    ours = run(suite, module, tally)
    assert ours.native == ours.fallback == 0, "it resolves: move it to those that must be native"
