"""`PYTHONPATH=tests/support python -m tapedeck_testing.seams [cases] [first]`: a table of what was heard at the seams."""

import sys

from tapedeck_testing.seams.run import run_cases

count, first = [*map(int, sys.argv[1:]), *(1_000, 0)[len(sys.argv) - 1 :]][:2]
print("\n".join(run_cases(range(first, first + count)).lines()))
