"""rez's resolve cache on a real memcached server: what plain rez has stored a hooked one reads, and the reverse."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process import wait_until
from tests.rez_commands import HOOK, WITH_SOURCES, Studio, write_packages

PACKAGES = {
    "app-1": "requires = ['lib-1', '.feature-1']",
    "app-2": "requires = ['lib-2', '.feature-2']",
    "lib-1": "variants = [['base-1'], ['base-2']]",
    "lib-2": "variants = [['base-1'], ['base-2']]",
    "base-1": "",
    "base-2": "",
}

ASK = """
import json, sys
from rez.resolved_context import ResolvedContext
context = ResolvedContext(sys.argv[1:])
print(json.dumps({
    "from_cache": context.from_cache, "status": context.status.name,
    "packages": [variant.handle.to_dict() for variant in context.resolved_packages or ()],
    "ephemerals": [str(one) for one in context.resolved_ephemerals or ()],
    "graph": context.graph(as_dot=True), "failure": context.failure_description,
}))
"""


@pytest.fixture
def server() -> Iterator[str]:
    """Address of an empty server."""
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("there is no memcached here; it comes with the system's package of that name")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    as_root = ["-u", "root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", *as_root]) as process:
        try:
            wait_for(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert process.poll() is None, "memcached has ended"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10):
                return True
        except OSError:
            return False

    wait_until(answers, "memcached")


@pytest.fixture
def studios(tmp_path: Path, server: str) -> dict[str, Studio]:
    packages = [write_packages(tmp_path / "packages", PACKAGES)]
    cached = f"memcached_uri = [{server!r}]\nresolve_caching = True\n"
    return {
        "plain": Studio(tmp_path / "plain", packages, cached),
        "hooked": Studio(tmp_path / "hooked", packages, f"{WITH_SOURCES}{HOOK}\n{cached}"),
    }


def ask(studio: Studio, *request: str) -> tuple[dict[str, Any], Any]:
    """What a context says, and how many solves were ours."""
    done = studio.run("-Ec", ASK, *request)
    assert done.code == 0, done.err
    return json.loads(done.out), done.facts.get("native", 0)


@pytest.mark.parametrize(("writer", "reader"), [("plain", "hooked"), ("hooked", "plain"), ("hooked", "hooked")])
def test_one_writes_the_other_reads(studios: dict[str, Studio], writer: str, reader: str, tmp_path: Path) -> None:
    """Packages, ephemerals and graph; until a package changes."""
    stored, solved = ask(studios[writer], "app")
    assert not stored["from_cache"] and solved == (writer == "hooked")
    read, solved = ask(studios[reader], "app")
    assert read == {**stored, "from_cache": True} and solved == 0
    assert [one["variables"]["name"] for one in read["packages"]] == ["base", "lib", "app"]
    assert read["ephemerals"] == [".feature-2"]
    write_packages(tmp_path / "packages", {"app-3": ""})
    again, solved = ask(studios[reader], "app")
    assert not again["from_cache"] and solved == (reader == "hooked")
    assert [one["variables"]["version"] for one in again["packages"]] == ["3"]


def test_failures_are_not_stored(studios: dict[str, Studio]) -> None:
    """By neither: each solves for itself, to the same answer."""
    answers = [ask(studios[name], "app-1", "lib-2")[0] for name in ("hooked", "plain", "hooked")]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["status"] == "failed" and not answers[0]["from_cache"]
