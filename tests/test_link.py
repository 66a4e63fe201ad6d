"""Facts into tables: against a slow encoder, and whatever the numbering or the number of parts."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from rer_numba.checks import check
from rer_numba.draft import FactsDraft
from rer_numba.encode import encode
from rer_numba.errors import RepositoryLimitError
from rer_numba.facts import Facts, facts_of_tables
from rer_numba.link import link
from rer_numba.packages import PackageData
from rer_numba.paths.sources import Sources
from rer_numba.reader import Reader
from rer_numba.schema import BUILDING, COLUMNS, NONE, Tables
from tests.product import package_data
from tests.random_cases import random_case
from tests.tables_factory import make_tables, random_tables, same, small_tables
from tests.test_time_limits import ring

MADE = [small_tables(), small_tables(building=False), make_tables({}), *map(random_tables, range(3))]


def everything(tables: Tables) -> Facts:
    """All facts of tables."""
    return facts_of_tables(tables, np.arange(len(tables.package_version_rank)), np.arange(len(tables.family_text)))


def facts_of(packages: Iterable[tuple[int, PackageData]]) -> Facts:
    draft = FactsDraft()
    for given, package in packages:
        draft.add(package, given)
    return draft.facts()


# ---- against the slow encoder of the tests


def described(tables: Tables) -> dict[str, Any]:
    """What tables say, by names in the place of numbers."""
    reader = Reader(tables)
    packages = {}
    for row in range(len(tables.package_version_rank)):
        name = reader.package_family_name(row)
        packages[name, reader.package_version(row)] = (
            int(tables.package_given_rank[row]),
            int(tables.package_timestamp[row]),
            reader.package_uri(row, name),
            *(_error(reader, getattr(tables, column)[row]) for column in ("package_error", "package_timestamp_error")),
        )
    return {
        "families": {
            reader.family_name(row): (int(tables.family_flags[row]), _error(reader, tables.family_error[row]))
            for row in range(len(tables.family_text))
        },
        "packages": packages,
        "requirements": {
            reader.requirement_text(row): (
                reader.family_name(tables.requirement_family[row]),
                int(tables.requirement_flags[row]),
                _cuts(tables, tables.requirement_range[row]),
                _requirement_mask(tables, row),
            )
            for row in range(len(tables.requirement_text))
        },
        "requires": _requires(tables, ""),
        "building": _requires(tables, BUILDING if len(tables.building_variant_requirement_offsets) else ""),
    }


def _error(reader: Reader, row: int) -> Any:
    return None if row == NONE else reader.error(int(row))


def _cuts(tables: Tables, row: int) -> Any:
    return None if row == NONE else tables.range_cut[slice(*tables.range_offsets[row : row + 2])].tolist()


def _requirement_mask(tables: Tables, row: int) -> list[bool]:
    if tables.requirement_range[row] == NONE:
        return []
    return _kept_bits(tables, "requirement", row, tables.requirement_family[row])


def _kept_bits(tables: Tables, what: str, row: int, family: int) -> list[bool]:
    """A mask of which only the words from the first to the last that is not empty are kept."""
    n = int(np.diff(tables.family_variant_offsets)[family])
    first = int(getattr(tables, f"{what}_first_word")[row])
    words = getattr(tables, f"{what}_mask")[slice(*getattr(tables, f"{what}_mask_offsets")[row : row + 2])].tolist()
    assert not words or (words[0] and words[-1])
    whole = [0] * first + words + [0] * ((n + 63) // 64 - first - len(words))
    return [bool(whole[bit // 64] >> bit % 64 & 1) for bit in range(n)]


def _bits(tables: Tables, column: str, start: int, family: int) -> list[bool]:
    n = int(np.diff(tables.family_variant_offsets)[family])
    words = getattr(tables, column)
    return [bool(int(words[start + bit // 64]) >> bit % 64 & 1) for bit in range(n)]


def _requires(tables: Tables, prefix: str) -> Any:
    reader = Reader(tables, building=bool(prefix))
    offsets = getattr(tables, f"{prefix}variant_extraction_offsets")
    extraction = getattr(tables, f"{prefix}variant_extraction")
    variants = {}
    for row in range(len(tables.variant_package)):
        wanted = extraction[offsets[row] : offsets[row + 1]].tolist()
        requires, _ = reader.variant_details(row)
        variants[reader.variant_name(row)] = (
            requires,
            [reader.requirement_text(r) for r in wanted],
            _error(reader, reader.variant_error(row)),
        )
    return variants, _mentions(tables, prefix, reader)


def _mentions(tables: Tables, prefix: str, reader: Reader) -> dict[Any, Any]:
    def column(name: str) -> Any:
        return getattr(tables, prefix + name)

    found: dict[Any, Any] = {}
    for family in range(len(tables.family_text)):
        words = int((np.diff(tables.family_variant_offsets)[family] + 63) >> 6)
        mask = column("family_mention_mask_offsets")[family]
        for mention in range(*column("family_mention_offsets")[family : family + 2]):
            links = {}
            for row in range(*column("mention_link_offsets")[mention : mention + 2]):
                text = reader.requirement_text(column("link_requirement")[row])
                links[text] = _kept_bits(tables, f"{prefix}link", row, family)
            other = reader.family_name(column("mention_family")[mention])
            found[reader.family_name(family), other] = (
                bool(column("mention_conflicts")[mention]),
                _bits(tables, f"{prefix}mention_mask", mask, family),
                links,
            )
            mask += words
    return found


@pytest.mark.parametrize("tables", MADE, ids=range(len(MADE)))
def test_equal_to_the_slow_encoder(tables: Tables) -> None:
    linked = link([everything(tables)])
    assert check(linked) is None
    assert described(linked) == described(tables)


@pytest.mark.parametrize("tables", MADE, ids=range(len(MADE)))
def test_linked_again_is_the_same(tables: Tables) -> None:
    linked = link([everything(tables)])
    assert same(link([everything(linked)]), linked)


def test_arrays_are_read_only() -> None:
    assert not any(array.flags.writeable for array in encode([PackageData("ape", "1")]))


# ---- parts


@pytest.mark.parametrize("seed", range(150))
def test_parts_are_as_good_as_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    packages = list(enumerate(map(package_data, random_case(seed).packages)))
    whole = encode(package for _, package in packages)
    assert check(whole) is None
    parts: list[list[tuple[int, PackageData]]] = [[] for _ in range(rng.randrange(1, 5))]
    for package in packages:
        rng.choice(parts).append(package)
    rng.shuffle(parts)
    assert same(link([facts_of(part) for part in parts]), whole)


@pytest.mark.parametrize("seed", range(150))
def test_families_are_exchanged(seed: int) -> None:
    """Tables in which some families change are those that encoding everything anew would give."""
    rng = random.Random(seed)
    old = list(map(package_data, random_case(seed).packages))
    names = sorted({package.name for package in old})
    changed = set(rng.sample(names, rng.randrange(len(names) + 1)))
    kept = [package for package in old if package.name not in changed]
    others = list(map(package_data, random_case(seed + 1000).packages))
    new = [package for package in others if package.name in changed or package.name not in names]

    tables = encode(old)
    reader = Reader(tables)
    stays = np.array([reader.family_name(row) not in changed for row in range(len(tables.family_text))], bool)
    family = np.repeat(np.arange(len(stays)), np.diff(tables.family_package_offsets))
    facts = facts_of_tables(tables, np.flatnonzero(stays[family]), np.flatnonzero(stays))
    assert same(link([facts, facts_of(enumerate(new))]), encode(kept + new))


def test_of_equal_versions_the_one_given_first_counts() -> None:
    first, second = PackageData("ape", "1.0", ["bee"]), PackageData("ape", "1-0", ["cat"])
    for parts in ([(0, first)], [(1, second)]), ([(1, second)], [(0, first)]):
        reader = Reader(link(list(map(facts_of, parts))))
        assert reader.variant_details(0) == (("bee",), "ape/1.0/package.py[]")


# ---- the order of families


def test_families_stand_behind_what_their_newest_packages_need() -> None:
    packages = [
        PackageData("ape", "1", ["dog"]),
        PackageData("ape", "2", ["~elk"], [["cow"], ["!bee", ".feat-1"]]),
        PackageData("bee", "1", ["missing"]),
        PackageData("cow", "1", ["dog"]),
        PackageData("dog", "1"),
    ]
    tables = encode(packages)
    reader = Reader(tables)
    names = [reader.family_name(row) for row in range(len(tables.family_text))]
    assert names == [".feat", "missing", "bee", "dog", "cow", "elk", "ape"]
    assert [names[row] for row in tables.family_by_name] == sorted(names)
    assert tables.family_rank.tolist() == [sorted(names).index(name) for name in names]
    assert [reader.family(name) for name in names] == list(range(len(names)))
    assert [reader.family(name) for name in ("", "ant", "cat", "zoo")] == [-1] * 4


# ---- pieces


@pytest.mark.parametrize("block", [1, 3, 50])
@pytest.mark.parametrize("seed", range(30))
def test_some_families_at_a_time_are_as_good_as_all(block: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = list(map(package_data, random_case(seed).packages))
    whole = encode(packages)
    monkeypatch.setattr("rer_numba.requires_columns.BLOCK", block)
    assert same(encode(packages), whole)


# ---- limits


def test_what_does_not_fit_is_told() -> None:
    """Two billion requirements would take minutes: the number of the package's file stands in for them."""
    facts = facts_of([(0, PackageData("ape", "1"))])
    facts.packages["location"] = np.array([1 << 31])
    with pytest.raises(RepositoryLimitError, match=r"column package_location .* 2147483648, .* 2147483647"):
        link([facts], Sources())
    facts.packages["location"] = np.array([0])
    facts.packages["inode"] = np.array([1 << 62])
    assert link([facts], Sources(["/sw"])).package_inode.tolist() == [1 << 62]


