"""Versions, ranges and errors: the same answers and the same text as rez itself, on many strings.

The comparison and the strings come from tests/version_texts.py; the knob `RER_TEST_SCALE` is told there.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import rez.exceptions

from rer_numba import errors
from rer_numba.requirements import as_version_range
from rer_numba.versions import Version, VersionRange, version_key
from tests.version_texts import NEAR_VERSIONS, REZ, Texts, accepts, agree, agree_on_all, outcome, plain, times

# --- versions ---------------------------------------------------------------------------------------------------------


def told_version(lib: Any, text: str) -> list[Any]:
    version = lib.Version(text)
    return [version, version.next(), version.as_tuple(), len(version), bool(version), *map(version.trim, range(4))]


def test_version_texts() -> None:
    texts = Texts(1)
    for _ in times(4000):
        text = texts.version()
        agree(told_version, text)
        agree(told_version, texts.damaged(text))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "1..2", "1.", ".1", "1,2", "1 2", "1\n", "\n", "é", "1é2", "1٣", "-", "1+", "1.0.beta2"]
)
def test_version_corners(text: str) -> None:
    agree(told_version, text)


def test_version_order() -> None:
    texts = Texts(2)
    spelled = ["", "1", "1.0", "1-0", "1_", "1_.0", "01", "001", "0", "00", "a", "a1", "1a", "A", "_", "1.a", "1.A"]
    spelled += ["9" * 239, "9" * 240, "1" + "0" * 240, "1" + "0" * 255, "1" + "0" * 256, "9" * 4000, "0" * 300 + "1"]
    both = [(Version(text), REZ.Version(text)) for text in spelled] + [(Version.inf, REZ.Version.inf)]
    several = [(Version(text), REZ.Version(text)) for text in (texts.version() for _ in times(200))]
    pairs = [texts.rng.choices(several, k=2) for _ in times(10_000)]
    for (a, x), (b, y) in itertools.chain(itertools.product(both, repeat=2), pairs):
        assert (a < b, a == b, a > b, a <= b, a >= b) == (x < y, x == y, x > y, x <= y, x >= y), (str(a), str(b))
        assert (a.key < b.key, a.key == b.key) == (x < y, x == y), (str(a), str(b))
        assert a != b or hash(a) == hash(b), (str(a), str(b))


def test_digits_beyond_what_rez_reads() -> None:
    """Python refuses to turn more than 4300 digits into a number, so rez dies; we go on."""
    keys = [version_key("1" * length) for length in (4300, 4301, 65_535, 65_536, 70_000)]
    assert keys == sorted(keys)


# --- the grammar of ranges --------------------------------------------------------------------------------------------


def lenient_range(lib: Any, text: str) -> Any:
    return lib.VersionRange(text, invalid_bound_error=False)


def strict_range(lib: Any, text: str) -> Any:
    return lib.VersionRange(text)


def test_every_short_shape() -> None:
    signs = ["1", "2", "==", ">", ">=", "<", "<=", "..", "+", ","]
    for length in range(5):
        for combination in itertools.product(signs, repeat=length):
            agree(strict_range, "".join(combination))
            agree(lenient_range, "".join(combination))


def test_range_texts() -> None:
    texts = Texts(3)
    for _ in times(4000):
        text = texts.range()
        for spelled in (text, texts.damaged(text)):
            agree(strict_range, spelled)
            agree(lenient_range, spelled)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1<2", "1+<2"), ("<4,<3", "3+<4"), ("4+,>3", ">3<=4"), ("4,>3", ">3<=4"), ("<=", "=="), ("==", "==")]
    + [("..", "=="), (">", ">"), (">=", ""), ("+", ""), ("+<2", "<2"), ("><2", "><2"), ("<=>=", "=="), ("..1", "<=1")],
)
def test_odd_shapes(text: str, expected: str) -> None:
    assert str(VersionRange(text)) == expected
    agree(strict_range, text)


@pytest.mark.parametrize("text", ["1\n", "\n", "1\n|2\n", "\n|1", "1|\n", "1\n\n", "\n1", "==1\n", "1+\n<2", "<\n"])
def test_newlines(text: str) -> None:
    agree(strict_range, text)


@pytest.mark.parametrize("text", ["|", "1|", "|1", "|3+<2", "3+<2|", "|<>", "|*", "*|", "1||2", "||", "|\n", "\n|"])
def test_empty_parts(text: str) -> None:
    agree(strict_range, text)


@pytest.mark.parametrize(
    "text", ["3+<2", "3+<2|1", "5|3+<2", ">3<3", ">=3<3", "3..2", "1..", "<>3", "<>", "1|<>", "4,<3", ">1<=1"]
)
def test_impossible_bounds(text: str) -> None:
    agree(strict_range, text)
    agree(lenient_range, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3+<2", "Invalid version range '3+<2': Invalid bound"),
        ("1|x y", "Syntax error in version range '1|x y': Syntax error in version range 'x y'"),
        ("<>3", "Invalid version range '<>3': Invalid upper bound: '<'"),
    ],
)
def test_error_texts(text: str, expected: str) -> None:
    assert agree(strict_range, text) == ("raised", "VersionError", expected)


# --- sets of versions -------------------------------------------------------------------------------------------------

ALONE: dict[str, Callable[[Any], Any]] = {
    name: lambda a, name=name: getattr(a, name)()
    for name in ("is_any", "lower_bounded", "upper_bounded", "bounded", "span", "split", "to_versions", "__len__")
} | {"inverse": lambda a: ~a, "inverse twice": lambda a: ~a and ~~a}

PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "union": lambda a, b: a | b,
    "sum": lambda a, b: a + b,
    "intersection": lambda a, b: a & b,
    "difference": lambda a, b: a - b,
    "union of three": lambda a, b: a.union([b, a]),
    "intersection of three": lambda a, b: a.intersection([b, a]),
    "intersects": lambda a, b: a.intersects(b),
    "superset": lambda a, b: a.issuperset(b),
    "subset": lambda a, b: a.issubset(b),
    "contains": lambda a, b: b in a,
    "equal": lambda a, b: a == b,
    "order": lambda a, b: [a < b, a <= b, a > b, a >= b],
    "again": lambda a, b: [(a | b) & b, (a | b).issuperset(a), (a | b).intersects(b), (a | b) == a],
    "inverse of union": lambda a, b: ~(a | b),
    "difference of union": lambda a, b: a - (a | b),
}


def test_ranges_alone() -> None:
    texts = Texts(4)
    for _ in times(2000):
        text = texts.good_range()
        agree_on_all(ALONE, "VersionRange", text)
        theirs = REZ.VersionRange(text)
        assert plain(as_version_range(theirs)) == plain(theirs), text


def test_pairs_of_ranges() -> None:
    texts = Texts(5)
    for _ in times(2500):
        one, two = texts.good_range(), texts.good_range()
        agree_on_all(PAIRS, "VersionRange", one, two)
        a, b = VersionRange(one), VersionRange(two)
        assert a != b or hash(a) == hash(b), (one, two)


def test_members() -> None:
    texts = Texts(6)
    near = [*NEAR_VERSIONS, "", "0", "1.2.3", "2a", "2.5.1", "3.1", "99"]
    ours = [*map(Version, near), Version.inf]
    theirs = [*map(REZ.Version, near), REZ.Version.inf]
    for _ in times(1000):
        text = texts.good_range()
        range_, rez_range = VersionRange(text), REZ.VersionRange(text)
        assert [version in range_ for version in ours] == [version in rez_range for version in theirs], text


def test_unions_that_stay_in_pieces() -> None:
    """What rez leaves touching is searched in rez's way, few bounds or many."""
    texts = Texts(7)
    pieces = ["1..3|2|>3", "5..7|6|>7<=9", "1..3|2|>3<5|7", "1..2|1.5|>2<=3|2.5|>3<=4|3.5|>4<=5|4.5|>5<6|5.5|>6"]
    for _ in times(1000):
        one = "|".join([texts.rng.choice(pieces), *(texts.part() for _ in range(texts.rng.randint(0, 3)))])
        two = texts.rng.choice([*pieces, texts.range(), texts.near(), "==3", ">2<=3", "2.7+<3.5"])
        if accepts(REZ.VersionRange, one) and accepts(REZ.VersionRange, two):
            agree_on_all(PAIRS, "VersionRange", one, two)
            agree_on_all(PAIRS, "VersionRange", two, one)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1..3|>3", "1+"), ("1..3|2|>3", "1..3|>3"), ("1+<3|>3", "1+<3|>3"), ("1+<3|2..2.5|>3", "1+")]
    + [("1.0..2|1-0..3", "1.0..3"), ("1-0..3|1.0..2", "1.0..3"), ("1..2.0|1..2-0", "1..2.0")],
)
def test_union_quirks(text: str, expected: str) -> None:
    assert agree(strict_range, text)[1] == expected


