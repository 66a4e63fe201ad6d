"""One line in the file that REZ_CONFIG_FILE points to hooks every command of rez, and harms none.

Mostly with a stand-in for our solver: see `tests.stand_in`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.rez_commands import HOOK, WITH_SOURCES, Studio, write_packages

STAND_IN = f"{WITH_SOURCES}import tests.stand_in; tests.stand_in.put()\n"

PACKAGES = {"app-1": "requires = ['lib-1']", "lib-1": ""}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_packages(tmp_path_factory.mktemp("packages"), PACKAGES)


@pytest.fixture
def studio(tmp_path: Path, packages: Path) -> Studio:
    return Studio(tmp_path / "studio", [packages], STAND_IN + HOOK)


FORMS = {
    "script": ["-E", str(Path(sys.executable).with_name("rez-env")), "app", "--", "echo", "done"],
    "rez env": ["-E", str(Path(sys.executable).with_name("rez")), "env", "app", "--", "echo", "done"],
    "module": ["-m", "rez.cli._main", "env", "app", "--", "echo", "done"],
    "API": ["-c", "from rez.resolved_context import ResolvedContext as C; assert C(['app']).success; print('done')"],
    "API, -E": [
        "-Ec",
        "from rez.resolved_context import ResolvedContext as C; assert C(['app']).success; print('done')",
    ],
    "resolver first": [
        "-Ec",
        "import rez.resolver, rez.resolved_context as c; assert c.ResolvedContext(['app']).success; print('done')",
    ],
    "installed within": [
        "-Ec",
        f"{WITH_SOURCES}import rer_numba.rez_bridge as b; b.install(); import rez.resolved_context as c;"  # noqa: ISC004
        "assert c.ResolvedContext(['app']).success; print('done')",
    ],
    "solver first": [
        "-Ec",
        "import rez.solver, rez.resolved_context as c; assert c.ResolvedContext(['app']).success; print('done')",
    ],
    "configuration first": [
        "-Ec",
        "import rez.config as a; a.config.implicit_packages; import rez.resolved_context as c;"  # noqa: ISC004
        "assert c.ResolvedContext(['app']).success; print('done')",
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_one_line_hooks_every_command(studio: Studio, form: str) -> None:
    done = studio.run(*FORMS[form])
    assert (done.code, done.out.strip(), done.err) == (0, "done", done.err if "Pip-based" in done.err else "")
    assert done.facts["native"] == 1, done


def test_off_for_every_command(studio: Studio) -> None:
    done = studio.rez("rez-env", "app", "--", "echo", "done", variables={"RER_NUMBA": "off"})
    assert (done.code, done.out) == (0, "done\n")
    assert done.facts["solver"] == "rez.solver" and done.facts.get("native", 0) == 0


def test_strict_stops_a_command(tmp_path: Path, packages: Path) -> None:
    missing = f"{WITH_SOURCES}sys.modules['rer_numba.rez_bridge.solver'] = None\n{HOOK}"
    studio = Studio(tmp_path / "studio", [packages], missing)
    done = studio.rez("rez-env", "app", "--", "echo", "done", variables={"RER_NUMBA": "strict"})
    assert done.code == 1 and done.out == "" and "FallbackError: RER_NUMBA=strict" in done.err
    done = studio.rez("rez-env", "app", "--", "echo", "done")
    assert (done.code, done.out) == (0, "done\n")
    assert done.err.count("our solver cannot be imported") == 1 and "Traceback" not in done.err


def test_commands_that_solve_nothing_pay_nothing(tmp_path: Path, packages: Path) -> None:
    """No numpy: with the true solver in its place, which nobody asks for."""
    studio = Studio(tmp_path / "studio", [packages], WITH_SOURCES + HOOK)
    for code in ("from rez.config import config; config.packages_path", "import rez.resolved_context"):
        done = studio.run("-Ec", code)
        assert (done.code, done.err, done.facts["numpy"]) == (0, "", False), done


def test_trouble_leaves_rez_as_it_is(tmp_path: Path, packages: Path) -> None:
    """Whatever goes wrong while hooking is one line, as rez warns."""
    broken = f"{WITH_SOURCES}sys.modules['rer_numba.rez_bridge.hook'] = None\n{HOOK}"
    done = Studio(tmp_path / "studio", [packages], broken).rez("rez-env", "app", "--", "echo", "done")
    assert (done.code, done.out) == (0, "done\n")
    (line,) = [line for line in done.err.splitlines() if "Pip-based" not in line]
    assert re.fullmatch(r"[0-9:]+ WARNING +rer-numba: rez could not be hooked, and solves alone: \w+: .*", line)


KINDS = {
    "is gone": "raise ImportError('gone')",
    "lacks a name": "raise AttributeError('no such name')",
    "is of another Python": "raise SyntaxError('invalid syntax')",
    "cannot be read": "raise OSError(5, 'Input/output error')",
    "fails": "raise RuntimeError('no reason')",
}
"""What a module does that an installation has lost, or that was half replaced."""

BREAK = """
class _Breaker:
    def find_spec(self, name, *_, **__):
        if name == {module!r}:
            {act}
