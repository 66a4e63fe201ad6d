"""The work arrays of a solve: what the phase loop remembers, and how large it may grow.

Everything a solve needs lives in arrays that the caller owns, so that a kernel never allocates. They are zeroed once,
reused for every solve of a thread, and replaced by larger ones when a solve asks for room (`NEED_ROOM`); a solve is
deterministic, so it simply runs again.

Words used below
----------------
position
    Place of a scope in the current phase. Scopes are only ever appended; the first ones are the request's.
slot
    One immutable state of a scope: a slice (a mask over the family's variants), a conflict range, or the range of an
    ephemeral. Narrowing a scope makes a new slot. Slots, masks and cuts are stacks: a phase that fails gives back
    everything made since the phase below it was pushed.
local
    Dense number of a family that some scope of this solve mentions; names a row of `user_bits`.
contribution
    One extraction: a requirement of a scope on a family, in the order rez makes them.
load
    An entry of the log of what rez would have listed and loaded, see `rer_numba.lookup`. The log goes through the whole
    solve: a phase that fails takes nothing of it back.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# --- head: the scalars of a solve, by place
(
    N_FAMILIES,  # in: families of the repository; ids from here on are the request's own
    MAX_WORDS,  # in: the longest mask of any family, in words
    N_REQUESTS,  # in
    REQUEST_ROOM,  # in: how many requests there is room for
    INTERSECTION_PRIORITY,  # in: variant_select_mode
    ERROR_ON_MISSING,  # in: error_on_missing_variant_requires
    FILTERS,  # in: the policy hides something
    ORDERS,  # in: the policy prefers something else than the newest
    STOP_AT_FAIL,  # in: stop after that many failed phases, with the state left as it was; 0: never
    STOP_AT_STEP,  # in: pause after that many steps; 0: never; BEFORE_FIRST: when the request has been looked up
    RESUME,  # in: go on from where the last call paused, instead of beginning anew
    MAX_FAILS,  # in: end after a step once there are so many failed ones; -1: never
    TIME_LIMIT,  # in: ticks that the solve may take, when `signal` says WATCH_CLOCK
    GRACE,  # in: ticks beyond that after which a step is broken off
    CLOCK_FUNCTION,  # in: see `rer_numba.clock`
    CLOCK_ARGUMENT,  # in
    DEADLINE,  # in: 0, or the reading of the clock after which the solve ends, from a call that ran short of room
    MANY,  # in: solve the rows of a block, see `rows`
    HEAR_BY,  # in: address of the functions that hear signals of the process, see `rer_numba.hearing`; 0: nobody does
    HEAR_EVERY,  # in: ticks from one hearing to the next
    HEAR_AT,  # the reading of the clock of the next one
    HEARD,  # out: the exception that was raised there, as three addresses; 0: none
    HEARD_VALUE,
    HEARD_TRACEBACK,
    LOOKED_AT,  # the reading of the clock when somebody looked last whether the solve shall end
    POLLS,  # how many questions are answered by one look
    POLLS_LEFT,  # how many still are
    STAMP,  # counts solves, so that caches of an earlier solve are not believed
    NUM_SOLVES,
    NUM_FAILS,
    N_SCOPES,
    N_LOCALS,
    N_SLOTS,
    N_WORDS,
    N_CUTS,
    STACK_DEPTH,
    N_STACK_SLOTS,
    N_CONTRIBUTIONS,
    ROUND_START,  # first contribution of the current round
    N_ACCUMULATORS,
    N_ACCUMULATOR_WORDS,
    INEXACT,  # the current round holds something that masks alone cannot decide
    NEEDED_ROOM,  # a bit for each group of arrays that ran full
    REASON,  # why the last phase failed, or which error was met
    REASON_FAMILY,
    REASON_SCOPE,  # position
    REASON_OTHER,  # second position, contribution, package or variant
    N_RESULTS,
    WIDENS,  # the current round takes something from a conflict scope
    N_LOADS,
    PHASE_STATUS,  # what the phase came to when the solve was paused: PENDING, EXHAUSTED, FAILED; NEED_POLICY: a round
    N_PREVIOUS,  # scopes that there were when the current rounds of extraction began
    WANTED,  # what of the policy is not compiled yet; 0: nothing
    WANTED_ID,  # family or package
    HEAD_SIZE,
) = range(55)

BEFORE_FIRST = -1  # of STOP_AT_STEP

# --- status of a solve or of a phase
(
    PENDING,
    SOLVED,
    FAILED,
    CYCLIC,
    EXHAUSTED,
    ERROR,
    NEED_ROOM,
    STOPPED,
    PAUSED,
    FAIL_LIMIT,  # ended by MAX_FAILS
    OUT_OF_TIME,  # ended by TIME_LIMIT
    CANCELLED,  # ended by END_NOW
    NEED_POLICY,  # WANTED says what of
) = range(13)

# --- what is wanted of a policy: what it hides, in the families of the request and in those of `accumulator_family`;
# the order of the packages of a family, of the ranges of a package, of the ranges of all packages of a family
(REQUEST_FILTERS, ROUND_FILTERS, FAMILY_ORDER, PACKAGE_ORDER, FAMILY_ORDERS) = range(1, 6)

# --- what `signal` says
(NO_SIGNAL, WATCH_CLOCK, END_NOW) = range(3)

# --- reasons of a failed phase
(MERGE_CONFLICT, SCOPE_CONFLICT, TOTAL_REDUCTION, MISSING_FAMILY) = range(1, 5)

# --- reasons of an error
(
    FAMILY_NOT_FOUND,
    PACKAGE_NOT_FOUND,
    UNLISTED_FAMILY,
    BROKEN_PACKAGE,
    BROKEN_VARIANT,
    UNASKED_FILTER,
) = range(11, 17)
REQUESTED, REQUIRED, WIDENED = range(3)  # REASON_OTHER of the first two: who asked

# --- kinds and origins of slots
(SLICE, CONFLICT_RANGE, EPHEMERAL_RANGE) = range(3)
(FRESH, INTERSECTED, REDUCED, SPLIT_FIRST, SPLIT_NEXT) = range(5)

# --- request_flags, beside schema.CONFLICT
NO_RANGE = 8
EPHEMERAL_REQUEST = 16

# --- groups of arrays that grow together
GROUPS: dict[str, int] = {
    "scope": 256,  # a multiple of 64
    "local": 1024,
    "slot": 8192,
    "word": 16384,
    "cut": 8192,
    "stack": 512,
    "stack_slot": 32768,
    "contribution": 4096,
    "accumulator": 1024,
    "accumulator_word": 4096,
    "frame": 2048,
    "key": 2048,
    "load": 2048,
}
GROUP_BIT = {name: 1 << place for place, name in enumerate(GROUPS)}
SCOPE_ROOM = GROUP_BIT["scope"]
LOCAL_ROOM = GROUP_BIT["local"]
SLOT_ROOM = GROUP_BIT["slot"]
WORD_ROOM = GROUP_BIT["word"]
CUT_ROOM = GROUP_BIT["cut"]
STACK_ROOM = GROUP_BIT["stack"]
STACK_SLOT_ROOM = GROUP_BIT["stack_slot"]
CONTRIBUTION_ROOM = GROUP_BIT["contribution"]
ACCUMULATOR_ROOM = GROUP_BIT["accumulator"]
ACCUMULATOR_WORD_ROOM = GROUP_BIT["accumulator_word"]
FRAME_ROOM = GROUP_BIT["frame"]
KEY_ROOM = GROUP_BIT["key"]
LOAD_ROOM = GROUP_BIT["load"]
CALLED_OFF = 1 << 30  # in NEEDED_ROOM: it is not room that the solve lacks

# --- one record of the phase stack
(STACK_N_SCOPES, STACK_FIRST_SLOT, STACK_SPLIT, STACK_N_SLOTS, STACK_N_WORDS, STACK_N_CUTS, STACK_RECORD) = range(7)


class WorkArray(NamedTuple):
    """One work array: name, type, length as an expression over the group sizes, meaning."""

    name: str
    dtype: str
    length: str
    meaning: str


WORK: tuple[WorkArray, ...] = (
    WorkArray("head", "int64", "HEAD_SIZE", "the scalars above"),
    WorkArray("room", "int64", "n_groups", "the size of each group, in the order of GROUPS"),
    WorkArray("signal", "int64", "1", "in: WATCH_CLOCK, END_NOW or neither; other threads may write it meanwhile"),
    # the request: merged by the caller, in rez's order
    WorkArray("request_family", "int32", "request", "family"),
    WorkArray("request_flags", "int32", "request", "CONFLICT, NO_RANGE, EPHEMERAL_REQUEST"),
    WorkArray("request_cut_offsets", "int32", "request + 1", "its range, at the bottom of `cut`"),
    # the current phase
    WorkArray("scope_family", "int32", "scope", "family of the scope at a position"),
    WorkArray("scope_slot", "int32", "scope", "its slot"),
    WorkArray("changed", "uint64", "scope // 64", "positions that others must be reduced against"),
    WorkArray("widened", "uint64", "scope // 64", "positions where a conflict became a slice in this round"),
    WorkArray("fresh", "uint64", "scope // 64", "positions whose slot was not extracted from yet"),
    WorkArray("unsolved", "uint64", "scope // 64", "positions whose slice holds more than one variant"),
    # families: these three are cleared through the lists beside them, never as a whole
    WorkArray("family_scope", "int32", "family", "position + 1, 0 without a scope"),
    WorkArray("family_local", "int32", "family", "local + 1, 0 without"),
    WorkArray("family_accumulator", "int32", "family", "accumulator + 1 of the current round, 0 without"),
    WorkArray("local_family", "int32", "local", "family of a local"),
    WorkArray("user_bits", "uint64", "local * (scope // 64)", "a row for each local: positions that mention it"),
    WorkArray("refuser_bits", "uint64", "local * (scope // 64)", "the same for mentions with a conflict requirement"),
    # slots
    WorkArray("slot_kind", "int32", "slot", "SLICE, CONFLICT_RANGE, EPHEMERAL_RANGE"),
    WorkArray("slot_count", "int32", "slot", "variants of a slice; cuts of an ephemeral's range"),
    WorkArray("slot_data", "int32", "slot", "its first word in `word`, or first cut in `cut`"),
    WorkArray("slot_request", "int32", "slot", "the request it still is, or NONE"),
    WorkArray("slot_parent", "int32", "slot", "the slot it was made from, or NONE"),
    WorkArray("slot_origin", "int32", "slot", "FRESH, INTERSECTED, ..."),
    WorkArray("word", "uint64", "word", "masks of slots"),
    WorkArray("cut", "int64", "cut", "ranges of requests and ephemerals; room for range arithmetic above"),
    # the phase stack
    WorkArray("stack", "int32", "stack * STACK_RECORD", "records"),
    WorkArray("stack_slot", "int32", "stack_slot", "slots of the stacked phases"),
    WorkArray("stack_unsolved", "uint64", "stack * (scope // 64)", "their `unsolved`"),
    # a round of extraction
    WorkArray("contribution_family", "int32", "contribution", "the extracted family"),
    WorkArray("contribution_scope", "int32", "contribution", "position it was extracted from"),
    WorkArray("contribution_slot", "int32", "contribution", "the slot that had it in common"),
    WorkArray("contribution_mention", "int32", "contribution", "the mention, or NONE for a single variant"),
    WorkArray("contribution_requirement", "int32", "contribution", "the requirement of a single variant, or NONE"),
    WorkArray("accumulator_family", "int32", "accumulator", "family whose contributions are gathered"),
    WorkArray("accumulator_data", "int32", "accumulator", "its first word, or first cut"),
    WorkArray("accumulator_end", "int32", "accumulator", "end of its cuts"),
    WorkArray("accumulator_word", "uint64", "accumulator_word", "what is left of each family so far"),
    WorkArray("scratch", "uint64", "2 * max_words", "a mask in the making"),
    # reduction; the same room serves finalise
    WorkArray("reducible", "uint64", "scope // 64", "positions with more than one variant when reduction began"),
    WorkArray("pending", "uint64", "scope * (scope // 64)", "row x: positions y that x must still be reduced by"),
    WorkArray("pending_rows", "uint64", "scope // 64", "rows that are not empty"),
    WorkArray("frame", "int32", "2 * frame", "(y, next x) of the reductions under way"),
    WorkArray("order", "int32", "2 * scope", "positions in the order wanted, and its inverse"),
    # the order of the variants of a package, found when it is first needed in a solve
    WorkArray("package_stamp", "int64", "package", "the solve for which it was found"),
    WorkArray("variant_place", "int32", "variant", "place within the package, best first"),
    WorkArray("key", "int32", "key", "rez's sort keys"),
    WorkArray("key_order", "int32", "max_package_variants + 1", "the variants as far as they are sorted"),
    WorkArray("key_start", "int32", "max_package_variants + 1", "start of each variant's key"),
    # what was looked up in the whole solve, see `lookup`; the first two are cleared through the log
    WorkArray("family_listed", "uint8", "family", "1 when the log has a look-up of the family that found nothing"),
    WorkArray("looked_up", "uint64", "variant // 64 + family", "variants the log has; see `lookup.first_word`"),
    WorkArray("load_family", "int32", "load", "family that was looked up"),
    WorkArray("load_call", "int32", "load", "number of the look-up: its first entry in the log"),
    WorkArray("load_word", "int32", "load", "word of `looked_up` with variants new to it; NONE: nothing was found"),
    WorkArray("load_bits", "uint64", "load", "these variants"),
    # the answer
    WorkArray("result_variant", "int32", "scope", "variants in rez's order; NONE for an ephemeral"),
    WorkArray("result_scope", "int32", "scope", "their positions"),
)


class Work(namedtuple("Work", [array.name for array in WORK])):  # type: ignore[misc]
    """The work arrays of one thread, one field each (see `WORK`)."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> memoryview[int]: ...
        def __iter__(self) -> Iterator[memoryview[int]]: ...  # type: ignore[override]
        def _replace(self, **views: memoryview[int]) -> Work: ...


