"""Package orderers: the same configuration, the same keys and the same comparisons as rez itself.

`RER_TEST_SCALE` multiplies the number of random cases.
"""

from __future__ import annotations

import itertools
import json
import pickle
import random
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import rez.package_order
from rez.package_order import PackageOrderList

from rer_numba import PackageData
from rer_numba.encode import encode
from rer_numba.errors import ConfigurationError, VersionError
from rer_numba.orderers import (
    CustomOrder,
    NoOrder,
    Orderers,
    OrderMeaning,
    PerFamilyOrder,
    SoftTimestampOrder,
    SortedOrder,
    VersionSplitOrder,
    as_package_orderers,
)
from rer_numba.orderers.keys import (
    LESS,
    NEITHER,
    NO_RANGE,
    Fallback,
    OrderVersion,
    RaisingReversed,
    Reversed,
    compare_keys,
)
from rer_numba.orderers.tables import CompiledOrders
from rer_numba.reader import Reader
from rer_numba.versions import Version, VersionRange
from tests.case import Case, Package
from tests.compare import find_difference
from tests.order_cases import (
    AS_RELATION,
    FAMILIES,
    MEANING,
    RAISED,
    VERSIONS,
    ByMinor,
    OddFirst,
    Packages,
    get_orderer,
    in_places,
    makes_keys,
    packages_of,
    random_case,
    random_pod,
    random_range_text,
    relation,
    rez_key,
    told_packages,
)
from tests.product import solve_case
from tests.version_texts import times

# ------------------------------------------------------------------------------------------------------------- the keys


@makes_keys
def test_keys_of_versions_and_ranges() -> None:
    seen = set()
    for seed in times(700):
        with random_case(seed) as (rng, packages, ours, theirs):
            keys, his_key = ours.keys(packages_of(packages)), partial(rez_key, theirs)
            for _ in range(12):
                f, g = rng.choices([*FAMILIES, "unknown"], k=2)
                x, y = random_range_text(rng), random_range_text(rng)
                expected = relation(his_key, (f, rez.version.VersionRange(x)), (g, rez.version.VersionRange(y)))
                if expected != RAISED:  # else see test_where_rez_dies
                    assert relation(keys.range_key, (f, VersionRange(x)), (g, VersionRange(y))) == expected, (
                        seed,
                        f,
                        x,
                        g,
                        y,
                    )
                    seen.add((f == g, *expected[:3]))
                x, y = rng.choices(VERSIONS, k=2)
                expected = relation(his_key, (f, rez.version.Version(x)), (g, rez.version.Version(y)))
                if expected != RAISED:
                    assert relation(keys.version_key, (f, Version(x)), (g, Version(y))) == expected, (seed, f, x, g, y)
                    seen.add((f == g, *expected[:3]))
    one_family = list(AS_RELATION.values())[:3]
    assert seen == {(True, *found) for found in one_family} | {(False, *found) for found in AS_RELATION.values()}


def itself(thing: Any) -> Any:
    return thing


def strangers() -> list[tuple[Any, Any]]:
    """Main keys of every kind: ours, and rez's."""
    found: list[tuple[Any, Any]] = [(0, 0)]
    for text in ("1", "2", "inf"):
        our = OrderVersion(Version.inf if text == "inf" else Version(text))
        his = rez.version.Version.inf if text == "inf" else rez.version.Version(text)
        kind = RaisingReversed if MEANING is OrderMeaning.RAISING_KEYS else Reversed
        our_reversed, his_reversed = kind(our), rez.version._version._ReversedComparable(his)
        found += [(our, his), (our_reversed, his_reversed), ((1, our), (1, his)), ((0, our), (0, his))]
        found += [((0, our_reversed), (0, his_reversed)), ((0, our_reversed, [b"x"]), (0, his_reversed, ["x"]))]
    return found


