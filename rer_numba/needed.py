"""What an installation may lack: the packages that solving published repositories does without.

``pip install --no-deps`` leaves them out, on farms. Whoever is about to import one for something that a user has asked
for calls `require` first, with words for what that is; so no user sees a traceback that ends in an import.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

from rer_numba.errors import NeedsPackageError

IN_PIP: Final = {"numba": "'numba>=0.68,<0.69'", "llvmlite": "llvmlite", "numpy": "numpy", "pyarrow": "pyarrow"}
"""What `pip install` is told to add each of them. pyproject.toml has the same bounds."""


def is_here(package: str) -> bool:
    """Tell whether a package can be imported, without importing it. Takes 0.1 ms."""
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None


def require(purpose: str, *packages: str) -> None:
    """Raise unless all of these packages are here.

    Parameters
    ----------
    purpose : str
        What needs them: "saving a repository".
    *packages : str
        Of `IN_PIP`.

    Raises
    ------
    NeedsPackageError
        Names those that are not, and the command that adds them.
    """
    missing = [package for package in packages if not is_here(package)]
    if missing:
        raise NeedsPackageError(purpose, missing, f"pip install {' '.join(IN_PIP[package] for package in missing)}")
