"""Kernels that tell whether columns are sound: see `rer_numba.checks`, which crosses into them."""
