"""Repositories and their files: saved, opened, brought up to date."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from rer_numba import store
from rer_numba.errors import ConfigurationError, RepositoryCorruptError, RepositoryVersionError, RerError, VersionError
from rer_numba.locks import LockLostError
from rer_numba.needed import is_here, require
from rer_numba.options import SolveOptions
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.trust import FILE, FROZEN, Given, Trust
from rer_numba.tell import tell_once

if TYPE_CHECKING:
    from rer_numba.locks import Lock
    from rer_numba.paths.guard import Guard
    from rer_numba.paths.trust import TrustedLoader
    from rer_numba.progress import OnProgress
    from rer_numba.repository import Check, OnStale, Repository
    from rer_numba.schema import Tables
    from rer_numba.views import Views

OPTIONS = "rer.options"
"""Entry of a file's metadata: `SolveOptions.to_json` of what its solves use; absent where they are the defaults."""
PATHS = "rer.paths"
"""The paths that were searched, as given, one a line."""
PATH_SETTINGS = "rer.path_settings"
"""`PathSettings.to_json`; absent when the packages were handed in."""
_TRIES = 3
"""How often a refresh begins again that was suspended and lost its lock."""
_OF_ONE_WRITING = {store.CREATED, store.ENCODER, store.METADATA_CHECKSUM}


class Refreshed(NamedTuple):
    """What a refresh did.

    Attributes
    ----------
    families : list of str
        Those that were read again, by name: changed, new or gone.
    adopted : bool
        Another process had written newer content, which was taken.
    saved : bool
        The file was written.
    """

    families: list[str]
    adopted: bool
    saved: bool


# ------------------------------------------------------------------------------------------------------------- the file
def save(repository: Repository, path: str | os.PathLike[str]) -> None:
    """Write a repository to a file or a folder of generations, and remember where."""
    if repository.refused:
        raise RerError("this repository lacks packages whose definitions were not trusted: it is not saved for others")
    from rer_numba import generations

    require_target(path)
    with generations.lock_target(path, on_wait=_tell_who) as lock:
        _write(repository, os.path.abspath(path), lock)


def require_target(path: str | os.PathLike[str]) -> None:
    """Raise RepositoryFileError for what no repository can be saved to: a device, a pipe. Costs one look."""
    from rer_numba.generations import is_folder
    from rer_numba.publish import require_replaceable

    if not is_folder(path):
        require_replaceable(path)


def _write(repository: Repository, path: str, lock: Lock) -> None:
    """Write to where we hold the lock. Raises LockLostError if it was lost meanwhile."""
    from rer_numba import generations
    from rer_numba.publish import replace_file

    entries = {**repository.metadata, PATHS: "\n".join(repository.paths)}
    for name in (OPTIONS, PATH_SETTINGS):
        entries.pop(name, None)
    if repository.options != SolveOptions():
        entries[OPTIONS] = repository.options.to_json()
    if repository.path_settings is not None:
        entries[PATH_SETTINGS] = repository.path_settings.to_json()
    prepared = store.prepare(repository.tables, entries)
    if generations.is_folder(path):
        file = generations.publish(path, _name(prepared), prepared.fill, lock=lock)
    else:
        file = path
        replace_file(path, prepared.fill, lock=lock)
    repository.path, repository.file = path, os.path.abspath(file)
    repository.fingerprint, repository.metadata = prepared.fingerprint, prepared.metadata


def _tell_who(owner: str) -> None:
    tell_once(f"rer-numba: waiting for {owner}, who is writing the same repository\n")


def _name(prepared: store.Prepared) -> str:
    """The name of a generation: its content, and everything that is stored with it."""
    entries = "\n".join(
        f"{key}={value}" for key, value in sorted(prepared.metadata.items()) if key not in _OF_ONE_WRITING
    )
    return f"{prepared.fingerprint}-{zlib.crc32(entries.encode()):08x}"


def open_repository(
    kind: type[Repository],
    path: str | os.PathLike[str],
    check: Check,
    on_stale: OnStale,
    verify: Literal["once", "always", "never"],
    *,
    trust: Given = None,
    file: str | None = None,
) -> Repository:
    """`Repository.open`; `file` is the generation wanted, if it is still there."""
    trusted = Trust.of(trust, check)
    try:
        opened, found = _read(path if file is None else file, verify)
    except FileNotFoundError:  # that generation has been swept
        if file is None:
            raise
        opened, found = _read(path, verify)
    stored = _stored(opened.metadata, found)
    repository = kind(
        opened.views,
        paths=stored.paths,
        options=stored.options,
        path_settings=stored.path_settings,
        check=check,
        on_stale=on_stale,
    )
    repository.path = os.path.abspath(path)
    repository.file, repository.fingerprint, repository.metadata = found, opened.fingerprint, opened.metadata
    repository.trust = trusted
    return repository


