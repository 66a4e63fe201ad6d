"""Filters over tables: for each package what the filter itself says, and rez, found for all of them at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rez.package_filter as theirs
from rez.packages import iter_packages
from rez.version import VersionRange

from rer_numba.encode import encode
from rer_numba.filters import PackageFilter, as_package_filter
from rer_numba.filters.compiled import CompiledFilter, Names, compile_filter
from rer_numba.filters.package import FilteredPackage, PackageLoadingError
from rer_numba.filters.rules import RangeRule, Rule, TimestampRule
from rer_numba.filters.time import with_timestamp
from rer_numba.packages import PackageData
from rer_numba.reader import Reader
from rer_numba.requirements import Requirement
from rer_numba.schema import NONE, Tables
from rer_numba.views import views_of
from tests.random_filters import Filters, in_both
from tests.version_texts import outcome, times

N_REPOSITORIES = 60
N_FILTERS = 10


def compiled(given: Any, tables: Tables) -> CompiledFilter:
    return compile_filter(as_package_filter(given), tables, Reader(tables))


def of_packages(tables: Tables, masks: list[int]) -> list[bool]:
    """For each package whether its bit is set in the mask of its family."""
    counts = np.diff(tables.family_package_offsets).tolist()
    assert all(mask >> count == 0 for mask, count in zip(masks, counts, strict=True))
    return [bool(mask >> bit & 1) for mask, count in zip(masks, counts, strict=True) for bit in range(count)]


def allowed(filter_: CompiledFilter, tables: Tables) -> list[bool]:
    """For each package whether a solve may see it, undecided ones included."""
    hidden = of_packages(tables, [filter_.of_family(family).hidden for family in range(len(tables.family_text))])
    named = filter_.named_families()
    if named is not None:
        offsets = tables.family_package_offsets
        others = set(range(len(hidden))) - {row for one in named for row in range(offsets[one], offsets[one + 1])}
        assert not any(hidden[row] for row in others)
    return [not one for one in hidden]


def undecided(filter_: CompiledFilter, tables: Tables) -> list[bool]:
    """For each package whether only `ask` knows."""
    return of_packages(tables, [filter_.of_family(family).undecided for family in range(len(tables.family_text))])


def one_by_one(filter_: Any, tables: Tables) -> list[bool]:
    """The slow, obvious way. A package that cannot be loaded counts as allowed."""
    reader = Reader(tables)
    found = []
    for row in range(len(tables.package_version_rank)):
        try:
            found.append(not (filter_ and filter_.excludes(FilteredPackage(tables, reader, row))))
        except PackageLoadingError:
            found.append(True)
    return found


def assert_as_one_by_one(filter_: Any, tables: Tables) -> None:
    expected = one_by_one(filter_, tables)
    found = compile_filter(filter_, tables, Reader(tables))
    for _ in range(2):
        assert allowed(found, tables) == expected, filter_
    assert [found.ask(row) for row in range(len(expected))] == expected, filter_
    assert not found.asks and not any(undecided(found, tables))


# --- built-in rules ---------------------------------------------------------------------------------------------------


def test_random_filters_against_rez() -> None:
    for seed in times(N_REPOSITORIES):
        filters = Filters(f"compile {seed}")
        with in_both(filters.packages(60)) as both:
            for _ in range(N_FILTERS):
                pod = filters.list()
                rez_filter = theirs.PackageFilterList.from_pod(pod)
                found = allowed(compile_filter(as_package_filter(pod), both.tables, both.reader), both.tables)
                assert found == [not rez_filter.excludes(package) for package in both.theirs], pod


def test_random_filters_one_by_one() -> None:
    """With a timestamp or without."""
    for seed in times(25):
        filters = Filters(f"one by one {seed}")
        tables = with_errors(encode(filters.packages(60)), filters)
        for _ in range(6):
            timestamp = filters.rng.choice((None, None, 100, 1_500_000_000))
            assert_as_one_by_one(with_timestamp(as_package_filter(filters.list()), timestamp), tables)


def test_odd_versions_and_times() -> None:
    packages = [
        PackageData("foo", version, timestamp=timestamp)
        for version, timestamp in (
            ("1\n2", 5), ("1\u00e92", -5), ("1 2.beta", 2**63 - 1), ("9" * 50, -(2**63) + 1), ("*", 0), ("a[b", None)
        )
    ]  # fmt: skip
    packages += [PackageData("bar", "", timestamp=7), PackageData("nuke", "1", ["zoo-1", "!zoo-3"])]
    tables = encode(packages)
    texts = [
        "*2", "foo-1*", "*\n*", "regex(foo-1.2)", "*\u00e9*", "regex(.*\u00e9)", "*beta", "foo==1.2", "foo-1_1",
        "*[[]b", "*-*", "bar", "glob(bar)", "glob(ba?)", "regex(bar$)", "zoo", "zoo-2", "nobody", "~foo",
        "foo>=" + "9" * 50,
        f"after({2**63 - 1})", f"before({2**63 - 1})", f"after({2**70})", f"before({2**70})", f"after({-(2**70)})",
        f"before({-(2**70)})", "after(-5)", "before(-5)", "after(bar:6)", "before(nobody:6)", "after(0)",
    ]  # fmt: skip
    for text in texts:
        assert_as_one_by_one(as_package_filter({"excludes": [text]}), tables)
        assert_as_one_by_one(as_package_filter({"excludes": ["*"], "includes": [text]}), tables)


def test_rules_without_a_text() -> None:
    tables = encode(Filters("no text").packages(60))
    for rule in (
        TimestampRule(99.5), TimestampRule(100.5, "foo", reverse=True), TimestampRule(float("inf")),
        TimestampRule(float("-inf")), TimestampRule.before(100, "foo"), TimestampRule.after(100),
        TimestampRule(50, match_untimestamped=True),
        TimestampRule(50, reverse=True, match_untimestamped=True), RangeRule(Requirement("foo-3+<2", False)),
    ):  # fmt: skip
        filter_ = PackageFilter()
        filter_.add_exclusion(rule)
        assert_as_one_by_one(filter_, tables)


@pytest.mark.parametrize("given", [None, [], {}, {"includes": ["foo"]}, {"excludes": []}])
def test_nothing_is_excluded(given: Any) -> None:
    tables = encode(Filters("nothing").packages(20))
    assert all(allowed(compiled(given, tables), tables))
    assert_as_one_by_one(as_package_filter(given), tables)


def test_empty_repository() -> None:
    tables = encode([])
    assert allowed(compiled({"excludes": ["*"]}, tables), tables) == []


def test_families_without_packages() -> None:
    tables = encode([PackageData("app", "1", ["lib-1", ".feat-1"])])
    filter_ = compiled({"excludes": ["lib", "*"]}, tables)
    answers = [tuple(filter_.of_family(family)) for family in range(3)]
    assert sorted(answers) == [(0, 0), (0, 0), (1, 0)]


def test_the_filter_may_change_afterwards() -> None:
    tables = encode([PackageData("foo", "1"), PackageData("bar", "1")])
    filter_ = as_package_filter([{"excludes": "foo"}])
    assert filter_ is not None
    before = compile_filter(filter_, tables, Reader(tables))
    filter_.add_exclusion("bar")
    assert allowed(before, tables) == [True, False] and before.ask(0)


class ReadingReader(Reader):
    """Remembers which texts were read."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.read: list[str] = []

    def text(self, text_id: int) -> str:
        self.read.append(super().text(text_id))
        return self.read[-1]


