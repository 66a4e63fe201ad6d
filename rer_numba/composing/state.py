"""What the kernels of `rer_numba.compose` read and write: five bundles of arrays, and the scalars among them.

Words used below
----------------
part
    A set of complete tables, or packages that were read just now, in the form of tables. Its rows have numbers of its
    own. `about` says where its rows stand in the arrays that hold something for each row of all parts: its *base*.
name
    A family that some part has or mentions, numbered as they are met. Only those that are used become families.
text
    A string, numbered as they are met. What is used gets its final number at the end.
candidate
    A package of a selected name, of any part. Those of a name stand side by side.
entry
    A version or a range of a part that is used. Equal entries of several parts get one rank, or one number.
set
    What variants require: plain, or with build_requires joined in.
"""

from __future__ import annotations

from typing import NamedTuple

from rer_numba.schema import BUILDING, COLUMNS

# --- steps, in the order in which they are taken; those with a part are taken once for each
(
    INTERN,  # the texts of `asked`
    ALLOW,  # part: which names it is asked for, or not to give
    NOTE_ERRORS,  # those of `asked`, each a class and a message, and the names behind them
    NOTE_LISTED,  # the names of `asked`
    SELECT_ALL,  # part
    SELECT,  # the names of `asked`
    FOLLOW,  # part: take the names that were selected, and select what they mention up to MOST_AHEAD
    COUNT,  # where the candidates of each name stand
    GATHER,  # part: its candidates, and the versions that decide between parts
    RANK_VERSIONS,  # those, and later all
    RANK_CANDIDATES,  # part
    CHOOSE,  # the candidates that are kept
    MARK,  # part: what they use
    NUMBER_RANGES,  # part
    ARRANGE,  # families, requirements, ranges, and how long most columns are
    WRITE_FAMILIES,  # and ranges
    WRITE,  # part: packages and variants
    WRITE_REQUIREMENTS,  # without their masks
    WRITE_REQUIREMENT_MASKS,
    COUNT_MENTIONS,  # of one set
    WRITE_MENTIONS,  # of one set
    WRITE_VERSIONS,
    NUMBER_ERRORS,
    COUNT_TEXTS,  # and write errors
    WRITE_TEXTS,
    GATHER_FOLDERS,  # part
    ARRANGE_FOLDERS,
    WRITE_FOLDERS,
) = range(28)

# --- head: scalars, by place
(
    STEP,  # in
    N_PARTS,  # in
    NAME_ROOM,  # in: how many names there can be
    N_ASKED,  # in
    N_ASKED_ERRORS,  # in
    MOST_AHEAD,  # in: so many packages may be selected since others mention their families
    N_AHEAD,
    UNLISTED_ERROR,  # in: 0, or 1 + the error of families that are mentioned and not listed
    SELECTS_ALL,  # in: whatever a part has
    IS_BUILDING,  # in: the mentions of the second set are asked for
    HAS_SOURCES,  # in: columns that say where packages lie are wanted
    TEXT_SLOTS,  # in: a power of two, which grows
    ERROR_SLOTS,  # the same
    N_TEXTS,
    N_ERRORS,
    N_NAMES,
    N_QUEUE,
    N_CANDIDATES,
    N_NEEDS,
    N_VERSION_ENTRIES,
    N_RANGE_ENTRIES,
    N_PENDING_REQUIREMENTS,
    BUILDING_DIFFERS,
    N_ODD_PACKAGES,
    N_ODD_REQUIREMENTS,
    LONGEST_FAMILY,
    LONGEST_PACKAGE,
    # lengths of columns
    N_VERSIONS,
    N_KEY_BYTES,
    N_RANGES,
    N_CUTS,
    N_FAMILIES,
    N_PACKAGES,
    N_VARIANTS,
    N_VALUES,
    N_EXTRACTIONS,
    N_BUILDING_VALUES,
    N_BUILDING_EXTRACTIONS,
    N_REQUIREMENTS,
    N_REQUIREMENT_WORDS,
    N_MENTIONS,
    N_MENTION_WORDS,
    N_LINKS,
    N_LINK_WORDS,
    N_USED_ERRORS,
    N_USED_TEXTS,
    N_USED_TEXT_BYTES,
    N_LOCATIONS,  # in
    N_FOLDERS,
    N_FOLDER_ENTRIES,
    N_WATCH_ENTRIES,
    N_WATCHES,
    N_USED_SOURCE_TEXTS,
    N_SOURCE_BYTES,
    HEAD_SIZE,
) = range(55)

