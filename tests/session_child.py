"""Runs sessions (`tests.random_sessions`) in a process of its own, with rez alone or with our solver behind it.

    python -m tests.session_child plain|hooked FOLDER < sessions.json > answers.json

Each session has a folder of its own below FOLDER, with its package paths `p0`, `p1`, ... The process forgets all of the
session before with `clear_caches`. Publishing happens in the hooked process only, since rez knows nothing of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Action = Sequence[Any]
"""Name of one of `ACTIONS`, and its arguments."""


class Session:
    """The package paths of a session, and what is done with them."""

    def __init__(self, root: Path, hooked: bool) -> None:
        self.root = root
        self.hooked = hooked
        root.mkdir(parents=True)

    def path(self, number: int) -> Path:
        """A package path."""
        return self.root / f"p{number}"

    def place(self, number: int) -> Any:
        """rez's repository of a package path."""
        from rez.package_repository import package_repository_manager

        return package_repository_manager.get_repository(str(self.path(number)))

    def comparable(self, text: str) -> str:
        """The same for both processes."""
        return text.replace(str(self.root), "ROOT")


# ------------------------------------------------------------------ what is done to folders
def write(session: Session, number: int, name: str, version: str, text: str) -> None:
    """Write a definition file, or another one in its place."""
    folder = session.path(number) / name / version
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "package.py.new"
    new.write_text(text)
    new.replace(folder / "package.py")


def drop(session: Session, number: int, name: str, version: str) -> None:
    """Take a package, or a family, off the disk."""
    shutil.rmtree(session.path(number) / name / version, ignore_errors=True)


def hide(session: Session, number: int, name: str, version: str) -> None:
    """Hide a version as another process would, which leaves what this one knows."""
    folder = session.path(number) / name
    if folder.is_dir():
        (folder / f".ignore{version}").touch()


def settle(session: Session) -> None:
    """Make everything old."""
    from tests.random_tree import let_settle

    let_settle(session.root)


def publish(session: Session, numbers: Sequence[int], everywhere: bool = False) -> None:
    """Encode some paths as one: into the first of them, or where each resolve looks that has one of them."""
    from rer_numba.repository import Repository
    from rer_numba.rez_bridge.published import VARIABLE

    if session.hooked:
        paths = [str(session.path(number)) for number in numbers]
        target = session.root / "".join(map(str, numbers)) if everywhere else Path(paths[0], ".rer")
        Repository.from_paths(paths, processes=1).save(f"{target}{os.sep}")
        if everywhere:
            listed = os.environ.get(VARIABLE, "").split(os.pathsep)
            os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys((*filter(None, listed), str(target))))


# ------------------------------------------------------------------ what is done through rez
def clear_all(session: Session) -> None:
    """Let rez forget everything."""
    from rez.package_repository import package_repository_manager

    package_repository_manager.clear_caches()


def clear(session: Session, number: int) -> None:
    """Let rez forget what it knows of one path."""
    session.place(number).clear_caches()


def ignore(session: Session, number: int, name: str, version: str) -> Any:
    """Hide a version by rez's API."""
    from rez.version import Version

    return session.place(number).ignore_package(name, Version(version))


def unignore(session: Session, number: int, name: str, version: str) -> Any:
    """Show a hidden version by rez's API."""
    from rez.version import Version

    return session.place(number).unignore_package(name, Version(version))


def remove(session: Session, number: int, name: str, version: str) -> Any:
    """Remove a version by rez's API."""
    from rez.package_remove import remove_package
    from rez.version import Version

    return remove_package(name, Version(version), str(session.path(number)))


def copy(session: Session, number: int, name: str, version: str, target: int) -> Any:
    """Install a package into another path."""
    from rez.package_copy import copy_package
    from rez.packages import get_package_from_repository

    package = get_package_from_repository(name, version, str(session.path(number)))
    if package is None:
        return None
    done = copy_package(package, session.place(target), force=True, overwrite=True)
    return [len(done["copied"]), len(done["skipped"])]


def look(session: Session, numbers: Sequence[int], name: str, loads: bool) -> Any:
    """Go through the packages of a family, as a tool does."""
    from rez.packages import iter_packages

    found = list(iter_packages(name, paths=[str(session.path(number)) for number in numbers]))
    return sorted([str(one.version), str(one.requires) if loads else ""] for one in found)


def look_for(session: Session, number: int, name: str) -> Any:
    """Ask whether there is a family, and nothing else."""
    from rez.packages import get_package_family_from_repository

    return get_package_family_from_repository(name, str(session.path(number))) is not None


def resolve(session: Session, numbers: Sequence[int], requests: Sequence[str], timestamp: int) -> Any:
    """Resolve, as `rez-env` does."""
    from rez.resolved_context import ResolvedContext

    paths = [str(session.path(number)) for number in numbers]
    context = ResolvedContext(list(requests), package_paths=paths, timestamp=timestamp or None, caching=False)
    return [
        context.status.name,
        [[str(one), one.handle.to_dict()] for one in context.resolved_packages or ()],
        context.failure_description,
    ]


ACTIONS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        write, drop, hide, settle, publish, clear_all, clear, ignore, unignore, remove, copy, look, look_for, resolve,
    )
}  # fmt: skip


def act(session: Session, action: Action) -> str:
    """Do one thing; what comes back, or is raised, as a text."""
    name, *arguments = action
    try:
        found = ACTIONS[name](session, *arguments)
    except Exception as error:
        if name == "publish":
            raise
        found = [type(error).__name__, str(error)]
    return session.comparable(json.dumps(found))


def run(kind: str, folder: str, sessions: dict[str, list[Action]]) -> dict[str, list[str]]:
    """Run sessions: the answers of each, by its name."""
    if kind == "hooked":
        from rer_numba import rez_bridge

        rez_bridge.install()
    answers = {}
    for name, actions in sessions.items():
        session = Session(Path(folder, kind.ljust(6, "_"), name), kind == "hooked")
        os.environ.pop("RER_NUMBA_REPOSITORIES", None)
        answers[name] = [act(session, action) for action in actions]
        clear_all(session)
    return answers


def main() -> None:
    """Run what stdin says; the last line of stdout has the answers."""
    kind, folder = sys.argv[1:]
    answers = run(kind, folder, json.load(sys.stdin))
    reasons = {}
    if kind == "hooked":
        from rer_numba.rez_bridge.stats import stats

        reasons = stats()["reasons"]
    sys.stdout.write("\n" + json.dumps({"answers": answers, "reasons": reasons}))


if __name__ == "__main__":
    main()
