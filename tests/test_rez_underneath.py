"""Random cases with our solver in the place of rez's, whichever rez that is: the same answers, native where possible.

``.ci/under_rez`` runs this with each rez that we know, and prints how many solves were ours, and why others were not.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from rez.package_order import PackageOrder
from rez.solver import Solver as RezSolver
from rez.version._version import _ReversedComparable

from rer_numba.orderers import OrderMeaning
from rer_numba.rez_bridge.loaded import loaded_traits
from rer_numba.rez_bridge.solver import Solver
from rer_numba.rez_bridge.stats import reset, stats
from tests.case import Case
from tests.conftest import Tally
from tests.random_cases import random_case
from tests.random_options import random_options_case
from tests.sort_spy import sorts_without_order
from tests.test_bridge_solver import answers_of, world

pytestmark = pytest.mark.each_rez

KINDS = {"plain": random_case, "with options": random_options_case}

NO_ORDER = "a no_order orderer leaves versions in the order of a set, which only rez knows"
UNCERTAIN = "a soft_timestamp orderer gives a family an order that depends on which versions are left"

_FAMILY = re.compile(r"gives \S+ an order")
_RAISED = re.compile(r"(rez raises it: \w+).*", re.DOTALL)


def kind_of(reason: str) -> str:
    """Why rez had to solve, without the names of packages."""
    return _RAISED.sub(r"\1", _FAMILY.sub("gives a family an order", reason))


def both(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """What rez says, and what our solver says in its place."""
    with world(case) as (request, arguments):
        expected = answers_of(RezSolver, request, arguments)
        if expected.get("internal"):
            return expected, expected
        return expected, answers_of(Solver, request, arguments)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said while kernels are compiled is no part of what is compared."""
    monkeypatch.setenv("RER_NUMBA_QUIET", "1")


@pytest.mark.parametrize("kind", KINDS)
def test_random_cases(kind: str, seeds: range, tally: Tally) -> None:
    solved = left_out = 0
    reset()
    for case in map(KINDS[kind], seeds):
        expected, found = both(case)
        if found != expected:
            assert sorts_without_order(case), (case.origin, expected, found)
            left_out += 1
        solved += "packages" in expected
    reasons: Counter[str] = Counter()
    for reason, count in stats()["reasons"].items():
        reasons[kind_of(reason)] += count
    tally.add(f"random cases, {kind}", stats()["native"], reasons)
    assert solved > len(seeds) / 3 and left_out <= max(1, 0.02 * len(seeds))
    assert set(reasons) <= (left_to_rez() if kind == "with options" else set())
    assert reasons[UNCERTAIN] <= 0.05 * len(seeds)


class Backwards(PackageOrder):  # type: ignore[misc]
    """A studio's own class, for every rez: the oldest first."""

    name = "backwards"

    def reorder(self, iterable: Any, key: Any = None) -> Any:
        """Up to rez 3.0."""
        return sorted(iterable, key=lambda one: (key(one) if key else one).version)

    def sort_key_implementation(self, package_name: str, version: Any) -> Any:
        """Since rez 3.1."""
        return _ReversedComparable(version)

    def __str__(self) -> str:
        return "backwards"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backwards)

    __hash__ = None  # type: ignore[assignment]

    def to_pod(self) -> dict[str, Any]:
        return {}


def test_own_orderers(tally: Tally) -> None:
    """Asked for keys, or left to the rez that asks it for lists."""
    reset()
    for case in map(random_case, range(40)):
        expected, found = both(replace(case, options={**case.options, "package_orderers": [Backwards()]}))
        assert found == expected, case.origin
    counts = stats()
    assert all("only rez can ask it" in reason for reason in counts["reasons"]), counts
    traits = loaded_traits()
    assert traits is not None and (counts["native"] == 0) == (traits.orders is OrderMeaning.LISTS), counts
    tally.add("orderers of one's own", counts["native"], counts["reasons"])


def left_to_rez() -> set[str]:
    """What may be a reason with this rez."""
    traits = loaded_traits()
    assert traits is not None
    return {NO_ORDER, UNCERTAIN} if traits.orders is OrderMeaning.LISTS else {NO_ORDER}