class _Stored(NamedTuple):
    """What the metadata of a file say."""

    paths: tuple[str, ...]
    options: SolveOptions | None
    path_settings: PathSettings | None


def _stored(metadata: Mapping[str, str], file: str) -> _Stored:
    """Read the metadata of a file. Raises RepositoryCorruptError, or RepositoryVersionError for a later one."""
    paths = metadata.get(PATHS, "")
    options, settings = metadata.get(OPTIONS), metadata.get(PATH_SETTINGS)
    try:
        found = _Stored(
            tuple(paths.split("\n")) if paths else (),
            None if options is None else SolveOptions.from_json(options, "stored options"),
            None if settings is None else PathSettings.from_json(settings),
        )
        for one in found.paths:
            _require_path(one)
    except (ConfigurationError, VersionError) as error:
        if store.is_of_later_version(metadata):
            raise RepositoryVersionError(file, f"was made by a newer rer-numba: {error}", "upgrade rer-numba") from None
        raise RepositoryCorruptError(file, f"is damaged: {error}", store.ENCODE_AGAIN) from None
    return found


def _require_path(path: str) -> None:
    """Raise ConfigurationError for a text that is the name of nothing on this system."""
    try:
        is_path = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_path = False
    if not is_path:
        raise ConfigurationError(f"{path!r} is no path")


def _read(path: str | os.PathLike[str], verify: Literal["once", "always", "never"]) -> tuple[store.OpenedFile, str]:
    """Read a file, or the current generation of a folder."""
    if not os.path.isdir(path):
        return store.read(path, verify=verify), os.path.abspath(path)
    from rer_numba import generations

    return generations.open_current(path, lambda file: (store.read(file, verify=verify), os.path.abspath(file)))


def read_overwritten(repository: Repository) -> None:
    """Map the file again, which somebody has written over, for a caller that sees to it that one thread does this.

    Raises
    ------
    RepositoryFileError
        It is half written, or was made of other paths.
    OSError
        It cannot be opened.
    """
    opened, file = _read(repository.path or str(repository.views.file), "once")
    if not _is_about_the_same(repository, opened):
        problem = "was written over with a repository of other paths while it was in use"
        raise RepositoryCorruptError(file, problem, "open it again")
    repository.adopt(opened, file)


# -------------------------------------------------------------------------------------------------------------- refresh
def refresh(
    repository: Repository,
    check: Check,
    save: bool | None,
    processes: int | None,
    on_progress: OnProgress,
    *,
    force: bool = False,
) -> Refreshed:
    """`Repository.refresh`, for a caller that sees to it that only one thread does this."""
    if repository.path_settings is None:
        raise RerError("this repository was not made from package paths: there is nothing to compare it with")
    if repository.path is None:
        if save:
            raise RerError("this repository has no file yet: call save(path) first")
        families = _read_changed(repository, check, processes, on_progress, force)
        return Refreshed(families, adopted=False, saved=False)
    for tries_left in range(_TRIES - 1, -1, -1):
        try:
            return _refresh_file(repository, repository.path, check, save, processes, on_progress, force)
        except LockLostError:  # whoever has taken it over writes something newer: begin with that
            if not tries_left:
                raise
    raise AssertionError("the last try raises")


def _refresh_file(
    repository: Repository,
    path: str,
    check: Check,
    save: bool | None,
    processes: int | None,
    on_progress: OnProgress,
    force: bool,
) -> Refreshed:
    """`refresh` of a repository that has a file."""
    with _lock(path, must=bool(save)) as lock:
        adopted = False
        may_write = save is not False
        written = _written_since(repository)
        if written is not None:
            adopted = _is_about_the_same(repository, written[0])
            if adopted:
                repository.adopt(*written)
            else:
                may_write = bool(save)
        families = _read_changed(repository, check, processes, _beating(lock, on_progress), force)
        is_saved = bool(families) and may_write and lock is not None and not repository.refused
        if is_saved and lock is not None:
            _write(repository, path, lock)
    return Refreshed(families, adopted, is_saved)


