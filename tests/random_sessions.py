"""Random sessions: what one process does to package folders, to rez's caches and with rez's API, between resolves."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.session_child import Action

FAMILIES = ("a", "b", "c", "d")
VERSIONS = ("1", "2", "3")


@dataclass(frozen=True)
class Studio:
    """The package paths of a session.

    Attributes
    ----------
    n_paths : int
    runs : tuple of tuple of int
        Paths that are published together, each run as one repository.
    is_apart : bool
        No version of a family lies on two paths.
    """

    n_paths: int
    runs: tuple[tuple[int, ...], ...]
    is_apart: bool = False

    def version(self, number: int, version: str) -> str:
        """How a path spells a version."""
        return f"{version}.{number}" if self.is_apart else version


def session(seed: int) -> list[Action]:
    """One session, from its first folders to its last resolve."""
    rng = Random(seed)
    n_paths = rng.choice((1, 2, 2, 3))
    runs = tuple((number,) for number in range(n_paths))
    return _session(rng, Studio(n_paths, runs), [run for run in runs if rng.random() < 0.6])


def session_as_one(seed: int) -> list[Action]:
    """The same where several paths are published as one repository, and are also searched singly, and in part.

    What one path hides of another is in no repository, so no version lies on two paths: see docs/deviations.md.
    """
    rng = Random(seed)
    n_paths = rng.choice((2, 2, 3))
    runs = ((0, 1), (0, 1), (0,), (1,)) if n_paths == 2 else ((0, 1, 2), (0, 1, 2), (0, 1), (1, 2), (1,), (0, 2))
    studio = Studio(n_paths, runs, is_apart=True)
    return _session(rng, studio, [rng.choice(runs[:2]), *(run for run in runs if rng.random() < 0.2)])


def _session(rng: Random, studio: Studio, published: list[tuple[int, ...]]) -> list[Action]:
    actions: list[Action] = [
        ("write", number, name, studio.version(number, version), _text(rng, name))
        for number in range(studio.n_paths)
        for name in FAMILIES
        for version in VERSIONS
        if rng.random() < 0.45
    ]
    actions.append(("settle",))
    actions += [_publish(rng, run) for run in published]
    while len([one for one in actions if one[0] == "resolve"]) < 8:
        actions += _step(rng, studio)
    return actions


def _publish(rng: Random, run: tuple[int, ...]) -> Action:
    """Publish some paths: beside the first of them or, where several are one, in a place that all paths look at."""
    return ("publish", list(run), len(run) > 1 and rng.random() < 0.5)


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


def _step(rng: Random, studio: Studio) -> list[Action]:
    """Something that happens to the folders or in the process, or a resolve."""
    number, name = rng.randrange(studio.n_paths), rng.choice(FAMILIES)
    version = studio.version(number, rng.choice((*VERSIONS, "4")))
    kind = rng.random()
    if kind < 0.45:
        return [_resolve(rng, studio)]
    if kind < 0.70:
        return [("write", number, name, version, _text(rng, name))]
    if kind < 0.74:
        return [("drop", number, name, rng.choice((version, version, "")))]
    if kind < 0.77:
        return [("hide", number, name, version)]
    if kind < 0.82:
        return [("clear", number)]
    if kind < 0.85:
        return [("clear_all",)]
    if kind < 0.89:
        return [(rng.choice(("ignore", "unignore", "remove")), number, name, version)]
    if kind < 0.91 and not studio.is_apart:
        return [("copy", number, name, version, rng.randrange(studio.n_paths))]
    if kind < 0.97:
        return [("look", _paths(rng, studio), name, rng.random() < 0.5)]
    return [_publish(rng, rng.choice(studio.runs))]


def _paths(rng: Random, studio: Studio) -> list[int]:
    return rng.sample(range(studio.n_paths), rng.randint(1, studio.n_paths))


def _resolve(rng: Random, studio: Studio) -> Action:
    names = rng.sample(FAMILIES, rng.choice((1, 1, 2)))
    requests = [rng.choice((name, name, f"{name}-{rng.choice(VERSIONS)}", f"{name}-2+")) for name in names]
    paths = list(range(studio.n_paths)) if rng.random() < 0.6 else _paths(rng, studio)
    return ("resolve", paths, requests, rng.choice((0, 0, 0, 250)))
