"""The command line: one way to name a repository, options in and out, formats of results, what is said of filters."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from rer_numba import PackageData, Repository, __version__, cli, demo, studio
from rer_numba.cli_parser import parse
from rer_numba.options import SolveOptions
from tests.rez_commands import ROOT
from tests.test_cli import LINUX, Capture, run
from tests.test_cli_paths import PLAIN, rows_of, run_json, write_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "sw", PLAIN)


@pytest.fixture
def site(tree: Path, tmp_path: Path) -> Path:
    Repository.from_paths([tree]).save(tmp_path / "site.rer")
    return tmp_path / "site.rer"


# ------------------------------------------------------------------------------------------------- naming a repository
@pytest.mark.parametrize("command", ["info", "verify", "refresh"])
def test_a_repository_is_named_by_r_everywhere(command: str, capsys: Capture, site: Path) -> None:
    """As in solve, solve-many and config; these three also take it without."""
    told = []
    for argv in ([site], ["-r", site], ["--repository", site], [f"--repository={site}"]):
        facts = run_json(capsys, command, *argv)
        facts.pop("seconds", None)
        told.append(facts)
    assert told == [told[0]] * 4
    code, out, err = run(capsys, command)
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1) and "required: -r/--repository FILE" in err
    code, out, err = run(capsys, command, "-r", site, "other.rer")
    assert (code, out) == (cli.BAD_INPUT, "") and f"one repository at a time: -r {site}, or other.rer" in err


def test_every_command_that_takes_a_repository_says_so(capsys: Capture) -> None:
    for command in ("info", "verify", "refresh", "solve", "solve-many", "config"):
        assert "--repository FILE" in run(capsys, "help", command)[1]


def test_check_without_a_level(capsys: Capture, tree: Path, site: Path) -> None:
    """Means strict, wherever it stands."""
    os.utime(tree / "app" / "1.0" / "package.py")
    for argv in (["--check", site], [site, "--check"], ["--check", "-r", site], ["--check=strict", site]):
        code, out, _ = run(capsys, "info", *argv)
        assert (code, rows_of(out)["changed"]) == (cli.UNSOLVED, "1 family: app")
    assert run(capsys, "info", "--check", "release", site)[0] == 0


# ---------------------------------------------------------------------------------------------------------------- help
def test_help_and_version(capsys: Capture) -> None:
    for argv in (["help", "solve"], ["help", "rez", "status"], ["help"]):
        assert run(capsys, *argv) == run(capsys, *argv[1:], "--help")
    assert run(capsys, "-V") == run(capsys, "--version") == (0, f"rer-numba {__version__}\n", "")
    assert "help COMMAND" in run(capsys, "help")[1]
    assert run(capsys, "help", "bogus")[0] == cli.BAD_INPUT


# ---------------------------------------------------------------------------------------------------------------- times
@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine nine hours ahead of UTC."""
    if not hasattr(time, "tzset"):
        pytest.skip("the zone of a process cannot be set here")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_dates() -> None:
    """A day is its first moment, on this machine; a zone may be named."""
    for text, expected in {
        "2026-10-01": datetime(2026, 9, 30, 15, tzinfo=timezone.utc),
        "2026-10-01T18:30": datetime(2026, 10, 1, 9, 30, tzinfo=timezone.utc),
        "2026-10-01 18:30:15": datetime(2026, 10, 1, 9, 30, 15, tzinfo=timezone.utc),
        "2026-10-01T18:30Z": datetime(2026, 10, 1, 18, 30, tzinfo=timezone.utc),
        "2026-10-01T18:30+02:00": datetime(2026, 10, 1, 16, 30, tzinfo=timezone.utc),
    }.items():
        assert parse(["solve", "app", "-t", text]).time == expected.timestamp(), text
    assert parse(["solve", "app", "-t", "20261001"]).time == 20_261_001  # as in rez


@pytest.mark.parametrize("text", ["2026-13-01", "2026-10", "2026-10-01T25:00", "1960-01-01", "01.10.2026", "-1w"])
def test_no_dates(text: str, capsys: Capture) -> None:
    code, out, err = run(capsys, "solve", "maya", "-t", text)
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
    assert f"'{text}' is an unrecognised time format." in err and "2026-10-01" in err


