"""Paths that hold no families, given where families are expected: the folder of one family, or of one package.

rez takes ``/sw/packages/maya`` for a path whose families are named ``2024.2`` and ``2025.1``, and so would an encoding.
Whoever gives that path means the one above it.
"""

from __future__ import annotations

import os
import re
from itertools import islice

from rer_numba.paths.discover import canonical_location, definition_file
from rer_numba.paths.settings import PathSettings

_LOOKED_AT = 20
"""Folders of a path: enough to know, and little on a slow disk."""
_READ = 1 << 16
_NAME = re.compile(r"""^name\s*[=:]\s*["']?([\w.]+)["']?\s*(?:[;#].*)?$""", re.MULTILINE)
_NUMBER = re.compile(r"\d[\d.]*$")


def family_of_folder(path: str, settings: PathSettings) -> tuple[str, str] | None:
    """Give (family, the path that holds it) if a package path is the folder of one family or package, else None.

    A definition is a version of the family that it names, or, without a name, if its folder is called like a version.
    The path must hold no package of another family.
    """
    folder = canonical_location(path)
    above, name = os.path.split(folder)
    if _is_of(folder, above, settings):
        return os.path.basename(above), os.path.dirname(above)
    if _defined_name(folder, settings) == name or _holds_versions(folder, settings):
        return name, above
    return None


def _holds_versions(folder: str, settings: PathSettings) -> bool:
    """Whether the packages in the first folders of a folder are all versions of it."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _LOOKED_AT) if entry.is_dir()]
    except OSError:
        return False
    places = [os.path.join(folder, name) for name in names if not name.startswith(".")]
    packages = [place for place in places if definition_file(place, settings) is not None]
    return bool(packages) and all(_is_of(place, folder, settings) for place in packages)


def _is_of(place: str, family: str, settings: PathSettings) -> bool:
    """Whether a folder holds a version of the family whose folder is given."""
    if definition_file(place, settings) is None:
        return False
    name = _defined_name(place, settings)
    if name is None:
        return _NUMBER.match(os.path.basename(place)) is not None
    return name == os.path.basename(family) and name != os.path.normcase(os.path.basename(place))


def _defined_name(place: str, settings: PathSettings) -> str | None:
    """The name that the definition in a folder says, if there is one that can be read so."""
    found = definition_file(place, settings)
    if found is None:
        return None
    try:
        with open(found[0], "rb") as file:
            text = file.read(_READ).decode("utf-8", "replace")
    except OSError:
        return None
    named = _NAME.search(text)
    return os.path.normcase(named[1]) if named else None
