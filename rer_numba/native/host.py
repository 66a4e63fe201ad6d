"""What this machine is, in words that differ where machine code for it may differ. Without LLVM where that goes."""

import os
import sys
from typing import Final

HOST: Final = "host"
"""The CPU name that stands for this very machine."""
_MODALIAS: Final = "/sys/devices/system/cpu/modalias"
"""Vendor, family, model and all features. /proc/cpuinfo says the same, but some kernels first ask all processors for
their clocks, which takes 20 ms."""


def architecture() -> str:
    """The kind of processor, as the system calls it."""
    return os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")


def processor() -> str:
    """Name this machine's processor and its features.

    Takes 0.06 ms on Linux, where the system says it; elsewhere LLVM is asked, which is imported for it (30 ms).
    """
    if sys.platform == "linux":
        try:
            with open(_MODALIAS, "rb", buffering=0) as file:
                text = file.read(1 << 16).decode("ascii", "replace").strip()
        except OSError:
            text = ""
        if ":feature:" in text:
            return text
    from rer_numba.native.machine import find_target

    target = find_target(HOST)
    return f"{target.cpu} {target.features}"
