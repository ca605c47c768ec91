"""`python -m tapedeck_testing.faults --seconds 300 --sockets 500 --seed 7`: the soak by hand. `make soak` is the same.

Exit code 1 where anything is missing, doubled or in the wrong place.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

from tapedeck_testing.faults.report import Options
from tapedeck_testing.faults.soak import soak


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Devices under faults; every acked byte must be stored once")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument(
        "--frame-ms", type=int, default=60, help="ms of audio in an Opus message: 20, 40, 60, 80, 100 or 120"
    )
    parser.add_argument("--processes", type=int, default=2, help="processes full of devices")
    parser.add_argument("--fsync", choices=("always", "everysec"), default="always")
    parser.add_argument(
        "--lose", action="store_true", help="Redis comes back with less than it had confirmed"
    )
    parser.add_argument("--keep-files", action="store_true", help="keep the directory of the run")
    given = parser.parse_args()
    options = Options(
        seconds=given.seconds,
        sockets=given.sockets,
        seed=given.seed,
        frame_ms=given.frame_ms,
        processes=given.processes,
        fsync=given.fsync,
        lose=given.lose,
    )
    print(f"seed {options.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        if given.keep_files:
            directory = Path(tempfile.mkdtemp(prefix="tapedeck-soak-"))
            print(directory, flush=True)
        else:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapedeck-soak-")))
        outcome = asyncio.run(soak(options, directory, lambda text: print(text, flush=True)))
    print(outcome.table())
    raise SystemExit(1 if outcome.wrong else 0)


if __name__ == "__main__":
    main()
