"""What a studio configures about its solves: one value, with rez's names for its parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

from rer_numba.errors import ConfigurationError, PackageRequestError, VersionError
from rer_numba.requirements import as_requirement

VARIANT_SELECT_MODES = ("version_priority", "intersection_priority")


class Overrides(TypedDict, total=False):
    """Single options of a solve, as keyword arguments: the fields of `SolveOptions`, for checkers of types."""

    variant_select_mode: str
    package_orderers: Any
    package_filter: Any
    timestamp: int | None
    building: bool
    error_on_missing_variant_requires: bool
    allow_unversioned_packages: bool
    implicit_packages: Iterable[Any]
    rez_version: str | None


@dataclass(frozen=True)
class SolveOptions:
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
    rez_version : str or None
        The version of rez whose meaning the orderers have, "3.0.0" say: it has changed in 3.1 and in 3.4. None: the
        newest.
    """

    variant_select_mode: str = "version_priority"
    package_orderers: Any = None
    package_filter: Any = None
    timestamp: int | None = None
    building: bool = False
    error_on_missing_variant_requires: bool = True
    allow_unversioned_packages: bool = True
    implicit_packages: tuple[str, ...] = ()
    rez_version: str | None = None

    @classmethod
    def from_rez(cls) -> SolveOptions:
        """Take them from rez's own configuration, as rez reads it: files, environment, expansions.

        Raises
        ------
        ConfigurationError
            rez is not installed, or a setting cannot be used; the text names it.
        """
        from rer_numba.rez_bridge.configured import options_from_rez

        return options_from_rez()

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "options") -> SolveOptions:
        """Read what `to_json` wrote, or a person: an object of settings; those that are left out have their defaults.

        Parameters
        ----------
        text : str or bytes
        where : str
            What the text of an error begins with: the file.

        Raises
        ------
        ConfigurationError
            A setting is unknown or has a value that cannot be used; the text names both.
        """
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{where}: no JSON: {error}") from None
        if not isinstance(given, dict):
            raise ConfigurationError(f"{where}: options must be an object of settings, not {given!r}")
        unknown = [name for name in given if name not in cls.names()]
        if unknown:
            raise ConfigurationError(f"{where}: there is no option {unknown[0]!r}; there are {', '.join(cls.names())}")
        try:
            _require_known_keys(given.get("package_filter"))
            return cls(**given).read()
        except (ConfigurationError, ValueError, VersionError) as error:
            raise ConfigurationError(f"{where}: {error}") from None

    def to_json(self) -> str:
        """Write them as JSON, orderers and filters in rez's configuration form.

        Raises
        ------
        ConfigurationError
            An orderer or a filter cannot be written so that it is the same when it is read again; the text names it.
        """
        return json.dumps(self.to_pod())

    def to_pod(self) -> dict[str, Any]:
        """Give them as texts, numbers, lists and dicts. Raises as `to_json` does."""
        from rer_numba.stored_policy import filter_to_pod, orderers_to_pod

        orderers, rez_version = orderers_to_pod(self.package_orderers, self.rez_version)
        return {
            **self.checked().values(),
            "package_orderers": orderers,
            "package_filter": filter_to_pod(self.package_filter),
            "implicit_packages": [str(item) for item in self.implicit_packages],
            "rez_version": rez_version,
        }

    def read(self) -> SolveOptions:
        """The same options, of which each is known to be usable: `checked`, and orderers and filters are read once.

        Raises
        ------
        ValueError, ConfigurationError, VersionError
            A value cannot be used; the text names it.
        """
        checked = self.checked()
        if self.package_orderers is not None:
            from rer_numba.orderers import as_package_orderers

            as_package_orderers(self.package_orderers, self.rez_version)
        if self.package_filter is not None:
            from rer_numba.filters import as_package_filter

            as_package_filter(self.package_filter)
        return checked

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple([field.name for field in fields(cls)])

    def values(self) -> dict[str, Any]:
        """All options by name."""
        return {name: getattr(self, name) for name in self.names()}

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
        unknown = set(overrides) - set(self.names())
        if unknown:
            raise TypeError(f"there is no option {min(unknown)!r}; there are {', '.join(self.names())}")
        return replace(self, **overrides)

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
        self._check_rez_version()
        return replace(self, implicit_packages=_as_texts(self.implicit_packages))

    def _check_rez_version(self) -> None:
        if self.rez_version is None:
            return
        if not isinstance(self.rez_version, str):
            raise ConfigurationError(f"rez_version must be a version of rez or None, not {self.rez_version!r}")
        from rer_numba.rez_versions import NEWEST, OLDEST, traits_of

        if traits_of(self.rez_version) is None:
            raise ConfigurationError(
                f"rez_version: what orderers mean is known of rez {OLDEST} to {NEWEST}, not of {self.rez_version!r}"
            )


def _require_known_keys(package_filter: Any) -> None:
    """Refuse what rez does not look at, and a filter in Python only warns about: in a file it is misspelled."""
    for one in package_filter if isinstance(package_filter, list) else [package_filter]:
        unknown = [key for key in one if key not in ("excludes", "includes")] if isinstance(one, Mapping) else []
        if unknown:
            raise ConfigurationError(f"a package filter has 'excludes' and 'includes', not {unknown[0]!r}: {one!r}")


def _as_texts(given: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ConfigurationError(f"implicit_packages must be a list of requests, not {given!r}")
    items = tuple(given)
    for item in items:
        if item is None or isinstance(item, (int, float, list, tuple, Mapping)):
            raise ConfigurationError(f"implicit_packages must hold requests, not {item!r}")
    texts = tuple([str(item) for item in items])
    for text in texts:
        try:
            as_requirement(text)
        except (PackageRequestError, VersionError) as error:
            raise ConfigurationError(f"implicit_packages: {text!r}: {error}") from None
    return texts
