"""The commands encode, solve, config, info and warmup."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from rer_numba.cli import OK, UNSOLVED
from rer_numba.tables_text import Column, Output, PlainOutput, Table, make_output

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.repository import Repository
    from rer_numba.results import ResolvedVariant, SolveResult
    from rer_numba.schema import Tables


def print_json(value: Any) -> None:
    """Write to stdout."""
    import json

    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")


def print_facts(output: Output, facts: list[tuple[str, str]]) -> None:
    """Write names and values, one pair a line."""
    output.table(Table((Column(""), Column("")), facts))


# --------------------------------------------------------------------------------------------------------------- encode
def encode(arguments: argparse.Namespace) -> int:
    """`rer-numba encode SOURCE -o FILE`."""
    from rer_numba.package_files import read_packages
    from rer_numba.progress import Progress
    from rer_numba.repository import Repository

    options = _options_to_store(arguments)
    clock = [time.perf_counter()]
    with Progress() as progress:
        packages = read_packages(arguments.source, lambda done: progress.show("reading packages", done))
        clock.append(time.perf_counter())
        counted = progress.track(packages, len(packages), "encoding packages")
        paths = (os.path.abspath(arguments.source),)
        repository = Repository.from_packages(counted, paths=paths, options=options)
        clock.append(time.perf_counter())
        repository.save(arguments.output)
        clock.append(time.perf_counter())
    seconds = [round(end - start, 3) for start, end in itertools.pairwise(clock)]
    facts = {
        "file": arguments.output,
        "fingerprint": repository.fingerprint,
        **count_tables(repository.tables),
        "bytes": os.path.getsize(arguments.output),
        "seconds": dict(zip(("read", "encode", "write"), seconds, strict=True)),
    }
    if arguments.json:
        print_json(facts)
    else:
        _print_encoded(facts, seconds)
    return OK


def _options_to_store(arguments: argparse.Namespace) -> SolveOptions | None:
    """What ``--from-rez`` or ``--options`` says; read before the packages, which take longer."""
    from rer_numba.options import SolveOptions
    from rer_numba.settings import read_options

    options = None
    if arguments.from_rez:
        options = SolveOptions.from_rez()
    elif arguments.options:
        options = read_options(arguments.options)
    if options is not None:
        options.to_pod()  # what cannot be stored is said now
    return options


def _print_encoded(facts: dict[str, Any], seconds: list[float]) -> None:
    counts = [(name, f"{facts[name]:,}") for name in ("families", "packages", "variants")]
    took = f"{sum(seconds):.1f} s (read {seconds[0]:.1f}, encode {seconds[1]:.1f}, write {seconds[2]:.1f})"
    rows = [("file", facts["file"]), *counts, ("size", f"{facts['bytes']:,} bytes"), ("time", took)]
    print_facts(make_output(), rows)


def count_tables(tables: Tables) -> dict[str, int]:
    """How much a repository holds; families that are only required do not count."""
    import numpy as np

    return {
        "families": int(np.count_nonzero(np.diff(tables.family_package_offsets))),
        "packages": len(tables.package_version_rank),
        "variants": len(tables.variant_package),
        "requirements": len(tables.requirement_family),
        "ranges": max(len(tables.range_offsets) - 1, 0),
    }


# ---------------------------------------------------------------------------------------------------------------- solve
def solve(arguments: argparse.Namespace) -> int:
    """`rer-numba solve [-r FILE] REQUEST...`."""
    from rer_numba.settings import effective

    repository = _open(arguments.repository)
    options = effective(arguments, repository.options, arguments.repository).options
    result = repository.solve(arguments.requests, options)
    if arguments.json:
        print_json(result_as_json(arguments.requests, result))
    else:
        _print_result(result)
    return OK if result.status == "solved" else UNSOLVED


def _open(path: str | None) -> Repository:
    if path is None:
        from rer_numba.studio import studio_repository

        return studio_repository()
    from rer_numba.repository import Repository

    return Repository.open(path)


def result_as_json(requests: list[str], result: SolveResult) -> dict[str, Any]:
    """Everything that a result has."""
    return {
        "requests": requests,
        "status": result.status,
        "resolved_packages": [package._asdict() for package in result.resolved_packages],
        "resolved_ephemerals": result.resolved_ephemerals,
        "failure_description": result.failure_description,
        "error_type": result.error_type,
        "num_solves": result.num_solves,
        "num_fails": result.num_fails,
        "solve_time_ms": round(result.solve_time_ms, 4),
    }


def _print_result(result: SolveResult) -> None:
    output = PlainOutput(sys.stdout)
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


def counted(n: int, noun: str) -> str:
    """'1 step', '2 steps'."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


# --------------------------------------------------------------------------------------------------------------- config
def config(arguments: argparse.Namespace) -> int:
    """`rer-numba config [-r FILE]`."""
    from rer_numba.options import SolveOptions
    from rer_numba.settings import effective

    path = arguments.repository
    stored = SolveOptions() if path is None else _open(path).options
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
    for name, as_pod in (("package_orderers", orderers_to_pod), ("package_filter", filter_to_pod)):
        try:
            pod[name] = as_pod(pod[name])
        except ConfigurationError:
            pod[name] = repr(pod[name])
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


# ----------------------------------------------------------------------------------------------------------------- info
def info(arguments: argparse.Namespace) -> int:
    """`rer-numba info FILE`."""
    from rer_numba import store

    opened = store.read(arguments.repository)
    paths = opened.metadata.get("rer.paths", "")
    facts = {
        "file": os.path.abspath(arguments.repository),
        "format": opened.metadata.get(store.FORMAT, ""),
        "created": opened.metadata.get(store.CREATED, ""),
        "encoder": opened.metadata.get(store.ENCODER, ""),
        "fingerprint": opened.fingerprint,
        **count_tables(opened.tables),
        "bytes": opened.size,
        "paths": paths.split("\n") if paths else [],
    }
    if arguments.json:
        print_json(facts)
        return OK
    shown = [(name, f"{value:,}" if isinstance(value, int) else value) for name, value in facts.items()]
    rows = [(name, value) for name, value in shown if name != "paths"]
    rows += [("" if n else "paths", path) for n, path in enumerate(facts["paths"])]
    print_facts(PlainOutput(sys.stdout), rows)
    return OK


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
