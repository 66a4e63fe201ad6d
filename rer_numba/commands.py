"""The commands solve, config and warmup, and what all commands print with."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, redirect_stdout
from typing import TYPE_CHECKING, Any

from rer_numba.cli import OK, UNSOLVED
from rer_numba.tables_text import Column, Output, PlainOutput, Table, make_output

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.repository import Check, OnStale, Repository
    from rer_numba.results import ResolvedVariant, SolveResult
    from rer_numba.schema import Tables
    from rer_numba.settings import Settings
    from rer_numba.views import Views


def print_json(value: Any) -> None:
    """Write to stdout."""
    import json

    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")


def facts_only() -> AbstractContextManager[object]:
    """Send to stderr what package files print while rez runs them: stdout is for our facts."""
    return redirect_stdout(sys.stderr)


def shown_file(given: str, file: str | None) -> str:
    """A repository's file as the user named it, or where it lies in the folder that the user named."""
    return given if file is None or os.path.abspath(given) == file else os.path.join(given, os.path.basename(file))


def print_facts(output: Output, facts: list[tuple[str, str]]) -> None:
    """Write names and values, one pair a line."""
    output.table(Table((Column(""), Column("")), facts))


def count_tables(views: Tables | Views) -> dict[str, int]:
    """How much a repository holds; families that are only required do not count."""
    from rer_numba.schema import BROKEN_FAMILY

    return {
        "families": sum(1 for n, flags in families(views) if n or flags & BROKEN_FAMILY),
        "packages": len(views.package_version_rank),
        "variants": len(views.variant_package),
        "requirements": len(views.requirement_family),
        "ranges": max(len(views.range_offsets) - 1, 0),
    }


def families(views: Tables | Views) -> Iterator[tuple[int, int]]:
    """(number of packages, flags) of each family, also of those that are only required."""
    offsets = views.family_package_offsets.tolist()
    return zip(map(int.__sub__, offsets[1:], offsets), views.family_flags.tolist(), strict=False)


def count_broken(repository: Repository) -> dict[str, int]:
    """How many families, packages and variants are late, how many belong to the process, and how many are broken."""
    parts = repository.broken()
    late = sum(part.is_late for part in parts)
    of_process = sum(part.is_of_process for part in parts)
    return {"late": late, "of_process": of_process, "broken": len(parts) - late - of_process}


