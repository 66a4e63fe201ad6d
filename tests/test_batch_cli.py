"""The command solve-many."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from rer_numba import cli
from rer_numba.commands_batch import BadLine, read_requests
from tests.process import PATIENCE
from tests.test_cli import Capture, run

LINES = """# what the farm asks for
maya 'nuke-14'

["maya"]
{"requests": ["maya"], "options": {"building": true}}
{"requests": ["maya"], "options": {"timestamp": "x"}}
'unclosed
{"request": ["maya"]}
nobody-3
"""


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    path = tmp_path / "requests.txt"
    path.write_text(LINES, encoding="utf-8")
    return path


def test_what_is_read() -> None:
    found = list(read_requests(LINES.splitlines()))
    assert found[:2] == [["maya", "nuke-14"], ["maya"]]
    assert [type(one).__name__ for one in found[2:]] == ["Request", "Request", "BadLine", "BadLine", "list"]
    assert isinstance(found[4], BadLine)


def test_summary(capsys: Capture, requests: Path) -> None:
    code, out, _ = run(capsys, "solve-many", requests)
    assert code == cli.UNSOLVED
    assert "7 requests in" in out
    assert [line.split() for line in out.splitlines() if line.startswith(("solved", "error"))] == [
        ["solved", "3"], ["error", "4"],
    ]  # fmt: skip
    assert "line 7: No closing quotation" in out
    assert "package family not found: nobody" in out


def test_json(capsys: Capture, requests: Path) -> None:
    code, out, _ = run(capsys, "solve-many", requests, "--json", "--threads", 2)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == cli.UNSOLVED
    assert [row["status"] for row in rows] == ["solved"] * 3 + ["error"] * 4
    assert rows[0]["requests"] == ["maya", "nuke-14"]
    assert rows[0]["resolved_packages"]


def test_arrow(capsys: Capture, requests: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.arrow"
    run(capsys, "solve-many", requests, "-o", path)
    with pa.ipc.open_file(str(path)) as file:
        assert file.read_all()["status"].to_pylist() == ["solved"] * 3 + ["error"] * 4


def test_all_solved_from_standard_input(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("maya\nnuke"))
    code, out, _ = run(capsys, "solve-many", "-", "--max-fails", 100, "--time-limit", 100_000)
    assert code == cli.OK
    assert "2 requests" in out


def test_what_is_refused(capsys: Capture, tmp_path: Path) -> None:
    assert run(capsys, "solve-many", tmp_path / "none")[0] == cli.BAD_INPUT
    assert run(capsys, "solve-many")[0] == cli.BAD_INPUT
    assert run(capsys, "solve-many", "-", "--threads", "0")[0] == cli.BAD_INPUT


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_interrupted(capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is done is printed, and written."""
    n_solved = [0]

    @contextmanager
    def reported(progress: bool) -> Iterator[Callable[[str, int, int], None]]:
        yield lambda what, done, total: n_solved.__setitem__(0, done)

    def lines() -> Iterator[str]:
        yield from (f"maya !none-{n}\n" for n in range(500))
        while n_solved[0] < 32:
            time.sleep(0.06)  # then what has been read is handed in
            yield "maya\n"
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(PATIENCE)

    monkeypatch.setattr("rer_numba.batch.run.reported", reported)
    typed = lines()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(readline=lambda _size: next(typed, "")))
    path = tmp_path / "out.arrow"
    code, out, complained = run(capsys, "solve-many", "-", "-o", path)
    assert code == cli.INTERRUPTED
    assert [line.split()[0] for line in out.splitlines()[3:5]] == ["solved", "cancelled"]
    with pa.ipc.open_file(str(path)) as file:
        statuses = file.read_all()["status"].to_pylist()
    done = statuses.count("solved")
    assert statuses == ["solved"] * done + ["cancelled"] * (len(statuses) - done) and len(statuses) >= 500
    assert done >= 32
    assert f"interrupted: {done} requests are done" in complained