def test_a_rule_of_one_family_costs_nothing_elsewhere() -> None:
    packages = [PackageData(f"family{n}", f"{n}.{m}") for n in range(64) for m in range(20)]
    tables = encode(packages)
    reader = ReadingReader(tables)
    rules = ["family7-7.3", "family7-7.*1", "before(family7:5)", "regex(family9-.*5)", "nobody-*.5"]
    filter_ = compile_filter(as_package_filter({"excludes": rules, "includes": ["family8-*"]}), tables, reader)
    assert sorted(map(reader.family_name, filter_.named_families() or ())) == ["family7", "family9"]
    assert allowed(filter_, tables).count(False) == 1 + 2 + 2
    versions = {text for text in reader.read if "." in text}
    assert versions == {f"{n}.{m}" for n in (7, 9) for m in range(20)}
    assert len(reader.read) < 200  # the names of all families are, since all were asked for


# --- packages that cannot be loaded -----------------------------------------------------------------------------------

LOADING = ("ResourceError", "Problem loading package.py: invalid syntax")
VARIANTS = ("PackageMetadataError", "Validation of key 'variants' failed: ...")


def with_errors(tables: Tables, filters: Filters) -> Tables:
    """The tables with some packages that cannot be loaded, and some whose variants are wrong."""
    texts = [*LOADING, *VARIANTS]
    n_texts = len(tables.text_offsets) - 1
    ends = np.cumsum([len(text) for text in texts])
    rows = filters.rng.choices((NONE, 0, 1), (4, 1, 1), k=len(tables.package_error))
    return tables._replace(
        text_bytes=np.append(tables.text_bytes, np.frombuffer("".join(texts).encode(), np.uint8)),
        text_offsets=np.append(tables.text_offsets, tables.text_offsets[-1] + ends),
        error_type_text=np.array([n_texts, n_texts + 2], np.int32),
        error_value_text=np.array([n_texts + 1, n_texts + 3], np.int32),
        package_error=np.array(rows, np.int32),
    )


