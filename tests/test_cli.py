"""The command line: what it prints, what it returns, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rer_numba import __version__, cli, commands_repository, studio, tables_text
from rer_numba.tables_text import Column, Table, table_lines
from tests.process import ROOT, run_python

LINUX = ("~platform==linux", "~arch==x86_64", "~os==rocky-9")
HEAVY = {"llvmlite", "numba", "numpy", "pyarrow", "pyrer", "rez", "rich"}

Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *argv: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = cli.main([str(text) for text in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The studio, encoded."""
    path = tmp_path_factory.mktemp("site") / "site.rer"
    assert cli.main(["encode", os.path.join(studio.studio_folder(), "packages.json"), "-o", str(path)]) == 0
    return path


# ------------------------------------------------------------------------------------------------------------- start-up
@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["solve", "--help"], ["benchmark", "--help"], []])
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    program = (
        f"import sys; from rer_numba.cli import main; code = main({argv})\n"
        "print(code, *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = run_python("-c", program)
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stderr
    assert not HEAVY & set(modules)
    assert len(modules) < 100  # some 60: a guard against importing the world


def test_import_is_lazy_and_complete() -> None:
    program = """
import rer_numba, sys
assert 'numpy' not in sys.modules
from rer_numba import *
print(Repository, solve, __version__)
assert 'solve' in dir(rer_numba) and set(rer_numba.__all__) <= set(globals())
"""
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr
    done = run_python("-c", "import rer_numba; rer_numba.nothing")
    assert "module 'rer_numba' has no attribute 'nothing'" in done.stderr


def test_module_runs_as_the_command() -> None:
    done = run_python("-m", "rer_numba", "--version")
    assert (done.returncode, done.stdout) == (0, f"rer-numba {__version__}\n")


# ---------------------------------------------------------------------------------------------------------------- usage
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["bogus"], "invalid choice"),
        (["solve"], "required: REQUEST"),
        (["solve", "maya", "--bogus"], "unrecognized arguments: --bogus"),
        (["info", "a.rer", "b.rer"], "unrecognized arguments: b.rer"),
        (["encode", "packages"], "give -o FILE, for example site.rer"),
        (["solve", "maya", "--variant-select-mode", "best"], "invalid choice: 'best'"),
        (["solve", "maya", "--time", "-1w"], "'-1w' is an unrecognised time format."),
        (["solve", "maya", "-t", "noon"], "'noon' is an unrecognised time format."),
        (["solve", "maya", "--exclude", "foo(x)"], "--exclude: 'foo' is not a valid package filter type"),
        (["solve", "maya", "--include", "after(x)"], "--include: Error parsing package filter 'after(x)'"),
        (["solve", "maya", "--orderers", "none.json"], "none.json: No such file or directory; check the path"),
        (["solve", "maya", "--filter", "none.yaml"], "none.yaml: No such file or directory; check the path"),
        (["config", "-r", "none.rer"], "none.rer: No such file or directory; check the path"),
        (["encode", ".", "-o", "x.rer", "--options", "none.json"], "none.json: No such file or directory"),
        (["encode", ".", "-o", "x.rer", "--options", "a", "--from-rez"], "not allowed with argument"),
        (["benchmark", "--requests", "0"], "'0' is no number from 1 on"),
        (["benchmark", "--repeat", "many"], "'many' is no number from 1 on"),
        (["benchmark", "--engines", "cargo"], "there is no engine 'cargo'"),
        (["info", "none.rer"], "none.rer: No such file or directory; check the path"),
        (["solve", "-r", "none.rer", "maya"], "none.rer: No such file or directory; check the path"),
        (["encode", "none", "-o", "x.rer"], "none: No such file or directory; check the path"),
        (["warmup", "--cpu", "no such cpu"], "'no such cpu' cannot be the name of a CPU"),
    ],
)
def test_bad_input_is_one_line(
    argv: list[str], message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *argv)
    assert (code, out) == (cli.BAD_INPUT, "")
    assert message in err
    assert err.startswith("rer-numba")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_no_repositories(capsys: Capture, tmp_path: Path, site: Path) -> None:
    (tmp_path / "text.rer").write_text("hello")
    (tmp_path / "damaged.rer").write_bytes(site.read_bytes()[:-5000])
    for name in ("text.rer", "damaged.rer", "."):
        code, out, err = run(capsys, "solve", "-r", tmp_path / name, "maya")
        assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
        assert str(tmp_path) in err and ";" in err


