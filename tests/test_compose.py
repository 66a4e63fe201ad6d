"""Tables put together by kernels: the same bytes as `link` makes of the same facts, in whatever way they run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from data_set.prepare import benchmark_packages
from rer_numba import Repository
from rer_numba.checks import check
from rer_numba.compose import TablesPart, compose
from rer_numba.compose_room import Room
from rer_numba.composing import state
from rer_numba.draft import FactsDraft, Source
from rer_numba.environment import uses_jit
from rer_numba.errors import RepositoryLimitError
from rer_numba.link import link
from rer_numba.native.image import can_map
from rer_numba.native.sources import COMPOSING_SOURCES
from rer_numba.packages import PackageData
from rer_numba.paths.sources import SourceFolder, Sources
from rer_numba.paths.states import FileState
from rer_numba.schema import COLUMNS, Tables
from rer_numba.views import tables_of, views_of
from tests.compose_cases import Parts, differences, expected, random_parts
from tests.compose_child import digest
from tests.kernel_sets import require_coverage, run_child
from tests.process import ROOT
from tests.product import package_data

CHILD = "tests/compose_child.py"
CHILD_TIMEOUT = 1800.0
"""Numba takes two minutes to compile bundles of so many arrays with bounds checks, on an idle machine."""
N_CASES = 500
CHUNK = 50
CHECKED = list(range(2000, 2060))
UNCOMPILED = [*range(40), 631]
MIN_COVERAGE = 95.0


# ---- equal to linking


@pytest.mark.parametrize("first", range(0, N_CASES, CHUNK))
def test_equal_to_linking(first: int) -> None:
    for seed in range(first, first + CHUNK):
        parts = random_parts(seed)
        tables = parts.composed()
        assert check(tables) is None, seed
        assert differences(tables, expected(parts)) == [], seed


@pytest.mark.parametrize("seed", range(100))
def test_composed_again_is_the_same(seed: int) -> None:
    parts = random_parts(seed)
    once = parts.composed()
    views = views_of(once)
    again = Parts([TablesPart(views, range(len(parts.locations)))], parts.locations).composed()
    assert differences(again, once) == []


@pytest.mark.parametrize("n_paths", [1, 3, 6])
def test_the_benchmark_on_several_paths(n_paths: int) -> None:
    parts = Parts([TablesPart(views_of(one), [n]) for n, one in enumerate(dealt(n_paths))], list(locations(n_paths)))
    tables = parts.composed()
    assert len(tables.package_version_rank) == 18226
    assert check(tables) is None
    assert differences(tables, expected(parts)) == []


@pytest.mark.parametrize("first", range(3000, 3100, CHUNK))
def test_small_tables_of_texts_grow(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns do not depend on how often the kernels had to make their tables of texts and errors anew."""
    usual = list(map(digest, range(first, first + CHUNK)))
    monkeypatch.setattr("rer_numba.compose_room.FIRST_SLOTS", 2)
    assert list(map(digest, range(first, first + CHUNK))) == usual


def test_nothing() -> None:
    """No parts, no families: the tables of an empty repository."""
    for parts in ([], [FactsDraft()], [TablesPart(views_of(link([])), [])]):
        tables = tables_of(compose(parts))
        assert check(tables) is None
        assert differences(tables, link([])) == []


def test_the_longest_is_known() -> None:
    """Without numpy nobody could calculate it."""
    for seed in range(30):
        views = compose(random_parts(seed).parts)
        known = vars(views).pop("longest")
        assert known == views.longest


def test_columns_are_read_only() -> None:
    parts = random_parts(5)
    views = compose(parts.parts, locations=parts.locations)
    assert all(view.readonly for view in views)


def test_texts_compare_as_their_bytes() -> None:
    """What `link` sorts as strings the kernels sort as UTF-8, names that are no text included."""
    rng = random.Random(1)
    alphabet = "a\x7f\u0080\u07ff\u0800\ud7ff\ud800\udcff\udfff\ue000\uffff\U00010000\U0010ffff"
    texts = ["".join(rng.choices(alphabet, k=rng.randrange(4))) for _ in range(2000)]
    assert sorted(texts) == sorted(texts, key=lambda text: text.encode("utf-8", "surrogatepass"))


# ---- in proportion to what is taken


def locations(n_paths: int) -> Sequence[str]:
    return [f"/sw/{n}" for n in range(n_paths)]


@cache
def dealt(n_paths: int) -> list[Tables]:
    """rez's benchmark on several paths, each with tables of its own."""
    drafts = [FactsDraft() for _ in range(n_paths)]
    sources = [Sources([path]) for path in locations(n_paths)]
    for one in sources:
        one.add(SourceFolder(0, "", "", FileState(1, 2, 0)))
    for given, package in enumerate(benchmark_packages()):
        path = zlib.crc32(package.name.encode()) % n_paths
        drafts[path].add(package_data(package), given, Source(0, given, given + 1, given + 2))
        if package.name not in sources[path].folders:
            sources[path].add(SourceFolder(0, package.name, "", FileState(3, 4, 0)))
    return [link([draft.facts()], one) for draft, one in zip(drafts, sources, strict=True)]


