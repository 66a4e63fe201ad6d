"""Requirements, requests, their lists and versioned objects: the same answers and the same text as rez itself.

The comparison and the strings come from tests/version_texts.py; the knob `RER_TEST_SCALE` is told there.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from rer_numba.requirements import (
    PackageRequest,
    Requirement,
    VersionedObject,
    as_requirement,
    as_version_range,
    is_valid_package_name,
)
from rer_numba.versions import VersionRange
from tests.version_texts import NAMES, REZ, Texts, accepts, agree, agree_on_all, outcome, times

# rez's name pattern takes twice as long for each further letter of a name that is wrong at its end.
LONGEST_NAME = 16


def told(requirement: Any) -> list[Any]:
    """Everything a requirement says about itself."""
    r = requirement
    sep = r.sep if isinstance(r, Requirement) else r.sep_
    return [r, r.name, r.range, r.conflict, r.weak, sep, str(r), r.safe_str()]


def told_requirement(lib: Any, text: str) -> list[Any]:
    return told(lib.Requirement(text))


def told_request(lib: Any, text: str) -> list[Any]:
    request = lib.PackageRequest(text)
    return [*told(request), request.ephemeral]


def lenient_requirement(lib: Any, text: str) -> Any:
    return lib.Requirement(text, invalid_bound_error=False)


def told_object(lib: Any, text: str) -> list[Any]:
    versioned = lib.VersionedObject(text)
    return [versioned, versioned.name, versioned.version, versioned.as_exact_requirement()]


# --- one text ---------------------------------------------------------------------------------------------------------


def test_requirement_texts() -> None:
    texts = Texts(11)
    for _ in times(2500):
        text = texts.rng.choice((texts.requirement, texts.loose_requirement))()
        for spelled in (text, texts.damaged(text)):
            agree(told_requirement, spelled)
            agree(lenient_requirement, spelled)
            agree(told_object, spelled)
            if len(re.split("[-@#=<>]", spelled)[0]) <= LONGEST_NAME:
                agree(told_request, spelled)


@pytest.mark.parametrize(
    "text",
    [
        "foo@1",
        "foo#1",
        "foo@==1",
        "foo-",
        "foo-<2",
        "foo<2",
        "foo+",
        "foo|1",
        "~foo",
        "~foo-",
        "~foo-1",
        "!foo",
        "",
        "!",
    ]
    + ["~", "!~foo", "foo bar", "a>2.0", "foo==1.0.1", "fée", "foo\n", "foo-1\n", "__pycache__", "foo=1", "foo-3+<2"],
)
def test_forms(text: str) -> None:
    agree(told_requirement, text)
    agree(told_request, text)
    agree(told_object, text)


@pytest.mark.parametrize(
    "text",
    [".feat", ".feat-1", "!.feat", "~.feat-1", "!.feat-1", "..feat", ".", ".feat.x>1", ".feat#2", ".__pycache__"],
)
def test_ephemerals(text: str) -> None:
    request = agree(told_request, text)
    if text[0] in "!~":
        assert request == ("raised", "PackageRequestError", "Not a valid package name: '.feat'")


def test_long_bad_name_is_quick() -> None:
    """rez's pattern would need longer than the world has been there."""
    assert not is_valid_package_name("a" * 100_000 + "!")


def test_constructed() -> None:
    agree(lambda lib: told(lib.Requirement.construct("foo")))
    agree(lambda lib: told(lib.Requirement.construct("foo", lib.VersionRange("<2|==3"))))
    agree(lambda lib: lib.VersionedObject.construct("foo"))
    agree(lambda lib: lib.VersionedObject.construct("foo", lib.Version("1-0")))


# --- two texts --------------------------------------------------------------------------------------------------------

PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "merged": lambda a, b: a.merged(b),
    "merged and told": lambda a, b: told(a.merged(b)),
    "merged twice": lambda a, b: told(a.merged(b).merged(a)),
    "conflict": lambda a, b: a.conflicts_with(b),
    "equal": lambda a, b: a == b,
}