WORK_DTYPES = [array.dtype for array in WORK]
ITEM_SIZES = {"uint8": 1, "int32": 4, "int64": 8, "uint64": 8}


class Sizes(NamedTuple):
    """What the lengths of the work arrays are computed from.

    Attributes
    ----------
    family, package, variant : int
        Of the repository. Families leave room for those a request brings.
    max_words : int
        Longest mask of a family.
    max_package_variants : int
        Most variants of one package.
    request : int
        Most requests of one solve.
    groups : dict
        Sizes of `GROUPS`, which grow.
    """

    family: int
    package: int
    variant: int
    max_words: int
    max_package_variants: int
    request: int
    groups: dict[str, int] = GROUPS

    def grown(self, needed: int) -> Sizes:
        """The sizes with the groups doubled whose bits are set in `needed`."""
        return self._replace(
            groups={name: size * 2 if needed & GROUP_BIT[name] else size for name, size in self.groups.items()}
        )

    def lengths(self) -> list[int]:
        """Entries of each work array, in the order of `WORK`."""
        names = {
            **self.groups,
            **self._asdict(),
            "HEAD_SIZE": HEAD_SIZE,
            "STACK_RECORD": STACK_RECORD,
            "n_groups": len(GROUPS),
        }
        # the expressions are our own declarations above, and few of them differ
        known = {text: int(eval(text, {"__builtins__": {}}, names)) for text in {array.length for array in WORK}}
        return [known[array.length] for array in WORK]

    def bytes_needed(self) -> int:
        """Size of all work arrays in bytes."""
        return sum(length * ITEM_SIZES[array.dtype] for array, length in zip(WORK, self.lengths(), strict=True))


