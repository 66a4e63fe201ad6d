"""Repositories made from folders: the same tables and the same answers as from what live rez loads there."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rez")

import rez
from rez.packages import iter_packages
from rez.plugin_managers import plugin_manager
from rez.utils.sourcecode import SourceCode

from rer_numba import Repository
from rer_numba.benchmark_data import write_tree
from rer_numba.checks import check
from rer_numba.draft import FactsDraft
from rer_numba.link import link
from rer_numba.packages import LATE, BrokenValue, PackageData
from rer_numba.paths.build import tables_of_paths
from rer_numba.paths.freshness import STRICT, Freshness
from rer_numba.paths.refresh import read_again
from rer_numba.paths.settings import PathSettings
from rer_numba.schema import COLUMNS, Tables
from tests.oracle import PATHS_PLACEHOLDER, Answer, RezOracle, _rez_filter
from tests.random_tree import TreeCase, let_settle, make_tree, mutate
from tests.rez_contexts import asking_at_once, unsolved_context_of_rez
from tests.rez_folders import rez_as

SEEDS = 60
EXTENSIONS = (".py", ".yaml")
DEFAULTS = PathSettings()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Python warns of odd escapes in package files, while rez runs them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def rez_for(tree: TreeCase) -> Iterator[None]:
    """Run rez as a tree wants it, and let it list versions in the order of the folder instead of that of a set."""
    kind: Any = plugin_manager.get_plugin_class("package_repository", "filesystem")
    unsorted = kind._get_version_dirs

    def in_order(self: Any, root: str) -> list[str]:
        found = set(unsorted(self, root))
        return [name for name in os.listdir(root) if name in found]

    with rez_as(tree.settings, tree.build_python_path), pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "_get_version_dirs", in_order)
        yield


def tables_of(tree: TreeCase, processes: int = 1) -> Tables:
    """Encode a tree, with rez configured as the tree wants it."""
    with rez_as(tree.settings, tree.build_python_path), asking_at_once():
        return tables_of_paths(tree.paths, tree.settings, processes=processes)


# ---- what rez loads


def tables_of_rez(tree: TreeCase) -> Tables:
    """The tables of what live rez lists and loads, read attribute by attribute as a solve reads them."""
    draft = FactsDraft()
    with rez_for(tree):
        for name in _all_names(tree):
            try:
                packages = list(iter_packages(name, paths=tree.paths))
            except Exception as error:  # noqa: BLE001 - whatever listing raises is what is wanted
                draft.family_error(name, (type(error).__name__, str(error)))
                continue
            for given, package in enumerate(packages):
                draft.add(_loaded(package), given)
    return link([draft.facts()])


def _all_names(tree: TreeCase) -> list[str]:
    names = set(tree.names)
    for path in tree.paths:
        with contextlib.suppress(OSError):
            names.update(os.path.splitext(name)[0] if name.endswith(EXTENSIONS) else name for name in os.listdir(path))
    return sorted(name for name in names if _is_family_name(name))


def _is_family_name(name: str) -> bool:
    from rez.utils.formatting import is_valid_package_name

    return bool(is_valid_package_name(name))


def _loaded(package: Any) -> PackageData:
    values: dict[str, Any] = {}
    for key in ("requires", "build_requires", "timestamp"):
        values[key] = _read(package, key)
    values["variants"] = _variants(package, values)
    return PackageData.as_found(package.name, package.resource.get("version") or "", **values, uri=package.uri)


def _read(package: Any, key: str) -> Any:
    try:
        value = getattr(package.resource, key)
    except AttributeError:  # rez's wrapper takes it for the sign that the attribute is not set
        return None
    except Exception as error:  # noqa: BLE001
        return BrokenValue(type(error).__name__, str(error))
    if isinstance(value, SourceCode):
        return BrokenValue(LATE, f"{key} is a late function, which only rez can run, within a solve")
    return list(map(str, value)) if isinstance(value, list) else value


def _variants(package: Any, values: dict[str, Any]) -> Any:
    count = None
    try:
        count = len(list(package.iter_variants()))
        return [list(map(str, variant)) for variant in package.variants or []]
    except Exception as error:  # noqa: BLE001
        broken = BrokenValue(type(error).__name__, str(error))
    if "combined" not in package.resource.key or count is None:
        return broken
    values["requires"] = values["requires"] if isinstance(values["requires"], BrokenValue) else broken
    return [[] for _ in range(count)]


def differing(left: Tables, right: Tables) -> list[str]:
    """Names of columns about packages that differ."""
    return [
        column.name
        for column in COLUMNS
        if not column.source and not np.array_equal(getattr(left, column.name), getattr(right, column.name))
    ]


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_tables_equal_those_of_what_rez_loads(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 10):
        tree = make_tree(tmp_path / str(seed), seed)
        ours = tables_of(tree)
        assert check(ours) is None
        assert differing(ours, tables_of_rez(tree)) == [], f"seed {seed}"


def test_rez_test_data() -> None:
    """Every repository that comes with rez's own tests: each folder there is taken for one."""
    data = Path(rez.__file__).parent / "data" / "tests"
    folders = [path for path in data.rglob("*") if path.is_dir() and "__pycache__" not in path.parts]
    assert {"solver", "packages", "py_packages", "yaml_packages"} <= {path.name for path in folders}
    for folder in folders:
        tree = TreeCase(data, [str(folder)], DEFAULTS, [], [], "")
        ours = tables_of(tree)
        assert differing(ours, tables_of_rez(tree)) == [], str(folder)


