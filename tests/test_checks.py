"""What `rer_numba.checks` refuses, and that nothing else can lead a kernel astray."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rer_numba.check_room import Room
from rer_numba.checking import state
from rer_numba.checking.kernels import PROMISES
from rer_numba.checks import _first_broken, check, longest_of_checked
from rer_numba.native.sources import CHECKING_SOURCES
from rer_numba.promises import FACTS, REQUIRES
from rer_numba.schema import BUILDING, COLUMNS, CONFLICT, CUT_INF, NONE, Tables
from rer_numba.views import longest_of, views_of
from tests.checks_child import mutated, sentences
from tests.kernel_sets import require_coverage, run_child
from tests.tables_factory import Package, make_tables, random_tables, small_tables
from tests.tables_walk import walk

SMALL = small_tables()
CHILD = "tests/checks_child.py"
CHECKED = (1, 2000)
UNCOMPILED = (2, 1000)
MIN_COVERAGE = 98.0
STEPS = {PROMISES[step].__name__: step for step in (*FACTS, *REQUIRES)}
"""The step of each promise, by the name of its kernel."""


def changed(tables: Tables, **columns: Callable[[Any], Any]) -> Tables:
    """The tables with some columns replaced by what a function makes of a writable copy."""
    new = {}
    for name, change in columns.items():
        array = getattr(tables, name).copy()
        result = change(array)
        new[name] = array if result is None else np.asarray(result, dtype=array.dtype)
    return tables._replace(**new)


def put(*pairs: tuple[int, int]) -> Callable[[Any], None]:
    """Set values of a column."""

    def change(array: Any) -> None:
        for index, value in pairs:
            array[index] = value

    return change


@pytest.mark.parametrize("building", [False, True])
def test_factory_makes_valid_tables(building: bool) -> None:
    for tables in (
        small_tables(building=building),
        random_tables(1, building=building),
        random_tables(2, families=3, building=building),
        make_tables({}, building=building),
        make_tables({"app": [Package(1)]}, building=building),
    ):
        assert check(tables) is None
        assert check(views_of(tables)) is None
        assert longest_of_checked(views_of(tables)) == longest_of(tables)
        walk(tables)


def begin_within(data: Any, place: int) -> Any:
    """Put a character of two bytes around a place."""
    return [*data[: place - 1], *"ü".encode(), *data[place + 1 :]]


def family(name: str) -> int:
    return ["app", "gui", "lib", "missing", "python"].index(name) + 1  # after .feat


# the function that must refuse, a part of what it says, and what is changed in SMALL
BROKEN: list[tuple[str, str, dict[str, Callable[[Any], Any]]]] = [
    ("texts", "text_bytes is no UTF-8 at byte 2", {"text_bytes": put((2, 0xFF))}),
    ("texts", "source_text_bytes is no UTF-8 at byte 0", {"source_text_bytes": put((0, 0xFF))}),
    ("texts", "text 2 begins within", {"text_bytes": lambda a: begin_within(a, int(SMALL.text_offsets[2]))}),
    ("uri_tails", "which begins with no separator", {"package_uri_tail_text": put((0, 0))}),
    ("version_keys", "version 3 does not", {"version_key": put((2 * 12 - 1, 9))}),
    ("range_sizes", "has 1 cuts", {"range_offsets": put((1, 1))}),
    ("range_order", "cut 1 of the ranges", {"range_cut": put((0, CUT_INF))}),
    ("cuts", "beside no version", {"range_cut": put((0, 2))}),
    ("cuts", "beside no version", {"range_cut": put((0, -1))}),
    ("family_ranks", "family of rank 0 has", {"family_rank": put((0, 1))}),
    ("family_ranks", "family of rank 3 has", {"family_rank": put((3, 2**31 - 1))}),
    ("family_ranks", "family of rank 2 has", {"family_by_name": put((2, 1))}),
    ("family_names", "family of rank 1 does not", {"family_text": lambda a: a[[1, 0, 2, 3, 4, 5]]}),
    ("family_names", "family of rank 1 does not", {"family_text": lambda a: a[[0, 0, 2, 3, 4, 5]]}),
    ("ephemeral", "family 0 is flagged", {"family_flags": put((0, 0))}),
    ("ephemeral", "family 3 is flagged", {"family_flags": put((3, 4))}),
    ("broken_flags", "family 0 is", {"family_flags": put((0, 4 | 8))}),
    ("broken_flags", "family 1 is", {"family_flags": put((1, 0))}),
    ("broken_flags", "family 3 is", {"family_flags": put((3, 0))}),
    ("broken_flags", "family 2 is", {"family_error": put((2, -1))}),
    ("broken_flags", "family 5 is", {"building_variant_error": put((-1, 0))}),
    ("family_variants", "before family 2", {"family_variant_offsets": put((2, 3))}),
    ("package_variants", "package 1 has no variant", {"package_variant_offsets": put((1, 3))}),
    ("indexed", "package 0 has variants without", {"package_indexed": put((0, 0))}),
    ("indexed", "package 0 has variants without", {"package_indexed": put((0, 2))}),
    ("variant_package", "variant 0 does not", {"variant_package": put((0, 1))}),
    ("version_order", "package 1 is not older", {"package_version_rank": put((1, 5))}),
    ("given_rank", "given rank of package 0", {"package_given_rank": put((0, 3))}),
    ("given_rank", "given rank of package 1", {"package_given_rank": put((0, 2))}),
    ("given_rank", "given rank of package 2", {"package_given_rank": put((2, -1))}),
    ("requirement_range", "requirement 0 has no range", {"requirement_range": put((0, NONE))}),
    ("requirement_mask", "does not fit", {"requirement_mask_offsets": put((1, 0))}),
    ("requirement_mask", "does not fit", {"requirement_first_word": put((0, 1))}),
    ("requirement_mask", "does not fit", {"requirement_first_word": put((0, -1))}),
    ("requirement_mask", "an empty word", {"requirement_mask": put((0, 0))}),
    ("requirement_mask", "beyond the variants", {"requirement_mask": put((0, 1 << 63))}),
    ("variant_requirement", "variant 0 has two", {"variant_requirement": put((1, 0))}),
    ("variant_extraction", "is a conflict", {"requirement_flags": put((0, CONFLICT))}),
    ("variant_extraction", "extraction 1 of", {"variant_extraction": lambda a: [a[1], a[0], *a[2:]]}),
    ("mention_order", "mention 1 is not", {"mention_family": put((1, 0))}),
    ("mention_mask", "do not fit its variants", {"family_mention_mask_offsets": put((1, 1))}),
    ("mention_mask", "beyond the variants", {"mention_mask": put((0, 1 << 4))}),
    ("link_requirement", "another family", {"link_requirement": put((0, 1))}),
    ("mention_conflicts", "mention 0 is flagged", {"mention_conflicts": put((0, 1))}),
    ("mention_conflicts", "mention 2 is flagged", {"mention_conflicts": put((2, 0))}),
    ("mention_conflicts", "mention 2 is flagged", {"mention_conflicts": put((2, 2))}),
    ("location_folders", "folder 1 is not the location", {"folder_location": put((1, 0))}),
    (
        "location_folders",
        "locations and 0 folders",
        {column.name: lambda a: a[:0] for column in COLUMNS if column.length == "folder"}
        | {"folder_watch_offsets": lambda a: a[:1]}
        | {column.name: lambda a: a[:0] for column in COLUMNS if column.length == "watch"},
    ),
    ("link_mask", "link 0 has no mask", {"link_mask_offsets": put((1, 0))}),
    ("link_mask", "does not fit", {"link_first_word": put((0, 1))}),
    ("link_mask", "does not fit", {"link_first_word": put((0, 2**31 - 1))}),
    ("link_mask", "an empty word", {"link_mask": put((0, 0))}),
    ("link_mask", "beyond the variants", {"link_mask": put((0, 1 << 63))}),
]


@pytest.mark.parametrize(("name", "text", "columns"), BROKEN, ids=[f"{name}-{text}" for name, text, _ in BROKEN])
def test_broken_promise(name: str, text: str, columns: dict[str, Callable[[Any], Any]]) -> None:
    broken = changed(SMALL, **columns)
    alone = {STEPS[name]: (FACTS | REQUIRES)[STEPS[name]]}
    assert text in (_first_broken(Room(views_of(broken)), alone, "") or "")
    assert text in (check(broken) or "")
    assert check(views_of(broken)) == check(broken)


def test_every_promise_is_seen_to_be_broken() -> None:
    assert {name for name, _, _ in BROKEN} == set(STEPS)


def test_every_step_is_a_promise() -> None:
    """Kernels, steps and sentences have the same names and the same order."""
    assert list(PROMISES) == [*FACTS, *REQUIRES] == list(range(state.TEXTS, state.LINK_MASK + 1))
    for name, step in STEPS.items():
        assert getattr(state, name.upper()) == step


def test_broken_promise_of_the_building_set() -> None:
    problem = check(changed(SMALL, building_link_mask=put((0, 1 << 63))))
    assert problem is not None
    assert problem.startswith("with build_requires, the mask of link 0")


def test_building_set_must_be_empty_or_whole() -> None:
    problem = check(changed(SMALL, building_variant_requirement_offsets=lambda a: a[:0]))
    assert problem == "column building_variant_error is not empty although the building set is absent"


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_wrong_type_and_length(column: str) -> None:
    array = getattr(SMALL, column)
    assert column in (check(SMALL._replace(**{column: array.astype(np.float64)})) or "")
    assert column in (check(SMALL._replace(**{column: array.reshape(1, -1)})) or "")
    # the length of one column may be the count that another one is measured by, so another one may be named
    assert check(SMALL._replace(**{column: array[:-1]})) is not None
    # one more that nobody refers to is fine
    if column not in ("text_offsets", "source_text_offsets"):
        assert check(SMALL._replace(**{column: np.append(array, array[-1:])})) is not None


@pytest.mark.parametrize("column", [column.name for column in COLUMNS if column.is_offsets])
def test_wild_offsets(column: str) -> None:
    wide = np.iinfo(getattr(SMALL, column).dtype)
    for value in (wide.min, -1, wide.max):
        for index in (0, 1):
            assert column in (check(changed(SMALL, **{column: put((index, value))})) or "")
        # the values are looked at too, and may be found to be too few
        assert check(changed(SMALL, **{column: put((-1, value))})) is not None
    # a difference would overflow here and look like a rise
    assert column in (check(changed(SMALL, **{column: put((1, wide.max), (2, wide.min))})) or "")


@pytest.mark.parametrize("column", [column for column in COLUMNS if column.refers], ids=lambda column: column.name)
def test_wild_index(column: Any) -> None:
    wide = np.iinfo(column.dtype)
    for value in (wide.min, -2 if column.optional else -1, wide.max):
        problem = check(changed(SMALL, **{column.name: put((0, value))}))
        assert problem is not None
        assert problem.startswith(f"column {column.name} points outside")


def test_long_names_are_compared_to_the_end() -> None:
    """Strings that agree for many bytes, or of which one is the beginning of the other."""
    for common in (0, 1, 7, 8, 9, 63, 64, 65, 200):
        names = ["a" * common + tail for tail in ("", "\0", "\0\0", "\0b", "a", "ab", "b", "ü", "\U00010000")]
        tables = make_tables({name: [Package(1)] for name in names if name})
        assert check(tables) is None
        for i in range(1, len(tables.family_text)):
            order = np.arange(len(tables.family_text))
            order[[i - 1, i]] = order[[i, i - 1]]
            swapped = tables._replace(family_text=tables.family_text[order])
            assert f"family of rank {i} does not" in (check(swapped) or "")


def test_many_names() -> None:
    """Most of them equal in their first bytes."""
    names = [f"{'package' * (i % 3)}{i:06}" for i in range(3000)]
    tables = make_tables({name: [] for name in names})
    assert check(tables) is None
    order = np.arange(3000)
    order[[1500, 1501]] = order[[1501, 1500]]
    assert "family of rank 1501 does not" in (check(changed(tables, family_text=lambda a: a[order])) or "")


@pytest.mark.parametrize(("tables", "count"), [(SMALL, 4000), (random_tables(4, families=4, packages=2), 1000)])
def test_what_is_accepted_cannot_lead_outside(tables: Tables, count: int) -> None:
    rng = random.Random(20)
    refused = 0
    for _ in range(count):
        candidate = mutated(tables, rng)
        if check(candidate) is None:
            walk(candidate)
        else:
            refused += 1
    assert count // 2 < refused < count


def test_building_columns_are_the_plain_ones_with_a_prefix() -> None:
    plain = [column.name for column in COLUMNS if column.requires and not column.name.startswith(BUILDING)]
    assert [BUILDING + name for name in plain] == [c.name for c in COLUMNS if c.name.startswith(BUILDING)]


def test_columns_that_are_not_in_one_piece() -> None:
    """The kernels read one number behind the other."""
    strided = Tables(*[np.repeat(getattr(SMALL, column.name), 2)[::2] for column in COLUMNS])
    assert check(strided) is None
    broken = strided._replace(link_mask=np.repeat(SMALL.link_mask | np.uint64(1 << 63), 2)[::2])
    assert "the mask of link 0" in (check(broken) or "")


def test_types_of_views() -> None:
    views = views_of(SMALL)
    for values, kind in ((memoryview(bytes(8)).cast("d"), "d[1d]"), (memoryview(bytes(8)).cast("h"), "int16[1d]")):
        assert check(views._replace(variant_package=values)) == f"column variant_package is {kind}, not int32"


def test_a_kernel_that_ends_badly_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled with bounds checks, a kernel that leaves an array ends with a status."""
    for way in ("_native_run", "_jit_run"):
        monkeypatch.setattr(f"rer_numba.check_room.{way}", lambda room: lambda prefix, column: -2)
    with pytest.raises(RuntimeError, match="of checking tables ended with -2"):
        check(SMALL)


# ---- in all the ways the kernels can run


def test_with_bounds_checks(tmp_path: Path) -> None:
    """Numba's own way: the same sentences, no kernel leaves an array, and each is compiled once."""
    report = run_child(CHILD, *CHECKED, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path))
    assert report["sentences"] == sentences(*CHECKED)
    assert set(report["signatures"].values()) == {1}


def test_not_compiled(tmp_path: Path) -> None:
    """As plain Python: the same sentences, no overflow, and few lines that no damage reaches."""

    def run(before: tuple[str, ...]) -> None:
        report = run_child(CHILD, *UNCOMPILED, before=before, NUMBA_DISABLE_JIT="1")
        assert report["sentences"] == sentences(*UNCOMPILED)

    kernels = [name for name in CHECKING_SOURCES if name.startswith("checking/")]
    require_coverage(kernels, MIN_COVERAGE, tmp_path, run)
