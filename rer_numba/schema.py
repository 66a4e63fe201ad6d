"""The tables of an encoded repository: one declaration per column.

A repository is a set of flat integer columns. This module is the only place that says which columns exist, what
their numbers mean, how long they are and which values are allowed. The Arrow file, the checks made when a file is
opened, the kernel's view and ``docs/layout.md`` are all made from these declarations.

Rules that hold for every column
--------------------------------
* Ragged data is a pair ``x_offsets`` (``n + 1`` long, first 0, never falling) and ``x`` (the values). The values of
  row ``i`` are ``x[x_offsets[i]:x_offsets[i + 1]]``.
* The suffix of a name, or the word ``refers to`` in the declaration, says which rows an integer counts.
* ``NONE = -1`` means missing. Every interval is half-open.
* Families stand behind those that they need, so that what a solve touches lies close together (see
  `rer_numba.family_order`). Their names compare as their ``family_rank``. They include the names that only appear in
  requirements, and ephemerals (``.feat``).
* The packages of a family are in descending version order, its variants in package order and then by index. Bit ``i``
  of a mask over a family is its ``i``-th variant, so the lowest set bit is the newest package. The order in which the
  packages were handed in is kept in ``package_given_rank``.
* Versions are ranked globally: all versions of packages and all bounds of ranges, of every family, in one order.
* A *cut* is a place between versions. With ``p = rank << CUT_SHIFT``, ``p`` lies just before the version of that rank
  and ``p + 1`` just after it. A bound that comes with a request and that the repository has never seen takes a place
  in the room between two ranks. Cut 0 is the bottom (before the empty version), ``CUT_INF`` the top.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

FORMAT_MAJOR = 4
FORMAT_MINOR = 0

NONE = -1
CUT_SHIFT = 20
CUT_INF = 1 << 62

# requirement_flags
CONFLICT = 1
WEAK = 2
EXCLUSIVE_LOWER = 4

# family_flags
HAS_BROKEN_VARIANT = 1
HAS_BROKEN_PACKAGE = 2
EPHEMERAL = 4
BROKEN_FAMILY = 8


FORMATS = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
}
"""Integer types as numpy calls them, and as `array` and `memoryview` do."""


class Column(NamedTuple):
    """One column: its name, its integer type, its length and what its numbers mean.

    Attributes
    ----------
    name : str
        ``table_column``.
    dtype : str
        numpy's name of the type.
    length : str
        What it has one entry for: a count of ``COUNTS`` (``"package"``), ``"package + 1"`` for offsets, or the name of
        the offsets column that ends with its length (``"@range_offsets"``).
    meaning : str
        One sentence for the documentation.
    refers : str
        For an index: the count or the ``@offsets`` its values must stay below.
    optional : bool
        ``NONE`` is allowed.
    kernel : bool
        The kernel reads it.
    requires : bool
        It says what a variant requires, so it exists twice: plain, and as ``building_...`` with ``build_requires``
        joined in. The second set is empty when no package has any.
    source : bool
        It says what was read, to tell whether it is still so. Empty when the packages did not come from folders.
    """

    name: str
    dtype: str
    length: str
    meaning: str
    refers: str = ""
    optional: bool = False
    kernel: bool = True
    requires: bool = False
    source: bool = False

    @property
    def is_offsets(self) -> bool:
        """True for a column that begins at 0, never falls and ends with the length of its values."""
        return self.name.endswith("_offsets")


# what is counted, and the column whose length (less the given number) is that count
COUNTS: dict[str, tuple[str, int]] = {
    "text": ("text_offsets", 1),
    "version": ("version_text", 0),
    "range": ("range_offsets", 1),
    "family": ("family_text", 0),
    "package": ("package_version_rank", 0),
    "variant": ("variant_package", 0),
    "requirement": ("requirement_family", 0),
    "mention": ("mention_family", 0),
    "link": ("link_requirement", 0),
    "error": ("error_type_text", 0),
    "source_text": ("source_text_offsets", 1),
    "location": ("location_text", 0),
    "folder": ("folder_location", 0),
    "watch": ("watch_text", 0),
}

BUILDING = "building_"


def _c(name: str, dtype: str, length: str, meaning: str, **more: Any) -> Column:
    return Column(name, dtype, length, meaning, **more)


_FACTS = (
    # texts: every string of the repository, once
    _c("text_offsets", "int64", "text + 1", "Where each string starts in `text_bytes`.", kernel=False),
    _c("text_bytes", "uint8", "@text_offsets", "All strings, UTF-8, one after the other.", kernel=False),
    # versions: ascending; row 0 is the empty version
    _c("version_text", "int32", "version", "A spelling of the version.", refers="text", kernel=False),
    _c("version_key_offsets", "int64", "version + 1", "Where each sort key starts in `version_key`.", kernel=False),
    _c(
        "version_key",
        "uint8",
        "@version_key_offsets",
        "Sort keys: comparing the bytes compares the versions. Used to place a bound that comes with a request.",
        kernel=False,
    ),
    # ranges: each distinct one once, in rez's order of ranges
    _c("range_offsets", "int32", "range + 1", "Where the cuts of each range start; two cuts for one interval."),
    _c("range_cut", "int64", "@range_offsets", "Lower and upper cut in turn, ascending."),
    # families
    _c("family_text", "int32", "family", "The name.", refers="text", kernel=False),
    _c("family_rank", "int32", "family", "Place of the name in the alphabetical order of all names."),
    _c(
        "family_by_name",
        "int32",
        "family",
        "All families in the alphabetical order of their names.",
        refers="family",
        kernel=False,
    ),
    _c(
        "family_flags",
        "int32",
        "family",
        "1: has a variant whose requirements cannot be used; 2: has a package that "
        "cannot be loaded; 4: ephemeral; 8: cannot be listed.",
    ),
    _c(
        "family_error",
        "int32",
        "family",
        "The error that listing its packages raises.",
        refers="error",
        optional=True,
        kernel=False,
    ),
    _c("family_package_offsets", "int32", "family + 1", "The packages of each family."),
    _c("family_variant_offsets", "int32", "family + 1", "The variants of each family."),
    # packages
    _c("package_version_rank", "int32", "package", "Rank of the version.", refers="version"),
    _c(
        "package_version_text",
        "int32",
        "package",
        "The version as this package spells it.",
        refers="text",
        kernel=False,
    ),
    _c(
        "package_given_rank",
        "int32",
        "package",
        "Place in the order in which the packages of the family were handed in.",
        kernel=False,
    ),
    _c("package_indexed", "uint8", "package", "1 when the package has variants, 0 when its one variant has no index."),
    _c("package_variant_offsets", "int32", "package + 1", "The variants of each package."),
    _c(
        "package_uri_text",
        "int32",
        "package",
        "Its uri, or the part before name and version.",
        refers="text",
        optional=True,
        kernel=False,
    ),
    _c(
        "package_uri_tail_text",
        "int32",
        "package",
        "The part of the uri after name and version, from the separator on; none when `package_uri_text` is all of it.",
        refers="text",
        optional=True,
        kernel=False,
    ),
    _c("package_timestamp", "int64", "package", "Release time in seconds since 1970; 0 when unknown.", kernel=False),
    _c(
        "package_timestamp_error",
        "int32",
        "package",
        "The error that looking at its release time raises.",
        refers="error",
        optional=True,
        kernel=False,
    ),
    _c(
        "package_error",
        "int32",
        "package",
        "The error that loading this package raises.",
        refers="error",
        optional=True,
    ),
    # variants
    _c("variant_package", "int32", "variant", "The package.", refers="package"),
    # errors that a solve raises when it touches what is broken
    _c("error_type_text", "int32", "error", "Name of rez's exception class.", refers="text", kernel=False),
    _c("error_value_text", "int32", "error", "Text of the exception.", refers="text", kernel=False),
    # requirements: each distinct text once
    _c("requirement_family", "int32", "requirement", "The family it is about.", refers="family"),
    _c(
        "requirement_range",
        "int32",
        "requirement",
        "Its range; none for `~foo`. For a weak one the inverse of what is written.",
        refers="range",
        optional=True,
    ),
    _c(
        "requirement_flags",
        "int32",
        "requirement",
        "1: conflict (`!`, `~`); 2: weak (`~`); 4: a bound that excludes its lower version.",
    ),
    _c("requirement_text", "int32", "requirement", "Its text.", refers="text", kernel=False),
    _c(
        "requirement_first_word",
        "int32",
        "requirement",
        "The first word of its mask that is kept; 0 when none is.",
    ),
    _c("requirement_mask_offsets", "int64", "requirement + 1", "Where the kept words of its mask start."),
    _c(
        "requirement_mask",
        "uint64",
        "@requirement_mask_offsets",
        "The variants of its family that it allows: those whose version lies in its range, or with a conflict does "
        "not. Of each mask the words from the first to the last that is not empty; none without a range.",
    ),
)

_REQUIRES = (
    # what each variant requires, merged as rez merges it
    _c(
        "variant_error",
        "int32",
        "variant",
        "The error raised when its requirements are first looked at.",
        refers="error",
        optional=True,
        requires=True,
    ),
    _c("variant_requirement_offsets", "int32", "variant + 1", "The requirements of each variant.", requires=True),
    _c(
        "variant_requirement",
        "int32",
        "@variant_requirement_offsets",
        "In rez's order.",
        refers="requirement",
        requires=True,
    ),
    _c("variant_extraction_offsets", "int32", "variant + 1", "What can be extracted from each variant.", requires=True),
    _c(
        "variant_extraction",
        "int32",
        "@variant_extraction_offsets",
        "Its non-conflict requirements in alphabetical order of the families.",
        refers="requirement",
        requires=True,
    ),
    # mentions: a family A and a family B that some variant of A has a requirement on
    _c(
        "family_mention_offsets",
        "int32",
        "family + 1",
        "The mentions of each family A, by B in alphabetical order.",
        requires=True,
    ),
    _c("mention_family", "int32", "mention", "The mentioned family B.", refers="family", requires=True),
    _c(
        "mention_conflicts",
        "uint8",
        "mention",
        "1 when some variant of A has a conflict requirement on B.",
        requires=True,
    ),
    _c(
        "family_mention_mask_offsets",
        "int64",
        "family + 1",
        "Where the masks of a family's mentions start: one mask for each mention, in order.",
        requires=True,
    ),
    _c(
        "mention_mask",
        "uint64",
        "@family_mention_mask_offsets",
        "The variants of A that have a non-conflict requirement on B.",
        requires=True,
    ),
    # links: a mention and one distinct requirement behind it (those without a range, `~foo`, have no effect: left out)
    _c("mention_link_offsets", "int32", "mention + 1", "The links of each mention.", requires=True),
    _c("link_requirement", "int32", "link", "The requirement on B.", refers="requirement", requires=True),
    _c(
        "link_first_word",
        "int32",
        "link",
        "The first word of its mask that is kept.",
        requires=True,
    ),
    _c("link_mask_offsets", "int32", "link + 1", "Where the kept words of its mask start.", requires=True),
    _c(
        "link_mask",
        "uint64",
        "@link_mask_offsets",
        "The variants of A that have this requirement: the words from the first to the last that is not empty.",
        requires=True,
    ),
)


_SOURCE: dict[str, Any] = {"kernel": False, "source": True}
_CTIME = "inode's time of change in nanoseconds; -1 when it is not known."
_SOURCES = (
    # where the packages came from, and what tells whether they are still the same; with a pool of texts of its own, so
    # that what the packages say does not depend on where they lie
    _c("source_text_offsets", "int64", "source_text + 1", "Where each string starts in the bytes.", **_SOURCE),
    _c("source_text_bytes", "uint8", "@source_text_offsets", "Strings, UTF-8, one after the other.", **_SOURCE),
    _c("location_text", "int32", "location", "A path that was searched.", refers="source_text", **_SOURCE),
    _c("package_location", "int32", "package", "Where it was found.", refers="location", **_SOURCE),
    _c("package_inode", "int64", "package", "Of its definition file; -1 when there was none.", **_SOURCE),
    _c("package_mtime", "int64", "package", "The file's time of change in nanoseconds.", **_SOURCE),
    _c("package_size", "int64", "package", "The file's size in bytes.", **_SOURCE),
    _c("package_ctime", "int64", "package", f"The {_CTIME}", **_SOURCE),
    # a location itself, the folder of a family in it, or the file that holds all versions of a family
    _c("folder_location", "int32", "folder", "The location it lies in.", refers="location", **_SOURCE),
    _c("folder_name_text", "int32", "folder", "The family; empty for the location.", refers="source_text", **_SOURCE),
    _c("folder_extension_text", "int32", "folder", "'' for a folder; 'py' or 'yaml'.", refers="source_text", **_SOURCE),
    _c("folder_inode", "int64", "folder", "Of the folder or file; -1 when there was none.", **_SOURCE),
    _c("folder_mtime", "int64", "folder", "Its time of change in nanoseconds; -2 when not to be trusted.", **_SOURCE),
    _c("folder_size", "int64", "folder", "The size of a file; 0 for a folder.", **_SOURCE),
    _c("folder_ctime", "int64", "folder", f"Its {_CTIME}", **_SOURCE),
    _c("folder_watch_offsets", "int32", "folder + 1", "What has to be looked at too.", **_SOURCE),
    # paths that decided what was found without a trace in the folder: missing definition files, links
    _c("watch_text", "int32", "watch", "The path.", refers="source_text", **_SOURCE),
    _c("watch_inode", "int64", "watch", "Of what is there; -1 when there was nothing.", **_SOURCE),
    _c("watch_mtime", "int64", "watch", "Its time of change in nanoseconds.", **_SOURCE),
    _c("watch_size", "int64", "watch", "Its size in bytes.", **_SOURCE),
    _c("watch_ctime", "int64", "watch", f"Its {_CTIME}", **_SOURCE),
)


def _as_building(column: Column) -> Column:
    def renamed(text: str) -> str:
        if text.startswith("@"):
            return "@" + BUILDING + text[1:]
        word = text.split(" ", maxsplit=1)[0]
        return BUILDING + text if word in ("mention", "link") else text

    return Column(
        BUILDING + column.name,
        column.dtype,
        renamed(column.length),
        column.meaning,
        renamed(column.refers),
        column.optional,
        column.kernel,
        requires=True,
    )


COUNTS[BUILDING + "mention"] = (BUILDING + "mention_family", 0)
COUNTS[BUILDING + "link"] = (BUILDING + "link_requirement", 0)

COLUMNS: tuple[Column, ...] = _FACTS + _REQUIRES + tuple(map(_as_building, _REQUIRES)) + _SOURCES
COLUMN_BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[Any]
else:
    IntArray = Any  # numpy.typing takes a millisecond to import


class Tables(namedtuple("Tables", [column.name for column in COLUMNS])):  # type: ignore[misc]
    """All columns of a repository as numpy arrays, read-only, one field each (see `COLUMNS`)."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> IntArray: ...
        def __iter__(self) -> Iterator[IntArray]: ...  # type: ignore[override]
        def _replace(self, **columns: IntArray) -> Tables: ...


KERNEL_COLUMNS: tuple[Column, ...] = tuple(column for column in _FACTS + _REQUIRES if column.kernel)


def count(tables: Tables | Any, name: str) -> int:
    """How many rows a table of `COUNTS` has, in Tables or Views."""
    column, less = COUNTS[name]
    return max(len(getattr(tables, column)) - less, 0)


def expected_length(tables: Tables | Any, column: Column) -> int:
    """How long a column must be, from the other columns of the same Tables or Views."""
    if column.length.startswith("@"):
        offsets = getattr(tables, column.length[1:])
        return int(offsets[-1]) if len(offsets) else 0
    word, _, extra = column.length.partition(" + ")
    return count(tables, word) + (int(extra) if extra else 0)


def words_for(n_variants: int) -> int:
    """How many 64-bit words a mask over that many variants takes."""
    return (n_variants + 63) >> 6
