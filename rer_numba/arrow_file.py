"""Reads the Arrow IPC file format with nothing but Python: integer columns, mapped, zero copy.

pyarrow takes 70 ms to import, more than a whole solve from a cold start. Arrow also has no checksums and trusts much of
what it reads, so a damaged file can kill the process. This reader knows one layout, the one that `rer_numba.store`
writes, and believes nothing.

Invariants
----------
- Every offset and every length is compared with the bytes there are before it is used. What does not fit raises
  `ArrowFileError`; nothing else is raised for any input.
- Work and memory are bounded by the size of the file, also when its offsets make many places share one string.
- No column is copied. The views keep the buffer alive.

What is read
------------
One record batch with one row, not compressed, no dictionaries, little-endian, metadata version 4 or 5. Columns of type
``large_list<integer>`` without nulls become memoryviews; others are skipped, so that a later version of the layout may
add some. The order of columns and buffers, alignment and the presence of validity buffers may be as the writer likes.

Source: https://arrow.apache.org/docs/format/Columnar.html and ``Message.fbs``, ``Schema.fbs``, ``File.fbs`` there.
"""

from __future__ import annotations

import mmap
from struct import Struct, iter_unpack, unpack_from

from rer_numba.views import empty, typed

MAGIC = b"ARROW1"
OTHER_FORMATS = {
    b"PAR1": "a Parquet file",
    b"FEA1": "a Feather file of version 1",
    b"PK\x03\x04": "a zip archive",
    b"\xff\xff\xff\xff": "an Arrow stream, not an Arrow file",
}

_UINT8 = Struct("<B")
_UINT16 = Struct("<H")
_INT16 = Struct("<h")
_UINT32 = Struct("<I")
_INT32 = Struct("<i")
_INT64 = Struct("<q")

_CONTINUATION = 0xFFFFFFFF  # precedes the length of a message since Arrow 0.15
_BLOCK = Struct("<qi4xq")  # File.fbs: offset of a message, length of its metadata, length of its body
_PAIR = Struct("<qq")  # Message.fbs: FieldNode (length, nulls) and Buffer (offset, length)

# Schema.fbs: slots of the tables
_FOOTER_VERSION, _FOOTER_SCHEMA, _FOOTER_DICTIONARIES, _FOOTER_BATCHES = 0, 1, 2, 3
_SCHEMA_ENDIANNESS, _SCHEMA_FIELDS, _SCHEMA_METADATA = 0, 1, 2
_FIELD_NAME, _FIELD_TYPE_ID, _FIELD_TYPE, _FIELD_DICTIONARY, _FIELD_CHILDREN = 0, 2, 3, 4, 5
_INT_BITS, _INT_SIGNED = 0, 1
_MESSAGE_VERSION, _MESSAGE_HEADER_ID, _MESSAGE_HEADER, _MESSAGE_BODY_LENGTH = 0, 1, 2, 3
_BATCH_LENGTH, _BATCH_NODES, _BATCH_BUFFERS, _BATCH_COMPRESSION = 0, 1, 2, 3
_VERSIONS = (3, 4)  # MetadataVersion V4 and V5
_RECORD_BATCH = 3  # MessageHeader

