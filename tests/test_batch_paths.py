"""Batches from package folders: what a solve of its own would notice, a row notices too."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rer_numba import Repository, SolveOptions
from rer_numba.repository import StaleRepositoryWarning
from tests.test_batch import full
from tests.test_refresh import Studio

REQUESTS = [["app"], ["lib-1"], ["other"], ["app", "other"], ["nobody"], ["lib", "!lib-2"]]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def lib_of(repository: Repository, **options: object) -> list[str]:
    """The version of lib in each of some equal rows."""
    batch = repository.solve_many([["app"]] * 50, threads=2, reuse=False, **options)  # type: ignore[arg-type]
    return sorted({version for one in batch for name, version, _ in one.resolved if name == "lib"})


@pytest.mark.parametrize("check", ["strict", "release", "frozen"])
def test_rows_are_single_solves(studio: Studio, check: str) -> None:
    expected = [full(studio.open(check=check).solve(request)) for request in REQUESTS]
    repository = studio.open(check=check)
    for _ in range(3):
        assert [full(one) for one in repository.solve_many(REQUESTS * 20, threads=2, reuse=False)] == expected * 20


def test_what_was_looked_at_is_not_looked_at_again(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first of equal rows the others stay in compiled code; what that one touched needs no other solve."""
    looked: list[str] = []
    alone: list[str] = []
    finish_merged, solve_merged = Repository.finish_merged, Repository.solve_merged

    def finish(self: Repository, snapshot: object, merged: object, *arguments: object) -> object:
        looked.append(str(merged))
        return finish_merged(self, snapshot, merged, *arguments)  # type: ignore[arg-type]

    def solve(self: Repository, merged: object, *arguments: object) -> object:
        alone.append(str(merged))
        return solve_merged(self, merged, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "finish_merged", finish)
    monkeypatch.setattr(Repository, "solve_merged", solve)
    studio.open().solve_many([["app"], ["lib-1"], ["other"]] * 100, threads=1, reuse=False)
    assert (looked, alone) == (["app", "other"], [])


def test_a_release_before_the_batch(studio: Studio) -> None:
    repository = studio.open()
    studio.add("lib", "3")
    assert lib_of(repository) == ["3"]


def test_a_release_before_the_batch_of_options(studio: Studio) -> None:
    """A plan whose rows all go alone."""
    orderer = {"type": "soft_timestamp", "timestamp": 10**10, "rank": 0}
    repository = studio.open()
    studio.add("lib", "3")
    assert lib_of(repository, options=SolveOptions(package_orderers=[orderer])) == ["3"]


def test_a_release_while_requests_are_read(studio: Studio) -> None:
    """Whoever looked before has the old answer, whoever looks afterwards the new one; nothing is torn."""
    repository = studio.open()

    def requests() -> object:
        yield from [["other"]] * 40
        studio.add("lib", "3")
        yield from [["app"]] * 200

    batch = repository.solve_many(requests(), threads=2, reuse=False)  # type: ignore[arg-type]
    assert [one.status for one in batch] == ["solved"] * 240
    assert {one.resolved[0][1] for one in batch[40:]} == {"3"}
    assert batch.to_arrow()["status"].to_pylist() == ["solved"] * 240


def test_stale_and_told(studio: Studio) -> None:
    warns, fails = studio.open(on_stale="warn"), studio.open(on_stale="error")
    studio.add("lib", "3")
    with pytest.warns(StaleRepositoryWarning, match="lib"):
        assert lib_of(warns) == ["2"]
    batch = fails.solve_many([["app"], ["other"]] * 10)
    assert [one.error_type for one in batch] == ["StaleRepositoryError", None] * 10


def test_rez_solves_what_is_late(studio: Studio) -> None:
    pytest.importorskip("rez")
    studio.add("late", "1", "@late()\ndef requires():\n    return ['lib-1']\n")
    studio.settle()
    repository = studio.open()
    expected = full(repository.solve(["late"]))
    batch = repository.solve_many([["late"], ["lib"]] * 5, threads=2, reuse=False)
    assert [full(one) for one in batch[::2]] == [expected] * 5
    assert expected[0] == "solved"
    assert batch[0].fallback_reason
    rows = batch.to_arrow().to_pylist()
    assert [(one["name"], one["version"]) for one in rows[0]["packages"]] == [("lib", "1"), ("late", "1")]
    assert repository.solve(["late"], time_limit=100_000).status == "solved"
    assert repository.solve(["late"], time_limit=0, max_fails=5).status in ("solved", "aborted")


def test_batches_while_it_is_refreshed(studio: Studio) -> None:
    repository = studio.open()
    is_over = threading.Event()

    def release() -> None:
        for version in range(3, 12):
            # at once: a folder without a definition is an error, which a solve may come upon
            made = studio.add("made aside", str(version)).parent
            made.rename(studio.path / "lib" / str(version))
            repository.refresh(save=False)
        is_over.set()

    thread = threading.Thread(target=release)
    thread.start()
    while not is_over.is_set():
        batch = repository.solve_many([["app"]] * 100, threads=2, reuse=False)
        assert {one.status for one in batch} == {"solved"}
    thread.join()
    assert lib_of(repository) == ["11"]
