"""Package filters: the same rules, texts, errors and answers as rez itself.

What a filter does to the tables of a repository is in tests/test_filter_compile.py.
"""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rez
import rez.package_filter as theirs
from rez.packages import iter_packages
from rez.resolver import Resolver
from rez.utils.formatting import get_epoch_time_from_str
from rez.version import Requirement as RezRequirement
from rez.version import Version as RezVersion

from rer_numba.errors import ConfigurationError
from rer_numba.filters import CustomFilter, PackageFilter, PackageFilterList, as_package_filter
from rer_numba.filters import rules as ours
from rer_numba.filters.time import parse_time, with_timestamp
from rer_numba.packages import PackageData
from tests.random_filters import Filters, in_both
from tests.version_texts import Texts, outcome, times

N_REPOSITORIES = 60
N_FILTERS = 12


def text_or_none(rule: Any) -> str | None:
    return None if rule is None else str(rule)


def told(rule: Any) -> list[Any]:
    """Everything a rule says about itself."""
    return [type(rule).__name__, rule.name, rule.family(), rule.cost(), str(rule), repr(rule)]


def agree_on_rule(text: str) -> Any:
    mine = outcome(lambda: told(ours.Rule.parse_rule(text)))
    assert mine == outcome(lambda: told(theirs.Rule.parse_rule(text))), text
    return mine


def assert_same_text(mine: Any, rez_filter: Any) -> None:
    assert (str(mine), repr(mine), mine.sha1) == (str(rez_filter), repr(rez_filter), rez_filter.sha1)


# --- rules ------------------------------------------------------------------------------------------------------------

# fmt: off
FORMS = (
    "foo-1", "foo", "*.beta", "foo-*", "glob(*.beta)", "glob(foo-1.0)", "regex(.*-\\.beta)", "range(foo-5+)", "foo-5+",
    "before(1429830188)", "after(1429830188)", "before(foo:123)", "after(foo:123)", "after( 12 )", "after(foo: 12)",
    "before(-5)", "before(1_0)", "after(\u0663)", "!foo-1", "~foo", "~foo-1", "range(!foo-1)", "foo==1", "foo#1",
    "foo@1", "foo<3", "range(foo)", "foo-1|2+<3", "glob(foo?1)", "glob(*)", "*", "a?-1", "regex(foo|bar)",
    "regex(^foo)",
)
ODD_FORMS = (
    "", " ", "-1", "foo bar", "foo-1\n", "foo-1*|2", "foo-1-*", "glob(foo-1-*)", "regex(foo-[0-9]+)", "regex(foo\\-1)",
    "regex((a|b)-1)", "regex((a|b)-*)", "glob(a(b))", "glob()", "regex()", "before()", "range()", "()", "(foo)",
    "foo(1)\n", "before(1)\n", "glob(foo-1) ", "regex((?i)FOO-.*)", "after(:5)", "glob([)", "range(range(foo))",
    "*(*)", "glob(foo)(bar)", "foo-*-1@2#3*", "regex(-)", "glob(--*)", "range(\u00e9)", "glob(\u00e9*)",
)
BAD_FORMS = (
    "bogus(1)", "Range(foo)", " range(foo)", "glob (foo)", "regex([)", "regex(*)", "regex(a{99999999999999999999})",
    "range(foo-3+<2)", "range(foo-1..)", "range(foo--1)", "foo-3+<2", "foo-1.", "after(x)", "after(1.5)",
    "after(a:b:3)", "before(foo:)", "before(foo)", "after(1e5)", "after(" + "1" * 5000 + ")",
)
# fmt: on


@pytest.mark.parametrize("text", FORMS + ODD_FORMS)
def test_forms_of_rules(text: str) -> None:
    agree_on_rule(text)


@pytest.mark.parametrize("text", BAD_FORMS)
def test_bad_rules(text: str) -> None:
    mine = agree_on_rule(text)
    assert mine[:2] == ("raised", "ConfigurationError")
    with pytest.raises(ConfigurationError):
        as_package_filter({"excludes": [text]})