_INT, _LARGE_LIST = 2, 21
# how many buffers a field of a type has, without its children; unions and the view types are not known to this reader
_BUFFERS_OF_TYPE = {
    1: 0,  # null
    _INT: 2,
    3: 2,  # floating point
    4: 3,  # binary
    5: 3,  # utf8
    6: 2,  # bool
    7: 2,  # decimal
    8: 2,  # date
    9: 2,  # time
    10: 2,  # timestamp
    11: 2,  # interval
    12: 2,  # list
    13: 1,  # struct
    15: 2,  # fixed size binary
    16: 1,  # fixed size list
    17: 2,  # map
    18: 2,  # duration
    19: 3,  # large binary
    20: 3,  # large utf8
    _LARGE_LIST: 2,
}
_INTEGERS = {(bits, signed): f"{'' if signed else 'u'}int{bits}" for bits in (8, 16, 32, 64) for signed in (0, 1)}
_SIZES = {name: bits // 8 for (bits, _), name in _INTEGERS.items()}


class ArrowFileError(ValueError):
    """What is wrong with the file, as the second half of a sentence: "is truncated"."""


class _FlatBuffer:
    """Checked access to the bytes of one flatbuffer.

    Parameters
    ----------
    data : memoryview
        The flatbuffer: the offset of its root table, then everything else.
    """

    __slots__ = ("_budget", "data", "layouts", "size")

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.size = len(data)
        self.layouts: dict[int, tuple[int, tuple[int, ...]]] = {}  # tables of one kind share theirs
        # A sound buffer is read about once. Places that share what they point to could multiply the work.
        self._budget = 4 * self.size + 64

    def root(self) -> _Table:
        return _Table(self, self.number(_UINT32, 0))

    def require(self, at: int, size: int) -> None:
        """Raise unless `size` bytes from `at` lie inside; they count as read."""
        if at < 0 or size < 0 or at + size > self.size:
            raise ArrowFileError("is damaged: an offset in its description points outside")
        self._budget -= size
        if self._budget < 0:
            raise ArrowFileError("is damaged: its description refers to itself")

    def number(self, kind: Struct, at: int) -> int:
        if at < 0 or at + kind.size > self.size:
            raise ArrowFileError("is damaged: an offset in its description points outside")
        value: int = kind.unpack_from(self.data, at)[0]
        return value

    def layout(self, at: int) -> tuple[int, tuple[int, ...]]:
        """A layout of tables ("vtable"): the size of a table, and where in it each slot is (0: nowhere)."""
        size = self.number(_UINT16, at)
        if size < 4 or size % 2:
            raise ArrowFileError("is damaged: its description has a table without a layout")
        self.require(at, size)
        table_size, *slots = unpack_from(f"<{size // 2 - 1}H", self.data, at + 2)
        self.layouts[at] = table_size, tuple(slots)
        return self.layouts[at]

    def follow(self, at: int) -> int:
        """The place that the offset at `at` points to. Offsets only point forwards, so there are no cycles."""
        return at + self.number(_UINT32, at)

    def text(self, at: int) -> str:
        length = self.number(_UINT32, at)
        self.require(at + 4, length)
        try:
            return str(self.data[at + 4 : at + 4 + length], "utf-8")
        except UnicodeDecodeError:
            raise ArrowFileError("is damaged: a name in its description is not UTF-8") from None


class _Table:
    """One table of a flatbuffer: numbered slots, each with a value or without one."""

    __slots__ = ("_at", "_buffer", "_size", "_slots")

    def __init__(self, buffer: _FlatBuffer, at: int) -> None:
        layout = at - buffer.number(_INT32, at)
        self._buffer = buffer
        self._at = at
        self._size, self._slots = buffer.layouts.get(layout) or buffer.layout(layout)
        buffer.require(at, self._size)

    def place(self, slot: int, size: int) -> int:
        """Where the value of a slot lies, or 0 when it has none."""
        offset: int = self._slots[slot] if slot < len(self._slots) else 0
        if offset == 0:
            return 0
        if offset + size > self._size:
            raise ArrowFileError("is damaged: its description has a table that is too short")
        return self._at + offset

    def number(self, slot: int, kind: Struct) -> int:
        """The number of a slot; 0, which is every default in Arrow, when it has none."""
        at = self.place(slot, kind.size)
        return self._buffer.number(kind, at) if at else 0

    def target(self, slot: int) -> int:
        """Where the string, vector or table of a slot starts, or 0 when it has none."""
        at = self.place(slot, 4)
        return self._buffer.follow(at) if at else 0

    def text(self, slot: int) -> str:
        at = self.target(slot)
        return self._buffer.text(at) if at else ""

    def table(self, slot: int) -> _Table:
        at = self.target(slot)
        if not at:
            raise ArrowFileError("is damaged: a part of its description is missing")
        return _Table(self._buffer, at)

    def tables(self, slot: int) -> list[_Table]:
        """The tables of a vector."""
        at = self.target(slot)
        if not at:
            return []
        buffer = self._buffer
        count = buffer.number(_UINT32, at)
        buffer.require(at + 4, 4 * count)
        return [_Table(buffer, buffer.follow(at + 4 + 4 * i)) for i in range(count)]

    def structs(self, slot: int, kind: Struct) -> list[tuple[int, ...]]:
        """The structs of a vector."""
        at = self.target(slot)
        if not at:
            return []
        size = kind.size * self._buffer.number(_UINT32, at)
        self._buffer.require(at + 4, size)
        return list(iter_unpack(kind.format, self._buffer.data[at + 4 : at + 4 + size]))


class ArrowFile:
    """An Arrow IPC file in memory; nothing but its description is read until `columns` is called.

    Parameters
    ----------
    buffer : bytes or mmap
        The whole file.

    Attributes
    ----------
    metadata : dict of str to str
        Of the schema, in the file's order.

    Raises
    ------
    ArrowFileError
        The bytes are no such file, or one with features that this reader does not know.
    """

    def __init__(self, buffer: bytes | mmap.mmap) -> None:
        self._view = memoryview(buffer).toreadonly()
        self._body_end, footer_end = _footer_place(self._view)
        self._footer = self._view[self._body_end : footer_end]
        footer = _FlatBuffer(self._footer).root()
        _require_version(footer.number(_FOOTER_VERSION, _INT16))
        schema = footer.table(_FOOTER_SCHEMA)
        if schema.number(_SCHEMA_ENDIANNESS, _INT16) != 0:
            raise ArrowFileError("is big-endian")
        self.metadata = _metadata(schema)

    def columns(self) -> dict[str, memoryview[int] | None]:
        """The columns by name, read-only, without a copy; None for one that is no list of integers."""
        footer = _FlatBuffer(self._footer).root()
        batch, body, body_size = self._batch(footer)
        if batch.number(_BATCH_LENGTH, _INT64) != 1:
            raise ArrowFileError("has another number of rows than one")
        reader = _BodyReader(self._view, body, body_size, batch)
        columns: dict[str, memoryview[int] | None] = {}
        for field in footer.table(_FOOTER_SCHEMA).tables(_SCHEMA_FIELDS):
            name = field.text(_FIELD_NAME)
            if name in columns:
                raise ArrowFileError(f"has two columns {name}")
            columns[name] = reader.take(field)
        reader.require_end()
        return columns

    def _batch(self, footer: _Table) -> tuple[_Table, int, int]:
        """The record batch, and where in the file its body starts and how long it is."""
        if footer.structs(_FOOTER_DICTIONARIES, _BLOCK):
            raise ArrowFileError("has dictionaries")
        blocks = footer.structs(_FOOTER_BATCHES, _BLOCK)
        if len(blocks) != 1:
            raise ArrowFileError(f"has {len(blocks)} record batches, not one")
        offset, metadata_size, body_size = blocks[0]
        body = offset + metadata_size
        if offset < 8 or metadata_size < 8 or body_size < 0 or body + body_size > self._body_end:
            raise ArrowFileError("is damaged: its record batch lies outside")
        message = _message(self._view[offset:body])
        if message.number(_MESSAGE_HEADER_ID, _UINT8) != _RECORD_BATCH:
            raise ArrowFileError("is damaged: there is no record batch where one is announced")
        if message.number(_MESSAGE_BODY_LENGTH, _INT64) != body_size:
            raise ArrowFileError("is damaged: the length of its record batch is given twice and differs")
        batch = message.table(_MESSAGE_HEADER)
        if batch.place(_BATCH_COMPRESSION, 4):
            raise ArrowFileError("is compressed")
        return batch, body, body_size


class _BodyReader:
    """Hands out the nodes and buffers of a record batch, field by field, depth first."""

    def __init__(self, view: memoryview, body: int, body_size: int, batch: _Table) -> None:
        self._view = view
        self._body = body
        self._body_size = body_size
        self._nodes = batch.structs(_BATCH_NODES, _PAIR)
        self._buffers = batch.structs(_BATCH_BUFFERS, _PAIR)
        self._node = 0
        self._next = 0

    def take(self, field: _Table) -> memoryview[int] | None:
        """The next column, or None when it is of another type; moves on behind it either way."""
        dtype = _list_dtype(field)
        if dtype is None:
            self._skip(field)
            return None
        node, first = self._node, self._next
        self._advance(2, 4)
        (rows, row_nulls), (length, nulls) = self._nodes[node : node + 2]
        if rows != 1 or row_nulls or nulls or length < 0:
            raise ArrowFileError("is damaged: a column has nulls or another number of rows than one")
        offsets, values = self._buffers[first + 1], self._buffers[first + 3]
        start, stop = _PAIR.unpack_from(self._view, self._place(offsets, _PAIR.size))
        if not 0 <= start <= stop <= length:
            raise ArrowFileError("is damaged: a list lies outside of its column")
        size = _SIZES[dtype]
        at = self._place(values, length * size) + start * size
        if at % size:
            raise ArrowFileError("is damaged: a column is not aligned")
        if start == stop:
            return empty(dtype)  # no type can be given to a view of nothing
        return typed(self._view[at : at + (stop - start) * size], dtype)

    def require_end(self) -> None:
        if self._node != len(self._nodes) or self._next != len(self._buffers):
            raise ArrowFileError("is damaged: its record batch does not match its columns")

    def _place(self, buffer: tuple[int, ...], size: int) -> int:
        """Where in the file a buffer lies that must have at least `size` bytes."""
        offset, length = buffer
        if offset < 0 or length < size or offset + length > self._body_size:
            raise ArrowFileError("is damaged: a column lies outside of its record batch")
        return self._body + offset

    def _skip(self, field: _Table) -> None:
        """Move on behind a column that is not read."""
        pending = [field]
        while pending:
            item = pending.pop()
            _refuse_dictionary(item)
            buffers = _BUFFERS_OF_TYPE.get(item.number(_FIELD_TYPE_ID, _UINT8))
            if buffers is None:
                raise ArrowFileError(f"has a column {field.text(_FIELD_NAME)} of a type that cannot be read")
            self._advance(1, buffers)
            pending += item.tables(_FIELD_CHILDREN)

    def _advance(self, nodes: int, buffers: int) -> None:
        self._node += nodes
        self._next += buffers
        if self._node > len(self._nodes) or self._next > len(self._buffers):
            raise ArrowFileError("is damaged: its record batch does not match its columns")


def _footer_place(view: memoryview) -> tuple[int, int]:
    """Where the footer begins and ends, from the last ten bytes: its length and the magic."""
    size = len(view)
    if size == 0:
        raise ArrowFileError("is empty")
    if view[:6] != MAGIC:
        kind = OTHER_FORMATS.get(bytes(view[:4]))
        raise ArrowFileError(f"is {kind}" if kind else "is not an Arrow file")
    if size < 8 + 4 + 6 or view[-6:] != MAGIC:
        raise ArrowFileError("is truncated")
    length = _INT32.unpack_from(view, size - 10)[0]
    if not 4 <= length <= size - 18:
        raise ArrowFileError("is damaged: its footer lies outside")
    return size - 10 - length, size - 10


def _message(view: memoryview) -> _Table:
    """The flatbuffer of a message, behind its length and, since Arrow 0.15, a mark."""
    head = _UINT32.unpack_from(view, 0)[0]
    start = 8 if head == _CONTINUATION else 4
    size = _INT32.unpack_from(view, start - 4)[0]
    if not 4 <= size <= len(view) - start:
        raise ArrowFileError("is damaged: a message has a wrong length")
    message = _FlatBuffer(view[start : start + size]).root()
    _require_version(message.number(_MESSAGE_VERSION, _INT16))
    return message


def _require_version(version: int) -> None:
    if version not in _VERSIONS:
        raise ArrowFileError(f"has Arrow's metadata version {version + 1}, which cannot be read")


def _metadata(schema: _Table) -> dict[str, str]:
    entries: dict[str, str] = {}
    for pair in schema.tables(_SCHEMA_METADATA):
        key = pair.text(0)
        if key in entries:
            raise ArrowFileError(f"has two metadata entries {key}")
        entries[key] = pair.text(1)
    return entries


def _list_dtype(field: _Table) -> str | None:
    """The integer type of a ``large_list<integer>`` column, or None for any other."""
    if field.number(_FIELD_TYPE_ID, _UINT8) != _LARGE_LIST:
        return None
    items = field.tables(_FIELD_CHILDREN)
    if len(items) != 1 or items[0].number(_FIELD_TYPE_ID, _UINT8) != _INT:
        return None
    _refuse_dictionary(field)
    _refuse_dictionary(items[0])
    kind = items[0].table(_FIELD_TYPE)
    return _INTEGERS.get((kind.number(_INT_BITS, _INT32), kind.number(_INT_SIGNED, _UINT8)))


def _refuse_dictionary(field: _Table) -> None:
    if field.place(_FIELD_DICTIONARY, 4):
        raise ArrowFileError(f"has a dictionary in column {field.text(_FIELD_NAME)}")
