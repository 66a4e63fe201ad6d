"""Whether rez can be asked in this process, for what only rez can do. Nothing here needs a rez that is new enough."""

from __future__ import annotations

from importlib.util import find_spec

from rer_numba.errors import NeedsRezError
from rer_numba.rez_versions import is_too_old, unsupported


def remedy() -> str | None:
    """What to do before rez can be asked: install it, or upgrade one that is too old. None: it can be asked.

    A version that is later than all known ones can be asked: files are loaded by it, solves are done by it.
    """
    if not find_spec("rez"):
        return NeedsRezError.remedy
    version = _version()
    return unsupported(version) if is_too_old(version) else None


def _version() -> str:
    import rez

    version: str = rez.__version__
    return version
