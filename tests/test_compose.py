"""Tables put together by kernels: the same bytes as `link` makes of the same facts."""

from __future__ import annotations

import pytest

from rer_numba.checks import check
from tests.compose_cases import differences, expected, random_parts

N_CASES = 1000
CHUNK = 50


@pytest.mark.parametrize("first", range(0, N_CASES, CHUNK))
def test_equal_to_linking(first: int) -> None:
    for seed in range(first, first + CHUNK):
        parts = random_parts(seed)
        tables = parts.composed()
        assert check(tables) is None, seed
        assert differences(tables, expected(parts)) == [], seed