# ------------------------------------------------------------------------------------------------- what a solve touches
def renew(repository: Repository, guard: Guard) -> None:
    """Read those families again that a guard has found to be stale, for this process."""
    from rer_numba.paths.renewal import renewed

    settings = repository.path_settings
    assert settings is not None
    loader = _loader(repository)
    views = renewed(repository.views, guard.stale, settings, loader)
    repository.refused = repository.refused or loader.refused
    repository.use(views, before=guard)


def save_renewed(repository: Repository, names: Iterable[str]) -> None:
    """Write families that solves have read again to the file, unless another process is writing, or we may not.

    What is written is what a refresh would write that looks at these families alone. Nothing raises: the next process
    reads them again, which is also how it goes where there is nothing to write with.
    """
    settings = repository.path_settings
    if repository.path is None or settings is None or repository.refused:
        return
    if not (is_here("numpy") and is_here("pyarrow")):
        return
    from rer_numba import generations
    from rer_numba.locks import LockedError
    from rer_numba.paths.refresh import read_again

    try:
        with generations.lock_target(repository.path, wait_seconds=0) as lock:
            if _written_since(repository) is None:
                tables = read_again(repository.tables, names, settings, loader=_loader(repository))
                repository.use(tables, before=cast("Guard", repository.guard))
                _write(repository, repository.path, lock)
    except (OSError, LockedError, LockLostError, RerError):
        return


def _loader(repository: Repository) -> TrustedLoader:
    from rer_numba.paths.loaders import find_loader
    from rer_numba.paths.trust import TrustedLoader

    return TrustedLoader(find_loader(), FILE if repository.trust == FROZEN else repository.trust)


@contextmanager
def _lock(path: str, *, must: bool) -> Iterator[Lock | None]:
    """Hold the lock of a file; None if it may not be written, and need not."""
    from rer_numba import generations

    try:
        lock = generations.lock_target(path, on_wait=_tell_who)
    except OSError:
        if must:
            raise
        yield None
        return
    with lock:
        yield lock


def _beating(lock: Lock | None, on_progress: OnProgress) -> OnProgress:
    """Show others that we are alive whenever there is progress."""
    if lock is None:
        return on_progress

    def report(what: str, done: int, total: int) -> None:
        lock.beat()
        on_progress(what, done, total)

    return report


def _written_since(repository: Repository) -> tuple[store.OpenedFile, str] | None:
    """What another process has written to our file, or None."""
    try:
        opened, file = _read(str(repository.path), "once")
    except FileNotFoundError:
        return None  # it was removed, and may be written again
    known = repository.metadata.get(store.METADATA_CHECKSUM)
    if opened.metadata.get(store.METADATA_CHECKSUM) != known:
        return opened, file
    origin = repository.views.origin
    if origin is not None and origin.is_overwritten():
        repository.use(opened.views)  # with the same; from now on this is how the file looks
    return None


def _is_about_the_same(repository: Repository, opened: store.OpenedFile) -> bool:
    """Tell whether a file was made of our paths, in the same way."""
    settings = None if repository.path_settings is None else repository.path_settings.to_json()
    return (opened.metadata.get(PATHS), opened.metadata.get(PATH_SETTINGS)) == ("\n".join(repository.paths), settings)


def _read_changed(
    repository: Repository, check: Check, processes: int | None, on_progress: OnProgress, force: bool
) -> list[str]:
    """Read the changed families again, or all; give their names."""
    require("reading package folders again", "numpy")
    from rer_numba.paths.build import tables_of_paths
    from rer_numba.paths.freshness import Freshness
    from rer_numba.paths.refresh import read_again

    settings = repository.path_settings
    assert settings is not None
    if check == "frozen" and not force:
        return []
    loader = _loader(repository)
    freshness = Freshness(repository.views, settings)
    tables: Tables | Views = repository.views
    if force or freshness.other_location(repository.paths) is not None:
        paths = repository.paths
        tables = tables_of_paths(paths, settings, processes=processes, on_progress=on_progress, loader=loader)
        names = sorted({*_family_names(repository.tables), *_family_names(tables)})
    else:
        names = freshness.changed_families(check, lambda done, total: on_progress("looking at families", done, total))
        if names:
            tables = read_again(
                repository.tables, names, settings, processes=processes, on_progress=on_progress, loader=loader
            )
    repository.refused = repository.refused or loader.refused
    repository.use(tables, checked="strict" if force else check)
    return names


def _family_names(tables: Tables) -> list[str]:
    """The families that were found."""
    from rer_numba.paths.sources import Sources

    return [name for name in Sources.of(tables).folders if name]