# ---- spelling


def spelled(*packages: PackageData) -> list[str]:
    tables = encode(packages)
    reader = Reader(tables)
    return [reader.text(row) for row in tables.version_text.tolist()]


def test_a_version_is_spelled_with_dots_if_anybody_does() -> None:
    assert spelled(PackageData("ape", "1-0")) == ["", "1-0"]
    assert spelled(PackageData("ape", "1-0"), PackageData("bee", "1.0")) == ["", "1.0"]
    assert spelled(PackageData("ape", "1-0"), PackageData("bee", "", ["ape==1.0"])) == ["", "1.0"]
    assert spelled(PackageData("ape", "1+0"), PackageData("bee", "", ["ape==1-0"])) == ["", "1+0"]
    assert spelled(PackageData("bee", "", ["ape-1-0"])) == ["", "1-0", "1-0_"]
    assert spelled(PackageData("bee", "", ["ape-1-0", "!cat-1.0"])) == ["", "1.0", "1.0_"]


def test_a_spelling_goes_with_who_wrote_it() -> None:
    tables = encode([PackageData("ape", "1.0"), PackageData("bee", "1-0")])
    without = link([facts_of_tables(tables, np.array([1]), np.array([1]))])
    assert same(without, encode([PackageData("bee", "1-0")]))


