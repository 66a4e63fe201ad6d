"""Results of a batch as a file: Arrow, Parquet, CSV or lines of JSON, as the name says.

The last two are for other programs and for people: in CSV a list is one text, its items separated by spaces.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from rer_numba.errors import RerError
from rer_numba.needed import require

if TYPE_CHECKING:
    import pyarrow as pa

    from rer_numba.batch.results import SolveBatch

Writer = Callable[["SolveBatch", BinaryIO], None]


class UnknownFormatError(RerError):
    """The name of a file for results ends in none of `FORMATS`.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        *some, last = [f".{name}" for name in FORMATS]
        return f"{self.path}: results are written as {', '.join(some)} or {last}; give the file one of these ends"


def writer_of(path: str) -> Writer:
    """What writes results to a file of this name; without an end it is Arrow. Raises `UnknownFormatError`."""
    end = os.path.splitext(path)[1].lower().removeprefix(".")
    if not end and os.path.basename(path) not in ("", "-"):
        return FORMATS["arrow"]
    if end not in FORMATS:
        raise UnknownFormatError(path)
    return FORMATS[end]


def require_writable(path: str) -> None:
    """Raise what can be known before anything is solved.

    `UnknownFormatError`, `NeedsPackageError`, or as `publish.require_writable`.
    """
    from rer_numba import publish

    if writer_of(path) in (_write_arrow, _write_parquet):
        require("writing this kind of file", "numpy", "pyarrow")
    publish.require_writable(path)


def write_results(batch: SolveBatch, path: str) -> None:
    """Write results; the file appears whole or not at all. Raises as `writer_of` and `publish.write_out`."""
    from rer_numba.publish import write_out

    write = writer_of(path)
    write_out(path, lambda file: write(batch, file))


# -------------------------------------------------------------------------------------------------------------- formats
def _write_arrow(batch: SolveBatch, file: BinaryIO) -> None:
    import pyarrow as pa

    table = batch.to_arrow()
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _write_parquet(batch: SolveBatch, file: BinaryIO) -> None:
    from pyarrow import parquet

    # Parquet makes dictionaries of its own, and readers differ about nested ones
    table = batch.to_arrow()
    parquet.write_table(table.cast(_plain_schema(table.schema)), file)


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([field.with_type(_plain(field.type)) for field in schema])


def _plain(kind: pa.DataType) -> pa.DataType:
    """The same type without dictionaries."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    return kind


CSV_COLUMNS = (
    "request",
    "status",
    "error_type",
    "num_solves",
    "num_fails",
    "solve_time_ms",
    "packages",
    "ephemerals",
    "failure_description",
)


def _write_csv(batch: SolveBatch, file: BinaryIO) -> None:
    import csv
    import io

    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for index in range(len(batch)):
        writer.writerow(_csv_row(batch, index))
    text.flush()
    text.detach()  # the file is closed by who opened it


def _csv_row(batch: SolveBatch, index: int) -> list[Any]:
    import shlex

    result = batch[index]
    return [
        shlex.join(map(str, batch.request(index))),
        result.status,
        result.error_type,
        result.num_solves,
        result.num_fails,
        round(result.solve_time_ms, 4),
        " ".join(f"{name}{version and f'-{version}'}{_index(at)}" for name, version, at in result.resolved),
        " ".join(result.resolved_ephemerals),
        result.failure_description,
    ]


def _index(at: int | None) -> str:
    """As rez writes the number of a variant."""
    return f"[{'' if at is None else at}]"


def _write_jsonl(batch: SolveBatch, file: BinaryIO) -> None:
    import json

    from rer_numba.commands import result_as_json

    for index, result in enumerate(batch):
        line = json.dumps(result_as_json(batch.request(index), result))
        file.write(line.encode("ascii") + b"\n")


FORMATS: dict[str, Writer] = {
    "arrow": _write_arrow,
    "feather": _write_arrow,  # another name of the same
    "parquet": _write_parquet,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
"""How the name of a file ends -> what writes it."""
