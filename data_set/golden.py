"""The recorded answers of rez 3.4.0 to the 188 requests of its benchmark: reading and writing the file, without rez.

Each resolved package is stored once, in the order of first use; an answer holds row numbers into that list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

GOLDEN_FILE = Path(__file__).parent / "golden_188.json"

ResolvedPackage = tuple[str, str, int | None]


class GoldenAnswer(NamedTuple):
    """What rez answered to one request; the fields mean what those of `tests.oracle.Answer` mean."""

    status: str
    resolved: tuple[ResolvedPackage, ...]
    resolved_ephemerals: tuple[str, ...]
    failure_description: str | None
    error_type: str | None
    num_solves: int
    num_fails: int
    failure_kind: str | None


class Golden(NamedTuple):
    """`header` says how it was made: rez and solver version, hash seed, digests of the inputs."""

    header: dict[str, Any]
    answers: list[GoldenAnswer]


def read_golden(path: str | Path = GOLDEN_FILE) -> Golden:
    """Read a golden file."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    packages = [(name, version, index) for name, version, index in data["packages"]]
    return Golden(data["header"], [_decode(row, packages) for row in data["answers"]])


def write_golden(path: str | Path, header: dict[str, Any], answers: Iterable[GoldenAnswer]) -> None:
    """Write a golden file: compact, one answer a line, the same bytes for the same answers."""
    rows: dict[ResolvedPackage, int] = {}
    encoded = [json.dumps(_encode(answer, rows), separators=(",", ":")) for answer in answers]
    packages = [json.dumps(package, separators=(",", ":")) for package in rows]
    text = (
        f'{{"header": {json.dumps(header, indent=1)},\n'
        f'"packages": [\n{_lines(packages, 8)}\n],\n'
        f'"answers": [\n{_lines(encoded, 1)}\n]}}\n'
    )
    Path(path).write_text(text, encoding="utf-8")


def _lines(items: list[str], per_line: int) -> str:
    starts: Iterator[int] = iter(range(0, len(items), per_line))
    return ",\n".join(",".join(items[start : start + per_line]) for start in starts)


def _encode(answer: GoldenAnswer, rows: dict[ResolvedPackage, int]) -> dict[str, Any]:
    numbers = [rows.setdefault(package, len(rows)) for package in answer.resolved]
    values = {**answer._asdict(), "resolved": numbers}
    return {key: value for key, value in values.items() if value not in (None, [], ())}


def _decode(row: dict[str, Any], packages: list[ResolvedPackage]) -> GoldenAnswer:
    return GoldenAnswer(
        row["status"],
        tuple(packages[number] for number in row.get("resolved", ())),
        tuple(row.get("resolved_ephemerals", ())),
        row.get("failure_description"),
        row.get("error_type"),
        row["num_solves"],
        row["num_fails"],
        row.get("failure_kind"),
    )
