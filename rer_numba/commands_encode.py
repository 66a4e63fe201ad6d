"""The command encode: packages from folders, or from one JSON file, into a file to solve from."""

from __future__ import annotations

import argparse
import errno
import itertools
import os
import stat
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rer_numba.cli import OK, UNSOLVED, warn
from rer_numba.commands import (
    count_broken,
    count_families,
    count_tables,
    facts_only,
    print_facts,
    print_json,
    shown_file,
)
from rer_numba.commands_process import print_process_parts, process_json, process_parts
from rer_numba.errors import ConfigurationError, RerError
from rer_numba.needed import require
from rer_numba.tables_text import make_output

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.paths.settings import PathSettings
    from rer_numba.progress import OnProgress
    from rer_numba.repository import Repository

_SHOWN_PARTS = 20
_OF_OTHERS = (".csv", ".gz", ".json", ".jsonl", ".parquet", ".py", ".txt", ".yaml", ".yml")
_WITH_REZ = "reading families with rez"
"""What `rer_numba.paths.build` reports while rez reads."""


def encode(arguments: argparse.Namespace) -> int:
    """`rer-numba encode PATH... -o FILE`."""
    from rer_numba.progress import Progress

    if arguments.packages_path:
        _take_paths_of_rez(arguments)
    if arguments.output is None:
        raise RerError("there is no place to write to; give -o FILE, for example site.rer")
    _require_own_place(arguments)
    require("encoding packages", "numpy", "pyarrow")  # before anything is read
    with Progress() as progress:
        phases = _Phases(progress.show)
        with facts_only():
            repository = _read(arguments, phases)
        counts = count_tables(repository.views)
        if not counts["families"]:  # what was there must not be replaced by nothing
            raise RerError(f"{', '.join(repository.paths)}: there are no packages; nothing is written")
        phases("writing", 0, 1)
        repository.save(arguments.output)
        seconds = phases.seconds()
    assert repository.file is not None
    facts = {
        "file": repository.file,
        "fingerprint": repository.fingerprint,
        **counts,
        "families_for_rez": phases.totals.get(_WITH_REZ, 0),
        **count_broken(repository),
        "bytes": os.path.getsize(repository.file),
        "seconds": seconds,
    }
    asking = process_parts(repository) if facts["of_process"] else []
    if arguments.json:
        print_json({**facts, "process_parts": process_json(asking)})
    else:
        _print_encoded(facts, arguments.output)
        print_process_parts(make_output(), asking, _SHOWN_PARTS)
    if facts["families_for_rez"]:
        _warn_of_old_rez()
    if repository.options.package_filter:
        from rer_numba.filters.notes import on_rules

        for note in on_rules(repository.views, repository.options):
            warn(note)
    return UNSOLVED if arguments.strict and facts["broken"] else OK


def _warn_of_old_rez() -> None:
    from importlib.util import find_spec

    from rer_numba.rez_bridge.presence import remedy

    problem = remedy()
    if problem is not None and find_spec("rez"):
        warn(f"{problem}; until then files that only rez can read are broken packages, and rez solves alone")


def _take_paths_of_rez(arguments: argparse.Namespace) -> None:
    """``--packages-path``: what all users of a site share, as one repository that each of them finds."""
    from rer_numba.rez_bridge.configured import shared_packages_path_from_rez

    if arguments.paths or arguments.options:
        raise RerError("--packages-path takes rez's own paths and options: give neither PATH nor --options")
    arguments.from_rez = True
    arguments.paths = [path for path in shared_packages_path_from_rez() if os.path.isdir(path)]
    if not arguments.paths:
        raise RerError("no path of rez's packages_path is there, apart from the local packages")
    if arguments.output is None:
        arguments.output = os.path.join(arguments.paths[0], ".rer", "")


def _require_own_place(arguments: argparse.Namespace) -> None:
    """Refuse an output that would replace what is read, or whose name says that it is something else."""
    from rer_numba.generations import is_folder
    from rer_numba.publish import require_folder, require_replaceable

    output = arguments.output
    if output == "-":
        raise RerError("-: an encoded repository is not written to standard output; give a name, for example site.rer")
    if any(
        os.path.isfile(path) and os.path.exists(output) and os.path.samefile(path, output) for path in arguments.paths
    ):
        raise RerError(f"{output}: is what is read; give another name, for example site.rer")
    end = os.path.splitext(output)[1].lower()
    if end in _OF_OTHERS:
        raise RerError(f"{output}: an encoded repository is no {end} file; give another name, for example site.rer")
    if not is_folder(output):
        require_replaceable(output)
        require_folder(output)


class _Phases:
    """Shows progress, and remembers when each phase began and how much there was to do. An `OnProgress`."""

    def __init__(self, show: OnProgress) -> None:
        self._show = show
        self._started = time.perf_counter()
        self._begun: dict[str, float] = {}
        self.totals: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        self._begun.setdefault(what, time.perf_counter())
        self.totals[what] = total
        self._show(what, done, total)

    def seconds(self) -> dict[str, float]:
        """How long each third of an encoding took that ends now."""
        times = [self._started, self._begun["linking"], self._begun["writing"], time.perf_counter()]
        taken = [round(end - start, 3) for start, end in itertools.pairwise(times)]
        return dict(zip(("read", "encode", "write"), taken, strict=True))


