"""The tests that run on every Python: `pytest -m each_python`, and `.ci/pythons`, which does so from a wheel.

What may come out differently there: kernels that another Python compiled, syntax trees, forks, pickles, the standard
library under the command line, rez.
"""

CHOSEN = (
    "tests/test_api.py",
    "tests/test_batch.py::test_a_batch_cannot_be_pickled_but_its_repository_can",
    "tests/test_batch.py::test_a_batch_in_a_forked_child",
    "tests/test_batch.py::test_random_cases",
    "tests/test_bridge_solver.py::test_random_cases[range(0, 100)]",
    "tests/test_bridge_solver.py::test_everything_public_is_there",
    "tests/test_cli.py",
    "tests/test_cli_ways.py",
    "tests/test_differential.py::test_random_cases",
    "tests/test_evaluator.py",
    "tests/test_forks.py::test_children_of_a_process_whose_threads_are_at_work[solving]",
    "tests/test_refresh.py::test_generations",
    "tests/test_refresh.py::test_levels",
    "tests/test_refresh.py::test_pickles_name_their_generation",
    "tests/test_slim.py",
    "tests/test_static_form.py",
    "tests/test_static_package.py",
)
"""Files, functions, or single cases, as pytest names them."""


def is_chosen(name: str) -> bool:
    """Tell whether a test is one of them."""
    return any(name == chosen or name.startswith((f"{chosen}::", f"{chosen}[")) for chosen in CHOSEN)


if __name__ == "__main__":
    print(*sorted({name.partition("::")[0] for name in CHOSEN}))