LEAST_AHEAD = 4
"""So many packages a family counts for at least, of which other parts may have more than the one that mentions it."""

# --- about: scalars of a part, by place
(
    PART,  # its number, which is its place in the order of precedence
    FAMILIES,  # how many it has
    FOLDERS,
    LOCATIONS,
    HAS_BUILDING,  # it has a second set
    HAS_GIVEN,  # `given` stands in the place of `package_given_rank`
    HAS_PLACES,  # it says where its packages lie
    ALLOWS,  # ALL_NAMES, THESE_NAMES, OTHER_NAMES
    FAMILY_BASE,
    TEXT_BASE,
    ERROR_BASE,
    VERSION_BASE,  # this one and the next two are multiples of 64
    RANGE_BASE,
    REQUIREMENT_BASE,
    VERSIONS,
    RANGES,
    REQUIREMENTS,
    SOURCE_TEXT_BASE,
    ABOUT_SIZE,
) = range(19)

(ALL_NAMES, THESE_NAMES, OTHER_NAMES) = range(3)

# --- what `sort_rows` compares
(BY_TEXT, BY_NAME, BY_KEY, BY_CUTS, BY_VERSION, BY_GIVEN, BY_MENTION, BY_FOLDER, BY_RANK) = range(9)


class Field(NamedTuple):
    """An array of a bundle: name, type, length as an expression over `compose_room.room_sizes`, meaning."""

    name: str
    dtype: str
    length: str
    meaning: str


_DTYPES = {column.name: column.dtype for column in COLUMNS}

PART_FIELDS: tuple[tuple[str, str], ...] = (
    ("about", "int64"),
    ("paths", "int64"),  # number of the path of each location
    ("given", "int64"),  # of each package, if the part has it
    *(
        (column.name, column.dtype)
        for column in COLUMNS
        if not column.requires
        and column.name
        not in (
            "family_rank",
            "family_flags",
            "family_variant_offsets",
            "variant_package",
            "requirement_first_word",
            "requirement_mask_offsets",
            "requirement_mask",
        )
    ),
)
"""What is read of a part, beside its sets."""

SET_FIELDS: tuple[tuple[str, str], ...] = tuple(
    (name, _DTYPES[name])
    for name in (
        "variant_error",
        "variant_requirement_offsets",
        "variant_requirement",
        "variant_extraction_offsets",
        "variant_extraction",
        "family_mention_offsets",
        "mention_family",
    )
)
"""What is read of a set."""

OUT_FIELDS: tuple[tuple[str, str], ...] = tuple(
    (column.name, column.dtype) for column in COLUMNS if not column.requires
)
OUT_SET_FIELDS: tuple[tuple[str, str], ...] = tuple(
    (column.name, column.dtype) for column in COLUMNS if column.requires and not column.name.startswith(BUILDING)
)

