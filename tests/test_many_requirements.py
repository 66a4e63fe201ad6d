"""Many requirements on one family: merged in n log n steps, into what merging two at a time gives, in rez too."""

from __future__ import annotations

import random
from functools import reduce

import pytest
from rez.version import Requirement as RezRequirement
from rez.version import RequirementList as RezRequirementList
from rez.version import VersionError as RezVersionError

from rer_numba import bound_lists
from rer_numba.bound_lists import UnitedBounds, intersect
from rer_numba.errors import VersionError
from rer_numba.requirements import Requirement, RequirementList
from rer_numba.version_order import Bound
from rer_numba.versions import VersionRange

ENDS = ("1", "1.0", "1-0", "2", "2_", "2.5", "3", "3.0", "3-0", "4", "5", "6", "")


SHAPES = ("{0}", "=={0}", ">{0}", "{0}+", "<{0}", "<={0}", "{0}..{1}", ">{0}<{1}", "{0}+<{1}", ">{0}<={1}")


def _part(rng: random.Random) -> str:
    one, two = rng.choice(ENDS[:-1]), rng.choice(ENDS[:-1])
    shape = rng.choice(
        ("{0}", "=={0}", ">{0}", "{0}+", "<{0}", "<={0}", "{0}..{1}", ">{0}<{1}", "{0}+<{1}", ">{0}<={1}")
    )
    return shape.format(one, two)


def _request_text(rng: random.Random) -> str:
    """A request that is one: not every range can be spelled, and a weak one must have an inverse."""
    while True:
        sign = rng.choice(("", "!", "!", "!", "~"))
        text = "|".join(_part(rng) for _ in range(rng.randint(1, 5)))
        request = f"{sign}f{'' if text[0] in '=<>' else '-'}{text}" if rng.random() < 0.97 else f"{sign}f"
        try:
            Requirement(request)
        except VersionError:
            continue
        return request


def _pairwise(requirements: list[Requirement]) -> object:
    """The same by `Requirement.merged`, which makes a range at each step."""
    done = requirements[0]
    for requirement in requirements[1:]:
        try:
            merged = done.merged(requirement)
        except VersionError as error:
            return str(error)
        if merged is None:
            return str(done), str(requirement)
        done = merged
    return str(done), done.weak, done.conflict, done.sep


def _at_once(requirements: list[Requirement]) -> object:
    try:
        merged = RequirementList(requirements)
    except VersionError as error:
        return str(error)
    if merged.conflict:
        return tuple(map(str, merged.conflict))
    (one,) = merged
    return str(one), one.weak, one.conflict, one.sep


def _of_rez(texts: list[str]) -> object:
    try:
        merged = RezRequirementList([RezRequirement(text) for text in texts])
    except RezVersionError as error:
        return str(error)
    if merged.conflict:
        return tuple(map(str, merged.conflict))
    (one,) = merged
    return str(one), one.weak, one.conflict, one.sep_


@pytest.mark.parametrize("few", [1, 64])
@pytest.mark.parametrize("seed", range(20))
def test_merging_at_once_is_merging_in_pairs(seed: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of changing a list, on ends that meet, touch and are spelled in two ways; and rez says the same."""
    monkeypatch.setattr(bound_lists, "_FEW", few)
    rng = random.Random(seed)
    for _ in range(300):
        texts = [_request_text(rng) for _ in range(rng.choice((2, 3, 5, 12)))]
        if rng.random() < 0.5:  # else nearly all contradict each other
            texts = ["!" + text.lstrip("!~") for text in texts]
        requirements = list(map(Requirement, texts))
        found = _at_once(requirements)
        assert found == _pairwise(requirements), texts
        assert found == _of_rez(texts), texts


@pytest.mark.parametrize("few", [1, 64])
def test_union_and_intersection_step_by_step(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges with many pieces, so that most of a list stays where it is."""
    monkeypatch.setattr(bound_lists, "_FEW", few)
    rng = random.Random(few)
    for _ in range(60):
        pieces = [f"{n}.{rng.randint(0, 3)}..{n}.{rng.randint(4, 9)}" for n in rng.sample(range(60), 40)]
        ranges = [VersionRange("|".join(pieces))]
        for _ in range(25):
            low = rng.randint(0, 50)
            ends = [low, low + rng.randint(0, 12)]
            ranges.append(VersionRange(f"{rng.choice(('>', '>='))}{ends[0]}{rng.choice(('<', '<='))}{ends[1] + 1}"))
        united = UnitedBounds(ranges[0].bounds)
        for range_ in ranges[1:]:
            united.unite(range_.bounds)
        assert _spelled(united.bounds) == _spelled(reduce(VersionRange.union, ranges).bounds)
        left = list(ranges[0].bounds)
        expected: VersionRange | None = ranges[0]
        for range_ in ranges[1:]:
            rest = range_.inverse()
            assert rest is not None
            left = intersect(left, rest.bounds)
            expected = None if expected is None else _by_pairs(expected, rest)
        assert _spelled(left) == ([] if expected is None else _spelled(expected.bounds))


def _spelled(bounds: object) -> list[str]:
    return [str(bound) for bound in bounds]  # type: ignore[attr-defined]


def _by_pairs(one: VersionRange, two: VersionRange) -> VersionRange | None:
    """The intersection as rez makes it: each bound with each."""
    shared = []
    for bound in one.bounds:
        for other in two.bounds:
            lower = other.lower if other.lower.place > bound.lower.place else bound.lower
            upper = other.upper if other.upper.place < bound.upper.place else bound.upper
            if lower.place < upper.place:
                shared.append(Bound(lower, upper))
    return VersionRange.from_bounds(shared) if shared else None


def test_impossible_bounds_raise_where_a_union_does() -> None:
    """rez's objects may hold one; the next union says so."""
    impossible = Requirement("!f-3+<2", invalid_bound_error=False)
    for first, second in ((impossible, Requirement("!f-5")), (Requirement("!f-5"), impossible)):
        with pytest.raises(VersionError, match="Invalid bound"):
            first.merged(second)
        with pytest.raises(VersionError, match="Invalid bound"):
            RequirementList([first, second])


class _Counting:
    """Counts how often places are compared, which is what merging costs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        plain = bound_lists.lies_apart

        def counted(*arguments: object) -> bool:
            self.count += 1
            return plain(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(bound_lists, "lies_apart", counted)


@pytest.mark.parametrize("order", ["up", "down", "random"])
def test_steps_grow_with_the_number_of_requirements(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with its square: 4,000 refused versions took 8 seconds."""
    counting = _Counting(monkeypatch)
    steps = []
    for n in (500, 4000):
        numbers = list(range(n))
        if order == "down":
            numbers.reverse()
        elif order == "random":
            random.Random(1).shuffle(numbers)
        counting.count = 0
        (merged,) = RequirementList([Requirement(f"!f-{number}") for number in numbers])
        assert merged.range is not None
        assert len(merged.range) == n
        steps.append(counting.count)
    assert steps[1] <= 8.5 * steps[0]
