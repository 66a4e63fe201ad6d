"""Spices: each plants one special situation of rez's solver in a random repository."""

from __future__ import annotations

from collections.abc import Callable

from rez.version import Requirement

from tests.case import Package
from tests.random_draft import (
    EPHEMERAL_NAMES,
    FAMILY_NAMES,
    Draft,
    ascending_versions,
    valid_requirement,
    without_conflicts,
)


def _maze(draft: Draft) -> None:
    """Gates whose variants go through different roads, and roads that want different versions of one lock.

    No road is in the solve before a gate has chosen it, so no reduction can foresee the conflict: rez must try the
    combinations one by one.
    """
    rng = draft.rng
    spare = rng.sample([name for name in FAMILY_NAMES if name not in draft.names], 10)
    lock, gates, roads = spare[0], spare[1 : rng.randint(4, 5)], spare[5 : rng.randint(8, 10)]
    draft.names += [*gates, *roads, lock]
    draft.versions[lock] = ascending_versions(rng, rng.randint(3, 5))
    draft.packages += [Package(lock, version) for version in draft.versions[lock]]
    for road in roads:
        draft.versions[road] = ascending_versions(rng, rng.randint(1, 2))
        for version in draft.versions[road]:
            fitting = rng.sample(draft.versions[lock], 1 + (rng.random() < 0.15))
            draft.packages.append(Package(road, version, [lock + "|".join(f"=={text}" for text in fitting)]))
    for gate in gates:
        draft.versions[gate] = ascending_versions(rng, rng.randint(1, 2))
        for version in draft.versions[gate]:
            through = rng.sample(roads, rng.randint(2, 3))
            variants = [[draft.requirement(road, rng.random(), plain=True, tight=0.3)] for road in through]
            draft.packages.append(Package(gate, version, [], variants))
    draft.requests += rng.sample([*gates, lock], len(gates) + 1)


def _cycle(draft: Draft) -> None:
    """Every version of a lower family requires an upper one."""
    low, high = sorted(draft.rng.sample(range(len(draft.names)), 2))
    for position, package in enumerate(draft.packages):
        if package.name == draft.names[high]:
            draft.replace_package(position, requires=[*package.requires, draft.names[low]])
    if draft.rng.random() < 0.7:
        draft.add_request(draft.names[high])


def _self_requirement(draft: Draft) -> None:
    package = draft.rng.choice(draft.packages)
    position = draft.packages.index(package)
    own = package.name + draft.rng.choice(("", f"-{package.version}", f"<{package.version}"))
    draft.replace_package(position, requires=[*package.requires, valid_requirement(own, package.name)])


def _missing_family(draft: Draft) -> None:
    draft.add_requirement("nowhere" + draft.rng.choice(("", "-1", ">2")))


def _missing_family_tolerated(draft: Draft) -> None:
    draft.options["error_on_missing_variant_requires"] = False
    for _ in range(draft.rng.randint(1, 3)):
        _missing_family(draft)


def _missing_family_conflict(draft: Draft) -> None:
    """A conflict with a family that does not exist harms nobody, until something requires it."""
    draft.add_request(draft.rng.choice(("!nowhere", "~nowhere-1", "~nowhere")))
    if draft.rng.random() < 0.3:
        _missing_family(draft)


def _missing_family_request(draft: Draft) -> None:
    draft.add_request("nowhere-1")


def _missing_version(draft: Draft) -> None:
    draft.add_requirement(draft.random_name() + "-99")


def _missing_version_request(draft: Draft) -> None:
    draft.add_request(draft.random_name() + draft.rng.choice(("-99", ">99", "==0.0.0.1")))


def _self_conflicting_requires(draft: Draft) -> None:
    name = draft.random_name()
    version = draft.rng.choice(draft.versions[name])
    texts = draft.rng.choice(((f"{name}-{version}", f"!{name}"), (f"{name}=={version}", f"{name}>{version}")))
    position = draft.rng.randrange(len(draft.packages))
    package = draft.packages[position]
    draft.replace_package(position, requires=[*package.requires, *texts])
    draft.left_broken.add((package.name, package.version))


def _repeated_names(draft: Draft) -> None:
    """The same family twice in one requires list or request: rez merges them where the first one stood."""
    for _ in range(draft.rng.randint(1, 3)):
        position = draft.rng.randrange(len(draft.packages))
        package = draft.packages[position]
        for text in package.requires[:1]:
            again = draft.requirement(_family_of(text), draft.rng.random()) if not _is_ephemeral(text) else text
            draft.replace_package(position, requires=[*package.requires, again])
    if draft.requests and not _is_ephemeral(draft.requests[0]):
        draft.add_request(draft.requirement(_family_of(draft.requests[0]), 1.0))


def _conflict_only_variants(draft: Draft) -> None:
    name = draft.random_name()
    version = draft.rng.choice(draft.versions[name])
    texts = (f"!{name}-{version}", f"!{name}>{version}", f"~{name}-{version}", f"!{name}")
    variants = [[text] for text in draft.rng.sample(texts, draft.rng.randint(2, 4))]
    _set_variants(draft, [[valid_requirement(text, f"!{name}") for text in variant] for variant in variants])


def _equal_variants(draft: Draft) -> None:
    name = draft.random_name()
    variant = [draft.requirement(name, draft.rng.random(), plain=True)]
    _set_variants(draft, [list(variant) for _ in range(draft.rng.randint(2, 3))])


def _bare_weak(draft: Draft) -> None:
    """``~foo`` says nothing, but it has its place in lists and, with range None, in the variant sort."""
    name = draft.random_name()
    where = draft.rng.random()
    if where < 0.4:
        draft.add_request(f"~{name}")
    elif where < 0.8:
        draft.add_requirement(f"~{name}")
    else:
        _set_variants(draft, [[f"~{name}"], [draft.requirement(name, 1.0, plain=True)]])


