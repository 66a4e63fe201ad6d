"""Random orderers, ranges and repositories for the tests of package orderers, each with what rez makes of it.

A case is one list of orderers in configuration form, read by rez and by us, and a small repository whose release times
rez is told through `told_packages`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import rez.package_order
from rez.package_order import PackageOrderList

from rer_numba import PackageData
from rer_numba.encode import encode
from rer_numba.errors import VersionError
from rer_numba.orderers import Orderers, OrderMeaning, as_package_orderers
from rer_numba.orderers.keys import EQUAL, GREATER, LESS, NEITHER
from rer_numba.orderers.tables import CompiledOrders
from rer_numba.reader import Reader
from rer_numba.rez_versions import order_meaning
from rer_numba.schema import Tables
from rer_numba.versions import Version, VersionRange

MEANING = order_meaning(rez.__version__)
"""What orderers do in the rez that is here."""

get_orderer = getattr(rez.package_order, "get_orderer", None)

makes_keys = pytest.mark.skipif(
    MEANING is OrderMeaning.LISTS, reason="the orderers of this rez make lists, and no keys: see test_rez_versions.py"
)
"""Mark of tests that ask rez for its keys."""

FAMILIES = ("ape", "bee", "cat", "dog", "eel")
# few and close, so that keys of different families often hold the same version
VERSIONS = ("", "1", "1.0", "1.0.1", "1.1", "1.1.b", "2", "2.0", "2.5.1", "2.5.2", "3", "3.0.1", "beta", "01")
RANGES = ("", "{a}", "{a}", "=={a}", "{a}+", ">{a}", "<{b}", "<={b}", "{a}..{b}", "{a}+<{b}", ">{a}<{b}", "=={a}|=={b}")

Packages = dict[str, list[tuple[str, int | None]]]
"""Family -> version and release time of its packages, as handed in."""


# ------------------------------------------------------------------------------------------------------ random cases


def some_families(rng: random.Random) -> list[str]:
    return rng.sample(FAMILIES, rng.randint(1, 3)) + (["*"] if rng.random() < 0.2 else [])


def random_pod(rng: random.Random, nested: bool = False) -> dict[str, Any]:
    kinds = ["no_order", "sorted", "sorted", "version_split", "version_split", "soft_timestamp", "soft_timestamp"]
    kind = rng.choice(kinds if nested else [*kinds, "per_family"])
    if kind == "per_family":
        # every family has an orderer: rez dies where one has none
        orderers = [{**random_pod(rng, True), "packages": some_families(rng)} for _ in range(rng.randint(1, 3))]
        return {"type": kind, "orderers": orderers, "default_order": random_pod(rng, True)}
    pod: dict[str, Any] = {"type": kind}
    if kind == "sorted":
        pod["descending"] = rng.random() < 0.5
    if kind == "version_split":
        pod["first_version"] = rng.choice([*VERSIONS, "1.5", "2-0"])
    if kind == "soft_timestamp":
        pod.update(timestamp=rng.randrange(0, 10), rank=rng.choice([0, 0, 1, 2, 3, 4, -1]))
    if not nested and rng.random() < 0.6:
        pod["packages"] = some_families(rng)
    return pod


def split_and_soft_pods(rng: random.Random) -> list[dict[str, Any]]:
    """The only two that must be compared pair by pair."""
    split = {"type": "version_split", "first_version": rng.choice(VERSIONS[1:9]), "packages": some_families(rng)}
    return [split, {"type": "soft_timestamp", "timestamp": rng.randrange(1, 6)}]


def random_range_text(rng: random.Random) -> str:
    while True:
        a, b = sorted(rng.sample(VERSIONS[1:], 2), key=Version)
        text = "|".join(rng.choice(RANGES).format(a=a, b=b) for _ in range(rng.choice([1, 1, 1, 2])))
        try:
            VersionRange(text)
        except VersionError:
            continue
        return text


def random_packages(rng: random.Random) -> Packages:
    found: Packages = {}
    for family in FAMILIES:
        distinct = {Version(text): text for text in rng.sample(VERSIONS, rng.randint(1, 7))}
        found[family] = [(text, rng.choice([None, 0, *range(1, 10)])) for text in distinct.values()]
    return found


@contextmanager
def told_packages(packages: Packages) -> Iterator[None]:
    """Let rez's soft_timestamp see these packages."""

    def iter_packages(name: str) -> Iterator[Any]:
        for text, timestamp in packages.get(name, ()):
            yield SimpleNamespace(name=name, version=rez.version.Version(text), timestamp=timestamp)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rez.package_order, "iter_packages", iter_packages)
        yield


