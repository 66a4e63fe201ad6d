"""Packages that were read just now, in the form of tables, as far as `rer_numba.compose` reads them. Without numpy.

Small and slow: some microseconds for each package. The order of requirements, ranges and texts has no meaning here.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from rer_numba.draft import FactsDraft, PlainFacts, RequiresDraft
from rer_numba.numbered import PACKAGE_FACTS, Numbered
from rer_numba.schema import COLUMN_BY_NAME, CONFLICT, CUT_INF, CUT_SHIFT, FORMATS, NONE

if TYPE_CHECKING:
    from rer_numba.paths.source_folder import SourceFolder

_FACT = {name: place for place, name in enumerate(PACKAGE_FACTS)}
_LOW = (1 << CUT_SHIFT) - 1


class DraftColumns(NamedTuple):
    """What `columns_of` makes.

    Attributes
    ----------
    columns : dict of array
        As in `rer_numba.schema`, with ``given`` and ``paths`` beside them. `package_location` counts `paths`.
    plain, building : dict of array
        The two sets of what variants require; one object when no package has build_requires.
    """

    columns: dict[str, array[int]]
    plain: dict[str, array[int]]
    building: dict[str, array[int]]


def columns_of(draft: FactsDraft, folders: Iterable[SourceFolder] = ()) -> DraftColumns:
    """Make columns of what a draft holds; of packages with equal name and version the one given first.

    Parameters
    ----------
    draft : FactsDraft
    folders : iterable of SourceFolder
        Where the packages were found, by numbers of paths.
    """
    facts = draft.plain()
    return _Columns(facts, sorted(folders, key=lambda folder: (folder.name, folder.location))).made()


class _Columns:
    """See `columns_of`."""

    def __init__(self, facts: PlainFacts, folders: list[SourceFolder]) -> None:
        self._facts = facts
        self._folders = folders
        self._paths: Numbered[int] = Numbered()
        self._texts: Numbered[str] = Numbered()
        self._names = sorted({*facts.names, *facts.family_errors})
        places = {name: row for row, name in enumerate(self._names)}
        self._family = [places[name] for name in facts.names]
        by_key = sorted(range(len(facts.version_keys)), key=facts.version_keys.__getitem__)
        self._versions = by_key
        self._rank = dict(zip(by_key, range(len(by_key)), strict=True))
        self._rows = self._kept()

    def _kept(self) -> list[int]:
        """Rows of packages in the order of tables: by family, the newest first, one of each version."""
        name, version, given = _FACT["name"], _FACT["version"], _FACT["given"]
        packages = self._facts.packages
        first: dict[tuple[int, int], int] = {}
        for row in sorted(range(len(packages)), key=lambda row: packages[row][given]):
            package = packages[row]
            first.setdefault((self._family[package[name]], -self._rank[package[version]]), row)
        return [first[key] for key in sorted(first)]

    def made(self) -> DraftColumns:
        """All columns."""
        facts = self._facts
        plain = self._set(facts.requires)
        building = plain if facts.building is facts.requires else self._set(facts.building)
        columns = {**self._package_columns(), **self._family_columns(), **self._requirement_columns()}
        columns |= self._folder_columns()
        columns["paths"] = self._paths
        columns["error_type_text"] = self._text_rows(kind for kind, _ in facts.errors)
        columns["error_value_text"] = self._text_rows(value for _, value in facts.errors)
        columns |= _strings("version_key", (facts.version_keys[row] for row in self._versions))
        columns |= _strings("text", (text.encode("utf-8", "surrogatepass") for text in self._texts))
        return DraftColumns({name: _as_array(name, values) for name, values in columns.items()}, plain, building)

    def _text_rows(self, texts: Iterable[str]) -> list[int]:
        return [self._texts.add(text) for text in texts]

    # --- families and packages

    def _family_columns(self) -> dict[str, Iterable[int]]:
        facts = self._facts
        errors = Numbered(facts.errors)
        broken = [NONE] * len(self._names)
        for row, name in enumerate(self._names):
            if name in facts.family_errors:
                broken[row] = errors.add(facts.family_errors[name])
        facts.errors[:] = errors
        counts = [0] * len(self._names)
        for row in self._rows:
            counts[self._family[facts.packages[row][_FACT["name"]]]] += 1
        return {
            "family_text": self._text_rows(self._names),
            "family_by_name": range(len(self._names)),
            "family_error": broken,
            "family_package_offsets": accumulate(counts, initial=0),
            "version_text": self._text_rows(facts.version_texts[row] for row in self._versions),
        }

    def _package_columns(self) -> dict[str, Iterable[int]]:
        packages = [self._facts.packages[row] for row in self._rows]
        found = {name: [package[place] for package in packages] for name, place in _FACT.items()}
        texts = self._text_rows(self._facts.texts) + [NONE]
        return {
            "package_version_rank": [self._rank[version] for version in found["version"]],
            "package_version_text": [texts[text] for text in found["version_text"]],
            "package_indexed": found["indexed"],
            "package_variant_offsets": accumulate(found["variants"], initial=0),
            "package_uri_text": [texts[text] for text in found["uri_text"]],
            "package_uri_tail_text": [texts[text] for text in found["uri_tail_text"]],
            **{f"package_{name}": found[name] for name in ("timestamp", "timestamp_error", "error")},
            **{f"package_{name}": found[name] for name in ("inode", "mtime", "size", "ctime")},
            "package_location": [self._paths.add(location) for location in found["location"]],
            "given": found["given"],
        }

    def _folder_columns(self) -> dict[str, Iterable[int]]:
        """Where the packages were found, as `rer_numba.paths.sources` writes it."""
        texts: Numbered[str] = Numbered()
        watched = [watch for folder in self._folders for watch in folder.watched]
        states = {"folder": [folder.state for folder in self._folders], "watch": [state for _, state in watched]}
        columns: dict[str, Iterable[int]] = {
            "folder_location": [self._paths.add(folder.location) for folder in self._folders],
            "folder_name_text": [texts.add(folder.name) for folder in self._folders],
            "folder_extension_text": [texts.add(folder.extension) for folder in self._folders],
            "folder_watch_offsets": accumulate((len(folder.watched) for folder in self._folders), initial=0),
            "watch_text": [texts.add(path) for path, _ in watched],
        }
        for table, found in states.items():
            columns[f"{table}_inode"] = [state.inode for state in found]
            columns[f"{table}_mtime"] = [state.mtime_ns for state in found]
            columns[f"{table}_size"] = [state.size for state in found]
            columns[f"{table}_ctime"] = [state.ctime_ns for state in found]
        return columns | _strings("source_text", (text.encode("utf-8", "surrogatepass") for text in texts))

    # --- requirements

    def _requirement_columns(self) -> dict[str, Iterable[int]]:
        facts = self._facts
        ranges: Numbered[tuple[int, ...]] = Numbered()
        rows = [ranges.add(tuple(map(self._cut, cuts))) if cuts else NONE for cuts in facts.requirement_cuts]
        return {
            "requirement_family": [self._family[name] for name in facts.requirement_name],
            "requirement_range": rows,
            "requirement_flags": facts.requirement_flags,
            "requirement_text": self._text_rows(facts.requirement_text),
            "range_offsets": accumulate(map(len, ranges), initial=0),
            "range_cut": [cut for cuts in ranges for cut in cuts],
        }

    def _cut(self, cut: int) -> int:
        return cut if cut == CUT_INF else (self._rank[cut >> CUT_SHIFT] << CUT_SHIFT) | (cut & _LOW)

    def _set(self, requires: RequiresDraft) -> dict[str, array[int]]:
        """The columns of what the variants of the kept packages require."""
        counts = [package[_FACT["variants"]] for package in self._facts.packages]
        first = list(accumulate(counts, initial=0))
        start = list(accumulate(requires.counts, initial=0))
        variants = [variant for row in self._rows for variant in range(first[row], first[row + 1])]
        values = [requires.values[start[variant] : start[variant + 1]] for variant in variants]
        extractions = [self._wanted(value) for value in values]
        mentioned = self._mentioned(values)
        columns: dict[str, Iterable[int]] = {
            "variant_error": [requires.errors[variant] for variant in variants],
            "variant_requirement_offsets": accumulate(map(len, values), initial=0),
            "variant_requirement": [row for value in values for row in value],
            "variant_extraction_offsets": accumulate(map(len, extractions), initial=0),
            "variant_extraction": [row for value in extractions for row in value],
            "family_mention_offsets": accumulate(map(len, mentioned), initial=0),
            "mention_family": [family for families in mentioned for family in families],
        }
        return {name: _as_array(name, column) for name, column in columns.items()}

    def _wanted(self, requirements: list[int]) -> list[int]:
        """What can be extracted of some requirements, by the names of their families."""
        flags, name = self._facts.requirement_flags, self._facts.requirement_name
        wanted = [row for row in requirements if not flags[row] & CONFLICT]
        return sorted(wanted, key=lambda row: self._family[name[row]])

    def _mentioned(self, values: list[list[int]]) -> list[list[int]]:
        """The families that the variants of each family require."""
        name = self._facts.requirement_name
        found: list[set[int]] = [set() for _ in self._names]
        of_variant = iter(values)
        for row in self._rows:
            package = self._facts.packages[row]
            for _ in range(package[_FACT["variants"]]):
                found[self._family[package[_FACT["name"]]]].update(self._family[name[one]] for one in next(of_variant))
        return [sorted(families) for families in found]


def _strings(name: str, strings: Iterable[bytes]) -> dict[str, Iterable[int]]:
    """A pool: the strings one after the other, and where each starts."""
    found = list(strings)
    data = f"{name}_bytes" if name.endswith("text") else name
    return {f"{name}_offsets": accumulate(map(len, found), initial=0), data: b"".join(found)}


def _as_array(name: str, values: Iterable[int]) -> array[int]:
    dtype = COLUMN_BY_NAME[name].dtype if name in COLUMN_BY_NAME else "int64"
    return array(FORMATS[dtype], values)