def test_a_package_that_cannot_be_loaded_has_no_time() -> None:
    tables = with_errors(encode([PackageData("foo", "1", timestamp=9)]), Filters(0))
    reader = Reader(tables)
    for error, raises in ((NONE, False), (0, True), (1, False)):
        broken = tables._replace(package_error=np.array([error], np.int32))
        package = FilteredPackage(broken, reader, 0)
        package._reader = Reader(broken)
        if raises:
            with pytest.raises(PackageLoadingError, match="invalid syntax"):
                _ = package.timestamp
        else:
            assert package.timestamp == 9
        assert (package.qualified_name, package.uri, str(package.version)) == ("foo-1", "foo/1/package.py", "1")
        assert (str(package), repr(package)) == ("foo-1", "FilteredPackage('foo-1')")
        for pod, expected in (
            ({"excludes": "after(5)"}, raises),
            ({"excludes": ["after(5)", "foo"]}, False),
            ({"excludes": "foo", "includes": "before(5)"}, raises),
        ):
            assert allowed(compiled(pod, broken), broken) == [expected]


BROKEN_FILES = {
    "1": "name = 'foo'\nversion = '1'\ntimestamp = 100\n",
    "2": "name = 'foo'\nversion = '2'\ntimestamp = 100\nrequires = ['bar-3+<2']\n",
    "3": "name = 'foo'\nversion = '3'\ntimestamp = 100\nvariants = [['bar-3+<2']]\n",
    "4": "name = 'foo'\nversion = '4'\ntimestamp = 100\nsyntax error here\n",
    "5": "name = 'foo'\nversion = '5'\ntimestamp = 100\nraise RuntimeError('x')\n",
    "6": None,
}
NOT_LOADED = ("4", "5", "6")


