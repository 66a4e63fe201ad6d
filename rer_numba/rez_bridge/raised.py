"""The exceptions that rez raises in a solve, from their class and text in tables."""

from __future__ import annotations

from typing import Any

from rez import exceptions
from rez.version import VersionError

from rer_numba.packages import LATE, PROCESS
from rer_numba.rez_bridge.refusals import NotNativeError

_RAISED = (
    "PackageFamilyNotFoundError",
    "PackageMetadataError",
    "PackageNotFoundError",
    "PackageRequestError",
    "ResolveError",
    "ResourceError",
)
"""Classes of rez.exceptions that a solve raises with a text alone."""


def exception_of(error_type: str, text: str) -> Exception:
    """Make the exception that rez raises.

    Raises
    ------
    NotNativeError
        It is none of those that rez raises itself: what code in a package raises, only that code can.
    """
    if error_type == "VersionError":
        return VersionError(text)
    kind = getattr(exceptions, error_type) if error_type in _RAISED else _plugin_exception(error_type)
    if kind is None:
        raise NotNativeError(text if error_type in (LATE, PROCESS) else f"a package raises {error_type}")
    made: exceptions.RezError = kind.__new__(kind, text)
    exceptions.RezError.__init__(made, text)  # the class's own would add to the text
    return made


def _plugin_exception(error_type: str) -> Any:
    if error_type != "PackageDefinitionFileMissing":
        return None
    from rezplugins.package_repository.filesystem import PackageDefinitionFileMissing

    return PackageDefinitionFileMissing
