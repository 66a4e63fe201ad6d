"""The file of an encoded repository: round trips, other writers, damage."""

from __future__ import annotations

import gc
import json
import mmap
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pytest

from rer_numba import arrow_file, checks, store, views
from rer_numba.errors import RepositoryCorruptError, RepositoryFileError, RepositoryVersionError
from rer_numba.schema import COLUMNS, FORMAT_MAJOR, FORMAT_MINOR, Tables
from rer_numba.schema_docs import layout_page
from tests.process import ROOT, run_python
from tests.store_fuzz import KINDS
from tests.tables_factory import make_tables, random_tables, same, small_tables

SMALL = small_tables()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A repository file."""
    path = tmp_path / "site.rer"
    store.write(SMALL, path, {"rez.version": "3.4.0"})
    return path


# --- round trips


@pytest.mark.parametrize(
    "tables",
    [SMALL, small_tables(building=False), random_tables(1), random_tables(2, building=False), make_tables({})],
    ids=["small", "not building", "random", "random, not building", "empty"],
)
def test_round_trip(tables: Tables, tmp_path: Path) -> None:
    path = tmp_path / "site.rer"
    written = store.write(tables, path, {"rez.version": "3.4.0", "paths": json.dumps(["/sw/päckages"])})
    for verify in ("once", "always", "never"):
        opened = store.read(path, verify=verify)
        assert same(opened.tables, tables)
        assert opened.size == path.stat().st_size
        assert opened.fingerprint == written == store.fingerprint(tables)
    assert opened.metadata["rez.version"] == "3.4.0"
    assert json.loads(opened.metadata["paths"]) == ["/sw/päckages"]
    assert opened.metadata["rer.format"] == f"{FORMAT_MAJOR}.{FORMAT_MINOR}"
    assert opened.metadata["rer.created"].startswith("20")
    assert opened.metadata["rer.encoder"].startswith("rer-numba")
    assert os.listdir(tmp_path) == ["site.rer"]


def test_paths_as_text(tmp_path: Path) -> None:
    path = str(tmp_path / "site.rer")
    store.write(SMALL, path, {})
    assert same(store.read(path).tables, SMALL)


def test_arrays_are_read_only_and_aligned(file: Path) -> None:
    array: Any
    for array in store.read(file).tables:
        assert not array.flags.writeable
        assert array.flags.aligned
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            array.flags.writeable = True


def test_arrays_are_the_mapped_file(file: Path) -> None:
    array: Any = store.read(file).tables.link_mask
    while isinstance(array, np.ndarray):
        array = array.base
    assert isinstance(array, mmap.mmap)


def test_arrays_outlive_everything_else(file: Path) -> None:
    array = store.read(file).tables.text_bytes
    file.unlink()
    gc.collect()
    assert bytes(array) == bytes(SMALL.text_bytes)


def test_metadata_of_an_opened_file_may_be_written_again(file: Path) -> None:
    opened = store.read(file)
    other = random_tables(5)
    store.write(other, file, opened.metadata)
    again = store.read(file)
    assert again.metadata["rez.version"] == "3.4.0"
    assert again.fingerprint == store.fingerprint(other) != opened.fingerprint


def test_fingerprint_is_of_the_content() -> None:
    """Not of where it came from: a file that was touched is no other content."""
    assert store.fingerprint(SMALL) == store.fingerprint(small_tables())
    assert len(store.fingerprint(SMALL)) == 32
    seen = {store.fingerprint(SMALL)}
    for column in COLUMNS:  # a row less in any column
        array = getattr(SMALL, column.name)
        other = store.fingerprint(SMALL._replace(**{column.name: array[:-1]}))
        assert (other in seen) == column.source
        seen.add(other)
    moved = SMALL._replace(variant_requirement=SMALL.variant_extraction, variant_extraction=SMALL.variant_requirement)
    seen.add(store.fingerprint(moved))
    assert len(seen) == sum(not column.source for column in COLUMNS) + 2


def test_views_are_written_as_they_look(tmp_path: Path) -> None:
    spread = Tables(*[np.repeat(getattr(SMALL, column.name), 2)[::2] for column in COLUMNS])
    store.write(spread, tmp_path / "site.rer", {})
    assert same(store.read(tmp_path / "site.rer").tables, SMALL)


def test_invalid_tables_are_not_written(file: Path) -> None:
    with pytest.raises(ValueError, match="column variant_package points outside"):
        store.write(SMALL._replace(variant_package=SMALL.variant_package + 100), file, {})
    assert same(store.read(file).tables, SMALL)


def test_metadata_that_is_no_text_is_not_written(file: Path) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        store.write(SMALL, file, {"path": os.fsdecode(b"\xff")})
    assert same(store.read(file).tables, SMALL)


def test_reading_does_not_import_pyarrow(file: Path) -> None:
    code = "import sys; from rer_numba.store import read; read(sys.argv[1]); print('pyarrow' in sys.modules)"
    assert run_python("-c", code, file).stdout == "False\n"


# --- other readers and writers


def batch_of(path: Path) -> pa.RecordBatch:
    with pa.ipc.open_file(path) as reader:
        assert reader.num_record_batches == 1
        return reader.get_batch(0)


def save(
    path: Path, batch: pa.RecordBatch, metadata: dict[str, str] | None = None, times: int = 1, **options: Any
) -> Path:
    """Write a batch by pyarrow; with metadata, its own checksum is made right."""
    schema = batch.schema
    if metadata is not None:
        metadata = {**metadata, "rer.metadata_crc32": store._metadata_checksum(metadata)}
        schema = schema.with_metadata(metadata)
    with pa.ipc.new_file(path, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for _ in range(times):
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    return path


def test_pyarrow_reads_it(file: Path) -> None:
    batch = batch_of(file)
    batch.validate(full=True)
    assert batch.num_rows == 1
    assert batch.schema.names == [column.name for column in COLUMNS]
    for column in COLUMNS:
        field = batch.schema.field(column.name)
        item = pa.field("item", pa.from_numpy_dtype(np.dtype(column.dtype)), nullable=False)
        assert field.equals(pa.field(column.name, pa.large_list(item), nullable=False))
        assert batch.column(column.name)[0].as_py() == getattr(SMALL, column.name).tolist()
    metadata = {key.decode(): value.decode() for key, value in batch.schema.metadata.items()}
    assert metadata == store.read(file).metadata


def _as_it_is(path: Path, batch: pa.RecordBatch) -> None:
    save(path, batch)


def _reversed(path: Path, batch: pa.RecordBatch) -> None:
    save(path, batch.select(batch.schema.names[::-1]))


def _version_4(path: Path, batch: pa.RecordBatch) -> None:
    save(path, batch, metadata_version=pa.ipc.MetadataVersion.V4)


def _before_0_15(path: Path, batch: pa.RecordBatch) -> None:
    save(path, batch, metadata_version=pa.ipc.MetadataVersion.V4, use_legacy_format=True)


def _feather(path: Path, batch: pa.RecordBatch) -> None:
    pa.feather.write_feather(pa.Table.from_batches([batch]), str(path), compression="uncompressed")


def _second_of_two_rows(path: Path, batch: pa.RecordBatch) -> None:
    two = pa.Table.from_batches([batch, batch]).combine_chunks().to_batches()[0]
    save(path, two.slice(1))


def _with_validity(path: Path, batch: pa.RecordBatch) -> None:
    """Bit maps that say that nothing is null."""
    columns = []
    for column in batch.columns:
        values = column.values
        bits = pa.py_buffer(b"\xff" * (len(values) // 8 + 1))
        values = pa.Array.from_buffers(values.type, len(values), [bits, values.buffers()[1]], 0, values.offset)
        columns.append(
            pa.Array.from_buffers(column.type, 1, [pa.py_buffer(b"\1"), column.buffers()[1]], 0, children=[values])
        )
    save(path, pa.RecordBatch.from_arrays(columns, schema=batch.schema))


def _with_other_columns(path: Path, batch: pa.RecordBatch) -> None:
    """Columns of a later MINOR, of types that this reader has no use for."""
    others = {
        "new_floats": pa.array([[1.5]], pa.large_list(pa.float64())),
        "new_texts": pa.array([["a", None]], pa.list_(pa.string())),
        "new_struct": pa.array([{"a": 1, "b": [True]}]),
        "new_null": pa.nulls(1),
        "new_fixed": pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
        "new_map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())),
        "new_binary": pa.array([b"x"], pa.large_binary()),
        "new_integers": pa.array([[1, 2]], pa.large_list(pa.int16())),
        "new_nulls": pa.array([None], pa.large_list(pa.float32())),
    }
    names = batch.schema.names
    columns = dict(zip(names, batch.columns, strict=True))
    mixed = {**dict(list(columns.items())[:3]), **others, **dict(list(columns.items())[3:])}
    metadata = {key.decode(): value.decode() for key, value in batch.schema.metadata.items()}
    save(path, pa.RecordBatch.from_pydict(mixed), {**metadata, "rer.format": f"{FORMAT_MAJOR}.{FORMAT_MINOR + 7}"})


REWRITTEN = [
    _as_it_is,
    _reversed,
    _version_4,
    _before_0_15,
    _feather,
    _second_of_two_rows,
    _with_validity,
    _with_other_columns,
]


@pytest.mark.parametrize("rewrite", REWRITTEN, ids=lambda rewrite: rewrite.__name__)
@pytest.mark.parametrize("building", [False, True])
def test_rewritten_by_pyarrow(rewrite: Callable[[Path, pa.RecordBatch], None], building: bool, tmp_path: Path) -> None:
    tables = random_tables(6, families=8, building=building)
    path = tmp_path / "site.rer"
    store.write(tables, path, {})
    rewrite(tmp_path / "other.rer", batch_of(path))
    opened = store.read(tmp_path / "other.rer")
    assert same(opened.tables, tables)
    assert opened.fingerprint == store.fingerprint(tables)


# --- files that are refused


def refused(path: Path, problem: str, kind: type[RepositoryFileError] = RepositoryCorruptError) -> RepositoryFileError:
    """Reading raises exactly this kind of error; its text names the file, the problem and a remedy."""
    with pytest.raises(RepositoryFileError) as caught:
        store.read(path)
    error = caught.value
    assert type(error) is kind
    assert problem in error.problem
    assert str(error) == f"{path}: {error.problem}; {error.remedy}"
    assert error.remedy
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    return error


def test_not_a_file(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder, not a file", RepositoryFileError)
    with pytest.raises(FileNotFoundError, match=r"nothing\.rer"):
        store.read(tmp_path / "nothing.rer")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.rer")
    refused(tmp_path / "pipe.rer", "is a pipe, not a file", RepositoryFileError)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "other.rer"
    table = pa.table({"a": [1]})
    for content in (b"\n", b"name: app\n" * 100, bytes(1000), b"ARROW2" + bytes(100)):
        path.write_bytes(content)
        refused(path, "is not an Arrow file")
    path.write_bytes(b"")
    refused(path, "is empty")
    for size in (6, 17, 18, 1000):
        path.write_bytes(b"ARROW1".ljust(size, b"\0"))
        refused(path, "is truncated")
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    refused(path, "is a Parquet file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    refused(path, "is a zip archive")
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)
    refused(path, "is an Arrow stream")
    path.write_bytes(b"FEA1" + bytes(100) + b"FEA1")
    refused(path, "is a Feather file of version 1")
    pa.feather.write_feather(table, str(path))
    error = refused(path, "is an Arrow file, but not an encoded repository")
    assert error.remedy == "encode the repository again with `rer-numba encode`"


def test_arrow_features_that_are_not_read(file: Path, tmp_path: Path) -> None:
    batch, path = batch_of(file), tmp_path / "other.rer"
    for codec in ("lz4", "zstd"):
        refused(save(path, batch, compression=codec), "is compressed")
    refused(save(path, batch, times=2), "has 2 record batches, not one")
    refused(save(path, batch, times=0), "has 0 record batches, not one")
    two = pa.Table.from_batches([batch, batch]).combine_chunks().to_batches()[0]
    refused(save(path, two), "has another number of rows than one")
    refused(save(path, two.slice(0, 0)), "has another number of rows than one")
    words = pa.array(["a"]).dictionary_encode()
    refused(save(path, batch.append_column("words", words)), "has dictionaries")
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    refused(save(path, batch.append_column("union", union)), "has a column union of a type that cannot be read")
    refused(save(path, batch.append_column("link_mask", batch.column(0))), "has two columns link_mask")


def test_big_endian(file: Path) -> None:
    """Nothing here writes such files: the slot of the byte order is made to point at another number, which is not 0."""
    data = bytearray(file.read_bytes())
    body_end, footer_end = arrow_file._footer_place(memoryview(data))
    footer = arrow_file._FlatBuffer(memoryview(data)[body_end:footer_end])
    schema = footer.root().table(1)
    layout = schema._at - footer.number(arrow_file._INT32, schema._at)
    assert schema._slots[0] == 0
    position = body_end + layout + 4
    del footer, schema
    data[position : position + 2] = (4).to_bytes(2, "little")
    file.write_bytes(data)
    refused(file, "is big-endian")


def test_big_endian_machine(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    refused(file, "cannot be read on a big-endian machine", RepositoryFileError)


def altered(path: Path, **metadata: str | None) -> Path:
    """Write the file again with other metadata (None: without), whose checksum is right."""
    batch = batch_of(path)
    entries = {key.decode(): value.decode() for key, value in batch.schema.metadata.items()}
    for key, value in metadata.items():
        entries.pop(f"rer.{key}")
        if value is not None:
            entries[f"rer.{key}"] = value
    return save(path, batch, entries)


def test_versions(file: Path) -> None:
    refused(altered(file, format="x.1"), "has the format 'x.1', which is no version")
    refused(altered(file, format="1"), "has the format '1', which is no version")
    refused(altered(file, format="9" * 5000 + ".0"), "which is no version")
    newer = refused(altered(file, format=f"{FORMAT_MAJOR + 1}.0"), "by a newer rer-numba", RepositoryVersionError)
    assert "upgrade" in newer.remedy
    older = refused(altered(file, format=f"{FORMAT_MAJOR - 1}.5"), "by an older rer-numba", RepositoryVersionError)
    assert "rer-numba encode" in older.remedy
    assert store.read(altered(file, format=f"{FORMAT_MAJOR}.{FORMAT_MINOR + 1}"))


def test_metadata_that_is_wrong(file: Path) -> None:
    data = file.read_bytes()
    batch = batch_of(file)
    refused(altered(file, format=None), "not an encoded repository")
    file.write_bytes(data)
    refused(altered(file, fingerprint=None), "has no fingerprint")
    file.write_bytes(data)
    refused(altered(file, crc32=None), "the checksum of column text_offsets is wrong")
    file.write_bytes(data)
    refused(altered(file, crc32="nonsense=="), "the checksum of column text_offsets is wrong")
    file.write_bytes(data.replace(b"3.4.0", b"3.4.1"))
    refused(file, "the checksum of its metadata is wrong")
    twice = [(b"rer.format", b"1.0"), *batch.schema.metadata.items(), (b"rer.format", b"1.0")]
    save(file, batch.replace_schema_metadata(pa.KeyValueMetadata(twice)))
    refused(file, "has two metadata entries rer.format")
    save(file, batch.replace_schema_metadata({**batch.schema.metadata, b"other": b"\xff"}))
    refused(file, "is not UTF-8")


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_damaged_column_is_named(column: Any, file: Path) -> None:
    array = getattr(SMALL, column.name)
    if array.nbytes >= 4:
        data = file.read_bytes()
        start = arrow_file.ArrowFile(data).columns()[column.name]
        assert start is not None
        column_at, file_at = views.addresses([start, data])
        at = column_at - file_at
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        refused(file, f"the checksum of column {column.name} is wrong")
        assert not same(store.read(file, verify="never").tables, SMALL)


def test_wrong_columns(file: Path, tmp_path: Path) -> None:
    batch, path = batch_of(file), tmp_path / "other.rer"

    def other(array: pa.Array) -> Path:
        place = batch.schema.names.index("variant_package")
        columns = [*batch.columns]
        columns[place] = array
        names = batch.schema.names
        changed = pa.RecordBatch.from_arrays(columns, names=names).replace_schema_metadata(batch.schema.metadata)
        return save(path, changed)

    values = SMALL.variant_package.tolist()
    refused(save(path, batch.drop_columns(["variant_package"])), "has no column variant_package")
    for item in ("int64", "uint32", "int8"):
        refused(
            other(pa.array([values], pa.large_list(pa.type_for_alias(item)))),
            f"is a list of {item}, not a list of int32",
        )
    for kind in (pa.list_(pa.int32()), pa.large_list(pa.float32()), pa.large_list(pa.list_(pa.int32()))):
        nested = [[value] for value in values] if pa.types.is_list(kind.value_type) else values
        refused(other(pa.array([nested], kind)), "is no list of integers, not a list of int32")
    refused(other(pa.array([[*values[:-1], None]], pa.large_list(pa.int32()))), "has nulls")
    refused(other(pa.array([None], pa.large_list(pa.int32()))), "has nulls")


def test_invalid_tables_with_right_checksums(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checks, "check", lambda tables: None)
        store.write(SMALL._replace(variant_package=SMALL.variant_package + 100), file, {})
    refused(file, "is damaged: column variant_package points outside of its")
    assert store.read(file, verify="never").tables.variant_package[0] == 100


DAMAGE = {
    "truncated": 0,
    "cut_out": 500,
    "bit_flips": 1500,
    "random_bytes": 1500,
    "wild_numbers": 1500,
    "noise": 1000,
    "repaired_columns": 1000,
    "repaired_metadata": 1000,
    "forged": 1000,
}
"""Kind of damage -> how many copies are read."""


@pytest.mark.parametrize(("kind", "count"), DAMAGE.items())
def test_damage_is_found_or_harmless(kind: str, count: int, file: Path) -> None:
    """In a process of its own, with little memory: neither a crash, nor other data, nor another error."""
    seen = read_damaged(kind, count, file, 11)
    assert sum(seen.values()) == (count or file.stat().st_size)
    assert seen["damaged"] > count // 3
    if kind in ("truncated", "noise"):
        assert set(seen) == {"damaged"}
    if kind == "forged":
        assert seen["solved"] > count // 5


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [kind for kind, count in DAMAGE.items() if count])
def test_much_damage_is_found_or_harmless(kind: str, seed: int, file: Path) -> None:
    """As above."""
    assert sum(read_damaged(kind, 10_000, file, seed).values()) == 10_000


def read_damaged(kind: str, count: int, file: Path, seed: int) -> dict[str, int]:
    """How often each outcome was seen."""
    done = run_python("-m", "tests.store_fuzz", kind, file, seed, count)
    assert done.returncode == 0, done.stderr
    seen: dict[str, int] = json.loads(done.stdout)
    return seen


def test_every_kind_of_damage_is_tried() -> None:
    assert set(DAMAGE) == set(KINDS)


def test_an_unknown_way_to_verify(file: Path) -> None:
    way: Any = True
    with pytest.raises(ValueError, match="verify must be 'once', 'always' or 'never', not True"):
        store.read(file, verify=way)


def test_a_fingerprint_of_other_tables(file: Path) -> None:
    """All checksums are right; of a later MINOR the fingerprint covers columns that are not read here."""
    refused(altered(file, fingerprint="0" * 32), "is damaged: its fingerprint is of other tables")
    assert store.read(altered(file, format=f"{FORMAT_MAJOR}.{FORMAT_MINOR + 1}")).fingerprint == "0" * 32


# --- documentation


def test_layout_page_is_up_to_date() -> None:
    """If it is not: ``python -m rer_numba.schema_docs > docs/layout.md``."""
    assert (ROOT / "docs" / "layout.md").read_text(encoding="utf-8") == layout_page()


def test_layout_page_names_every_column() -> None:
    for column in COLUMNS:
        assert f"`{column.name}`" in layout_page()