def test_when_rez_loads_a_package_for_a_rule(tmp_path: Path) -> None:
    """Only for its time, and only if no rule before that decides; wrong requirements do not matter yet."""
    for version, source in BROKEN_FILES.items():
        folder = tmp_path / "foo" / version
        folder.mkdir(parents=True)
        if source is not None:
            (folder / "package.py").write_text(source)
    packages = sorted(iter_packages("foo", paths=[str(tmp_path)]), key=lambda package: package.version, reverse=True)
    assert [str(package.version) for package in packages] == sorted(BROKEN_FILES, reverse=True)
    tables = with_errors(
        encode([
            PackageData("foo", version, ["bar-3+<2"] if version == "2" else None, timestamp=100)
            for version in BROKEN_FILES
        ]),
        Filters(0),
    )  # fmt: skip
    errors = [0 if str(package.version) in NOT_LOADED else NONE for package in packages]
    errors[3] = 1  # the bad variants of foo-3
    tables = tables._replace(package_error=np.array(errors, np.int32))
    reader = Reader(tables)
    ours = [FilteredPackage(tables, reader, row) for row in range(len(packages))]
    filters = Filters("loading")
    raised = 0
    for _ in times(400):
        pod = filters.list()
        mine, rez_filter = as_package_filter(pod), theirs.PackageFilterList.from_pod(pod)
        assert mine is not None
        for package, other in zip(ours, packages, strict=True):
            expected = outcome(lambda other=other: str(rez_filter.excludes(other)))  # noqa: B023
            answer = outcome(lambda package=package: str(mine.excludes(package)))  # noqa: B023
            assert (answer[0], expected[0]) == ("raised", "raised") or answer == expected, (pod, package)
            raised += answer[0] == "raised"
        assert_as_one_by_one(mine, tables)
    assert raised > 100


def test_packages_whose_time_rez_refuses_are_undecided() -> None:
    """Only for rules that would ask for it; one that cannot be loaded for the same reason is not."""
    tables = encode([PackageData("foo", version, timestamp=9) for version in "123"] + [PackageData("bar", "1")])
    errors = {"error_type_text": np.array([0], np.int32), "error_value_text": np.array([0], np.int32)}
    foo = int(np.flatnonzero(np.diff(tables.family_package_offsets) == 3)[0])
    start = int(tables.family_package_offsets[foo])
    time_error = np.full(4, NONE, np.int32)
    time_error[[start, start + 1]] = 0
    package_error = np.full(4, NONE, np.int32)
    package_error[start] = 0
    tables = tables._replace(**errors, package_timestamp_error=time_error, package_error=package_error)
    for pod, expected in (({"excludes": "after(5)"}, 0b010), ({"excludes": "foo"}, 0), ({"excludes": "bar"}, 0)):
        found = compiled(pod, tables)
        assert found.of_family(foo).undecided == expected, pod
        assert not found.asks and found.may_ask == (expected != 0)


def test_names_are_read_once_for_several_filters() -> None:
    tables = encode([PackageData("foo", f"1.{n}") for n in range(20)])
    reader = ReadingReader(tables)
    names = Names(views_of(tables), reader)
    for text in ("*.3", "*.4"):
        filter_ = compile_filter(as_package_filter({"excludes": text}), tables, reader, names)
        assert filter_.of_family(0).hidden.bit_count() == 1
    assert reader.read.count("1.7") == 1


# --- rules of the user's own ------------------------------------------------------------------------------------------


class Counting(Rule):
    """Hides versions with a 5, and remembers what it was asked."""

    def __init__(self, family: str | None = None) -> None:
        self._family = family
        self.seen: list[str] = []

    def match(self, package: Any) -> bool:
        self.seen.append(package.qualified_name)
        return "5" in str(package.version)

    def cost(self) -> float:
        return 20


def some_tables() -> Tables:
    return encode([PackageData(name, f"1.{n}", timestamp=n) for name in ("bar", "foo", "zoo") for n in range(10)])


def test_a_rule_is_asked_once_and_only_about_packages_looked_at() -> None:
    rule = Counting("foo")
    filter_ = PackageFilter()
    for exclusion in (rule, "bar-1.3", "foo-1.9", "after(8)"):
        filter_.add_exclusion(exclusion)
    tables = some_tables()
    lazy = compile_filter(filter_, tables, Reader(tables))
    assert lazy.asks
    assert undecided(lazy, tables) == [False] * 10 + [True] * 10 + [False] * 10
    assert [lazy.of_family(family).hidden.bit_count() for family in range(3)] == [2, 0, 1]
    assert rule.seen == []
    assert [lazy.ask(row) for row in (14, 12, 14, 10, 4)] == [False, True, False, False, True]
    assert rule.seen == ["foo-1.5", "foo-1.7"]  # foo-1.9 is hidden by a rule that comes first


