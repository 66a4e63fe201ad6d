"""What `rer-numba rez status` tells: is rez hooked, from what would it be answered, and how does a request go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

_PROBE_SECONDS = 60

_PROBE = """
import json, os, sys
facts = {"python": sys.executable}
try:
    import rez
    facts["version"] = rez.__version__
    facts["folder"] = os.path.dirname(rez.__file__)
    from rez.config import config
    config.packages_path
    facts["configuration"] = config.sourced_filepaths[1:]
    import rez.resolver
    facts["hooked"] = rez.resolver.Solver.__module__ == "rer_numba.rez_bridge.hook"
except Exception as error:
    facts["error"] = "%s: %s" % (type(error).__name__, error)
try:
    import rer_numba
    facts["rer_numba"] = rer_numba.__version__
except Exception as error:
    facts["rer_numba"] = None
sys.stdout.write("\\n" + json.dumps(facts))
"""
"""Run by rez's Python, which may not have rer-numba. Configurations may print before the last line."""


def rez_python() -> str:
    """Find the Python that runs rez's commands: that of `rez-env` on PATH, or else this one."""
    script = shutil.which("rez-env")
    if script is None:
        return sys.executable
    try:
        with open(script, "rb") as stream:
            first = stream.readline(1024).decode("utf-8", "replace").strip()
    except OSError:
        return sys.executable
    words = first.removeprefix("#!").split()
    return words[0] if first.startswith("#!/") and os.access(words[0], os.X_OK) else sys.executable


def probe(python: str) -> Facts:
    """Start a Python as rez's commands do, and look what its rez is.

    Returns
    -------
    dict
        "python"; and, as far as it came, "version" and "configuration" of rez, "hooked", the version of "rer_numba" or
        None, and "error", what went wrong.
    """
    try:
        done = subprocess.run(
            [python, "-E", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"python": python, "error": str(error)}
    try:
        facts: Facts = json.loads(done.stdout.rpartition("\n")[2])
    except ValueError:
        return {"python": python, "error": done.stderr.strip() or f"exit code {done.returncode}"}
    return facts


def line_in(files: Sequence[str]) -> str | None:
    """Return the first configuration file that imports our hook."""
    for file in files:
        if "rer_numba.rez_bridge.auto" in Path(file).read_text(encoding="utf-8", errors="replace"):
            return file
    return None


# --------------------------------------------------------------------------------------------------------- repositories
def repositories() -> tuple[list[Facts], list[Facts]]:
    """For each of rez's package paths, in its order: the encoded repository that answers for it, and is it current.

    Returns
    -------
    list of dict
        "path", "file" (None: it is read by each process) and "changed", the number of families that have changed
        since it was encoded.
    list of dict
        Repositories that cannot be used: "file", and "reason".
    """
    from rez.config import config
    from rez.package_repository import package_repository_manager

    from rer_numba.paths.freshness import RELEASE, Freshness
    from rer_numba.paths.settings import PathSettings
    from rer_numba.rez_bridge.published import published_for

    paths = list(config.packages_path)
    rows: list[Facts] = [{"path": path, "file": None, "changed": None} for path in paths]
    places = [package_repository_manager.get_repository(path) for path in paths]
    unused: list[Facts] = []
    for one in published_for(
        places, PathSettings.from_rez(), lambda file, reason: unused.append({"file": file, "reason": reason})
    ):
        settings = one.repository.path_settings
        assert settings is not None
        changed = len(Freshness(one.repository.views, settings).changed_families(RELEASE, lambda *_: None))
        for number in one.answers:
            rows[number].update(file=one.repository.file, changed=changed)
    return rows, unused


# -------------------------------------------------------------------------------------------------------------- request
def resolve(request: Sequence[str]) -> Facts:
    """Resolve a request as rez does it, hooked, and tell who did it.

    Returns
    -------
    dict
        "status" ("error" if rez raises), "packages", "failure", "native", "fallback" and "reasons", "hooked" (if not,
        rez solves alone: by RER_NUMBA=off, or since it is not known), "from_cache", and the seconds that it took the
        first time ("seconds"), and once more in the same process ("seconds_again").
    """
    from rer_numba.rez_bridge.hook import installed
    from rer_numba.rez_bridge.stats import reset, stats

    reset()
    with installed() as is_hooked:
        started = time.perf_counter()
        answer = _answer(request)
        seconds = time.perf_counter() - started
        counts = stats()
        started = time.perf_counter()
        _answer(request)
        again = time.perf_counter() - started
    return {
        "request": list(request),
        **answer,
        "native": counts["native"],
        "fallback": counts["fallback"],
        "reasons": counts["reasons"],
        "hooked": is_hooked,
        "seconds": round(seconds, 4),
        "seconds_again": round(again, 4),
    }


def _answer(request: Sequence[str]) -> Facts:
    from rez.resolved_context import ResolvedContext

    try:
        context = ResolvedContext(list(request))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - rez's own, and whatever code in packages raises, an exit too
        failure = f"{type(error).__name__}: {error}"
        return {"status": "error", "packages": [], "failure": failure, "from_cache": False}
    return {
        "status": context.status.name,
        "packages": [variant.qualified_name for variant in context.resolved_packages or ()],
        "failure": context.failure_description or "",
        "from_cache": bool(context.from_cache),
    }
