"""Where families stand in the tables."""

from __future__ import annotations

import random
from itertools import pairwise

from rer_numba.family_order import families_in_order

NEEDS = {"app": {"lib", "gui"}, "gui": {"lib", "qt"}, "qt": {"python"}, "tool": {"python", "app"}}
NAMES = ["tool", "qt", "python", "lib", "gui", "app", "zlib"]


def test_behind_what_it_needs() -> None:
    assert families_in_order(NAMES, NEEDS) == ["lib", "python", "qt", "gui", "app", "tool", "zlib"]


def test_the_order_of_the_names_as_given_does_not_matter() -> None:
    rng = random.Random(1)
    for _ in range(20):
        assert families_in_order(rng.sample(NAMES, len(NAMES)), NEEDS) == families_in_order(NAMES, NEEDS)


def test_a_name_that_nobody_uses_changes_nothing_for_the_others() -> None:
    for name in ("aaa", "hhh", "zzz"):
        found = families_in_order([*NAMES, name], NEEDS)
        assert [other for other in found if other != name] == families_in_order(NAMES, NEEDS)


def test_circles() -> None:
    assert families_in_order(["a", "b", "c"], {"a": {"b"}, "b": {"c"}, "c": {"a", "c"}}) == ["c", "b", "a"]


def test_a_chain_of_any_length() -> None:
    names = [f"{n:06}" for n in range(20_000)]
    assert families_in_order(names, {a: {b} for a, b in pairwise(names)}) == names[::-1]


def test_studios_that_do_not_need_each_other_lie_apart() -> None:
    """However their names are mixed."""
    rng = random.Random(2)
    names = [f"{name}_{studio}" for name in "abcdefghijklmnopqrst" for studio in range(5)]
    needs = {name: {other for other in names if other[0] < name[0] and other[2] == name[2]} for name in names}
    found = families_in_order(rng.sample(names, len(names)), needs)
    assert [name[2] for name in found] == [studio for studio in "01234" for _ in range(20)]
