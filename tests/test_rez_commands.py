"""`rez-env` hooked and not hooked: the same output, exit code, environment, and saved context with its graph."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import rez

from tests.rez_commands import HOOK, WITH_SOURCES, Done, Studio, write_packages

REZ_PACKAGES = Path(rez.__file__).parent / "data" / "tests" / "solver" / "packages"

OURS = {
    "app-1": "requires = ['lib-1']\ntimestamp = 1000",
    "app-2": "requires = ['lib-2']\ntimestamp = 2000\ndef commands():\n    env.APP_ROOT = '{root}'",
    "lib-1": "variants = [['base-1'], ['base-2']]\ntimestamp = 1000",
    "lib-2": "variants = [['base-1'], ['base-2']]\ntimestamp = 1000\nbuild_requires = ['tool']",
    "base-1": "timestamp = 1000",
    "base-2": "timestamp = 1000",
    "tool-1": "timestamp = 1000",
    "ring_a-1": "requires = ['ring_b']",
    "ring_b-1": "requires = ['ring_a']",
    "orphan-1": "requires = ['nowhere']",
    "newer-1": "requires = ['base-3+']",
    "quarrel-1": "requires = ['base-1', '!base-1']",
    "broken-1": "requires = ['base'",
    "broken-0.5": "requires = ['base']",
    "odd-1": "requires = ['not a name']",
    "marked-1": "requires = ['.feature-1', '~base-1']",
    "late-1": "@late()\ndef requires():\n    return ['base-1']",
    "failing-1": "@late()\ndef requires():\n    raise ValueError('mine')",
}

REQUESTS = {
    "solves": "app",
    "of two paths": "app pyfoo pybah",
    "weak, conflict, ephemeral": "marked base ~lib-1 !python-2.5",
    "build": "lib-2 -b",
    "before a time": "app -t 1500",
    "excluded": "app --exclude app-2",
    "fails": "app-1 lib-2",
    "fails after steps": "pyfoo-3.1 pybah-5 python-2.5",
    "all reduced": "app lib !base",
    "contradicts itself": "lib-1 lib-2",
    "limit": "app lib !base --max-fails 1",
    "cycle": "ring_a",
    "missing family": "nothing",
    "missing version": "app-7",
    "requires a missing family": "orphan",
    "requires a missing version": "newer",
    "contradicts its requirements": "quarrel",
    "broken package": "broken",
    "broken package, not reached": "broken<1",
    "bad requirement": "odd",
    "late function": "late",
    "late function that fails": "failing",
    "bad request": "app==",
    "fail graph": "app-1 lib-2 --fail-graph",
}

FOR_EACH_REZ = {
    "weak, conflict, ephemeral",
    "excluded",
    "all reduced",
    "limit",
    "requires a missing family",
    "fail graph",
}
"""What ``.ci/under_rez`` asks here; it asks more in test_rez_commands_versions.py."""

RAISE = {
    "missing family", "missing version", "requires a missing family", "requires a missing version",
    "contradicts its requirements", "broken package", "bad requirement", "bad request", "late function that fails",
}  # fmt: skip
"""Where rez ends in an error and saves nothing."""

TIMES = {"created", "solve_time", "load_time", "timestamp", "requested_timestamp"}
"""Of a saved context: what differs between two runs of rez."""


@pytest.fixture(scope="module")
def studios(tmp_path_factory: pytest.TempPathFactory) -> tuple[Studio, Studio]:
    """Plain and hooked, on the same packages."""
    folder = tmp_path_factory.mktemp("studios")
    packages = [write_packages(folder / "packages", OURS), REZ_PACKAGES]
    return Studio(folder / "plain", packages), Studio(folder / "hooked", packages, WITH_SOURCES + HOOK)


CYCLE = re.compile("ring_a-1 --> ring_b-1 --> ring_a-1|ring_b-1 --> ring_a-1 --> ring_b-1")
"""Where rez begins to tell of a cycle changes from run to run of plain rez, whatever PYTHONHASHSEED is."""


def saved(studio: Studio, name: str) -> dict[str, Any] | None:
    """The saved context."""
    file = studio.folder / f"{name}.rxt"
    return json.loads(CYCLE.sub("CYCLE", file.read_text())) if file.exists() else None


def without_times(context: dict[str, Any] | None) -> dict[str, Any] | None:
    return context and {key: value for key, value in context.items() if key not in TIMES}


HANDED_OVER = re.compile(
    r'  File ".*rez_bridge.solver\.py", line \d+, in solve\n    self\._rez\.solve\(\)\n(    [~^]+\n)?'
)
"""The one place of ours in the traceback of a solve that rez does. Python 3.13 underlines calls."""


def told(done: Done, studio: Studio) -> tuple[int, str, str]:
    """Exit code and texts, without the studio's own folder and the time of day."""
    texts = (HANDED_OVER.sub("", text.replace(str(studio.folder), "")) for text in (done.out, done.err))
    out, err = (re.sub(r"\b\d\d:\d\d:\d\d\b", "TIME", CYCLE.sub("CYCLE", text)) for text in texts)
    return done.code, out, err


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.each_rez if case in FOR_EACH_REZ else ()) for case in REQUESTS]
)
def test_resolve_and_save(studios: tuple[Studio, Studio], case: str) -> None:
    plain, hooked = studios
    arguments = [*REQUESTS[case].split(), "-o", f"{case}.rxt"]
    expected, found = (studio.rez("rez-env", *arguments) for studio in studios)
    assert told(found, hooked) == told(expected, plain)
    assert without_times(saved(hooked, case)) == without_times(saved(plain, case))
    assert (saved(plain, case) is None) == (case in RAISE or case == "fail graph")
    by_rez = {"late function that fails"}
    if case != "bad request":
        assert (found.facts["native"], found.facts["fallback"]) == ((0, 1) if case in by_rez else (1, 0)), found.facts


