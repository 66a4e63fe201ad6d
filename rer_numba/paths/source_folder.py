"""One folder that packages came from, and what must be watched inside it."""

from __future__ import annotations

from dataclasses import dataclass

from rer_numba.paths.states import FileState


@dataclass(frozen=True)
class SourceFolder:
    """A location, the folder of a family in it, or the file that holds all versions of a family.

    Attributes
    ----------
    location : int
        Number of the location.
    name : str
        The family; '' for the location itself.
    extension : str
        '' for a folder, 'py' or 'yaml' for a file.
    state : FileState
        Before it was read.
    watched : tuple of (str, FileState)
        Paths that decided what was found without a trace in `state`.
    """

    location: int
    name: str
    extension: str
    state: FileState
    watched: tuple[tuple[str, FileState], ...] = ()