def packages_of(packages: Packages) -> Callable[[str], list[tuple[Version, int | None]]]:
    return lambda name: [(Version(text), timestamp) for text, timestamp in packages.get(name, ())]


@contextmanager
def random_case(
    seed: int, by_pair: bool = False
) -> Iterator[tuple[random.Random, Packages, Orderers, PackageOrderList]]:
    rng = random.Random(seed)
    packages = random_packages(rng)
    pods = split_and_soft_pods(rng) if by_pair else [random_pod(rng) for _ in range(rng.randint(1, 3))]
    ours = as_package_orderers(pods, rez.__version__)
    assert ours is not None
    with told_packages(packages):
        yield rng, packages, ours, PackageOrderList.from_pod(pods)


def rez_key(orderers: PackageOrderList, family: str, version_like: Any) -> Any:
    return get_orderer(family, orderers=orderers).sort_key(family, version_like)


def relation(key: Callable[..., Any], one: tuple[Any, ...], two: tuple[Any, ...]) -> Any:
    """(a == b, a < b, b < a, a > b) of the keys of two things, or RAISED."""
    try:
        a, b = key(*one), key(*two)
        return bool(a == b), bool(a < b), bool(b < a), bool(a > b)
    except Exception:  # noqa: BLE001 - rez raises what Python raises
        return RAISED


RAISED = "raised"
AS_RELATION = {EQUAL: (True, False, False), LESS: (False, True, False), GREATER: (False, False, True)}
AS_RELATION[NEITHER] = (False, False, False)


def random_tables(rng: random.Random, packages: Packages) -> tuple[Tables, Reader]:
    """A repository: `packages`, and one with variants that require them."""

    def requires(families: Sequence[str]) -> list[str]:
        texts = [random_range_text(rng) for _ in families]
        # a requirement on two texts of one family is merged; an empty list of variants has no index
        signs = rng.choices(["", "", "", "", "!"], k=len(families))
        return [
            f"{sign}{name}-{text}" if text else name for sign, name, text in zip(signs, families, texts, strict=True)
        ]

    data = [PackageData(name, text, timestamp=time) for name, all_ in packages.items() for text, time in all_]
    for number in range(6):
        same = rng.sample(FAMILIES, rng.randint(1, 4)) if rng.random() < 0.4 else None
        variants = [requires(same or rng.sample(FAMILIES, rng.randint(1, 4))) for _ in range(rng.randint(2, 9))]
        data.append(PackageData("user", str(number), variants=variants))
    tables = encode(data)
    return tables, Reader(tables)


def in_places(tables: Tables, reader: Reader, orders: CompiledOrders, name: str) -> list[str]:
    """The versions of a family in the order of `package_places`."""
    start, end = tables.family_package_offsets[reader.family(name) : reader.family(name) + 2].tolist()
    in_order = list(range(end - start))
    places = orders.package_places(reader.family(name))
    assert places is None or (sorted(places) == in_order and places != in_order)
    by_place = in_order if places is None else sorted(in_order, key=places.__getitem__)
    return [reader.package_version(start + package) for package in by_place]


class ByMinor(rez.package_order.PackageOrder):
    """A studio's own class: only rez's versions have `tokens`."""

    name = "by_minor"

    def sort_key_implementation(self, package_name: str, version: Any) -> Any:
        return [str(token) for token in (version.tokens or ())[1:]]

    def to_pod(self) -> dict[str, Any]:
        return {"packages": self.packages}


class OddFirst:
    """A user's own class that needs no rez."""

    def __init__(self, packages: str | None = None) -> None:
        self.packages = packages

    def sort_key(self, package_name: str, version_like: Any) -> Any:
        assert version_like is None or isinstance(version_like, (Version, VersionRange))
        return 0 if version_like is None else (str(version_like)[:1] in "13", str(version_like))