def test_random_rules() -> None:
    texts, filters = Texts(71), Filters("rules")
    for _ in times(1500):
        rule = filters.rule()
        agree_on_rule(rule)
        agree_on_rule(texts.damaged(rule))
        agree_on_rule(texts.damaged(f"{filters.rng.choice(('range', 'after', 'glob'))}({texts.loose_requirement()})"))


@pytest.mark.parametrize(
    ("text", "family"),
    [("foo-1-*", "foo-1"), ("regex(foo-[0-9]+)", "foo-[0"), ("regex(foo|bar-1)", "foo|bar"), ("regex(^foo-1)", "^foo"),
     ("glob(foo.*)", None), ("foo-*", "foo"), ("*-1", None)],
)  # fmt: skip
def test_families_of_patterns(text: str, family: str | None) -> None:
    agree_on_rule(text)
    assert ours.Rule.parse_rule(text).family() == family


def test_labels_that_are_not_seen() -> None:
    for text in ("regex((a|b)-*)", "regex((a|b)x*)", "glob(a(b))", "before()"):
        agree_on_rule(text)
    assert not ours.Rule.parse_rule("regex((a|b)-*)").match(PackageData("a", "1"))


def test_empty_family() -> None:
    agree_on_rule("after(:5)")
    filter_ = as_package_filter({"excludes": ["*.beta", "after(:5)"]})
    assert filter_ is not None
    assert filter_.excludes(PackageData("foo", "1", timestamp=9)) is None
    # rez cannot spell such a filter: to sort the two families it compares their rules, which have no order
    with pytest.raises(TypeError):
        str(theirs.PackageFilterList.from_pod([{"excludes": ["*.beta", "after(:5)"]}]))
    assert str(filter_) == "(PackageFilter(([(None, [glob(*.beta)]), ('', [after(5)])], [])),)"
    again = as_package_filter(filter_.to_pod())
    assert again is not None
    assert str(again.excludes(PackageData("foo", "1", timestamp=9))) == "after(5)"


def test_rules_read_what_they_need() -> None:
    """Plain packages will do, ours and rez's: a name, a version of any kind, a time."""
    rule = ours.Rule.parse_rule("foo-1+<2")
    assert rule.match(PackageData("foo", "1.5")) and not rule.match(PackageData("foo", "2"))
    assert rule.match(PackageData("bar", "5"))  # it does not contradict the requirement
    assert ours.Rule.parse_rule("regex(foo$)").match(PackageData("foo", ""))


# --- filters ----------------------------------------------------------------------------------------------------------


def test_random_filters() -> None:
    """More than 10,000 pairs of a filter and a package, both ways of giving the filter, and the same after a round."""
    pairs = hidden = 0
    for seed in times(N_REPOSITORIES):
        filters = Filters(seed)
        with in_both(filters.packages(40)) as both:
            for _ in range(N_FILTERS):
                pod = filters.list()
                rez_filter = theirs.PackageFilterList.from_pod(pod)
                for mine in (as_package_filter(pod), as_package_filter(rez_filter)):
                    assert isinstance(mine, PackageFilterList)
                    assert_same_text(mine, rez_filter)
                    assert mine.to_pod() == rez_filter.to_pod(), pod
                    assert [f.cost for f in mine.filters] == [f.cost for f in rez_filter.filters], pod
                    answers = [text_or_none(mine.excludes(package)) for package in both.ours]
                    assert answers == [text_or_none(rez_filter.excludes(package)) for package in both.theirs], pod
                    assert answers == [text_or_none(mine.excludes(package)) for package in both.theirs], pod
                    pairs += len(answers)
                    hidden += len(answers) - answers.count(None)
    assert pairs >= 3000
    assert 0.05 < hidden / pairs < 0.95


