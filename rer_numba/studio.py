"""The imaginary studio that comes with rer-numba: packages and requests to try things on."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from rer_numba.errors import RerError

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.packages import PackageData
    from rer_numba.repository import Repository

SEARCHED = "<studio>"
"""What messages say was searched."""
IMPLICIT = {
    "linux": ("~platform==linux", "~arch==x86_64", "~os==rocky-9"),
    "windows": ("~platform==windows", "~arch==x86_64", "~os==windows-10"),
}
"""Platform -> what rez adds to a request by itself on such a machine of the studio."""


class StudioRequest(NamedTuple):
    """A request of the studio.

    Attributes
    ----------
    name, description : str
    requests : list of str
        With the weak requirements on the platform that rez adds by itself.
    options : dict
        Keyword arguments of `Repository.solve`.
    expected : str
        Status, and for a failure its kind.
    """

    name: str
    description: str
    requests: list[str]
    options: dict[str, Any]
    expected: str


def studio_folder() -> str:
    """Return the folder with the data: inside the installed package, or in the checkout.

    Raises
    ------
    RerError
        There is neither.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    for folder in (os.path.join(package, "_studio"), os.path.join(os.path.dirname(package), "data_set", "studio")):
        if os.path.isfile(os.path.join(folder, "packages.json")):
            return folder
    raise RerError("the studio's data is missing from this installation; install rer-numba again")


def studio_packages() -> list[PackageData]:
    """Read the studio's packages."""
    from rer_numba.json_packages import read_json

    return read_json(os.path.join(studio_folder(), "packages.json"))


def studio_requests() -> dict[str, StudioRequest]:
    """Read the studio's requests, by name."""
    with open(os.path.join(studio_folder(), "requests.json"), encoding="utf-8") as file:
        found = [StudioRequest(**entry) for entry in json.load(file)["requests"]]
    return {request.name: request for request in found}


def studio_repository(options: SolveOptions | None = None) -> Repository:
    """Encode the studio; 40 ms."""
    from rer_numba.repository import Repository

    return Repository.from_packages(studio_packages(), paths=(SEARCHED,), options=options)


def platform_at_hand() -> str:
    """The platform whose packages answer on this machine. The studio has no Macs, which are shown what Linux gets."""
    return "windows" if sys.platform == "win32" else "linux"


def without_what_is_asked_for(options: SolveOptions, requests: list[str]) -> SolveOptions:
    """The options of a solve of the studio: a request that names a platform itself is not for the one at hand."""
    named = {found[1] for text in requests if (found := re.match(r"[!~]?(\w+)", text))}
    is_ours = options.implicit_packages == IMPLICIT[platform_at_hand()]
    return replace(options, implicit_packages=()) if is_ours and named & {"platform", "arch", "os"} else options


def studio_at_hand() -> Repository:
    """Encode the studio, to be solved as on a machine of this platform."""
    from rer_numba.options import SolveOptions

    return studio_repository(SolveOptions(implicit_packages=IMPLICIT[platform_at_hand()]))
