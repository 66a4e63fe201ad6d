"""The settings that act on a solve of the command line, and where each of them came from.

What counts, the later the more: the defaults; the options stored in the repository; those of rez, with ``--from-rez``;
those of ``--options``; the single options of the command line. Rules of ``--exclude`` and ``--include`` are added to
the filter, as `rez-env` does it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from typing import Any, NamedTuple

from rer_numba.errors import ConfigurationError
from rer_numba.options import SolveOptions
from rer_numba.plain_files import MAX_SETTINGS, read_bounded

_TOLD = {"value", "from", "place"}
"""What ``config --json`` writes about an option."""
_ADDED = " and "
"""In the origin of a filter, between where it is from and the options that add rules."""
_SHOWN = 60
"""Characters of inline JSON in an error."""


class Origin(NamedTuple):
    """Where a setting came from.

    Attributes
    ----------
    kind : str
        "default", "stored", "rez", "environment" or "option".
    place : str
        File, variable or option; empty for a default.
    """

    kind: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.place}".rstrip()


class Settings(NamedTuple):
    """Options and the origin of each, by name."""

    options: SolveOptions
    origins: dict[str, Origin]

    def has_own_filter(self) -> bool:
        """Whether rules of the filter were written on the command line."""
        origin = self.origins["package_filter"]
        return origin.kind == "option" or _ADDED in origin.place

    def replaced(self, origin: Origin, values: dict[str, Any]) -> Settings:
        """The same with some options that came from elsewhere."""
        return Settings(replace(self.options, **values), {**self.origins, **dict.fromkeys(values, origin)})


def effective(arguments: argparse.Namespace, stored: SolveOptions, path: str | None) -> Settings:
    """What a solve uses.

    Parameters
    ----------
    arguments : Namespace
        Of `rer_numba.cli.add_settings`.
    stored : SolveOptions
        Those of the repository.
    path : str or None
        Its file.

    Raises
    ------
    ConfigurationError, VersionError
        A value cannot be used; the text names it and its file.
    OSError
        A file cannot be read.
    """
    settings = Settings(SolveOptions(), dict.fromkeys(SolveOptions.names(), Origin("default")))
    if stored != SolveOptions():
        settings = settings.replaced(Origin("stored", path or ""), stored.values())
    if arguments.from_rez:
        settings = _from_rez(settings)
    if arguments.options:
        settings = settings.replaced(Origin("option", _shown("--options", arguments.options)), given_options(arguments))
    settings = _from_options(settings, arguments)
    return Settings(settings.options.read(), settings.origins)


def _from_rez(settings: Settings) -> Settings:
    options = SolveOptions.from_rez()
    from rer_numba.rez_bridge.configured import origins

    for name, (kind, place) in origins().items():
        settings = settings.replaced(Origin(kind, place), {name: getattr(options, name)})
    return settings


def _from_options(settings: Settings, arguments: argparse.Namespace) -> Settings:
    if arguments.variant_select_mode:
        settings = settings.replaced(
            Origin("option", "--variant-select-mode"), {"variant_select_mode": arguments.variant_select_mode}
        )
    if arguments.orderers:
        orderers = read_setting(arguments.orderers, "package_orderers")
        settings = settings.replaced(
            Origin("option", _shown("--orderers", arguments.orderers)), {"package_orderers": orderers}
        )
    settings = _filtered(settings, arguments)
    if arguments.time is not None:
        settings = settings.replaced(Origin("option", "--time"), {"timestamp": arguments.time})
    if arguments.building:
        settings = settings.replaced(Origin("option", "--building"), {"building": True})
    if arguments.no_error_on_missing:
        settings = settings.replaced(
            Origin("option", "--no-error-on-missing"), {"error_on_missing_variant_requires": False}
        )
    if arguments.no_implicit:
        settings = settings.replaced(Origin("option", "--no-implicit"), {"implicit_packages": ()})
    return settings


def _filtered(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """Replace the filter, then add rules to it. Ports: rez.cli.env.command (rez 3.4.0)."""
    if arguments.filter:
        given = read_setting(arguments.filter, "package_filter")
        settings = settings.replaced(Origin("option", _shown("--filter", arguments.filter)), {"package_filter": given})
    if not (arguments.exclude or arguments.include):
        return settings
    from rer_numba.filters import PackageFilterList, as_package_filter
    from rer_numba.filters.rules import Rule

    found = as_package_filter(settings.options.package_filter)
    combined = PackageFilterList() if found is None else found.copy()
    for add, name in ((combined.add_exclusion, "exclude"), (combined.add_inclusion, "include")):
        for rule in getattr(arguments, name) or ():
            try:
                add(Rule.parse_rule(rule))
            except ConfigurationError as error:
                raise ConfigurationError(f"--{name}: {error}") from None
    names = [name for name in ("exclude", "include") if getattr(arguments, name)]
    place = " and ".join(f"--{name}" for name in names)
    before = settings.origins["package_filter"]
    origin = (
        Origin("option", place) if before.kind == "default" else Origin(before.kind, f"{before.place}{_ADDED}{place}")
    )
    return settings.replaced(origin, {"package_filter": combined})


# ------------------------------------------------------------------------------------------------ files, or inline JSON
_STANDARD_INPUT = "-"


def _is_inline(given: str) -> bool:
    """Whether an option's value is JSON itself. A file of this name comes first."""
    return given.lstrip()[:1] in ("{", "[") and not os.path.exists(given)


def _shown(option: str, given: str) -> str:
    """How an origin names an option: with its file."""
    return option if _is_inline(given) or given == _STANDARD_INPUT else f"{option} {given}"


def _read_text(given: str) -> tuple[str | bytes, str]:
    """(JSON, what an error calls it) of an option's value."""
    if _is_inline(given):
        return given, given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
    if given == _STANDARD_INPUT:
        return sys.stdin.read().removeprefix("\ufeff"), "standard input"
    return read_bounded(given, MAX_SETTINGS), given


def _is_configuration_of_rez(given: str) -> bool:
    named = os.path.splitext(given)[1] in (".py", ".yaml", ".yml") or os.path.basename(given).endswith("rezconfig")
    return named and not _is_inline(given)


def read_setting(given: str, name: str) -> Any:
    """Read orderers or a filter: JSON, inline or from a file, or this setting of a configuration file of rez.

    Raises
    ------
    ConfigurationError
        It cannot be used, or rez is missing that reads its file; the text names the file, and the value.
    OSError
        It cannot be read.
    """
    if _is_configuration_of_rez(given):
        from rer_numba.rez_bridge.configured import setting_of_file

        return setting_of_file(given, name)
    raw, where = _read_text(given)
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        more = "" if _is_inline(given) else "; configuration files of rez must be named .py, .yaml or rezconfig"
        raise ConfigurationError(f"{where}: no JSON: {error}{more}") from None
    if isinstance(value, dict) and name in value:
        value = _plain_values(value)[name]
    # as a part of options, so that what is refused there is refused here
    return getattr(SolveOptions.from_json(json.dumps({name: value}), where), name)


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that ``--options`` names, by name. Raises `ConfigurationError` and `OSError` as `read_setting`."""
    raw, where = _read_text(arguments.options)
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: no JSON: {error}") from None
    if isinstance(values, dict):
        values = _plain_values(values)
    options = SolveOptions.from_json(json.dumps(values), where)
    return {name: getattr(options, name) for name in values}


def _plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """Options by name, of what ``config --json`` writes: ``{name: {"value": ..., "from": ..., "place": ...}}``."""
    return {
        name: told["value"] if isinstance(told, dict) and set(told) == _TOLD else told for name, told in values.items()
    }
