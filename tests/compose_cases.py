"""Random parts for `rer_numba.compose`, and what slow Python and `link` make of them."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rer_numba.compose import TablesPart, compose
from rer_numba.composing.state import LEAST_AHEAD
from rer_numba.draft import FactsDraft, Source
from rer_numba.facts import Facts, facts_of_tables
from rer_numba.link import link
from rer_numba.numbered import Error
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.paths.sources import SourceFolder, Sources
from rer_numba.paths.states import ABSENT, UNSURE, FileState
from rer_numba.reader import Reader
from rer_numba.schema import COLUMNS, NONE, Tables
from rer_numba.views import tables_of, views_of
from tests.case import Package
from tests.product import package_data
from tests.random_cases import random_case
from tests.test_broken_packages import broken_case

PATH_SHIFT = 40
MARK = BrokenValue("UnreadError", "not read yet")


@dataclass
class Parts:
    """What is composed: tables and drafts in order of precedence, and with what options."""

    parts: list[TablesPart | FactsDraft]
    locations: list[str]
    options: dict[str, Any] = field(default_factory=dict)

    def composed(self) -> Tables:
        return tables_of(compose(self.parts, locations=self.locations, **self.options))


# ---- random ones


def random_parts(seed: int) -> Parts:
    """Packages of a random case, dealt to paths, which are dealt to parts; some are read, some only marked."""
    rng = random.Random(f"compose-{seed}")
    packages = [package for _ in range(rng.choice((1, 1, 2))) for package in _packages(rng)]
    n_paths = rng.randint(1, 5)
    on_path: list[list[PackageData]] = [[] for _ in range(n_paths)]
    home = {package.name: rng.randrange(n_paths) for package in packages}
    scattered = rng.random()
    for package in packages:
        path = rng.randrange(n_paths) if rng.random() < scattered else home[package.name]
        on_path[path].append(_varied(rng, package))
        if rng.random() < 0.2:  # another one of the same version, on any path
            on_path[rng.randrange(n_paths)].append(_varied(rng, package))
    groups = _dealt(rng, range(n_paths))
    parts: list[TablesPart | FactsDraft] = []
    for paths in groups:
        if rng.random() < 0.3:
            parts.append(_draft(rng, paths, on_path))
        else:
            parts.append(_tables(rng, paths, on_path))
    rng.shuffle(parts)
    found = Parts(parts, [f"/path/{n}" for n in range(n_paths)])
    _add_overlay(rng, found)
    names = sorted({package.name for package in packages} | {"nobody", ".feat"})
    found.options = _options(rng, names)
    return found


def _packages(rng: random.Random) -> list[Package]:
    case = broken_case(rng.randrange(500)) if rng.random() < 0.4 else random_case(rng.randrange(3000))
    return list(case.packages)


def _varied(rng: random.Random, package: Package) -> PackageData:
    """A package that spells versions otherwise, says when it was released or cannot be loaded, now and then."""
    if rng.random() < 0.2:
        package = replace(
            package,
            version=package.version.replace(".", rng.choice("-.")),
            requires=[_respelled(rng, text) for text in package.requires],
            variants=[[_respelled(rng, text) for text in variant] for variant in package.variants],
        )
    data = package_data(package)
    if rng.random() < 0.1:
        data = PackageData.as_found(data.name, data.version, **_broken(rng))
    elif rng.random() < 0.3:
        data = PackageData(
            data.name, data.version, data.requires, data.variants, build_requires=["zzz", *data.build_requires],
            timestamp=rng.randrange(9), uri=f"/sw/{data.name}/{data.version}/package.py",
        )  # fmt: skip
    return data


def _respelled(rng: random.Random, text: str) -> str:
    name, dash, versions = text.partition("-")
    return name + dash + (versions.replace(".", "-") if rng.random() < 0.5 and "|" not in versions else versions)


def _broken(rng: random.Random) -> dict[str, Any]:
    error = BrokenValue(rng.choice(("ResourceError", "PackageMetadataError")), rng.choice(("bad", "w\udcffrse")))
    return rng.choice(({"requires": error}, {"variants": error}, {"build_requires": error}, {"timestamp": error}))


def _dealt(rng: random.Random, paths: Iterable[int]) -> list[list[int]]:
    """Paths in groups of neighbours."""
    groups: list[list[int]] = []
    for path in paths:
        if groups and rng.random() < 0.4:
            groups[-1].append(path)
        else:
            groups.append([path])
    return groups


def _source(rng: random.Random, location: int) -> Source:
    return Source(location, rng.randrange(99), rng.randrange(99), rng.randrange(99))


def _draft(rng: random.Random, paths: Sequence[int], on_path: list[list[PackageData]]) -> FactsDraft:
    draft = FactsDraft()
    for path in paths:
        for row, package in enumerate(on_path[path]):
            given = (path << PATH_SHIFT) + 2 * row
            source = _source(rng, path)
            if rng.random() < 0.7:
                draft.add(PackageData.as_found(package.name, package.version, requires=MARK), given + 1, source)
            if rng.random() < 0.7:
                draft.add(package, given, source)
        if rng.random() < 0.2:
            draft.family_error("broken_family", ("RuntimeError", f"on {path}"))
    return draft


def _tables(rng: random.Random, paths: Sequence[int], on_path: list[list[PackageData]]) -> TablesPart:
    """Encoded, saved as it were, with all that tells whether it is still so."""
    draft = FactsDraft()
    sources = Sources([f"/path/{path}" for path in paths])
    given = 0
    for location, path in enumerate(paths):
        sources.add(SourceFolder(location, "", "", _state(rng), ()))
        for package in on_path[path]:
            draft.add(package, given, _source(rng, location))
            given += 1
        for name in sorted({package.name for package in on_path[path]} | {f"empty{path}"}):
            if rng.random() < 0.9:
                watched = tuple((f"/path/{path}/{name}/{n}", _state(rng)) for n in range(rng.randrange(3)))
                sources.add(SourceFolder(location, name, rng.choice(("", "py")), _state(rng), watched))
        if rng.random() < 0.2:
            draft.family_error(rng.choice(("broken_family", "other_family")), ("VersionError", f"in {path}"))
    return TablesPart(views_of(link([draft.facts()], sources)), paths)


def _state(rng: random.Random) -> FileState:
    return FileState(rng.randrange(99), rng.randrange(99), rng.randrange(99))


def _add_overlay(rng: random.Random, parts: Parts) -> None:
    """Let a part give some names only, or all but some."""
    for number, part in enumerate(parts.parts):
        if isinstance(part, TablesPart) and rng.random() < 0.3:
            reader = Reader(part.views)
            names = [reader.family_name(row) for row in range(len(part.views.family_text))]
            some = {name for name in names if rng.random() < 0.5} | {"nobody"}
            parts.parts[number] = part._replace(**{rng.choice(("only", "without")): some})


def _options(rng: random.Random, names: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    kind = rng.choice(("all", "families", "closure_of", "closure_of"))
    if kind != "all":
        options[kind] = rng.sample(names, rng.randint(0, min(len(names), 4)))
    if kind == "closure_of" and rng.random() < 0.4:
        mark = MARK.error_type, MARK.text
        return {**options, "most_ahead": rng.randint(0, 60), "unlisted_error": mark, "listed": []}
    if rng.random() < 0.3:
        errors = [("VersionError", "one"), ("ResourceError", "two")]
        options["family_errors"] = {name: rng.choice(errors) for name in rng.sample(names, 2)}
    if rng.random() < 0.4:
        options["unlisted_error"] = (MARK.error_type, MARK.text)
        options["listed"] = rng.sample(names, rng.randint(0, len(names)))
    return options


# ---- what is expected


def expected(parts: Parts) -> Tables:
    """The same by `link`, from facts."""
    options = parts.options
    taken = _taken(parts)
    facts = [_facts(part, taken) for part in parts.parts]
    errors: dict[str, Error] = dict(options.get("family_errors", {}))
    if "unlisted_error" in options:
        for name in _bare_names(link(facts)) - {*options["listed"], *(taken or ())}:
            errors.setdefault(name, options["unlisted_error"])
    first = FactsDraft().facts()
    first.family_errors = errors
    return link([first, *facts], _sources(parts, taken))


def _bare_names(tables: Tables) -> set[str]:
    """Families without packages and errors, apart from ephemerals."""
    counts = np.diff(tables.family_package_offsets)
    rows = np.flatnonzero((counts == 0) & (tables.family_error == NONE))
    names = _names(tables)
    return {names[row] for row in rows if not names[row].startswith(".")}


def _taken(parts: Parts) -> set[str] | None:
    """The names that are taken; None for all."""
    options = parts.options
    if "families" in options:
        return set(options["families"])
    if "closure_of" not in options:
        return None
    return _taken_ahead(parts) if "most_ahead" in options else _closure(parts)


def _taken_ahead(parts: Parts) -> set[str]:
    """The names that are not marked, which must be some of the closure, and all of it if that is few enough."""
    roots, most, closure = set(parts.options["closure_of"]), parts.options["most_ahead"], _closure(parts)
    composed = parts.composed()
    reader = Reader(composed)
    errors = [None if row == NONE else reader.error(row) for row in composed.family_error]
    marked = [error == parts.options["unlisted_error"] for error in errors]
    taken = {name for name, mark in zip(_names(composed), marked, strict=True) if not mark} | roots
    taken = {name for name in taken if not name.startswith(".") or name in closure}
    assert taken <= closure
    counts = [_counts(part) for part in parts.parts]
    of_name = {name: [LEAST_AHEAD, *(count.get(name, 0) for count in counts)] for name in closure}
    if sum(max(of_name[name]) for name in closure - roots) <= most:
        assert taken == closure
    ahead = [name for name in taken - roots if not name.startswith(".")]  # which are never marked
    assert len(ahead) * LEAST_AHEAD <= most
    return taken


def _counts(part: TablesPart | FactsDraft) -> dict[str, int]:
    """How many packages each family has in a part."""
    tables = link([part.facts()], Sources()) if isinstance(part, FactsDraft) else tables_of(part.views)
    return dict(zip(_names(tables), np.diff(tables.family_package_offsets).tolist(), strict=True))


def _closure(parts: Parts) -> set[str]:
    """All names that can be come to."""
    options = parts.options
    found: set[str] = set()
    todo = list(options["closure_of"])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [other for part in parts.parts for other in _mentioned(part, name)]
    return found


def _allows(part: TablesPart | FactsDraft, name: str) -> bool:
    if isinstance(part, FactsDraft):
        return True
    return name in part.only if part.only is not None else name not in part.without


def _mentioned(part: TablesPart | FactsDraft, name: str) -> set[str]:
    """What packages of a family in a part require."""
    facts = _facts(part, {name}, distinct=True)
    rows = np.concatenate((facts.requires.values, facts.building.values))
    return {facts.names[facts.requirement_name[row]] for row in rows.tolist()}


def _facts(part: TablesPart | FactsDraft, names: set[str] | None, *, distinct: bool = False) -> Facts:
    """The facts of some families of a part."""
    if isinstance(part, FactsDraft):
        facts = part.facts()
        if names is None and not distinct:
            return facts
        tables = link([facts], Sources())
        given = _given_of_tables(tables, facts)
        return _restricted(tables, names, given, lambda locations: locations)
    tables = tables_of(part.views)
    paths = np.array(part.paths, np.int64)
    return _restricted(
        tables,
        {name for name in _names(tables) if _allows(part, name) and (names is None or name in names)},
        None,
        lambda locations: paths[locations],
    )


def _names(tables: Tables) -> list[str]:
    reader = Reader(tables)
    return [reader.family_name(row) for row in range(len(tables.family_text))]


def _restricted(tables: Tables, names: Collection[str] | None, given: Any, path_of: Any) -> Facts:
    wanted = np.array([names is None or name in names for name in _names(tables)], bool)
    family = np.repeat(np.arange(len(wanted)), np.diff(tables.family_package_offsets))
    rows = np.flatnonzero(wanted[family])
    facts = facts_of_tables(tables, rows, np.flatnonzero(wanted))
    path = path_of(facts.packages["location"].astype(np.int64))
    facts.packages["location"] = path
    facts.packages["given"] = (path << PATH_SHIFT) + 2 * facts.packages["given"] if given is None else given[rows]
    return facts


def _given_of_tables(tables: Tables, facts: Facts) -> Any:
    """What was given for each package that `link` has kept."""
    reader = Reader(tables)
    best: dict[tuple[str, bytes], int] = {}
    for row, given in enumerate(facts.packages["given"].tolist()):
        key = (facts.names[facts.packages["name"][row]], facts.version_keys[facts.packages["version"][row]])
        best[key] = min(best.get(key, given), given)
    keys = bytes(tables.version_key)
    found = []
    for row, rank in enumerate(tables.package_version_rank.tolist()):
        start, end = tables.version_key_offsets[rank : rank + 2].tolist()
        found.append(best[reader.package_family_name(row), keys[start:end]])
    return np.array(found, np.int64)


def _sources(parts: Parts, taken: set[str] | None) -> Sources:
    """Locations and folders: what the first part says that says something."""
    found = Sources(list(parts.locations))
    homes: dict[int, SourceFolder] = {}
    others: dict[tuple[str, int], tuple[int, list[SourceFolder]]] = {}
    for number, part in enumerate(parts.parts):
        if isinstance(part, FactsDraft):
            continue
        for name, folders in Sources.of(tables_of(part.views)).folders.items():
            for folder in folders:
                path = part.paths[folder.location]
                moved = replace(folder, location=path)
                if not name:
                    homes.setdefault(path, moved)
                elif _allows(part, name) and (taken is None or name in taken):
                    first, group = others.setdefault((name, path), (number, []))
                    if first == number:
                        group.append(moved)
    unknown = FileState(ABSENT.inode, UNSURE, ABSENT.size)
    for path in range(len(parts.locations)):
        found.add(homes.get(path, SourceFolder(path, "", "", unknown)))
    for _, group in (others[key] for key in sorted(others)):
        for folder in group:
            found.add(folder)
    return found


def differences(one: Tables, other: Tables) -> list[str]:
    """The columns that are not equal."""
    return [column.name for column in COLUMNS if not _equal(getattr(one, column.name), getattr(other, column.name))]


def _equal(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)
