"""Random sessions: what one process does to package folders, to rez's caches and with rez's API, between resolves."""

from __future__ import annotations

from random import Random

from tests.session_child import Action

FAMILIES = ("a", "b", "c", "d")
VERSIONS = ("1", "2", "3")


def session(seed: int) -> list[Action]:
    """One session, from its first folders to its last resolve."""
    rng = Random(seed)
    n_paths = rng.choice((1, 2, 2, 3))
    actions: list[Action] = [
        ("write", number, name, version, _text(rng, name))
        for number in range(n_paths)
        for name in FAMILIES
        for version in VERSIONS
        if rng.random() < 0.45
    ]
    actions.append(("settle",))
    as_one = n_paths > 1 and rng.random() < 0.2
    paths = list(range(n_paths))
    actions += [("publish", run) for run in ([paths] if as_one else [[one] for one in paths if rng.random() < 0.6])]
    while len([one for one in actions if one[0] == "resolve"]) < 8:
        actions += _step(rng, n_paths, as_one)
    return actions


def _text(rng: Random, name: str) -> str:
    """What a definition file says. Families only require later ones, so that most requests have a solution."""
    if rng.random() < 0.03:
        return "requires = ['a'"
    later = FAMILIES[FAMILIES.index(name) + 1 :]
    lines = []
    if later and rng.random() < 0.6:
        lines.append(f"requires = [{_requirement(rng, later)!r}]")
    if later and rng.random() < 0.2:
        lines.append(f"variants = [[{_requirement(rng, later)!r}], [{_requirement(rng, later)!r}]]")
    if rng.random() < 0.5:
        lines.append(f"timestamp = {rng.choice((100, 200, 300))}")
    if rng.random() < 0.1:
        lines.append("name_of = str.upper")  # no plain literal
    return "\n".join(lines) + "\n"


def _requirement(rng: Random, names: tuple[str, ...]) -> str:
    name = rng.choice(names)
    return rng.choice((name, name, f"{name}-{rng.choice(VERSIONS)}", f"{name}-{rng.choice(VERSIONS)}+", f"!{name}-1"))


def _step(rng: Random, n_paths: int, as_one: bool) -> list[Action]:
    """Something that happens to the folders or in the process, or a resolve.

    Paths that are published as one are searched, and forgotten, as one: see docs/deviations.md.
    """
    number, name, version = rng.randrange(n_paths), rng.choice(FAMILIES), rng.choice((*VERSIONS, "4"))
    kind = rng.random()
    if kind < 0.45:
        return [_resolve(rng, n_paths, as_one)]
    if kind < 0.70:
        return [("write", number, name, version, _text(rng, name))]
    if kind < 0.74:
        return [("drop", number, name, rng.choice((version, version, "")))]
    if kind < 0.77:
        return [("hide", number, name, version)]
    if as_one and 0.77 <= kind < 0.91:
        return [("clear_all",)]
    if kind < 0.82:
        return [("clear", number)]
    if kind < 0.85:
        return [("clear_all",)]
    if kind < 0.89:
        return [(rng.choice(("ignore", "unignore", "remove")), number, name, version)]
    if kind < 0.91:
        return [("copy", number, name, version, rng.randrange(n_paths))]
    if kind < 0.97:
        return [("look", _paths(rng, n_paths), name, rng.random() < 0.5)]
    return [("publish", list(range(n_paths)) if as_one else [number])]


def _paths(rng: Random, n_paths: int) -> list[int]:
    return rng.sample(range(n_paths), rng.randint(1, n_paths))


def _resolve(rng: Random, n_paths: int, as_one: bool) -> Action:
    names = rng.sample(FAMILIES, rng.choice((1, 1, 2)))
    requests = [rng.choice((name, name, f"{name}-{rng.choice(VERSIONS)}", f"{name}-2+")) for name in names]
    paths = list(range(n_paths)) if as_one or rng.random() < 0.6 else _paths(rng, n_paths)
    return ("resolve", paths, requests, rng.choice((0, 0, 0, 250)))
