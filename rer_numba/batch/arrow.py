"""Results of a batch as a pyarrow.Table, without a Python object for each package of each result.

What is the same in many rows is made once: a package that is in a thousand results is two numbers in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rer_numba import state
from rer_numba.batch.blocks import Block
from rer_numba.batch.results import ROW_BITS, STATUSES

if TYPE_CHECKING:
    from rer_numba.batch.results import SolveBatch
    from rer_numba.results import SolveResult
    from rer_numba.schema import IntArray

_ROWS = 1 << 18
"""Requests of one chunk of a table, so that offsets have room in 32 bits."""
_TEXT = pa.dictionary(pa.int32(), pa.string())
_PACKAGE = pa.struct([("name", _TEXT), ("version", _TEXT), ("variant_index", pa.int32())])
SCHEMA = pa.schema(
    [
        ("request", pa.list_(_TEXT)),
        ("status", _TEXT),
        ("error_type", _TEXT),
        ("num_solves", pa.int32()),
        ("num_fails", pa.int32()),
        ("solve_time_ms", pa.float32()),
        ("packages", pa.list_(_PACKAGE)),
        ("ephemerals", pa.list_(_TEXT)),
        ("failure_description", pa.string()),
    ]
)
"""The columns, as docs/batches.md explains them."""


def table_of(batch: SolveBatch, texts: bool) -> pa.Table:
    """See `SolveBatch.to_arrow`."""
    answers = Answers(batch.blocks)
    records, statuses = answers.records(batch), np.frombuffer(batch.status_codes(), np.int8)
    chunks = [
        answers.chunk(records[start : start + _ROWS], statuses[start : start + _ROWS], texts)
        for start in range(0, len(statuses), _ROWS)
    ]
    return pa.concat_tables(chunks).unify_dictionaries() if chunks else SCHEMA.empty_table()


class Texts:
    """The values of a dictionary column, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._values: pa.Array | None = None

    def number(self, text: str) -> int:
        """The place of a text among the values."""
        return self._numbers.setdefault(text, len(self._numbers))

    def values(self) -> pa.Array:
        """All values. The same array each time, unless there are new ones."""
        if self._values is None or len(self._values) < len(self._numbers):
            self._values = pa.array([_clean(text) for text in self._numbers], pa.string())
        return self._values


def _clean(text: str) -> str:
    """A text that Arrow takes: a lone surrogate, from a file name that is no Unicode, is written out."""
    return text.encode("utf-8", "backslashreplace").decode()


