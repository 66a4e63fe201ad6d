"""The imaginary studio that comes with rer-numba: packages and requests to try things on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from rer_numba.errors import RerError

if TYPE_CHECKING:
    from rer_numba.packages import PackageData
    from rer_numba.repository import Repository

SEARCHED = "<studio>"
"""What messages say was searched."""


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


def studio_repository() -> Repository:
    """Encode the studio; 40 ms."""
    from rer_numba.repository import Repository

    return Repository.from_packages(studio_packages(), paths=(SEARCHED,))
