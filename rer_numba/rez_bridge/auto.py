"""Hooks every rez command of a studio: import this module in the file that REZ_CONFIG_FILE points to.

    try:
        import rer_numba.rez_bridge.auto
    except Exception:
        pass  # no rer-numba, or not all of it: rez solves alone

rez reads that file while it starts, before it can solve anything, and takes modules for no settings. This one waits
until rez imports `rez.resolver`, and hooks it then (`rer_numba.rez_bridge.hook`).

Invariants
----------
- A rez command that solves nothing pays for three small modules: no numpy, no rez that it would not import itself.
- Nothing here raises: what goes wrong is a warning, and rez is as it was. Other modules of ours may be gone or broken.
- Nothing is said while rez reads its configuration, which its log would read to know its colours.
- With ``RER_NUMBA=off`` nothing is touched.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

RESOLVER = "rez.resolver"


class _Finder:
    """Finds nothing itself: it notices that rez's resolver is imported."""

    def find_spec(self, name: str, *_: Any, **__: Any) -> ModuleSpec | None:
        """Give the spec that others find, with a loader that hooks afterwards. See `importlib.abc.MetaPathFinder`."""
        if name != RESOLVER:
            return None
        disarm()
        try:
            spec = find_spec(name)
            if spec is not None:
                _hook_after(spec.loader)
            return spec
        except Exception as error:  # noqa: BLE001 - rez must go on
            _warn(error)
            return None


_finder = _Finder()


class _Unfinished(ModuleType):
    """rez's resolver while it is being imported: hooked when somebody takes something from it afterwards."""

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("__") and not _is_importing(self):
            _be(self, ModuleType)
            _hook()
        return ModuleType.__getattribute__(self, name)


def _be(module: ModuleType, kind: type[ModuleType]) -> None:
    """Change the class of a module, as Python's documentation has it."""
    module.__class__ = kind


def _is_importing(module: ModuleType) -> bool:
    spec = ModuleType.__getattribute__(module, "__spec__")
    return bool(getattr(spec, "_initializing", False))


def arm() -> None:
    """Hook rez's resolver: now if it is there, otherwise as soon as it is."""
    if _is_off():
        return
    _collect_seldom()
    module = sys.modules.get(RESOLVER)
    if module is None:
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
    elif _is_importing(module):  # a program began with it, and something that it imports read the configuration
        _be(module, _Unfinished)
    else:
        _hook()


def _collect_seldom() -> None:
    try:
        from rer_numba.rez_bridge.commands import collect_seldom

        collect_seldom()
    except Exception:  # noqa: BLE001 - solving will meet it again, and warn of it
        return


def _is_off() -> bool:
    try:
        from rer_numba.rez_bridge.modes import is_off
    except Exception:  # noqa: BLE001 - hooking will meet it again, and warn of it
        return False
    return is_off()


def disarm() -> None:
    """Wait no longer."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    module = sys.modules.get(RESOLVER)
    if isinstance(module, _Unfinished):
        _be(module, ModuleType)


def _hook_after(loader: Any) -> None:
    """Make a loader hook rez's resolver once it has run it; the loader is rez's own in all other respects."""
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        run(module)
        if module.__name__ == RESOLVER:
            del loader.exec_module
            _hook()

    loader.exec_module = exec_module


def _hook() -> None:
    try:
        from rer_numba.rez_bridge.hook import install

        install()
    except Exception as error:  # noqa: BLE001 - rez must go on
        _warn(error)


def _warn(error: Exception) -> None:
    """Warn as rez does, once: rez's resolver is imported once."""
    from rez.utils.logging_ import print_warning

    print_warning(f"rer-numba: rez could not be hooked, and solves alone: {type(error).__name__}: {error}")


arm()
