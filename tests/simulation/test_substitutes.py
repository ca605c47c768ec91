"""What a world puts in the place of clocks and chance is there for its own thread alone."""

import threading
import time
import uuid

from tapedeck_testing.simulation.chance import Chance
from tapedeck_testing.simulation.substitutes import surroundings
from tapedeck_testing.simulation.virtual_loop import VirtualLoop


def test_other_threads_keep_the_real_clock_and_real_chance():
    seen = []
    loop = VirtualLoop(most_steps=10, work_s=lambda: 0.0)
    before_s = time.monotonic()
    try:
        with surroundings(loop, Chance(1, [])):
            here = (time.monotonic(), uuid.uuid4())
            thread = threading.Thread(
                target=lambda: seen.append((time.monotonic(), time.time(), uuid.uuid4()))
            )
            thread.start()
            thread.join()
        with surroundings(loop, Chance(1, [])):
            assert (time.monotonic(), uuid.uuid4()) == here
    finally:
        loop.close()
    [(monotonic_s, unix_s, name)] = seen
    assert before_s <= monotonic_s <= time.monotonic()
    assert abs(unix_s - time.time()) < 3600
    assert name != here[1]