# ---- odd content


def test_nothing() -> None:
    tables = encode([])
    assert check(tables) is None
    assert {name: len(getattr(tables, name)) for name in ("version_text", "family_text", "range_offsets")} == {
        "version_text": 1,
        "family_text": 0,
        "range_offsets": 1,
    }


def test_names_that_are_no_text() -> None:
    package = PackageData("ape", "1", uri="/sw/\udcff/ape/1/package.py")
    tables = encode([package])
    assert Reader(tables).package_uri(0, "ape") == package.uri


@pytest.mark.parametrize(
    "uri",
    [
        "/sw/ape/1.0/package.py",
        "C:\\sw\\ape\\1.0\\package.py",
        "/sw/ape.yaml<1.0>",
        "memory@here",
        "",
        "/ape/1.0",
        "/ape/1.0/ape/1.0/",
        "ape/1.0/package.py",
    ],
)
def test_uris_are_kept(uri: str) -> None:
    for version in ("1.0", ""):
        tables = encode([PackageData("ape", version, uri=uri)])
        assert Reader(tables).package_uri(0, "ape") == uri


def test_every_column_is_made() -> None:
    ape = PackageData("ape", "1", ["bee-1"], [["cat"], ["dog"]], build_requires=["cmake"])
    tables = encode([ape, PackageData("bee", "1")])
    assert {column.name for column in COLUMNS if not len(getattr(tables, column.name)) and not column.source} == {
        "error_type_text",
        "error_value_text",
    }


# ---- what a solve has to look at


def test_masks_without_their_empty_ends() -> None:
    """Exact versions of large families: a word for each link and each requirement, not one for each 64 versions."""
    n = 500
    tables = encode(ring(n))
    assert len(tables.link_requirement) == 3 * n
    assert tables.link_mask_offsets.tolist() == list(range(3 * n + 1))
    assert tables.link_first_word.tolist() == [
        int(tables.variant_package[tables.variant_requirement == requirement][0] % n) // 64
        for requirement in tables.link_requirement.tolist()
    ]
    assert len(tables.requirement_mask) == 3 * n - 1  # nobody has the last one's version


def test_a_conflict_allows_the_others() -> None:
    """Its mask is turned round: a kept word holds those that it does not refuse."""
    packages = [PackageData("b", str(version)) for version in range(200)]
    wanted = ["!b", "!b-0+<64", "!b-64+", "!b-100+<101", "~b-0+<64"]
    tables = encode([*packages, *(PackageData("a", str(k), [text]) for k, text in enumerate(wanted))])
    reader = Reader(tables)
    rows = {reader.requirement_text(row): row for row in range(len(tables.requirement_text))}
    allowed = {text: _requirement_mask(tables, row) for text, row in rows.items()}
    newest_first = range(199, -1, -1)
    assert allowed == {
        "!b": [False] * 200,
        "!b-0+<64": [version >= 64 for version in newest_first],
        "!b-64+": [version < 64 for version in newest_first],
        "!b-100+<101": [version != 100 for version in newest_first],
        "~b-0+<64": [version < 64 for version in newest_first],
    }
    assert np.diff(tables.requirement_mask_offsets)[rows["!b"]] == 0