def test_rules_added_one_by_one() -> None:
    """The order among rules, and the filter of a list that a rule goes to, are rez's."""
    for seed in times(150):
        filters = Filters(f"added {seed}")
        pod = filters.list()
        mine, rez_filter = PackageFilterList.from_pod(pod), theirs.PackageFilterList.from_pod(pod)
        for _ in range(filters.rng.randint(1, 4)):
            before = mine.copy(), rez_filter.copy()
            text = filters.rule()
            if filters.rng.random() < 0.5:
                mine.add_exclusion(text)
                rez_filter.add_exclusion(theirs.Rule.parse_rule(text))
            else:
                mine.add_inclusion(text)
                rez_filter.add_inclusion(theirs.Rule.parse_rule(text))
            assert mine.to_pod() == rez_filter.to_pod(), pod
            assert before[0].to_pod() == before[1].to_pod(), pod
            assert_same_text(mine, rez_filter)


# rez's test_package_filter: filter, family, versions that stay
SCENARIOS: dict[str, tuple[Any, str, str]] = {
    "empty": ({}, "pydad", "1 2 3"),
    "empty list": ([], "pydad", "1 2 3"),
    "glob": ({"excludes": ["glob(timestamped-*.5)"]}, "timestamped", "1.0.6 1.1.0 1.1.1 1.2.0 2.0.0 2.1.0"),
    "regex": ({"excludes": ["regex(timestamped-1.[1|2].*)"]}, "timestamped", "1.0.5 1.0.6 2.0.0 2.1.0 2.1.5"),
    "range": ({"excludes": ["range(timestamped-1.1+)"]}, "timestamped", "1.0.5 1.0.6"),
    "timestamp": ({"excludes": ["before(timestamped:6999)"]}, "timestamped", "2.1.0 2.1.5"),
    "other family": ({"excludes": ["glob(timestamped-*)"]}, "pydad", "1 2 3"),
    "both": (
        {"excludes": ["glob(*.5)"], "includes": ["range(timestamped-2)"]},
        "timestamped",
        "1.0.6 1.1.0 1.1.1 1.2.0 2.0.0 2.1.0 2.1.5",
    ),
    "list": (
        [{"excludes": ["*.0"]}, {"excludes": ["*-2.*"], "includes": ["pymum"]}], "timestamped", "1.0.5 1.0.6 1.1.1"
    ),
    "list, other family": ([{"excludes": ["*.0"]}, {"excludes": ["*-2.*"], "includes": ["pymum"]}], "pymum", "1 2 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_of_rez(name: str) -> None:
    given, family, stay = SCENARIOS[name]
    root = Path(rez.__file__).parent / "data" / "tests"
    if not root.is_dir():
        pytest.skip("this installation of rez has no test packages")
    paths = [str(root / "solver" / "packages"), str(root / "packages" / "py_packages")]
    packages = list(iter_packages(family, paths=paths))
    filter_ = as_package_filter(given)
    assert filter_ is not None
    for again in (filter_, filter_.from_pod(filter_.to_pod()), pickle.loads(pickle.dumps(filter_))):
        assert {str(package.version) for package in packages if not again.excludes(package)} == set(stay.split())


def test_both_rules_of_two_filters() -> None:
    """rez dies of an AttributeError when it should give the rules of both."""
    one, two = (as_package_filter([pod]) for pod in ({"excludes": ["foo-1", "*.b"]}, {"excludes": ["foo-2"]}))
    assert one is not None and two is not None
    both = one.filters[0] & two.filters[0]
    assert both.to_pod() == {"excludes": ["range(foo-1)", "range(foo-2)", "glob(*.b)"]}
    assert one.to_pod() == [{"excludes": ["range(foo-1)", "glob(*.b)"]}]


def test_keys() -> None:
    """Filters that hide the same packages by the same rules have equal keys; others do not."""
    meanings: dict[Any, set[str]] = {}
    for text in (*FORMS, "foo-1|2", "foo-2|1", "foo-2", "!foo-2", "after(foo-1:123)", "after(123)"):
        filter_ = as_package_filter({"excludes": [text]})
        assert filter_ is not None
        assert filter_.copy().key() == filter_.key()
        meaning = str(filter_).replace("#", "-").replace("@", "-").replace("2|foo-1", "1|2")
        meanings.setdefault(filter_.key(), set()).add(meaning)
    assert all(len(texts) == 1 for texts in meanings.values()), meanings
    assert len(set.union(*meanings.values())) == len(meanings)
    untimed = theirs.PackageFilter()
    untimed.add_exclusion(theirs.TimestampRule(5, match_untimestamped=True))
    one, two = as_package_filter(untimed), as_package_filter([{"excludes": "before(5)"}])
    assert one is not None and two is not None and one.key() != two.filters[0].key()
    assert one.excludes(PackageData("foo", "1")) and not two.excludes(PackageData("foo", "1"))


# --- what may be given ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    ["foo", "", 5, True, object(), PackageFilter, [5], ["*.beta"], [None], [[]], b"foo", {"excludes": None},
     {"excludes": 5}, {"excludes": [5]}, {"includes": [["foo"]]}, {"excludes": b"foo"}, [{"excludes": ["foo"]}, "bar"],
     {"excludes": [theirs.GlobRule("*")]}],
)  # fmt: skip
def test_what_is_no_filter(given: Any) -> None:
    """rez's own errors (AttributeError, TypeError) do not name the value."""
    with pytest.raises(ConfigurationError) as caught:
        as_package_filter(given)
    value = given
    while isinstance(value, (list, dict)) and value:
        value = list(value.values() if isinstance(value, dict) else value)[-1]
    assert repr(value).strip("[]") in str(caught.value)


