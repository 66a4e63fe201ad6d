"""The commands about an encoded repository: refresh, info and verify."""

from __future__ import annotations

import argparse
import calendar
import json
import os
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rer_numba.cli import BAD_INPUT, OK, UNSOLVED, complain
from rer_numba.commands import (
    count_broken,
    count_families,
    count_tables,
    counted,
    facts_only,
    families,
    print_facts,
    print_json,
    shown_file,
)
from rer_numba.commands_process import print_process_parts, process_json, process_parts
from rer_numba.errors import RepositoryFileError
from rer_numba.options import SolveOptions
from rer_numba.paths.settings import PathSettings
from rer_numba.tables_text import Column, PlainOutput, Table, make_output

if TYPE_CHECKING:
    from rer_numba.broken import Broken
    from rer_numba.repository import Repository
    from rer_numba.views import Views

_SHOWN_NAMES = 20


# -------------------------------------------------------------------------------------------------------------- refresh
def refresh(arguments: argparse.Namespace) -> int:
    """`rer-numba refresh -r FILE`."""
    from rer_numba.progress import Progress
    from rer_numba.repository import Repository

    started = time.perf_counter()
    repository = Repository.open(arguments.repository, check="frozen")
    if repository.path_settings is None:
        problem = "was not encoded from package folders, so there is nothing to compare it with"
        raise RepositoryFileError(arguments.repository, problem, "encode it again with `rer-numba encode`")
    with Progress() as progress, facts_only():
        done = repository.refresh(
            check=arguments.check, force=arguments.force, processes=arguments.processes, progress=progress.show
        )
    facts = {
        "file": repository.file,
        "fingerprint": repository.fingerprint,
        "families": done.families,
        "adopted": done.adopted,
        "saved": done.saved,
        "seconds": round(time.perf_counter() - started, 3),
    }
    if arguments.json:
        print_json(facts)
    else:
        _print_refreshed(arguments.repository, facts)
    if done.families and not done.saved:
        problem = "was not written: that is not allowed, or it was encoded from other paths meanwhile"
        remedy = "refresh it again, as a user who may write there"
        complain(str(RepositoryFileError(arguments.repository, problem, remedy)))
        return BAD_INPUT
    return OK


def _print_refreshed(given: str, facts: dict[str, Any]) -> None:
    families = facts["families"]
    if families:
        changed = f"{count_families(len(families))} read again: {_some(families)}"
    else:
        changed = "nothing but what another process has written" if facts["adopted"] else "nothing"
    file = f"{shown_file(given, facts['file'])} ({'written' if facts['saved'] else 'as it was'})"
    rows = [("changed", changed), ("file", file), ("time", f"{facts['seconds']:.2f} s")]
    if families and facts["adopted"]:
        rows.insert(1, ("before", "took what another process had written"))
    print_facts(PlainOutput(sys.stdout), rows)


def _some(names: list[str]) -> str:
    """Names, as many as somebody reads."""
    more = len(names) - _SHOWN_NAMES
    return " ".join(names[:_SHOWN_NAMES]) + (f" and {more:,} more" if more > 0 else "")


# ----------------------------------------------------------------------------------------------------------------- info
def info(arguments: argparse.Namespace) -> int:
    """`rer-numba info -r FILE`. Exit code 1 if something was looked for and has changed."""
    from rer_numba import store
    from rer_numba.repository import Repository

    repository = Repository.open(arguments.repository, check="frozen")
    assert repository.file is not None
    metadata, settings = repository.metadata, repository.path_settings
    facts = {
        "file": repository.file,
        "bytes": os.path.getsize(repository.file),
        "created": metadata.get(store.CREATED, ""),
        "encoder": metadata.get(store.ENCODER, ""),
        "format": metadata.get(store.FORMAT, ""),
        "fingerprint": repository.fingerprint,
        **count_tables(repository.views),
        **_count_mentioned(repository.views),
        **count_broken(repository),
        "paths": list(repository.paths),
        "path_settings": None if settings is None else asdict(settings),
        "options": repository.options.to_pod(),
        **_look(repository, arguments.check),
    }
    if arguments.json:
        print_json(facts)
    else:
        _print_info(arguments.repository, facts)
    return UNSOLVED if facts["changed"] or facts["moved_path"] is not None else OK


def _count_mentioned(views: Views) -> dict[str, int]:
    """Families that have no packages, but are required; and how often anything is required."""
    from rer_numba.schema import BROKEN_FAMILY, EPHEMERAL

    return {
        "families_mentioned_only": sum(
            1 for n, flags in families(views) if not (n or flags & (EPHEMERAL | BROKEN_FAMILY))
        ),
        "requirements_of_variants": len(views.variant_requirement),
    }


