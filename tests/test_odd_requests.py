"""Whatever is in a batch, each request is one row: what `solve` raises for it alone, or its answer; never the batch."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rez.version import Requirement as RezRequirement

from rer_numba import PackageData, Repository, Request, SolveOptions
from rer_numba.cli import main
from rer_numba.commands_batch import read_requests
from rer_numba.requirements import Requirement
from rer_numba.versions import VersionRange

PACKAGES = [PackageData("app", "1", ["lib-2"]), PackageData("lib", "1"), PackageData("lib", "2")]
SEEDS, CASES = range(8), 150


class Raising:
    """Raises for whatever is asked of it."""

    def __init__(self, error: type[BaseException]) -> None:
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name: str) -> Any:
        raise object.__getattribute__(self, "error")(name)

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no items")


class Text(str):
    """A text of a class of its own, which is like no other text and cannot be written."""

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __str__(self) -> str:
        return "another text"

    __repr__ = __str__


class UntellableError(Exception):
    """An error that has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _untellable() -> Iterator[Any]:
    yield "app"
    raise UntellableError


def _odd_value(rng: random.Random, depth: int = 0) -> Any:
    """Something that may stand anywhere in a request."""
    makers: list[Callable[[], Any]] = [
        lambda: rng.choice(["app", "lib-1", "lib", "~lib-1", ".feat-1", "!lib-2", "nope", "lib-9"]),
        lambda: rng.choice(
            ["", " ", "-", "!", "~", "a b", "\ud800", "lib-1..", "[" * 2000, "a" * 20000, "\0", "lib-|"]
        ),
        lambda: rng.choice([None, True, 0, -1, 1.5, float("nan"), b"app", object(), type, Ellipsis, 10**5000]),
        lambda: Text(rng.choice(["app", "lib-1", "", "\udcff"])),
        lambda: Raising(
            rng.choice([AttributeError, TypeError, ValueError, RuntimeError, RecursionError, StopIteration])
        ),
        lambda: _odd_object(rng, depth),
        lambda: rng.choice([RezRequirement("lib-1"), Requirement("lib-2"), VersionRange("1"), UntellableError()]),
        lambda: {"a": 1},
    ]
    if depth < 3:
        makers.append(lambda: [_odd_value(rng, depth + 1) for _ in range(rng.randint(0, 3))])
    return rng.choice(makers)()


