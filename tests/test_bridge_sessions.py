"""One process that resolves, and changes packages, paths and rez's caches in between: as rez answers in its twin."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rer_numba.rez_bridge.verify import _normal
from tests.random_sessions import session, session_as_one
from tests.rez_commands import ROOT
from tests.session_child import Action

TIMEOUT = 600.0
RAISED_BY_REZ = ("a package raises FileNotFoundError",)
"""Fallbacks that are none: only rez can raise what it came to."""
BROKEN = re.compile(r'\["(?:ResourceError|PackageMetadataError|PackageDefinitionFileMissing|FileNotFoundError)", .*')
PLACE = re.compile(r"ROOT/p\d+/(\w+)/|'name': '(\w+)'|rez_write_")


class Broken:
    """The complaint of a broken file: equal to another one, unless both name a family."""

    def __init__(self, family: str | None) -> None:
        self.family = family

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Broken):
            return NotImplemented
        return None in (self.family, other.family) or self.family == other.family

    __hash__ = None  # type: ignore[assignment]


def comparable(action: Action, answer: str) -> Any:
    """What has to be equal: what a resolve says.

    In set order are the reductions in a text, and which of several broken versions rez complains of. Of a broken file
    that is gone it complains in one of two ways, and of one that rez has written itself by the name that rez wrote it
    under, or by its own.
    """
    if action[0] != "resolve":
        return None
    if BROKEN.fullmatch(answer):
        place = PLACE.search(answer)
        return Broken(place[1] or place[2]) if place else answer
    return [_normal(one) if isinstance(one, str) else one for one in json.loads(answer)]


def twins(folder: Path, sessions: Mapping[str, Sequence[Action]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Run sessions with rez alone and with ours behind it: the answers of both."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REZ_", "RER_NUMBA"))}
    cache = os.environ.get("RER_NUMBA_CACHE_DIR")
    kept |= {"HOME": str(folder), "PYTHONHASHSEED": "0", "REZ_DISABLE_HOME_CONFIG": "1", "RER_NUMBA_QUIET": "1"}
    kept |= {"RER_NUMBA_CACHE_DIR": cache} if cache else {}
    found = []
    for kind in ("plain", "hooked"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.session_child", kind, str(folder)],
            input=json.dumps(sessions), cwd=ROOT, env=kept, capture_output=True, text=True, check=False,
            timeout=TIMEOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.rpartition("\n")[2])
        assert not [reason for reason in told["reasons"] if reason not in RAISED_BY_REZ], told["reasons"]
        found.append(told["answers"])
    return found[0], found[1]


def differences(folder: Path, sessions: Mapping[str, Sequence[Action]]) -> list[Any]:
    """For each session that ends otherwise: its name, what was done until then, and both answers."""
    plain, hooked = twins(folder, sessions)
    found = []
    for name, actions in sessions.items():
        for k, action in enumerate(actions):
            if comparable(action, plain[name][k]) != comparable(action, hooked[name][k]):
                found.append((name, actions[: k + 1], plain[name][k], hooked[name][k]))
                break
    return found


@pytest.mark.parametrize("first", [0, 20_000])
def test_random_sessions(first: int, tmp_path: Path) -> None:
    assert not differences(tmp_path, {f"{seed:06}": session(seed) for seed in range(first, first + 24)})


@pytest.mark.parametrize("first", [0, 20_000])
def test_random_sessions_of_paths_that_are_published_as_one(first: int, tmp_path: Path) -> None:
    assert not differences(tmp_path, {f"{seed:06}": session_as_one(seed) for seed in range(first, first + 24)})


REQUIRES_B = "requires = ['b']\n"
SESSIONS: dict[str, list[Action]] = {
    "a package is removed by rez": [
        ("write", 0, "a", "1", ""), ("write", 0, "a", "2", ""), ("write", 1, "b", "1", ""), ("settle",),
        ("publish", [0]), ("resolve", [0], ["a"], 0), ("resolve", [0, 1], ["a"], 0), ("remove", 0, "a", "2"),
        ("resolve", [0], ["a"], 0), ("resolve", [0, 1], ["a"], 0),
    ],
    "read ahead of the solve": [
        ("write", 0, "a", "1", REQUIRES_B), ("write", 0, "a", "2", ""), ("write", 1, "b", "1", ""), ("settle",),
        ("publish", [1]), ("resolve", [0, 1], ["a-2"], 0), ("write", 0, "b", "2", ""), ("resolve", [0, 1], ["b"], 0),
    ],
    "read ahead, and edited before a solve comes to it": [
        ("write", 0, "a", "1", REQUIRES_B), ("write", 0, "a", "2", ""), ("write", 0, "b", "1", ""), ("settle",),
        ("resolve", [0], ["a-2"], 0), ("write", 0, "a", "1", ""), ("resolve", [0], ["a-1"], 0),
        ("write", 0, "a", "1", REQUIRES_B), ("resolve", [0], ["a-1"], 0),
    ],
    "read ahead by one list of paths, edited, and touched by another": [
        ("write", 0, "a", "1", REQUIRES_B), ("write", 0, "a", "2", ""), ("write", 0, "b", "1", ""),
        ("write", 1, "c", "1", ""), ("settle",), ("publish", [1]), ("resolve", [0, 1], ["a-2"], 0),
        ("write", 0, "a", "1", ""), ("resolve", [0], ["a-1"], 0), ("resolve", [0, 1], ["a-1"], 0),
    ],
    "read ahead, and taken off its path before a solve comes to it": [
        ("write", 0, "a", "1", "requires = ['c']\n"), ("write", 0, "a", "2", ""), ("write", 0, "c", "3", ""),
        ("write", 1, "c", "3", "timestamp = 100\n"), ("settle",), ("publish", [1]), ("resolve", [0, 1], ["a-2"], 0),
        ("drop", 0, "c", ""), ("resolve", [0, 1], ["c"], 0),
    ],
    "what another path hides is not touched": [
        ("write", 0, "a", "1", ""), ("write", 1, "a", "1", ""), ("settle",), ("publish", [0]), ("publish", [1]),
        ("resolve", [0, 1], ["a"], 0), ("write", 1, "a", "1", REQUIRES_B), ("resolve", [1], ["a"], 0),
    ],
    "what is stale brings no more with it": [
        ("write", 0, "a", "1", ""), ("write", 0, "b", "1", ""), ("write", 0, "c", "1", ""), ("settle",),
        ("publish", [0]), ("resolve", [0], ["a"], 0), ("write", 0, "a", "2", ""), ("write", 0, "b", "2", ""),
        ("resolve", [0], ["b"], 0), ("resolve", [0], ["a"], 0), ("write", 0, "c", "2", ""), ("clear", 0),
        ("resolve", [0], ["a", "b", "c"], 0),
    ],
    "published anew by another process": [
        ("write", 0, "a", "1", ""), ("write", 0, "b", "1", ""), ("settle",), ("publish", [0]),
        ("resolve", [0], ["a"], 0), ("write", 0, "a", "2", ""), ("publish", [0]), ("resolve", [0], ["a"], 0),
        ("write", 1, "c", "1", ""), ("resolve", [1, 0], ["a"], 0), ("clear_all",), ("resolve", [1, 0], ["a"], 0),
    ],
    "a package of a known family is edited": [
        ("write", 0, "a", "1", ""), ("write", 0, "a", "2", ""), ("write", 0, "b", "1", ""), ("settle",),
        ("publish", [0]), ("resolve", [0], ["a"], 0), ("write", 0, "a", "1", REQUIRES_B), ("write", 0, "a", "3", ""),
        ("resolve", [0], ["a"], 0), ("resolve", [0], ["a-1"], 0), ("write", 0, "a", "1", ""),
        ("resolve", [0], ["a-1"], 0), ("clear", 0), ("resolve", [0], ["a"], 0), ("resolve", [0], ["a-1"], 0),
    ],
    "a family comes to a known path": [
        ("write", 0, "a", "1", ""), ("settle",), ("publish", [0]), ("resolve", [0], ["a"], 0),
        ("resolve", [0], ["b"], 0), ("write", 0, "b", "1", ""), ("write", 0, "c", "1", ""),
        ("resolve", [0], ["b"], 0), ("resolve", [0], ["c"], 0),
    ],
    "a tool has looked before": [
        ("write", 0, "a", "1", ""), ("write", 0, "b", "1", ""), ("settle",), ("publish", [0]),
        ("look", [0], "a", True), ("look", [0], "c", False), ("write", 0, "a", "1", REQUIRES_B),
        ("write", 0, "a", "2", ""), ("write", 0, "c", "1", ""), ("publish", [0]), ("resolve", [0], ["a"], 0),
        ("resolve", [0], ["a-1"], 0), ("resolve", [0], ["c"], 0), ("resolve", [0], ["a-2"], 0),
    ],
    "a tool has looked for a family that goes": [
        ("write", 0, "a", "1", REQUIRES_B), ("write", 0, "b", "1", ""), ("write", 1, "b", "2", ""), ("settle",),
        ("look_for", 0, "b"), ("look_for", 0, "c"), ("drop", 0, "b", ""), ("write", 0, "c", "1", ""),
        ("resolve", [0, 1], ["a"], 0), ("resolve", [0], ["b"], 0), ("resolve", [0], ["c"], 0),
        ("resolve", [1], ["b"], 0),
    ],
    "a file is mended": [
        ("write", 0, "a", "1", "requires = ["), ("write", 1, "a", "1", "requires = ["), ("settle",), ("publish", [1]),
        ("resolve", [0], ["a"], 0), ("resolve", [1], ["a"], 0), ("write", 0, "a", "1", ""), ("write", 1, "a", "1", ""),
        ("resolve", [0], ["a"], 0), ("resolve", [1], ["a"], 0),
    ],
    "a repository that answers for some of its paths": [
        ("write", 0, "a", "1", REQUIRES_B), ("write", 0, "b", "1", ""), ("write", 1, "b", "2", ""),
        ("write", 1, "c", "1", ""), ("settle",), ("publish", [0, 1], True), ("resolve", [0], ["b"], 0),
        ("resolve", [0], ["a"], 0), ("resolve", [1], ["b"], 0), ("resolve", [1, 0], ["a"], 0),
        ("resolve", [1], ["c"], 0), ("resolve", [0], ["c"], 0),
    ],
    "what was touched by tables is told to whoever reads the folders": [
        ("write", 0, "a", "1", ""), ("write", 1, "b", "1", "variants = [['a-1'], ['a']]\nbuild_requires = ['a']\n"),
        ("write", 1, "b", "2", ""), ("settle",), ("publish", [0, 1]), ("resolve", [0, 1], ["b-1", "a"], 0),
        ("write", 1, "b", "1", ""), ("write", 1, "b", "2", "requires = ['c']\n"), ("drop", 0, "a", ""),
        ("write", 1, "b", "3", ""), ("resolve", [1, 0], ["b-1"], 0), ("resolve", [1], ["b"], 0),
        ("resolve", [1], ["b-2"], 0), ("clear", 0), ("resolve", [0, 1], ["b-1"], 0), ("resolve", [1], ["b-1"], 0),
        ("clear", 1), ("resolve", [0, 1], ["b-1"], 0), ("resolve", [1], ["b"], 0),
    ],
    "published anew, and one of the paths is forgotten": [
        ("write", 0, "a", "1", ""), ("write", 0, "a", "2", ""), ("write", 0, "b", "1", ""), ("write", 1, "c", "1", ""),
        ("settle",), ("publish", [0, 1]), ("resolve", [0, 1], ["a-1", "b", "c"], 0), ("write", 0, "a", "1", REQUIRES_B),
        ("write", 0, "a", "3", ""), ("write", 1, "c", "2", ""), ("publish", [0, 1]), ("clear", 1),
        ("resolve", [0, 1], ["a", "c"], 0), ("resolve", [0, 1], ["a-1"], 0), ("resolve", [0, 1], ["b"], 0),
        ("resolve", [0], ["a"], 0), ("resolve", [0], ["a-2"], 0), ("clear", 0), ("resolve", [0, 1], ["a", "c"], 0),
        ("resolve", [0, 1], ["a-1"], 0),
    ],
    "one list of paths after the other": [
        ("write", 0, "a", "1", REQUIRES_B), ("write", 1, "a", "1", ""), ("write", 1, "b", "1", ""), ("settle",),
        ("publish", [1]), ("resolve", [1], ["a"], 0), ("write", 1, "a", "1", REQUIRES_B), ("resolve", [1, 0], ["a"], 0),
        ("resolve", [0, 1], ["a"], 0), ("write", 0, "a", "1", ""), ("resolve", [0], ["a"], 0),
        ("resolve", [0, 1], ["a"], 0), ("clear", 0), ("resolve", [0, 1], ["a"], 0), ("resolve", [1], ["a"], 0),
    ],
}  # fmt: skip


def test_sessions(tmp_path: Path) -> None:
    assert not differences(tmp_path, SESSIONS)