def test_pairs_of_requirements() -> None:
    texts = Texts(12)
    for _ in times(3000):
        one, two = texts.requirement(), texts.requirement()
        if texts.rng.random() < 0.7:
            two = two.replace(Requirement(two).name, Requirement(one).name, 1)
        kind = texts.rng.choice(("Requirement", "PackageRequest"))
        if accepts(getattr(REZ, kind), one) and accepts(getattr(REZ, kind), two):
            agree_on_all(PAIRS, kind, one, two)
            a, b = Requirement(one), Requirement(two)
            assert a != b or hash(a) == hash(b), (one, two)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [("foo-3+", "!foo-5+", "foo-3+<5"), ("foo-1", "foo-1.5", "foo-1.5"), ("!foo-2", "!foo-5", "!foo-2|5")]
    + [
        ("~foo-1", "~foo-2", "!foo"),
        ("~foo", "foo-1", "foo-1"),
        ("foo@1", "foo#1", "foo@1"),
        ("!foo-1", "foo@1+", "foo@1_+"),
    ],
)
def test_merges(one: str, two: str, expected: str) -> None:
    assert agree(lambda lib: str(lib.Requirement(one).merged(lib.Requirement(two)))) == expected


def refuses(lib: Any, requirement: str, versioned: str) -> bool:
    return lib.Requirement(requirement).conflicts_with(lib.VersionedObject(versioned))


def same_object(lib: Any, one: str, two: str) -> bool:
    return lib.VersionedObject(one) == lib.VersionedObject(two)


def test_versioned_objects() -> None:
    texts = Texts(13)
    for _ in times(1500):
        one, two = (texts.rng.choice(NAMES) + texts.rng.choice("-@#") + texts.near() for _ in range(2))
        agree(refuses, texts.requirement(), one)
        agree(same_object, one, two)
        assert VersionedObject(one) != VersionedObject(two) or hash(VersionedObject(one)) == hash(VersionedObject(two))


def test_exclusive_lower_end_of_a_request() -> None:
    """The rival tool solves `a>2.0` with a-2.0."""
    assert agree(refuses, "a>2.0", "a-2.0") is True
    assert agree(refuses, "a>2.0", "a-2.0.1") is False


# --- lists ------------------------------------------------------------------------------------------------------------


def as_list(lib: Any, several: list[str]) -> Any:
    return lib.RequirementList([lib.Requirement(text) for text in several])


def told_list(lib: Any, several: list[str]) -> list[Any]:
    r = as_list(lib, several)
    merged = [r.get(name) for name in NAMES]
    return [r, r.requirements, list(r), r.conflict, r.names, r.conflict_names, merged]


def same_list(lib: Any, one: list[str], two: list[str]) -> bool:
    return as_list(lib, one) == as_list(lib, two)


def test_requirement_lists() -> None:
    texts = Texts(14)
    for _ in times(1500):
        several = [texts.requirement() for _ in range(texts.rng.randint(0, 7))]
        if texts.rng.random() < 0.5:
            several = [text for text in several if "+" in text or text[0] in "!~"]
        agree(told_list, several)
        agree(same_list, several, texts.rng.sample(several, len(several)))


def test_first_conflict_ends_the_merge() -> None:
    several = ["foo-1", "bar-2", "foo-1.5", "foo-2", "baz"]
    told_ = agree(told_list, several)
    assert told_[0] == ("RequirementList", "foo-1.5 <--!--> foo-2")
    assert told_[1] == []


# --- what users hand in -----------------------------------------------------------------------------------------------


def test_requirements_of_rez() -> None:
    texts = Texts(15)
    for _ in times(1000):
        one, two = texts.requirement(), texts.requirement()
        given = [REZ.Requirement(one), REZ.Requirement(two)]
        merged = outcome(REZ.Requirement.merged, *given)
        if merged and merged[0] != "raised":
            given.append(given[0].merged(given[1]))
        for theirs in given:
            assert outcome(told, as_requirement(theirs)) == outcome(told, theirs), (one, two)


def test_impossible_requirement_of_rez() -> None:
    theirs = REZ.Requirement("foo-3+<2", invalid_bound_error=False)
    assert outcome(told, as_requirement(theirs)) == outcome(told, theirs)


def test_what_a_request_may_be() -> None:
    request = Requirement("foo-1")
    assert as_requirement(request) is request
    assert type(as_requirement("foo-1")) is PackageRequest
    assert as_version_range("1+") == VersionRange("1+")


@pytest.mark.parametrize("wrong", [None, 5, b"foo", ["foo"], VersionRange("1")], ids=lambda wrong: type(wrong).__name__)
def test_what_a_request_may_not_be(wrong: Any) -> None:
    with pytest.raises(TypeError, match=type(wrong).__name__):
        as_requirement(wrong)


@pytest.mark.parametrize("value", [PackageRequest("~foo@1"), Requirement("!foo"), VersionedObject("foo#1")], ids=str)
def test_values_pickle(value: Any) -> None:
    copy = pickle.loads(pickle.dumps(value))
    assert (type(copy), copy, str(copy)) == (type(value), value, str(value))