@pytest.mark.parametrize("case", ["solves", "cycle", "fails"])
def test_printed_graph(studios: tuple[Studio, Studio], case: str) -> None:
    """The graph of a saved context, as dot, to the letter."""
    texts = []
    for studio in studios:
        studio.rez("rez-env", *REQUESTS[case].split(), "-o", f"graph {case}.rxt")
        done = studio.rez("rez-context", "--print-graph", f"graph {case}.rxt")
        assert done.code == 0 and "digraph" in done.out, done
        texts.append(done.out)
    assert texts[0] == texts[1]


def test_environment(studios: tuple[Studio, Studio]) -> None:
    """What a command sees."""
    command = ("--", "sh", "-c", "echo $REZ_USED_RESOLVE $REZ_USED_REQUEST $APP_ROOT $REZ_LIB_VERSION; exit 7")
    answers = [told(studio.rez("rez-env", "app", *command), studio) for studio in studios]
    assert answers[0] == answers[1]
    assert answers[1][0] == 7 and "app-2" in answers[1][1]


def test_strict(studios: tuple[Studio, Studio]) -> None:
    """What is native passes, what is not is an error that names the reason."""
    _, hooked = studios
    strict = {"RER_NUMBA": "strict"}
    assert hooked.rez("rez-env", "app", "--", "true", variables=strict).code == 0
    done = hooked.rez("rez-env", "failing", "--", "true", variables=strict)
    assert done.code == 1 and "FallbackError: RER_NUMBA=strict" in done.err and "a package raises" in done.err


@pytest.mark.parametrize("case", ["solves", "fails after steps", "cycle", "orphan", "limit"])
def test_verify(studios: tuple[Studio, Studio], case: str) -> None:
    """No difference between the two."""
    _, hooked = studios
    reports = hooked.folder / "reports"
    variables = {"RER_NUMBA": "verify", "RER_NUMBA_VERIFY_DIR": str(reports)}
    done = hooked.rez("rez-env", *REQUESTS.get(case, case).split(), "--", "true", variables=variables)
    assert done.facts["differences"] == 0 and done.facts["native"] == 1, [p.read_text() for p in reports.glob("*")]
