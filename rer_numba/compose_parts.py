"""What `rer_numba.compose` takes, in the form in which its kernels read it."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rer_numba.composing import state
from rer_numba.composing.state import PART_FIELDS, SET_FIELDS
from rer_numba.errors import RepositoryLimitError
from rer_numba.schema import BUILDING, FORMATS
from rer_numba.views import Views

if TYPE_CHECKING:
    from rer_numba.draft_columns import DraftColumns

Ints: TypeAlias = "memoryview[int] | array[int]"
"""What has an address."""
MOST_ROWS = (1 << 31) - 1
"""What the kernels number with 32 bits."""


class Part(NamedTuple):
    """A part as the kernels take it.

    Attributes
    ----------
    columns : sequence of memoryview or array
        In the order of `PART_FIELDS`; the first is ``about``.
    plain, building : sequence of memoryview or array
        In the order of `SET_FIELDS`.
    sizes : dict
        How many rows it has of each table.
    names : tuple of str
        Names that it is asked for, or not to give.
    """

    columns: Sequence[Ints]
    plain: Sequence[Ints]
    building: Sequence[Ints]
    sizes: dict[str, int]
    names: tuple[str, ...]


def part_of_views(views: Views, paths: Sequence[int], only: Collection[str] | None, without: Collection[str]) -> Part:
    """Complete tables as a part."""
    about = array("q", bytes(8 * state.ABOUT_SIZE))
    about[state.HAS_BUILDING] = len(views.building_variant_requirement_offsets) > 0
    about[state.HAS_PLACES] = len(views.package_location) > 0
    about[state.ALLOWS] = state.THESE_NAMES if only is not None else state.OTHER_NAMES if without else state.ALL_NAMES
    about[state.FOLDERS] = len(views.folder_location)
    # their folders come first, where there are any
    about[state.LOCATIONS] = min(len(views.location_text), len(views.folder_location))
    extra = {"about": about, "paths": array("q", paths or (-1,)), "given": array("q")}
    columns = [extra[name] if name in extra else getattr(views, name) for name, _ in PART_FIELDS]
    plain = [getattr(views, name) for name, _ in SET_FIELDS]
    has_building = about[state.HAS_BUILDING]
    building = [getattr(views, BUILDING + name) for name, _ in SET_FIELDS] if has_building else plain
    return Part(columns, plain, building, _sizes(columns, plain), tuple(only if only is not None else without))


def part_of_draft(draft: DraftColumns, without: Collection[str] = ()) -> Part:
    """Packages that were read just now as a part."""
    about = array("q", bytes(8 * state.ABOUT_SIZE))
    about[state.HAS_BUILDING] = draft.building is not draft.plain
    about[state.HAS_GIVEN] = about[state.HAS_PLACES] = 1
    about[state.ALLOWS] = state.OTHER_NAMES if without else state.ALL_NAMES
    about[state.FOLDERS] = len(draft.columns["folder_location"])
    known = {"about": about, **draft.columns}
    columns = [known[name] if name in known else array(FORMATS[dtype]) for name, dtype in PART_FIELDS]
    plain = [draft.plain[name] for name, _ in SET_FIELDS]
    building = [draft.building[name] for name, _ in SET_FIELDS] if about[state.HAS_BUILDING] else plain
    return Part(columns, plain, building, _sizes(columns, plain), tuple(without))


_PLACES = {name: place for place, (name, _) in enumerate(PART_FIELDS)}


def _sizes(columns: Sequence[Ints], plain: Sequence[Ints]) -> dict[str, int]:
    def length(name: str) -> int:
        return len(columns[_PLACES[name]])

    return {
        "family": length("family_text"),
        "text": max(length("text_offsets") - 1, 0),
        "error": length("error_type_text"),
        "version": length("version_text"),
        "range": max(length("range_offsets") - 1, 0),
        "requirement": length("requirement_text"),
        "source_text": max(length("source_text_offsets") - 1, 0),
        "package": length("package_version_rank"),
        "cut": length("range_cut"),
        "key_byte": length("version_key"),
        "text_byte": length("text_bytes") + length("source_text_bytes"),
        "folder": length("folder_location"),
        "watch": length("watch_text"),
        "value": len(plain[_SET_PLACES["variant_requirement"]]),
    }


_SET_PLACES = {name: place for place, (name, _) in enumerate(SET_FIELDS)}

BASES = {
    "family": (state.FAMILY_BASE, state.FAMILIES),
    "text": (state.TEXT_BASE, None),
    "error": (state.ERROR_BASE, None),
    "version": (state.VERSION_BASE, state.VERSIONS),
    "range": (state.RANGE_BASE, state.RANGES),
    "requirement": (state.REQUIREMENT_BASE, state.REQUIREMENTS),
    "source_text": (state.SOURCE_TEXT_BASE, None),
}
"""What has an entry for each row of all parts; where in `about` a part's first one and their number stand."""


def place_parts(parts: Sequence[Part]) -> dict[str, int]:
    """Tell each of some parts where its rows stand among those of all; returns how many there are in all.

    Raises
    ------
    RepositoryLimitError
        They are more than can be numbered.
    """
    totals = dict.fromkeys(parts[0].sizes, 0)
    for number, part in enumerate(parts):
        about = part.columns[0]
        about[state.PART] = number
        for name, size in part.sizes.items():
            if name in BASES:
                base, count = BASES[name]
                about[base] = totals[name]
                if count is not None:
                    about[count] = size
            totals[name] += -(-size // 64) * 64 if name in BASES else size
    for name, total in totals.items():
        if total > MOST_ROWS and name not in ("key_byte", "text_byte"):
            raise RepositoryLimitError(name, total, MOST_ROWS)
    return totals
