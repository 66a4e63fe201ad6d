"""``encode --packages-path``: what all users of a site share, as one repository beside its first path."""

from __future__ import annotations

from pathlib import Path

import pytest
from rez import config as rez_config

from rer_numba.cli import main
from rer_numba.repository import Repository
from tests.random_tree import let_settle


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """rez's paths: local packages, two shared ones, and one that is not there."""
    for file in ("home/mine/1", "first/lib/1", "second/app/1"):
        folder = tmp_path / file
        folder.mkdir(parents=True)
        (folder / "package.py").write_text("timestamp = 1\n" + ("requires = ['lib-1']\n" if "app" in file else ""))
    let_settle(tmp_path)
    paths = [str(tmp_path / name) for name in ("home", "first", "gone", "second")]
    monkeypatch.setitem(vars(rez_config.config), "packages_path", paths)
    monkeypatch.setitem(vars(rez_config.config), "local_packages_path", paths[0])
    return paths


def test_it_lies_beside_the_first_shared_path(site: list[str]) -> None:
    assert main(["encode", "--packages-path"]) == 0
    repository = Repository.open(Path(site[1], ".rer"))
    assert list(repository.paths) == [site[1], site[3]]
    assert repository.solve(["app"]).resolved == [("lib", "1", None), ("app", "1", None)]
    assert repository.solve(["mine"]).error_type == "PackageFamilyNotFoundError"


def test_another_place(site: list[str], tmp_path: Path) -> None:
    assert main(["encode", "--packages-path", "-o", str(tmp_path / "all.rer")]) == 0
    assert not Path(site[1], ".rer").exists()
    assert len(Repository.open(tmp_path / "all.rer").tables.package_version_rank) == 2


def test_what_it_refuses(site: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["encode", "--packages-path", site[1]]) == 2
    assert "neither PATH nor --options" in capsys.readouterr().err
    monkeypatch.setitem(vars(rez_config.config), "packages_path", site[:1])
    assert main(["encode", "--packages-path"]) == 2
    assert "apart from the local packages" in capsys.readouterr().err