sys.meta_path.insert(0, _Breaker())
del _Breaker
"""

GUARDED = f"try:\n    {HOOK}\nexcept Exception:\n    pass\n"
"""As docs/rez.md has it."""


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("rer_numba", "is gone"),
        ("rer_numba", "fails"),
        ("rer_numba.rez_bridge", "is of another Python"),
        ("rer_numba.rez_bridge.auto", "cannot be read"),
        ("rer_numba.rez_bridge.modes", "lacks a name"),
        ("rer_numba.tell", "is gone"),
        ("rer_numba.rez_bridge.hook", "is of another Python"),
        ("rer_numba.rez_bridge.stats", "fails"),
        ("rer_numba.rez_bridge.solver", "cannot be read"),
        ("rer_numba.rez_bridge.refusals", "lacks a name"),
        ("rer_numba.engine", "is gone"),
        ("rer_numba.native", "fails"),
        ("rer_numba.requests", "is gone"),
        ("rer_numba.orderers", "lacks a name"),
    ],
)
def test_a_broken_installation_never_stops_rez(tmp_path: Path, packages: Path, module: str, kind: str) -> None:
    """Whatever module is broken, and however: a resolve goes on, and says at most one line."""
    lines = WITH_SOURCES + BREAK.format(module=module, act=KINDS[kind]) + GUARDED
    done = Studio(tmp_path / "studio", [packages], lines).rez("rez-env", "app", "--", "echo", "done")
    assert (done.code, done.out) == (0, "done\n"), done.err
    told = [line for line in done.err.splitlines() if "Pip-based" not in line]
    assert len(told) <= 1 and all("WARNING  rer-numba" in line for line in told), done.err


def test_warnings_are_lines_of_rez(tmp_path: Path, packages: Path) -> None:
    """No source line of ours, and nothing while the configuration is read."""
    reads = f"{WITH_SOURCES}import sys; print('read', file=sys.stderr)\n{HOOK}"
    studio = Studio(tmp_path / "studio", [packages], reads)
    done = studio.rez("rez-env", "app", "--", "echo", "done", variables={"RER_NUMBA": "stirct"})
    assert (done.code, done.out) == (0, "done\n")
    read, line = [line for line in done.err.splitlines() if "Pip-based" not in line]
    assert read == "read"
    assert re.fullmatch(r"[0-9:]+ WARNING +rer-numba: RER_NUMBA=stirct means nothing.*", line)


def test_the_drop_in_itself_while_hooked(tmp_path: Path, packages: Path) -> None:
    """Whoever uses our solver by its own name gets one over rez's own class, not over the hooked name."""
    studio = Studio(tmp_path / "studio", [packages], WITH_SOURCES + HOOK)
    code = (
        "import rez.resolver, rer_numba.rez_bridge as bridge; from rer_numba.rez_bridge.hook import rez_solver, Hooked;"
        "bases = bridge.Solver.__mro__;"
        "assert rez.resolver.Solver is Hooked and rez_solver() in bases and Hooked not in bases;"
        "solver = bridge.Solver([], ['.'], verbosity=0); solver.solve(); print(solver.status.name)"
    )
    done = studio.run("-Ec", f"{WITH_SOURCES}import rez.config; rez.config.config.packages_path; {code}")
    assert (done.code, done.out, done.err) == (0, "solved\n", "")
