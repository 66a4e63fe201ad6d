"""The time of a solve: packages released later are hidden from it."""

from __future__ import annotations

import time

from rer_numba.errors import ConfigurationError
from rer_numba.filters import AnyFilter, PackageFilterList
from rer_numba.filters.rules import TimestampRule

_UNIT_SECONDS = {"d": 24 * 60 * 60, "h": 60 * 60, "m": 60, "s": 1}


def with_timestamp(package_filter: AnyFilter | None, timestamp: int | None) -> AnyFilter | None:
    """Give the filter that hides packages released later, too.

    Ports: rez.resolver.Resolver.__init__ (rez 3.4.0).

    REZ-QUIRK: the rule joins the last filter, so an inclusion there rescues later packages; and a filter that has no
    exclusions is replaced, inclusions and all (test_an_inclusion_rescues_later_packages).

    Parameters
    ----------
    package_filter : AnyFilter or None
        It is not changed.
    timestamp : int or None
        Seconds since 1970. None and 0: no limit.

    Raises
    ------
    ConfigurationError
        `timestamp` is no whole number.
    """
    if timestamp is not None and (not isinstance(timestamp, int) or isinstance(timestamp, bool)):
        raise ConfigurationError(f"timestamp must be a whole number of seconds since 1970, not {timestamp!r}")
    if not timestamp:
        return package_filter
    combined: AnyFilter = package_filter.copy() if package_filter else PackageFilterList()
    combined.add_exclusion(TimestampRule.after(timestamp))
    return combined


def parse_time(text: str | int, now: int | None = None) -> int:
    """Read a time: seconds since 1970, or '-5.4m' for 5.4 minutes before now, with d, h, m or s.

    Ports: rez.utils.formatting.get_epoch_time_from_str (rez 3.4.0).

    Parameters
    ----------
    text : str or int
    now : int, optional
        Seconds since 1970; the clock's without it.

    Raises
    ------
    ValueError
        It is no time; rez's text. REZ-QUIRK: weeks ('-1w') are none (test_times).
    """
    try:
        return int(text)
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        seconds = _UNIT_SECONDS.get(str(text)[-1:])
        if seconds and str(text).startswith("-"):
            return max(int(time.time() if now is None else now) - int(float(str(text)[1:-1]) * seconds), 0)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"'{text}' is an unrecognised time format.")
