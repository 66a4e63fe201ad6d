"""The layouts of package folders that `rer-numba benchmark --layouts` measures, made of one folder of packages.

Each is what a studio has some day: packages on several paths, a release since they were published, a restored disk,
policies, packages of a user. The folder of packages itself is copied, never changed.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from rer_numba.benchmark_commands import RezCommands
from rer_numba.benchmark_steps import SETTLED_AFTER

AT_ONCE: Final = 16
"""Commands that are started together, where a layout is about that."""
MANY_RELEASES: Final = 200
LATE: Final = "rer_late"
ASKS: Final = "rer_asks"
_NEWEST: Final = 9999
_REQUIRED: Final = "RER_BENCHMARK_REQUIRED"
_KEPT: Final = ".kernel"
"""End of the names of compiled kernels, which a wheel brings: an empty cache of an installation has them as well."""
_VERSION_LINE = re.compile(r"^version\s*=.*$", re.MULTILINE)


class Layout(NamedTuple):
    """One layout, as rez and rer-numba find it.

    Attributes
    ----------
    label : str
    paths : list of str
        ``packages_path``.
    settings : str
        Lines of rez's configuration.
    arguments : tuple of str
        Of `rez-env`, before the request.
    also : tuple of str
        Requested besides.
    environment : mapping
        Variables, of both.
    is_left_to_rez : bool
        A solve by rez is no failure of the bridge here.
    at_once : int
        So many commands are started together, and what counts is the time until all have ended.
    before : callable or None
        What happens before each round: a release.
    is_cache_empty : bool
        The first process finds nothing of this user; else only no tables that others have composed.
    """

    label: str
    paths: list[str]
    settings: str = ""
    arguments: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    is_left_to_rez: bool = False
    at_once: int = 1
    before: Callable[[], None] | None = None
    is_cache_empty: bool = False


class Layouts:
    """Makes layouts, one after the other.

    Parameters
    ----------
    commands : RezCommands
        Their folder takes the layouts.
    tree : str
        Folder of packages.
    family, version : str
        A package that the requests resolve to. Its family is released to, and a user has a copy of it.

    Attributes
    ----------
    clean : str
        A copy of the packages.
    published : str
        The file of `clean`, which is fresh. It lies elsewhere.
    """

    def __init__(self, commands: RezCommands, tree: str, family: str, version: str) -> None:
        self._commands = commands
        self._folder = commands.folder
        self._tree = tree
        self._family = family
        self._version = version
        self._releases = 0
        self.clean = self._copy("clean")
        self._write(self.clean, LATE, "1", f"@late()\ndef requires():\n    return [{family!r}]\n")
        asking = f"import os\nrequires = [os.environ.get({_REQUIRED!r}, {family!r})]\n"
        self._write(self.clean, ASKS, "1", asking)
        self.published = os.path.join(self._folder, "clean.rer")
        self._encode([self.clean], self.published)

    def make(self, name: str) -> Layout:
        """Make one of `NAMES`, in their order: what an earlier one has released stays."""
        made = _MAKERS[name](self)
        time.sleep(2 * SETTLED_AFTER)  # so that each look at a file is sure
        return made

    # --- what layouts are made of
    def _place(self, *names: str) -> str:
        return os.path.join(self._folder, *names)

    def _copy(self, name: str) -> str:
        """A copy of the packages, made once."""
        copied = self._place(name)
        if not os.path.isdir(copied):
            shutil.copytree(self._tree, copied)
        return copied

    def _encode(self, paths: Iterable[str], file: str) -> None:
        time.sleep(2 * SETTLED_AFTER)
        config = self._commands.configure("encoding", (), bridge=False)
        self._commands.rer_numba(self._commands.environment(config), "encode", *paths, "-o", file)

    def _publish(self, path: str) -> str:
        """Encode a path, beside its packages."""
        self._encode([path], os.path.join(path, ".rer", ""))
        return path

    @staticmethod
    def _write(path: str, name: str, version: str, lines: str) -> None:
        place = os.path.join(path, name, version)
        os.makedirs(place)
        with open(os.path.join(place, "package.py"), "w", encoding="utf-8") as stream:
            stream.write(f"name = {name!r}\nversion = {version!r}\n{lines}")

    def _release(self, path: str, families: Iterable[str]) -> None:
        """Release a version to each family, that says what another one says."""
        self._releases += 1
        for family in families:
            place = os.path.join(path, family)
            newest = f"{_NEWEST}.{self._releases}"
            like = self._version if family == self._family else max(os.listdir(place))
            copied = shutil.copytree(os.path.join(place, like), os.path.join(place, newest))
            file = os.path.join(copied, "package.py")
            with open(file, encoding="utf-8") as stream:
                text = stream.read()
            with open(file, "w", encoding="utf-8") as stream:
                stream.write(_VERSION_LINE.sub(f"version = {newest!r}", text))

    def _some_families(self, count: int) -> list[str]:
        """So many of all, evenly spread, with the one of `family` among them."""
        families = sorted(set(os.listdir(self._tree)) - {self._family})
        step = max(1, len(families) // max(1, count - 1))
        return [self._family, *families[::step][: count - 1]]

    # --- layouts
    def _clean(self) -> Layout:
        return self._on_clean("clean: one path, one fresh file")

    def _on_clean(
        self, label: str, settings: str = "", arguments: tuple[str, ...] = (), also: tuple[str, ...] = ()
    ) -> Layout:
        environment = {"RER_NUMBA_REPOSITORIES": self.published}
        return Layout(label, [self.clean], settings, arguments, also, environment)

    def dealt(self, count: int) -> Layout:
        """Families dealt to several paths, each published for itself."""
        paths = [self._place("dealt", f"{count}-{number}") for number in range(count)]
        for path in paths:
            os.makedirs(path)
        self._copy(os.path.join("dealt", "all"))
        for family, place in sorted(self._dealt_before(paths)):
            path = paths[zlib.crc32(family.encode()) % count]
            os.rename(place, os.path.join(path, family))
        for path in paths:
            if os.listdir(path):
                self._publish(path)
        return Layout(f"{count} published paths", paths)

    def _dealt_before(self, paths: Collection[str]) -> list[tuple[str, str]]:
        """(family, folder) wherever it was dealt to before."""
        base = self._place("dealt")
        earlier = [place for name in os.listdir(base) if (place := os.path.join(base, name)) not in paths]
        return [
            (family, os.path.join(place, family))
            for place in earlier
            for family in os.listdir(place)
            if not family.startswith(".")
        ]

    def _released_base(self) -> str:
        path = self._place("released")
        if not os.path.isdir(path):
            self._publish(self._copy("released"))
            time.sleep(2 * SETTLED_AFTER)
        return path

    def released(self, count: int) -> Layout:
        """Published, then released to."""
        path = self._released_base()
        self._release(path, self._some_families(count))
        return Layout(f"published, then {count} {'family' if count == 1 else 'families'} released to", [path])

    def _release_at_once(self) -> Layout:
        path = self._released_base()
        label = f"{AT_ONCE} processes at once, just after a release"
        return Layout(label, [path], at_once=AT_ONCE, before=lambda: self._release(path, [self._family]))

    def _mirrored(self) -> Layout:
        path = self._publish(self._copy("mirrored"))
        original = self._place("original")
        os.rename(path, original)
        shutil.copytree(original, path)
        shutil.rmtree(original)
        return Layout("mirrored or restored: new inodes, new times of change", [path])

    def _filter(self) -> Layout:
        return self._on_clean("a filter", 'package_filter = {"excludes": ["glob(*-0.0.nightly)"]}\n')

    def _regexes(self) -> Layout:
        rules = [f"regex(.*-{number}\\.nightly)" for number in range(5)]
        return self._on_clean("five regexes", f"package_filter = {{'excludes': {rules!r}}}\n")

    def _orderer(self) -> Layout:
        return self._on_clean("an orderer", 'package_orderers = [{"type": "sorted", "descending": True}]\n')

    def _timestamp(self) -> Layout:
        return self._on_clean("-t", arguments=("-t", "1900000000"))

    def _local(self) -> Layout:
        local = self._place("local")
        own = os.path.join(self._family, self._version)
        shutil.copytree(os.path.join(self.clean, own), os.path.join(local, own))
        return self._on_clean("a local, unpublished path in front")._replace(paths=[local, self.clean])

    def _late(self) -> Layout:
        return self._on_clean("a late package is reached", also=(LATE,))._replace(is_left_to_rez=True)

    def _asking(self) -> Layout:
        return self._on_clean("a package that asks its process is reached", also=(ASKS,))._replace(is_left_to_rez=True)

    def _homes(self) -> tuple[list[str], list[str]]:
        """The paths of who encodes, and those of another user: each has a package of his own."""
        site = self._copy("site")
        homes = [self._place(user, "packages") for user in ("encoder", "user")]
        for number, home in enumerate(homes):
            if not os.path.isdir(home):
                self._write(home, "mytool", str(number), "")
        return [homes[0], site], [homes[1], site]

    def _encode_from_rez(self, paths: list[str], file: str) -> None:
        time.sleep(2 * SETTLED_AFTER)
        config = self._commands.configure("encoder", paths, bridge=False)
        self._commands.rer_numba(self._commands.environment(config), "encode", "--from-rez", "-o", file)

    def _home(self) -> Layout:
        encoder, user = self._homes()
        file = self._place("site.rer")
        self._encode_from_rez(encoder, file)
        label = "encode --from-rez with a home, then another user's; RER_NUMBA_REPOSITORIES"
        return Layout(label, user, environment={"RER_NUMBA_REPOSITORIES": file})

    def _home_beside(self) -> Layout:
        encoder, user = self._homes()
        self._encode_from_rez(encoder, os.path.join(encoder[1], ".rer", ""))
        return Layout("the same, beside the packages", user)

    def _empty_cache(self) -> Layout:
        label = f"{AT_ONCE} processes at once, with an empty cache folder"
        return self._on_clean(label)._replace(at_once=AT_ONCE, is_cache_empty=True)


_MAKERS: Final[dict[str, Callable[[Layouts], Layout]]] = {
    "clean": Layouts._clean,
    "dealt-2": lambda layouts: layouts.dealt(2),
    "dealt-3": lambda layouts: layouts.dealt(3),
    "dealt-6": lambda layouts: layouts.dealt(6),
    "released-1": lambda layouts: layouts.released(1),
    "release-at-once": Layouts._release_at_once,
    f"released-{MANY_RELEASES}": lambda layouts: layouts.released(MANY_RELEASES),
    "mirrored": Layouts._mirrored,
    "filter": Layouts._filter,
    "orderer": Layouts._orderer,
    "timestamp": Layouts._timestamp,
    "regexes": Layouts._regexes,
    "local": Layouts._local,
    "late": Layouts._late,
    "asking": Layouts._asking,
    "home": Layouts._home,
    "home-beside": Layouts._home_beside,
    "empty-cache": Layouts._empty_cache,
}
NAMES: Final = tuple(_MAKERS)
"""What `Layouts.make` takes, in the order of the table."""


def forget(cache: str, *, everything: bool) -> None:
    """Empty a user's cache folder: of tables that were composed, or of everything but kernels."""
    for name in os.listdir(cache) if os.path.isdir(cache) else ():
        place = os.path.join(cache, name)
        if name == "composed" or (everything and os.path.isdir(place)):
            shutil.rmtree(place, ignore_errors=True)
        elif everything and not name.endswith(_KEPT):
            os.remove(place)


def hand_on_kernels(source: str | None, cache: str) -> None:
    """Copy compiled kernels to another cache folder, which is for this user alone."""
    os.makedirs(cache, 0o700, exist_ok=True)
    if source and os.path.isdir(source):
        for name in os.listdir(source):
            if name.endswith(_KEPT):
                shutil.copy2(os.path.join(source, name), cache)
