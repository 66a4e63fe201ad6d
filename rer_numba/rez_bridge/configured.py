"""Solve options from rez's own configuration.

rez reads it, so that all its rules hold: REZ_CONFIG_FILE, ~/.rezconfig and REZ_DISABLE_HOME_CONFIG, the variables
REZ_* and REZ_*_JSON, ModifyList, DelayLoad, expansions such as ``{system.platform}`` and platform_map behind them. As
in rez, files are read once per process.

Invariants
----------
- A setting that rez refuses becomes a `ConfigurationError` with rez's text. Where rez dies of another error, the text
  names the setting and that error.
- Orderers and filters stay in configuration form, so that they can be stored and sent elsewhere. Only an orderer of a
  type that somebody registered with rez becomes an object.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from rer_numba.errors import ConfigurationError, VersionError
from rer_numba.options import SolveOptions
from rer_numba.orderers import TYPES
from rer_numba.paths.settings import PathSettings
from rer_numba.rez_versions import is_too_old, traits_of, unsupported, version_with

SETTINGS = (
    "variant_select_mode",
    "package_orderers",
    "package_filter",
    "error_on_missing_variant_requires",
    "allow_unversioned_packages",
    "implicit_packages",
)
"""The settings of rez that act on a solve; they have the names of fields of `SolveOptions`."""

PLUGIN_SETTINGS = ("package_filenames", "check_package_definition_files", "file_lock_dir")
"""Settings of rez's filesystem repositories; they have the names of fields of `PathSettings`."""

_NOT_FROM_VARIABLES = {"package_filter", "package_orderers"}
"""rez reads these from REZ_<NAME>_JSON only, and dies without a word about it when REZ_<NAME> is there."""


def options_from_rez() -> SolveOptions:
    """Take the options from rez's configuration; timestamp and building are no part of it and keep their defaults.

    Raises
    ------
    ConfigurationError
        rez is not installed, or a setting cannot be used; the text names it.
    """
    config = _rez_config().config
    values = {name: _value(config, name) for name in SETTINGS}
    values["package_orderers"] = _as_orderers(values["package_orderers"])
    values["rez_version"] = _version_of_orderers() if values["package_orderers"] else None
    try:
        return SolveOptions(**values).read()
    except (ConfigurationError, ValueError, VersionError) as error:
        raise ConfigurationError(f"rez's configuration: {error}") from None


def _version_of_orderers() -> str:
    """The rez whose meaning its orderers have, as `SolveOptions.rez_version` has it."""
    import rez

    from rer_numba.rez_bridge.loaded import loaded_traits

    traits = loaded_traits()
    if traits is None:
        raise ConfigurationError(f"{unsupported(rez.__version__)}; what its package_orderers mean is not known")
    return rez.__version__ if traits_of(rez.__version__) else version_with(traits.orders)


def path_settings_from_rez() -> PathSettings:
    """Take what decides how folders of packages are read: one setting of rez, and those of its filesystem plugin.

    Raises
    ------
    ConfigurationError
        rez is not installed, or a setting cannot be used; the text names it.
    """
    config = _rez_config().config
    plugins = _value(_value(config, "plugins"), "package_repository")["filesystem"]
    values = {name: plugins[name] for name in PLUGIN_SETTINGS}
    values["check_package_definition_files"] = bool(values["check_package_definition_files"])  # rez takes any value
    values["allow_unversioned_packages"] = _value(config, "allow_unversioned_packages")
    try:
        return PathSettings.from_values(values)
    except ConfigurationError as error:
        raise ConfigurationError(f"rez's configuration: {error}") from None


def packages_path_from_rez() -> list[str]:
    """Where rez searches: its setting packages_path, in its order.

    Raises
    ------
    ConfigurationError
        rez is not installed, or the setting cannot be used; the text names it.
    """
    return list(_value(_rez_config().config, "packages_path"))


def shared_packages_path_from_rez() -> list[str]:
    """`packages_path_from_rez` without the local packages, which each user has for themselves. Raises the same."""
    local = _value(_rez_config().config, "local_packages_path")
    return [path for path in packages_path_from_rez() if os.path.realpath(path) != os.path.realpath(local)]