WORK: tuple[Field, ...] = (
    Field("head", "int64", "HEAD_SIZE", "the scalars above"),
    # texts from Python
    Field("asked_offsets", "int64", "asked + 1", "in: where each starts"),
    Field("asked_bytes", "uint8", "asked_byte", "in"),
    Field("asked_error", "int32", "asked", "in: place of the error of each name that is asked with errors"),
    Field("asked_text", "int32", "asked", "out: their numbers"),
    # texts
    Field("text_slot", "int32", "text_slot", "a table of texts by their hash: text + 1"),
    Field("text_hash", "int32", "text", "hash"),
    Field("text_prefix", "int64", "text", "its first seven bytes, as a number"),
    Field("text_start", "int64", "text + 1", "where it starts in the next"),
    Field("text_bytes", "uint8", "text_byte", "all texts"),
    Field("text_name", "int32", "text", "name + 1"),
    Field("text_requirement", "int32", "text", "pending requirement + 1"),
    Field("text_odd", "uint8", "text", "as the spelling of a version: 0 not known, 1 with dots, 2 otherwise"),
    Field("text_new", "int32", "text", "final number + 1"),
    Field("text_order", "int32", "text", "texts by their final number"),
    # errors
    Field("error_slot", "int32", "error_slot", "a table of errors by their texts: error + 1"),
    Field("error_type", "int32", "error", "text"),
    Field("error_value", "int32", "error", "text"),
    Field("error_new", "int32", "error", "final number + 1"),
    Field("error_order", "int32", "error", "errors by their final number"),
    # rows of parts, by their base
    Field("family_map", "int32", "part_family", "name + 1"),
    Field("text_map", "int32", "part_text", "text + 1"),
    Field("source_map", "int32", "part_source_text", "text + 1"),
    Field("error_map", "int32", "part_error", "error + 1"),
    Field("version_map", "int32", "part_version", "rank"),
    Field("range_map", "int32", "part_range", "final number"),
    Field("requirement_map", "int32", "part_requirement", "pending requirement + 1; when written, its final number"),
    Field("version_mark", "uint64", "part_version // 64", "a bit for each that is used"),
    Field("range_mark", "uint64", "part_range // 64", "the same"),
    Field("requirement_mark", "uint64", "part_requirement // 64", "the same"),
    # names
    Field("name_text", "int32", "name", "text"),
    Field("name_selected", "uint8", "name", "1: its packages are taken"),
    Field("name_listed", "uint8", "name", "1: it is known what there is of it"),
    Field("name_parts", "int32", "name", "how many parts have packages of it"),
    Field("name_first", "int32", "name", "its first candidate"),
    Field("name_count", "int32", "name", "how many candidates it has; later, how many are kept"),
    Field("name_filled", "int32", "name", "how many have been gathered"),
    Field("name_error", "int32", "name", "error + 1"),
    Field("name_used", "uint8", "name", "1: it becomes a family"),
    Field("name_needed", "uint8", "name", "1: the newest package of another one needs it"),
    Field("name_need", "int32", "name", "where what its newest package needs stands in `need`"),
    Field("name_needs", "int32", "name", "how many that are"),
    Field("name_stamp", "int32", "name", "the last that has met it, + 1"),
    Field("name_rank", "int32", "name", "place in the alphabetical order of those that are used"),
    Field("name_family", "int32", "name", "family + 1"),
    Field("row_of", "int32", "part * name", "row of the family in each part + 1, as far as it is taken"),
    Field("allowed", "uint8", "part * name", "1: the part was asked for it, or not to give it"),
    Field("queue", "int32", "name", "selected names"),
    Field("cursor", "int32", "part", "how many of them a part has looked at"),
    Field("need", "int32", "part_value", "names"),
    Field("stack", "int32", "2 * name", "(name, next need) on the way to a family's place"),
    # candidates
    Field("candidate_part", "int32", "package", "its part"),
    Field("candidate_row", "int32", "package", "its row there"),
    Field("kept", "int32", "package", "kept candidates, the newest first, from the first place of each name"),
    Field("candidate_rank", "int32", "package", "rank of its version, where several parts have the name"),
    Field("candidate_place", "int32", "package", "its place in the order of its part; of a draft NONE"),
    Field("candidate_given", "int64", "package", "number of the path and place within it"),
    Field("candidate_variants", "int32", "package", "how many variants; later, its first one"),
    Field("candidate_values", "int32", "package", "how many requirements; later, its first one"),
    Field("candidate_extractions", "int32", "package", "the same of extractions"),
    Field("candidate_building_values", "int32", "package", "the same of the second set"),
    Field("candidate_building_extractions", "int32", "package", "the same of the second set"),
    # versions
    Field("version_start", "int64", "version_entry + 1", "where the key of an entry starts in the next"),
    Field("key_bytes", "uint8", "key_byte", "all keys"),
    Field("version_prefix", "int64", "version_entry", "the first seven bytes of the key, as a number"),
    Field("version_text", "int32", "version_entry", "a spelling"),
    Field("version_at", "int32", "version_entry", "place in `version_map`; -1 for none"),
    Field("version_entry", "int32", "version_entry", "an entry of each rank"),
    Field("version_dotted", "uint8", "version_entry", "1: somebody spells this rank with dots"),
    Field("version_spelled", "int32", "version_entry", "in: text of this rank + 1, where nobody does"),
    Field("odd_package", "int32", "package", "packages that spell their version without dots"),
    Field("odd_requirement", "int32", "part_requirement", "requirements that spell a version without dots"),
    # ranges
    Field("range_start", "int32", "part_range + 1", "where the cuts of an entry start in the next"),
    Field("cut", "int64", "part_cut", "cuts with ranks"),
    Field("range_at", "int32", "part_range", "place in `range_map`"),
    Field("range_entry", "int32", "part_range", "an entry of each range"),
    # requirements, as they are met
    Field("requirement_name", "int32", "part_requirement", "name"),
    Field("requirement_flags", "int32", "part_requirement", "flags"),
    Field("requirement_text", "int32", "part_requirement", "text"),
    Field("requirement_source", "int32", "part_requirement", "place of its range in `range_map` + 1"),
    Field("requirement_new", "int32", "part_requirement", "final number"),
    Field("requirement_order", "int32", "part_requirement", "requirements by their final number"),
    Field("requirement_stamp", "int32", "part_requirement", "the last family that has met it, + 1"),
    Field("requirement_low", "int32", "part_requirement", "the word of that family with the first variant that has it"),
    Field("requirement_high", "int32", "part_requirement", "the word with the last one"),
    Field("requirement_shift", "int32", "part_requirement", "how much later a word of its link stands in the column"),
    Field("requirement_mention", "int32", "part_requirement", "its mention in that family"),
    # families
    Field("family_name", "int32", "name", "name"),
    Field("family_by_name", "int32", "name", "families in the order of their names"),
    Field("family_packages", "int32", "name + 1", "where the packages of each start"),
    Field("family_variants", "int32", "name + 1", "where the variants of each start"),
    Field("family_requirements", "int32", "name + 1", "where the requirements on each start"),
    # sorting
    Field("order", "int32", "row", "rows in an order"),
    Field("merged", "int32", "row", "room to sort them"),
    # folders
    Field("location_text", "int32", "location", "in: text"),
    Field("location_folder", "int32", "location", "folder + 1"),
    Field("folder_name", "int32", "folder", "text"),
    Field("folder_extension", "int32", "folder", "text"),
    Field("folder_path", "int32", "folder", "number of its path"),
    Field("folder_part", "int32", "folder", "its part"),
    Field("folder_state", "int64", "4 * folder", "inode, times of change of content and of inode, size between them"),
    Field("folder_watch", "int32", "folder + 1", "where what is watched in it starts"),
    Field("watch_text", "int32", "watch", "text"),
    Field("watch_state", "int64", "4 * watch", "the same"),
    Field("folder_order", "int32", "folder", "folders in their final order"),
    Field("source_new", "int32", "text", "final number among the source texts + 1"),
    Field("source_order", "int32", "text", "source texts by their final number"),
)

PART_DTYPES = [dtype for _, dtype in PART_FIELDS]
SET_DTYPES = [dtype for _, dtype in SET_FIELDS]
WORK_DTYPES = [field.dtype for field in WORK]
OUT_DTYPES = [dtype for _, dtype in OUT_FIELDS]
OUT_SET_DTYPES = [dtype for _, dtype in OUT_SET_FIELDS]