@pytest.mark.parametrize("side", ["excludes", "includes"])
def test_a_rule_of_all_families_leaves_undecided_what_may_be_excluded(side: str) -> None:
    rule = Counting()
    filter_ = PackageFilter()
    filter_.add_exclusion("foo-1.9")
    filter_.add_exclusion("zoo-1.9")
    (filter_.add_exclusion if side == "excludes" else filter_.add_inclusion)(rule)
    tables = some_tables()
    lazy = compile_filter(filter_, tables, Reader(tables))
    not_bar = [row >= 10 for row in range(30)]
    assert undecided(lazy, tables) == ([True] * 30 if side == "excludes" else not_bar)
    assert all(allowed(lazy, tables)) and not rule.seen
    assert [lazy.ask(row) for row in range(30)] == one_by_one(filter_, tables)
    assert len(rule.seen) == 2 * (28 if side == "excludes" else 2)  # once by `ask` and once one by one


def test_a_rule_of_a_family_that_is_not_there() -> None:
    filter_ = PackageFilter()
    filter_.add_exclusion(Counting("nobody"))
    tables = some_tables()
    assert not compile_filter(filter_, tables, Reader(tables)).asks


def test_a_filter_of_the_users_own() -> None:
    class Own:
        asked = 0

        def excludes(self, package: Any) -> bool:
            self.asked += 1
            return bool(package.timestamp == 5)

    own = Own()
    tables = some_tables()
    lazy = compile_filter(as_package_filter([own, {"excludes": "bar"}]), tables, Reader(tables))
    assert lazy.asks and all(undecided(lazy, tables)) and all(allowed(lazy, tables)) and own.asked == 0
    # the filter that says what it costs is asked first
    assert [lazy.ask(row) for row in (0, 14, 15, 14)] == [False, False, True, False]
    assert own.asked == 2


def test_what_a_rule_raises_is_passed_on() -> None:
    class Bad(Counting):
        def match(self, package: Any) -> bool:
            super().match(package)
            raise KeyError("mine")

    rule = Bad()
    filter_ = PackageFilter()
    filter_.add_exclusion(rule)
    tables = some_tables()
    lazy = compile_filter(filter_, tables, Reader(tables))
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            lazy.ask(3)
    assert len(rule.seen) == 2


def test_a_view_shows_packages_of_another_kind() -> None:
    """A rule written for rez may want what only rez's packages have."""

    class ByRequires(theirs.Rule):
        _family = "foo"

        def cost(self) -> int:
            return 1

        def match(self, package: Any) -> bool:
            return bool(package.version in VersionRange("1") and package.requires)

    packages = [PackageData("foo", "1", ["bar"]), PackageData("foo", "2", ["bar"]), PackageData("foo", "1.0")]
    given = theirs.PackageFilter()
    given.add_exclusion(ByRequires())
    with in_both(packages) as both:
        lazy = compile_filter(as_package_filter(given), both.tables, both.reader, view=both.theirs.__getitem__)
        assert [lazy.ask(row) for row in range(3)] == [not given.excludes(package) for package in both.theirs]
        assert sum(map(lazy.ask, range(3))) == 2


def test_threads_ask_once() -> None:
    gate = threading.Barrier(4)

    class Slow(Counting):
        def match(self, package: Any) -> bool:
            threading.Event().wait(0.005)
            return super().match(package)

    rule = Slow()
    filter_ = PackageFilter()
    filter_.add_exclusion(rule)
    tables = some_tables()
    lazy = compile_filter(filter_, tables, Reader(tables))
    answers: list[list[bool]] = []

    def ask() -> None:
        gate.wait()
        answers.append([lazy.ask(row) for row in range(12)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [answers[0]] * 4 and len(rule.seen) == 12