@pytest.mark.live_rez
def test_rez_benchmark_repository(tmp_path: Path) -> None:
    """18,226 package files; rez takes 20 seconds to load them."""
    folder = write_tree(tmp_path)
    tree = TreeCase(tmp_path, [folder], DEFAULTS, [], [], "")
    ours = tables_of(tree, processes=2)
    assert len(ours.package_version_rank) == 18_226
    assert differing(ours, tables_of_rez(tree)) == []


# ---- answers


def answers_of_rez(tree: TreeCase, timestamp: int | None, building: bool) -> list[Answer]:
    with rez_for(tree), RezOracle.at_paths(tree.paths) as oracle:
        options = {"package_filter": _rez_filter(None, timestamp), "building": building}
        answers = []
        for requests in tree.requests:
            # late functions see a context
            context = unsolved_context_of_rez(requests, tree.paths, building=building, add_implicit_packages=False)
            answers.append(oracle._ask(requests, (), {**options, "context": context}))
        return answers


def answers_of_us(tree: TreeCase, **options: Any) -> list[Answer]:
    with rez_for(tree):  # which solves what is late
        repository = Repository.from_paths(tree.paths, path_settings=tree.settings, processes=1)
        return [Answer.of(repository.solve(requests, **options)) for requests in tree.requests]


@pytest.mark.parametrize(("timestamp", "building"), [(None, False), (None, True), (500_000_000, False)])
@pytest.mark.parametrize("first", range(1000, 1000 + SEEDS, 10))
def test_answers_equal_those_of_rez(first: int, timestamp: int | None, building: bool, tmp_path: Path) -> None:
    for seed in range(first, first + 10):
        tree = make_tree(tmp_path / str(seed), seed)
        answers = answers_of_us(tree, timestamp=timestamp, building=building)
        expected = answers_of_rez(tree, timestamp, building)
        for requests, ours, rez_s in zip(tree.requests, answers, expected, strict=True):
            assert comparable(tree, ours) == comparable(tree, rez_s), f"seed {seed}: {requests}"


def comparable(tree: TreeCase, answer: Answer) -> Any:
    text = answer.failure_description
    if text is not None:
        text = text.replace(PATHS_PLACEHOLDER, "; ".join(tree.paths))  # which stands for a part of a path as well
    return replace(answer, failure_description=text).tier_b()


# ---- several processes


def test_workers_read_the_same(tmp_path: Path) -> None:
    for seed in range(3):
        tree = make_tree(tmp_path / str(seed), seed)
        assert differing(tables_of(tree, processes=3), tables_of(tree)) == []


# ---- refresh


def refreshed(tree: TreeCase, tables: Tables, level: str = STRICT) -> Tables:
    with rez_as(tree.settings, tree.build_python_path), asking_at_once():
        changed = Freshness(tables, tree.settings).changed_families(level, lambda done, total: None)
        return read_again(tables, changed, tree.settings, processes=1)


@pytest.mark.parametrize("first", range(2000, 2000 + SEEDS, 10))
def test_refreshed_is_as_good_as_new(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 10):
        rng = random.Random(seed)
        tree = make_tree(tmp_path / str(seed), seed)
        tables = tables_of(tree)
        let_settle(tree.root)
        tables = refreshed(tree, tables)
        done = []
        for _ in range(4):
            done.append(mutate(tree, rng))
            tables = refreshed(tree, tables)
            assert check(tables) is None
            assert differing(tables, tables_of(tree)) == [], f"seed {seed}: {done}"


def test_nothing_is_read_where_nothing_changed(tmp_path: Path) -> None:
    for seed in range(20):
        tree = make_tree(tmp_path / str(seed), seed)
        let_settle(tree.root)
        tables = tables_of(tree)
        changed = Freshness(tables, tree.settings).changed_families(STRICT, lambda done, total: None)
        assert changed == [], f"seed {seed}"
