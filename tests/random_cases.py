"""Seeded random repositories and requests that reach every mechanism of rez's solver.

A case is made in two moves: a *profile* (dense conflicts, deep backtracking, ephemerals, weak references, studio-like)
builds a repository and a request; then a few *spices* each plant one special situation (a cycle, a missing family,
equal variants, ...). Both are chosen by the seed, so ``random_case(seed)`` is the same on every machine and in every
process. The first 1,500 seeds run every line of rez/solver.py that a solve can reach (prints, callbacks, graphs aside).

``python -m tests.random_cases [--count N] [--first SEED]`` asks live rez and prints what the cases come to.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.case import Case, Package, case_from_literal, format_case, shrink
from tests.oracle import Answer, ask_rez
from tests.random_draft import Draft, Profile
from tests.random_spices import SPICES

__all__ = ["PROFILES", "SPICES", "Case", "Package", "case_from_literal", "format_case", "random_case", "shrink"]

PROFILES = (
    Profile("studio", 4, families=(8, 14), versions=(2, 5), tight=0.2, coherent=0.9, spices=(0, 2)),
    Profile("backtrack", 6, families=(7, 12), versions=(3, 6), requires=(1, 2), requests=(2, 4), variant_family=0.5,
            own_targets=0.6, own_pivots=0.7, tight=0.8, coherent=0.3, request_tight=0.0, spices=(0, 1)),
    Profile("maze", 6, families=(2, 4), versions=(1, 4), requests=(0, 2), spices=(0, 1), always=("maze",)),
    Profile("dense", 4, families=(5, 9), versions=(2, 5), requires=(1, 3), requests=(2, 5), conflict=0.3, weak=0.05,
            coherent=0.6, tight=0.4),
    Profile("many_variants", 4, families=(5, 9), versions=(1, 4), requires=(0, 1), variant_family=0.9, variants=(3, 4),
            variant_requires=(1, 3), own_pivots=0.5, tight=0.7, coherent=0.5, requests=(2, 4)),
    Profile("ephemeral", 2, ephemeral=0.35, requires=(1, 3), requests=(2, 4), variant_family=0.5),
    Profile("weak", 2, weak=0.4, requires=(1, 3), requests=(2, 5), tight=0.5),
    Profile("tiny", 2, families=(3, 4), versions=(1, 3), requires=(0, 2), requests=(0, 3), spices=(1, 3)),
)  # fmt: skip


def random_case(seed: int) -> Case:
    """Make the case of this seed."""
    rng = random.Random(f"rer-case-{seed}")
    profile = rng.choices(PROFILES, [profile.weight for profile in PROFILES])[0]
    draft = Draft(rng, profile)
    weights = [weight for _, weight in SPICES.values()]
    chosen = [*profile.always, *rng.choices(list(SPICES), weights, k=rng.randint(*profile.spices))]
    for name in chosen:
        SPICES[name][0](draft)
    origin = " ".join([f"seed={seed}", f"profile={profile.name}", *(f"+{name}" for name in chosen)])
    return draft.case(origin)


# ---- what the cases come to


def histogram(seeds: Iterable[int]) -> str:
    """Ask live rez about every seed and describe the answers."""
    answers = []
    making = asking = 0.0
    for seed in seeds:
        start = time.perf_counter()
        case = random_case(seed)
        made = time.perf_counter()
        answers.append((case, ask_rez(case.packages, case.requests, **case.options)))
        making += made - start
        asking += time.perf_counter() - made
    lines = [f"{len(answers)} cases: {making:.1f} s to make, {asking:.1f} s of rez"]
    lines += ["", "answers", *_shares(_label(answer) for _, answer in answers)]
    lines += ["", *_depth("num_solves", [answer.num_solves for _, answer in answers])]
    lines += [*_depth("num_fails", [answer.num_fails for _, answer in answers])]
    for title, picked in (("profiles", slice(1, 2)), ("spices", slice(2, None))):
        lines += ["", title, *_table(answers, picked)]
    return "\n".join(lines)


def _label(answer: Answer) -> str:
    if answer.status == "failed":
        return f"failed {answer.failure_kind or 'unknown reason'}"
    if answer.status == "error":
        return f"error  {answer.error_type}{' (internal)' if answer.internal else ''}"
    return answer.status


def _shares(labels: Iterable[str]) -> list[str]:
    counts = Counter(labels)
    total = sum(counts.values())
    return [f"  {100 * count / total:5.1f} %  {label}" for label, count in counts.most_common()]


def _depth(title: str, values: Sequence[int]) -> list[str]:
    parts = [f">{bound}: {100 * sum(v > bound for v in values) / len(values):.1f} %" for bound in (0, 1, 2, 5, 10, 20)]
    return [f"{title}: mean {statistics.mean(values):.2f}, max {max(values)};  " + "  ".join(parts)]


def _table(answers: Sequence[tuple[Case, Answer]], picked: slice) -> list[str]:
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for case, answer in answers:
        for word in case.origin.split()[picked]:
            rows[word.removeprefix("profile=").removeprefix("+")][answer.status] += 1
    return [
        f"  {name:<26} {row.total():5}  " + "  ".join(f"{row[s]:4} {s}" for s in ("solved", "failed", "error"))
        for name, row in sorted(rows.items())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask live rez about random cases and print what they come to.")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    arguments = parser.parse_args()
    print(histogram(range(arguments.first, arguments.first + arguments.count)))


if __name__ == "__main__":
    main()
