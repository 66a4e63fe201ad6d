"""How rez has been told to read filesystem repositories."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from typing import Any

from rer_numba.errors import ConfigurationError


@dataclass(frozen=True)
class PathSettings:
    """The settings of rez that decide which packages lie on a path. The defaults are rez's own.

    Attributes
    ----------
    allow_unversioned_packages : bool
        Whether a definition file in the folder of a family makes it one package without a version.
    package_filenames : tuple of str
        Names of definition files without their extension, best first.
    check_package_definition_files : bool
        Whether a folder without a definition file is no version, instead of a broken one.
    file_lock_dir : str or None
        Where rez keeps locks below a location. A solve pays no heed to it: as in rez, a folder of this name is a family
        like any other.
    """

    allow_unversioned_packages: bool = True
    package_filenames: tuple[str, ...] = ("package",)
    check_package_definition_files: bool = False
    file_lock_dir: str | None = None

    def checked(self) -> PathSettings:
        """Give the same settings, with every value looked at.

        Raises
        ------
        TypeError, ValueError
            A value cannot be used; the text names the field.
        """
        for name in ("allow_unversioned_packages", "check_package_definition_files"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.file_lock_dir is not None and not isinstance(self.file_lock_dir, str):
            raise TypeError(f"file_lock_dir must be the name of a folder or None, not {self.file_lock_dir!r}")
        names = self.package_filenames
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"package_filenames must be a tuple of texts, not {names!r}")
        for name in names:
            if "\0" in name or os.path.basename(name) != name:
                raise ValueError(f"package_filenames must be names of files, without folders: {name!r}")
        return self

    def to_json(self) -> str:
        """Write them as an object of settings."""
        return json.dumps({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def from_json(cls, text: str | bytes) -> PathSettings:
        """Read what `to_json` wrote; settings that are left out have their defaults.

        Raises
        ------
        ConfigurationError
            This is no JSON, a setting is unknown, or its value cannot be used; the text names it.
        """
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"path settings: no JSON: {error}") from None
        if not isinstance(given, dict):
            raise ConfigurationError(f"path settings must be an object of settings, not {given!r}")
        return cls.from_values(given)

    @classmethod
    def from_rez(cls) -> PathSettings:
        """Take them from rez's own configuration, as rez reads it: files, environment, expansions.

        Raises
        ------
        ConfigurationError
            rez is not installed, or a setting cannot be used; the text names it.
        """
        from rer_numba.rez_bridge.configured import path_settings_from_rez

        return path_settings_from_rez()

    @classmethod
    def from_values(cls, given: dict[str, Any]) -> PathSettings:
        """Make them from names and values; what is left out has its default. Raises as `from_json` does."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ConfigurationError(f"path settings: there is no {unknown[0]!r}; there are {', '.join(known)}")
        names = given.get("package_filenames")
        if isinstance(names, list):  # JSON and rez have no tuples
            given = {**given, "package_filenames": tuple(names)}
        try:
            return cls(**given).checked()
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"path settings: {error}") from None
