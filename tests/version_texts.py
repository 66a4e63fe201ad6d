"""What the tests of versions and requirements share: a comparison with rez, and a seeded source of strings.

Each comparison runs one operation on rez's objects and on ours and wants equal outcomes: equal results (type, text and
ends), or errors of the same class name and text. A failure prints the strings it was made from.

`RER_TEST_SCALE` multiplies the number of random cases; seeds are fixed, so a failure comes back.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import rez.utils.formatting
import rez.version

from rer_numba.requirements import PackageRequest, Requirement, RequirementList, VersionedObject
from rer_numba.versions import Version, VersionRange, version_key

SCALE = float(os.environ.get("RER_TEST_SCALE", "1"))

OURS = SimpleNamespace(
    Version=Version,
    VersionRange=VersionRange,
    Requirement=Requirement,
    PackageRequest=PackageRequest,
    RequirementList=RequirementList,
    VersionedObject=VersionedObject,
)
REZ = SimpleNamespace(
    Version=rez.version.Version,
    VersionRange=rez.version.VersionRange,
    Requirement=rez.version.Requirement,
    PackageRequest=rez.utils.formatting.PackageRequest,
    RequirementList=rez.version.RequirementList,
    VersionedObject=rez.version.VersionedObject,
)

NAMES = ("foo", "foo", "foo", "bar", "a_b", "foo.bar", "1st", "_x", ".feat", ".feat")
BAD_NAMES = ("", "foo.", "fo..o", ".", "..x", "__pycache__", ".__pycache__", "f o", "fée", "foo|", "foo+", "foo\n")

# fmt: off
TOKENS = (
    "0", "00", "000", "1", "01", "001", "2", "3", "9", "10", "010", "11", "a", "A", "b", "Z", "_", "__", "1_", "_1",
    "1a", "1A", "a1", "a01", "alpha", "beta", "beta2", "SP3", "2018", "rc01", "2b3c", "12345678901234567890123",
)
# Few and close, so that ends meet often, also in two spellings.
NEAR_VERSIONS = (
    "1", "1.0", "1-0", "1_", "1.5", "2", "2", "2.0", "2_", "2.5", "3", "3", "3", "3.0", "3_", "4", "4.0.beta2", "5",
    "6", "7", "8", "9", "10",
)
PARTS = (
    "{a}", "{a}", "=={a}", "=={a}", "{a}+", ">{a}", ">={a}", "<{a}", "<={a}", "{a}+<{b}", "{a}+<{b}", "{a}+<={b}",
    ">={a},<{b}", ">={a}<={b}", ">{a}<{b}", ">{a},<={b}", "{a}..{b}", "{a}..{b}", "{a}<{b}", "{a},<={b}", "<{b},>{a}",
    "<={b},>={a}", "<{b},<{a}", "{b}+,>{a}", "{b},>={a}",
)
ODD_PARTS = (
    "", "\n", "==", "..", ">", ">=", "<=", "+", "{a}..", "..{a}", "+<{a}", "+<={a}", "><{a}", "<>{a}", "<=>=",
)
# fmt: on
NOISE = "\n\n \t|+<>=.,-_!~@#*()19aZéß٣²\x00"


def times(count: int) -> range:
    """Scale a number of random cases."""
    return range(max(1, round(count * SCALE)))


def plain(value: Any) -> Any:
    """Turn a result of either library into something that can be compared and read."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, VersionRange):
        ends = [(b.lower_version, b.lower_inclusive, b.upper_version, b.upper_inclusive) for b in value.bounds]
    elif isinstance(value, rez.version.VersionRange):
        ends = [(b.lower.version, b.lower.inclusive, b.upper.version, b.upper.inclusive) for b in value.bounds]
    else:
        return type(value).__name__, str(value)
    return "VersionRange", str(value), [(str(lower), a, str(upper), b) for lower, a, upper, b in ends]


def outcome(operation: Callable[..., Any], *arguments: Any) -> Any:
    """Run an operation; an error counts as its class name and text."""
    try:
        return plain(operation(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever rez raises, we must too
        return "raised", type(error).__name__, str(error)


def agree(operation: Callable[..., Any], *texts: Any) -> Any:
    """Run `operation(classes, *texts)` with our classes and with rez's, want the same outcome and give it."""
    ours, theirs = outcome(operation, OURS, *texts), outcome(operation, REZ, *texts)
    assert ours == theirs, f"for {texts!r}: ours gives {ours!r}, rez {theirs!r}"
    return ours


def agree_on_all(operations: dict[str, Callable[..., Any]], kind: str, *texts: str) -> None:
    """Make one object of each text with each library and want the same outcome of every operation on them."""
    ours = [getattr(OURS, kind)(text) for text in texts]
    theirs = [getattr(REZ, kind)(text) for text in texts]
    for name, operation in operations.items():
        mine, his = outcome(operation, *ours), outcome(operation, *theirs)
        assert mine == his, f"{name} of {texts!r}: ours gives {mine!r}, rez {his!r}"


def accepts(make: Callable[[str], Any], text: str) -> bool:
    """Tell whether a text can be read, and what was read be spelled."""
    return outcome(make, text)[0] != "raised"


class Texts:
    """A seeded source of strings of every kind."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def version(self) -> str:
        tokens = self.rng.choices(TOKENS, k=self.rng.choice((1, 1, 2, 2, 3, 4)))
        return tokens[0] + "".join(self.rng.choice("...-") + token for token in tokens[1:])

    def near(self) -> str:
        return self.rng.choice(NEAR_VERSIONS) if self.rng.random() < 0.9 else self.version()

    def part(self) -> str:
        a, b = self.near(), self.near()
        if self.rng.random() < 0.95 and version_key(b) < version_key(a):
            a, b = b, a
        return self.rng.choice(ODD_PARTS if self.rng.random() < 0.03 else PARTS).format(a=a, b=b)

    def range(self) -> str:
        if self.rng.random() < 0.1:
            return "|".join(f"=={version}" for version in self.rng.choices(NEAR_VERSIONS, k=self.rng.randint(4, 12)))
        return "|".join(self.part() for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3, 4, 6, 9))))

    def good_range(self) -> str:
        """Give a range that rez accepts."""
        while True:
            text = self.range()
            if accepts(REZ.VersionRange, text):
                return text

    def requirement(self) -> str:
        """Give one that rez's `Requirement` accepts; its `PackageRequest` may not ('!.feat')."""
        while True:
            text = self.rng.choice(("", "", "", "!", "!", "~")) + self.rng.choice(NAMES)
            if self.rng.random() > 0.15:
                text += self.rng.choice("---@#") + self.range()
            if accepts(REZ.Requirement, text):
                return text

    def loose_requirement(self) -> str:
        """Give one with any sign, name and range, and perhaps nothing between the last two."""
        name = self.rng.choice(NAMES + BAD_NAMES)
        return self.rng.choice(("", "!", "~", "!~", "!!")) + name + self.rng.choice(("", "", "-")) + self.range()

    def damaged(self, text: str) -> str:
        """Insert, drop or replace a character or two."""
        for _ in range(self.rng.choice((1, 1, 2))):
            at = self.rng.randint(0, len(text))
            text = text[:at] + self.rng.choice(("", *NOISE)) + text[at + self.rng.choice((0, 0, 1)) :]
        return text
