"""What a studio configures about its solves: one value, with rez's names for its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rer_numba.errors import ConfigurationError
from rer_numba.requirements import as_requirement

VARIANT_SELECT_MODES = ("version_priority", "intersection_priority")


class SolveOptions(NamedTuple):
    """The settings that act on a solve. The defaults are rez's own, less the implicit packages.

    Attributes
    ----------
    variant_select_mode : str
        "version_priority" or "intersection_priority".
    package_orderers : list of dict, orderers, or None
        As in rez's configuration, rez's objects, or those of `rer_numba.orderers`.
    package_filter : dict, list of dict, filter, or None
        As in rez's configuration, rez's objects, or those of `rer_numba.filters`.
    timestamp : int or None
        Packages released later are absent. Seconds since 1970.
    building : bool
        Join build_requires in.
    error_on_missing_variant_requires : bool
        A requirement on a family that does not exist is an error; else the variant that has it is passed over.
    allow_unversioned_packages : bool
        Packages without a version exist.
    implicit_packages : tuple of str
        Requests added to every request.
    """

    variant_select_mode: str = "version_priority"
    package_orderers: Any = None
    package_filter: Any = None
    timestamp: int | None = None
    building: bool = False
    error_on_missing_variant_requires: bool = True
    allow_unversioned_packages: bool = True
    implicit_packages: tuple[str, ...] = ()

    def is_plain(self) -> bool:
        """True when nothing is hidden and the default order kept, so that no policy is needed."""
        return (
            not self.package_orderers
            and not self.package_filter
            and self.timestamp is None
            and self.allow_unversioned_packages
        )

    def with_overrides(self, overrides: Mapping[str, Any]) -> SolveOptions:
        """The same options with some replaced.

        Raises
        ------
        TypeError
            There is no such option.
        """
        unknown = set(overrides) - set(self._fields)
        if unknown:
            raise TypeError(f"there is no option {min(unknown)!r}; there are {', '.join(self._fields)}")
        return self._replace(**overrides)

    def checked(self) -> SolveOptions:
        """The same options, known to be of the right types.

        Raises
        ------
        ValueError
            There is no such variant_select_mode.
        ConfigurationError
            Another value cannot be used; the text names it.
        """
        if self.variant_select_mode not in VARIANT_SELECT_MODES:
            raise ValueError(
                f"variant_select_mode must be one of {', '.join(VARIANT_SELECT_MODES)}, "
                f"not {self.variant_select_mode!r}"
            )
        for name in ("building", "error_on_missing_variant_requires", "allow_unversioned_packages"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.timestamp is not None and (isinstance(self.timestamp, bool) or not isinstance(self.timestamp, int)):
            raise ConfigurationError(f"timestamp must be a whole number of seconds or None, not {self.timestamp!r}")
        return self._replace(implicit_packages=_as_texts(self.implicit_packages))


def _as_texts(given: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)):
        raise ConfigurationError(f"implicit_packages must be a list of requests, not the text {given!r}")
    texts = tuple([str(item) for item in given])
    for text in texts:
        as_requirement(text)
    return texts