def test_what_is_looked_at_goes_with_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other families of the same tables, ten times as many, add nothing to what the kernels number."""
    made: list[Room] = []
    monkeypatch.setattr(
        "rer_numba.compose.Room", lambda *given, **named: made.append(Room(*given, **named)) or made[-1]
    )
    small = [package for n in range(5) for package in _packages(n)]
    large = [package for n in range(50) for package in _packages(n)]
    for packages in (small, large):
        draft = FactsDraft()
        for given, package in enumerate(packages):
            draft.add(package, given)
        compose([TablesPart(views_of(link([draft.facts()])), [0])], closure_of=["app0", "app3"])
    places = (state.N_TEXTS, state.N_NAMES, state.N_CANDIDATES, state.N_VERSION_ENTRIES, state.N_RANGE_ENTRIES)
    one, other = ([room.head[place] for place in places] for room in made)
    assert one == other
    assert one[2] == 8


def _packages(n: int) -> list[PackageData]:
    return [
        *(PackageData(f"app{n}", version, [f"lib{n}-{version}"]) for version in ("1", "2")),
        *(PackageData(f"lib{n}", version) for version in ("1", "2")),
    ]


# ---- a process that solves


@pytest.mark.skipif(uses_jit(), reason="kernels run through Numba here")
def test_nothing_large_is_imported(tmp_path: Path) -> None:
    """A process composes saved tables and packages read just now without numpy; llvmlite where there are no images."""
    Repository.from_packages([PackageData("app", "1", ["lib"]), PackageData("lib", "2")]).save(tmp_path / "site.rer")
    code = (
        "import sys; from rer_numba import PackageData, store; from rer_numba.compose import TablesPart, compose\n"
        "from rer_numba.draft import FactsDraft\n"
        "from rer_numba.snapshot import Snapshot\n"
        "draft = FactsDraft(); draft.add(PackageData('lib', '3'), 1 << 40)\n"
        "views = compose([draft, TablesPart(store.read('site.rer').views, [0])], locations=['/a', '/b'])\n"
        "snapshot = Snapshot(views); print(len(views.package_version_rank), file=sys.stderr)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RER_NUMBA_QUIET": "1"}
    for _ in range(2):  # the first one compiles and verifies, if nobody has
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
    assert run.stderr.split() == ["3"]
    large = {"numba", "numpy", "pyarrow", "rez"} | ({"llvmlite"} if can_map() else set())
    assert not set(run.stdout.split()) & large


def test_what_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows in all than a column can number: an error before any kernel sees it."""
    monkeypatch.setattr("rer_numba.compose_parts.MOST_ROWS", 3)
    draft = FactsDraft()
    for given in range(4):
        draft.add(PackageData("ape", str(given)), given)
    with pytest.raises(RepositoryLimitError, match="package"):
        compose([draft])


def test_paths_that_do_not_exist() -> None:
    """Kernels would believe them."""
    tables = views_of(link([FactsDraft().facts()], Sources(["/a", "/b"])))
    with pytest.raises(ValueError, match="2 locations, 1 numbers"):
        compose([TablesPart(tables, [0])])
    for paths in ([0, 2], [-2, 0]):
        with pytest.raises(ValueError, match="of 2 locations"):
            compose([TablesPart(tables, paths)], locations=["/a", "/b"])


def test_a_kernel_that_ends_badly_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled with bounds checks, a kernel that leaves an array ends with a status."""
    monkeypatch.setattr("rer_numba.compose_room._native_run", lambda table: lambda part: -1)
    monkeypatch.setattr("rer_numba.compose_room._jit_run", lambda room: lambda part: -1)
    with pytest.raises(RuntimeError, match="ended with -1"):
        compose([FactsDraft()])


# ---- in all the ways they can run


@pytest.mark.numba_bounds
def test_with_bounds_checks(tmp_path: Path) -> None:
    """Numba's own way: the same columns, and each kernel is compiled once."""
    report = run_child(
        CHILD, json.dumps(CHECKED), timeout=CHILD_TIMEOUT, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path)
    )
    assert report["digests"] == list(map(digest, CHECKED))
    assert {name: count for name, count in report["signatures"].items() if count > 1} == {}
    used = [name for name, count in report["signatures"].items() if count]
    assert len(used) > 0.9 * len(report["signatures"]) > 50


def test_not_compiled(tmp_path: Path) -> None:
    """As plain Python: the same columns, no overflow, and few lines that no case reaches."""

    def run(before: tuple[str, ...]) -> None:
        report = run_child(CHILD, json.dumps(UNCOMPILED), before=before, timeout=CHILD_TIMEOUT, NUMBA_DISABLE_JIT="1")
        assert report["digests"] == list(map(digest, UNCOMPILED))

    kernels = [name for name in COMPOSING_SOURCES if name.startswith("composing/")]
    require_coverage(kernels, MIN_COVERAGE, tmp_path, run)


def test_every_column_is_made() -> None:
    """Among the random parts are some of each kind."""
    filled = set()
    for seed in range(60):
        tables = random_parts(seed).composed()
        filled |= {column.name for column in COLUMNS if len(getattr(tables, column.name))}
    assert filled == {column.name for column in COLUMNS}
