"""Random filters and small repositories for them: what the tests of filters share."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rez.package_filter import Rule
from rez.packages import iter_packages

from rer_numba.encode import encode
from rer_numba.filters.package import FilteredPackage
from rer_numba.packages import PackageData
from rer_numba.reader import Reader
from rer_numba.schema import Tables
from rer_numba.versions import version_key
from tests.oracle import RezOracle
from tests.version_texts import accepts

NAMES = ("foo", "foo", "bar", "foo_bar", "a.b", "Foo", "maya", "nuke")
VERSIONS = (
    "", "1", "1.0", "1.0.0", "1.0.5", "1-0.1", "1.0.beta", "1.0-beta", "2", "2.0", "2.1.5", "2.0.rc1", "2_", "10",
    "10.0", "beta", "dev-1", "3.5.alpha2", "2024.1", "1.a-b.c",
)  # fmt: skip
TIMES = (None, 0, 1, 99, 100, 101, 1000, 1_429_830_188, 2_000_000_000, -5)

LABELS = ("glob", "glob", "regex", "regex", "range", "before", "after")
GLOBS = (
    "*", "*.beta", "*-beta", "*beta*", "{name}*", "{name}-*", "{name}-{version}", "{name}-{version}*", "*-{version}",
    "*-{version}.*", "{name}.*", "{name}-*.5", "?oo-*", "[fm]*-2*", "*[0-9]", "*-2.*", "{name}-?", "{name}-1-*",
    "*o*-*0", "**", "{name}", "*[!0-9]",
)  # fmt: skip
REGEXES = (
    ".*", ".*beta$", ".*-beta", "{name}-", "{name}-{version}$", "{name}-.*", "{name}-[0-9]+", "{name}|bar-1", "^{name}",
    ".*[.]5$", "[a-m].*", "{name}$", "{name}.1", "{name}\\-1", ".*-2", "(?:foo|bar)-.*", "foo",
)  # fmt: skip
RANGES = (
    "{name}", "{name}-{version}", "{name}-{version}+", "{name}=={version}", "{name}<{version}", "{name}-1+<{version}",
    "{name}<={version}|>2.1", "!{name}-{version}", "~{name}-{version}", "~{name}", "{name}-1.0|2", "{name}>{version}",
    "{name}-1..2", "{name}#{version}", "nobody-1", "{name}-0+<0.5|7|9+", "!{name}",
    # bounds that no package has
    "{name}<=1.0.3", "{name}==1.0.3", "{name}>1.0.3", "!{name}==1.9", "{name}-1.0.0.9+<=2.1.1",
)  # fmt: skip
STAMPS = ("{time}", "{time}", "{name}:{time}", "{name}:{time}", " {time} ", "nobody:{time}", "-5", "0")


class Filters:
    """A seeded source of rules and filters as rez's configuration has them."""

    def __init__(
        self,
        seed: object,
        names: Sequence[str] = NAMES,
        versions: Sequence[str] = VERSIONS,
        times: Sequence[int | None] = TIMES,
    ) -> None:
        self.rng = random.Random(f"rer-filters-{seed}")
        self.names = names
        self.versions = versions
        self.times = times

    def rule(self) -> str:
        """Give a rule that rez accepts, in its long form or its short one."""
        while True:
            text = self._rule()
            if accepts(Rule.parse_rule, text):
                return text

    def _rule(self) -> str:
        label = self.rng.choice(LABELS)
        shapes = {"glob": GLOBS, "regex": REGEXES, "range": RANGES}.get(label, STAMPS)
        body = self.rng.choice(shapes).format(
            name=self.rng.choice(self.names),
            version=self.rng.choice(self.versions) or "1",
            time=self.rng.choice(self.times) or 100,
        )
        short = label == "range" or (label == "glob" and "*" in body)
        return body if short and self.rng.random() < 0.5 else f"{label}({body})"

    def rules(self, most: int) -> list[str]:
        """Give up to so many rules."""
        return [self.rule() for _ in range(self.rng.randint(0, most))]

    def dict(self) -> dict[str, Any]:
        """Give one filter."""
        made: dict[str, Any] = {}
        if self.rng.random() < 0.95:
            made["excludes"] = self.rules(4) if self.rng.random() < 0.9 else self.rule()
        if self.rng.random() < 0.5:
            made["includes"] = self.rules(3) if self.rng.random() < 0.9 else self.rule()
        return made

    def list(self) -> list[dict[str, Any]]:
        """Give a list of filters, most often of one."""
        return [self.dict() for _ in range(self.rng.choice((0, 1, 1, 1, 1, 2, 2, 3)))]

    def packages(self, count: int) -> list[PackageData]:
        """Give packages; no two of a family have equal versions, and none is unversioned beside others."""
        found: dict[tuple[str, bytes], PackageData] = {}
        for _ in range(count):
            name, version = self.rng.choice(self.names), self.rng.choice(self.versions)
            version = "" if name == "nuke" else version or "7"
            package = PackageData(name, version, timestamp=self.rng.choice(self.times))
            found.setdefault((name, version_key(version)), package)
        return list(found.values())


class Both:
    """The same packages in rez and in tables.

    Attributes
    ----------
    tables : Tables
    reader : Reader
    ours, theirs : list of packages
        Row by row.
    """

    def __init__(self, packages: list[PackageData], oracle: RezOracle) -> None:
        self.tables: Tables = encode(packages)
        self.reader = Reader(self.tables)
        rows = range(len(self.tables.package_version_rank))
        self.ours = [FilteredPackage(self.tables, self.reader, row) for row in rows]
        by_name = {
            (package.name, str(package.version)): package
            for name in {package.name for package in packages}
            for package in iter_packages(name, paths=oracle.paths)
        }
        self.theirs = [by_name[package.name, str(package.version)] for package in self.ours]


@contextmanager
def in_both(packages: list[PackageData]) -> Iterator[Both]:
    """Put packages into a memory repository of rez and into tables."""
    with RezOracle(packages) as oracle:
        yield Both(packages, oracle)
