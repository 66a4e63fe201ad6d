"""A studio goes from one version of rer-numba to the next, whose files have another format, while everybody works.

The next version is a copy of this one that writes another format. Commands are whole `rez-env` commands, compared with
those of plain rez.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from rer_numba.schema import FORMAT_MAJOR
from tests.process import PATIENCE, ROOT
from tests.random_tree import let_settle
from tests.rez_commands import HOOK, Done, Studio, write_packages

pytest.importorskip("rez")

NEXT_FORMAT = FORMAT_MAJOR + 1
PACKAGES = {"app-1": "requires = ['lib']", "lib-1": "", "tool-1": "requires = ['app-1', '!lib-3']"}
REQUEST = ("tool", "--", "env")
KEEP_NOTHING = {"RER_NUMBA_KEEP_SECONDS": "0"}


class Version:
    """A version of the product, and a host that has it."""

    def __init__(self, root: Path, folder: Path, packages: Path) -> None:
        self.root = root
        self.packages = packages
        self.host = Studio(folder, [packages], f"import sys\nsys.path.insert(0, {str(root)!r})\n{HOOK}")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("REZ_", "RER_NUMBA_REP"))},
            "PYTHONPATH": str(root),
            "RER_NUMBA_QUIET": "1",
        }

    def rer_numba(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rer_numba", *arguments],
            cwd=self.host.folder,
            env={**self.environment, **KEEP_NOTHING, "REZ_CONFIG_FILE": str(self.host.config)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def publish(self) -> None:
        done = self.rer_numba("encode", "--from-rez", str(self.packages), "-o", f"{self.packages / '.rer'}{os.sep}")
        assert done.returncode == 0, done.stderr

    def rez_env(self) -> Done:
        return self.host.rez("rez-env", *REQUEST)

    def status(self) -> tuple[int, dict[str, object]]:
        done = self.rer_numba("rez", "status", "--json")
        return done.returncode, json.loads(done.stdout)


class Both:
    """Both versions, and plain rez."""

    def __init__(self, folder: Path) -> None:
        self.packages = write_packages(folder / "packages", PACKAGES)
        self.generations = self.packages / ".rer"
        let_settle(self.packages)
        root = folder / "next"
        shutil.copytree(ROOT / "rer_numba", root / "rer_numba", ignore=shutil.ignore_patterns("__pycache__"))
        start = root / "rer_numba" / "__init__.py"  # not in schema.py: the same kernels serve both
        line = f"import rer_numba.schema\n\nrer_numba.schema.FORMAT_MAJOR = {NEXT_FORMAT}\n"
        start.write_text(start.read_text().replace("\nfrom typing", f"\n{line}from typing", 1))
        self.old = Version(ROOT, folder / "old", self.packages)
        self.new = Version(root, folder / "new", self.packages)
        self._plain = Studio(folder / "plain", [self.packages])

    def release(self, *packages: str) -> None:
        write_packages(self.packages, dict.fromkeys(packages, ""))
        let_settle(self.packages)

    def compare(self, *, told: Sequence[Version] = ()) -> list[str]:
        """Both answer as rez does, natively; those that are named say one line about the file, the others nothing."""
        expected = self._plain.rez("rez-env", *REQUEST)
        assert expected.code == 0, expected.err
        for version in (self.old, self.new):
            found = version.rez_env()
            assert (found.code, answer(found)) == (0, answer(expected)), found.err
            assert (found.facts["native"], found.facts["fallback"]) == (1, 0)
            lines = [line for line in found.err.splitlines() if line not in expected.err]
            if version in told:
                (line,) = lines
                assert "WARNING" in line and "is not used" in line and ".py" not in line, line
            else:
                assert lines == []
        return answer(expected)

    def used(self) -> list[str | None]:
        """The file that each version answers from, for a command that succeeds."""
        found = []
        for version in (self.old, self.new):
            code, facts = version.status()
            (row,) = facts["repositories"]  # type: ignore[misc]
            assert (code == 0) == (facts["unused"] == [])
            found.append(row["file"] and Path(row["file"]).name)
        return found


def answer(done: Done) -> list[str]:
    """What the resolved environment is made of."""
    return sorted(line for line in done.out.splitlines() if re.match(r"REZ_(USED_RESOLVE|\w+_VERSION)=", line))


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def test_a_rolling_upgrade(both: Both) -> None:
    both.old.publish()
    # a host that was upgraded too early: it says so, reads what it needs, and status tells
    both.compare(told=[both.new])
    code, facts = both.new.status()
    (unused,) = facts["unused"]  # type: ignore[misc]
    assert code == 1 and unused["file"] == str(both.generations)
    assert f"format {FORMAT_MAJOR} (current) only, this rer-numba reads {NEXT_FORMAT}" in unused["reason"]
    assert "encode it with this version too" in unused["reason"]
    # whoever publishes does so with both
    both.new.publish()
    both.compare()
    first = both.used()
    assert first == [
        (both.generations / "current").read_text().splitlines()[0],
        (both.generations / f"current-{NEXT_FORMAT}").read_text().splitlines()[0],
    ]
    # a release: each host answers, before anything is published and after
    both.release("lib-2")
    both.compare()
    for publisher in (both.old, both.new, both.old):
        publisher.publish()  # and removes its own old generations at once
        both.compare()
    assert None not in both.used() and not set(both.used()) & set(first)
    assert len(list(both.generations.glob("*.rer"))) == 2
    # every host is upgraded: the old pointer goes, and its generations with the next ones
    (both.generations / "current").unlink()
    both.compare(told=[both.old])
    for package in ("lib-4", "lib-5"):
        both.release(package)
        both.new.publish()
    assert sorted(path.name for path in both.generations.glob("*.rer")) == [both.used()[1]]
    both.compare(told=[both.old])
    assert "upgrade rer-numba" in both.old.status()[1]["unused"][0]["reason"]  # type: ignore[index]


def test_commands_meanwhile(both: Both) -> None:
    """Both publish again and again, and remove what is old at once; commands of both versions run beside them."""
    both.old.publish()
    both.new.publish()
    failed: list[str] = []
    is_done = threading.Event()

    def work(version: Version) -> None:
        while True:
            ending = is_done.is_set()
            done = version.rez_env()
            if done.code or "WARNING" in done.err or done.facts["native"] != 1:
                failed.append(done.err)
            if ending:
                return

    threads = [threading.Thread(target=work, args=(version,)) for version in (both.old, both.new)]
    for thread in threads:
        thread.start()
    try:
        for number in range(10, 13):
            both.release(f"lib-{number}")
            both.old.publish()
            both.new.publish()
    finally:
        is_done.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert "REZ_LIB_VERSION=12" in both.compare()


@pytest.mark.parametrize("is_newer", [False, True])
def test_one_file_is_of_one_format(both: Both, is_newer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the packages or elsewhere: who cannot read it says so once, and answers."""
    author, reader = (both.new, both.old) if is_newer else (both.old, both.new)
    file = str(both.packages.parent / "site.rer")
    assert author.rer_numba("encode", "--from-rez", str(both.packages), "-o", file).returncode == 0
    for version in (author, reader):
        done = version.host.rez("rez-env", *REQUEST, variables={"RER_NUMBA_REPOSITORIES": file})
        assert done.code == 0 and done.facts["native"] == 1
        lines = [line for line in done.err.splitlines() if "WARNING" in line]
        assert len(lines) == (version is reader)
        made_by = "a newer" if is_newer else "an older"
        assert all(f"{file}: was made by {made_by} rer-numba (format" in line for line in lines), lines
