"""Some rows of a batch: written by the encoder, solved by several threads, then kept as plain arrays.

Invariants
----------
- A row that is written stays where it is; a block is filled, sealed, solved and packed, in this order.
- What is kept of a row are numbers; only texts that cannot be made again are kept as texts.
- No numpy: a process that solves a batch has not imported it, and need not have it.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rer_numba import state
from rer_numba.clock import CLOCK
from rer_numba.results import SolveResult
from rer_numba.state import ROWS, Rows
from rer_numba.views import numbers, zeros

if TYPE_CHECKING:
    from rer_numba.batch.plans import Plan, Vocabulary, Word
    from rer_numba.requests import EncodedRequest, MergedRequest
    from rer_numba.snapshot import Solve

ALONE = state.HANDED
"""Status of a row that compiled code hands back at once."""
OTHER = 101
"""Status of a row whose result is kept as it is: of rez, or of another state of the repository."""

STATUS = {
    state.SOLVED: "solved",
    state.FAILED: "failed",
    state.CYCLIC: "failed",
    state.FAIL_LIMIT: "failed",
    state.OUT_OF_TIME: "aborted",
    state.ERROR: "error",
    state.NOT_DONE: "cancelled",
    ALONE: "cancelled",
}
_CODES = {"solved": state.SOLVED, "aborted": state.OUT_OF_TIME, "error": state.ERROR, "failed": state.FAILED}
_INT32_BYTES = 4


class Block:
    """Rows with the same options.

    Parameters
    ----------
    plan : Plan
    paths : str
        What messages say was searched.

    Attributes
    ----------
    n_rows : int
    status, num_solves, num_fails : view of int8, int32, int32, shape (n_rows,)
        Codes of `rer_numba.state`, or ALONE, OTHER; counters. Once it is sealed.
    milliseconds : array of float32, shape (n_rows,)
    variant_offsets, variants : array of int32
        The resolved variants in rez's order. Once it is packed.
    given_offsets, given : array of int32
        The requests, as numbers of words.
    errors : dict
        (class name, text) of the rows that ended in an error.
    ephemerals : dict
        The resolved ephemerals of the rows that have some.
    others : dict
        Results of the rows with status OTHER.
    """

    def __init__(self, plan: Plan, paths: str) -> None:
        self.plan: Plan | None = plan
        self.options = plan.options
        self.view = plan.view
        self.vocabulary: Vocabulary = plan.vocabulary
        self.paths = paths
        self.n_rows = 0
        self.n_workers = 0
        self.is_packed = False
        self.errors: dict[int, tuple[str, str]] = {}
        self.ephemerals: dict[int, tuple[str, ...]] = {}
        self.others: dict[int, SolveResult] = {}
        self._preset: list[tuple[int, int, int]] = []
        self._merged: dict[int, MergedRequest] = {}
        self._given: list[int] = []
        self._given_ends: list[int] = [0]
        self._families: list[int] = []
        self._flags: list[int] = []
        self._cut_ends: list[int] = [0]
        self._cuts: list[int] = []
        self._request_ends: list[int] = [0]
        self._found: list[tuple[memoryview[int], memoryview[int]]] = []
        self._found_alone: dict[int, list[int]] = {}

    # --- filling

    def add(self, given: list[Word], asked: list[Word]) -> int:
        """Write a request of words that have nothing in common; returns its row.

        Parameters
        ----------
        given : list of Word
            What was handed in.
        asked : list of Word
            That, and the implicit packages.
        """
        n_families = self.view.reader.n_families
        for place, (_, family, flags, cuts, _, _, _) in enumerate(asked):
            self._families.append(family if family >= 0 else n_families + place)
            self._flags.append(flags)
            self._cuts += cuts
            self._cut_ends.append(len(self._cuts))
        return self._end_row([word.number for word in given])

    def add_encoded(self, given: list[Word], request: EncodedRequest) -> int:
        """Write a request that had to be merged or placed; returns its row."""
        first_cut = len(self._cuts)
        self._families += request.families
        self._flags += request.flags
        self._cuts += request.cuts
        self._cut_ends += [first_cut + end for end in request.cut_offsets[1:]]
        return self._end_row([word.number for word in given])

    def add_preset(self, given: list[int], status: int, seconds: float = 0.0) -> int:
        """Write a row that compiled code does not solve; returns it.

        Parameters
        ----------
        given : list of int
            Numbers of words.
        status : int
        seconds : float
            Of its time limit, how much it has taken to read it.
        """
        self._preset.append((self.n_rows, status, int(seconds * CLOCK.ticks)))
        return self._end_row(given)

    def keep(self, row: int, merged: MergedRequest) -> None:
        """Keep the request of a row that took long to read, until it is solved."""
        self._merged[row] = merged

    def _end_row(self, given: list[int]) -> int:
        self._given += given
        self._given_ends.append(len(self._given))
        self._request_ends.append(len(self._families))
        row = self.n_rows
        self.n_rows = row + 1
        return row

    def seal(self) -> None:
        """No more rows: make the arrays."""
        n = self.n_rows
        written = {
            "row_request_offsets": self._request_ends,
            "row_family": self._families,
            "row_flags": self._flags,
            "row_cut_offsets": self._cut_ends,
            "row_cut": self._cuts,
            "next_row": [0],
        }
        arrays: list[memoryview[int]] = []
        for kind in ROWS:
            if kind.name in written:
                arrays.append(numbers(kind.dtype, written[kind.name]))
            else:  # what kernels write, one for each row; or what belongs to a thread, which it brings itself
                arrays.append(zeros(kind.dtype, n if kind.length == "row" else 0))
        self.given, self.given_offsets = array("i", self._given), array("i", self._given_ends)
        self.rows = Rows(*arrays)
        self.status = self.rows.row_status
        self.num_solves, self.num_fails = self.rows.row_num_solves, self.rows.row_num_fails
        for row, status, ticks in self._preset:
            self.status[row] = status
            self.rows.row_ticks[row] = ticks
            self.num_fails[row] = status == state.FAILED  # a request in conflict with itself
        del self._given, self._given_ends, self._families, self._flags, self._cut_ends, self._cuts, self._request_ends
        del self._preset

    # --- solving

    def n_done(self) -> int:
        """How many rows are done, of a sealed block."""
        codes = bytes(self.status)
        return len(codes) - codes.count(state.NOT_DONE) - codes.count(ALONE)

    def add_found(self, call: memoryview[int], found: memoryview[int]) -> int:
        """Take over a `found_variant` that a thread is going to fill, and the scalars that say how far. Its number."""
        self._found.append((call, found))
        return len(self._found) - 1

    def merged(self, row: int) -> MergedRequest:
        """The request of a row, with the implicit packages."""
        kept = self._merged.get(row)
        if kept is not None:
            return kept
        asked = [self.vocabulary.given[number] for number in self.given_numbers(row)]
        return _merge([*asked, *self.options.implicit_packages])

    def given_numbers(self, row: int) -> list[int]:
        """The words of a row, by number."""
        return self.given[self.given_offsets[row] : self.given_offsets[row + 1]].tolist()

    def put(self, row: int, result: SolveResult, intern: Any) -> None:
        """Write the answer of a row that was solved by itself.

        Parameters
        ----------
        row : int
        result : SolveResult
        intern : callable
            Gives one object for equal texts.
        """
        if result.status == "cancelled":
            return
        self.num_solves[row], self.num_fails[row] = result.num_solves, result.num_fails
        self.rows.row_ticks[row] = int(result.solve_time_ms / 1000 * CLOCK.ticks)
        code = _CODES[result.status]
        is_elsewhere = result.fallback_reason is not None or result.reader not in (None, self.view.reader)
        if is_elsewhere or result.status == "failed":  # which may be of another state of the repository
            self.others[row], code = result, OTHER
        elif result.status == "error":
            self.errors[row] = (intern(str(result.error_type)), intern(str(result.failure_description)))
        elif result.status == "solved":
            self._found_alone[row] = result.variants
            if result.resolved_ephemerals:
                self.ephemerals[row] = intern(tuple(result.resolved_ephemerals))
        self.status[row] = code

    def pack(self) -> None:
        """Keep the answers only, once nobody solves rows any more."""
        rows = self.rows
        milliseconds = 1000 / CLOCK.ticks
        self.milliseconds = array("f", [ticks * milliseconds for ticks in rows.row_ticks])
        count, first, number = rows.row_found_count, rows.row_found_first, rows.row_found_number
        kept = [found.cast("B") for _, found in self._found]
        for row, variants in self._found_alone.items():
            count[row], first[row], number[row] = len(variants), 0, len(kept)
            kept.append(memoryview(array("i", variants)).cast("B"))
        self.variant_offsets = array("i", accumulate(count, initial=0))
        pieces = [
            kept[which][start * _INT32_BYTES : (start + n) * _INT32_BYTES]
            for n, start, which in zip(count, first, number, strict=True)
            if n
        ]
        self.variants = array("i", b"".join(pieces))
        self.is_packed = True  # before anything is taken away: a child of fork may find it here
        self.plan = None
        self._merged.clear()
        del self.rows, self._found, self._found_alone

    def drop(self) -> None:
        """Let no row be done, of a block that was never handed in. It may be half written."""
        n = self.n_rows
        self.status = zeros("int8", n)
        self.num_solves, self.num_fails = zeros("int32", n), zeros("int32", n)
        self.milliseconds = array("f", bytes(n * _INT32_BYTES))
        self.variant_offsets, self.variants = array("i", bytes((n + 1) * _INT32_BYTES)), array("i")
        self.given_offsets, self.given = array("i", bytes((n + 1) * _INT32_BYTES)), array("i")
        self.errors.clear()
        self.plan = None
        self.is_packed = True

    # --- reading

    def result(self, row: int) -> SolveResult:
        """The answer of a row."""
        code = self.status[row]
        if code == OTHER:
            return self.others[row]
        status = STATUS[code]
        error_type, failure = self.errors.get(row, (None, None)) if status == "error" else (None, self._failure(row))
        return SolveResult(
            status,
            num_solves=self.num_solves[row],
            num_fails=self.num_fails[row],
            solve_time_ms=self.milliseconds[row],
            variants=(self.view.reader, self.row_variants(row)) if status == "solved" else None,
            ephemerals=list(self.ephemerals.get(row, ())),
            failure=failure,
            error_type=error_type,
        )

    def row_variants(self, row: int) -> list[int]:
        """The resolved variants of a row."""
        return self.variants[self.variant_offsets[row] : self.variant_offsets[row + 1]].tolist()

    def _failure(self, row: int) -> Any:
        """The text of a row that was not solved, or what makes it."""
        code = self.status[row]
        if code == state.OUT_OF_TIME:
            return "time limit exceeded"
        if code in (state.NOT_DONE, ALONE):
            return "the solve was cancelled"
        return None if code == state.SOLVED else lambda: self._explained(row)

    def _explained(self, row: int) -> str:
        """Why a row failed: it is solved once more."""
        merged = self.merged(row)
        if merged.conflict:
            from rer_numba.explain import dependency_conflict

            return dependency_conflict(*merged.conflict)
        from rer_numba.snapshot import Solve, how_stopped, why_failed

        solve = Solve(self.view, self.view.reader.encode(merged.requirements), self.paths, self.options)
        code, fails = self.status[row], self.num_fails[row]
        if code == state.FAIL_LIMIT:
            return f"{how_stopped(code, fails)[1]}:\n{why_failed(solve, fails)}"
        return _cycle(solve) if code == state.CYCLIC else why_failed(solve)


def _merge(asked: list[Any]) -> MergedRequest:
    from rer_numba.requests import parse_requests

    return parse_requests(asked)


def _cycle(solve: Solve) -> str:
    """The circle that a solve ends with."""
    try:
        solve.run()
        return solve.explainer().cycle()
    finally:
        solve.close()
