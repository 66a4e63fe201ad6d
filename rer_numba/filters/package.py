"""A package of a repository, as the rules of a filter see it."""

from __future__ import annotations

from rer_numba.errors import ResourceError, UnreadablePackageError
from rer_numba.reader import Reader
from rer_numba.schema import NONE, Tables
from rer_numba.version_order import Version
from rer_numba.views import Views


class PackageLoadingError(ResourceError):
    """A rule asked for something that only a loaded package has, and this one cannot be loaded."""


def prevents_loading(reader: Reader, error: int) -> bool:
    """Tell whether an error of `package_error` keeps rez from reading any attribute of the package.

    rez checks an attribute when it is read: with bad `variants` the others are still there.
    """
    type_name, text = reader.error(error)
    return not (type_name == "PackageMetadataError" and text.startswith("Validation of key 'variants' failed"))


class FilteredPackage:
    """A package of the tables as rules see it.

    Parameters
    ----------
    tables : Tables or Views
    reader : Reader
    package : int
        Its row.
    """

    __slots__ = ("_reader", "_tables", "name", "package")

    def __init__(self, tables: Tables | Views, reader: Reader, package: int) -> None:
        self._tables = tables
        self._reader = reader
        self.package = package
        self.name = reader.package_family_name(package)

    @property
    def version(self) -> Version:
        """The version as the package spells it."""
        return self._reader.as_version(self._version_text())

    def _version_text(self) -> str:
        return self._reader.text(self._tables.package_version_text[self.package])

    @property
    def qualified_name(self) -> str:
        """Name and version, 'foo-1.0'; the name of an unversioned package."""
        version = self._version_text()
        return f"{self.name}-{version}" if version else self.name

    @property
    def timestamp(self) -> int | None:
        """Release time in seconds since 1970, None when unknown.

        Raises
        ------
        PackageLoadingError
            The package cannot be loaded.
        UnreadablePackageError
            It can, but its release time is no time.
        """
        error = int(self._tables.package_error[self.package])
        if error != NONE and prevents_loading(self._reader, error):
            raise PackageLoadingError(self._reader.error(error)[1])
        error = int(self._tables.package_timestamp_error[self.package])
        if error != NONE:
            raise UnreadablePackageError(*self._reader.error(error))
        return int(self._tables.package_timestamp[self.package]) or None

    @property
    def uri(self) -> str:
        """Where the definition is."""
        return self._reader.package_uri(self.package, self.name)

    def __str__(self) -> str:
        return self.qualified_name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.qualified_name!r})"
