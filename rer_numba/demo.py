"""The command demo: an imaginary studio, solved."""

from __future__ import annotations

import argparse
import time

from rer_numba._version import __version__
from rer_numba.cli import OK
from rer_numba.commands import count_tables, counted, qualified_name
from rer_numba.repository import Repository
from rer_numba.results import SolveResult
from rer_numba.studio import IMPLICIT, StudioRequest, platform_at_hand, studio_repository, studio_requests
from rer_numba.tables_text import Column, Output, Table, make_output

SHOWN = (
    "maya_lighting",
    "houdini_lookdev",
    "nuke_comp",
    "nuke_archive",
    "usd_shell",
    "farm_redshift",
    "supervisor",
    "two_teams",
    "conflict_two_pythons",
    "reduction_vray",
    "missing_version",
)
LINUX_ONLY = {"farm_redshift"}
"""On blades, which all run Linux."""
RESOLVED = "nuke_archive"
FAILED = "reduction_vray"


def demo(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes them
    """`rer-numba demo`."""
    output = make_output()
    started = time.perf_counter()
    repository = studio_repository()
    encoded = (time.perf_counter() - started) * 1000
    requests = {name: _at_hand(request) for name, request in studio_requests().items()}
    shown = [name for name in SHOWN if platform_at_hand() == "linux" or name not in LINUX_ONLY]
    results = {name: _solve(repository, requests[name]) for name in shown}
    _print_studio(output, repository, encoded)
    _print_table(output, requests, results)
    _print_environment(output, requests[RESOLVED], results[RESOLVED])
    _print_failure(output, requests[FAILED], results[FAILED])
    _print_next(output)
    return OK


def _solve(repository: Repository, request: StudioRequest) -> SolveResult:
    return repository.solve(request.requests, **request.options)


def _print_studio(output: Output, repository: Repository, milliseconds: float) -> None:
    n = count_tables(repository.views)
    output.heading(f"rer-numba {__version__}: an imaginary studio")
    implicit = " ".join(IMPLICIT[platform_at_hand()])
    output.text(
        f"{n['families']} families, {n['packages']} packages, {n['variants']} variants, encoded in "
        f"{milliseconds:.0f} ms. Each request also holds what rez adds by itself: {implicit}"
    )


def _at_hand(request: StudioRequest) -> StudioRequest:
    """The request on a machine of this platform."""
    own = [text for text in request.requests if not text.startswith("~")]
    return request._replace(requests=[*own, *IMPLICIT[platform_at_hand()]])


def _shown(request: StudioRequest) -> str:
    return " ".join(text for text in request.requests if not text.startswith("~"))


def _print_table(output: Output, requests: dict[str, StudioRequest], results: dict[str, SolveResult]) -> None:
    columns = (
        Column("request", wraps=True),
        Column("status"),
        Column("packages", right=True),
        Column("steps", right=True),
        Column("ms", right=True),
    )
    rows = []
    for name, result in results.items():
        found = str(len(result.resolved)) if result.status == "solved" else "-"
        rows.append(
            (_shown(requests[name]), result.status, found, str(result.num_solves), f"{result.solve_time_ms:.2f}")
        )
    output.heading("Requests")
    output.table(Table(columns, rows))


def _print_environment(output: Output, request: StudioRequest, result: SolveResult) -> None:
    output.heading(f"{request.description}: {_shown(request)}")
    output.text(f"{counted(len(result.resolved), 'package')} in the order in which rez would set them up.")
    rows = [(qualified_name(package), " ".join(package.requires)) for package in result.resolved_packages]
    output.table(Table((Column("package"), Column("requires", wraps=True)), rows))
    if result.resolved_ephemerals:
        output.text(f"Ephemerals: {' '.join(result.resolved_ephemerals)}")


def _print_failure(output: Output, request: StudioRequest, result: SolveResult) -> None:
    output.heading(f"{request.description}: {_shown(request)}")
    output.text(f"{result.status} after {counted(result.num_solves, 'step')}, in the words of rez:")
    output.text(result.failure_description or "", indent=2)


def _print_next(output: Output) -> None:
    output.heading("And now")
    for line in (
        "rer-numba solve maya-2024 nuke-14 '!python-3.9'",
        "rer-numba encode /your/packages -o site.rer && rer-numba solve -r site.rer ...",
        "rer-numba benchmark",
    ):
        output.line(f"  {line}")