def test_what_from_pod_does_not_take() -> None:
    for bad in ([], "foo", None):
        with pytest.raises(ConfigurationError, match="must be a dict"):
            PackageFilter.from_pod(bad)  # type: ignore[arg-type]
    for bad in ({}, "foo", None):
        with pytest.raises(ConfigurationError, match="must be a list of dicts"):
            PackageFilterList.from_pod(bad)  # type: ignore[arg-type]


def test_a_list_in_a_list_is_one_list() -> None:
    inner = as_package_filter([{"excludes": ["foo", "*.b"]}, {"excludes": "bar"}])
    outer = as_package_filter([{"excludes": ["*.c", "*.d"]}, inner])
    assert outer is not None
    assert outer.to_pod() == [
        {"excludes": ["range(bar)"]},
        {"excludes": ["range(foo)", "glob(*.b)"]},
        {"excludes": ["glob(*.c)", "glob(*.d)"]},
    ]


def test_unknown_keys_are_told() -> None:
    """rez does not look at them; neither do we, but somebody meant something by them."""
    given = {"exclude": ["foo"], "excludes": ["bar"]}
    assert theirs.PackageFilter.from_pod(given).to_pod() == {"excludes": ["range(bar)"]}
    with pytest.warns(RuntimeWarning, match="'exclude'"):
        filter_ = as_package_filter(given)
    assert filter_ is not None and filter_.to_pod() == [{"excludes": ["range(bar)"]}]


def test_nothing_and_empty() -> None:
    assert as_package_filter(None) is None
    for given in ([], {}, [{}], {"includes": ["foo"]}, theirs.no_filter, PackageFilter()):
        filter_ = as_package_filter(given)
        assert filter_ is not None and not filter_
        assert filter_.excludes(PackageData("foo", "1")) is None


