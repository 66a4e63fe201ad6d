"""Repositories made from folders: the same tables and the same answers as from what live rez loads there."""

from __future__ import annotations

import contextlib
import os
import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rez")

import rez
from rez.packages import iter_packages
from rez.utils.sourcecode import SourceCode
from rez.version import Version, VersionError

from rer_numba import Repository
from rer_numba.broken import broken_parts
from rer_numba.checks import check
from rer_numba.encode import FactsDraft
from rer_numba.link import link
from rer_numba.packages import LATE, BrokenValue, PackageData
from rer_numba.paths.build import tables_of_paths
from rer_numba.paths.freshness import STRICT, Freshness
from rer_numba.paths.refresh import read_again
from rer_numba.paths.settings import PathSettings
from rer_numba.schema import COLUMNS, Tables
from tests.oracle import Answer, RezOracle
from tests.random_tree import TreeCase, let_settle, make_tree, mutate
from tests.rez_folders import rez_as

SEEDS = 60
DEFAULTS = PathSettings()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Python warns of odd escapes in package files, while rez runs them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tables_of(tree: TreeCase, processes: int = 1) -> Tables:
    """Encode a tree, with rez configured as the tree wants it."""
    with rez_as(tree.settings, tree.build_python_path):
        return tables_of_paths(tree.paths, tree.settings, processes=processes)


# ---- what rez loads


def tables_of_rez(tree: TreeCase, ours: Tables) -> Tables:
    """The tables of what live rez lists and loads, read attribute by attribute as a solve reads them.

    Of several versions that are none rez complains about any one, so the one that we complain about is as good.
    """
    complaints = {broken.name: broken for broken in broken_parts(ours) if broken.error_type == "VersionError"}
    draft = FactsDraft()
    with rez_as(tree.settings, tree.build_python_path):
        for name in _all_names(tree):
            try:
                packages = list(iter_packages(name, paths=tree.paths))
            except Exception as error:  # noqa: BLE001 - whatever listing raises is what is wanted
                text = str(error)
                if isinstance(error, VersionError) and name in complaints:
                    text = complaints[name].text
                    with pytest.raises(VersionError, match=re.escape(text)):
                        Version(text.removeprefix("Invalid version syntax: '").removesuffix("'"))
                draft.family_error(name, (type(error).__name__, text))
                continue
            for given, package in enumerate(packages):
                draft.add(_loaded(package), given)
    return link([draft.facts()])


def _all_names(tree: TreeCase) -> list[str]:
    names = set(tree.names)
    for path in tree.paths:
        with contextlib.suppress(OSError):
            names.update(name.partition(".")[0] if name.endswith((".py", ".yaml")) else name for name in os.listdir(path))
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


def differing(left: Tables, right: Tables, *, order: bool = False) -> list[str]:
    """Names of columns about packages that differ. rez lists versions from a set: their order is no matter."""
    return [
        column.name
        for column in COLUMNS
        if not column.source
        and (order or column.name != "package_given_rank")
        and not np.array_equal(getattr(left, column.name), getattr(right, column.name))
    ]


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_tables_equal_those_of_what_rez_loads(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 10):
        tree = make_tree(tmp_path / str(seed), seed)
        ours = tables_of(tree)
        assert check(ours) is None
        assert differing(ours, tables_of_rez(tree, ours)) == [], f"seed {seed}"
