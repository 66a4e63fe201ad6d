"""Tables of some families of several tables and of packages read just now, made in compiled code, without numpy.

The columns are those that `rer_numba.link` makes of the same facts, byte for byte. The cost goes with the families that
are taken. From rez's benchmark on three paths: 5 ms for 236 families with 2,636 packages and 52,374 requirements, 15 ms
for all of it, where `link` takes 200 after importing numpy (processor time, November 2026).

Python takes the steps (`rer_numba.composing.state`), in each of which a kernel does for one part, or for all, what
needs to be done; between them it makes room, since then the kernels have told how much they need.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rer_numba.compose_parts import MOST_ROWS, Part, part_of_draft, part_of_views
from rer_numba.compose_room import Room
from rer_numba.composing import state
from rer_numba.errors import RepositoryLimitError
from rer_numba.numbered import Error
from rer_numba.schema import BUILDING, CUT_INF, CUT_SHIFT, NONE
from rer_numba.views import Longest, Views

if TYPE_CHECKING:
    from rer_numba.draft import FactsDraft
    from rer_numba.paths.source_folder import SourceFolder

_ALL_AHEAD = sys.maxsize


class DraftPart(NamedTuple):
    """Packages that were read just now as a part.

    Attributes
    ----------
    draft : FactsDraft
    folders : sequence of SourceFolder
        Where they were found, by numbers of paths.
    without : collection of str
        Families that are not taken.
    """

    draft: FactsDraft
    folders: Sequence[SourceFolder] = ()
    without: Collection[str] = ()


class TablesPart(NamedTuple):
    """Complete tables as a part.

    Attributes
    ----------
    views : Views
        As `link` or `compose` has made them.
    paths : sequence of int
        Number of the path of each of their locations; NONE for one that nothing is taken from.
    only : collection of str, optional
        Families that are taken from them.
    without : collection of str
        Families that are not.
    """

    views: Views
    paths: Sequence[int]
    only: Collection[str] | None = None
    without: Collection[str] = ()


def compose(
    parts: Sequence[TablesPart | DraftPart | FactsDraft],
    *,
    families: Iterable[str] | None = None,
    closure_of: Iterable[str] | None = None,
    most_ahead: int | None = None,
    family_errors: Mapping[str, Error] | None = None,
    unlisted_error: Error | None = None,
    listed: Iterable[str] = (),
    locations: Sequence[str] | None = None,
) -> Views:
    """Make tables.

    Parameters
    ----------
    parts : sequence of TablesPart, DraftPart or FactsDraft
        In order of precedence. Of two packages with equal name and version the one given first counts: by the number of
        the path and the place within it, as `given` of a draft has it; of equal ones that of the first part.
    families : iterable of str, optional
        Which families are taken. Others that they require are in the tables, without packages.
    closure_of : iterable of str, optional
        Take these families, and all that any of their packages require, with or without build_requires, and so on.
        With neither, everything is taken.
    most_ahead : int, optional
        Of what is required, take no families that would make it more packages than that, counted where it is required;
        each family for at least `state.LEAST_AHEAD`. They are taken in the order in which they are come to.
    family_errors : mapping, optional
        What listing a family raises; counts more than what the parts say.
    unlisted_error : (str, str), optional
        What listing a family raises that is in the tables since others require it, was not taken from any part, and is
        not among `listed`. Ephemerals are never listed.
    listed : iterable of str
        Families that are known not to be anywhere else. Those of `families` and `closure_of` are among them.
    locations : sequence of str, optional
        What each path is called. None: nothing is said of where packages lie.

    Returns
    -------
    Views
        Read-only, `longest` included.

    Raises
    ------
    ValueError
        A location has no path, or a path no name.
    RepositoryLimitError
        The parts have more rows than can be numbered.

    Notes
    -----
    Of what tells whether it is still so (see `rer_numba.schema`), the tables have the folders of the families that are
    taken. A location that no part says anything about has a time of change that nothing has.
    """
    asked = _Asked(
        locations=None if locations is None else tuple(locations),
        families=tuple({**dict.fromkeys(families or ()), **dict.fromkeys(closure_of or ())}),
        listed=tuple(listed),
        errors=dict(family_errors or {}),
        unlisted=unlisted_error,
    )
    _check_paths(parts, locations)
    everything = families is None and closure_of is None
    composer = _Composer([_as_part(part) for part in parts or (_nothing(),)], asked, everything=everything)
    composer.note_errors()
    composer.select(most_ahead=0 if closure_of is None else _ALL_AHEAD if most_ahead is None else most_ahead)
    composer.choose()
    return composer.views()


def _check_paths(parts: Iterable[TablesPart | DraftPart | FactsDraft], locations: Sequence[str] | None) -> None:
    """Kernels believe numbers of paths."""
    for part in parts:
        if isinstance(part, TablesPart):
            if len(part.paths) < len(part.views.location_text):
                raise ValueError(f"{len(part.views.location_text)} locations, {len(part.paths)} numbers of paths")
            if locations is not None and any(not NONE <= path < len(locations) for path in part.paths):
                raise ValueError(f"paths {list(part.paths)} of {len(locations)} locations")


def _as_part(part: TablesPart | DraftPart | FactsDraft) -> Part:
    if isinstance(part, TablesPart):
        return part_of_views(*part)
    from rer_numba.draft_columns import columns_of

    if isinstance(part, DraftPart):
        return part_of_draft(columns_of(part.draft, part.folders), part.without)
    return part_of_draft(columns_of(part))


def _nothing() -> FactsDraft:
    from rer_numba.draft import FactsDraft

    return FactsDraft()


class _Asked(NamedTuple):
    """What `compose` was asked for."""

    locations: tuple[str, ...] | None
    families: tuple[str, ...]
    listed: tuple[str, ...]
    errors: dict[str, Error]
    unlisted: Error | None

    def all_errors(self) -> list[Error]:
        """The errors of families, and then that of those that are not taken."""
        return [*self.errors.values(), *([self.unlisted] if self.unlisted else [])]

    def size(self, parts: Iterable[Part]) -> tuple[int, int]:
        """How many texts there are, at most, and how many bytes they have, at most."""
        texts = [
            *(self.locations or ()),
            *self.families,
            *self.listed,
            *self.errors,
            *(text for one in self.all_errors() for text in one),
        ]
        texts += [name for part in parts for name in part.names]
        return len(texts), 4 * sum(map(len, texts))


class _Composer:
    """Takes the steps, see `compose`."""

    def __init__(self, parts: list[Part], asked: _Asked, *, everything: bool) -> None:
        self._parts = parts
        self._asked = asked
        self._room = Room(parts, len(asked.locations or ()), asked.size(parts), everything=everything)
        self._head = self._room.head
        self._head[state.SELECTS_ALL] = everything
        self._head[state.HAS_SOURCES] = asked.locations is not None
        if asked.locations:
            self._room.work("location_text")[:] = array("i", self._numbers(asked.locations))

    def _step(self, step: int) -> None:
        self._room.step(step)

    def _steps(self, step: int) -> None:
        """Take a step for each part."""
        for number in range(len(self._parts)):
            self._room.step(step, number)

    def _numbers(self, texts: Iterable[str]) -> list[int]:
        """The numbers of texts."""
        self._room.ask(texts)
        self._step(state.INTERN)
        return self._room.work("asked_text").tolist()

    # --- what is taken

    def note_errors(self) -> None:
        """Note what counts more than the parts."""
        errors = self._asked.all_errors()
        if errors:
            distinct = {error: row for row, error in enumerate(dict.fromkeys(errors))}
            self._numbers([*(text for error in distinct for text in error), *self._asked.errors])
            rows = [distinct[error] for error in errors]
            self._head[state.UNLISTED_ERROR] = rows.pop() + 1 if self._asked.unlisted else 0
            self._room.replace("asked_error", array("i", rows))
            self._head[state.N_ASKED_ERRORS] = len(distinct)
            self._step(state.NOTE_ERRORS)

    def select(self, *, most_ahead: int) -> None:
        """Find out which families are taken, at most so many packages because others require them."""
        if self._asked.unlisted and self._asked.listed:
            self._numbers(self._asked.listed)
            self._step(state.NOTE_LISTED)
        for number, part in enumerate(self._parts):
            if part.names:
                self._numbers(part.names)
                self._room.step(state.ALLOW, number)
        if self._head[state.SELECTS_ALL]:
            self._steps(state.SELECT_ALL)
            return
        self._head[state.MOST_AHEAD] = most_ahead
        self._numbers(self._asked.families)
        self._step(state.SELECT)
        self._follow()

    def _follow(self) -> None:
        """Let each part take the selected names, until none selects more."""
        seen = [-1] * len(self._parts)
        while any(count != self._head[state.N_QUEUE] for count in seen):
            for number, count in enumerate(seen):
                if count != self._head[state.N_QUEUE]:
                    self._room.step(state.FOLLOW, number)
                    seen[number] = self._head[state.N_QUEUE]

    def choose(self) -> None:
        """Find out which packages are kept, and number what they use."""
        self._step(state.COUNT)
        self._steps(state.GATHER)
        if self._head[state.N_VERSION_ENTRIES] > 1:
            self._step(state.RANK_VERSIONS)
            self._steps(state.RANK_CANDIDATES)
            self._step(state.CHOOSE)
        self._steps(state.MARK)
        self._step(state.RANK_VERSIONS)
        self._steps(state.NUMBER_RANGES)
        self._step(state.ARRANGE)

    # --- columns

    def views(self) -> Views:
        """Write the columns."""
        head, room = self._head, self._room
        room.make(self._counts())
        self._step(state.WRITE_FAMILIES)
        self._steps(state.WRITE)
        self._step(state.WRITE_REQUIREMENTS)
        room.make({"@requirement_mask_offsets": head[state.N_REQUIREMENT_WORDS]})
        self._step(state.WRITE_REQUIREMENT_MASKS)
        self._write_mentions("")
        if head[state.BUILDING_DIFFERS]:
            head[state.IS_BUILDING] = 1
            self._write_mentions(BUILDING)
        if head[state.N_ODD_PACKAGES] or head[state.N_ODD_REQUIREMENTS]:
            self._spell()
        self._step(state.WRITE_VERSIONS)
        self._step(state.NUMBER_ERRORS)
        room.make({"error": head[state.N_USED_ERRORS]})
        self._step(state.COUNT_TEXTS)
        room.make({"text": head[state.N_USED_TEXTS], "@text_offsets": head[state.N_USED_TEXT_BYTES]})
        self._step(state.WRITE_TEXTS)
        if self._head[state.HAS_SOURCES]:
            self._write_folders()
        views = Views(*room.columns())
        vars(views)["longest"] = Longest(head[state.LONGEST_FAMILY], head[state.LONGEST_PACKAGE])
        return views

    def _counts(self) -> dict[str, int]:
        """How many rows most tables have."""
        head = self._head
        counts = {name: head[place] for name, place in _COUNTED.items()}
        if head[state.BUILDING_DIFFERS]:
            counts["building"] = 1
            counts[f"@{BUILDING}variant_requirement_offsets"] = head[state.N_BUILDING_VALUES]
            counts[f"@{BUILDING}variant_extraction_offsets"] = head[state.N_BUILDING_EXTRACTIONS]
        return counts

    def _write_mentions(self, prefix: str) -> None:
        """Write the mentions and links of the set whose columns have a prefix."""
        head = self._head
        self._step(state.COUNT_MENTIONS)
        counts = {
            f"{prefix}mention": head[state.N_MENTIONS],
            f"@{prefix}family_mention_mask_offsets": head[state.N_MENTION_WORDS],
            f"{prefix}link": head[state.N_LINKS],
            f"@{prefix}link_mask_offsets": head[state.N_LINK_WORDS],
        }
        if head[state.N_LINK_WORDS] > MOST_ROWS:
            raise RepositoryLimitError(f"{prefix}link_mask_offsets", head[state.N_LINK_WORDS], MOST_ROWS)
        self._room.make(counts)
        self._step(state.WRITE_MENTIONS)

    def _write_folders(self) -> None:
        head = self._head
        self._steps(state.GATHER_FOLDERS)
        self._step(state.ARRANGE_FOLDERS)
        counts = {
            "location": head[state.N_LOCATIONS],
            "folder": head[state.N_FOLDERS],
            "watch": head[state.N_WATCHES],
            "source_text": head[state.N_USED_SOURCE_TEXTS],
            "@source_text_offsets": head[state.N_SOURCE_BYTES],
        }
        self._room.make(counts)
        self._step(state.WRITE_FOLDERS)

    # --- spellings

    def _spell(self) -> None:
        """Find a spelling for versions that nobody spells with dots; hardly a repository has one."""
        from rer_numba.spelling import Spellings

        room = self._room
        dotted, ranges = room.work("version_dotted"), room.column("requirement_range")
        offsets, cuts = room.column("range_offsets"), room.column("range_cut")
        keys = _Keys(room)
        spellings = Spellings(keys)
        undotted: set[int] = set()
        for package in room.work("odd_package")[: self._head[state.N_ODD_PACKAGES]]:
            rank = room.column("package_version_rank")[package]
            if not dotted[rank]:
                undotted.add(rank)
                spellings.add(rank, room.text(room.column("package_version_text")[package]))
        for row in room.work("odd_requirement")[: self._head[state.N_ODD_REQUIREMENTS]]:
            bounds = cuts[offsets[ranges[row]] : offsets[ranges[row] + 1]]
            ranks = {cut >> CUT_SHIFT for cut in bounds if cut != CUT_INF}
            ranks = {rank for rank in ranks if not dotted[rank]}
            undotted |= ranks
            name = room.text(room.column("family_text")[room.column("requirement_family")[row]])
            text = room.text(room.column("requirement_text")[row])
            spellings.add_range(ranks, text.lstrip("!~")[len(name) + 1 :])
        spelled = {rank: spellings.spelled(rank, room.spelling(rank)) for rank in undotted}
        numbers = self._numbers(spelled.values())
        for rank, number in zip(spelled, numbers, strict=True):
            room.work("version_spelled")[rank] = number + 1


class _Keys(Sequence[bytes]):
    """The sort keys of the versions by their ranks."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def __getitem__(self, rank: int) -> bytes:  # type: ignore[override]
        return self._room.key(rank)

    def __len__(self) -> int:
        return self._room.head[state.N_VERSIONS]


_COUNTED = {
    "version": state.N_VERSIONS,
    "@version_key_offsets": state.N_KEY_BYTES,
    "range": state.N_RANGES,
    "@range_offsets": state.N_CUTS,
    "family": state.N_FAMILIES,
    "package": state.N_PACKAGES,
    "variant": state.N_VARIANTS,
    "requirement": state.N_REQUIREMENTS,
    "@variant_requirement_offsets": state.N_VALUES,
    "@variant_extraction_offsets": state.N_EXTRACTIONS,
}
"""What columns have one entry for (see `rer_numba.schema.Column.length`), and where the head has it."""
