"""`rer-numba benchmark --paths`: on small trees, and mostly without other processes."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from rer_numba import benchmark, benchmark_data, benchmark_paths, benchmark_report, benchmark_steps, cli, studio
from rer_numba.benchmark_data import PACKAGES_FILE, DataPackage
from rer_numba.benchmark_processes import Steps
from rer_numba.errors import RerError
from rer_numba.progress import Progress
from rer_numba.repository import Repository
from tests.random_tree import wait_a_tick

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

REPEAT = 2


def studio_data() -> list[DataPackage]:
    return [
        DataPackage(p.name, p.version, p.requires, p.variants, p.build_requires, p.timestamp)
        for p in studio.studio_packages()
    ]


def write_package(folder: Path, package: DataPackage) -> Path:
    """Literals only; dated to the past, so that every look at it is sure."""
    file = folder / package.name / package.version / "package.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{key} = {value!r}\n" for key, value in package._asdict().items() if value))
    for path in (file, file.parent, file.parent.parent, folder):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return file


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The studio as folders."""
    folder = tmp_path / "packages"
    for package in studio_data():
        write_package(folder, package)
    wait_a_tick()  # nobody can set back when a date was set
    return folder


# ----------------------------------------------------------------------------------------------------------- unpacking
SOURCE = b"name = 'app'\n\nversion = '1.0'\n\nrequires = [\n    'lib-1'\n]\n"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A benchmark of one package."""
    path = tmp_path / PACKAGES_FILE
    with tarfile.open(path, "w:gz") as packed:
        member = tarfile.TarInfo("packages/app/1.0/package.py")
        member.size, member.mtime = len(SOURCE), 1_600_000_000
        packed.addfile(member, io.BytesIO(SOURCE))
    monkeypatch.setattr(benchmark_data, "data_file", lambda name: path)
    monkeypatch.setattr(benchmark_data, "input_digests", lambda: {PACKAGES_FILE: "0123456789abcdef" * 4})
    return path


def test_packages_are_unpacked_once(archive: Path, tmp_path: Path) -> None:
    tree = benchmark_data.benchmark_tree(tmp_path / "deep" / "cache")
    assert tree == str(tmp_path / "deep" / "cache" / "rez-benchmark-0123456789abcdef" / "packages")
    file = Path(tree, "app", "1.0", "package.py")
    assert file.read_bytes() == SOURCE and file.stat().st_mtime == 1_600_000_000
    archive.unlink()
    assert benchmark_data.benchmark_tree(tmp_path / "deep" / "cache") == tree
    assert os.listdir(tmp_path / "deep" / "cache") == ["rez-benchmark-0123456789abcdef"]


def test_half_an_archive_leaves_nothing(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises((OSError, EOFError, tarfile.TarError)):
        benchmark_data.benchmark_tree(tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_another_process_unpacks_too(archive: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    def was_made_meanwhile(old: str, new: Path) -> None:
        new.mkdir()
        raise FileExistsError(new)

    monkeypatch.setattr(benchmark_data.os, "rename", was_made_meanwhile)
    assert benchmark_data.benchmark_tree(tmp_path / "cache").endswith("packages")
    assert os.listdir(tmp_path / "cache") == ["rez-benchmark-0123456789abcdef"]


# --------------------------------------------------------------------------------------------------------------- steps
@pytest.mark.parametrize("engine", ["pyrer", "rez"])
def test_rivals_read_every_package(engine: str, tree: Path) -> None:
    pytest.importorskip(engine)
    found = benchmark_steps.STEPS[engine](tree=str(tree))
    assert found["label"].startswith(f"{engine} ") and found["packages"] == 201
    assert found["seconds"] > 0 and found.get("left_to_rez", 0) == 0


def test_rez_reads_as_much_as_a_solve_does(tmp_path: Path) -> None:
    """What cannot be required is found, so the files were read."""
    pytest.importorskip("rez")
    write_package(tmp_path, DataPackage("app", "1", ["lib-1.*"], [], [], None))
    with pytest.raises(Exception, match=r"lib-1\.\*"):
        benchmark.loading_with_rez(str(tmp_path))[1]()


def test_encoding(tree: Path, tmp_path: Path) -> None:
    found = benchmark_steps.encode(str(tree), 1, str(tmp_path / "a.rer"))
    assert found["packages"] == 201 and found["seconds"] > 0 and found["save_seconds"] > 0
    assert len(Repository.open(tmp_path / "a.rer").tables.package_version_rank) == 201


def test_what_a_system_does_not_tell(monkeypatch: Patch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert benchmark_steps.peak_bytes() == {"peak_bytes": None, "largest_child_bytes": None}
    monkeypatch.setattr(benchmark_steps.sys, "platform", "win32")
    assert benchmark_steps.measured(lambda: 7)[0] == 7
    assert benchmark_steps.measured(lambda: 7)[1]["cpu_seconds"] is None


def test_names_for_copies() -> None:
    package = DataPackage("a.b", "1", ["foo-1+<2", "~bar-CentOS-7", "!x==3", "y"], [["z@1"], []], ["b_c"], 5)
    assert vars_of(benchmark_steps.renamed(package, 3)) == (
        "a.b_3",
        "1",
        ["foo_3-1+<2", "~bar_3-CentOS-7", "!x_3==3", "y_3"],
        [["z_3@1"], []],
        ["b_c_3"],
    )


def vars_of(package: Any) -> tuple[Any, ...]:
    return package.name, package.version, package.requires, package.variants, package.build_requires


def test_copies_are_as_many(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(benchmark_steps, "iter_benchmark_packages", lambda: iter(studio_data()))
    found = benchmark_steps.enlarge(str(tmp_path / "large.rer"), 3)
    assert found == {"packages": 603, "file_bytes": os.path.getsize(tmp_path / "large.rer")}
    repository = Repository.open(tmp_path / "large.rer")
    assert [repository.solve([f"maya_{n}"]).status for n in range(4)] == ["solved"] * 3 + ["error"]


def test_a_changed_package_is_given_back(tree: Path) -> None:
    file = tree / "maya" / min(os.listdir(tree / "maya")) / "package.py"
    before = file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino

    def change() -> None:
        with benchmark_steps.changed_package(str(tree / "maya")):
            assert file.read_bytes() == before[0] + b"\n# changed\n"
            assert file.stat().st_mtime_ns != before[1]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change()
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_refreshing_finds_only_its_own_changes(tree: Path, tmp_path: Path) -> None:
    saved = str(tmp_path / "a.rer")
    Repository.from_paths([tree]).save(saved)
    found = benchmark_steps.refresh(str(tree), saved, REPEAT)
    assert [len(found[name]) for name in ("strict_ms", "release_ms")] == [REPEAT, REPEAT]
    counts = sorted(len(os.listdir(folder)) for folder in tree.iterdir())
    for name, packages in (("median_family", counts[len(counts) // 2]), ("largest_family", counts[-1])):
        assert found[name]["packages"] == packages and len(found[name]["ms"]) == 2 * REPEAT


def test_refreshing_tells_of_changes_by_others(tree: Path, tmp_path: Path) -> None:
    wait_a_tick()
    repository = Repository.from_paths([tree])
    write_package(tree, DataPackage("new", "1", [], [], [], None))
    os.utime(tree, (1_800_000_000, 1_700_000_001))
    with pytest.raises(RerError, match=r"read \['new'\] again, not \[\]: does another benchmark"):
        benchmark_steps._refreshed(repository, "strict", [])


# ----------------------------------------------------------------------------------------------------------- processes
@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(str(tmp_path), Progress(enabled=False))


def test_steps_run_in_other_processes(steps: Steps, tree: Path, tmp_path: Path) -> None:
    saved = tmp_path / "a.rer"
    found = steps.run("encoding", "encode", tree=str(tree), processes=2, file=str(saved))
    assert found["packages"] == 201 and saved.exists()
    if sys.platform != "win32":
        assert found["cpu_seconds"] > 0 and found["peak_bytes"] > 10_000_000
        assert found["largest_child_bytes"] > 10_000_000


def test_a_step_that_fails(steps: Steps, tmp_path: Path) -> None:
    with pytest.raises(RerError, match=r"^opening: .*nothing\.rer"):
        steps.run("opening", "opening", files=[str(tmp_path / "nothing.rer")], folder=str(tmp_path), repeat=1)
    with pytest.raises(RerError, match="KeyError: 'no_such_step'"):
        steps.run("x", "no_such_step")


def test_commands_are_timed(steps: Steps) -> None:
    assert steps.command_ms("solve", "-m", "rer_numba", "--version") > 1
    with pytest.raises(RerError, match=r"^refresh: ended with code 3: so it is$"):
        steps.command_ms("refresh", "-c", "import sys; print('so it is'); sys.exit(3)")


# -------------------------------------------------------------------------------------------------------------- report
class StepsHere(Steps):
    """Runs the steps in this process, where they can be told of other data."""

    def run(self, what: str, step: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Any:
        with mock.patch.dict(os.environ, environment or {}):
            found = benchmark_steps.STEPS[step](**arguments)
        return json.loads(json.dumps(found))

    def command_ms(self, what: str, *arguments: str) -> float:
        return 12.5


@pytest.fixture
def small(tree: Path, monkeypatch: Patch) -> Iterator[Path]:
    """The command, on the studio."""
    requests = [request.requests for request in studio.studio_requests().values()]
    monkeypatch.setattr(benchmark_steps, "iter_benchmark_packages", lambda: iter(studio_data()))
    monkeypatch.setattr(benchmark_steps, "benchmark_requests", lambda: requests)
    monkeypatch.setattr(benchmark_report, "check_golden", lambda *_: None)
    monkeypatch.setattr(benchmark_paths, "benchmark_tree", lambda folder: str(tree))
    monkeypatch.setattr(benchmark_paths, "Steps", StepsHere)
    monkeypatch.setattr(benchmark_paths, "process_count", lambda wanted, families: 2)
    monkeypatch.setenv("COLUMNS", "100")
    return tree


def run(engines: str = "pyrer,rez", *, as_json: bool = False, save: Path | None = None) -> int:
    return benchmark_report.benchmark(
        argparse.Namespace(
            paths=True,
            engines=[name for name in engines.split(",") if name],
            repeat=REPEAT,
            rez_all=False,
            json=as_json,
            save_repository=save,
            requests=188,
        )
    )


def test_report_is_complete(small: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    pytest.importorskip("rez")
    pytest.importorskip("pyrer")
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(benchmark_paths, "print_json", told.append)
    assert run(as_json=True, save=tmp_path / "kept.rer") == cli.OK
    (report,) = told
    assert json.loads(json.dumps(report)) == report
    assert (report["packages"], report["families"], report["agrees"]) == (201, 80, True)
    assert [(one["step"], len(one["runs"])) for one in report["readers"]] == [
        ("encode", REPEAT),
        ("encode", REPEAT),
        ("pyrer", REPEAT),
        ("pyrer", REPEAT),
        ("rez", 1),
    ]
    assert all(len(times) in (REPEAT, 2 * REPEAT) for _, times in benchmark_paths.steps_measured(report))
    assert report["large"]["packages"] == 2010
    assert len(Repository.open(tmp_path / "kept.rer").tables.package_version_rank) == 201


def test_report_for_people(small: Path, capsys: Capture) -> None:
    pytest.importorskip("rez")
    assert run("rez") == cli.OK
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= max(100, len(str(small)))
    assert f"201 packages of 80 families in\n{small}" in out or f"201 packages of 80 families in {small}" in out
    rows = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert rows["command: rer-numba solve"][-4:] == [str(REPEAT), "12.5", "12.5", "12.5"]
    assert rows["refresh, nothing changed"][3] == str(REPEAT)
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("tables, with")] == ["yes"]
    assert "pyrer" not in out.partition("Medians")[0]


def test_report_says_what_is_not_there(small: Path, monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setattr(benchmark_paths, "is_installed", lambda name: False)
    monkeypatch.setattr(benchmark_steps, "peak_bytes", lambda: {"peak_bytes": None, "largest_child_bytes": None})
    monkeypatch.setattr(benchmark_steps, "_cpu_seconds", lambda: None)
    monkeypatch.setenv("COLUMNS", "200")
    assert run() == cli.OK
    lines = capsys.readouterr().out.splitlines()
    for engine in ("pyrer", "rez"):
        assert [line.split() for line in lines if line.startswith(f"{engine} ")] == [
            [engine, "not", "installed:", "pip", "install", "'rer-numba[bench]'"]
        ]
    assert [line.split()[-4:] for line in lines if line.startswith("rer-numba ")] == 2 * [
        ["not", "measured", "not", "measured"]
    ]


def test_another_package_is_a_difference(small: Path, capsys: Capture) -> None:
    """One that requires something else in its folder than in the archive."""
    old = next(package for package in studio_data() if package.requires)
    write_package(small, old._replace(requires=["no_such_family"]))
    assert run("") == cli.UNSOLVED
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("tables, with") and line.split()[-1] == "NO" for line in lines)
    assert any(line.startswith("tables, with those of packages from memory: ") for line in lines)


def test_other_answers_are_a_difference(small: Path, monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setattr(benchmark_report, "check_golden", lambda *_: ["request 3: status is 'solved', not 'failed'"])
    monkeypatch.setattr(benchmark_steps, "_differences", lambda number, *_: [f"request {number}: x"])
    assert run("") == cli.UNSOLVED
    lines = capsys.readouterr().out.splitlines()
    assert "answers, with those that rez gave: request 3: status is 'solved', not 'failed'" in lines
    assert any(line.startswith("answers to 28 requests, with the same: and 23 more; --json shows") for line in lines)


def test_where_packages_are_kept(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("RER_NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert benchmark_data.data_folder("elsewhere") == str(tmp_path / "cache" / "benchmark")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("RER_NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert benchmark_data.data_folder("elsewhere") == "elsewhere"
    monkeypatch.setattr(benchmark_data, "cache_folder", lambda: None)
    assert benchmark_data.data_folder("elsewhere") == "elsewhere"