@makes_keys
def test_infinity_answers_strangers() -> None:
    his_fallback = rez.package_order.FallbackComparable
    middle, his_middle = OrderVersion(Version("1.5")), rez.version.Version("1.5")
    for (one, his_one), (two, his_two) in itertools.product(strangers(), repeat=2):
        assert relation(itself, (one,), (two,)) == relation(itself, (his_one,), (his_two,)), (one, two)
        for text in ("1", "2"):
            version, his_version = OrderVersion(Version(text)), rez.version.Version(text)
            expected = relation(his_fallback, (his_one, his_version), (his_two, his_middle))
            assert relation(Fallback, (one, version), (two, middle)) == expected, (one, two)
    infinity = OrderVersion(Version.inf)
    assert infinity > "text" and not infinity < "text" and infinity != "text"


def test_circle_of_three() -> None:
    """One split family beside a plain one: python-3.9 < python-3.7 < maya... and in a circle."""
    keys = Orderers([VersionSplitOrder("3.7", "python")]).keys(lambda name: ())
    late, early = (keys.range_key("python", VersionRange(text)) for text in ("3.9", "3.7"))
    plain = keys.range_key("maya", VersionRange("3.8"))
    assert late < early < plain < late
    assert compare_keys(early, keys.range_key("maya", VersionRange("3.7"))) == NEITHER


# -------------------------------------------------------------------------------------------------- rez's own scenarios


REZ_PACKAGES: Packages = {
    "timestamped": [
        (text, 1000 * number)
        for number, text in enumerate(("1.0.5", "1.0.6", "1.1.0", "1.1.1", "1.2.0", "2.0.0", "2.1.0", "2.1.5"), start=1)
    ],
    "pymum": [("1", None), ("2", None), ("3", None)],
    "pysplit": [("5", None), ("6", None), ("7", None)],
    "python": [("2.5.2", None), ("2.6.0", None), ("2.6.8", None), ("2.7.0", None)],
}
IN_RANK_3 = "1.1.1 1.1.0 1.0.6 1.0.5 1.2.0 2.0.0 2.1.5 2.1.0"
MIXED_FAMILIES = PerFamilyOrder(
    {"pysplit": NoOrder(), "python": VersionSplitOrder("2.6.0"), "timestamped": SoftTimestampOrder(3001, rank=3)},
    default_order=SortedOrder(False),
    packages=["*"],
)


REZ_SCENARIOS = [
    (SortedOrder(False), "pymum", "1 2 3"),
    (SortedOrder(True), "pymum", "3 2 1"),
    (MIXED_FAMILIES, "pysplit", "7 6 5"),
    (MIXED_FAMILIES, "python", "2.6.0 2.5.2 2.7.0 2.6.8"),
    (MIXED_FAMILIES, "timestamped", IN_RANK_3),
    (MIXED_FAMILIES, "pymum", "1 2 3"),
    (PerFamilyOrder({"missing_package": NoOrder()}), "missing_package", ""),
    (PerFamilyOrder({}), "pymum", "3 2 1"),
    (VersionSplitOrder(Version("2.6.0")), "python", "2.6.0 2.5.2 2.7.0 2.6.8"),
    (SoftTimestampOrder(3001), "timestamped", "1.1.0 1.0.6 1.0.5 1.1.1 1.2.0 2.0.0 2.1.0 2.1.5"),
    (SoftTimestampOrder(3001, rank=3), "timestamped", IN_RANK_3),
    (SoftTimestampOrder(7001, rank=3), "timestamped", "2.1.5 2.1.0 2.0.0 1.2.0 1.1.1 1.1.0 1.0.6 1.0.5"),
    (SoftTimestampOrder(4001, rank=3), "timestamped", IN_RANK_3),
    (SoftTimestampOrder(3001), "pymum", "3 2 1"),
    (SoftTimestampOrder(9999999999, rank=3), "timestamped", "2.1.5 2.1.0 2.0.0 1.2.0 1.1.1 1.1.0 1.0.6 1.0.5"),
    (SoftTimestampOrder(0, rank=3), "timestamped", "1.0.6 1.0.5 1.1.1 1.1.0 1.2.0 2.0.0 2.1.5 2.1.0"),
]


