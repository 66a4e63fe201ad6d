"""`python -m rer_numba` is `rer-numba`."""

import sys

from rer_numba.cli import main

if __name__ == "__main__":
    sys.exit(main())
