"""Modules of Python whose import does nothing but bind a name, wherever and in whatever version of Python."""

from __future__ import annotations

from rer_numba.paths.evaluator.values import Imported, Module, NotEvaluatedError, words

STANDARD = words(
    "argparse ast base64 collections configparser contextlib copy csv datetime enum fnmatch functools getpass glob"
    " hashlib importlib inspect io itertools json locale logging math operator os os.path pathlib pickle pkgutil"
    " platform pprint random re shlex shutil socket stat string struct subprocess sys tempfile textwrap threading time"
    " traceback types typing urllib urllib.parse uuid warnings xml zipfile"
)
"""In every build of Python 3.10 and later, on every system."""

NAMES: dict[str, frozenset[str]] = {
    "collections": frozenset({"OrderedDict", "defaultdict", "deque", "namedtuple"}),
    "copy": frozenset({"copy", "deepcopy"}),
    "datetime": frozenset({"date", "datetime", "timedelta"}),
    "functools": frozenset({"partial", "reduce", "wraps"}),
    "glob": frozenset({"glob"}),
    "itertools": frozenset({"chain", "product"}),
    "json": frozenset({"dump", "dumps", "load", "loads"}),
    "os": frozenset({"environ", "getcwd", "getenv", "listdir", "makedirs", "name", "path", "sep", "walk"}),
    "os.path": frozenset(
        {"abspath", "basename", "dirname", "exists", "expanduser", "expandvars", "isdir", "isfile", "join", "normpath"}
        | {"realpath", "split", "splitext"}
    ),
    "pathlib": frozenset({"Path", "PurePath"}),
    "platform": frozenset({"architecture", "machine", "node", "platform", "release", "system", "uname", "version"}),
    "pprint": frozenset({"pformat", "pprint"}),
    "re": frozenset({"compile", "findall", "match", "search", "sub"}),
    "shutil": frozenset({"copy", "copyfile", "copytree", "move", "rmtree", "which"}),
    "socket": frozenset({"gethostname"}),
    "string": frozenset({"Template"}),
    "subprocess": frozenset({"PIPE", "Popen", "call", "check_call", "check_output", "run"}),
    "sys": frozenset({"argv", "executable", "path", "platform", "version", "version_info"}),
    "tempfile": frozenset({"gettempdir", "mkdtemp"}),
    "textwrap": frozenset({"dedent"}),
    "time": frozenset({"sleep", "strftime", "time"}),
    "typing": frozenset({"TYPE_CHECKING", "Any", "Callable", "Dict", "Iterable", "List", "Optional", "Tuple", "Union"}),
}  # fmt: skip
"""What can be taken from them: it is there, and is no dict that rez's loader could stumble over."""

_FUTURE = frozenset({"absolute_import", "annotations", "division", "generators", "print_function", "unicode_literals"})
_NOTHING_BUT_NONE = "rez.utils.lint_helper"
"""Whatever is imported from it is None (it keeps linters quiet)."""


def module(name: str) -> Module:
    """A module that is imported as a whole; raises NotEvaluatedError."""
    if name not in STANDARD:
        raise NotEvaluatedError(f"imports {name}")
    return Module(name)


def taken_from(name: str | None, level: int, item: str) -> object:
    """What ``from name import item`` binds; raises NotEvaluatedError."""
    if name is None or level or item.startswith("_") or item == "*":
        raise NotEvaluatedError(f"imports {item} from {'.' * level}{name or ''}")
    if name == _NOTHING_BUT_NONE and item != "used":
        return None
    if name == "__future__" and item in _FUTURE:
        return Imported(f"{name}.{item}")
    if item in NAMES.get(name, ()):
        return Module(f"{name}.{item}") if f"{name}.{item}" in STANDARD else Imported(f"{name}.{item}")
    raise NotEvaluatedError(f"imports {item} from {name}")