@pytest.mark.parametrize(("order", "family", "expected"), REZ_SCENARIOS)
def test_scenarios_of_rez(order: Any, family: str, expected: str) -> None:
    """test_packages_order.py, where the packages are handed in newest first."""
    listed = sorted(REZ_PACKAGES.get(family, ()), key=lambda package: Version(package[0]), reverse=True)
    keys = Orderers([order]).keys(packages_of(REZ_PACKAGES))
    assert (
        sorted((text for text, _ in listed), key=lambda v: keys.version_key(family, Version(v)), reverse=True)
        == expected.split()
    )
    if listed:
        tables = encode([PackageData(family, text, timestamp=time) for text, time in listed])
        reader = Reader(tables)
        assert in_places(tables, reader, CompiledOrders(Orderers([order]), tables, reader), family) == expected.split()


@makes_keys
@pytest.mark.parametrize(("order", "family", "expected"), REZ_SCENARIOS)
def test_scenarios_of_rez_solved(order: Any, family: str, expected: str) -> None:
    """The same orders found by solving, of packages and of variants: what a solve chose is taken away for the next."""
    pods = [order.to_pod()]
    packages = [Package(name, text, timestamp=time) for name in REZ_PACKAGES for text, time in REZ_PACKAGES[name][::-1]]
    texts = [text for text, _ in REZ_PACKAGES.get(family, ())]
    if get_orderer(family, PackageOrderList.from_pod(pods)) != PackageOrderList.from_pod(pods)[0]:
        expected = " ".join(texts[::-1])  # a solve asks an orderer only about the families it names
    chosen: list[str] = []
    for _ in texts:
        hidden = [f"range({family}=={text})" for text in chosen]
        options = {"package_orderers": pods, "package_filter": {"excludes": hidden}}
        chosen.append(_chosen(Case(packages, [family], options), family))
    assert chosen == expected.split()
    chosen = []
    for _ in texts:
        user = Package("user", "1", variants=[[f"{family}=={text}"] for text in texts if text not in chosen])
        for request in (["user"], ["user", family]):
            found = _chosen(Case([*packages, user], request, {"package_orderers": pods}), family)
        chosen.append(found)
    assert chosen == expected.split()


def _chosen(case: Case, family: str) -> str:
    """The version of a family that a solve chooses: rez's and ours."""
    difference = find_difference(case)
    assert difference is None, str(difference)
    return next(version for name, version, _ in solve_case(case).resolved if name == family)


def test_soft_timestamp_without_times() -> None:
    """With a rank and no release times, the versions that are like the oldest one come first."""
    keys = Orderers([SoftTimestampOrder(1, rank=2)]).keys(
        lambda name: [(Version(v), None) for v in ("1.0", "1.1", "2.0", "3.0")]
    )
    assert keys.first_after("any") == Version("2.0")


# -------------------------------------------------------------------------------------------------------- configuration


def test_pods_are_read_and_written_as_rez_does() -> None:
    for seed in times(300):
        rng = random.Random(seed)
        pods = [random_pod(rng) for _ in range(rng.randint(0, 3))]
        theirs = PackageOrderList.from_pod(pods)
        for given in (pods, theirs, list(theirs)):
            ours = as_package_orderers(given, rez.__version__)
            assert ours is not None
            if MEANING is not OrderMeaning.LISTS:  # up to rez 3.0 its orderers know of no packages
                assert ours.to_pod() == theirs.to_pod()
            again = as_package_orderers(json.loads(json.dumps(ours.to_pod())), rez.__version__)
            assert again == ours and again.key() == ours.key() and hash(again) == hash(ours)
            assert pickle.loads(pickle.dumps(ours)) == ours


def test_what_is_handed_in() -> None:
    assert as_package_orderers(None) is None
    none = as_package_orderers([])
    assert none is not None and not none and none.key() == ("keys",)
    assert as_package_orderers(none) is none
    split = Orderers([VersionSplitOrder("1.2.3")])
    assert as_package_orderers([("version_split", {"first_version": "1.2.3"})]) == split
    assert as_package_orderers([["version_split", {"first_version": "1.2.3"}]]) == split
    assert as_package_orderers({"type": "version_split", "first_version": "1-2-3"}) == split
    assert as_package_orderers(VersionSplitOrder(Version("1.2.3"))) == split
    theirs = rez.package_order.VersionSplitPackageOrder(rez.version.Version("1.2.3"))
    assert as_package_orderers(theirs) == Orderers([VersionSplitOrder("1.2.3")], MEANING)
    assert as_package_orderers(PackageOrderList([{"type": "no_order"}])) == Orderers([NoOrder()])
    assert split != Orderers([VersionSplitOrder("1.2.3", "ape")]) != Orderers([NoOrder("ape")])
    assert SoftTimestampOrder(5, None) == SoftTimestampOrder(5, 0) != SoftTimestampOrder(5, 1)
    assert SortedOrder(1) == SortedOrder(True) != SortedOrder(False)
    assert repr(split) == "Orderers([VersionSplitOrder(first_version='1.2.3', packages=['*'])])"
    assert len(split) == 1 and list(split) == [VersionSplitOrder("1.2.3")]
    infinite = rez.package_order.VersionSplitPackageOrder(rez.version.Version.inf)
    assert as_package_orderers(infinite) == Orderers([VersionSplitOrder(Version.inf)], MEANING)