def test_objects_of_rez_that_have_no_text() -> None:
    impossible = RezRequirement("foo-3+<2", invalid_bound_error=False)
    rules = [theirs.RangeRule(impossible), theirs.TimestampRule(99.5, "bar", reverse=True), theirs.GlobRule("a(*b)")]
    given = theirs.PackageFilterList()
    for rule in rules:
        only = theirs.PackageFilter()
        only.add_exclusion(rule)
        given.add_filter(only)
    mine = as_package_filter(given)
    assert isinstance(mine, PackageFilterList) and str(mine) == str(given) and mine.key() is not None
    with in_both(Filters("objects").packages(60)) as both:
        for package, other in zip(both.ours, both.theirs, strict=True):
            assert text_or_none(mine.excludes(package)) == text_or_none(given.excludes(other))


def test_time_must_be_a_number() -> None:
    for bad in ("5", None, [5], float("nan")):
        with pytest.raises(ConfigurationError, match="must be a number"):
            ours.TimestampRule(bad)  # type: ignore[arg-type]


# --- objects of the user's own ----------------------------------------------------------------------------------------


class Asked(theirs.Rule):
    """Remembers what it was asked."""

    def __init__(self, family: str | None = None, cost: int = 10) -> None:
        self._family, self._cost, self.seen = family, cost, []  # type: ignore[var-annotated]

    def cost(self) -> int:
        return self._cost

    def match(self, package: Any) -> bool:
        self.seen.append(package.qualified_name)
        return package.name == "foo"

    def __str__(self) -> str:
        return "asked()"


class OnlyMatch:
    def match(self, package: Any) -> bool:
        return bool(package.name == "foo")


class OnlyExcludes:
    def excludes(self, package: Any) -> bool:
        return bool(package.name == "foo")


class SubFilter(theirs.PackageFilter):
    def excludes(self, package: Any) -> Any:
        return "mine" if package.name == "bar" else super().excludes(package)


def test_rules_of_the_users_own() -> None:
    """They stand where rez put them, and are asked when rez asks them."""
    packages = Filters("own").packages(30)
    with in_both(packages) as both:
        told = []
        for side in (both.ours, both.theirs):
            rule, other = Asked(), Asked("bar", 5)
            given: Any = theirs.PackageFilter.from_pod({"excludes": ["foo-1", "*.0", "after(500)"]})
            given.add_exclusion(rule)
            given.add_inclusion(other)
            if side is both.ours:
                given = as_package_filter(given)
                assert given.key() is None and given.has_custom
            answers = [text_or_none(given.excludes(package)) for package in side]
            told.append((str(given), answers, rule.seen, other.seen))
        assert told[0] == told[1]


def test_a_rule_that_is_false_counts_for_nothing() -> None:
    class Untrue(Asked):
        def __bool__(self) -> bool:
            return False

    for pod in ({}, {"excludes": "*-1"}, {"excludes": ["*", "foo-1"]}):
        given = theirs.PackageFilter.from_pod(pod)
        for family in ("foo", None):
            given.add_exclusion(Untrue(family))
            given.add_inclusion(Untrue(family))
        filter_ = as_package_filter(given)
        assert filter_ is not None
        for package in (PackageData("foo", "1"), PackageData("foo", "2"), PackageData("bar", "1")):
            seen = SimpleNamespace(name=package.name, version=RezVersion(package.version), timestamp=0)
            seen.qualified_name = f"{package.name}-{package.version}"
            # where rez gives the rule, it is false as well
            assert text_or_none(filter_.excludes(seen)) == text_or_none(given.excludes(seen) or None)


def test_a_rule_needs_no_more_than_match() -> None:
    filter_ = PackageFilter()
    filter_.add_exclusion(OnlyMatch())
    filter_.add_exclusion("after(3)")
    assert filter_.cost == 2000 and filter_.key() is None
    assert filter_.excludes(PackageData("foo", "1")) and not filter_.excludes(PackageData("bar", "1"))
    with pytest.raises(ConfigurationError, match="match"):
        filter_.add_exclusion(5)
    with pytest.raises(ConfigurationError, match="match"):
        filter_.add_exclusion(OnlyMatch)