def test_touching_pieces_have_no_inverse() -> None:
    assert agree(lambda lib: ~lib.VersionRange("1..3|2|>3")) == ("raised", "VersionError", "Invalid bound")


def test_spelling_of_equal_ends() -> None:
    assert agree(lambda lib: lib.VersionRange("1-0..2.0") & lib.VersionRange("1.0..2-0"))[1] == "1-0..2.0"


def span(lib: Any, lower: str | None, upper: str | None, *inclusive: bool) -> Any:
    ends = [None if text is None else lib.Version(text) for text in (lower, upper)]
    return lib.VersionRange.as_span(*ends, *inclusive)


def from_version(lib: Any, text: str, op: str | None) -> Any:
    return lib.VersionRange.from_version(lib.Version.inf if text == "inf" else lib.Version(text), op)


def exactly(lib: Any, several: list[str]) -> Any:
    made = lib.VersionRange.from_versions(map(lib.Version, several))
    return [made, made.to_versions()]


def test_spans_and_lists() -> None:
    texts = Texts(8)
    for _ in times(1500):
        a, b = texts.near(), texts.near()
        flags = texts.rng.random() < 0.5, texts.rng.random() < 0.5
        agree(span, *texts.rng.choice([(a, b), (b, a), ("", a), (None, b), (a, None), (None, None)]), *flags)
        agree(exactly, [texts.near() for _ in range(texts.rng.randint(0, 8))])


