"""What machine code was made from and for: the key under which it is kept.

Three parts, each one line of text per fact, so that a difference can be seen and not only detected:

- the *code*: kernel sources, package version, pointer size, system;
- the *target*: CPU name and features, Numba's settings;
- the *tools*: Numba, llvmlite, Python.

An object in the user's cache answers for all three. One shipped with the package answers for the first and for a CPU
name; which Numba made it does not matter to those who run it.
"""

import importlib
import os
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final, NamedTuple

from rer_numba.native.cache import digest
from rer_numba.native.host import HOST, architecture, processor
from rer_numba.native.sources import CHECKING_SOURCES, COMPOSING_SOURCES, KERNEL_SOURCES

PORTABLE: Final = "generic"
"""The CPU name of the object that every machine of an architecture can run."""
LAYOUT: Final = 2
"""Counts changes of the file format and of the machine code's surroundings (`rer_numba.native.compiler`)."""
_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STARTED: Final = time.time()
_HARMLESS: Final = frozenset(
    (
        "NUMBA_CACHE_DIR",
        "NUMBA_CACHE_LOCATOR_CLASSES",
        "NUMBA_CAPTURED_ERRORS",
        "NUMBA_COLOR_SCHEME",
        "NUMBA_DEBUG_CACHE",
        "NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING",
        "NUMBA_DISABLE_JIT",
        "NUMBA_DISABLE_PERFORMANCE_WARNINGS",
        "NUMBA_JIT_COVERAGE",
        "NUMBA_NUM_THREADS",
        "NUMBA_SHOW_HELP",
        "NUMBA_THREADING_LAYER",
        "NUMBA_THREADING_LAYER_PRIORITY",
        "NUMBA_WARNINGS",
    )
)
"""Settings of Numba that leave its machine code alone. One that is not listed makes another key, which is safe."""


class KernelSet(NamedTuple):
    """Kernels that are compiled together.

    Attributes
    ----------
    module : str
        Name of the module with ``export_ir() -> (ir, symbol)``.
    folder : str
        Where its source files are.
    sources : tuple of str
        Their names.
    prebuilt : str
        Folder of the objects that came with the package.
    what : str
        What they are, in words for the user.
    """

    module: str
    folder: str
    sources: tuple[str, ...]
    prebuilt: str
    what: str = "the solver"


_PREBUILT: Final = os.path.join(_PACKAGE, "_prebuilt")
KERNELS: Final = KernelSet("rer_numba.kernels", _PACKAGE, KERNEL_SOURCES, _PREBUILT)
"""The solver."""
COMPOSING: Final = KernelSet(
    "rer_numba.composing.kernels", _PACKAGE, COMPOSING_SOURCES, _PREBUILT, "the kernels that join repositories"
)
"""What `rer_numba.compose` runs; a process that only solves does not load it."""
CHECKING: Final = KernelSet(
    "rer_numba.checking.kernels", _PACKAGE, CHECKING_SOURCES, _PREBUILT, "the kernels that verify repositories"
)
"""What `rer_numba.checks` runs: once for each file and user."""
KERNEL_SETS: Final = (KERNELS, COMPOSING, CHECKING)
"""All that are shipped, and made ahead of time."""


def object_key(kernels: KernelSet, cpu: str) -> bytes:
    """Return the key of an object in the user's cache, 32 bytes. Raises OSError if a source cannot be read.

    Parameters
    ----------
    kernels : KernelSet
    cpu : str
        Name of a CPU, or "host".
    """
    facts = (*_code_facts(kernels), f"machine={machine_name()}", *_tool_facts())
    return _digest(*facts, f"mode={_mode()}", f"cpu=host {processor()}" if cpu == HOST else f"cpu=named {cpu}")


MACHINES: Final = (
    ("x86_64", "linux"),
    ("aarch64", "linux"),
    ("AMD64", "win32"),
    ("ARM64", "win32"),
    ("arm64", "darwin"),
    ("x86_64", "darwin"),
)
"""Architectures and systems that objects are shipped for."""


def portable_key(kernels: KernelSet, cpu: str, machine: tuple[str, str] | None = None) -> bytes:
    """Return the key of a shipped object, 32 bytes. Raises OSError if a source cannot be read.

    Parameters
    ----------
    kernels : KernelSet
    cpu : str
        Name of a CPU.
    machine : (str, str), optional
        One of `MACHINES`; default: this one.
    """
    # of Numba's settings only this one changes what the code does
    checks = os.environ.get("NUMBA_BOUNDSCHECK", "") not in ("", "0")
    return _digest(*_code_facts(kernels), f"machine={machine_name(machine)}", f"checks={checks}", f"cpu=named {cpu}")


class SourceStamp:
    """Remembers which sources a compilation starts from, so that its result is kept under their name only.

    Parameters
    ----------
    kernels : KernelSet
    """

    def __init__(self, kernels: KernelSet) -> None:
        self._kernels = kernels
        self._key = portable_key(kernels, PORTABLE)
        # a module that was imported before its file was edited compiles to the old code
        self._outdated = kernels.module in sys.modules and self._newest() > _STARTED

    def _newest(self) -> float:
        return max(os.stat(os.path.join(self._kernels.folder, name)).st_mtime for name in self._kernels.sources)

    def still_true(self) -> bool:
        """Tell whether what was compiled since is what the source files say."""
        return not self._outdated and portable_key(self._kernels, PORTABLE) == self._key


def _digest(*facts: str) -> bytes:
    return digest("\n".join(facts).encode())


def _code_facts(kernels: KernelSet) -> Iterator[str]:
    yield f"layout={LAYOUT}"
    yield f"version={getattr(importlib.import_module('rer_numba'), '__version__', '')}"
    yield f"pointer={sys.maxsize.bit_length() + 1} {sys.byteorder}"
    for name in kernels.sources:
        yield f"source={name} {digest(_read(os.path.join(kernels.folder, name))).hex()}"


def machine_name(machine: tuple[str, str] | None = None) -> str:
    """Architecture and system, of this machine or of one of `MACHINES`."""
    return " ".join(machine or (architecture(), sys.platform))


def _mode() -> list[tuple[str, str]]:
    """Return the settings of Numba that may change its machine code."""
    return sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] not in _HARMLESS)


def _tool_facts() -> Iterator[str]:
    yield f"numba={_version_of('numba')}"
    yield f"llvmlite={_version_of('llvmlite')}"
    yield f"python={sys.implementation.cache_tag}"


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _version_of(package: str) -> str:
    """Return a text that names the installed version of a package, without importing it.

    The package's own version file takes 0.15 ms to find and read; `importlib.metadata` takes 12 ms (2026-11-20).
    """
    try:
        spec = find_spec(package)
    except ValueError:
        spec = None
    if spec is None or spec.origin is None:
        return "none"
    try:
        return digest(_read(os.path.join(os.path.dirname(spec.origin), "_version.py"))).hex()
    except OSError:
        return str(importlib.import_module("importlib.metadata").version(package))
