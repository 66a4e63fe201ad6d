"""Where rez dies of a defect of its own: that it still does, and what we answer instead.

docs/deviations.md lists them by the names of these tests. When rez mends one, its test fails here: then we follow rez.
"""

from __future__ import annotations

import pytest

from rer_numba import SolveResult
from rer_numba.requirements import Requirement
from tests.case import Case, Package
from tests.compare import find_difference, our_answer, rez_died, violations
from tests.oracle import Answer, ask_rez
from tests.product import as_requests, repository_of

INVALID_BOUND = ("VersionError", "Invalid bound")
LIB = [Package("lib", version) for version in "12"]


def assert_rez_dies(case: Case, error_type: str, text: str) -> None:
    """rez still raises this, out of its constructor or its solve."""
    rez = ask_rez(case.packages, case.requests, **case.options)
    assert rez_died(rez), f"rez has mended it: {rez}"
    assert (rez.error_type, rez.failure_description) == (error_type, text)


def solved(case: Case) -> tuple[tuple[str, str, int | None], ...]:
    """What we resolve the case to, which must satisfy the request and every package."""
    answer = our_answer(case)
    assert answer.status == "solved", answer
    assert violations(case, answer) == []
    return answer.resolved


# ---- variants sorted by a range that is None


@pytest.mark.parametrize(
    ("variants", "asked", "index"),
    [
        ([["~lib"], ["lib-1"]], "lib", 1),
        ([["lib-1"], ["~lib"]], "lib", 0),
        ([["~lib"], ["lib-1"], ["lib-2"]], "lib", 2),
        ([["lib-1"], ["~lib"]], "lib-2", 1),
        ([["~lib"], ["!lib-2"]], "lib", 1),
    ],
)
def test_bare_weak_requirement_in_the_variant_sort(variants: list[list[str]], asked: str, index: int) -> None:
    """No range is the lowest: a variant that asks for one is tried first."""
    case = Case([*LIB, Package("app", "1", [], variants)], ["app", asked])
    if asked == "lib":
        rez = ask_rez(case.packages, case.requests)
        assert rez_died(rez), f"rez has mended it: {rez}"
        assert rez.error_type == "TypeError"
        assert "'<' not supported between instances of" in str(rez.failure_description)
    assert ("app", "1", index) in solved(case)


@pytest.mark.parametrize("mode", ["version_priority", "intersection_priority"])
def test_bare_weak_requirement_meets_every_mode(mode: str) -> None:
    case = Case([*LIB, Package("app", "1", [], [["~lib"], ["lib-1"]])], ["app", "lib"], {"variant_select_mode": mode})
    assert_rez_dies(case, "TypeError", "'<' not supported between instances of 'int' and 'tuple'")
    assert solved(case) == (("lib", "1", None), ("app", "1", 1))


def test_bare_weak_requirements_alone_are_no_trouble() -> None:
    """Both None: nothing is compared with a range."""
    case = Case([*LIB, Package("app", "1", [], [["~lib"], ["~lib", "~other"]])], ["lib", "app"])
    assert find_difference(case) is None
    assert not ask_rez(case.packages, case.requests).internal


# ---- a request for an ephemeral without a range


def test_bare_weak_ephemeral() -> None:
    """'~.feat' asks for nothing, so what a package says of the ephemeral stands."""
    case = Case([Package("app", "1", [".feat-1"])], ["~.feat", "app"])
    assert_rez_dies(case, "AttributeError", "'NoneType' object has no attribute 'inverse'")
    assert solved(case) == (("app", "1", None),)
    assert our_answer(case).resolved_ephemerals == (".feat-1",)


def test_bare_weak_ephemeral_that_two_packages_disagree_about() -> None:
    case = Case([Package("app", "1", [".feat-1"]), Package("kit", "1", [".feat-2"])], ["~.feat", "app", "kit"])
    assert our_answer(case).failure_description == (
        "The following package conflicts occurred: (.feat-1 <--!--> .feat-2)"
    )


def test_bare_weak_ephemeral_that_nobody_mentions() -> None:
    case = Case([Package("app", "1")], ["~.feat", "app"])
    assert find_difference(case) is None


# ---- intervals that touch

TOUCHING = "1..4|2|>4"


def test_touching_intervals_in_a_conflict_request() -> None:
    """The request forbids everything from 1 on. rez cannot invert its range when a package asks for the family."""
    packages = [*LIB, Package("lib", "0"), Package("app", "1", ["lib"]), Package("app", "2", ["lib-2"])]
    case = Case(packages, [f"!lib-{TOUCHING}", "app-1"])
    assert_rez_dies(case, *INVALID_BOUND)
    assert solved(case) == (("lib", "0", None), ("app", "1", None))
    in_vain = Case(packages, [f"!lib-{TOUCHING}", "app-2"])
    assert_rez_dies(in_vain, *INVALID_BOUND)
    assert our_answer(in_vain).failure_description == (
        f"The following package conflicts occurred: (lib-2 <--!--> !lib-{_union()})"
    )


def _union() -> str:
    return str(Requirement(f"lib-{TOUCHING}").range)


@pytest.mark.parametrize("order", [1, -1])
def test_touching_intervals_in_a_merge(order: int) -> None:
    """rez raises in the constructor; we give the error as status and text."""
    requests = [f"!lib-{TOUCHING}", "lib-2"][::order]
    case = Case(LIB, requests)
    assert_rez_dies(case, *INVALID_BOUND)
    answer = our_answer(case)
    assert (answer.status, answer.error_type, answer.failure_description) == ("error", *INVALID_BOUND)


def test_touching_intervals_in_a_package() -> None:
    """Only a solve that looks at the package meets the error."""
    packages = [*LIB, Package("app", "1"), Package("app", "2", [f"!lib-{TOUCHING}", "lib-2"])]
    case = Case(packages, ["app"])
    assert_rez_dies(case, *INVALID_BOUND)
    answer = our_answer(case)
    assert (answer.status, answer.error_type, answer.failure_description) == ("error", *INVALID_BOUND)
    assert solved(Case(packages, ["app-1"])) == (("app", "1", None),)


# ---- other


def test_missing_family_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """rez writes a line to stderr, which the oracle swallows; the answers are equal."""
    case = Case(
        [Package("app", "1", [], [["nowhere"], ["lib"]]), *LIB], ["app"], {"error_on_missing_variant_requires": False}
    )
    assert find_difference(case) is None
    capfd.readouterr()
    result: SolveResult = repository_of(case.packages).solve(as_requests(case.requests), **case.options)
    assert Answer.of(result).resolved == (("lib", "2", None), ("app", "1", 1))
    assert capfd.readouterr() == ("", "")