def test_unforeseen_errors_have_no_traceback(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: Any) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(commands_repository, "info", broken)
    monkeypatch.delenv("RER_NUMBA_DEBUG", raising=False)
    code, _, err = run(capsys, "info", "x")
    assert (code, err.count("\n")) == (cli.BAD_INPUT, 1)
    assert "internal error: ZeroDivisionError: division by zero" in err and "RER_NUMBA_DEBUG" in err
    monkeypatch.setenv("RER_NUMBA_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["info", "x"])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), cli.INTERRUPTED, "interrupted"),
        (ImportError("No module named 'llvmlite'"), cli.BAD_INPUT, "installation is not complete"),
        (OSError(28, "No space left on device", "site.rer"), cli.BAD_INPUT, "site.rer: No space left on device"),
        (PermissionError(13, "Permission denied", "site.rer"), cli.BAD_INPUT, "check who may read"),
    ],
)
def test_what_errors_become(
    error: BaseException, code: int, message: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(arguments: Any) -> int:
        raise error

    monkeypatch.setattr(commands_repository, "info", broken)
    found, _, err = run(capsys, "info", "x")
    assert found == code and message in err and err.count("\n") == 1


def test_warnings_are_one_line(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def warns(arguments: Any) -> int:
        warnings.warn("mind the gap", RuntimeWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(commands_repository, "info", warns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warnings, "filters", [("always", None, Warning, None, 0)])
        assert run(capsys, "info", "x") == (0, "", "rer-numba: warning: mind the gap\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes of a POSIX shell")
def test_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m rer_numba demo | true"
    done = subprocess.run(command, check=False, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


# ----------------------------------------------------------------------------------------------------------------- demo
@pytest.mark.parametrize("width", [80, 120])
def test_demo(width: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = run(capsys, "demo")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= width
    for text in ("maya-2024 nuke-13", "nuke-13.2.8[0]", "A package was completely reduced", ".show-2"):
        assert text in out
    assert [line.split()[-4] for line in out.splitlines() if line.startswith("houdini")] == ["solved", "error"]


def test_demo_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """By rich: the same facts; brackets are text and not markup."""
    pytest.importorskip("rich")
    monkeypatch.setattr(tables_text, "_is_rich_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys, "demo")
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    assert "nuke-13.2.8[0]" in out and "(vray_maya-6.2.0[2]" in out


def test_demo_answers_are_those_of_the_studio() -> None:
    repository = studio.studio_repository()
    for request in studio.studio_requests().values():
        status = repository.solve(request.requests, **request.options).status
        assert status == request.expected.split()[0], request.name


def test_studio_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(studio, "__file__", os.path.join(os.sep, "nowhere", "rer_numba", "studio.py"))
    code, _, err = run(capsys, "solve", "maya")
    assert code == cli.BAD_INPUT and "install rer-numba again" in err


# ---------------------------------------------------------------------------------------------------------------- solve
def test_solve_prints_packages(capsys: Capture, site: Path) -> None:
    code, out, err = run(capsys, "solve", "-r", site, "gpu_blade", "redshift", "maya-2024", *LINUX)
    assert (code, err) == (0, "")
    first, *lines, last = out.splitlines()
    assert first.startswith(f"solved: {len(lines)} packages, ")
    assert ["maya-2024.2[0]", "maya/2024.2/package.py[0]"] in [line.split() for line in lines]
    assert last == "ephemerals: .gpu-1"


def test_solve_uses_the_studio_without_a_file(capsys: Capture, site: Path) -> None:
    request = ("maya-2024", "nuke-14", "!python-3.9", *LINUX)
    without, given = (
        json.loads(run(capsys, "solve", "--json", *more, *request)[1]) for more in ((), ("-r", str(site)))
    )
    for answer in (without, given):
        assert answer.pop("solve_time_ms") > 0
    assert without == given


def test_solve_failure_is_rez_text(capsys: Capture) -> None:
    code, out, err = run(capsys, "solve", "maya-2024", "nuke-13", *LINUX)
    assert (code, err) == (cli.UNSOLVED, "")
    assert out.splitlines()[1:] == ["The following package conflicts occurred: (python-3.10 <--!--> python-3.7)"]
    assert out.startswith("failed: 1 step, 1 fail, ")
    code, out, _ = run(capsys, "solve", "nothere")
    assert code == cli.UNSOLVED
    assert out.splitlines()[1:] == [
        "PackageFamilyNotFoundError: package family not found: nothere (searched: <studio>)"
    ]


@pytest.mark.parametrize(
    "argv",
    [
        ["maya", "!nuke", "~houdini-20"],
        ["--", "maya", "!nuke", "~houdini-20"],
        ["maya", "--building", "!nuke", "~houdini-20"],
        ["--json", "maya", "!nuke", "--", "~houdini-20"],
    ],
)
def test_requests_keep_their_order(argv: list[str], capsys: Capture, site: Path) -> None:
    where = argv.index("--") if "--" in argv else len(argv)
    code, out, err = run(capsys, "solve", *argv[:where], "--json", "-r", site, *argv[where:])
    assert code == 0, err
    assert json.loads(out)["requests"] == ["maya", "!nuke", "~houdini-20"]


def test_solve_options(capsys: Capture, site: Path) -> None:
    def solve(*argv: str) -> tuple[int, dict[str, Any]]:
        code, out, _ = run(capsys, "solve", "-r", site, "--json", *argv, *LINUX)
        return code, json.loads(out)

    def index(answer: dict[str, Any], name: str) -> int | None:
        return next(p["variant_index"] for p in answer["resolved_packages"] if p["name"] == name)

    denoise = ("denoiser-2", "cuda", "tbb", "embree")
    assert index(solve(*denoise)[1], "denoiser") == 2
    assert index(solve("--variant-select-mode", "intersection_priority", *denoise)[1], "denoiser") == 1
    groom = ("groom_kit", "maya", "shot_browser")
    code, answer = solve(*groom)
    assert (code, answer["status"], answer["error_type"]) == (1, "error", "PackageFamilyNotFoundError")
    assert solve("--no-error-on-missing", *groom)[0] == 0
    names = [
        {p["name"] for p in solve(*more, "geo_cache", "python-3.10")[1]["resolved_packages"]}
        for more in ((), ("--building",))
    ]
    assert "cmake" not in names[0] and "cmake" in names[1]


# ------------------------------------------------------------------------------------------------------------- settings
def packages_of(capsys: Capture, *argv: object) -> dict[str, str]:
    """Name -> version of what a solve prints."""
    code, out, err = run(capsys, "solve", "--json", *argv)
    assert code == 0, err or out
    return {package["name"]: package["version"] for package in json.loads(out)["resolved_packages"]}


def test_filters_and_times(capsys: Capture, site: Path, tmp_path: Path) -> None:
    def cmake(*argv: object) -> str:
        return packages_of(capsys, "-r", site, *argv, "cmake", *LINUX)["cmake"]

    hides = tmp_path / "filter.json"
    hides.write_text('{"excludes": ["cmake-3.27"]}')
    assert cmake() == "3.27.9"
    assert cmake("--exclude", "cmake-3.27*") == cmake("--filter", hides) == "3.20.6"
    assert cmake("--filter", hides, "--include", "cmake-3.27*") == "3.27.9"
    assert cmake("--exclude", "cmake-3.27*", "--exclude", "nothing", "--include", "cmake") == "3.27.9"
    assert cmake("--time", "1700000000") == cmake("-t", "1700000000") == "3.20.6"
    assert cmake("--time", "-5m") == cmake("--time=-0.5h") == cmake("-t", "-.5d") == "3.27.9"
    # as in rez, an inclusion also saves packages from the time
    assert cmake("--filter", hides, "--include", "cmake-3.27*", "-t", "1700000000") == "3.27.9"
    code, out, _ = run(capsys, "solve", "-r", site, "cmake", *LINUX, "-t", "1000")
    assert code == cli.UNSOLVED and "PackageNotFoundError: " in out


def test_orderers(capsys: Capture, site: Path, tmp_path: Path) -> None:
    orderers = [{"type": "sorted", "descending": False, "packages": ["cmake"]}]
    files = [tmp_path / name for name in ("orderers.json", "whole.json", "rezconfig.py", "site.yaml")]
    for file, text in zip(
        files,
        (
            json.dumps(orderers),
            json.dumps({"package_orderers": orderers}),
            f"package_orderers = ModifyList(append={orderers!r})",
            "package_orderers:\n- type: sorted\n  descending: false\n  packages: [cmake]\n",
        ),
        strict=True,
    ):
        file.write_text(text)
        assert packages_of(capsys, "-r", site, "--orderers", file, "cmake", *LINUX)["cmake"] == "3.20.6", file.name


@pytest.mark.parametrize(
    ("option", "name", "text", "message"),
    [
        ("--orderers", "o.json", "[", "no JSON"),
        ("--orderers", "o.json", '[{"type": "best"}]', "'best'"),
        ("--orderers", "o.json", '[{"type": "sorted"}]', "'descending' is missing"),
        ("--orderers", "o.py", "package_filter = []", "does not set package_orderers"),
        ("--orderers", "o.py", "package_orderers = [", "Error loading configuration"),
        ("--orderers", "o.py", "package_orderers = [{'type': 'best'}]", "'best'"),
        ("--orderers", "o.yaml", "package_orderers: 5", "Misconfigured setting 'package_orderers'"),
        ("--filter", "f.json", '{"exclude": ["foo"]}', "'exclude'"),
        ("--filter", "f.json", '{"excludes": ["foo(x)"]}', "'foo'"),
        ("--filter", "f.yaml", "package_filter: {excludes: ['foo(x)']}", "'foo'"),
        ("--filter", "f.json", "5", "5"),
    ],
)
def test_files_that_cannot_be_used(
    option: str, name: str, text: str, message: str, capsys: Capture, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    code, out, err = run(capsys, "solve", "maya", option, path)
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
    assert message in err and str(path) in err


def test_without_rez_its_files_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("package_orderers: []")
    for argv in (["solve", "maya", "--orderers", str(path)], ["config", "--from-rez"]):
        program = f"import sys; sys.modules['rez'] = None; from rer_numba.cli import main; sys.exit(main({argv!r}))"
        done = run_python("-c", program)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (cli.BAD_INPUT, "", 1)
        assert "pip install rez" in done.stderr


def test_stored_options_and_where_they_came_from(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "packages.json").write_text('[{"name": "app", "version": "1"}, {"name": "app", "version": "2.beta"}]')
    (tmp_path / "options.json").write_text('{"package_filter": [{"excludes": ["*.beta"]}], "building": true}')
    site = tmp_path / "site.rer"
    argv = ["encode", tmp_path / "packages.json", "-o", site, "--options", tmp_path / "options.json"]
    assert run(capsys, *argv)[0] == 0
    assert packages_of(capsys, "-r", site, "app") == {"app": "1"}
    assert packages_of(capsys, "-r", site, "app", "--include", "*.beta") == {"app": "2.beta"}

    def config(*argv: object) -> dict[str, tuple[Any, str, str]]:
        code, out, err = run(capsys, "config", "--json", *argv)
        assert (code, err) == (0, "")
        return {name: tuple(told.values()) for name, told in json.loads(out).items()}

    assert config()["package_filter"] == (None, "default", "")
    stored = config("-r", site, "-t", "50", "--no-implicit")
    assert stored["package_filter"] == ([{"excludes": ["glob(*.beta)"]}], "stored", str(site))
    assert stored["building"] == (True, "stored", str(site))
    assert stored["timestamp"] == (50, "option", "--time")
    assert stored["implicit_packages"] == ([], "option", "--no-implicit")
    added = config("-r", site, "--exclude", "lib")["package_filter"]
    assert added[1:] == ("stored", f"{site} and --exclude")
    assert added[0] == [{"excludes": ["glob(*.beta)", "range(lib)"]}]
    code, out, _ = run(capsys, "config", "-r", site)
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()[2:]}
    assert code == 0 and list(rows) == list(stored)
    assert rows["building"].split() == ["true", "stored", str(site)]
    assert len({line.index("stored") for line in out.splitlines()[2:]}) == 1  # aligned


def test_settings_of_rez(tmp_path: Path) -> None:
    """In processes of their own, since rez reads its configuration once."""
    (tmp_path / "site.py").write_text("package_filter = {'excludes': ['app-2']}\nimplicit_packages = ['!python-2']\n")
    (tmp_path / "packages.json").write_text('[{"name": "app", "version": "1"}, {"name": "app", "version": "2"}]')
    site = str(tmp_path / "site.rer")
    variables = {
        "REZ_CONFIG_FILE": str(tmp_path / "site.py"),
        "REZ_DISABLE_HOME_CONFIG": "1",
        "REZ_VARIANT_SELECT_MODE": "intersection_priority",
    }
    setup = (
        f"import os, sys; os.environ.update({variables!r})\n"
        "from rer_numba.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = run_python("-c", setup, "encode", tmp_path / "packages.json", "-o", site, "--from-rez")
    assert done.returncode == 0, done.stderr
    solved = run_python("-m", "rer_numba", "solve", "-r", site, "app", "--json")
    assert [package["version"] for package in json.loads(solved.stdout)["resolved_packages"]] == ["1"]
    done = run_python("-c", setup, "config", "--from-rez", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["package_filter"]["from"] == "rez" and told["package_filter"]["place"] == str(tmp_path / "site.py")
    assert told["variant_select_mode"] == {
        "value": "intersection_priority",
        "from": "environment",
        "place": "REZ_VARIANT_SELECT_MODE",
    }
    assert (told["package_orderers"]["from"], told["timestamp"]["from"]) == ("rez", "default")


# ------------------------------------------------------------------------------------------------- encode, info, warmup
def test_encode_and_info(capsys: Capture, tmp_path: Path) -> None:
    source = os.path.join(studio.studio_folder(), "packages.json")
    code, out, err = run(capsys, "encode", source, "-o", tmp_path / "a.rer")
    assert (code, err) == (0, "")
    assert {"families  80", "packages  201"} <= set(out.splitlines())
    encoded = json.loads(run(capsys, "encode", source, "-o", tmp_path / "b.rer", "--json")[1])
    code, out, _ = run(capsys, "info", tmp_path / "a.rer", "--json")
    facts = json.loads(out)
    assert facts["paths"] == [source]
    assert facts["fingerprint"] == encoded["fingerprint"]
    assert facts["bytes"] == (tmp_path / "a.rer").stat().st_size
    for name in ("families", "packages", "variants", "requirements", "ranges"):
        assert facts[name] == encoded[name] > 0
    assert (facts["path_settings"], facts["late"], facts["broken"]) == (None, encoded["late"], encoded["broken"])
    code, out, _ = run(capsys, "info", tmp_path / "a.rer")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0 and rows["paths"] == source and facts["created"] in rows["written"]


def test_encode_keeps_the_old_file_when_it_fails(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "site.rer").write_text("old")
    (tmp_path / "bad.json").write_text('[{"name": "app", "requires": "lib"}]')
    code, _, err = run(capsys, "encode", tmp_path / "bad.json", "-o", tmp_path / "site.rer")
    assert code == cli.BAD_INPUT and "package 0 (app)" in err
    assert (tmp_path / "site.rer").read_text() == "old"
    (tmp_path / "good.json").write_text('[{"name": "app"}]')
    code, _, err = run(capsys, "encode", tmp_path / "good.json", "-o", tmp_path / "none" / "site.rer")
    assert code == cli.BAD_INPUT and f"{tmp_path / 'none' / 'site.rer'}: No such file or directory" in err


def test_warmup(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from rer_numba import native

    found = [native.WarmObject("host", "/cache/host.kernel", 0.0, 99_688)]
    asked: list[Any] = []
    monkeypatch.setattr(native, "warmup", lambda cpus: asked.append(cpus) or found)
    code, out, _ = run(capsys, "warmup")
    assert code == 0 and out.splitlines()[-1].split() == ["host", "99,688", "was", "there", "/cache/host.kernel"]
    code, out, _ = run(capsys, "warmup", "--cpu", "generic", "--cpu", "x86-64-v3", "--json")
    assert json.loads(out) == [{"cpu": "host", "path": "/cache/host.kernel", "seconds": 0.0, "bytes": 99_688}]
    assert asked == [None, ["generic", "x86-64-v3"]]


# ---------------------------------------------------------------------------------------------------- tables, progress
def test_tables_wrap_where_they_may() -> None:
    columns = (Column("request", wraps=True), Column("status"), Column("ms", right=True))
    rows = [("maya nuke houdini katana blender", "solved", "0.12"), ("x", "failed", "12.00")]
    assert table_lines(Table(columns, rows), 36) == [
        "request                status     ms",
        "------------------------------------",
        "maya nuke houdini      solved   0.12",
        "katana blender",
        "x                      failed  12.00",
    ]
    assert max(map(len, table_lines(Table(columns, rows), 10))) == 31  # it cannot be narrower
    assert table_lines(Table((Column(""), Column("")), [("a", "b"), ("long", "")]), 80) == ["a     b", "long"]
    assert table_lines(Table(columns, []), 80)[0] == "request  status  ms"


@pytest.mark.parametrize("has_rich", [True, False])
def test_progress_shows_up_when_it_takes_long(has_rich: bool, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from rer_numba import progress

    if has_rich:
        pytest.importorskip("rich")
        monkeypatch.setenv("FORCE_COLOR", "1")
    find: Callable[[str], object] = lambda name: object() if has_rich else None  # noqa: E731
    monkeypatch.setattr(progress, "find_spec", find)
    monkeypatch.setattr(progress, "_REFRESH", 0.0)
    with progress.Progress(enabled=True) as shown:
        assert list(shown.track("abc", 3, "working")) == list("abc")
        assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SHOWN_AFTER", 0.0)
    with progress.Progress(enabled=True) as shown:
        assert list(shown.track("abc", 3, "working")) == list("abc")
        shown.show("done", 4)
    err = capsys.readouterr().err
    assert "working" in err
    with progress.Progress(enabled=False) as shown:
        shown.show("unseen")
    assert capsys.readouterr().err == ""