def setting_of_file(path: str | os.PathLike[str], name: str) -> Any:
    """Read one setting of a configuration file of rez, Python or YAML, with its ModifyList, DelayLoad and expansions.

    Nothing else counts: no other file, no variable.

    Raises
    ------
    ConfigurationError
        rez is not installed, the file does not set it, or it cannot be used.
    OSError
        The file cannot be read.
    """
    rez_config = _rez_config()
    path = os.fspath(path)
    with open(path, "rb"):
        pass  # for an OSError that names the file
    try:
        data = _loaded(rez_config, path)
    except rez_config.ConfigurationError as error:
        raise ConfigurationError(str(error)) from None
    if name not in data:
        raise ConfigurationError(f"{path}: does not set {name}")
    config = rez_config.Config([rez_config.get_module_root_config()], overrides={name: data[name]}, locked=True)
    try:
        value = _value(config, name)
        value = _as_orderers(value) if name == "package_orderers" else value
        SolveOptions().with_overrides({name: value}).read()
    except (ConfigurationError, ValueError, VersionError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return value


def origins() -> dict[str, tuple[str, str]]:
    """Where rez takes each of `SETTINGS` from.

    Returns
    -------
    dict
        Name -> ("environment", variable), ("rez", file), or ("rez", "default") for the file that is part of rez. The
        rez whose meaning orderers have comes with them.

    Raises
    ------
    ConfigurationError
        rez is not installed.
    """
    rez_config = _rez_config()
    root = rez_config.get_module_root_config()
    found: dict[str, tuple[str, str]] = dict.fromkeys(SETTINGS, ("rez", "default"))
    for path in rez_config.config.sourced_filepaths:  # later files count more
        if path != root:
            found.update({name: ("rez", path) for name in _loaded(rez_config, path) if name in found})
    for name in SETTINGS:
        for variable in (f"REZ_{name.upper()}", f"REZ_{name.upper()}_JSON"):
            if variable in os.environ:
                found[name] = ("environment", variable)
                break
    found["rez_version"] = found["package_orderers"]
    return found


def _rez_config() -> Any:
    """The module `rez.config`."""
    try:
        import rez.config
    except ImportError as error:
        raise ConfigurationError(
            f"rez's configuration is read by rez, which cannot be imported here ({error}); "
            "pip install rez, or store the options where rez is: rer-numba encode --from-rez"
        ) from None
    if is_too_old(rez.__version__):
        raise ConfigurationError(f"{unsupported(rez.__version__)}; until then rez solves alone")
    return rez.config


def _loaded(rez_config: Any, path: str) -> Mapping[str, Any]:
    """Settings of one file; rez keeps what it has read."""
    load = rez_config._load_config_py if path.endswith(".py") else rez_config._load_config_yaml
    data: Mapping[str, Any] = load(path)
    return data


def _value(config: Any, name: str) -> Any:
    from rez.exceptions import ConfigurationError as RezConfigurationError

    try:
        return getattr(config, name)
    except RezConfigurationError as error:
        raise ConfigurationError("; ".join(str(error).splitlines())) from None
    except Exception as error:  # noqa: BLE001 - a variable, a file read late, an expansion: whatever rez dies of
        variable = f"REZ_{name.upper()}"
        if name in _NOT_FROM_VARIABLES and variable in os.environ:
            raise ConfigurationError(f"rez does not read {name} from {variable}, only from {variable}_JSON") from None
        raise ConfigurationError(f"rez cannot read its setting {name}: {type(error).__name__}: {error}") from None


def _as_orderers(pods: list[Any]) -> list[Any]:
    """Let rez make the orderers of types that were registered with it."""
    from rez import package_order

    registered = package_order._orderers
    made = []
    for pod in pods:
        foreign = set(_types(pod)) - TYPES
        if foreign and foreign <= set(registered):
            try:
                made.append(package_order.from_pod(pod))
            except Exception as error:  # noqa: BLE001 - somebody's own class
                raise ConfigurationError(f"package orderer: {type(error).__name__}: {error}: {pod!r}") from None
        else:
            made.append(pod)
    return made


def _types(pod: Any) -> Iterator[str]:
    """All types that an orderer in configuration form names."""
    if isinstance(pod, Mapping):
        if isinstance(pod.get("type"), str):
            yield pod["type"]
        for value in pod.values():
            yield from _types(value)
    elif isinstance(pod, list):
        for item in pod:
            yield from _types(item)