def test_a_date_hides_what_came_later(capsys: Capture) -> None:
    found = {
        date: run_json(capsys, "solve", "cmake", *LINUX, "-t", date)["resolved_packages"][-1]["version"]
        for date in ("2023-11-01", "2024-01-01")
    }
    assert found == {"2023-11-01": "3.20.6", "2024-01-01": "3.27.9"}


# -------------------------------------------------------------------------------------------------------------- options
OPTIONS: dict[str, Any] = {
    "variant_select_mode": "intersection_priority",
    "package_orderers": [{"type": "sorted", "descending": False, "packages": ["lib"]}],
    "package_filter": [{"excludes": ["glob(*.beta)"], "includes": ["range(lib-2)"]}],
    "timestamp": 1_700_000_000,
    "building": True,
    "error_on_missing_variant_requires": False,
    "allow_unversioned_packages": False,
    "implicit_packages": ["~lib-2"],
    "rez_version": "3.4.0",
}


def stored(capsys: Capture, site: Path) -> dict[str, Any]:
    options: dict[str, Any] = run_json(capsys, "info", "-r", site)["options"]
    return options


@pytest.mark.parametrize("way", ["inline", "file", "standard input"])
@pytest.mark.parametrize("form", ["plain", "config"])
def test_options_in(
    way: str, form: str, capsys: Capture, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every option; as a person writes them, or as `config --json` does."""
    text = json.dumps(OPTIONS)
    if form == "config":
        text = run(capsys, "config", "--options", text, "--json")[1]
        assert json.loads(text)["building"] == {"value": True, "from": "option", "place": "--options"}
    file = tmp_path / "options.json"
    file.write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    given = {"inline": text, "file": str(file), "standard input": "-"}[way]
    assert run(capsys, "encode", tree, "-o", tmp_path / "x.rer", "--options", given)[0] == 0
    found = stored(capsys, tmp_path / "x.rer")
    assert tuple(OPTIONS) == SolveOptions.names()
    assert {**found, "package_orderers": None} == {**OPTIONS, "package_orderers": None}
    assert OPTIONS["package_orderers"][0].items() <= found["package_orderers"][0].items()


def test_options_go_round(capsys: Capture, tree: Path, tmp_path: Path) -> None:
    """What acts on a solve of one repository is stored in another."""
    first, second, file = (tmp_path / name for name in ("a.rer", "b.rer", "told.json"))
    run(capsys, "encode", tree, "-o", first, "--options", json.dumps(OPTIONS))
    file.write_text(run(capsys, "config", "-r", first, "--exclude", "*.alpha", "-t", "2023-11-14", "--json")[1])
    run(capsys, "encode", tree, "-o", second, "--options", file)
    assert stored(capsys, second) == {name: told["value"] for name, told in json.loads(file.read_text()).items()}
    assert stored(capsys, second) != stored(capsys, first)


def test_options_of_a_solve(capsys: Capture, tmp_path: Path) -> None:
    """Those that are named replace the stored ones; single options of the command line come after."""
    repository = Repository.from_packages([PackageData("app", "1", build_requires=["lib"]), PackageData("lib", "1")])
    repository.options = SolveOptions(building=True)
    site = tmp_path / "site.rer"
    repository.save(site)

    def found(*argv: str) -> tuple[int, list[str]]:
        code, out, _ = run(capsys, "solve", "-r", site, "app", "--json", *argv)
        return code, [package["name"] for package in json.loads(out)["resolved_packages"]]

    assert found() == (0, ["lib", "app"])
    assert found("--options", '{"building": false}') == (0, ["app"])
    assert found("--options", '{"timestamp": null}') == (0, ["lib", "app"])
    assert found("--options", '{"building": false}', "-b") == (0, ["lib", "app"])
    assert found("--filter", '{"excludes": ["app"]}')[0] == cli.UNSOLVED
    assert found("--orderers", '[{"type": "no_order"}]')[0] == 0
    told = run_json(capsys, "config", "-r", site, "--filter", '{"excludes": ["app"]}', "--options", "{}")
    assert told["package_filter"]["place"] == "--filter" and told["building"]["from"] == "stored"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--options", '{"bilding": true}'], "there is no option 'bilding'"),
        (["--options", '{"building": 3}'], "building must be True or False, not 3"),
        (["--options", '{"building": {"value": 3, "from": "option", "place": ""}}'], "True or False, not 3"),
        (["--options", "[1]"], "options must be an object of settings, not [1]"),
        (["--options", '{"building": true'], "no JSON"),
        (["--options", "{" + " " * 500], "...: no JSON"),
        (["--options", "none.json"], "none.json: No such file or directory"),
        (["--filter", '{"exclude": ["a"]}'], "'exclude'"),
        (["--orderers", '[{"type": "best"}]'], "'best'"),
    ],
)
def test_options_that_are_refused(argv: list[str], message: str, capsys: Capture) -> None:
    commands = [["config"], ["solve", "maya"], *([["encode", ".", "-o", "x.rer"]] if argv[0] == "--options" else [])]
    for command in commands:
        code, out, err = run(capsys, *command, *argv)
        assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1) and message in err


# ------------------------------------------------------------------------------------------------------ results by name
REQUESTS = """maya nuke-14 platform-linux
{"requests": ["maya"], "options": {"timestamp": "x"}}
maya !maya
denoiser-2 .gpu-1 platform-linux
nobody
"""


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    path = tmp_path / "requests.txt"
    path.write_text(REQUESTS)
    return path


def results(path: Path) -> list[dict[str, Any]]:
    """Rows of Arrow or Parquet, without times."""
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
    else:
        with pa.ipc.open_file(str(path)) as file:
            table = file.read_all()
    rows: list[dict[str, Any]] = table.drop_columns(["solve_time_ms"]).to_pylist()
    return rows


def written(capsys: Capture, requests: Path, path: Path) -> Path:
    assert run(capsys, "solve-many", requests, "-o", path)[0] == cli.UNSOLVED
    return path


@pytest.fixture
def rows(capsys: Capture, requests: Path, tmp_path: Path) -> list[dict[str, Any]]:
    return results(written(capsys, requests, tmp_path / "results.arrow"))


def test_arrow_and_parquet(capsys: Capture, requests: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Without an end it is Arrow. Parquet has no nested dictionaries, which some readers do not take."""
    assert [row["status"] for row in rows] == ["solved", "error", "failed", "solved", "error"]
    for name in ("results.feather", "results", "results.parquet", "results.PARQUET"):
        path = written(capsys, requests, tmp_path / name)
        if name != "results.PARQUET":
            assert results(path) == rows, name
    assert (tmp_path / "results.PARQUET").read_bytes()[:4] == b"PAR1"
    assert "dictionary" not in str(parquet.read_schema(tmp_path / "results.parquet"))


def test_lines_of_json(capsys: Capture, requests: Path, tmp_path: Path) -> None:
    """What --json prints."""
    path = written(capsys, requests, tmp_path / "results.jsonl")
    told = [json.loads(line) for line in path.read_text().splitlines()]
    printed = [json.loads(line) for line in run(capsys, "solve-many", requests, "--json")[1].splitlines()]
    for line in (*told, *printed):
        assert line.pop("solve_time_ms") >= 0
    assert told == printed and len(told) == 5


def test_csv(capsys: Capture, requests: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """The columns of the table; lists are texts."""
    with written(capsys, requests, tmp_path / "results.csv").open(newline="") as file:
        told = list(csv.DictReader(file))
    assert set(told[0]) == {*rows[0], "solve_time_ms"}
    assert [row["status"] for row in told] == [row["status"] for row in rows]
    texts = ["maya nuke-14 platform-linux", "", "maya '!maya'", "denoiser-2 .gpu-1 platform-linux", "nobody"]
    assert [row["request"] for row in told] == texts
    assert told[3]["packages"].split()[-1] == "denoiser-2.1.0[2]" and told[3]["ephemerals"] == ".gpu-1"
    assert told[0]["packages"].split()[0] == "platform-linux[]"
    assert [row["failure_description"] or None for row in told] == [row["failure_description"] for row in rows]


@pytest.mark.parametrize("name", ["results.txt", "results.json", "results.xlsx", "-", "results.arrow.gz"])
def test_other_names_are_refused(name: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a request is read."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "solve-many", "none.txt", "-o", name)
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
    assert err.startswith(f"rer-numba: {name}: results are written as .arrow, ") and ".parquet, .csv or .jsonl" in err
    assert os.listdir(tmp_path) == []


def test_a_place_that_is_not_there(capsys: Capture, tmp_path: Path) -> None:
    """Said before a request is read."""
    path = tmp_path / "none" / "x.csv"
    code, out, err = run(capsys, "solve-many", "none.txt", "-o", path)
    assert (code, out) == (cli.BAD_INPUT, "") and err.startswith(f"rer-numba: {path}: No such file or directory")


@pytest.mark.parametrize("kind", ["folder", "forbidden"])
def test_a_place_that_cannot_be_written(
    kind: str, capsys: Capture, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before a request, or a package, is read."""
    path = tmp_path / "place"
    if kind == "folder":
        path.mkdir()
        message = "Is a directory; give the name of a file"
    else:
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
        message = "Permission denied; check who may read and write there"
        code, out, err = run(capsys, "encode", tmp_path / "none", "-o", path)
        assert (code, out, err) == (cli.BAD_INPUT, "", f"rer-numba: {path}: {message}\n")
    code, out, err = run(capsys, "solve-many", "none.txt", "-o", path)
    assert (code, out, err) == (cli.BAD_INPUT, "", f"rer-numba: {path}: {message}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="has no /dev/stdout")
@pytest.mark.parametrize("before", [b"", b"before"])
def test_results_on_standard_output(before: bytes, requests: Path, tmp_path: Path) -> None:
    """Nothing else is written there, and what is there stays."""
    path = tmp_path / "out"
    path.write_bytes(before)
    with path.open("ab") as file:
        done = command("solve-many", requests, "-o", "/dev/stdout", stdout=file)
    assert done.returncode == cli.UNSOLVED and "5 requests in" in done.stderr
    data = path.read_bytes()
    assert data.startswith(before)
    assert pa.ipc.open_file(data[len(before) :]).read_all().num_rows == 5
    with path.open("ab") as file:
        done = command("solve-many", requests, "-o", "/dev/stdout", "--json", stdout=file)
    assert done.returncode == cli.BAD_INPUT and "both" in done.stderr and path.read_bytes() == data


def command(*argv: object, stdout: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process."""
    return subprocess.run(
        [sys.executable, "-m", "rer_numba", *map(str, argv)],
        stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False, timeout=600,
    )  # fmt: skip


EMPTY = {
    "-o of encode": ["encode", ".", "-o", ""],
    "path": ["encode", "", "-o", "x.rer"],
    "one path": ["encode", ".", "", "-o", "x.rer"],
    "stored options": ["encode", ".", "-o", "x.rer", "--options", ""],
    "-r": ["solve", "-r", "", "maya"],
    "file": ["info", ""],
    "options": ["solve", "maya", "--options", ""],
    "filter": ["config", "--filter", ""],
    "orderers": ["config", "--orderers", ""],
    "requests": ["solve-many", ""],
    "-o of solve-many": ["solve-many", "none.txt", "-o", ""],
}


@pytest.mark.parametrize("argv", EMPTY.values(), ids=EMPTY)
def test_empty_names(argv: list[str], capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of a shell that is not set means neither this folder nor nothing."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *argv)
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1) and " empty" in err
    assert os.listdir(tmp_path) == []


def test_no_repository_on_standard_output(capsys: Capture, tree: Path) -> None:
    code, out, err = run(capsys, "encode", tree, "-o", "-")
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1) and "standard output" in err


def test_standard_input_is_one_thing(capsys: Capture) -> None:
    for argv in (["solve-many", "-", "--options", "-"], ["config", "--filter", "-", "--orderers", "-"]):
        code, out, err = run(capsys, *argv)
        assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1) and "standard input" in err


def test_bad_seconds(capsys: Capture) -> None:
    for text in ("soon", "nan"):
        assert f"--time-limit: '{text}' is no number of seconds" in run(capsys, "solve", "a", "--time-limit", text)[2]


def test_files_of_windows(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends of lines, and the marks that editors put first. In the middle of a text a mark is no mark."""
    path = tmp_path / "requests.txt"
    path.write_bytes(b"\xef\xbb\xbfmaya\r\n\r\n# no\r\nnuke-14 # of the show\r\n")
    for argv in ([path], ["-"]):
        monkeypatch.setattr("sys.stdin", path.open(encoding="utf-8"))
        code, out, _ = run(capsys, "solve-many", *argv, "--json")
        assert code == cli.OK
        assert [json.loads(line)["requests"] for line in out.splitlines()] == [["maya"], ["nuke-14"]]
    path.write_text("maya\n", encoding="utf-16")
    code, out, err = run(capsys, "solve-many", path)
    assert (code, out, err) == (cli.BAD_INPUT, "", f"rer-numba: {path}: is UTF-16; save it as UTF-8\n")
    path.write_text('{"building": true}', encoding="utf-8-sig")
    monkeypatch.setattr("sys.stdin", path.open(encoding="utf-8"))
    for given in (str(path), "-"):
        assert json.loads(run(capsys, "config", "--options", given, "--json")[1])["building"]["value"] is True


def test_answers_are_printed_though_they_cannot_be_written(
    capsys: Capture, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, fill: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr("rer_numba.publish.replace_file", full)
    code, out, err = run(capsys, "solve-many", requests, "-o", tmp_path / "x.csv")
    assert code == cli.BAD_INPUT and "5 requests in" in out
    assert (
        err == f"rer-numba: {tmp_path / 'x.csv'}: No space left on device; make room there, or write to another place\n"
    )


@pytest.mark.parametrize("end", [".arrow", ".parquet", ".csv", ".jsonl"])
def test_odd_texts(end: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no Unicode, quotes, and line breaks; nothing at all."""
    lines = [json.dumps(request) + "\n" for request in (["app\udcff"], ["b\nc", '"d"'])]
    for given, expected in ((lines, 2), ([], 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(given)))
        path = tmp_path / f"x{end}"
        assert run(capsys, "solve-many", "-", "-o", path)[0] == (cli.UNSOLVED if given else cli.OK)
        if end in (".arrow", ".parquet"):
            assert len(results(path)) == expected
        elif end == ".csv":
            with path.open(newline="") as file:
                assert len(list(csv.DictReader(file))) == expected
        else:
            assert len(path.read_text().splitlines()) == expected


@pytest.mark.parametrize("name", ["x.json", "x.csv", "x.PARQUET", "x.py", "packages.json.gz"])
def test_a_repository_is_no_other_kind_of_file(name: str, capsys: Capture, tree: Path, tmp_path: Path) -> None:
    code, out, err = run(capsys, "encode", tree, "-o", tmp_path / name)
    assert (code, out) == (cli.BAD_INPUT, "") and f"{name}: an encoded repository is no " in err
    assert not (tmp_path / name).exists()


def test_what_is_read_is_not_replaced(capsys: Capture, tmp_path: Path) -> None:
    packages, link = tmp_path / "packages", tmp_path / "link"
    packages.write_text('[{"name": "app"}]')
    os.link(packages, link)
    for output in (packages, link):
        code, _, err = run(capsys, "encode", packages, "-o", output)
        assert code == cli.BAD_INPUT and "is what is read" in err
    assert packages.read_text() == '[{"name": "app"}]'


# ----------------------------------------------------------------------------------------------- what may be overlooked
SHELF = [
    PackageData("app", "1", ["lib"], timestamp=1_000),
    PackageData("app", "2.beta", ["lib"], timestamp=2_000),
    PackageData("lib", "1", timestamp=1_500),
    PackageData("solo", "1", timestamp=1_500),
]
HIDES_APP = "the filter hides all 2 packages of app"


def unmatched(rule: str, kind: str = "exclusion") -> str:
    return f"the {kind} {rule!r} of the filter matches no package"


@pytest.mark.parametrize(
    ("argv", "notes"),
    [
        (["app"], []),
        (["app", "--exclude", "app-2*"], []),
        (["app", "--exclude", "*.beta", "--include", "app"], []),
        (["app", "--exclude", "ap-2*"], [unmatched("glob(ap-2*)")]),
        (["app", "--exclude", "app-3"], [unmatched("range(app-3)")]),
        (["app", "--exclude", "*.beta", "--include", "*.alpha"], [unmatched("glob(*.alpha)", "inclusion")]),
        (["app", "--exclude", "regex(.*gamma)"], [unmatched("regex(.*gamma)")]),
        (["app", "--exclude", "after(5000)"], [unmatched("after(5000)")]),
        (["app", "--exclude", "app"], [HIDES_APP]),
        (["app", "--filter", '{"excludes": ["app<5"]}'], [HIDES_APP]),
        (["app", "--options", '{"package_filter": {"excludes": ["app"]}}'], [HIDES_APP]),
        (["lib", "--exclude", "app"], [HIDES_APP]),
        (["app", "--exclude", "lib"], ["the filter hides the only package of lib"]),
        (["app", "--exclude", "after(1200)"], ["the filter hides the only package of lib"]),
        (["!app", "lib", "-t", "1500"], []),
        (["app", "-t", "500"], ["all 2 packages of app are later than the time asked for"]),
        (["solo", "-t", "500"], ["the only package of solo is later than the time asked for"]),
        (["app", "-t", "1800", "--exclude", "app-1"], ["the filter and the time hide all 2 packages of app"]),
        (["app<", "--exclude", "app"], [HIDES_APP]),
    ],
    ids=str,
)
def test_notes_on_a_filter(argv: list[str], notes: list[str], capsys: Capture, tmp_path: Path) -> None:
    """In the text and in JSON."""
    Repository.from_packages(SHELF).save(tmp_path / "x.rer")
    code, out, err = run(capsys, "solve", "-r", tmp_path / "x.rer", *argv)
    assert [line.removeprefix("note: ") for line in out.splitlines() if line.startswith("note: ")] == notes
    assert err == "" and run_json(capsys, "solve", "-r", tmp_path / "x.rer", *argv, code=code)["notes"] == notes


def test_notes_on_a_stored_filter(capsys: Capture, tree: Path, tmp_path: Path) -> None:
    """Said once, when it is stored: it may be about what is released tomorrow. A hidden family is always said."""
    site = tmp_path / "x.rer"
    told = unmatched("glob(*.beta)")
    options = '{"package_filter": {"excludes": ["*.beta", "app"]}}'
    code, _, err = run(capsys, "encode", tree, "-o", site, "--options", options)
    assert (code, err) == (0, f"rer-numba: warning: {told}\n")
    assert run_json(capsys, "solve", "-r", site, "lib")["notes"] == [HIDES_APP]
    added = run_json(capsys, "solve", "-r", site, "lib", "--exclude", "gone")["notes"]
    assert sorted(added) == sorted([told, unmatched("range(gone)"), HIDES_APP])


def test_notes_of_a_batch(capsys: Capture, requests: Path) -> None:
    argv = ["solve-many", requests, "--exclude", "mya"]
    assert f"note: {unmatched('range(mya)')}\n" in run(capsys, *argv)[1]
    _, out, err = run(capsys, *argv, "--json")
    assert len(out.splitlines()) == 5 and err == f"rer-numba: warning: {unmatched('range(mya)')}\n"


# ------------------------------------------------------------------------------------------------------ what is encoded
NAMED = {
    "maya/2024.2/package.py": "name = 'maya'\nversion = '2024.2'",
    "maya/beta/package.py": "name = 'maya'  # soon",
    "maya/beta/python/notes.txt": "",
    "lib/1/package.yaml": "name: lib\nversion: '1'",
    "free/package.py": "name = 'free'",
    "7zip/package.py": 'name = "7zip"',
}


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("maya", "maya"),
        ("maya/2024.2", "maya"),
        ("maya/beta", "maya"),
        ("lib", "lib"),
        ("lib/1", "lib"),
        ("free", "free"),
    ],
)
def test_the_folder_of_a_family_is_refused(
    path: str, family: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by what is above it, with a slash at its end, with the kind of repository, or from within."""
    tree = write_tree(tmp_path / "sw", NAMED)
    place = os.path.join(tree, *path.split("/"))
    monkeypatch.chdir(place)
    for given in (place, f"{place}{os.sep}", f"filesystem@{place}", "."):
        code, out, err = run(capsys, "encode", tree, given, "-o", tmp_path / "x.rer")
        assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
        assert f"is a folder of the family {family!r}; give the folder that holds families: " in err
        assert err.lower().endswith(f"{tree}\n".lower())
    assert not (tmp_path / "x.rer").exists()


@pytest.mark.parametrize(
    "files",
    [
        NAMED,
        {"7zip/package.py": ""},  # without a version and without a name
        {"3d/package.py": "name = '3d'", "2/package.py": "name = '2'"},
        {"sw/1/package.py": "name = 'sw'"},  # a family that is called as the path is
        {"app/1/package.py": "", "app/package.py": "name = 'app'"},
    ],
    ids=["families", "number", "names", "same name", "both"],
)
def test_paths_that_hold_families(files: dict[str, str], capsys: Capture, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "sw", files)
    assert run(capsys, "encode", tree, "-o", tmp_path / "x.rer")[0] == 0


def test_nothing_is_not_encoded(capsys: Capture, tree: Path, site: Path, tmp_path: Path) -> None:
    """A disk that is there and empty must not replace what was."""
    before = site.read_bytes()
    (tmp_path / "empty").mkdir()
    (tmp_path / "none.json").write_text('{"packages": []}')
    for argv in ([tmp_path / "empty"], [tmp_path / "none.json"], [tmp_path / "empty", tmp_path / "gone"]):
        code, out, err = run(capsys, "encode", *argv, "-o", site)
        assert (code, out) == (cli.BAD_INPUT, "")
        assert err.endswith(": there are no packages; nothing is written\n") and str(argv[0]) in err
    assert site.read_bytes() == before
    assert run(capsys, "encode", tmp_path / "empty", tree, "-o", site)[0] == 0


# ------------------------------------------------------------------------------------------------------ the studio here
@pytest.mark.parametrize(("system", "platform"), [("linux", "linux"), ("win32", "windows"), ("darwin", "linux")])
def test_the_studio_answers_for_the_platform(
    system: str, platform: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the request names one itself, or nothing implicit is wanted."""
    monkeypatch.setattr(studio, "platform_at_hand", lambda: "windows" if system == "win32" else "linux")

    def versions(*argv: str) -> set[str]:
        found = run_json(capsys, "solve", *argv)["resolved_packages"]
        return {package["version"] for package in found if package["name"] == "platform"}

    assert versions("maya") == versions("python-3.9") == {platform}
    assert versions("maya", "platform-windows") == {"windows"}
    assert versions("maya", "~platform==linux") == {"linux"}
    assert versions("maya", "os-windows-10") == {"windows"}
    assert versions("maya", "--no-implicit") == {"windows"}  # which is the higher version


@pytest.mark.parametrize(("system", "platform"), [("linux", "linux"), ("win32", "windows"), ("darwin", "linux")])
def test_the_platform_at_hand(system: str, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", system)
        found = studio.platform_at_hand()
    assert found == platform


def test_batches_of_the_studio(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "requests.txt").write_text("maya\n")
    (row,) = run(capsys, "solve-many", tmp_path / "requests.txt", "--json")[1].splitlines()
    versions = {package["name"]: package["version"] for package in json.loads(row)["resolved_packages"]}
    assert versions["platform"] == studio.platform_at_hand()


def test_the_demo_on_windows(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request that it shows ends there as it does on Linux."""
    shown = {}
    for platform in ("linux", "windows"):
        monkeypatch.setattr(demo, "platform_at_hand", lambda platform=platform: platform)
        code, out, err = run(capsys, "demo")
        assert (code, err) == (0, "") and " ".join(studio.IMPLICIT[platform]) in " ".join(out.split())
        shown[platform] = [out.count(f" {status} ") for status in ("solved", "failed", "error")]
    assert shown["linux"][0] - shown["windows"][0] == len(demo.LINUX_ONLY)
    assert shown["linux"][1:] == shown["windows"][1:]


def test_what_is_implicit_is_what_the_requests_hold() -> None:
    """The data and the code say the same about both platforms."""
    held = {tuple(text for text in one.requests if text.startswith("~")) for one in studio.studio_requests().values()}
    assert held == set(studio.IMPLICIT.values())
