"""The command line of processes whose standard streams are closed or full: cron, daemons, containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rer_numba.cli_parser import make_parser
from tests.process import PATIENCE, ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the shell that closes streams")

COMMANDS = {
    "solve maya": 0,
    "solve nobody": 1,
    "solve --json maya": 0,
    "solve -r /nowhere/x.rer maya": 2,
    "solve-many -": 0,
    "solve-many requests.txt": 0,
    "solve-many --json requests.txt": 0,
    "config": 0,
    "demo": 0,
    "encode packages -o site.rer": 0,
    "info site.rer": 0,
    "verify site.rer": 0,
    "refresh site.rer": 0,
    "help solve": 0,
    "--help": 0,
    "--version": 0,
    "nonsense": 2,
}
CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("closed")
    (found / "requests.txt").write_text("maya\nmaya-2024\n")
    package = found / "packages" / "lib" / "1"
    package.mkdir(parents=True)
    # what it prints while rez runs it goes nowhere, and not into a file that has just been opened
    (package / "package.py").write_text("import sys\nname = 'lib'\nversion = '1'\nprint('x' * 9999)\n")
    assert run(found, "encode packages -o site.rer", "</dev/null").returncode == 0
    return found


def run(folder: Path, command: str, streams: str) -> subprocess.CompletedProcess[str]:
    line = f'"{sys.executable}" -W ignore -m rer_numba {command} {streams}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        line, shell=True, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("streams", CLOSED)
@pytest.mark.parametrize("command", COMMANDS)
def test_closed_streams_are_like_dev_null(command: str, streams: str, folder: Path) -> None:
    """Before, a closed stdout ended every command with an AttributeError, exit code 1."""
    done = run(folder, command, streams)
    assert done.returncode == COMMANDS[command], done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stdout == "") == (">&-" in streams.replace("2>&-", "") or COMMANDS[command] == 2), done.stdout


def test_all_commands_are_tried() -> None:
    known = {name for action in make_parser()._actions if action.choices for name in action.choices}
    tried = {command.split()[0] for command in COMMANDS}
    assert known - tried <= {"benchmark", "rez", "warmup"}, "which take long, or are about rez"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full on this system")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_streams(folder: Path, unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    for command in ("solve maya", "solve nobody", "solve --json maya", "solve-many requests.txt"):
        full = run(folder, command, ">/dev/full")
        assert (full.returncode, full.stderr.count("\n")) == (2, 1), full.stderr
        assert "No space left" in full.stderr
    assert run(folder, "solve maya", "2>/dev/full").returncode == 0
    assert run(folder, "solve -r /nowhere/x.rer maya", "2>/dev/full").returncode == 2