def _odd_object(rng: random.Random, depth: int) -> Any:
    """Something with the attributes of a requirement, each of which may be anything, or raise."""
    values: dict[str, Any] = {}
    usual = {"name": "lib", "range": VersionRange("1"), "conflict": False, "weak": False, "sep_": "-"}
    for name, value in usual.items():
        draw = rng.random()
        if draw < 0.6:
            values[name] = value
        elif draw < 0.8 and depth < 3:
            values[name] = _odd_value(rng, depth + 1)
        elif draw < 0.9:
            values[name] = property(lambda self: 1 // 0)
    return type("Odd", (), values)()


def _odd_request(rng: random.Random) -> Any:
    draw = rng.random()
    values = [_odd_value(rng) for _ in range(rng.randint(0, 4))]
    if draw < 0.4:
        return values
    if draw < 0.5:
        return _odd_value(rng)
    if draw < 0.6:
        return rng.choice([_untellable(), (1 // 0 for _ in range(2)), iter(["app"]), {"app": 1}, range(3)])
    options = {rng.choice((*SolveOptions.names(), "unknown")): _odd_value(rng) for _ in range(rng.randint(0, 2))}
    if draw < 0.9:
        return Request(values or ["app"], **options)
    return Request(values or ["app"], _odd_value(rng), **options)


def _alone(repository: Repository, request: Any) -> tuple[str, str | None]:
    """What `solve` says, or raises, as a row tells it."""
    try:
        if type(request) is Request:
            result = repository.solve(request.requests, request.options, **request.overrides)
        else:
            result = repository.solve(request)
    except Exception as error:  # noqa: BLE001 - any
        return "error", type(error).__name__
    return result.status, result.error_type


@pytest.mark.parametrize("seed", SEEDS)
def test_odd_requests_are_rows(seed: int) -> None:
    """In the middle of sound ones, by two threads; and what each says is what it says alone."""
    repository = Repository.from_packages(PACKAGES)
    makers = [random.Random(f"{seed} {number}") for number in range(CASES)]
    again = [random.Random(f"{seed} {number}") for number in range(CASES)]
    requests: list[Any] = []
    for rng in makers:
        requests += [_odd_request(rng), ["app"]]
    batch = repository.solve_many(requests, threads=2)
    assert len(batch) == len(requests)
    assert {result.status for result in batch[1::2]} == {"solved"}
    batch.to_arrow()
    for number, rng in enumerate(again):
        result = batch[2 * number]
        assert isinstance(batch.request(2 * number), list)
        request = _odd_request(rng)
        status, error_type = _alone(repository, request)
        if type(request) is not Request:
            assert (result.status, result.error_type) == (status, error_type), number
        else:  # options are looked at first, those of a single solve when they are needed
            assert result.status in ("error", status), number
        assert result.status == "solved" or isinstance(result.failure_description, str)


def test_a_name_that_is_none() -> None:
    """The object that ended a whole batch."""
    odd = type("Odd", (), {"name": None, "range": None, "conflict": False, "weak": False})()
    batch = Repository.from_packages(PACKAGES).solve_many([["app"], [odd], ["lib"]])
    assert [result.status for result in batch] == ["solved", "error", "solved"]
    assert batch[1].error_type == "TypeError"


def test_a_text_of_a_class_of_its_own_is_a_text() -> None:
    """Its characters count, whatever its methods say."""
    repository = Repository.from_packages(PACKAGES)
    assert repository.solve([Text("lib-1")]).resolved == [("lib", "1", None)]
    batch = repository.solve_many([[Text("lib-1")], ["lib-1"], [Text("lib-1")]])
    assert {str(result.resolved) for result in batch} == {"[('lib', '1', None)]"}
    assert [batch.request(index) for index in range(3)] == [["lib-1"]] * 3


ODD_LINES = [
    "[" * 100_000,
    '{"requests": ' + "[" * 100_000,
    '{"a": 1}',
    '{"requests": ["app"], "options": {"requests": 1}}',
    '{"requests": ["app"], "options": {"self": 1}}',
    '{"requests": ["app"], "options": {"options": {}}}',
    '{"requests": null}',
    '{"requests": ["app"], "options": [1]}',
    '["\\ud800"]',
    "[1e999, NaN]",
    "[" + "9" * 5000 + "]",
    "'unclosed",
    "app\0",
    "[]]",
]


def test_odd_lines_are_rows() -> None:
    """JSON that nests too deeply ended the command."""
    repository = Repository.from_packages(PACKAGES)
    lines = [line for odd in ODD_LINES for line in (odd, "app")]
    batch = repository.solve_many(read_requests(lines))
    assert [result.status for result in batch] == ["error", "solved"] * len(ODD_LINES)
    assert batch[0].failure_description == "line 1: its JSON is nested too deeply"


def test_random_lines_are_rows() -> None:
    """Of characters that mean something."""
    repository = Repository.from_packages(PACKAGES)
    rng = random.Random(5)
    parts = ["[", "]", "{", "}", '"', "'", ",", ":", "\\", "app", "lib-1", "requests", "options", "null", "#", " ", "1"]
    lines = ["".join(rng.choices(parts, k=rng.randint(1, 12))) for _ in range(3000)]
    requests = list(read_requests(lines))
    batch = repository.solve_many([request for one in requests for request in (one, ["app"])])
    assert {result.status for result in batch[1::2]} == {"solved"}


@pytest.mark.parametrize("shown", [[], ["--json"]])
def test_a_file_with_odd_bytes(shown: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is no UTF-8 is one row as well, however the answers are printed."""
    Repository.from_packages(PACKAGES).save(tmp_path / "a.rer")
    (tmp_path / "requests").write_bytes(b"app\n\xff\xfe\nlib-1\n" + b"[" * 100_000 + b'\n["\\ud800"]\n')
    main(["solve-many", "-r", str(tmp_path / "a.rer"), str(tmp_path / "requests"), *shown])
    out = capsys.readouterr().out
    if shown:
        assert [json.loads(line)["status"] for line in out.splitlines()] == ["solved", "error", "solved"] + [
            "error"
        ] * 2
    else:
        assert "5 requests" in out