class Answers:
    """The rows of all blocks, one after the other, as columns."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = list(blocks)
        self.first = np.cumsum([0, *(block.n_rows for block in self.blocks)], dtype=np.int64)
        self._texts = Texts()
        self._others = self._found_others()
        self.num_solves = self._joined([block.num_solves for block in self.blocks])
        self.num_fails = self._joined([block.num_fails for block in self.blocks])
        self.milliseconds = self._joined([block.milliseconds for block in self.blocks], np.float32)
        self._join_packages()
        self._join_ephemerals()
        self._join_requests()

    def records(self, batch: SolveBatch) -> IntArray:
        """The answer of each request that was read, as a row of all blocks one after the other. int64."""
        places = np.asarray(batch.places, np.int64)
        records: IntArray = self.first[places >> ROW_BITS] + (places & ((1 << ROW_BITS) - 1))
        return records

    def _found_others(self) -> dict[int, SolveResult]:
        return {
            int(first) + row: result
            for first, block in zip(self.first, self.blocks, strict=False)
            for row, result in block.others.items()
        }

    @staticmethod
    def _joined(parts: Sequence[Any], dtype: Any = np.int32) -> IntArray:
        return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)

    # --- packages

    def _join_packages(self) -> None:
        """A number for each variant that is in some result, and for each row the numbers of its own."""
        self._names, self._versions = Texts(), Texts()
        self._rows: dict[tuple[str, str, int | None], int] = {}
        counts, values = [], []
        for block in self.blocks:
            count, value = np.diff(block.variant_offsets), self._numbered(block)
            resolved = {row: result.resolved for row, result in block.others.items() if result.resolved}
            if resolved:
                count, value = self._with_others(count, value, resolved)
            counts.append(count)
            values.append(value)
        self.package_count, self.package = self._joined(counts), self._joined(values)
        self.package_start = np.cumsum(self.package_count, dtype=np.int64) - self.package_count
        self._name = np.array([self._names.number(name) for name, _, _ in self._rows], np.int32)
        self._version = np.array([self._versions.number(version) for _, version, _ in self._rows], np.int32)
        self._index = pa.array([index for _, _, index in self._rows], pa.int32())

    def _numbered(self, block: Block) -> IntArray:
        """The variants of a block, as numbers of `_rows`."""
        found, inverse = np.unique(np.asarray(block.variants, np.int32), return_inverse=True)
        name = block.view.reader.variant_name
        return np.array([self._row(name(variant)) for variant in found.tolist()], np.int32)[inverse]

    def _row(self, named: tuple[str, str, int | None]) -> int:
        return self._rows.setdefault(named, len(self._rows))

    def _with_others(
        self, count: IntArray, value: IntArray, resolved: dict[int, list[tuple[str, str, int | None]]]
    ) -> tuple[IntArray, IntArray]:
        """The same with the packages of results that are kept as they are, whose rows have had none."""
        ends = np.cumsum(count)
        parts, done = [], 0
        for row, packages in sorted(resolved.items()):
            parts += [value[done : ends[row]], np.array([self._row(one) for one in packages], np.int32)]
            done = ends[row]
        count = count.copy()
        count[list(resolved)] = [len(packages) for packages in resolved.values()]
        return count, np.concatenate([*parts, value[done:]])

    def _join_ephemerals(self) -> None:
        found = {
            int(first) + row: ephemerals
            for first, block in zip(self.first, self.blocks, strict=False)
            for row, ephemerals in block.ephemerals.items()
        }
        found.update({record: tuple(one.resolved_ephemerals) for record, one in self._others.items()})
        self._ephemerals = Texts()
        self.ephemeral_count = np.zeros(int(self.first[-1]), np.int32)
        numbers = []
        for record, ephemerals in sorted(found.items()):
            self.ephemeral_count[record] = len(ephemerals)
            numbers += [self._ephemerals.number(text) for text in ephemerals]
        self.ephemeral = np.array(numbers, np.int32)
        self.ephemeral_start = np.cumsum(self.ephemeral_count, dtype=np.int64) - self.ephemeral_count

    # --- requests

    def _join_requests(self) -> None:
        counts, values = [], []
        numbers: dict[int, IntArray] = {}
        for block in self.blocks:
            known = numbers.get(id(block.vocabulary))
            if known is None:
                given = [self._texts.number(str(one)) for one in block.vocabulary.given]
                known = numbers[id(block.vocabulary)] = np.array(given, np.int32)
            counts.append(np.diff(block.given_offsets))
            values.append(known[np.asarray(block.given, np.int32)])
        self.given_count, self.given = self._joined(counts), self._joined(values)
        self.given_start = np.cumsum(self.given_count, dtype=np.int64) - self.given_count

    # --- a chunk

    def chunk(self, records: IntArray, statuses: IntArray, texts: bool) -> pa.Table:
        """A table for some requests: those with these records, and more that have none, which were not read."""
        n, missing = len(statuses), len(statuses) - len(records)
        errors, failures = self._words(records, n, texts)
        packages = self._ragged(records, missing, self.package_count, self.package_start, self.package)
        ephemerals = self._ragged(records, missing, self.ephemeral_count, self.ephemeral_start, self.ephemeral)
        given = self._ragged(records, missing, self.given_count, self.given_start, self.given)
        columns = [
            _list(given[0], pa.DictionaryArray.from_arrays(given[1], self._texts.values())),
            pa.DictionaryArray.from_arrays(statuses.astype(np.int32), list(STATUSES)),
            pa.array(errors, pa.string()).dictionary_encode(),
            pa.array(_padded(self.num_solves[records], missing)),
            pa.array(_padded(self.num_fails[records], missing)),
            pa.array(_padded(self.milliseconds[records], missing)),
            _list(packages[0], self._structs(packages[1])),
            _list(ephemerals[0], pa.DictionaryArray.from_arrays(ephemerals[1], self._ephemerals.values())),
            pa.array(failures, pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    @staticmethod
    def _ragged(
        records: IntArray, missing: int, count: IntArray, start: IntArray, values: IntArray
    ) -> tuple[IntArray, IntArray]:
        """(offsets, values) of the lists of some rows."""
        counts = count[records]
        offsets = np.zeros(len(records) + missing + 1, np.int32)
        np.cumsum(_padded(counts, missing), out=offsets[1:])
        return offsets, values[ragged(start[records], counts)]

    def _structs(self, package: IntArray) -> pa.Array:
        return pa.StructArray.from_arrays(
            [
                pa.DictionaryArray.from_arrays(self._name[package], self._names.values()),
                pa.DictionaryArray.from_arrays(self._version[package], self._versions.values()),
                self._index.take(pa.array(package)),
            ],
            fields=list(_PACKAGE),
        )

    def _words(self, records: IntArray, n: int, texts: bool) -> tuple[list[str | None], list[str | None]]:
        """Error types and failure descriptions."""
        errors: list[str | None] = [None] * n
        failures: list[str | None] = [None] * n
        explained: dict[int, tuple[str | None, str | None]] = {}
        number = self.first.searchsorted(records, side="right") - 1
        for place in np.flatnonzero(self._is_unsolved()[records]).tolist():
            record = int(records[place])
            if record not in explained:
                block = self.blocks[number[place]]
                explained[record] = _explained(block, record - int(self.first[number[place]]), texts)
            errors[place], failures[place] = explained[record]
        for place in range(len(records), n):
            failures[place] = "the solve was cancelled"
        return errors, failures

    def _is_unsolved(self) -> IntArray:
        parts = [np.asarray(block.status) != state.SOLVED for block in self.blocks]
        return np.concatenate([np.zeros(0, bool), *parts])


def _explained(block: Block, row: int, texts: bool) -> tuple[str | None, str | None]:
    """(error type, failure description) of a row that is not solved."""
    result = block.result(row)
    if result.status == "failed" and not texts:
        return None, None
    failure = result.failure_description
    kind = result.error_type
    return None if kind is None else _clean(kind), None if failure is None else _clean(failure)


def _padded(values: IntArray, missing: int) -> IntArray:
    return np.concatenate([values, np.zeros(missing, values.dtype)]) if missing else values


def _list(offsets: IntArray, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def ragged(starts: IntArray, counts: IntArray) -> IntArray:
    """The numbers from each start on, so many of them, one list after the other.

    Parameters
    ----------
    starts, counts : array, shape (n,)

    Returns
    -------
    int64 array, shape (sum of counts,)
    """
    ends = np.cumsum(counts, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - counts), counts) + np.arange(total, dtype=np.int64)
