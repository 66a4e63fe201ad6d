"""What a batch gives: a sequence of results, decoded when somebody looks."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from rer_numba.batch.blocks import OTHER, STATUS, Block
from rer_numba.needed import require
from rer_numba.results import SolveResult

if TYPE_CHECKING:
    import pyarrow as pa

STATUSES = ("solved", "failed", "error", "aborted", "cancelled")
ROW_BITS = 16
"""Of the place of an answer: the number of its block stands above that of its row."""
_ROW = (1 << ROW_BITS) - 1
_CANCELLED = STATUSES.index("cancelled")
_CODE_OF_STATUS = bytes(STATUSES.index(STATUS.get(code, "cancelled")) for code in range(256))


class SolveBatch(Sequence[SolveResult]):
    """The results of many requests, in their order.

    They are kept as numbers, some 60 bytes and 4 for each package, and become a `SolveResult` each time one is looked
    at. A failure is explained when its text is read, by solving it again.

    Attributes
    ----------
    is_cancelled : bool
        It was ended before everything was solved. What is not done has the status "cancelled".
    """

    def __init__(self, n_known: int | None = None) -> None:
        self.n_known = n_known
        self.is_cancelled = False
        self._blocks: list[Block] = []
        self._numbers: dict[int, int] = {}
        self._places = array("q")

    # --- filling

    def add(self, place: tuple[Block, int]) -> None:
        """Note where the answer of the next request will be."""
        block, row = place
        number = self._numbers.get(id(block))
        if number is None:
            number = self._numbers[id(block)] = len(self._blocks)
            self._blocks.append(block)
        self._places.append((number << ROW_BITS) | row)

    def end(self, is_cancelled: bool) -> None:
        """Nothing comes any more, and nobody solves."""
        self._numbers.clear()
        for block in self._blocks:
            if not block.is_packed:
                block.drop()
        self.is_cancelled = is_cancelled
        self.is_cancelled = is_cancelled and self.n_done < len(self)

    @property
    def n_taken(self) -> int:
        """Requests that were read."""
        return len(self._places)

    # --- a sequence

    def __len__(self) -> int:
        return max(len(self._places), self.n_known or 0) if self.is_cancelled else len(self._places)

    @overload
    def __getitem__(self, index: int) -> SolveResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[SolveResult]: ...
    def __getitem__(self, index: int | slice) -> SolveResult | list[SolveResult]:
        if isinstance(index, slice):
            return [self._result(k) for k in range(*index.indices(len(self)))]
        return self._result(range(len(self))[index])

    def __iter__(self) -> Iterator[SolveResult]:
        return map(self._result, range(len(self)))

    def _result(self, index: int) -> SolveResult:
        if index < len(self._places):
            place = self._places[index]
            return self._blocks[place >> ROW_BITS].result(place & _ROW)
        return SolveResult("cancelled", failure="the solve was cancelled")

    def request(self, index: int) -> list[str]:
        """The texts of a request, without the implicit packages; empty when it was none, or was not read."""
        index = range(len(self))[index]
        if index >= len(self._places):
            return []
        place = self._places[index]
        block = self._blocks[place >> ROW_BITS]
        given = block.vocabulary.given
        return [str(given[number]) for number in block.given_numbers(place & _ROW)]

    # --- all at once

    def status_codes(self) -> bytes:
        """The status of each request, as a place in `STATUSES`: as many bytes as there are requests."""
        found = [_codes(block) for block in self._blocks]
        codes = bytes([found[place >> ROW_BITS][place & _ROW] for place in self._places])
        return codes.ljust(len(self), bytes([_CANCELLED]))

    @property
    def places(self) -> memoryview[int]:
        """Where the answer of each request is that was read: the number of its block, above `ROW_BITS` of its row."""
        return memoryview(self._places)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Where the answers are."""
        return tuple(self._blocks)

    @property
    def counts(self) -> dict[str, int]:
        """How many requests came to each status; those that none came to are left out."""
        codes = self.status_codes()
        found = [codes.count(code) for code in range(len(STATUSES))]
        return {name: count for name, count in zip(STATUSES, found, strict=True) if count}

    def indexes_of(self, *statuses: str) -> list[int]:
        """Which requests came to one of these statuses."""
        wanted = {STATUSES.index(status) for status in statuses}
        return [index for index, code in enumerate(self.status_codes()) if code in wanted]

    @property
    def n_done(self) -> int:
        """How many requests have an answer."""
        return len(self) - self.status_codes().count(_CANCELLED)

    def to_arrow(self, *, texts: bool = True) -> pa.Table:
        """Make a pyarrow.Table with one row for each request: see docs/batches.md for its columns.

        Parameters
        ----------
        texts : bool
            Explain failures, each of which is solved again for that. False: `failure_description` has those of errors
            only.
        """
        require("a table of results", "numpy", "pyarrow")
        from rer_numba.batch.arrow import table_of

        return table_of(self, texts)

    def __reduce__(self) -> Any:
        raise TypeError("a batch cannot be pickled, since it reads the repository; its to_arrow() can")

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        return f"<SolveBatch {len(self):,} requests: {counts or 'none'}>"


def _codes(block: Block) -> bytes:
    """The status of each row of a block, as a place in `STATUSES`."""
    codes = bytearray(bytes(block.status).translate(_CODE_OF_STATUS))
    for row, result in block.others.items():
        if block.status[row] == OTHER:
            codes[row] = STATUSES.index(result.status)
    return bytes(codes)


class BatchInterrupted(KeyboardInterrupt):
    """Ctrl-C while a batch was solved.

    Attributes
    ----------
    batch : SolveBatch
        With what is done so far.
    """

    def __init__(self, batch: SolveBatch) -> None:
        super().__init__(f"interrupted: {batch!r}")
        self.batch = batch
