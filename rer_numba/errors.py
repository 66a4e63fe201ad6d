"""The errors of rer-numba: rez's names for what rez reports, and a few of our own.

Invariants
----------
- What rez reports keeps rez's class name, its place in rez's tree and its text, so that a user who catches or prints an
  error sees no difference. The text is the value the error was made with.
- Our own errors carry data (`path`, `limit`, ...); their text is made when somebody asks for it.
- Every error survives pickling, since a batch may run in another process.
"""

from __future__ import annotations

from os import PathLike


class RezError(Exception):
    """Base of what rez reports. Ports: rez.exceptions.RezError (rez 3.4.0)."""

    def __init__(self, value: object = None) -> None:
        self.value = value

    def __str__(self) -> str:
        return str(self.value)


class RezSystemError(RezError):
    """rez itself went wrong."""


class ConfigurationError(RezError):
    """A setting has a value that cannot be used."""


class UncertainOrderError(ConfigurationError):
    """The order that an orderer gives a family depends on which versions are left, as it may up to rez 3.0.

    Parameters
    ----------
    order : str
        The orderer.
    family : str
        Name of the family.
    """

    def __init__(self, order: str, family: str) -> None:
        super().__init__(
            f"package orderer: up to rez 3.0 the order that {order} gives {family} depends on which versions are left, "
            "which only rez itself can follow: solve with that rez"
        )
        self.args = order, family  # for pickle
        self.family = family


class ResolveError(RezError):
    """A solve cannot go on, for example because a package contradicts its own requirements."""


class PackageFamilyNotFoundError(RezError):
    """No package of this name exists."""


class PackageNotFoundError(RezError):
    """The family exists, none of its versions lies in the wanted range."""


class PackageRequestError(RezError):
    """A request has a name that no package can have."""


class ResourceError(RezError):
    """Base of errors about package definitions."""


class ResourceContentError(ResourceError):
    """A definition was found, and its content is wrong.

    Ports: rez.exceptions.ResourceContentError (rez 3.4.0).

    Parameters
    ----------
    value : str, optional
        What is wrong.
    path : str, optional
        The file; named before `value` in the text.
    resource_key : str, optional
        rez's name for the kind of definition; named first.
    """

    type_name = "resource file"

    def __init__(self, value: str | None = None, path: str | None = None, resource_key: str | None = None) -> None:
        pieces = [] if resource_key is None else [f"resource type: {resource_key!r}"]
        if path is not None:
            pieces.append(f"{self.type_name}: {path}")
        if value is not None:
            pieces.append(value)
        super().__init__(": ".join(pieces))


class PackageMetadataError(ResourceContentError):
    """A package definition file is wrong."""

    type_name = "package definition file"


class PackageDefinitionFileMissing(PackageMetadataError):  # noqa: N818 - rez's name
    """The folder of a version holds no package definition file."""


class VersionError(Exception):
    """A version or a range that cannot be read. rez keeps this one outside its `RezError` tree, and so do we."""


class RerError(Exception):
    """Base of the errors that rez has no name for."""


class RepositoryFileError(RerError):
    """An encoded repository cannot be used.

    Parameters
    ----------
    path : str or path
        The file.
    problem : str
        What is wrong with it.
    remedy : str
        What the user can do.
    """

    def __init__(self, path: str | PathLike[str], problem: str, remedy: str) -> None:
        super().__init__(path, problem, remedy)
        self.path = path
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


class RepositoryCorruptError(RepositoryFileError):
    """The file is damaged: a checksum, a length or an index is wrong."""


class RepositoryVersionError(RepositoryFileError):
    """The file was written by a version of rer-numba whose layout this one does not read."""


class NeedsRezError(RerError):
    """Only rez could say what a package file means, and rez is not installed, or too old.

    Parameters
    ----------
    path : str
        The file.
    reason : str
        Why it could not be read without rez.
    remedy : str
        What to do; default: install rez.
    """

    remedy = "install rez with: pip install rez"

    def __init__(self, path: str, reason: str, remedy: str = remedy) -> None:
        super().__init__(path, reason, remedy)
        self.path = path
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}, so only rez can read it; {self.remedy}, and encode again"


