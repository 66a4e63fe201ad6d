"""What needs rez itself, which may be absent: the extra `rez` brings it. Nothing else of rer-numba imports rez."""
