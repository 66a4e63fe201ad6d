"""Runs one use of the compiled kernels in a process of its own, for test_native.py; prints what happened as JSON.

Usage: native_child.py <action> <module of kernels> <folder of its source> <folder of shipped objects>
"""

import json
import os
import sys
import threading
import time
from array import array
from collections.abc import Callable
from typing import Any

KERNELS_FOLDER = sys.argv[3]
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), KERNELS_FOLDER]

from rer_numba import native, tell  # noqa: E402
from rer_numba.native.key import KernelSet  # noqa: E402

KERNELS = KernelSet(sys.argv[2], KERNELS_FOLDER, (f"{sys.argv[2]}.py",), sys.argv[4])


def answer(function: Any, first: int = 5) -> int:
    """Ask a kernel: for 5 the canned one gives 3 * 5 + 1 = 16, the dummy one 3 * (0 + 1 + 2 + 3 + 4) = 30."""
    values = array("q", range(first))
    table = array("q", [first, 1 if KERNELS.module == "canned_kernels" else values.buffer_info()[0]])
    return int(function(table.buffer_info()[0]))


def plain(**options: Any) -> dict[str, Any]:
    """Load and ask."""
    return {"answer": answer(native.load_native(kernels=KERNELS, **options))}


def twice() -> dict[str, Any]:
    """Load twice."""
    first, second = (native.load_native(kernels=KERNELS) for _ in range(2))
    return {"answer": answer(first), "same": first is second}


def host() -> dict[str, Any]:
    """Ask for code of this very machine."""
    return plain(cpu="host")


def without_numba() -> dict[str, Any]:
    """Load where Numba is not installed."""
    sys.modules["numba"] = None  # type: ignore[assignment]
    try:
        return plain()
    except native.NativeError as error:
        return {"error": str(error)}


def without_stderr() -> dict[str, Any]:
    """Load in a program without a console."""
    sys.stderr = None  # type: ignore[assignment]
    return plain()


def embedded() -> dict[str, Any]:
    """Load inside an application that is no Python interpreter."""
    sys.executable = None  # type: ignore[assignment]
    return plain()


def weak_machine() -> dict[str, Any]:
    """Load on a machine that lacks something of the level that is asked for."""
    native._LEVELS["x86-64-v2"] = ("a-feature-of-2040",)
    return plain()


def disk_full() -> dict[str, Any]:
    """Load where no file may grow past 100 bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    return plain()


def _let_it_end() -> None:
    open(os.environ["CANNED_UNTIL"], "w").close()


def threads() -> dict[str, Any]:
    """Load from 16 threads, all of which have begun when the first one may be done."""
    begun = threading.Barrier(17)
    found: list[Any] = []

    def work() -> None:
        begun.wait()
        found.append(native.load_native(kernels=KERNELS))

    workers = [threading.Thread(target=work) for _ in range(16)]
    for worker in workers:
        worker.start()
    begun.wait()
    _let_it_end()
    for worker in workers:
        worker.join()
    return {"answer": answer(found[0]), "same": len({id(f) for f in found}) == 1 and len(found) == 16}


def fork() -> dict[str, Any]:
    """Load, fork; the child asks, loads again and asks again."""
    function = native.load_native(kernels=KERNELS)
    return {"answer": answer(function), "child": _status_of_fork(function)}


def _status_of_fork(function: Any, meanwhile: Callable[[], None] = lambda: None) -> int:
    pid = os.fork()
    if pid == 0:
        again = native.load_native(kernels=KERNELS)
        os._exit(0 if (function or again) is again and answer(again) == answer(function or again) else 1)
    meanwhile()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork_while_compiling() -> dict[str, Any]:
    """Fork while another thread compiles and holds the guard."""
    worker = threading.Thread(target=plain)
    worker.start()
    while not os.path.exists(os.environ["CANNED_LOG"]):
        time.sleep(0.01)
    status = _status_of_fork(None, _let_it_end)
    worker.join()
    return {**plain(), "child": status}


def warm() -> dict[str, Any]:
    """Make the objects named by ``WARM``, into the cache or (``WARM_FOLDER``) to be shipped."""
    made = native.warmup(
        os.environ["WARM"].split(","), prebuilt_folder=os.environ.get("WARM_FOLDER"), kernels=[KERNELS]
    )
    return {"made": [list(o) for o in made]}


def main() -> None:
    """Run one action and say what was imported and told."""
    result = globals()[sys.argv[1]]()
    result["imported"] = [name for name in ("numba", "pyarrow") if sys.modules.get(name)]
    result["told"] = len(tell._told)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
