"""Whose package definitions may be run by who solves from a repository file."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from rer_numba import Repository
from rer_numba.errors import RerError, UntrustedPathError
from rer_numba.paths.trust import FILE, FROZEN, Trust
from rer_numba.storage import PATHS
from tests.random_tree import let_settle

pytest.importorskip("rez")

RUN = "import os\nopen({marker!r}, 'a').close()\nversion = '1'\nrequires = ['lib-' + os.environ.get('NOT_SET', '1')]\n"
LATE = "@late()\ndef requires():\n    open({marker!r}, 'a').close()\n    return ['lib-1']\n"


class Studio:
    """A file, and a folder in which somebody has put definitions that leave a mark when they run."""

    def __init__(self, root: Path) -> None:
        self.path = root / "packages"
        self.file = root / "site.rer"
        self.marker = root / "it-ran"
        self.add("lib", "1", "timestamp = 1\n")
        self.add("app", "1", "requires = ['lib']\n")
        let_settle(self.path)
        Repository.from_paths([self.path]).save(self.file)

    def add(self, name: str, version: str, text: str) -> None:
        file = self.path / name / version / "package.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(marker=str(self.marker)) if "{marker" in text else text)

    def has_run(self) -> bool:
        return self.marker.exists()


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def use(repository: Repository, name: str = "app") -> str | None:
    """The error of a solve."""
    return repository.solve([name]).error_type


NOBODY: list[Any] = [[], ["/elsewhere"], "rez"]


@pytest.mark.parametrize("trust", NOBODY, ids=["none", "elsewhere", "rez"])
def test_what_is_not_trusted_does_not_run(trust: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rer_numba.rez_bridge.configured.packages_path_from_rez", lambda: ["/elsewhere"])
    studio.add("app", "2", RUN)
    studio.add("other", "1", "timestamp = 1\n")
    repository = Repository.open(studio.file, trust=trust)
    result = repository.solve(["app"])
    assert result.error_type == "UntrustedPathError" and not studio.has_run()
    assert str(studio.path) in str(result.failure_description)
    assert use(repository, "other") is None and use(repository, "lib") is None
    repository.refresh(force=True)
    assert use(repository) == "UntrustedPathError" and not studio.has_run()


@pytest.mark.parametrize("trust", NOBODY, ids=["none", "elsewhere", "rez"])
def test_what_was_not_read_is_not_saved(trust: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be run to be encoded: others may trust more, so that it is missing is for this process only."""
    monkeypatch.setattr("rer_numba.rez_bridge.configured.packages_path_from_rez", lambda: ["/elsewhere"])
    (studio.path / "both.py").write_text("name = 'both'\nversions = ['1']\n")
    before = studio.file.read_bytes()
    repository = Repository.open(studio.file, trust=trust)
    result = repository.solve(["both"])
    assert result.error_type == "UntrustedPathError"
    assert str(studio.path / "both.py") in str(result.failure_description)
    assert use(repository) is None
    assert studio.file.read_bytes() == before
    with pytest.raises(RerError, match="not saved"):
        repository.save(studio.file)
    assert not repository.refresh(force=True).saved and studio.file.read_bytes() == before
    assert use(Repository.open(studio.file), "both") is None


@pytest.mark.parametrize("trust", [None, "file", "paths", "above", "link", "rez"])
def test_what_is_trusted_runs(trust: Any, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rer_numba.rez_bridge.configured.packages_path_from_rez", lambda: [str(studio.path)])
    os.symlink(tmp_path, tmp_path / "link")
    given = {"paths": [studio.path], "above": [str(tmp_path)], "link": [tmp_path / "link" / "packages"]}
    studio.add("app", "2", RUN)
    repository = Repository.open(studio.file, trust=given.get(trust, trust))
    assert use(repository, "app-2") is None and studio.has_run()


def test_a_neighbour_is_not_below(tmp_path: Path) -> None:
    trust = Trust.of([tmp_path / "sw"], "strict")
    assert trust.allows(str(tmp_path / "sw")) and trust.allows(str(tmp_path / "sw" / "packages"))
    for path in ("sw2", "sw/../other", ""):
        assert not trust.allows(str(tmp_path / path))
    assert not trust.allows("memory@any")
    assert Trust.of(["/"], "strict").allows(str(tmp_path))


def test_late_functions(studio: Studio) -> None:
    studio.add("app", "2", LATE)
    let_settle(studio.path)
    Repository.from_paths([studio.path]).save(studio.file)
    repository = Repository.open(studio.file, trust=[])
    assert use(repository) == "UntrustedPathError" and not studio.has_run()
    assert [one.error_type for one in repository.solve_many([["app"], ["lib"]])] == ["UntrustedPathError", None]
    assert not studio.has_run()
    assert use(Repository.open(studio.file, trust=[studio.path])) is None and studio.has_run()


def test_frozen_runs_nothing(studio: Studio) -> None:
    studio.add("app", "2", LATE)
    let_settle(studio.path)
    Repository.from_paths([studio.path]).save(studio.file)
    studio.add("lib", "2", RUN)
    repository = Repository.open(studio.file, check="frozen")
    assert use(repository) == "UntrustedPathError" and use(repository, "lib") is None
    assert not studio.has_run()
    # who asks for it has it
    assert use(Repository.open(studio.file, check="frozen", trust="file")) is None and studio.has_run()
    studio.marker.unlink()
    assert repository.refresh().families == ["lib"]
    assert use(repository, "lib") == "UntrustedPathError" and not studio.has_run()


def test_paths_that_somebody_has_written_into_the_file(studio: Studio, tmp_path: Path) -> None:
    """The locations are those of rez, the list of paths names another folder: reading all of it again runs nothing."""
    evil = Studio(tmp_path / "evil")
    evil.add("app", "3", RUN)
    repository = Repository.from_paths([studio.path])
    repository.paths = (str(evil.path),)
    repository.save(studio.file)
    opened = Repository.open(studio.file, trust=[studio.path])
    assert opened.metadata[PATHS] == str(evil.path)
    assert use(opened) == "UntrustedPathError" and not evil.has_run()


def test_combined_files(studio: Studio) -> None:
    (studio.path / "both.py").write_text(
        f"open({str(studio.marker)!r}, 'a').close()\nname = 'both'\nversions = ['1']\n"
    )
    repository = Repository.open(studio.file, trust=[])
    assert use(repository, "both") == "UntrustedPathError" and not studio.has_run()


def test_a_pickle_trusts_the_same(studio: Studio) -> None:
    studio.add("app", "2", RUN)
    copied: Repository = pickle.loads(pickle.dumps(Repository.open(studio.file, trust=["/elsewhere"])))
    assert copied.trust == Trust("paths", ("/elsewhere",))
    assert use(copied) == "UntrustedPathError" and not studio.has_run()


def test_what_may_be_given(studio: Studio) -> None:
    assert Repository.open(studio.file).trust == FILE == Repository.from_paths([studio.path]).trust
    assert Repository.open(studio.file, check="frozen").trust == FROZEN
    wrong: Any = "all"
    with pytest.raises(ValueError, match="trust must be"):
        Repository.open(studio.file, trust=wrong)
    wrong = Path("/sw")
    with pytest.raises(TypeError, match="list of paths"):
        Repository.open(studio.file, trust=wrong)
    error = pickle.loads(pickle.dumps(UntrustedPathError("/sw/app", "it runs")))
    assert "/sw/app: it runs, so it would have to be run" in str(error)


def test_an_empty_path_is_not_the_current_folder(studio: Studio) -> None:
    with pytest.raises(ValueError, match="empty"):
        Repository.open(studio.file, trust=["", "/sw"])
