"""What ``RER_NUMBA`` says. It is read whenever rez makes a solver, so that a process may change it."""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from rer_numba.errors import RerError
from rer_numba.tell import warn_once

VARIABLE = "RER_NUMBA"

Kind = Literal["off", "on", "strict", "verify"]

_WORDS: dict[str, Kind] = {
    "": "on", "on": "on", "1": "on", "yes": "on", "true": "on",
    "off": "off", "0": "off", "no": "off", "false": "off",
    "strict": "strict", "verify": "verify",
}  # fmt: skip


class Mode(NamedTuple):
    """How rez's solves are done.

    Attributes
    ----------
    kind : str
        "off", rez alone; "on", ours, and rez for what is not native; "strict", the same, but a fallback is an error;
        "verify", both, rez's answer counts, and differences are reported.
    sample : float
        How many of the solves are verified, 1.0 for all; the others are as "on".
    """

    kind: Kind
    sample: float = 1.0


class FallbackError(RerError):
    """A solve that only rez can do, where ``RER_NUMBA=strict`` forbids that.

    No kind of `rez.exceptions.RezError`: rez's tools turn some of those into a failure, and go on.

    Parameters
    ----------
    reason : str
        Why it would have to be done by rez.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{VARIABLE}=strict, and this solve needs rez's own solver: {self.reason}"


def current() -> Mode:
    """Read the variable. A value that means nothing is warned about, once, and counts as off."""
    return parse(os.environ.get(VARIABLE, ""))


def is_off() -> bool:
    """Tell whether the variable says so, without a word about any other value."""
    return _WORDS.get(os.environ.get(VARIABLE, "").strip().lower()) == "off"


def parse(text: str) -> Mode:
    """Read a value: off, on, strict, verify, verify=0.01 or verify=1%; letters of any case."""
    word, _, sample = text.strip().lower().partition("=")
    kind = _WORDS.get(word)
    if kind is not None and not sample:
        return Mode(kind)
    if kind == "verify":
        share = _share(sample)
        if share is not None:
            return Mode(kind, share)
    warn_once(f"{VARIABLE}={text} means nothing, rez solves alone; use off, on, strict, verify or verify=0.01")
    return Mode("off")


def _share(text: str) -> float | None:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None
    return share if 0.0 <= share <= 1.0 else None
