"""The command `rer-numba rez status`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from rer_numba.cli import BAD_INPUT, OK, UNSOLVED, complain
from rer_numba.commands import count_families, counted, facts_only, print_facts, print_json
from rer_numba.rez_versions import traits_of, unsupported
from rer_numba.tables_text import PlainOutput

HOOK = "import rer_numba.rez_bridge.auto"
"""What the file that REZ_CONFIG_FILE points to needs."""


def usage(_: argparse.Namespace) -> int:
    """`rer-numba rez` and nothing else."""
    complain("rez: say what to do; see rer-numba rez --help")
    return BAD_INPUT


def status(arguments: argparse.Namespace) -> int:
    """`rer-numba rez status [REQUEST...]`."""
    from rer_numba.rez_bridge import modes
    from rer_numba.rez_bridge.configured import packages_path_from_rez
    from rer_numba.rez_bridge.status import line_in, probe, repositories, resolve, rez_python

    packages_path_from_rez()  # an error that says what to do, where there is no rez

    found = probe(rez_python())
    version = found.get("version") or ""
    mode = modes.current()
    facts: dict[str, Any] = {
        "hooked": bool(found.get("hooked")),
        "python": found["python"],
        "rez": version or None,
        "supported": traits_of(version, found.get("folder")) is not None if version else False,
        "rer_numba": found.get("rer_numba"),
        "mode": mode.kind if mode.sample == 1.0 else f"{mode.kind}={mode.sample}",
        "configuration": found.get("configuration", []),
        "hooked_in": line_in(found.get("configuration", [])),
        "error": found.get("error"),
    }
    with facts_only():
        facts["repositories"], facts["unused"] = repositories()
        facts["request"] = resolve(arguments.requests) if arguments.requests else None
    if arguments.json:
        print_json(facts)
    else:
        _print(facts)
    is_solved = facts["request"] is None or facts["request"]["status"] == "solved"
    return OK if facts["hooked"] and is_solved and not facts["unused"] else UNSOLVED


def _print(facts: dict[str, Any]) -> None:
    output = PlainOutput(sys.stdout)
    supported = "" if facts["supported"] or not facts["rez"] else ", which is not supported"
    rows = [
        ("hooked", _hooked_text(facts)),
        ("rez", f"{facts['rez'] or 'cannot be imported'}{supported}, run by {facts['python']}"),
        ("mode", f"{facts['mode']}, by RER_NUMBA" if os.environ.get("RER_NUMBA") else facts["mode"]),
    ]
    rows += [("path" if not n else "", _repository_text(one)) for n, one in enumerate(facts["repositories"])]
    count = len(facts["unused"])
    rows += [(f"not used ({count})" if not n else "", _unused_text(one)) for n, one in enumerate(facts["unused"])]
    if facts["request"] is not None:
        rows += _request_rows(facts["request"])
    print_facts(output, rows)


def _hooked_text(facts: dict[str, Any]) -> str:
    """Yes, or what to do."""
    if facts["hooked"]:
        return f"yes, by {facts['hooked_in'] or 'an import elsewhere'}"
    if facts["error"]:
        return f"no: {facts['error'].splitlines()[-1]}"
    if facts["rer_numba"] is None:
        return f"no: {facts['python']} cannot import rer_numba; install it there"
    if facts["mode"] == "off":
        return "no: RER_NUMBA=off"
    if not facts["supported"]:
        return f"no: {unsupported(facts['rez'] or '')}; until then rez solves alone"
    return (
        f"no: no configuration file has the line {HOOK}; add it to the file that REZ_CONFIG_FILE points to, "
        "between try: and except Exception: pass"
    )


def _repository_text(one: dict[str, Any]) -> str:
    if one["file"] is None:
        return f"{one['path']}: not encoded, so each process reads what it needs"
    state = f"{count_families(one['changed'])} changed since" if one["changed"] else "current"
    return f"{one['path']}: {one['file']}, {state}"


def _unused_text(one: dict[str, Any]) -> str:
    """Where it lies, unless the reason begins with that, and why it is not used."""
    reason: str = one["reason"]
    return reason if reason.startswith(one["file"]) else f"{one['file']}: {reason}"


def _request_rows(request: dict[str, Any]) -> list[tuple[str, str]]:
    reasons = "; ".join(f"{reason} ({count})" for reason, count in request["reasons"].items())
    by = "nobody" if request["hooked"] else "rez alone"
    by = f"rez, because {reasons}" if request["fallback"] else "rer-numba" if request["native"] else by
    by = "rez's resolve cache" if request["from_cache"] else by
    took = f"{request['seconds'] * 1000:.0f} ms, {request['seconds_again'] * 1000:.0f} ms when asked again"
    said = request["failure"].splitlines() or [counted(len(request["packages"]), "package")]
    return [
        ("request", " ".join(request["request"])),
        ("answer", f"{request['status']}: {said[0]}"),
        ("solved by", by),
        ("time", took),
    ]
