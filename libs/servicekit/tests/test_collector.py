"""The collector after a start: in a process of its own, for it is one for all."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from servicekit.collector import YOUNG, settle

class Knot:
    def __init__(self):
        self.itself = self

stays = Knot()
settle()
assert gc.get_freeze_count() > 1000
assert gc.get_threshold()[0] == YOUNG
assert stays not in gc.get_objects()
knot = Knot()
gone = weakref.ref(knot)
del knot
waste = [[] for _ in range(2 * YOUNG)]
assert gone() is None
"""


def test_what_is_there_stays_and_new_knots_are_still_found():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