def test_first_match_counts() -> None:
    orderers = as_package_orderers(
        [NoOrder(), SortedOrder(False, "ape"), SortedOrder(True, ["ape", "bee"]), VersionSplitOrder("1")]
    )
    assert orderers is not None
    found = {name: orderers.leaf(name).order for name in ("ape", "bee", "cat")}
    assert found == {"ape": SortedOrder(False, "ape"), "bee": SortedOrder(True, ["ape", "bee"]), "cat": NoOrder()}


@makes_keys
def test_default_order_of_per_family() -> None:
    """It is only asked for the families the orderer speaks for."""
    pod = {"type": "per_family", "orderers": [{"type": "no_order", "packages": ["ape"]}]}
    pod["default_order"] = {"type": "sorted", "descending": False}
    theirs = PackageOrderList.from_pod([pod])
    assert repr(get_orderer("bee", theirs)) == "SortedOrder(True)"
    ours = as_package_orderers(pod)
    assert ours is not None and ours.leaf("bee") == (SortedOrder(True), False)
    theirs[0].packages = ["bee"]
    theirs.dirty = True
    assert get_orderer("bee", theirs).sort_key(
        "bee", rez.version.Version("1")
    ).main_comparable.value == rez.version.Version("1")
    ours = as_package_orderers(theirs)
    assert (
        ours is not None
        and ours.leaf("bee") == (SortedOrder(False), True)
        and ours.leaf("ape") == (SortedOrder(True), False)
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("sorted", "'sorted'"),
        (5, "5"),
        ([5], "5"),
        (["no_order"], "'no_order'"),
        ([SortedOrder], "SortedOrder"),
        ([rez.package_order.NullPackageOrder], "NullPackageOrder"),
        ([{"type": "alphabetical"}], "'alphabetical'"),
        ([{"type": ["sorted"]}], "['sorted']"),
        ([("alphabetical", {})], "'alphabetical'"),
        ([("no_order", "ape")], "'ape'"),
        ([{"descending": True}], "'type' is missing"),
        ([{"type": "sorted"}], "'descending' is missing"),
        ([{"type": "sorted", "descending": "false"}], "'false'"),
        ([{"type": "sorted", "descending": None}], "None"),
        ([{"type": "sorted", "descending": True, "pacakges": ["ape"]}], "pacakges"),
        ([{"type": "no_order", "packages": 5}], "5"),
        ([{"type": "no_order", "packages": ["ape", 5]}], "5"),
        ([{"type": "no_order", "packages": {"ape": 1}}], "{'ape': 1}"),
        ([{"type": "version_split"}], "'first_version' is missing"),
        ([{"type": "version_split", "first_version": 2.7}], "2.7"),
        ([{"type": "soft_timestamp"}], "'timestamp' is missing"),
        ([{"type": "soft_timestamp", "timestamp": "-1w"}], "'-1w'"),
        ([{"type": "soft_timestamp", "timestamp": 1.5}], "1.5"),
        ([{"type": "soft_timestamp", "timestamp": True}], "True"),
        ([{"type": "soft_timestamp", "timestamp": 1, "rank": "2"}], "'2'"),
        ([{"type": "per_family"}], "'orderers' is missing"),
        ([{"type": "per_family", "orderers": {}}], "{}"),
        ([{"type": "per_family", "orderers": ["no_order"]}], "'no_order'"),
        ([{"type": "per_family", "orderers": [{"type": "no_order"}]}], "'packages' is missing"),
        ([{"type": "per_family", "orderers": [{"type": "no_order", "packages": "ape"}]}], "'ape'"),
        ([{"type": "per_family", "orderers": [], "default_order": "sorted"}], "'sorted'"),
        ([{"type": "per_family", "orderers": [], "default_order": {"type": "?"}}], "'?'"),
    ],
)
def test_bad_configuration(given: Any, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        as_package_orderers(given)
    assert named in str(caught.value)


def test_bad_objects() -> None:
    with pytest.raises(ConfigurationError, match="mapping"):
        PerFamilyOrder([("ape", NoOrder())])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="nothing"):
        PerFamilyOrder({"ape": "nothing"})
    with pytest.raises(ConfigurationError, match="OddFirst"):
        Orderers([CustomOrder(OddFirst())]).to_pod()
    if MEANING is not OrderMeaning.LISTS:  # up to rez 3.0 its classes know of no packages
        assert CustomOrder(ByMinor()).to_pod() == {"type": "by_minor", "packages": ["*"]}


