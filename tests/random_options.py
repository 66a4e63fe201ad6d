"""Random cases with everything a studio configures: orderers, filters, times, building, implicit packages.

``random_options_case(seed)`` takes the repository and the request of ``random_case(seed)``, gives packages release
times and some of them build_requires, and chooses options: half of the cases have one kind of them, the others several.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rez.package_filter import Rule
from rez.version import Requirement, Version, VersionError

from tests.case import Case, Package
from tests.oracle import INTERSECTION_PRIORITY
from tests.random_cases import random_case
from tests.random_draft import EPHEMERAL_NAMES, valid_requirement, without_conflicts
from tests.random_filters import Filters
from tests.version_texts import accepts

DAY = 24 * 60 * 60
FIRST_RELEASE = 1_500_000_000

RULES = (
    "{name}-{version}", "{name}=={version}", "{name}-{version}*", "glob({name}-{version})", "regex({name}-{version}$)",
    "range({name}=={version}.1|{version})",
)  # fmt: skip
"""Rules that hide one release and leave others: a solve must go another way."""

WIDE_RULES = (
    "{name}>{version}", "{name}<{version}", "range({name}-{version}+)", "range(!{name}-{version})", "glob(*-{version})",
    "*{version}", "regex(.*-{version})", "regex([a-m].*-{version})", "before({name}:{time})", "after({name}:{time})",
    "after({time})", "before({early})",
)  # fmt: skip
"""Rules that may well leave nothing."""

RANGES = ("", "-{version}", "=={version}", "-{version}+", "<={version}", "<{version}", ">{version}", "<={version}.5")


class OptionsDraft:
    """Options for a case under construction, and the changes of its packages that they ask for."""

    def __init__(self, case: Case, seed: int) -> None:
        self.rng = random.Random(f"rer-options-{seed}")
        self.packages = [replace(package) for package in case.packages]
        self.options: dict[str, Any] = dict(case.options)
        self.names = sorted({package.name for package in case.packages})
        self._filters: Filters | None = None
        self._give_times()

    # -- packages

    def _give_times(self) -> None:
        """Newer versions are mostly released later; some were released out of order, some nobody knows when."""
        for name in self.names:
            own = [at for at, package in enumerate(self.packages) if package.name == name]
            own.sort(key=lambda at: _version_of(self.packages[at]))
            day = self.rng.randint(0, 20)
            for at in own:
                day += self.rng.choice((0, 1, 3, 10, 30))
                time: int | None = FIRST_RELEASE + DAY * day
                if self.rng.random() < 0.15:
                    time = self.rng.choice((None, 0, FIRST_RELEASE + DAY * self.rng.randint(0, 100)))
                self.packages[at] = replace(self.packages[at], timestamp=time)
        self.times = sorted({package.timestamp for package in self.packages if package.timestamp})

    def time(self, *, late: bool = False) -> int:
        """A release time, or a time close to it; `late` hides few packages when it is the time of a solve."""
        times = self.times or [FIRST_RELEASE]
        return times[-1 - int(len(times) * self.rng.random() ** (6 if late else 1))] + self.rng.choice(
            (-1, 0, 0, 1, DAY // 2)
        )

    def version(self, name: str) -> str:
        """A version of a family."""
        versions = [package.version for package in self.packages if package.name == name]
        return self.rng.choice(versions or ["1"]) or "1"

    def requirement(self, name: str) -> str:
        """A requirement on a family, mostly one that can be met."""
        return valid_requirement(name + self.rng.choice(RANGES).format(version=self.version(name)), name)

    def add_build_requires(self) -> None:
        """Give packages build_requires on families that do not need them."""
        needs = _needs(self.packages)
        for at, package in enumerate(self.packages):
            targets = [name for name in self.names if name != package.name and package.name not in needs[name]]
            if not targets or self.rng.random() < 0.5:
                continue
            wanted = [self.requirement(name) for name in self.rng.sample(targets, min(len(targets), 2))]
            for variant in package.variants or [[]]:
                wanted = without_conflicts(wanted, [*package.requires, *variant])
            self.packages[at] = replace(package, build_requires=wanted)
            for text in wanted:
                needs[package.name] |= {Requirement(text).name, *needs[Requirement(text).name]}

    def add_missing_family(self) -> None:
        """Let a package, or a variant of it, require a family that does not exist."""
        at = self.rng.randrange(len(self.packages))
        package = self.packages[at]
        if package.variants and self.rng.random() < 0.7:
            variants = [list(variant) for variant in package.variants]
            self.rng.choice(variants).append("nowhere-1")
            self.packages[at] = replace(package, variants=variants)
        else:
            self.packages[at] = replace(package, requires=[*package.requires, "nowhere"])

    # -- orderers

    def orderers(self) -> list[Any]:
        """Give one to three orderers in configuration form, or one for each family."""
        if self.rng.random() < 0.25:
            return [{**self._simple_orderer(), "packages": [name]} for name in self.names]
        return [self._orderer() for _ in range(self.rng.choice((1, 1, 1, 2, 3)))]

    def _orderer(self) -> Any:
        if self.rng.random() < 0.2:
            return self._per_family()
        pod = self._simple_orderer()
        if self.rng.random() < 0.5:
            pod["packages"] = self._families()
        if self.rng.random() < 0.05:  # the older form
            return (pod.pop("type"), pod)
        return pod

    def _simple_orderer(self) -> dict[str, Any]:
        kind = self.rng.choice(("no_order", "sorted", "sorted", "version_split", "version_split", "soft_timestamp"))
        pod: dict[str, Any] = {"type": kind}
        if kind == "sorted":
            pod["descending"] = self.rng.random() < 0.3
        elif kind == "version_split":
            pod["first_version"] = self.version(self.rng.choice(self.names))
        elif kind == "soft_timestamp":
            pod["timestamp"] = self.time()
            if self.rng.random() < 0.5:
                pod["rank"] = self.rng.choice((0, 1, 2, 2, 3, 4))
        return pod

    def _families(self) -> list[str] | str:
        several = self.rng.sample(self.names, min(len(self.names), self.rng.choice((1, 1, 2, 3, 5))))
        chance = self.rng.random()
        if chance < 0.1:
            return several[0]
        return [*several, *(["*"] if chance < 0.2 else []), *([EPHEMERAL_NAMES[0]] if chance > 0.95 else [])]

    def _per_family(self) -> dict[str, Any]:
        pods = []
        for _ in range(self.rng.randint(1, 3)):
            families = self._families()
            pods.append({**self._simple_orderer(), "packages": [families] if isinstance(families, str) else families})
        made: dict[str, Any] = {"type": "per_family", "orderers": pods}
        # for '*' rez asks the default_order, and dies where there is none
        if self.rng.random() < 0.5 or any("*" in pod["packages"] for pod in pods):
            made["default_order"] = self._simple_orderer()
        return made

    # -- filters

    def filter(self) -> Any:
        """Give a filter in configuration form: a dict, or a list of them."""
        if self.rng.random() < 0.5:
            return self._one_filter()
        return [self._one_filter() for _ in range(self.rng.choice((0, 1, 1, 2, 2, 3)))]

    def _one_filter(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self.rng.random() < 0.95:
            made["excludes"] = [self._rule() for _ in range(self.rng.choice((1, 1, 1, 2, 3)))]
        if self.rng.random() < 0.5:
            made["includes"] = [self._rule() for _ in range(self.rng.randint(1, 3))]
        return made

    def _rule(self) -> str:
        while True:
            text = self._some_rule()
            if accepts(Rule.parse_rule, text):
                return text

    def _some_rule(self) -> str:
        chance = self.rng.random()
        if chance < 0.05:
            if self._filters is None:
                versions = [package.version for package in self.packages]
                self._filters = Filters(self.rng.random(), self.names, versions, [*self.times, None])
            return self._filters.rule()
        several = [name for name in self.names if sum(package.name == name for package in self.packages) > 2]
        name = self.rng.choice(several or self.names)
        times = self.times or [FIRST_RELEASE]
        return self.rng.choice(WIDE_RULES if chance < 0.2 else RULES).format(
            name=name, version=self.version(name), time=self.time(late=True), early=times[len(times) // 8]
        )

    # -- what is implied

    def implicit(self) -> list[str]:
        """Give requests that every request has."""
        made = []
        for _ in range(self.rng.randint(1, 2)):
            text = self.rng.choice(("~", "~", "~", "!", "")) + self.requirement(self.rng.choice(self.names))
            made.append(f"{self.rng.choice(EPHEMERAL_NAMES)}-1+" if self.rng.random() < 0.1 else text)
        return made


def _use_orderers(draft: OptionsDraft) -> None:
    draft.options["package_orderers"] = draft.orderers()


def _use_filter(draft: OptionsDraft) -> None:
    draft.options["package_filter"] = draft.filter()


def _use_timestamp(draft: OptionsDraft) -> None:
    draft.options["timestamp"] = 0 if draft.rng.random() < 0.05 else draft.time(late=True)


def _use_building(draft: OptionsDraft) -> None:
    draft.add_build_requires()
    draft.options["building"] = True


def _use_intersection(draft: OptionsDraft) -> None:
    draft.options["variant_select_mode"] = INTERSECTION_PRIORITY


def _use_missing(draft: OptionsDraft) -> None:
    draft.add_missing_family()
    draft.options["error_on_missing_variant_requires"] = False


def _use_implicit(draft: OptionsDraft) -> None:
    draft.options["implicit_packages"] = draft.implicit()


KINDS: dict[str, tuple[Callable[[OptionsDraft], None], int]] = {
    "orderers": (_use_orderers, 8),
    "filter": (_use_filter, 5),
    "timestamp": (_use_timestamp, 3),
    "building": (_use_building, 2),
    "intersection": (_use_intersection, 2),
    "missing": (_use_missing, 1),
    "implicit": (_use_implicit, 1),
}
"""Kinds of options: what chooses one, and how often it stands alone."""


def random_options_case(seed: int) -> Case:
    """Make the case of this seed."""
    return with_options(random_case(seed), seed)


def with_options(case: Case, seed: int) -> Case:
    """Give a case options, and its packages what they need to matter."""
    if not case.packages:
        return case
    draft = OptionsDraft(case, seed)
    chosen = draft.rng.choices(list(KINDS), [weight for _, weight in KINDS.values()])
    if draft.rng.random() < 0.5:
        chosen = [name for name in KINDS if name in chosen or draft.rng.random() < 0.45]
    for name in chosen:
        KINDS[name][0](draft)
    return Case(draft.packages, case.requests, draft.options, " ".join([case.origin, *(f"&{name}" for name in chosen)]))


def _version_of(package: Package) -> Version:
    try:
        return Version(package.version)
    except VersionError:
        return Version()


def _needs(packages: list[Package]) -> dict[str, set[str]]:
    """Family -> the families that its packages need, directly or not."""
    needs: dict[str, set[str]] = {package.name: set() for package in packages}
    for package in packages:
        for text in [*package.requires, *(text for variant in package.variants for text in variant)]:
            try:
                needs[package.name].add(Requirement(text).name)
            except VersionError:
                continue
    for _ in needs:
        for known in needs.values():
            known.update(*(needs.get(name, ()) for name in list(known)))
    for name in [name for known in needs.values() for name in known]:
        needs.setdefault(name, set())
    return needs
