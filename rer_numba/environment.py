"""Numbers and flags in environment variables, as people write them."""

from __future__ import annotations

import math
import os

_NUMBER = r"(\+?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)"
_BYTES = {name + end: 1024**power for power, name in enumerate("kmgtp", 1) for end in ("", "b", "ib")}
_BYTES |= {"": 1, "b": 1, "byte": 1, "bytes": 1}
_SECONDS = {"": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SECONDS |= dict.fromkeys(("s", "sec", "second", "seconds"), 1)
_SECONDS |= {f"{name}{end}": _SECONDS[name[0]] for name in ("minute", "hour", "day", "week") for end in ("", "s")}
_NO_END = frozenset(("inf", "infinity", "never", "none", "unlimited"))
"""Words for no limit."""


def flag(variable: str) -> bool:
    """Tell whether a variable asks for something: ``1``, ``yes`` and anything else but ``0``, ``no``, ``off``."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "no", "off", "false")


def uses_jit() -> bool:
    """True when kernels run through Numba's dispatcher instead of loaded machine code."""
    return os.environ.get("RER_NUMBA_ENGINE", "native") == "jit"


def bytes_setting(variable: str, default: int) -> int:
    """A number of bytes: ``8589934592``, ``8G``, ``8 GiB``, ``0.5gb``, ``8_000_000``; ``unlimited``.

    Parameters
    ----------
    variable : str
    default : int
        When it is not set, is empty, or, with a warning, means nothing. Zero means nothing too: nothing is that small.

    Notes
    -----
    K, M, G, T are powers of 1024, however they are written.
    """
    number = _read(os.environ.get(variable, ""), _BYTES)
    if number is not None and number >= 1:
        return int(min(number, 1 << 62))
    return int(_default(variable, default, "number of bytes, as 8G"))


def seconds_setting(variable: str, default: float) -> float:
    """A number of seconds: ``86400``, ``90s``, ``30 min``, ``24h``, ``1d``; ``never``, which is endless.

    Parameters
    ----------
    variable : str
    default : float
        When it is not set, is empty, or, with a warning, means nothing.
    """
    number = _read(os.environ.get(variable, ""), _SECONDS)
    return number if number is not None else _default(variable, default, "number of seconds")


def _read(text: str, units: dict[str, int]) -> float | None:
    """The number that a text means, in the smallest unit; None for a text that means none."""
    text = text.strip().lower()
    if not text:
        return None
    if text in _NO_END:
        return math.inf
    import re  # most processes have no such variable

    found = re.fullmatch(_NUMBER, text)
    return float(found[1].replace("_", "")) * units[found[2]] if found and found[2] in units else None


def _default(variable: str, default: float, wanted: str) -> float:
    text = os.environ.get(variable, "").strip()
    if text:
        from rer_numba.tell import warn_once  # which asks for a flag

        warn_once(f"{variable}={text!r} is no {wanted}; using {default:.0f}")
    return default
