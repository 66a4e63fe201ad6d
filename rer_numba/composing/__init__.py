"""Kernels that put tables together: facts of several tables become one set of columns, see `rer_numba.compose`."""
