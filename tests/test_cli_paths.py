"""The command line on package folders: encode, refresh, info, verify, and solves of what has changed since."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rer_numba import cli, commands_repository, generations, progress, store, studio
from rer_numba.locks import LockedError, writer_lock
from rer_numba.paths.discover import canonical_location
from rer_numba.repository import Repository
from tests.process import run_python
from tests.random_tree import wait_a_tick

pytest.importorskip("rez")
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # rez, when it loads its plugins

Capture = pytest.CaptureFixture[str]
LONG_AGO = (1_000_000_000.5, 1_000_000_000.5)

PLAIN = {
    "app/1.0/package.py": "requires = ['lib-2']",
    "app/1.1/package.py": "requires = ['lib-2']",
    "lib/2.0/package.py": "requires = ['~gone']",
}
ODD = {
    "app/2.0/package.py": "requires = [",
    "bad/1!/package.py": "",
    "early/1/package.py": "@early()\ndef requires():\n    return ['lib-' + '2']",
    "late/1/package.py": "@late()\ndef requires():\n    return ['lib']",
    "own/1/package.py": "requires = ['a-1', 'a-2']",
}
"""Three broken ones (app, bad, own), one that is computed, one that is late."""


def run(capsys: Capture, *argv: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = cli.main([str(text) for text in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_json(capsys: Capture, *argv: object, code: int = 0) -> Any:
    """What a command prints with --json."""
    found, out, err = run(capsys, *argv, "--json")
    assert (found, err) == (code, "")
    return json.loads(out)


def rows_of(out: str) -> dict[str, str]:
    """Names and values of `print_facts`."""
    return {line[: line.index("  ")]: line[line.index("  ") :].strip() for line in out.splitlines() if "  " in line}


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """Write package files long ago, so that what changes from now on shows."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for folder, _, names in os.walk(root):
        for path in (os.path.join(folder, name) for name in (*names, ".")):
            if os.stat(path).st_mtime != LONG_AGO[1]:  # to set it again would be a change
                os.utime(path, LONG_AGO)
    wait_a_tick()
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders of packages, all sound."""
    return write_tree(tmp_path / "sw", PLAIN)


@pytest.fixture
def site(tree: Path, tmp_path: Path) -> Path:
    """The same, encoded."""
    Repository.from_paths([tree]).save(tmp_path / "site.rer")
    return tmp_path / "site.rer"


@pytest.fixture
def odd_site(tmp_path: Path) -> Path:
    """Folders in which some packages are broken, encoded."""
    tree = write_tree(tmp_path / "odd", PLAIN | ODD)
    Repository.from_paths([tree]).save(tmp_path / "odd.rer")
    return tmp_path / "odd.rer"


# --------------------------------------------------------------------------------------------------------------- encode
def test_encode_prints_what_it_found(capsys: Capture, tmp_path: Path) -> None:
    tree, site = write_tree(tmp_path / "sw", PLAIN | ODD), tmp_path / "site.rer"
    code, out, err = run(capsys, "encode", tree, "-o", site)
    rows = rows_of(out)
    assert (code, err) == (0, "")
    assert rows.pop("time").startswith(tuple("0123456789")) and rows.pop("size") == f"{site.stat().st_size:,} bytes"
    assert rows == {
        "file": str(site),
        "families": "6",
        "packages": "7",
        "variants": "7",
        "for rez": "2 families with files that are not plain literals",
        "late": "1, whose solves need rez",
        "broken": f"3, see `rer-numba verify {site}`",
    }
    facts = run_json(capsys, "encode", tree, "-o", site, "--processes", "2", "--strict", code=cli.UNSOLVED)
    assert (facts["families_for_rez"], facts["late"], facts["broken"]) == (2, 1, 3)
    assert list(facts["seconds"]) == ["read", "encode", "write"] and min(facts["seconds"].values()) >= 0
    assert facts["fingerprint"] == Repository.open(site).fingerprint
    sound = write_tree(tmp_path / "sound", PLAIN)
    assert run(capsys, "encode", sound, "-o", site, "--strict")[0] == 0


def test_what_package_files_say_goes_to_stderr(capsys: Capture, tmp_path: Path) -> None:
    """rez runs them within this process, when a solve comes to them: what they print may not end up among our facts."""
    text = "print('hello')\nrequires = ['b' + '\\d'[:0]]"
    tree, site = write_tree(tmp_path / "sw", {"app/1/package.py": text, "b/1/package.py": ""}), tmp_path / "site.rer"
    file = tree / "app" / "1" / "package.py"

    def check(*argv: object, runs: bool) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.filters", [("default", None, SyntaxWarning, None, 0)])
            code, out, err = run(capsys, *argv, "--json")
        assert code == 0 and ("hello\n" in err) == runs
        if runs and sys.version_info >= (3, 12):  # before, it was a DeprecationWarning
            assert f"rer-numba: warning: {canonical_location(str(file))}:2: " in err
        return json.loads(out)

    found = check("encode", tree, "-o", site, runs=False)
    assert (found["packages"], found["of_process"]) == (2, 1)
    assert found["process_parts"] == [{"name": "app-1", "uri": str(file), "reason": "reads print()"}]
    os.utime(file)
    assert check("refresh", site, runs=False)["families"] == ["app"]
    os.utime(file, LONG_AGO)
    wait_a_tick()
    assert len(check("solve", "-r", site, "app", runs=True)["resolved_packages"]) == 2


def test_encode_takes_paths_in_order(capsys: Capture, tree: Path, tmp_path: Path, monkeypatch: Any) -> None:
    write_tree(tmp_path / "first", {"lib/2.0/package.py": "variants = [['x'], ['y']]"})
    monkeypatch.chdir(tmp_path)
    for argv in (["first", tree, "-o", "a.rer"], ["first", "-o", "a.rer", tree], ["-o", "a.rer", "first", tree]):
        assert run_json(capsys, "encode", *argv)["variants"] == 4
        assert Repository.open("a.rer").paths == (str(tmp_path / "first"), str(tree))
    assert run_json(capsys, "encode", tree, "first", "-o", "b.rer")["variants"] == 3


def test_paths_that_are_not_there(capsys: Capture, tree: Path, site: Path, tmp_path: Path) -> None:
    """rez takes them for empty; all of them missing is more likely a disk that is."""
    gone, file = tmp_path / "gone", tree / "lib" / "2.0" / "package.py"
    code, _, err = run(capsys, "encode", gone, tree, file, "-o", tmp_path / "x.rer")
    assert code == 0
    assert err == "".join(
        f"rer-numba: warning: {path}: there is no such folder, so it holds no packages, as in rez\n"
        for path in (gone, file)
    )
    before = site.read_bytes()
    code, out, err = run(capsys, "encode", gone, tmp_path / "too", "-o", site)
    assert (code, out) == (cli.BAD_INPUT, "")
    assert err == f"rer-numba: {gone}, {tmp_path / 'too'}: No such file or directory; check the path\n"
    assert site.read_bytes() == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "there is nothing to encode; give package paths, or --from-rez"),
        (["memory@any"], "only packages in folders can be read"),
        (["a\nb"], "a package path must be one line"),
        (["sw\udcff"], "a package path must be valid text"),
        (["sw", "--package-filenames", "a/b"], "names of files, without folders: 'a/b'"),
        (["sw", "--package-filenames", ","], "there must be a name"),
        (["sw", "--processes", "0"], "'0' is no number from 1 on"),
        (["packages.json", "--package-filenames", "build"], "packages.json: is a file; --package-filenames and"),
        (["packages.json", "--check-package-definition-files"], "are about folders"),
        (["sw/lib/2.0/package.py"], "package.py: is the definition of a package; give the folder that holds families"),
        (["packages.json"], "packages.json: there are no packages; nothing is written"),
        (["sw", "--options", "packages.json"], "options must be an object"),
    ],
)
def test_encode_refuses(argv: list[str], message: str, capsys: Capture, tree: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tree.parent)
    (tree.parent / "packages.json").write_text("[]")
    code, out, err = run(capsys, "encode", *argv, "-o", "x.rer")
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1) and message in err
    assert not os.path.exists("x.rer")


def test_settings_of_reading(capsys: Capture, tmp_path: Path) -> None:
    files = {"free/package.py": "", "app/1/build.py": "", "app/2/package.py": "", "app/3/notes.txt": ""}
    tree, site = write_tree(tmp_path / "sw", files), tmp_path / "site.rer"
    (tmp_path / "options.json").write_text('{"allow_unversioned_packages": false}')

    def found(*argv: object) -> set[str]:
        run_json(capsys, "encode", tree, "-o", site, *argv)
        parts = {
            part["name"]: part["error_type"]
            for part in json.loads(run(capsys, "verify", site, "--json")[1])["broken_parts"]
        }
        tables = Repository.open(site).tables
        assert set(parts.values()) <= {"PackageDefinitionFileMissing"}
        return {f"{len(tables.package_version_rank)} packages", *parts}

    assert found() == {"4 packages", "app-1", "app-3"}
    assert found("--package-filenames", "package,build") == {"4 packages", "app-3"}
    assert found("--check-package-definition-files") == {"2 packages"}
    for argv in (["--no-unversioned-packages"], ["--options", tmp_path / "options.json"]):
        assert found("--check-package-definition-files", *argv) == {"1 packages"}
        info = run_json(capsys, "info", site)
        assert info["path_settings"]["allow_unversioned_packages"] is False
        assert info["options"]["allow_unversioned_packages"] is False
    assert rows_of(run(capsys, "info", site)[1])["path settings"] == (
        "allow_unversioned_packages=false check_package_definition_files=true"
    )


def test_from_rez(tree: Path, tmp_path: Path) -> None:
    """In a process of its own, since rez reads its configuration once."""
    (tmp_path / "rezconfig.py").write_text(
        f"packages_path = [{str(tmp_path / 'gone')!r}, {str(tree)!r}]\nimplicit_packages = ['~lib-2']\n"
        "plugins = {'package_repository': {'filesystem': {'check_package_definition_files': True}}}\n"
    )
    variables = {"REZ_CONFIG_FILE": str(tmp_path / "rezconfig.py"), "REZ_DISABLE_HOME_CONFIG": "1"}
    program = (
        f"import os, sys; os.environ.update({variables!r})\n"
        "from rer_numba.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = run_python("-c", program, "encode", "--from-rez", "-o", tmp_path / "site.rer", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"rer-numba: warning: {tmp_path / 'gone'}: ") and done.stderr.count("\n") == 1
    assert json.loads(done.stdout)["packages"] == 3
    repository = Repository.open(tmp_path / "site.rer")
    assert repository.paths == (str(tmp_path / "gone"), str(tree))
    assert repository.options.implicit_packages == ("~lib-2",)
    assert repository.path_settings is not None and repository.path_settings.check_package_definition_files


def test_the_studio_in_folders_means_what_rez_reads_there(capsys: Capture, tmp_path: Path) -> None:
    """The same answers from rez, which runs the files, and from us, who do not."""
    from tests.oracle import Answer, RezOracle

    keys = ("name", "version", "requires", "variants", "build_requires", "timestamp")
    for package in studio.studio_packages():
        values = {key: getattr(package, key) for key in keys}
        lines = [f"{key} = {value!r}" for key, value in values.items() if value]
        text = "\n".join([*lines, "def commands():\n    env.PATH.append('{root}/bin')"])
        path = tmp_path / "sw" / package.name / package.version / "package.py"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    facts = run_json(capsys, "encode", tmp_path / "sw", "-o", tmp_path / "site.rer")
    assert (facts["packages"], facts["families_for_rez"]) == (201, 0)
    repository = Repository.open(tmp_path / "site.rer")
    with RezOracle.at_paths([str(tmp_path / "sw")]) as oracle:
        for name in ("maya_lighting", "nuke_archive", "conflict_gpu", "build_geo_cache", "missing_library"):
            request = studio.studio_requests()[name]
            answer = repository.solve(request.requests, **request.options)
            assert Answer.of(answer).tier_a() == oracle.solve(request.requests, **request.options).tier_a()


# -------------------------------------------------------------------------------------------------------------- refresh
def test_refresh(capsys: Capture, tree: Path, site: Path) -> None:
    first = site.stat().st_mtime_ns
    code, out, err = run(capsys, "refresh", site)
    rows = rows_of(out)
    assert (code, err, rows["changed"], rows["file"]) == (0, "", "nothing", f"{site} (as it was)")
    assert site.stat().st_mtime_ns == first
    (tree / "app" / "1.1" / "package.py").write_text("requires = ['lib-1']")
    assert run_json(capsys, "refresh", site, "--check", "release")["families"] == []
    write_tree(tree / "fresh", {"1/package.py": ""})
    rows = rows_of(run(capsys, "refresh", site, "--processes", "1")[1])
    assert rows["changed"] == "2 families read again: app fresh" and rows["file"] == f"{site} (written)"
    assert Repository.open(site, check="frozen").solve(["app-1.1"]).error_type == "PackageNotFoundError"


def test_refresh_shows_some_names(capsys: Capture, tree: Path, site: Path) -> None:
    write_tree(tree, {f"p{n:02}/1/package.py": "" for n in range(25)})
    os.utime(tree)
    code, out, _ = run(capsys, "refresh", site)
    assert code == 0 and "25 families read again: p00 p01" in out and "p19 and 5 more" in out and "p20" not in out
    os.utime(tree / "p03")
    assert run_json(capsys, "refresh", site)["families"] == ["p03"]


def test_refresh_takes_what_another_process_wrote(
    capsys: Capture, tree: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Repository.refresh

    def second(repository: Repository, **options: Any) -> Any:
        ours(Repository.open(site))
        return ours(repository, **options)

    monkeypatch.setattr(Repository, "refresh", second)
    (tree / "app" / "1.1" / "package.py").write_text("requires = ['lib-1']")
    os.utime(tree / "app" / "1.1" / "package.py", (1_100_000_000.5, 1_100_000_000.5))
    wait_a_tick()
    rows = rows_of(run(capsys, "refresh", site)[1])
    assert rows["changed"] == "nothing but what another process has written" and "(as it was)" in rows["file"]
    write_tree(tree / "app", {"1.1/package.py": ""})
    facts = run_json(capsys, "refresh", site)
    assert (facts["families"], facts["adopted"], facts["saved"]) == ([], True, False)
    assert facts["fingerprint"] == Repository.open(site).fingerprint


def test_refresh_needs_folders(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "packages.json").write_text('[{"name": "app", "version": "1"}]')
    site = tmp_path / "site.rer"
    assert run_json(capsys, "encode", tmp_path / "packages.json", "-o", site)["packages"] == 1
    code, out, err = run(capsys, "refresh", site)
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
    assert f"{site}: was not encoded from package folders" in err and "`rer-numba encode`" in err
    rows = rows_of(run(capsys, "info", site, "--check", "strict")[1])
    assert rows["changed"] == "cannot be told" and rows["path settings"].startswith("none, ")


def test_refresh_that_may_not_write(capsys: Capture, tree: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, **_: Any) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(generations, "lock_target", refuse)
    assert run(capsys, "refresh", site)[0] == 0  # nothing to write
    os.utime(tree / "app")
    code, out, err = run(capsys, "refresh", site)
    assert code == cli.BAD_INPUT and "1 family read again: app" in out
    assert err.startswith(f"rer-numba: {site}: was not written: that is not allowed, or ") and err.count("\n") == 1


# ----------------------------------------------------------------------------------------------------------------- info
def test_info(capsys: Capture, tree: Path, site: Path) -> None:
    code, out, err = run(capsys, "info", site)
    rows = rows_of(out)
    assert (code, err) == (0, "")
    assert rows["written"].startswith("just now (20") and f"format {store.read(site).metadata[store.FORMAT]}" in out
    assert {name: rows[name] for name in ("families", "packages", "requirements", "broken", "paths", "changed")} == {
        "families": "2, and 1 that are only required",
        "packages": "3",
        "requirements": "3, 2 different ones",
        "broken": "0",
        "paths": str(tree),
        "changed": "not looked at; --check strict does",
    }
    assert rows["path settings"] == rows["stored options"] == "the defaults"
    facts = run_json(capsys, "info", site)
    assert facts["bytes"] == site.stat().st_size and facts["fingerprint"] == Repository.open(site).fingerprint
    assert (facts["changed"], facts["moved_path"], facts["paths"]) == (None, None, [str(tree)])
    assert facts["path_settings"]["package_filenames"] == ["package"]


def test_info_looks_at_the_folders(capsys: Capture, tree: Path, site: Path) -> None:
    def changed(level: str) -> str:
        code, out, _ = run(capsys, "info", site, "--check", level)
        told = rows_of(out)["changed"]
        assert code == (0 if told == "nothing" else cli.UNSOLVED)
        return told

    assert changed("strict") == changed("release") == "nothing"
    os.utime(tree / "app" / "1.0" / "package.py")
    assert (changed("strict"), changed("release")) == ("1 family: app", "nothing")
    os.utime(tree / "lib")
    assert (changed("strict"), changed("release")) == ("2 families: app lib", "1 family: lib")
    assert run_json(capsys, "info", site, "--check", "strict", code=cli.UNSOLVED)["changed"] == ["app", "lib"]
    assert run(capsys, "info", site)[0] == 0  # nobody looked
    assert run_json(capsys, "refresh", site)["families"] == ["app", "lib"]  # it was only told


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_info_of_a_path_that_leads_elsewhere(capsys: Capture, tree: Path, tmp_path: Path) -> None:
    link, site = tmp_path / "link", tmp_path / "site.rer"
    link.symlink_to(tree)
    Repository.from_paths([link]).save(site)
    link.unlink()
    link.symlink_to(write_tree(tmp_path / "other", PLAIN))
    assert rows_of(run(capsys, "info", site, "--check", "release")[1])["changed"] == f"{link} leads elsewhere now"
    assert run_json(capsys, "info", site, "--check", "release", code=cli.UNSOLVED)["moved_path"] == str(link)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3600, "in the future, by this machine's clock"),
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3 * 3600 + 59, "3 hours ago"),
        (47 * 3600, "1 day ago"),
        (400 * 86_400, "400 days ago"),
    ],
)
def test_age(seconds: int, words: str) -> None:
    assert commands_repository.age("2001-09-09T01:46:40Z", 1_000_000_000 + seconds) == words


def test_age_of_an_odd_time() -> None:
    assert commands_repository.age("", 0.0) == commands_repository.age("yesterday", 0.0) == "some time ago"


# --------------------------------------------------------------------------------------------------------------- verify
def test_verify_lists_what_is_broken(capsys: Capture, odd_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code, out, err = run(capsys, "verify", odd_site)
    assert (code, err) == (cli.UNSOLVED, "")
    first, header, _, *lines = out.splitlines()
    assert first == f"{odd_site} is undamaged: 7 packages, 1 late, 3 broken"
    assert header.split() == ["broken", "error", "text"]
    assert [line.split()[:2] for line in lines] == [
        ["app-2.0", "ResourceError"],
        ["bad", "VersionError"],
        ["own-1", "ResolveError"],
    ]
    assert len({line.index(line.split(maxsplit=2)[2]) for line in lines}) == 1  # aligned
    assert lines[1].endswith("Invalid version syntax: '1!'")
    facts = run_json(capsys, "verify", odd_site, code=cli.UNSOLVED)
    assert (facts["late"], facts["broken"]) == (1, len(facts["broken_parts"]))
    assert facts["broken_parts"][0]["uri"].endswith(os.path.join("app", "2.0", "package.py"))


def test_verify_of_what_is_sound(capsys: Capture, site: Path) -> None:
    assert run(capsys, "verify", site) == (0, f"{site} is undamaged: 3 packages, 0 late, 0 broken\n", "")
    assert run_json(capsys, "verify", site)["broken_parts"] == []


def test_damage_that_only_checksums_show(capsys: Capture, site: Path) -> None:
    """Verified and remembered before; then a byte of the names changes, and the date is set back."""
    info, data = site.stat(), bytearray(site.read_bytes())
    assert run(capsys, "verify", site)[0] == 0
    data[data.index(b"package.py")] ^= 1
    site.write_bytes(data)
    os.utime(site, ns=(info.st_atime_ns, info.st_mtime_ns))
    for command in ("verify", "info"):
        code, out, err = run(capsys, command, site)
        assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
        assert err.startswith(f"rer-numba: {site}: is damaged: ") and "`rer-numba encode`" in err


def test_file_of_a_newer_version(capsys: Capture, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = store.read(site)
    with monkeypatch.context() as patch:
        patch.setattr(store, "_OWN_FORMAT", "99.0")
        store.write(opened.tables, site, opened.metadata)
    for argv in (["verify", site], ["info", site], ["refresh", site], ["solve", "-r", site, "app"]):
        code, out, err = run(capsys, *argv)
        assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
        assert "was made by a newer rer-numba (format 99.0" in err and "upgrade rer-numba" in err


# ---------------------------------------------------------------------------------------------------------- generations
def test_folder_of_generations(capsys: Capture, tree: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "site") + os.sep
    first = run_json(capsys, "encode", tree, "-o", folder)["file"]
    assert os.path.dirname(first) == folder.rstrip(os.sep)
    assert run_json(capsys, "encode", tree, "-o", tmp_path / "site")["file"] == first  # the same content
    write_tree(tree / "app", {"1.2/package.py": ""})
    os.utime(tree / "app")
    facts = run_json(capsys, "refresh", folder)
    assert facts["families"] == ["app"] and facts["saved"] and facts["file"] != first
    assert os.path.exists(first)  # somebody may have it open
    assert f"{folder}{os.path.basename(facts['file'])} is undamaged" in run(capsys, "verify", folder)[1]
    assert run_json(capsys, "info", folder)["file"] == run_json(capsys, "verify", folder)["file"] == facts["file"]
    code, out, _ = run(capsys, "solve", "-r", folder, "app")
    assert code == 0 and "app-1.2[]" in out
    (tmp_path / "site" / "current").write_text("nothing\n")
    code, _, err = run(capsys, "info", folder)
    assert code == cli.BAD_INPUT and "names 'nothing', which is no generation" in err


# ---------------------------------------------------------------------------------------------------------------- solve
def test_solve_of_changed_packages(capsys: Capture, tree: Path, site: Path) -> None:
    def solve(*argv: str) -> tuple[int, str, str]:
        code, out, err = run(capsys, "solve", "-r", site, "app", *argv)
        return code, next((line.split()[0] for line in out.splitlines() if line.startswith("app-")), out), err

    file = tree / "app" / "1.1" / "package.py"
    assert solve() == solve("--check", "frozen") == (0, "app-1.1[]", "")
    file.write_text("requires = ['lib-1']")
    assert solve("--check", "frozen") == solve("--check", "release") == (0, "app-1.1[]", "")
    path = canonical_location(str(file))
    stale = f"{path} has changed since the repository was encoded; bring it up to date with `rer-numba refresh`"
    code, out, err = solve("--on-stale", "error")
    assert (code, err) == (cli.UNSOLVED, "") and f"StaleRepositoryError: {stale}" in out
    assert solve("--on-stale", "warn") == (0, "app-1.1[]", f"rer-numba: warning: {stale}\n")
    before = site.read_bytes()
    assert solve() == (0, "app-1.0[]", "")
    assert site.read_bytes() != before
    assert run_json(capsys, "info", site, "--check", "release")["changed"] == []
    assert run(capsys, "config", "-r", site)[0] == 0


def test_solve_by_rez(capsys: Capture, odd_site: Path) -> None:
    code, out, err = run(capsys, "solve", "-r", odd_site, "late")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert {line.split()[0] for line in lines[1:-1]} == {"late-1[]", "lib-2.0[]"}
    assert lines[-1] == "solved by rez: requires is a late function, which only rez can run, within a solve"
    assert run_json(capsys, "solve", "-r", odd_site, "late")["fallback_reason"] == lines[-1].partition(": ")[2]
    assert run_json(capsys, "solve", "-r", odd_site, "early")["fallback_reason"] is None
    code, out, _ = run(capsys, "solve", "-r", odd_site, "late", "lib-1")
    assert code == cli.UNSOLVED and "PackageNotFoundError" in out


def test_broken_packages_matter_to_who_touches_them(capsys: Capture, odd_site: Path) -> None:
    for request, error in (("app", "ResourceError"), ("bad", "VersionError"), ("own", "ResolveError")):
        assert run_json(capsys, "solve", "-r", odd_site, request, code=cli.UNSOLVED)["error_type"] == error
    code, out, _ = run(capsys, "solve", "-r", odd_site, "app-1", "early")
    assert code == 0 and "app-1.1[]" in out


def test_without_rez(tmp_path: Path) -> None:
    """What is plain works; the rest says which file needs what."""
    tree, site = write_tree(tmp_path / "sw", PLAIN | ODD | {"hollow/1/notes.txt": ""}), tmp_path / "site.rer"

    def without_rez(*argv: object) -> tuple[int, str, str]:
        program = "import sys; sys.modules['rez'] = None; from rer_numba.cli import main; sys.exit(main(sys.argv[1:]))"
        done = run_python("-c", program, *argv)
        return done.returncode, done.stdout, done.stderr

    code, out, err = without_rez("encode", tree, "-o", site, "--json")
    assert (code, err) == (0, "")
    assert (json.loads(out)["families_for_rez"], json.loads(out)["late"]) == (2, 0)
    code, out, err = without_rez("verify", site, "--json")
    found = {part["name"]: part["error_type"] for part in json.loads(out)["broken_parts"]}
    assert code == cli.UNSOLVED
    assert found["late-1"] == found["app-2.0"] == "NeedsRezError" and "early-1" not in found
    assert found["hollow-1"] == "PackageDefinitionFileMissing"  # which rez could not read either
    code, out, err = without_rez("solve", "-r", site, "late")
    assert code == cli.UNSOLVED and os.path.join("late", "1", "package.py") in out
    assert "pip install rez" in out
    assert without_rez("solve", "-r", site, "app-1")[0] == 0
    code, out, err = without_rez("encode", "--from-rez", "-o", tmp_path / "x.rer")
    assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1) and "pip install rez" in err
    # encoded where rez is, solved where it is not
    Repository.from_paths([tree]).save(site)
    code, out, _ = without_rez("solve", "-r", site, "late")
    assert code == cli.UNSOLVED and "NeedsRezError" in out and "pip install" in out


# --------------------------------------------------------------------------------------------------------------- errors
def test_somebody_else_is_writing(capsys: Capture, tree: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "lock_target", functools.partial(generations.lock_target, wait_seconds=0.0))
    before = site.read_bytes()
    with writer_lock(site) as lock:
        for argv in (["encode", tree, "-o", site], ["refresh", site]):
            code, out, err = run(capsys, *argv)
            assert (code, out, err.count("\n")) == (cli.BAD_INPUT, "", 1)
            assert f"{lock.path}: process {os.getpid()} on " in err and "wait for it, or remove this file" in err
    assert site.read_bytes() == before
    assert issubclass(LockedError, cli.RerError)


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_no_room(tree: Path, site: Path) -> None:
    before = site.read_bytes()
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "from rer_numba.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = run_python("-c", program, "encode", tree, "-o", site)
    assert (done.returncode, done.stdout) == (cli.BAD_INPUT, "")
    assert done.stderr == (
        f"rer-numba: {site}: File too large; raise the limit on the size of files, or write to another place\n"
    )
    assert site.read_bytes() == before
    assert {path.name for path in site.parent.iterdir()} == {"sw", "site.rer"}  # no temporary file, no lock


def test_no_permission(capsys: Capture, tree: Path, site: Path, tmp_path: Path) -> None:
    before = site.read_bytes()
    tmp_path.chmod(0o555)
    (tree / "app").chmod(0)
    try:
        if os.name != "posix" or os.access(tmp_path, os.W_OK):
            pytest.skip("nobody is refused here")
        code, out, err = run(capsys, "encode", tree, "-o", site)
    finally:
        tmp_path.chmod(0o755)
        (tree / "app").chmod(0o755)
    assert (code, out) == (cli.BAD_INPUT, "")
    assert err == f"rer-numba: {site}: Permission denied; check who may read and write there\n"
    assert site.read_bytes() == before


def test_streams_and_exit_codes(tree: Path, tmp_path: Path) -> None:
    """As a user's shell sees them: facts on stdout, what went wrong on stderr."""
    site, gone = tmp_path / "site.rer", tmp_path / "gone"
    done = run_python("-m", "rer_numba", "encode", tree, gone, "-o", site, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["packages"] == 3
    assert done.stderr.startswith(f"rer-numba: warning: {gone}: ")
    done = run_python("-m", "rer_numba", "verify", site)
    assert (done.returncode, done.stderr) == (0, "")
    done = run_python("-m", "rer_numba", "refresh", site, "--json")
    assert (done.returncode, json.loads(done.stdout)["families"], done.stderr) == (0, [], "")
    site.write_bytes(site.read_bytes()[:-100])
    done = run_python("-m", "rer_numba", "verify", site)
    assert (done.returncode, done.stdout) == (cli.BAD_INPUT, "") and done.stderr.startswith(f"rer-numba: {site}: is ")


# ------------------------------------------------------------------------------------------------------------- progress
@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Progress that is shown from the start, in plain text."""
    monkeypatch.setattr(progress, "SHOWN_AFTER", 0.0)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.delenv("RER_NUMBA_QUIET", raising=False)
    return iter(())


def test_every_phase_shows_on_a_terminal(
    at_once: None, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, site = write_tree(tmp_path / "sw", PLAIN | ODD), tmp_path / "site.rer"
    monkeypatch.setattr(progress, "_is_terminal", lambda: True)
    code, _, err = run(capsys, "encode", tree, "-o", site)
    phases = ["reading families", "reading families with rez", "linking", "writing"]
    told = [text.strip() for text in err.split("\r") if text.strip()]
    assert code == 0 and list(dict.fromkeys(text.rstrip("0123456789 of").strip() for text in told)) == phases
    assert told[0] == "reading families 6 of 6" and told[-1] == "writing"
    assert err.endswith("\r")  # nothing stays
    os.utime(tree / "app")
    assert "looking at families 0 of 6" in run(capsys, "refresh", site)[2]


def test_nothing_shows_elsewhere(at_once: None, capsys: Capture, tree: Path, site: Path) -> None:
    """Neither without a terminal, nor when it takes less than two seconds: see `at_once`."""
    assert run(capsys, "encode", tree, "-o", site)[2] == run(capsys, "refresh", site)[2] == ""