def test_filters_of_the_users_own() -> None:
    given = OnlyExcludes()
    for filter_ in (as_package_filter(given), as_package_filter([{"excludes": "bar"}, given])):
        assert filter_ is not None and filter_ and filter_.key() is None
        assert filter_.excludes(PackageData("foo", "1")) is True
        with pytest.raises(ConfigurationError, match="OnlyExcludes"):
            filter_.to_pod()
        later = with_timestamp(filter_, 5)
        assert later is not None
        assert str(later.excludes(PackageData("zoo", "1", timestamp=6))) == "after(5)"
        assert later.excludes(PackageData("foo", "1")) is True
        assert not filter_.excludes(PackageData("zoo", "1", timestamp=6))


class Changeable(OnlyExcludes):
    """A filter that can be copied, and takes rules."""

    def __init__(self, rules: tuple[Any, ...] = ()) -> None:
        self.rules = rules

    def excludes(self, package: Any) -> Any:
        return super().excludes(package) or any(rule.match(package) for rule in self.rules)

    def copy(self) -> Changeable:
        return type(self)(self.rules)

    def add_exclusion(self, rule: Any) -> None:
        self.rules = (*self.rules, rule)

    def add_inclusion(self, rule: Any) -> None:
        self.rules = tuple(each for each in self.rules if str(each) != str(rule))

    def to_pod(self) -> list[str]:
        return list(map(str, self.rules))

    def __str__(self) -> str:
        return f"changeable{self.rules}"


class Fixed(Changeable):
    """A filter that can be copied, and takes no rules."""

    def add_exclusion(self, rule: Any) -> None:
        raise NotImplementedError


class Uncopied(OnlyExcludes):
    """A filter that takes rules, and cannot be copied."""

    def add_exclusion(self, rule: Any) -> None:
        raise AssertionError("the user's own object must not be changed")


def test_a_filter_that_cannot_be_copied_is_not_changed() -> None:
    later = with_timestamp(as_package_filter(Uncopied()), 5)
    assert later is not None
    assert [bool(later.excludes(PackageData("zoo", "1", timestamp=time))) for time in (5, 6)] == [False, True]


@pytest.mark.parametrize("kind", [Changeable, Fixed])
def test_a_filter_of_the_users_own_takes_the_timestamp(kind: type[Changeable]) -> None:
    """As in rez it is handed over to a copy; if the copy does not take it, rez dies and we hide later packages."""
    given = kind()
    filter_ = as_package_filter(given)
    later = with_timestamp(with_timestamp(filter_, 8), 5)
    assert isinstance(later, CustomFilter) and later.given is not given and given.rules == ()
    assert [bool(later.excludes(PackageData("zoo", "1", timestamp=time))) for time in (5, 6, 9)] == [False, True, True]
    assert later.excludes(PackageData("foo", "1")) and not filter_.excludes(PackageData("zoo", "1", timestamp=9))
    assert (str(later), later.to_pod()) == (str(later.given), later.given.to_pod())
    if kind is Changeable:
        assert later.to_pod() == ["after(8)", "after(5)"] == resolver_rules(given, 8, 5)
        later.add_inclusion("after(5)")
        assert later.to_pod() == ["after(8)"]


def resolver_rules(given: Any, *timestamps: int) -> Any:
    given.sha1 = ""
    for timestamp in timestamps:
        given = resolver_filter(given, timestamp)
        given.sha1 = ""
    return given.to_pod()


def test_a_subclass_of_rez_filter_is_asked() -> None:
    given = SubFilter.from_pod({"excludes": ["foo"]})
    sub = SubFilter()
    sub._excludes, sub._includes = given._excludes, given._includes
    filter_ = as_package_filter(sub)
    assert isinstance(filter_, CustomFilter) and filter_.excludes(PackageData("bar", "1")) == "mine"
    # what rez's own copy makes of it, when there is a timestamp, is a plain filter
    mine, rez_filter = with_timestamp(filter_, 5), resolver_filter(sub, 5)
    assert str(mine) == str(rez_filter)


# --- time -------------------------------------------------------------------------------------------------------------