def _unversioned(draft: Draft) -> None:
    """One family becomes a single unversioned package; requirements with a range on it find nothing."""
    name = draft.random_name()
    kept = next(package for package in draft.packages if package.name == name)
    draft.packages = [package for package in draft.packages if package.name != name]
    draft.packages.append(Package(name, "", kept.requires, kept.variants))
    if draft.rng.random() < 0.8:
        _drop_ranges(draft, name)
    if draft.rng.random() < 0.2:
        draft.add_request(draft.rng.choice((f"{name}==", f"!{name}>", f"{name}<=1", f"~{name}==")))


def _equal_spelling(draft: Draft) -> None:
    """'1-0' beside '1.0': one version to rez, and the first one listed counts."""
    dotted = [package for package in draft.packages if "." in package.version]
    if dotted:
        package = draft.rng.choice(dotted)
        twin = Package(package.name, package.version.replace(".", "-"), package.requires[:1], package.variants[:1])
        draft.packages.append(twin)


def _nested_union(draft: Draft) -> None:
    """Unions in which a range lies inside another one: rez's merge looks at the wrong upper bound there."""
    name = draft.random_name()
    versions = draft.versions[name]
    low, mid, high = versions[0], versions[len(versions) // 2], versions[-1]
    text = name + draft.rng.choice(
        (f"-{low}..{high}|{mid}|>{high}", f"-0+<{high}|{low}..{mid}|>{high}", f">{low}|<={mid}|=={low}", ">", "<=|>",
         f"-..{high}", ">=", f"=={low}|")
    )  # fmt: skip
    text = valid_requirement(draft.rng.choice(("", "", "!")) + text, name)
    draft.add_requirement(text)
    draft.add_request(text)


def _ephemeral_conflicts(draft: Draft) -> None:
    name = draft.rng.choice(EPHEMERAL_NAMES)
    forms = (f"!{name}-1", f"!{name}", f"~{name}-1", f"{name}-1+", f"!{name}>1", f"~{name}")
    draft.add_request(draft.rng.choice(forms))
    for _ in range(2):
        draft.add_requirement(name + draft.rng.choice(("", "-1", "-2", "-1+<3")))


def _build_requires(draft: Draft) -> None:
    draft.options["building"] = draft.rng.random() < 0.85
    for position, package in enumerate(draft.packages):
        if draft.rng.random() < 0.5:
            targets = draft.targets_below(package.name, draft.rng.randint(1, 2))
            build_requires = [draft.requirement(target, draft.rng.random()) for target in targets]
            if draft.rng.random() < 0.9:
                used = [*package.requires, *(text for variant in package.variants for text in variant)]
                build_requires = without_conflicts(build_requires, used)
            draft.replace_package(position, build_requires=build_requires)


def _intersection_priority(draft: Draft) -> None:
    draft.options["variant_select_mode"] = "intersection_priority"


def _request_conflict(draft: Draft) -> None:
    name = draft.random_name()
    version = draft.rng.choice(draft.versions[name])
    for text in draft.rng.choice(((name, f"!{name}"), (f"{name}=={version}", f"{name}>{version}"))):
        draft.add_request(text)


def _empty_request(draft: Draft) -> None:
    draft.requests.clear()


def _timestamps(draft: Draft) -> None:
    for position in range(len(draft.packages)):
        draft.replace_package(position, timestamp=draft.rng.randint(1_600_000_000, 1_700_000_000))


def _family_of(text: str) -> str:
    return Requirement(text).name


def _is_ephemeral(text: str) -> bool:
    return text.lstrip("!~").startswith(".")


def _set_variants(draft: Draft, variants: list[list[str]]) -> None:
    draft.replace_package(draft.rng.randrange(len(draft.packages)), variants=variants)


def _drop_ranges(draft: Draft, name: str) -> None:
    def bare(text: str) -> str:
        if _family_of(text) != name or text.startswith(("!", "~")):
            return text
        return name

    draft.requests = [bare(text) for text in draft.requests]
    for position, package in enumerate(draft.packages):
        variants = [[bare(text) for text in variant] for variant in package.variants]
        draft.replace_package(position, requires=[bare(text) for text in package.requires], variants=variants)


SPICES: dict[str, tuple[Callable[[Draft], None], int]] = {
    "maze": (_maze, 0),
    "cycle": (_cycle, 10),
    "self_requirement": (_self_requirement, 3),
    "missing_family": (_missing_family, 3),
    "missing_family_tolerated": (_missing_family_tolerated, 8),
    "missing_family_conflict": (_missing_family_conflict, 3),
    "missing_family_request": (_missing_family_request, 1),
    "missing_version": (_missing_version, 3),
    "missing_version_request": (_missing_version_request, 2),
    "self_conflicting_requires": (_self_conflicting_requires, 4),
    "repeated_names": (_repeated_names, 6),
    "conflict_only_variants": (_conflict_only_variants, 6),
    "equal_variants": (_equal_variants, 5),
    "bare_weak": (_bare_weak, 5),
    "unversioned": (_unversioned, 6),
    "equal_spelling": (_equal_spelling, 3),
    "nested_union": (_nested_union, 3),
    "ephemeral_conflicts": (_ephemeral_conflicts, 5),
    "build_requires": (_build_requires, 8),
    "intersection_priority": (_intersection_priority, 10),
    "request_conflict": (_request_conflict, 2),
    "empty_request": (_empty_request, 2),
    "timestamps": (_timestamps, 2),
}
