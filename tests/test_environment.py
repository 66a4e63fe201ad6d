"""Numbers and flags in environment variables, as people write them."""

from __future__ import annotations

import math

import pytest

from rer_numba import environment, tell
from rer_numba.rez_bridge.modes import Mode, parse
from tests.process import run_python

GIGABYTES = 8 << 30
BYTES = {
    "8589934592": GIGABYTES, "8G": GIGABYTES, "8g": GIGABYTES, "8GB": GIGABYTES, "8GiB": GIGABYTES, " 8 Gb ": GIGABYTES,
    "8192M": GIGABYTES, "0.5k": 512, ".5K": 512, "1.5 T": 3 << 39, "8e9": 8_000_000_000, "8_000_000": 8_000_000,
    "+12": 12, "12 bytes": 12, "unlimited": 1 << 62, "inf": 1 << 62, "1e400": 1 << 62,
}  # fmt: skip
SECONDS = {
    "86400": 86_400, "0": 0, "90s": 90, "1.5 min": 90, "2m": 120, "24h": 86_400, "1d": 86_400, "2 days": 172_800,
    "1w": 604_800, "never": math.inf, "1e3": 1000,
}  # fmt: skip
NO_NUMBERS = ["abc", "8Q", "0x10", "1,5", "-5", "-1", "nan", "8 G B", "1.2.3", "G", "--", "8 1"]


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell, "_told", set())


@pytest.mark.parametrize("text", BYTES)
def test_bytes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RER_NUMBA_X", text)
    assert environment.bytes_setting("RER_NUMBA_X", 7) == BYTES[text]


@pytest.mark.parametrize("text", SECONDS)
def test_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RER_NUMBA_X", text)
    assert environment.seconds_setting("RER_NUMBA_X", 7) == SECONDS[text]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0"])
def test_what_is_no_number_of_bytes_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RER_NUMBA_X", text)
    with pytest.warns(RuntimeWarning, match=r"RER_NUMBA_X='.*' is no number of bytes, as 8G; using 7"):
        assert environment.bytes_setting("RER_NUMBA_X", 7) == 7


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_of_seconds_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RER_NUMBA_X", text)
    with pytest.warns(RuntimeWarning, match=r"RER_NUMBA_X='.*' is no number of seconds; using 7"):
        assert environment.seconds_setting("RER_NUMBA_X", 7.0) == 7


@pytest.mark.parametrize("text", [None, "", "  "])
def test_nothing_means_the_default(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if text is None:
        monkeypatch.delenv("RER_NUMBA_X", raising=False)
    else:
        monkeypatch.setenv("RER_NUMBA_X", text)
    assert environment.bytes_setting("RER_NUMBA_X", 7) == environment.seconds_setting("RER_NUMBA_X", 7) == 7
    assert not environment.flag("RER_NUMBA_X")


@pytest.mark.parametrize(("text", "is_on"), [("1", True), ("yes", True), ("0", False), ("no", False), ("Off", False)])
def test_flags(text: str, is_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RER_NUMBA_X", text)
    assert environment.flag("RER_NUMBA_X") is is_on


def test_shares_of_solves() -> None:
    assert parse("verify=1%") == parse("verify=0.01") == Mode("verify", 0.01)
    with pytest.warns(RuntimeWarning, match="means nothing"):
        assert parse("verify=101%") == Mode("off")


@pytest.mark.parametrize(
    ("text", "found"),
    [("8G", "8589934592"), ("lots", "8589934592"), ("0.001m", "1048"), ("unlimited", str(1 << 62))],
)
def test_the_limit_on_memory_of_a_process(text: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended every process with a ValueError on import."""
    monkeypatch.setenv("RER_NUMBA_MAX_WORK_BYTES", text)
    run = run_python("-c", "from rer_numba.engine import MAX_WORK_BYTES; print(MAX_WORK_BYTES)")
    assert (run.returncode, run.stdout.strip()) == (0, found)
    assert ("RER_NUMBA_MAX_WORK_BYTES='lots' is no number of bytes" in run.stderr) == (text == "lots")
