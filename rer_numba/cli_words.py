"""Words of the command line: what argparse would take for something else, numbers, names and times."""

from __future__ import annotations

import argparse

LEVELS = ("strict", "release")
"""How folders are compared with what was encoded from them."""


def as_argparse_takes_it(argv: list[str]) -> list[str]:
    """The same arguments, in a form that argparse takes as they are meant."""
    return _join_levels(_join_times(_asked_for_help(argv)))


def _asked_for_help(argv: list[str]) -> list[str]:
    """Write ``help COMMAND`` as ``COMMAND --help``."""
    return [*argv[1:], "--help"] if argv[:1] == ["help"] else argv


def _join_levels(argv: list[str]) -> list[str]:
    """Write ``info --check FILE`` as ``info --check=strict FILE``, since argparse would take FILE for the level."""
    if argv[:1] != ["info"]:
        return argv
    following = [*argv[1:], ""]
    return [
        f"{text}=strict" if text == "--check" and after not in LEVELS else text
        for text, after in zip(argv, following, strict=True)
    ]


def _join_times(argv: list[str]) -> list[str]:
    """Write ``--time -5m`` as ``--time=-5m``, since argparse would take -5m for an option."""
    joined: list[str] = []
    for n, text in enumerate(argv):
        if text == "--":
            return joined + argv[n:]
        if joined and joined[-1] in ("-t", "--time") and text[:1] == "-" and text[1:2] in "0123456789.":
            joined[-1] = f"--time={text}"
        else:
            joined.append(text)
    return joined


# ---------------------------------------------------------------------------------------------------------------- types
def names(text: str) -> tuple[str, ...]:
    """Read names with a comma between."""
    found = tuple([name for name in text.split(",") if name])
    if not found:
        raise argparse.ArgumentTypeError("there must be a name")
    return found


def place(text: str) -> str:
    """Take the name of a file or a folder. An empty one is a variable of a shell that is not set."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def length(text: str) -> float:
    """Read a number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def count(text: str) -> int:
    """Read a number from 1 on."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return value


def seconds(text: str) -> int:
    """Read a time: as rez does, or a date."""
    from rer_numba.filters.time import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        date = _date(text)
        if date is None:
            raise argparse.ArgumentTypeError(f"{error} Write 2026-10-01, or 2026-10-01T18:30, or -5m") from None
        return date


def _date(text: str) -> int | None:
    """Seconds from 1970 to the first moment of a day, or to a time, of this machine's zone if it names none."""
    from datetime import datetime

    if not (text[:4].isdecimal() and text[4:5] == "-" and text[5:7].isdecimal()):
        return None
    if text.endswith("Z") and text[10:11] in ("T", " "):  # which Python reads since 3.11
        text = f"{text[:-1]}+00:00"
    try:
        found = int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return None
    return found if found >= 0 else None