def resolver_filter(given: Any, timestamp: int | None) -> Any:
    """The filter that rez's resolver hands to its solver."""
    context: Any = None
    return Resolver(context, [], [], package_filter=given, timestamp=timestamp).package_filter


def test_timestamp_joins_as_in_rez() -> None:
    for seed in times(25):
        filters = Filters(f"time {seed}")
        with in_both(filters.packages(30)) as both:
            for _ in range(8):
                pod, timestamp = filters.list(), filters.rng.choice((None, 0, 1, 100, 999, 1_500_000_000, -7))
                given = theirs.PackageFilterList.from_pod(pod)
                if filters.rng.random() < 0.2:
                    given = theirs.PackageFilter.from_pod(filters.dict())
                filter_ = as_package_filter(given)
                before = filter_ and filter_.to_pod()
                mine = with_timestamp(filter_, timestamp)
                rez_filter = resolver_filter(given, timestamp)
                assert mine is not None and mine.to_pod() == rez_filter.to_pod()
                assert (filter_ and filter_.to_pod()) == before
                assert_same_text(mine, rez_filter)
                answers = [text_or_none(mine.excludes(package)) for package in both.ours]
                assert answers == [text_or_none(rez_filter.excludes(package)) for package in both.theirs]


def test_an_inclusion_rescues_later_packages() -> None:
    late = PackageData("foo", "1", timestamp=200)
    for pod, hides in (
        ([{"excludes": ["*.beta"], "includes": ["foo"]}], False),
        ([{"excludes": ["*.beta"], "includes": ["foo"]}, {"excludes": ["*.dev", "*.b"]}], True),
        ([{"includes": ["foo"]}], True),
    ):
        mine = with_timestamp(as_package_filter(pod), 100)
        assert mine is not None
        assert bool(mine.excludes(late)) is hides
        assert str(mine) == str(resolver_filter(theirs.PackageFilterList.from_pod(pod), 100))


def test_no_timestamp() -> None:
    filter_ = as_package_filter({"excludes": "foo"})
    assert with_timestamp(filter_, None) is filter_ and with_timestamp(filter_, 0) is filter_
    assert with_timestamp(None, None) is None
    assert str(with_timestamp(None, 5)) == str(resolver_filter(None, 5))
    for bad in ("5", 5.0, True, False, [], "-1d"):
        with pytest.raises(ConfigurationError) as caught:
            with_timestamp(filter_, bad)  # type: ignore[arg-type]
        assert repr(bad) in str(caught.value)


def test_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.75)
    for text in (
        "0", "12", " 12 ", "-12", "-12s", "-5.4m", "-1h", "-2d", "-1w", "-1y", "-", "-s", "", "now", "5d", "--5m",
        "-1e3s", "-99999999d", "-infs", "-nand", "- 5 d", "-1_0s", "1.5", "-1.5", "-1D", "\u0663", "-\u0663s", None,
        5.7, [], b"12", b"-5m", "-5m ", 10**30, "-.5d",
    ):  # fmt: skip
        expected = outcome(get_epoch_time_from_str, text)
        assert outcome(parse_time, text) == expected, text
        assert outcome(parse_time, text, 1_700_000_000) == expected, text
    assert parse_time("-1d", now=100_000) == 13_600
    assert outcome(parse_time, "-1w")[0] == "raised"


def test_many_rules_are_added_at_a_price_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """8,000 took 11 s, since all were sorted for each."""
    asked: list[Any] = []
    monkeypatch.setattr("rer_numba.filters.rule_cost", lambda rule: asked.append(rule) or ours.rule_cost(rule))
    found = PackageFilter()
    for rule in [*(f"glob(f-{number}.*)" for number in range(1000)), "f-3", "f"]:
        found.add_exclusion(rule)
    assert len(asked) < 20_000
    rules = found.exclusions["f"]
    assert [*rules] == sorted(rules, key=ours.rule_cost)