def test_bad_version_text_is_rez_error() -> None:
    pod = {"type": "version_split", "first_version": "1..2"}
    with pytest.raises(rez.version.VersionError) as theirs:
        PackageOrderList.from_pod([pod])
    with pytest.raises(VersionError) as ours:
        as_package_orderers([pod])
    assert str(ours.value) == str(theirs.value)


# ------------------------------------------------------------------------------------------------------------------ rez


def test_rez_stays_away() -> None:
    program = (
        "import sys\n"
        "from rer_numba.orderers import as_package_orderers\n"
        "from rer_numba.versions import Version, VersionRange\n"
        "pods = [{'type': 'soft_timestamp', 'timestamp': 5, 'rank': 2}]\n"
        "keys = as_package_orderers(pods).keys(lambda name: [(Version('1.1'), 7), (Version('1.0'), 1)])\n"
        "assert keys.range_key('a', VersionRange('1')) and 'rez' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@makes_keys
def test_where_rez_dies() -> None:
    """See docs/deviations.md."""
    some = {"ape": [("1.0", 1), ("1.1", 9), ("2.0", 9)]}
    keys = Orderers([SoftTimestampOrder(5, rank=2)]).keys(packages_of(some))
    with told_packages(some):
        theirs = PackageOrderList([rez.package_order.TimestampPackageOrder(5, rank=2)])
        # infinity cannot be trimmed: it is the last of the late versions
        with pytest.raises((RuntimeError, TypeError)):  # before rez 3.4 without a word about it
            rez_key(theirs, "ape", rez.version.VersionRange("1+"))
        assert keys.range_key("ape", VersionRange("1+")) < keys.range_key("ape", VersionRange("1+<9"))
        # a rank, and no package of this name: every version is in time
        with pytest.raises(UnboundLocalError):
            rez_key(theirs, "none", rez.version.Version("1"))
        assert keys.version_key("none", Version("1")) < keys.version_key("none", Version("2"))
        # no range: less than any range
        assert relation(partial(rez_key, theirs), ("ape", None), ("ape", rez.version.VersionRange("1"))) == RAISED
    assert keys.range_key("ape", None) == NO_RANGE < keys.range_key("ape", VersionRange("1"))
    # ephemerals have no packages, so every version is in time
    with pytest.raises(rez.exceptions.PackageRequestError):
        rez_key(PackageOrderList([rez.package_order.TimestampPackageOrder(5)]), ".ape", rez.version.Version("1"))
    assert compare_keys(keys.version_key(".ape", Version("1")), keys.version_key(".ape", Version("2"))) == LESS
    # an orderer for families that has none for this one: that of '*', else newest first
    lost = rez.package_order.PerFamilyOrder({"*": rez.package_order.SortedOrder(False)})
    with pytest.raises(RuntimeError):
        rez_key(PackageOrderList([lost]), "ape", rez.version.Version("1"))
    ours = as_package_orderers(lost)
    assert ours is not None and ours.leaf("ape").order == SortedOrder(False)
    assert PerFamilyOrder({"ape": PerFamilyOrder({})}).order_for("ape").order_for("ape") == SortedOrder(True)  # type: ignore[attr-defined]