def counted(n: int, noun: str) -> str:
    """'1 step', '2 steps'."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def count_families(n: int) -> str:
    """'1 family', '2 families'."""
    return f"{n:,} famil{'y' if n == 1 else 'ies'}"


# ---------------------------------------------------------------------------------------------------------------- solve
def solve(arguments: argparse.Namespace) -> int:
    """`rer-numba solve [-r FILE] [--time-limit S] [--max-fails N] REQUEST...`."""
    from rer_numba.settings import effective

    repository = open_repository(arguments.repository, arguments.check, arguments.on_stale)
    settings = effective(arguments, repository.options, arguments.repository)
    options = settings.options
    if arguments.repository is None:
        from rer_numba.studio import without_what_is_asked_for

        options = without_what_is_asked_for(options, arguments.requests)
    with facts_only():
        result = repository.solve(
            arguments.requests, options, max_fails=arguments.max_fails, time_limit=arguments.time_limit
        )
    notes = notes_on_filter(repository, settings._replace(options=options), arguments.requests, result)
    if arguments.json:
        print_json({**result_as_json(arguments.requests, result), "notes": notes})
    else:
        _print_result(result, notes)
    return OK if result else UNSOLVED


def notes_on_filter(
    repository: Repository, settings: Settings, requests: list[str], result: SolveResult | None
) -> list[str]:
    """What a person who wrote the filter of a solve may have overlooked, see `rer_numba.filters.notes`."""
    options = settings.options
    if not options.package_filter and not options.timestamp:
        return []
    from rer_numba.filters import notes

    hidden = notes.on_families(repository.views, options, requests, result)
    # a stored one may well be about what is not there today
    return [*(notes.on_rules(repository.views, options) if settings.has_own_filter() else ()), *hidden]


def open_repository(path: str | None, check: Check = "frozen", on_stale: OnStale = "refresh") -> Repository:
    """The repository of ``-r``, or the studio as this platform has it."""
    if path is None:
        from rer_numba.studio import studio_at_hand

        return studio_at_hand()
    from rer_numba.repository import Repository

    return Repository.open(path, check=check, on_stale=on_stale)


def result_as_json(requests: list[str], result: SolveResult) -> dict[str, Any]:
    """Everything that a result has."""
    return {
        "requests": requests,
        "status": result.status,
        "resolved_packages": [package._asdict() for package in result.resolved_packages],
        "resolved_ephemerals": result.resolved_ephemerals,
        "failure_description": result.failure_description,
        "error_type": result.error_type,
        "fallback_reason": result.fallback_reason,
        "num_solves": result.num_solves,
        "num_fails": result.num_fails,
        "solve_time_ms": round(result.solve_time_ms, 4),
    }


def _print_result(result: SolveResult, notes: list[str]) -> None:
    output = PlainOutput(sys.stdout)
    _print_answer(output, result)
    for note in notes:
        output.line(f"note: {note}")
    if result.fallback_reason:
        output.line(f"solved by rez: {result.fallback_reason}")


def _print_answer(output: PlainOutput, result: SolveResult) -> None:
    steps = counted(result.num_solves, "step") + (f", {counted(result.num_fails, 'fail')}" if result.num_fails else "")
    took = f"{steps}, {result.solve_time_ms:.2f} ms"
    if result.status != "solved":
        output.line(f"{result.status}: {took}")
        kind = f"{result.error_type}: " if result.error_type else ""
        output.line(f"{kind}{result.failure_description}")
        return
    output.line(f"solved: {counted(len(result.resolved_packages), 'package')}, {took}")
    if result.resolved_packages:
        rows = [(qualified_name(package), package.uri) for package in result.resolved_packages]
        output.table(Table((Column(""), Column("")), rows))
    if result.resolved_ephemerals:
        output.line(f"ephemerals: {' '.join(result.resolved_ephemerals)}")


def qualified_name(package: ResolvedVariant) -> str:
    """The name that rez gives a variant: ``name-version[index]``."""
    version = f"-{package.version}" if package.version else ""
    return f"{package.name}{version}[{'' if package.variant_index is None else package.variant_index}]"


# --------------------------------------------------------------------------------------------------------------- config
def config(arguments: argparse.Namespace) -> int:
    """`rer-numba config [-r FILE]`."""
    from rer_numba.options import SolveOptions
    from rer_numba.settings import effective

    path = arguments.repository
    stored = SolveOptions() if path is None else open_repository(path).options
    options, origins = effective(arguments, stored, path)
    pod = shown_options(options)
    if arguments.json:
        print_json(
            {name: {"value": pod[name], "from": origins[name].kind, "place": origins[name].place} for name in pod}
        )
        return OK
    rows = [(name, _setting_text(value), str(origins[name])) for name, value in pod.items()]
    columns = (Column("setting"), Column("value", wraps=True), Column("from", wraps=True))
    PlainOutput(sys.stdout).table(Table(columns, rows))
    return OK


def shown_options(options: SolveOptions) -> dict[str, Any]:
    """As `SolveOptions.to_pod`; orderers and filters that have no configuration form by their texts."""
    from rer_numba.errors import ConfigurationError
    from rer_numba.stored_policy import filter_to_pod, orderers_to_pod

    pod = options.values()
    try:
        pod["package_orderers"], pod["rez_version"] = orderers_to_pod(options.package_orderers, options.rez_version)
    except ConfigurationError:
        pod["package_orderers"] = repr(options.package_orderers)
    try:
        pod["package_filter"] = filter_to_pod(options.package_filter)
    except ConfigurationError:
        pod["package_filter"] = repr(options.package_filter)
    pod["implicit_packages"] = list(options.implicit_packages)
    return pod


def _setting_text(value: Any) -> str:
    import json

    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value) or "none"
    if value is None:
        return "none"
    return json.dumps(value)


# --------------------------------------------------------------------------------------------------------------- warmup
def warmup(arguments: argparse.Namespace) -> int:
    """`rer-numba warmup [--cpu NAME ...]`."""
    from rer_numba import native

    made = native.warmup(arguments.cpu)
    if arguments.json:
        print_json([found._asdict() for found in made])
        return OK
    rows = [
        (found.cpu, f"{found.bytes:,}", f"{found.seconds:.1f}" if found.seconds else "was there", found.path)
        for found in made
    ]
    columns = (Column("cpu"), Column("bytes", right=True), Column("seconds", right=True), Column("file", wraps=True))
    make_output().table(Table(columns, rows))
    return OK