@pytest.mark.parametrize("op", [None, "==", "eq", ">", "gt", ">=", "gte", "<", "lt", "<=", "lte", "~", ""])
@pytest.mark.parametrize("text", ["", "1", "1_", "1-0.a", "inf"])
def test_from_version(text: str, op: str | None) -> None:
    outcome_ = agree(from_version, text, op)
    if text in ("", "inf") and op is None:
        assert outcome_ == ("raised", "VersionError", "Invalid upper bound: '<[INF]'")


# --- what the rival tool reads wrong ----------------------------------------------------------------------------------


def members(lib: Any, text: str, *versions: str) -> list[bool]:
    return [lib.Version(version) in lib.VersionRange(text) for version in versions]


def test_exclusive_lower_end() -> None:
    assert agree(members, ">2.0", "1", "2.0", "2.0.1", "3") == [False, False, True, True]


def test_inclusive_upper_end() -> None:
    assert agree(strict_range, "1+<=2")[1] == "1..2"
    assert agree(members, "1+<=2", "0.9", "1", "1.5", "2", "2.0") == [False, True, True, True, False]
    assert agree(members, ">1<=2", "1", "1.5", "2", "2.0") == [False, True, True, False]


def test_all_but_one() -> None:
    assert agree(members, "<3|>3", "2.9", "3", "3.0") == [True, False, True]
    assert agree(lambda lib: ~lib.VersionRange("<3|>3"))[1] == "==3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", True), ("<1", True), ("<=1", True), ("==", True), (">=", True), ("1|<2", True)]
    + [(">", False), ("1", False), ("0+", False)],
)
def test_unversioned(text: str, expected: bool) -> None:
    assert agree(members, text, "") == [expected]


# --- errors and pickles -----------------------------------------------------------------------------------------------

REZ_ERRORS = (
    "RezError RezSystemError ConfigurationError ResolveError PackageFamilyNotFoundError PackageNotFoundError "
    "ResourceError ResourceContentError PackageMetadataError PackageRequestError"
)
ERRORS = [
    errors.RepositoryCorruptError("a.rer", "checksum of package_version_id is wrong", "encode it again"),
    errors.RepositoryVersionError("a.rer", "layout 7", "update rer-numba"),
    errors.SolveLimitError("scopes", 70_000, 65_536),
    errors.PackageMetadataError("no name", path="package.py"),
    errors.PackageRequestError("Not a valid package name: ''"),
    errors.VersionError("Invalid bound"),
]


@pytest.mark.parametrize("name", REZ_ERRORS.split())
def test_error_tree(name: str) -> None:
    ours, theirs = getattr(errors, name), getattr(rez.exceptions, name)
    assert [base.__name__ for base in ours.__mro__] == [base.__name__ for base in theirs.__mro__]
    assert (str(ours("text")), str(ours())) == (str(theirs("text")), str(theirs()))


@pytest.mark.parametrize("given", [{}, {"value": "v"}, {"path": "p"}, {"value": "v", "path": "p", "resource_key": "k"}])
def test_content_error_text(given: dict[str, str]) -> None:
    assert str(errors.PackageMetadataError(**given)) == str(rez.exceptions.PackageMetadataError(**given))


def test_own_error_texts() -> None:
    assert [str(error) for error in ERRORS[:3]] == [
        "a.rer: checksum of package_version_id is wrong; encode it again",
        "a.rer: layout 7; update rer-numba",
        "the solve needs 70000 scopes, the limit is 65536",
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_pickle(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("value", [Version("1-0"), Version.inf, VersionRange("1+<2|==3")], ids=str)
def test_values_pickle(value: Any) -> None:
    copy = pickle.loads(pickle.dumps(value))
    assert (type(copy), copy, str(copy)) == (type(value), value, str(value))
    assert outcome(hash, copy) == outcome(hash, value)


def test_infinity_is_one_object() -> None:
    copy = pickle.loads(pickle.dumps(VersionRange("1+")))
    assert copy.bounds[0].upper_version is Version.inf
