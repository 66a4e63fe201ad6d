"""Batches as tables: every column says what the results say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_set.prepare import benchmark_packages, benchmark_requests
from rer_numba import PackageData, Repository, Request, SolveBatch
from rer_numba.batch import arrow
from rer_numba.batch.arrow import SCHEMA
from rer_numba.batch.files import write_results
from tests.product import as_requests, repository_of
from tests.random_cases import random_case
from tests.test_batch import PACKAGES, REQUESTS


def assert_same(batch: SolveBatch, table: pa.Table) -> None:
    """A table has what the results have."""
    table.validate(full=True)
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == len(batch)
    for index, (row, result) in enumerate(zip(table.to_pylist(), batch, strict=True)):
        packages = [(one["name"], one["version"], one["variant_index"]) for one in row.pop("packages")]
        assert packages == result.resolved
        assert row.pop("solve_time_ms") == pytest.approx(result.solve_time_ms)
        assert row == {
            "request": batch.request(index),
            "status": result.status,
            "error_type": result.error_type,
            "num_solves": result.num_solves,
            "num_fails": result.num_fails,
            "ephemerals": result.resolved_ephemerals,
            "failure_description": result.failure_description,
        }


def test_every_kind_of_answer() -> None:
    repository = Repository.from_packages(PACKAGES)
    items: list[Any] = [*REQUESTS, 5, "lib", Request(["app"], building=True), Request(["app"], nonsense=1), *REQUESTS]
    batch = repository.solve_many(items)
    assert_same(batch, batch.to_arrow())


def test_random_cases() -> None:
    for seed in range(900, 930):
        case = random_case(seed)
        batch = repository_of(case.packages).solve_many([as_requests(case.requests)] * 3, **case.options)
        assert_same(batch, batch.to_arrow())


def test_the_188_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = repository_of(benchmark_packages())
    batch = repository.solve_many([list(request) for request in benchmark_requests()])
    whole = batch.to_arrow()
    assert_same(batch, whole)
    monkeypatch.setattr(arrow, "_ROWS", 50)
    chunked = batch.to_arrow()
    assert chunked["packages"].num_chunks > 3
    assert chunked.to_pylist() == whole.to_pylist()


def test_without_texts() -> None:
    batch = Repository.from_packages(PACKAGES).solve_many(REQUESTS)
    rows = batch.to_arrow(texts=False).to_pylist()
    assert {row["failure_description"] for row in rows if row["status"] == "failed"} == {None}
    assert all(row["failure_description"] for row in rows if row["status"] == "error")


def test_texts_that_are_no_unicode() -> None:
    repository = Repository.from_packages([PackageData("app", "1")])
    (row,) = repository.solve_many([["app\udcff"]]).to_arrow().to_pylist()
    assert row["status"] == "error"
    assert "udcff" in row["failure_description"]


def test_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in several chunks with ephemerals: an Arrow file has room for one dictionary of each column."""
    monkeypatch.setattr(arrow, "_ROWS", 7)
    batch = Repository.from_packages(PACKAGES).solve_many(REQUESTS * 3)
    path = str(tmp_path / "results.arrow")
    write_results(batch, path)
    with pa.ipc.open_file(path) as file:
        assert_same(batch, file.read_all())