class NeedsPackageError(RerError):
    """Something was asked for that takes a package which solving does without, and which is not installed.

    Parameters
    ----------
    purpose : str
        What needs it.
    packages : list of str
        Those that are missing.
    command : str
        Adds them.
    """

    def __init__(self, purpose: str, packages: list[str], command: str) -> None:
        super().__init__(purpose, packages, command)
        self.purpose = purpose
        self.packages = packages
        self.command = command

    def __str__(self) -> str:
        is_one = len(self.packages) == 1
        named = " and ".join(filter(None, (", ".join(self.packages[:-1]), self.packages[-1])))
        missing = "is not installed here; add it" if is_one else "are not installed here; add them"
        return f"{self.purpose} needs {named}, which {missing} with: {self.command}"


class UntrustedPathError(RerError):
    """Something would have to be run that lies where nobody said that it may be.

    Parameters
    ----------
    path : str
        A definition file, or a path that is searched.
    reason : str
        Why it would be run.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.reason}, so it would have to be run, and it does not lie below a trusted path; "
            "open the repository with trust=[...] if it may"
        )


class StaleRepositoryError(RerError):
    """The package folders have changed since the repository was encoded.

    Parameters
    ----------
    path : str
        The first thing found to be different.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} has changed since the repository was encoded; bring it up to date with `rer-numba refresh`"


class UnreadablePackageError(RerError):
    """A filter had to be asked about packages, and rez would end the solve because of what the first one says.

    Parameters
    ----------
    error_type, text : str
        Class name and text of what rez raises.
    """

    def __init__(self, error_type: str, text: str) -> None:
        super().__init__(error_type, text)
        self.error_type = error_type
        self.text = text

    def __str__(self) -> str:
        return self.text


class SolveLimitError(RerError):
    """A solve would need more room than it may have.

    Parameters
    ----------
    what : str
        What ran out, in words: "phases on the stack".
    needed, allowed : int
        How many the solve asked for, and how many it may have.
    """

    def __init__(self, what: str, needed: int, allowed: int) -> None:
        super().__init__(what, needed, allowed)
        self.what = what
        self.needed = needed
        self.allowed = allowed

    def __str__(self) -> str:
        return f"the solve needs {self.needed} {self.what}, the limit is {self.allowed}"


class RepositoryLimitError(RerError):
    """There are more packages, or requirements, than the layout of an encoded repository has numbers for.

    Parameters
    ----------
    column : str
        The first column that is too narrow.
    needed, allowed : int
        The number it would have to hold, and the highest it can.
    """

    def __init__(self, column: str, needed: int, allowed: int) -> None:
        super().__init__(column, needed, allowed)
        self.column = column
        self.needed = needed
        self.allowed = allowed

    def __str__(self) -> str:
        return (
            f"the packages are too many for one repository: column {self.column} would have to hold {self.needed}, "
            f"the limit is {self.allowed}; encode them in several"
        )


def shown(value: object) -> str:
    """How a value is written in a message, also if it is of a class that cannot be written."""
    try:
        return f"{value!r:.200}"
    except Exception:  # noqa: BLE001 - whatever somebody else's class raises
        return f"an object of {type(value).__name__} that cannot be shown"


def text_of(error: BaseException) -> str:
    """The text of an error, also if it is of a class that gives none."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever somebody else's class raises
        return "an error that cannot be told"


def exception_of(error_type: str, text: str) -> Exception:
    """Make the exception that a class name and a text describe.

    Returns
    -------
    RezError, VersionError or RerError
        Of rez's class, if there is one of that name here; otherwise a `RerError`, whose own kinds are made of data.
    """
    kind = globals().get(error_type)
    if isinstance(kind, type) and issubclass(kind, (RezError, VersionError)):
        return kind(text)
    return RerError(text)
