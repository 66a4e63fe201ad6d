"""What is found in folders: the packages that live rez finds, and a trace of every change."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rez.packages import iter_packages
from rez.version import Version, VersionError

from rer_numba.paths.discover import (
    Family,
    FamilyListing,
    Location,
    canonical_location,
    list_family,
    list_location,
)
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.states import ABSENT, unchanged
from tests.random_tree import TreeCase, let_settle, make_tree, mutate
from tests.rez_folders import found_by_rez, found_by_us, rez_as

DEFAULTS = PathSettings()
CHECKED = PathSettings(check_package_definition_files=True)
VERSIONED = PathSettings(allow_unversioned_packages=False)
SEEDS = 60
CHUNK = 10
SECOND = 1_000_000_000


def chosen_by_rez(name: str, paths: list[str]) -> dict[Version, str] | None:
    """The location of each version that a solve sees, None if rez raises."""
    try:
        return {package.version: package.resource.location for package in iter_packages(name, paths=paths)}
    except VersionError:
        return None


def chosen_by_us(name: str, locations: list[Location], settings: PathSettings) -> dict[Version, str] | None:
    chosen: dict[Version, str] = {}
    for location in locations:
        if name in location.families:
            for entry in list_family(location.families[name], settings).entries:
                try:
                    chosen.setdefault(Version(entry.version), location.path)
                except VersionError:
                    return None
    return chosen


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_random_trees(first: int, tmp_path: Path) -> None:
    """The families and packages of every location, and which of equal versions counts; also after changes."""
    for seed in range(first, first + CHUNK):
        tree = make_tree(tmp_path / str(seed), seed)
        rng = Random(seed)
        compare(tree)
        for _ in range(3):
            what = mutate(tree, rng)
            compare(tree, f"seed {seed}, {what}")


def compare(tree: TreeCase, what: str = "") -> None:
    settings = tree.settings
    with rez_as(settings, tree.build_python_path):
        locations = [list_location(path, settings) for path in tree.paths]
        names = {*tree.names, *(name for location in locations for name in location.families)}
        for name in sorted(names):
            for location, path in zip(locations, tree.paths, strict=True):
                assert found_by_us(location, name, settings) == found_by_rez(path, name), (what, path, name)
            if not any(name in location.families and location.families[name].extension for location in locations):
                assert chosen_by_us(name, locations, settings) == chosen_by_rez(name, tree.paths), (what, name)


def test_the_trees_have_what_they_should(tmp_path: Path) -> None:
    """The comparison above is worth something only if all kinds of listings occur in it."""
    seen: dict[str, int] = {}
    for seed in range(SEEDS):
        tree = make_tree(tmp_path / str(seed), seed)
        for path in tree.paths:
            location = list_location(path, tree.settings)
            listings = [list_family(family, tree.settings) for family in location.families.values()]
            kinds = {
                "no folder": location.state == ABSENT,
                "combined": any(family.extension for family in location.families.values()),
                "hidden by a folder": any((Path(path) / f"{name}.py").is_file() for name in location.families)
                and any((Path(path) / name).is_dir() for name in location.families),
                "broken links": bool(location.watched),
                "no definition": any(entry.file is None for listing in listings for entry in listing.entries),
                "watched": any(listing.watched for listing in listings),
                "unversioned": any(not entry.version for listing in listings for entry in listing.entries),
                "yaml": any(entry.extension == "yaml" for listing in listings for entry in listing.entries),
                "empty": any(not listing.entries for listing in listings),
            }
            for kind, there in kinds.items():
                seen[kind] = seen.get(kind, 0) + there
    assert min(seen.values()) >= 5, seen


def test_the_same_seed_makes_the_same_tree(tmp_path: Path) -> None:
    def content(tree: TreeCase) -> list[tuple[str, bytes]]:
        files = [path for path in tree.root.rglob("*") if path.is_file()]
        return sorted((str(path.relative_to(tree.root)), path.read_bytes()) for path in files)

    for seed in range(5):
        one, two = (make_tree(tmp_path / side / str(seed), seed) for side in ("one", "two"))
        rngs = Random(seed), Random(seed)
        for _ in range(10):
            assert mutate(one, rngs[0]) == mutate(two, rngs[1])
        assert content(one) == content(two)
        assert (one.settings, one.names, one.requests) == (two.settings, two.names, two.requests)


# -------------------------------------------------------------------------------------------------------------- changes
Listed = tuple[list[Location], dict[tuple[str, str], FamilyListing]]


def listed(tree: TreeCase) -> Listed:
    locations = [list_location(path, tree.settings) for path in tree.paths]
    return locations, {
        (location.path, name): list_family(family, tree.settings)
        for location in locations
        for name, family in location.families.items()
    }


def facts(listing: FamilyListing | None) -> Any:
    """What a reader of the listing goes by, without times."""
    if listing is None:
        return None
    return sorted((entry.version, entry.file or "", entry.extension) for entry in listing.entries), listing.error


def is_seen(location: Location, family: Family, listing: FamilyListing) -> bool:
    """Whether a look at the states alone tells that something changed."""
    states = [(location.path, location.state), *location.watched, (family.path, listing.state), *listing.watched]
    states += [(entry.file, entry.state) for entry in listing.entries if entry.file is not None]
    return not all(unchanged(path, state) for path, state in states)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_change_leaves_a_trace(first: int, tmp_path: Path) -> None:
    """Families whose listing, or the content of whose files, differs after a change are seen to differ."""
    changes = 0
    for seed in range(first, first + CHUNK):
        tree = make_tree(tmp_path / str(seed), seed)
        rng = Random(seed)
        for _ in range(4):
            let_settle(tree.root)
            (locations, before), content = listed(tree), contents(tree)
            what = mutate(tree, rng)
            (_, after), content_after = listed(tree), contents(tree)
            for location in locations:
                for name, family in location.families.items():
                    key = location.path, name
                    old, new = before[key], after.get(key)
                    files = [family.path] if family.extension else [entry.file for entry in old.entries]
                    if facts(old) != facts(new) or any(content.get(file) != content_after.get(file) for file in files):
                        changes += 1
                        assert is_seen(location, family, old), (seed, what, key)
            new_families = set(after) - set(before)
            for path, name in new_families:
                location = next(location for location in locations if location.path == path)
                states = [(path, location.state), *location.watched]
                assert not all(unchanged(*state) for state in states), (seed, what, name)
    assert changes >= CHUNK


def contents(tree: TreeCase) -> dict[str | None, bytes]:
    found: dict[str | None, bytes] = {}
    for path in tree.paths:
        for folder, _, files in os.walk(canonical_location(path), followlinks=False):
            for file in files:
                with contextlib.suppress(OSError):  # a link to nowhere
                    found[os.path.join(folder, file)] = Path(folder, file).read_bytes()
    return found


def test_nothing_changes_where_nothing_changed(tmp_path: Path) -> None:
    for seed in range(10):
        tree = make_tree(tmp_path / str(seed), seed)
        let_settle(tree.root)
        locations, before = listed(tree)
        assert listed(tree) == (locations, before)
        for location in locations:
            for name, family in location.families.items():
                assert not is_seen(location, family, before[location.path, name]), (seed, name)
