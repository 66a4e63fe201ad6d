"""Refreshes a repository again and again, for a parent that kills it.

``python -m tests.refresh_child PACKAGES TARGET``

Each time, the packages `one` and `two` get the same new version, one after the other; then all is read and saved. So a
generation that is whole has the same version of both. Says "ready" when it begins, and after each refresh its number.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rer_numba import Repository


def main() -> None:
    packages, target = Path(sys.argv[1]), sys.argv[2]
    repository = Repository.open(target, check="frozen")
    number = max(int(version.name) for version in (packages / "one").iterdir())
    repository.refresh(save=False)  # imports what refreshing needs
    print("ready", flush=True)
    while True:
        number += 1
        for name in ("one", "two"):
            folder = packages / name / str(number)
            folder.mkdir(exist_ok=True)
            (folder / "package.py").write_text(f"requires = ['only=={number}']\ntimestamp = 1\n")
        repository.refresh(save=True)
        print(number, flush=True)


if __name__ == "__main__":
    main()