# --- many solves in one call: the rows of a block, which several threads share

# --- call: the scalars of one thread's call, by place
(
    N_ROWS,  # in
    ROW,  # in: a row to begin with, or NONE; out: the row that was under way at the end
    CHECKS_KNOWN,  # in: a row that touches something else than what `known_` has is handed back
    FOUND_ROOM,  # in: length of `found_variant`
    N_FOUND,  # how much of it is used
    FOUND_NUMBER,  # in: its number
    GOES_ON,  # in: 1: the row was under way, and its time runs: DEADLINE is that of the last call
    ENDED,  # out, after HAND_BACK: how the solve of the row has ended, which the work arrays hold; NONE: it did not run
    CALL_SIZE,
) = range(9)

# --- why a call ended, beside NEED_ROOM and CANCELLED
(NO_ROW_LEFT, FOUND_FULL, HAND_BACK) = range(20, 23)

# --- of a row_status, beside the statuses of a solve
NOT_DONE = PENDING
HANDED = 100  # in: this row is handed back as it is

ROWS: tuple[WorkArray, ...] = (
    WorkArray("call", "int64", "CALL_SIZE", "the scalars above"),
    WorkArray("next_row", "int64", "1", "the first row that nobody has taken"),
    # in: the requests, encoded
    WorkArray("row_request_offsets", "int32", "row + 1", "where the requests of a row stand in the next three"),
    WorkArray("row_family", "int32", "row_request", "as `request_family`, and so on"),
    WorkArray("row_flags", "int32", "row_request", ""),
    WorkArray("row_cut_offsets", "int32", "row_request + 1", "their ranges in `row_cut`"),
    WorkArray("row_cut", "int64", "row_cut", ""),
    # out
    WorkArray("row_status", "int8", "row", "how it ended; NOT_DONE until everything else of the row is written"),
    WorkArray("row_num_solves", "int32", "row", ""),
    WorkArray("row_num_fails", "int32", "row", ""),
    WorkArray("row_ticks", "int64", "row", "of the clock, in the solve"),
    WorkArray("row_found_number", "int32", "row", "number of the `found_variant` that has its variants"),
    WorkArray("row_found_first", "int32", "row", "where they begin in it"),
    WorkArray("row_found_count", "int32", "row", "how many"),
    WorkArray("found_variant", "int32", "FOUND_ROOM", "resolved variants in rez's order, row after row"),
    # what was found to be fresh, see `touched.Known`
    WorkArray("known_family", "uint8", "known", "1 for a family"),
    WorkArray("known_variant", "uint64", "looked_up", "masks as in `looked_up`"),
)
"""The arrays of a block of rows, as `WORK`. `found_variant` and `call` belong to one call, the others to all."""


class Rows(namedtuple("Rows", [array.name for array in ROWS])):  # type: ignore[misc]
    """A block of rows as one thread sees it, one field for each array of `ROWS`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __iter__(self) -> Iterator[Any]: ...
        def _replace(self, **arrays: Any) -> Rows: ...


ROW_DTYPES = [array.dtype for array in ROWS]
