"""Print a table of the README from what `rer-numba benchmark` wrote as JSON, of solves or (`--paths`) of folders.

rer-numba benchmark --rez-all --json > all.json && python asv_bench/table.py all.json
rer-numba benchmark --paths --json > paths.json && python asv_bench/table.py paths.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

ENGINES = ("rez", "pyrer", "rer-numba")
ROWS = (
    ("in the solver, all 188", "solver_ms_summary", "total"),
    ("in the solver, median", "solver_ms_summary", "median"),
    ("in the solver, worst", "solver_ms_summary", "worst"),
    ("as called from Python, all 188", "whole_ms_summary", "total"),
    ("as called from Python, median", "whole_ms_summary", "median"),
    ("as called from Python, worst", "whole_ms_summary", "worst"),
)


def fastest(engines: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The way of calling an engine that took less."""
    found = [engine for engine in engines if engine["label"].startswith(name)]
    return min(found, key=lambda engine: engine["whole_ms_summary"]["total"])


def text(ms: float) -> str:
    """Three digits and a unit."""
    if ms >= 1000:
        return f"{ms / 1000:.3g} s"
    return f"{ms:.3g} ms"


def table(report: dict[str, Any]) -> str:
    """The table, in Markdown."""
    engines = {name: fastest(report["engines"], name) for name in ENGINES}
    asked = {len(engine["numbers"]) for engine in engines.values()}
    if asked != {188}:
        raise SystemExit("not all engines were asked all requests: measure with --rez-all")
    labels = (engines[name]["label"].partition(",")[0] for name in ENGINES)
    lines = [f"| | {' | '.join(labels)} | rez / ours | pyrer / ours |", "|---|---|---|---|---|---|"]
    for title, which, key in ROWS:
        rez, pyrer, ours = (engines[name][which][key] for name in ENGINES)
        lines.append(
            f"| {title} | {text(rez)} | {text(pyrer)} | {text(ours)} | {rez / ours:,.0f} | {pyrer / ours:,.0f} |"
        )
    return "\n".join(lines)


def paths_table(report: dict[str, Any]) -> str:
    """What folders cost, in Markdown: medians."""
    rez = next((middle(one["runs"]) for one in report["readers"] if one["step"] == "rez"), None)
    lines = ["| | median | rez / ours |", "|---|---|---|"]
    for one in report["readers"]:
        seconds = middle(one["runs"])
        ratio = f"{rez / seconds:,.1f}" if rez and one["step"] == "encode" else ""
        what = "encode" if one["step"] == "encode" else "read"
        lines.append(
            f"| {what} {report['packages']:,} package files: {one['label']} | {text(1000 * seconds)} | {ratio} |"
        )
    refresh = report["refresh"]
    steps = {
        "open": report["open"]["again_ms"],
        "refresh, nothing changed": refresh["strict_ms"],
        "refresh, one family changed": refresh["median_family"]["ms"],
    }
    lines += [f"| {what} | {text(median(times))} | |" for what, times in steps.items()]
    return "\n".join(lines)


def middle(runs: Sequence[dict[str, Any]]) -> float:
    """The median of the seconds of some runs."""
    return median(run["seconds"] for run in runs)


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(paths_table(found) if "readers" in found else table(found))
