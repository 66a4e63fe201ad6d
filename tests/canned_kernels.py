"""A kernel module that needs no Numba: its IR is written out, so that a test of the cache costs milliseconds.

``int64 f(int64 *table)`` gives 3 * table[0] + table[1]. Each compilation adds a line to the file named by
``CANNED_LOG``, and goes on until there is the file named by ``CANNED_UNTIL``, if that is set.
"""

import os
import time

FACTOR = 3


def export_ir() -> tuple[str, str]:
    """The interface that `rer_numba.native` asks for."""
    with open(os.environ["CANNED_LOG"], "a") as log:
        log.write(f"{os.getpid()}\n")
    until = os.environ.get("CANNED_UNTIL")
    while until is not None and not os.path.exists(until):
        time.sleep(0.01)
    text = f"""
        define i64 @answer(ptr %table) {{
            %first = load i64, ptr %table
            %place = getelementptr i64, ptr %table, i64 1
            %second = load i64, ptr %place
            %product = mul i64 %first, {FACTOR}
            %sum = add i64 %product, %second
            ret i64 %sum
        }}"""
    return text, "answer"