def _look(repository: Repository, level: str | None) -> dict[str, Any]:
    """What is not as it was encoded: families, and a path that leads elsewhere. None where nobody looked, or can."""
    if level is None or repository.path_settings is None:
        return {"changed": None, "moved_path": None}
    from rer_numba.paths.freshness import Freshness
    from rer_numba.progress import Progress

    freshness = Freshness(repository.views, repository.path_settings)
    with Progress() as progress:
        changed = freshness.changed_families(
            level, lambda done, total: progress.show("looking at families", done, total)
        )
    return {"changed": changed, "moved_path": freshness.other_location(repository.paths)}


def _print_info(given: str, facts: dict[str, Any]) -> None:
    numbers = {name: f"{value:,}" for name, value in facts.items() if isinstance(value, int)}
    created = facts["created"]
    mentioned = numbers["families_mentioned_only"]
    rows = [
        ("file", shown_file(given, facts["file"])),
        ("size", f"{numbers['bytes']} bytes"),
        ("written", f"{age(created, time.time())} ({created}) by {facts['encoder']}, format {facts['format']}"),
        ("fingerprint", facts["fingerprint"]),
        ("families", numbers["families"] + ("" if mentioned == "0" else f", and {mentioned} that are only required")),
        ("packages", numbers["packages"]),
        ("variants", numbers["variants"]),
        ("requirements", f"{numbers['requirements_of_variants']}, {numbers['requirements']} different ones"),
        ("late", numbers["late"]),
        ("of process", numbers["of_process"]),
        ("broken", numbers["broken"]),
        *(("" if n else "paths", path) for n, path in enumerate(facts["paths"])),
        ("path settings", _settings_text(facts["path_settings"], asdict(PathSettings()))),
        ("stored options", _settings_text(facts["options"], SolveOptions().to_pod())),
        ("changed", _changed_text(facts)),
    ]
    print_facts(PlainOutput(sys.stdout), rows)


def age(created: str, now: float) -> str:
    """How long ago something was written, in words; `created` is a time as `rer_numba.store` writes it."""
    try:
        written = calendar.timegm(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return "some time ago"
    seconds = now - written
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{counted(int(seconds // length), unit)} ago"
    return "just now" if seconds > -60 else "in the future, by this machine's clock"


def _settings_text(values: dict[str, Any] | None, defaults: dict[str, Any]) -> str:
    """What is not the default."""
    if values is None:
        return "none, the packages did not come from folders"
    told = [f"{name}={json.dumps(value)}" for name, value in values.items() if value not in (defaults[name], [])]
    return " ".join(told) or "the defaults"


def _changed_text(facts: dict[str, Any]) -> str:
    families = facts["changed"]
    if families is None:
        return "not looked at; --check strict does" if facts["path_settings"] else "cannot be told"
    if facts["moved_path"] is not None:
        return f"{facts['moved_path']} leads elsewhere now"
    return f"{count_families(len(families))}: {_some(families)}" if families else "nothing"


# --------------------------------------------------------------------------------------------------------------- verify
def verify(arguments: argparse.Namespace) -> int:
    """`rer-numba verify -r FILE`. A damaged file raises."""
    from rer_numba.repository import Repository

    repository = Repository.open(arguments.repository, check="frozen", verify="always")
    broken = [part for part in repository.broken() if not (part.is_late or part.is_of_process)]
    asking = process_parts(repository)
    if arguments.json:
        print_json(
            {
                "file": repository.file,
                "fingerprint": repository.fingerprint,
                **count_tables(repository.views),
                **count_broken(repository),
                "broken_parts": [part._asdict() for part in broken],
                "process_parts": process_json(asking),
            }
        )
    else:
        _print_verified(shown_file(arguments.repository, repository.file), repository, broken, asking)
    return UNSOLVED if broken else OK


def _print_verified(file: str, repository: Repository, broken: list[Broken], asking: list[Broken]) -> None:
    output = make_output()
    late = count_broken(repository)["late"]
    of_process = f"{len(asking):,} of process, " if asking else ""
    packages = counted(len(repository.views.package_version_rank), "package")
    output.line(f"{file} is undamaged: {packages}, {late:,} late, {of_process}{len(broken):,} broken")
    print_process_parts(output, asking)
    if broken:
        rows = [(part.name, part.error_type, part.text.partition("\n")[0]) for part in broken]
        output.table(Table((Column("broken"), Column("error"), Column("text", wraps=True)), rows))