def _read(arguments: argparse.Namespace, on_progress: OnProgress) -> Repository:
    """The repository of the packages that are asked for."""
    from rer_numba.repository import Repository

    options, settings = _settings(arguments)
    if len(arguments.paths) == 1 and os.path.isfile(arguments.paths[0]):
        return _read_json(arguments, options, on_progress)
    paths = _package_paths(arguments, settings)
    return Repository.from_paths(
        paths, path_settings=settings, options=options, processes=arguments.processes, progress=on_progress
    )


def _read_json(arguments: argparse.Namespace, options: SolveOptions | None, on_progress: OnProgress) -> Repository:
    from rer_numba.json_packages import read_json
    from rer_numba.repository import Repository

    (path,) = arguments.paths
    if arguments.package_filenames or arguments.check_package_definition_files:
        raise RerError(f"{path}: is a file; --package-filenames and --check-package-definition-files are about folders")
    if os.path.splitext(path)[1] in (".py", ".yaml", ".yml"):
        raise RerError(f"{path}: is the definition of a package; give the folder that holds families")
    packages = read_json(path)
    on_progress("linking", 0, 1)
    return Repository.from_packages(packages, paths=(os.path.abspath(path),), options=options)


def _settings(arguments: argparse.Namespace) -> tuple[SolveOptions | None, PathSettings]:
    """How to solve and how to read; looked at before the packages, which take longer."""
    from rer_numba.options import SolveOptions
    from rer_numba.paths.settings import PathSettings
    from rer_numba.settings import given_options

    options, settings = None, PathSettings()
    if arguments.from_rez:
        options, settings = SolveOptions.from_rez(), PathSettings.from_rez()
    elif arguments.options:
        options = SolveOptions(**given_options(arguments))
    if arguments.no_unversioned_packages:
        options = replace(options or SolveOptions(), allow_unversioned_packages=False)
    if options is not None:
        options.to_pod()  # what cannot be stored is said now
        # one setting in rez
        settings = replace(settings, allow_unversioned_packages=options.allow_unversioned_packages)
    if arguments.package_filenames:
        settings = replace(settings, package_filenames=arguments.package_filenames)
    if arguments.check_package_definition_files:
        settings = replace(settings, check_package_definition_files=True)
    try:
        return options, settings.checked()
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _package_paths(arguments: argparse.Namespace, settings: PathSettings) -> list[str]:
    """The paths to search; warns about those that are empty because nothing is there."""
    given = arguments.paths
    if not given:
        if not arguments.from_rez:
            raise RerError("there is nothing to encode; give package paths, or --from-rez for those of rez")
        from rer_numba.rez_bridge.configured import packages_path_from_rez

        given = packages_path_from_rez()
    paths = [_as_searched(path) for path in given]
    missing = [path for path in paths if not _is_folder(path)]
    if len(missing) == len(paths):  # a disk that is not there must not make an empty repository
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), ", ".join(missing))
    _require_families(paths if arguments.paths else [], settings)
    for path in missing:
        warn(f"{path}: there is no such folder, so it holds no packages, as in rez")
    return paths


def _require_families(paths: list[str], settings: PathSettings) -> None:
    """Refuse the folder of a family, which rez would take for a path with odd families."""
    from rer_numba.paths.mistaken import family_of_folder

    for path in paths:
        found = family_of_folder(path, settings)
        if found is not None:
            raise RerError(
                f"{path}: is a folder of the family {found[0]!r}; give the folder that holds families: {found[1]}"
            )


def _as_searched(path: str) -> str:
    """The path as messages name it: as it is written, or absolute, since others will be elsewhere."""
    if not path:
        raise ConfigurationError("the name of a package path is empty")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{path!r}: a package path must be valid text; give the folder another name") from None
    if "\n" in path:
        raise ConfigurationError(f"{path!r}: a package path must be one line; give the folder another name")
    # a kind of repository may stand in front: filesystem@/sw/packages
    return path if os.path.isabs(path) or "@" in path else os.path.abspath(path)


def _is_folder(path: str) -> bool:
    """Tell whether there is a folder. Raises OSError if one cannot tell."""
    from rer_numba.paths.discover import canonical_location
    from rer_numba.paths.states import nothing_there

    try:
        return stat.S_ISDIR(os.stat(canonical_location(path)).st_mode)
    except OSError as error:
        if nothing_there(error):
            return False
        raise


def _print_encoded(facts: dict[str, Any], target: str) -> None:
    seconds = facts["seconds"]
    rows = [("file", shown_file(target, facts["file"]))]
    rows += [(name, f"{facts[name]:,}") for name in ("families", "packages", "variants")]
    if facts["families_for_rez"]:
        rows.append(("for rez", f"{count_families(facts['families_for_rez'])} with files that are not plain literals"))
    if facts["late"]:
        rows.append(("late", f"{facts['late']:,}, whose solves need rez"))
    if facts["of_process"]:
        rows.append(("of process", f"{facts['of_process']:,}, evaluated by rez in each process that comes to them"))
    if facts["broken"]:
        rows.append(("broken", f"{facts['broken']:,}, see `rer-numba verify {target}`"))
    parts = ", ".join(f"{name} {taken:.1f}" for name, taken in seconds.items())
    rows += [("size", f"{facts['bytes']:,} bytes"), ("time", f"{sum(seconds.values()):.1f} s ({parts})")]
    print_facts(make_output(), rows)
